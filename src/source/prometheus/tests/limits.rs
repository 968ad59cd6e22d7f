//! How much is asked at once.

use std::time::Duration;

use super::*;

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
        "have the query for cpu_cores answered: it answered 422 Unprocessable Entity: too many samples"
    );
    assert_eq!(asked, 1 + 6, "a count, and five halvings");
    let (_, asked) = failure(too_large).await;
    assert!(asked > 7, "where even the count is too much, the smallest parts are tried");
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
    assert_eq!(error, "have the query for cpu_cores answered: the answer is larger than 10000 bytes");
}
