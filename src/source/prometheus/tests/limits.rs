//! How much is asked at once.

use std::time::Duration;

use promql_parser::parser::{Expr, parse};

use super::*;
use crate::ports::BrokenOff;

#[tokio::test]
async fn no_query_returns_more_samples_than_the_limit() {
    let tenants: Vec<String> = (0..7).map(|n| format!(r#""tenant":"t{n}""#)).collect();
    let fake = Fake::start(move |asked: &Asked| {
        let labels: Vec<&str> = tenants.iter().map(String::as_str).collect();
        if asked.is_count() { asked.count(7) } else { asked.matrix(&labels) }
    })
    .await;
    let mut few = settings(&fake.url);
    (few.max_samples_per_query, few.max_series) = (1000, 7);
    few.max_queries_per_second = 1000;
    let fetched = fetch(few).await.unwrap();
    assert_eq!(fetched.frame.samples(), 7 * 864);
    let asked = fake.asked();
    assert_eq!(asked.len(), 1 + 7, "a count, and 864 points at no more than 142 each");
    assert!(asked[1..].iter().all(|asked| asked.instants().len() * 7 <= 1000));
    assert_eq!(fake.most_at_once(), 2);
    let counted = asked[0].instants();
    assert_eq!((counted[0], *counted.last().unwrap()), (1.0, 863.0 * 300.0 + 1.0), "both ends are counted");
}

#[tokio::test]
async fn a_short_range_is_asked_for_without_a_count() {
    let fake = Fake::start(|asked: &Asked| asked.matrix(&[ACME])).await;
    let source = PrometheusSource::new(settings(&fake.url)).unwrap();
    let range = TimeRange { start: Timestamp::from_seconds(1), end: Timestamp::from_seconds(600) };
    let frame = source.fetch(CPU, range).await.unwrap().frame;
    assert_eq!(frame.series[&"acme".parse().unwrap()].values.to_vec(), [1.0]);
    assert_eq!(fake.asked()[0].params["start"], "301");
    assert_eq!(fake.asked()[0].params["end"], "301");
    let nothing = TimeRange { start: Timestamp::from_seconds(1), end: Timestamp::from_seconds(300) };
    assert_eq!(source.fetch(CPU, nothing).await.unwrap().frame.series.len(), 0);
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn too_many_series_are_found_before_they_are_sent() {
    let fake = Fake::start(|asked: &Asked| asked.count(20_001)).await;
    let error = fetch(settings(&fake.url)).await.unwrap_err();
    assert!(matches!(error, SourceError::TooManySeries { found: 20_001, limit: 20_000, .. }), "{error}");
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn what_is_too_large_is_halved_and_so_is_what_follows() {
    let fake = Fake::start(counted(|asked| {
        if asked.instants().len() > 100 {
            Reply::error(422, "execution", "query processing would load too many samples into memory")
        } else {
            asked.matrix(&[ACME])
        }
    }))
    .await;
    let mut parts = settings(&fake.url);
    (parts.max_samples_per_query, parts.max_series, parts.max_queries_at_once) = (432, 400, 1);
    assert_whole(&fetch(parts).await.unwrap());
    let too_large: Vec<usize> =
        fake.asked()[1..].iter().map(|asked| asked.instants().len()).filter(|points| *points > 100).collect();
    assert_eq!(too_large, [432, 216, 108], "the second half is not tried whole");
}

#[tokio::test]
async fn halving_ends() {
    let too_large = |_: &Asked| Reply::error(422, "execution", "too many samples");
    let (error, asked) = failure(counted(too_large)).await;
    assert_eq!(
        error,
        "have the query for cpu_cores answered: it answered 422 Unprocessable Entity: too many samples; \
         asking for less did not help: have a rule record the expression by tenant, or raise the limit"
    );
    assert_eq!(asked, 1 + 11 + 3, "a count; ten halvings, and then three sizes of shares");
    let (_, asked) = failure(too_large).await;
    assert!(asked > 7, "where even the count is too much, the smallest parts are tried");
    let fake = Fake::start(counted(too_large)).await;
    let mut whole = settings(&fake.url);
    whole.expressions = BTreeMap::from([(CPU, "sum(usage)".to_owned())]);
    fetch(whole).await.unwrap_err();
    assert_eq!(fake.asked().len(), 1 + 11, "what mixes tenants is asked for all of them only");
}

#[tokio::test]
async fn what_is_no_matter_of_size_is_not_halved() {
    let twice = "many-to-many matching not allowed: matching labels must be unique on one side";
    let (error, asked) = failure(counted(move |_| Reply::error(422, "execution", twice))).await;
    assert!(error.ends_with(twice), "{error}");
    assert_eq!(asked, 1 + 1);
}

/// Answers for those of `tenants` that the matchers of the query take, or says
/// that it would be more than `limit` samples.
fn up_to(limit: usize, tenants: Vec<String>) -> impl Fn(&Asked) -> Reply + Send + Sync {
    counted(move |asked| {
        let Ok(Expr::VectorSelector(selector)) = parse(&asked.params["query"]) else {
            return Reply::error(400, "bad_data", "parse error");
        };
        let taken =
            |name: &&String| selector.matchers.matchers.iter().all(|matcher| matcher.is_match(name.as_str()));
        let labels: Vec<String> =
            tenants.iter().filter(taken).map(|name| format!("\"tenant\":\"{name}\"")).collect();
        if labels.len() * asked.instants().len() > limit {
            return Reply::error(422, "execution", "query processing would load too many samples");
        }
        asked.matrix(&labels.iter().map(String::as_str).collect::<Vec<_>>())
    })
}

#[tokio::test]
async fn where_an_instant_is_too_much_fewer_tenants_are_asked_for() {
    let tenants: Vec<String> = (0..300).map(|n| format!("t{n}")).chain(["acme".to_owned()]).collect();
    let fake = Fake::start(up_to(150, tenants)).await;
    let mut fast = settings(&fake.url);
    fast.max_queries_per_second = 10_000;
    let source = PrometheusSource::new(fast).unwrap();
    let hour = TimeRange { start: Timestamp::from_seconds(0), end: Timestamp::from_seconds(3600) };
    let fetched = source.fetch(CPU, hour).await.unwrap();
    assert_eq!(fetched.frame.series.len(), 301);
    for (tenant, series) in &fetched.frame.series {
        let expected: Vec<f64> = (0..12).map(f64::from).collect();
        assert_eq!(series.values.to_vec(), expected, "{tenant}");
    }
    let first = fake.asked().len();
    let next = TimeRange { start: hour.end, end: Timestamp::from_seconds(7200) };
    assert_eq!(source.fetch(CPU, next).await.unwrap().frame.samples(), 301 * 12);
    let second = fake.asked().len() - first;
    assert!(second < first, "what was learned is not tried again: {second} after {first}");
    let all_at_once = fake.asked()[first..].iter().filter(|asked| asked.params["query"] == "usage").count();
    assert_eq!(all_at_once, 0);
}

#[tokio::test]
async fn an_expression_that_mixes_tenants_after_all_is_not_believed() {
    // A server, or an exporter, for which the matcher means nothing.
    let fake = Fake::start(counted(|asked| {
        if asked.params["query"].contains("=~") || asked.params["query"].contains("!~") {
            asked.matrix(&[ACME])
        } else {
            Reply::error(422, "execution", "too many samples")
        }
    }))
    .await;
    let error = fetch(settings(&fake.url)).await.unwrap_err().to_string();
    assert!(error.contains("acme is among the series of other tenants"), "{error}");
}

#[tokio::test]
async fn what_was_answered_before_a_failure_is_kept_and_not_asked_for_again() {
    let fake = Fake::start(|asked: &Asked| {
        if asked.is_count() {
            return asked.count(1);
        }
        let is_down = (5..12).contains(&asked.number);
        if is_down { Reply::Text(503, vec![], "down".to_owned()) } else { asked.matrix(&[ACME]) }
    })
    .await;
    let mut parts = settings(&fake.url);
    (parts.max_samples_per_query, parts.max_series, parts.max_queries_at_once) = (100, 50, 1);
    let source = PrometheusSource::new(parts).unwrap();
    let first = source.fetch(CPU, three_days()).await.unwrap();
    let BrokenOff { until, error } = first.broken_off.clone().unwrap();
    assert!(matches!(error, SourceError::Unreachable(_)), "{error}");
    assert_eq!(first.frame.samples() as i64, until.seconds() / 300, "the beginning is whole");
    assert!(first.frame.samples() > 200, "{until}");
    let mut again = 0;
    let rest = loop {
        let range = TimeRange { start: until, ..three_days() };
        match source.fetch(CPU, range).await {
            Ok(fetched) => break fetched,
            Err(_) if again < 10 => again += 1,
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(first.frame.samples() + rest.frame.samples(), 864);
    let answered =
        fake.asked().into_iter().filter(|asked| !asked.is_count() && !(5..12).contains(&asked.number));
    let instants: Vec<i64> = answered.flat_map(|asked| asked.instants()).map(|at| at as i64).collect();
    let kept = instants.iter().filter(|at| **at < until.seconds()).count();
    assert_eq!(kept, first.frame.samples(), "what was kept was asked for once");
}

#[tokio::test]
async fn no_more_queries_a_second_than_allowed() {
    let fake = Fake::start(counted(|asked| asked.matrix(&[ACME]))).await;
    let mut slow = settings(&fake.url);
    (slow.max_samples_per_query, slow.max_series, slow.max_queries_per_second) = (100, 50, 20);
    assert_whole(&fetch(slow).await.unwrap());
    let asked = fake.asked();
    assert_eq!(asked.len(), 1 + 9);
    for (first, later) in asked.iter().zip(asked.iter().skip(4)) {
        // Two may go at once, and one more every 50 ms.
        let between = later.at.duration_since(first.at);
        assert!(between > Duration::from_millis(90), "five queries within {between:?}");
    }
}

#[tokio::test]
async fn a_slow_server_is_asked_for_less_and_one_by_one() {
    let fake = Fake::start(counted(|asked| {
        let answer = asked.matrix(&[ACME]);
        let is_slow = asked.instants().len() > 60;
        if is_slow { Reply::Late(Duration::from_millis(400), Box::new(answer)) } else { answer }
    }))
    .await;
    let mut patient = settings(&fake.url);
    (patient.max_samples_per_query, patient.max_series) = (200, 50);
    patient.slow_after = Duration::from_millis(300);
    patient.retry.longest_wait = Duration::from_millis(150);
    assert_whole(&fetch(patient).await.unwrap());
    let asked = fake.asked();
    let sizes: Vec<usize> = asked[1..].iter().map(|asked| asked.instants().len()).collect();
    let slow = sizes.iter().filter(|size| **size > 60).count();
    assert!(slow <= 4, "{sizes:?}");
    assert!(sizes.iter().rev().take(5).all(|size| *size <= 60), "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 864, "nothing is asked for twice: {sizes:?}");
    let rest = asked[3].at.duration_since(asked[2].at);
    assert!(rest > Duration::from_millis(500), "it rests after a slow answer: {rest:?}");
}

#[tokio::test]
async fn a_server_that_was_given_up_is_tried_once_until_it_answers() {
    let fake = Fake::start(|asked: &Asked| match asked.number {
        0..4 => Reply::Text(503, vec![], "down".to_owned()),
        _ => asked.matrix(&[ACME]),
    })
    .await;
    let source = PrometheusSource::new(settings(&fake.url)).unwrap();
    let hour = TimeRange { start: Timestamp::from_seconds(0), end: Timestamp::from_seconds(3600) };
    source.fetch(CPU, hour).await.unwrap_err();
    assert_eq!(fake.asked().len(), 3, "the first fetch tries again");
    source.fetch(CPU, hour).await.unwrap_err();
    assert_eq!(fake.asked().len(), 4, "the next one does not");
    source.fetch(CPU, hour).await.unwrap();
    assert_eq!(fake.asked().len(), 5);
}

#[tokio::test]
async fn a_query_that_takes_too_long_is_halved() {
    let fake = Fake::start(counted(|asked| match asked.instants().len() {
        500.. => Reply::Hang,
        300.. => Reply::error(503, "timeout", "query timed out in expression evaluation"),
        _ => asked.matrix(&[ACME]),
    }))
    .await;
    let mut hasty = settings(&fake.url);
    hasty.time_out = Duration::from_secs(2);
    assert_whole(&fetch(hasty).await.unwrap());
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let fake = Fake::start(|_: &Asked| Reply::Hang).await;
    let mut hasty = settings(&fake.url);
    (hasty.time_out, hasty.max_series, hasty.retry.max_halvings) = (Duration::from_millis(100), 1, 2);
    let error = fetch(hasty).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("reach the source: {} gave no whole answer within 100ms", fake.url)
    );
    assert!(fake.asked().len() <= 6);
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_it() {
    let fake = Fake::start(counted(|_| Reply::Text(200, vec![], " ".repeat(1 << 20)))).await;
    let mut small = settings(&fake.url);
    small.max_answer_bytes = 10_000;
    let error = fetch(small).await.unwrap_err().to_string();
    let large = "have the query for cpu_cores answered: the answer is larger than 10000 bytes; ";
    assert!(error.starts_with(large), "{error}");
}
