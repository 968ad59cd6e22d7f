//! Usage from a real Prometheus.

use std::collections::BTreeMap;

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
    guarded.retry.first_wait = std::time::Duration::from_millis(10);
    let error = fetch(guarded.clone(), Resource::CpuCores).await.unwrap_err();
    assert!(matches!(&error, SourceError::Unreachable(words) if words.contains("certificate")), "{error}");
    guarded.ca_pem = Some(ca_pem);
    let error = fetch(guarded.clone(), Resource::CpuCores).await.unwrap_err();
    assert!(matches!(error, SourceError::Unauthorized(_)), "{error}");
    let password = "correct horse".to_owned().into();
    guarded.credentials = Credentials::Basic { username: "plimsoll".to_owned(), password };
    assert_exact(&fetch(guarded, Resource::CpuCores).await.unwrap());
}
