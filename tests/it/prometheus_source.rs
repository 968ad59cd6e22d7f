//! Usage from a real Prometheus.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll::config::Credentials;
use plimsoll::domain::{Resource, Step, TenantId, TimeRange, Timestamp};
use plimsoll::ports::{Fetched, SourceError, UsageSource};
use plimsoll::source::{PrometheusSettings, PrometheusSource};

use crate::rig::{Authority, Prometheus, Web, openmetrics};

/// A grid point; long ago, so that nothing depends on the present.
const START: i64 = 1_750_000_200;
const STEP: i64 = 300;
/// Three days.
const POINTS: i64 = 864;

fn three_days() -> TimeRange {
    let start = Timestamp::from_seconds(START);
    TimeRange { start, end: Timestamp::from_seconds(START + POINTS * STEP) }
}

/// What a tenant used, by the number of the grid point; `None` is a gap.
type Usage = fn(i64) -> Option<f64>;

const TENANTS: [(&str, Usage); 4] = [
    ("steady", |n| Some(2.0 + (n % 288) as f64 / 1000.0)),
    ("holed", |n| (!(100..150).contains(&n) && n != 700).then_some(n as f64 + 0.1)),
    ("late", |n| (n >= 500).then_some(1.0 / n as f64)),
    ("gone", |n| (n < 300).then_some(1e-9 * n as f64)),
];

fn samples(usage: Usage) -> Vec<(i64, f64)> {
    (0..POINTS).filter_map(|n| Some((START + n * STEP, usage(n)?))).collect()
}

/// Four tenants of `usage`, a counter that adds three a second and starts over
/// once, a series without a tenant and two of one.
fn data() -> String {
    let mut usage: Vec<_> =
        TENANTS.iter().map(|(name, usage)| (format!("tenant=\"{name}\""), samples(*usage))).collect();
    usage.push(("job=\"none\"".to_owned(), samples(|_| Some(1.0))));
    usage.push(("tenant=\"twice\",pod=\"a\"".to_owned(), samples(|n| (n < 400).then_some(1.0))));
    usage.push(("tenant=\"twice\",pod=\"b\"".to_owned(), samples(|n| (n >= 400).then_some(1.0))));
    let counter = samples(|n| Some(((n % 600) * 900) as f64));
    openmetrics([
        ("usage", "gauge", usage),
        ("requests_total", "counter", vec![("tenant=\"steady\"".to_owned(), counter)]),
    ])
}

fn settings(url: &str) -> PrometheusSettings {
    let expressions = [
        (Resource::CpuCores, "usage"),
        (Resource::MemoryGb, "max by (tenant) (usage)"),
        (Resource::ApiRequestsPerMinute, "60 * sum by (tenant) (rate(requests_total[10m])) # a minute"),
        (Resource::StorageGb, "usage +"),
        (Resource::CacheSizeMb, "usage / 0"),
    ];
    let expressions = expressions.map(|(resource, text)| (resource, text.to_owned()));
    PrometheusSettings::new(url, BTreeMap::from(expressions))
}

async fn fetch(settings: PrometheusSettings, resource: Resource) -> Result<Fetched, SourceError> {
    PrometheusSource::new(settings).unwrap().fetch(resource, three_days()).await
}

/// The values of a tenant by the number of the grid point.
fn values(fetched: &Fetched, tenant: &str) -> BTreeMap<i64, f64> {
    let series = &fetched.frame.series[&tenant.parse::<TenantId>().unwrap()];
    assert_eq!(series.step, Step::FIVE_MINUTES);
    let finite = series.values.iter().enumerate().filter(|(_, value)| value.is_finite());
    finite.map(|(index, value)| ((series.at(index).seconds() - START) / STEP, *value)).collect()
}

fn assert_exact(fetched: &Fetched) {
    for (name, usage) in TENANTS {
        let expected: BTreeMap<i64, f64> = (0..POINTS).filter_map(|n| Some((n, usage(n)?))).collect();
        assert_eq!(values(fetched, name), expected, "{name}");
    }
}

#[tokio::test]
async fn values_come_back_exactly_and_gaps_stay_gaps() {
    let prometheus = Prometheus::start(&data()).await;
    let fetched = fetch(settings(&prometheus.url), Resource::CpuCores).await.unwrap();
    assert_exact(&fetched);
    assert_eq!(fetched.frame.series.len(), TENANTS.len());
    assert_eq!(fetched.refused.len(), 2, "{:?}", fetched.refused);
    assert!(fetched.refused[0].starts_with("2 series name the tenant twice"), "{:?}", fetched.refused);
    assert!(
        fetched.refused[1].starts_with("{__name__=\"usage\", job=\"none\"} has no label"),
        "{:?}",
        fetched.refused
    );

    let mut split = settings(&prometheus.url);
    (split.max_samples_per_query, split.max_series, split.max_queries_at_once) = (100, 50, 3);
    let parts = fetch(split, Resource::CpuCores).await.unwrap();
    assert_exact(&parts);
    assert_eq!(parts.refused, fetched.refused, "a split range is judged as a whole one");

    let noted = fetch(settings(&prometheus.url), Resource::CacheSizeMb).await.unwrap();
    assert_eq!(noted.frame.samples(), 0, "what is divided by zero is no sample");
}

#[tokio::test]
async fn counters_come_as_rates() {
    let prometheus = Prometheus::start(&data()).await;
    let rates = fetch(settings(&prometheus.url), Resource::ApiRequestsPerMinute).await.unwrap();
    let rates = values(&rates, "steady");
    // A rate over ten minutes needs two samples, knows little at first, and
    // takes the restart for no drop.
    assert_eq!(rates.len() as i64, POINTS - 1);
    let mut usual = rates.iter().filter(|(n, _)| !(599..=603).contains(*n) && **n > 2);
    assert!(usual.all(|(_, rate)| (rate - 180.0).abs() < 1e-6), "{rates:?}");
    assert!(rates.values().all(|rate| (0.0..=180.1).contains(rate)), "{rates:?}");
}

#[tokio::test]
async fn limits_and_bad_expressions_are_named() {
    let prometheus = Prometheus::start(&data()).await;
    let mut narrow = settings(&prometheus.url);
    (narrow.max_series, narrow.max_samples_per_query) = (4, 1000);
    let error = fetch(narrow.clone(), Resource::CpuCores).await.unwrap_err();
    assert!(matches!(error, SourceError::TooManySeries { found: 5, limit: 4, .. }), "{error}");
    narrow.max_series = 5;
    let aggregated = fetch(narrow, Resource::MemoryGb).await;
    assert!(matches!(aggregated, Err(SourceError::TooManySeries { .. })), "six tenants over the whole range");
    let error = fetch(settings(&prometheus.url), Resource::StorageGb).await.unwrap_err().to_string();
    assert!(
        error.starts_with("have the query for storage_gb answered: it answered 400 Bad Request: "),
        "{error}"
    );
    assert!(error.contains("parse error"), "{error}");
}

#[tokio::test]
async fn one_instant_and_a_long_expression() {
    let prometheus = Prometheus::start(&data()).await;
    let mut long = settings(&prometheus.url);
    let expression = format!("max by (tenant) (usage{{pod!=\"{}\"}})", "x".repeat(4000));
    long.expressions.insert(Resource::CpuCores, expression);
    let source = PrometheusSource::new(long).unwrap();
    let at = Timestamp::from_seconds(START + 120 * STEP + 7);
    let fetched = source.instant(Resource::CpuCores, at).await.unwrap();
    assert_eq!(values(&fetched, "steady"), BTreeMap::from([(120, 2.12)]));
    assert!(!fetched.frame.series.contains_key(&"holed".parse::<TenantId>().unwrap()));
    assert_eq!(source.fetch(Resource::CpuCores, three_days()).await.unwrap().frame.series.len(), 5);
}

#[tokio::test]
async fn tls_of_an_own_authority_and_a_password() {
    let authority = Authority::new();
    let ca_pem = authority.ca_pem();
    // Of "correct horse", by bcrypt.
    let user = ("plimsoll", "$2y$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e");
    let prometheus =
        Prometheus::start_guarded(&data(), Web { authority: Some(authority), user: Some(user) }).await;
    let mut guarded = settings(&prometheus.url);
    guarded.retry.first_wait = Duration::from_millis(10);
    let error = fetch(guarded.clone(), Resource::CpuCores).await.unwrap_err();
    assert!(matches!(&error, SourceError::Unreachable(words) if words.contains("certificate")), "{error}");
    guarded.ca_pem = Some(ca_pem);
    let error = fetch(guarded.clone(), Resource::CpuCores).await.unwrap_err();
    assert!(matches!(error, SourceError::Unauthorized(_)), "{error}");
    let password = "correct horse".to_owned().into();
    guarded.credentials = Credentials::Basic { username: "plimsoll".to_owned(), password };
    assert_exact(&fetch(guarded, Resource::CpuCores).await.unwrap());
}

/// 60 tenants of one day, and nothing else.
fn many_tenants() -> (String, TimeRange) {
    let day = 288;
    let usage = (0..60).map(|tenant| {
        let samples = (0..day).map(|n| (START + n * STEP, (tenant * 1000 + n) as f64)).collect();
        (format!("tenant=\"t{tenant}\",pod=\"p\""), samples)
    });
    let start = Timestamp::from_seconds(START);
    let range = TimeRange { start, end: Timestamp::from_seconds(START + day * STEP) };
    (openmetrics([("usage", "gauge", usage.collect())]), range)
}

fn assert_all_of_many(fetched: &Fetched) {
    assert!(fetched.broken_off.is_none(), "{:?}", fetched.broken_off);
    assert_eq!(fetched.frame.series.len(), 60);
    for tenant in 0..60 {
        let expected: BTreeMap<i64, f64> = (0..288).map(|n| (n, (tenant * 1000 + n) as f64)).collect();
        assert_eq!(values(fetched, &format!("t{tenant}")), expected, "t{tenant}");
    }
}

#[tokio::test]
async fn a_prometheus_that_takes_few_samples_a_query_is_asked_for_less() {
    let (data, day) = many_tenants();
    // 60 tenants at one instant are 60 samples; those of an expression with ranges many more.
    for (limit, expression) in [
        (4_000, "max by (tenant) (usage)"),
        (50, "usage"),
        (200, "max by (tenant) (max_over_time(usage[5m]))"),
    ] {
        let flag = format!("--query.max-samples={limit}");
        let prometheus = Prometheus::start_with_flags(&data, &[&flag]).await;
        let mut asked = settings(&prometheus.url);
        asked.expressions = BTreeMap::from([(Resource::CpuCores, expression.to_owned())]);
        asked.max_queries_per_second = 10_000;
        let source = PrometheusSource::new(asked).unwrap();
        let fetched = source.fetch(Resource::CpuCores, day).await.unwrap();
        assert_all_of_many(&fetched);
    }
}

#[tokio::test]
async fn a_prometheus_that_runs_out_of_time_is_asked_for_less_and_gone_on_with() {
    let (data, day) = many_tenants();
    let prometheus = Prometheus::start_with_flags(&data, &["--query.timeout=300ms"]).await;
    // 3600 evaluations of each tenant at each of the 24 points take longer than that.
    let two_hours = TimeRange { end: day.start.plus(Duration::from_secs(7200)), ..day };
    let mut asked = settings(&prometheus.url);
    let expression = "max by (tenant) (max_over_time(usage[1h:1s]))".to_owned();
    asked.expressions = BTreeMap::from([(Resource::CpuCores, expression)]);
    (asked.retry.retries, asked.retry.first_wait) = (2, Duration::from_millis(10));
    asked.retry.longest_wait = Duration::from_millis(100);
    let source = PrometheusSource::new(asked).unwrap();
    let (mut start, mut samples, mut failures) = (two_hours.start, 0, Vec::new());
    while start < two_hours.end {
        let fetched = source.fetch(Resource::CpuCores, TimeRange { start, ..two_hours }).await;
        let (until, error) = match fetched {
            Ok(fetched) => {
                samples += fetched.frame.samples();
                fetched.broken_off.map_or((two_hours.end, None), |off| (off.until, Some(off.error)))
            }
            Err(error) => (start, Some(error)),
        };
        failures.extend(error.map(|error| error.to_string()));
        assert!(failures.len() < 20, "{failures:?}");
        start = until;
    }
    assert_eq!(samples, 24 * 60);
    assert!(failures.iter().all(|failure| failure.contains("query timed out")), "{failures:?}");
}
