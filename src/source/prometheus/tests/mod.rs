//! What can go wrong between here and a Prometheus, against a server that
//! does it on demand. That a real one is understood is shown by the
//! integration tests.

mod fake;
mod limits;

use std::collections::BTreeMap;
use std::time::Duration;

use super::{PrometheusSettings, PrometheusSource};
use crate::config::Credentials;
use crate::domain::{Meter, Resource, TimeRange, Timestamp};
use crate::ports::{Fetched, OddSamples, SourceError, UsageSource};
use fake::{Asked, Fake, Reply};

const CPU: Resource = Resource::CpuCores;
const ACME: &str = r#""tenant":"acme""#;

/// Three days at five minutes.
fn three_days() -> TimeRange {
    TimeRange { start: Timestamp::from_seconds(0), end: Timestamp::from_seconds(3 * 86_400) }
}

fn settings(url: &str) -> PrometheusSettings {
    let mut settings = PrometheusSettings::new(url, BTreeMap::from([(CPU, "usage".to_owned())]));
    settings.retry.retries = 2;
    settings.retry.first_wait = Duration::from_millis(1);
    settings.retry.longest_wait = Duration::from_millis(4);
    settings.time_out = Duration::from_secs(20);
    settings
}

async fn fetch(settings: PrometheusSettings) -> Result<Fetched, SourceError> {
    PrometheusSource::new(settings).unwrap().fetch(CPU, three_days()).await
}

async fn failure(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (String, usize) {
    let fake = Fake::start(answer).await;
    let error = fetch(settings(&fake.url)).await.unwrap_err();
    (error.to_string().replace(&fake.url, "URL"), fake.asked().len())
}

/// Counts are answered with one series, all else as the test says.
fn counted(
    answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> impl Fn(&Asked) -> Reply + Send + Sync {
    move |asked| if asked.is_count() { asked.count(1) } else { answer(asked) }
}

/// Every value of three days is there, and is the one of its instant.
fn assert_whole(fetched: &Fetched) {
    let acme = &fetched.frame.series[&"acme".parse().unwrap()];
    assert_eq!((acme.start, acme.len()), (three_days().start, 864));
    assert!(acme.values.iter().enumerate().all(|(index, value)| *value == index as f64), "{:?}", acme.values);
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let fake = Fake::start(counted(|asked| match asked.number {
        1 => Reply::Text(503, vec![], "starting".to_owned()),
        2 => Reply::Half,
        _ => asked.matrix(&[ACME]),
    }))
    .await;
    assert_whole(&fetch(settings(&fake.url)).await.unwrap());
    assert_eq!(fake.asked().len(), 4);
}

#[tokio::test]
async fn what_does_not_pass_ends_with_the_servers_words() {
    let (error, asked) = failure(|_| Reply::Text(502, vec![], "<h1>no upstream</h1>".to_owned())).await;
    assert_eq!(error, "reach the source: it answered 502 Bad Gateway: <h1>no upstream</h1>");
    assert_eq!(asked, 3);
    let slow_down = |_: &Asked| Reply::Text(429, vec![("retry-after", "3600".to_owned())], String::new());
    let (error, asked) = failure(slow_down).await;
    assert_eq!(error, "reach the source: it answered 429 Too Many Requests");
    assert_eq!(asked, 1, "a server that asks for an hour is left alone");
    let (error, asked) = failure(|_| Reply::Half).await;
    assert!(error.starts_with("reach the source: URL: "), "{error}");
    assert_eq!(asked, 3);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let url = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let error = fetch(settings(&url)).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("reach the source: {url}: ")), "{error}");
    assert!(error.contains("Connection refused"), "{error}");
    assert!(!error.contains("usage"), "the query is not repeated: {error}");
}

#[tokio::test]
async fn refusals_are_final_and_say_what_to_mend() {
    let (error, asked) = failure(|_| Reply::Text(401, vec![], "Unauthorized".to_owned())).await;
    assert_eq!(
        error,
        "be let in by the source: it answered 401 Unauthorized: Unauthorized; \
         check the token, user name or headers under [prometheus]"
    );
    assert_eq!(asked, 1);
    let (error, asked) = failure(|_| Reply::error(400, "bad_data", "1:7: parse error")).await;
    assert_eq!(error, "have the query for cpu_cores answered: it answered 400 Bad Request: 1:7: parse error");
    assert_eq!(asked, 1);
    let login = || vec![("location", "http://evil/login".to_owned())];
    let (error, _) = failure(move |_| Reply::Text(302, login(), String::new())).await;
    assert_eq!(
        error,
        "have the query for cpu_cores answered: it answered 302 Found to http://evil/login; \
         set prometheus.url to where it leads"
    );
}

#[tokio::test]
async fn an_answer_of_another_form_is_malformed() {
    let (error, asked) =
        failure(counted(|_| Reply::Text(200, vec![], "<html>login</html>".to_owned()))).await;
    assert_eq!(
        error,
        "understand the answer for cpu_cores: expected value at line 1 column 1; \
         it begins with \"<html>login</html>\""
    );
    assert_eq!(asked, 2, "it is not asked again");
    let (error, _) = failure(counted(|_| Reply::success("scalar", "[1700000000,\"1\"]"))).await;
    assert!(error.starts_with("understand the answer for cpu_cores: invalid type: integer"), "{error}");
    let (error, _) = failure(|_| Reply::Text(200, vec![], r#"{"status":"success"}"#.to_owned())).await;
    assert_eq!(error, "understand the answer for cpu_cores: it holds neither data nor an error");
    let (error, _) = failure(|_| Reply::error(200, "bad_data", "no")).await;
    assert_eq!(error, "have the query for cpu_cores answered: no");
}

#[tokio::test]
async fn bad_series_are_named_and_the_good_ones_go_on() {
    let fake = Fake::start(counted(|asked| {
        asked.matrix(&[
            ACME,
            r#""job":"x""#,
            r#""tenant":"a b""#,
            r#""tenant":"two","pod":"1""#,
            r#""tenant":"two","pod":"2""#,
        ])
    }))
    .await;
    let fetched = fetch(settings(&fake.url)).await.unwrap();
    assert_whole(&fetched);
    assert_eq!(fetched.frame.series.len(), 1);
    assert_eq!(fetched.refused.len(), 3, "{:?}", fetched.refused);
}

#[tokio::test]
async fn what_is_no_number_is_a_gap() {
    let fake = Fake::start(counted(|_| {
        let values = r#"[[1,"1"],[301,"NaN"],[601,"+Inf"],[901,"4"]]"#;
        Reply::success("matrix", &format!(r#"[{{"metric":{{{ACME}}},"values":{values}}}]"#))
    }))
    .await;
    let Fetched { frame, odd, .. } = fetch(settings(&fake.url)).await.unwrap();
    let acme = &frame.series[&"acme".parse().unwrap()];
    assert_eq!((acme.len(), acme.samples(), acme.values[3]), (4, 2, 4.0));
    assert_eq!(odd, OddSamples { not_finite: 2, out_of_order: 0 });
}

#[tokio::test]
async fn samples_out_of_order_land_at_their_times() {
    let fake = Fake::start(counted(|_| {
        let values = r#"[[901,"4"],[1,"1"],[601,"3"],[301,"2"]]"#;
        Reply::success("matrix", &format!(r#"[{{"metric":{{{ACME}}},"values":{values}}}]"#))
    }))
    .await;
    let Fetched { frame, odd, .. } = fetch(settings(&fake.url)).await.unwrap();
    let acme = &frame.series[&"acme".parse().unwrap()];
    assert_eq!((acme.start, acme.values.to_vec()), (three_days().start, vec![1.0, 2.0, 3.0, 4.0]));
    assert_eq!(odd, OddSamples { not_finite: 0, out_of_order: 2 });
}

#[tokio::test]
async fn credentials_and_headers_go_with_each_query() {
    let header =
        |asked: &Asked, name: &str| asked.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let fake = Fake::start(counted(|asked| asked.matrix(&[ACME]))).await;
    let mut with = settings(&fake.url);
    with.credentials = Credentials::Bearer("s3cret".to_owned().into());
    with.headers = vec![("X-Scope-OrgID".to_owned(), "platform".to_owned().into())];
    fetch(with.clone()).await.unwrap();
    with.credentials =
        Credentials::Basic { username: "me".to_owned(), password: "pass:word".to_owned().into() };
    fetch(with.clone()).await.unwrap();
    let asked = fake.asked();
    assert_eq!(asked.len(), 4);
    for asked in &asked {
        assert_eq!(header(asked, "x-scope-orgid").unwrap(), "platform");
    }
    assert_eq!(header(&asked[1], "authorization").unwrap(), "Bearer s3cret");
    assert_eq!(header(&asked[3], "authorization").unwrap(), "Basic bWU6cGFzczp3b3Jk");
    let shown = format!("{with:?}");
    assert!(!shown.contains("pass:word") && !shown.contains("platform"), "{shown}");
}

#[tokio::test]
async fn long_expressions_go_as_a_form() {
    let fake = Fake::start(|asked: &Asked| asked.matrix(&[ACME])).await;
    let mut long = settings(&fake.url);
    long.max_series = 100;
    fetch(long.clone()).await.unwrap();
    long.expressions = BTreeMap::from([(CPU, format!("usage{{pod!=\"{}\"}}", "x".repeat(5000)))]);
    fetch(long.clone()).await.unwrap();
    let asked = fake.asked();
    assert_eq!(asked.iter().map(|asked| asked.method.as_str()).collect::<Vec<_>>(), ["GET", "POST"]);
    assert_eq!(asked[1].params["query"], long.expressions[&CPU]);
    assert_eq!(asked[1].params["timeout"], "20000ms");
}

#[tokio::test]
async fn one_instant_gives_one_value_a_tenant() {
    let fake = Fake::start(|asked: &Asked| {
        assert_eq!(asked.instants(), [901.0]);
        Reply::success("matrix", &format!(r#"[{{"metric":{{{ACME}}},"values":[[901,"2.5"]]}}]"#))
    })
    .await;
    let source = PrometheusSource::new(settings(&fake.url)).unwrap();
    let frame = source.instant(CPU, Timestamp::from_seconds(1000)).await.unwrap().frame;
    let acme = &frame.series[&"acme".parse().unwrap()];
    assert_eq!((acme.start, acme.values.to_vec()), (Timestamp::from_seconds(900), vec![2.5]));
    let missing = source.instant(Resource::MemoryGb, Timestamp::from_seconds(0)).await.unwrap_err();
    assert_eq!(missing.to_string(), "ask for memory_gb: no expression is configured for it");
}

#[tokio::test]
async fn shares_and_meters_come_with_the_reasons_for_what_is_left_out() {
    let fake = Fake::start(|asked: &Asked| match asked.params["query"].as_str() {
        "good[3600s]" | "quick{le=\"0.25\"}[3600s]" | "hours[3600s]" => asked.matrix(&[
            ACME,
            r#""job":"x""#,
            r#""tenant":"two","pod":"1""#,
            r#""tenant":"two","pod":"2""#,
        ]),
        _ => asked.matrix(&[ACME]),
    })
    .await;
    let mut with = settings(&fake.url);
    with.availability = Some("good[$window]".to_owned());
    with.latency = Some("quick{le=\"$seconds\"}[$window]".to_owned());
    with.meters = BTreeMap::from([(Meter::TrainingHours, "hours[$window]".to_owned())]);
    let source = PrometheusSource::new(with).unwrap();
    let at = Timestamp::from_seconds(1000);
    let asked = async |window: Duration| {
        [
            (source.availability(window, at).await.unwrap(), 1.0),
            (source.latency(250.0, window, at).await.unwrap(), 1.0),
            (source.metered(Meter::TrainingHours, window, at).await.unwrap(), 3.0),
        ]
    };
    for (measured, number) in asked(Duration::from_secs(3600)).await {
        assert_eq!(measured.by_tenant, BTreeMap::from([("acme".parse().unwrap(), number)]));
        assert_eq!(
            measured.refused,
            [
                "2 series name the tenant two, such as {pod=\"1\", tenant=\"two\"} and {pod=\"2\", \
                 tenant=\"two\"}; aggregate the expression by tenant",
                "{job=\"x\"} has no label \"tenant\"; keep it in the expression",
            ]
        );
    }
    for (measured, _) in asked(Duration::from_secs(60)).await {
        assert_eq!((measured.by_tenant.len(), measured.refused), (1, Vec::new()));
    }
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let refused = |change: fn(&mut PrometheusSettings)| {
        let mut settings = settings("http://127.0.0.1:9");
        change(&mut settings);
        PrometheusSource::new(settings).err().map(|error| error.to_string()).unwrap()
    };
    for (change, words) in [
        (|s| s.url = "ftp://x".to_owned(), "begin it with http:// or https://"),
        (|s| s.url = "http://me:s3cret@x".to_owned(), "it holds a user name or password"),
        (|s| s.url = "http://x/?a=b".to_owned(), "end it before"),
        (|s| s.url = "nothing".to_owned(), "prometheus.url: relative URL"),
        (|s| s.headers = vec![("a b".to_owned(), "x".to_owned().into())], "it is no name of a header"),
        (|s| s.headers = vec![("a".to_owned(), "s3cret\n".to_owned().into())], "can't be sent in a header"),
        (|s| s.credentials = Credentials::Bearer("s3cret\n".to_owned().into()), "can't be sent in a header"),
        (|s| s.ca_pem = Some("-----BEGIN CERTIFICATE-----\nx".to_owned()), "prometheus.ca_file"),
        (|s| s.max_series = 500_001, "one sample a series must fit"),
        (|s| s.max_queries_at_once = 0, "allow at least 1"),
        (|s| s.step = crate::domain::Step::from_millis(1500).unwrap(), "whole seconds"),
    ] as [(fn(&mut PrometheusSettings), &str); 11]
    {
        let error = refused(change);
        assert!(error.starts_with("use the settings of the source: ") && error.contains(words), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
    }
}
