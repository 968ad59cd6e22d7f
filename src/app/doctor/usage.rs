//! Prometheus: whether it answers, what each expression gives, how far back, and
//! whether its clock is ours.

use std::time::Duration;

use chrono::DateTime;
use futures::future::join_all;

use super::{Checked, SystemClock, counted, parts};
use crate::config::Config;
use crate::domain::{Meter, Resource, Timestamp};
use crate::ports::{Clock, Measured, SourceError, UsageSource};
use crate::source::PrometheusSource;

/// A latency that is tried, in milliseconds: a bucket mostly ends there.
const A_SECOND: f64 = 1000.0;

/// How far two clocks may be apart: more than an answer takes, less than what
/// settles.
const CLOCKS_APART: Duration = Duration::from_secs(20);
/// Days of usage with which a quota's own past decides.
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// Refused series that are quoted.
const QUOTED: usize = 2;
/// What is named before a resource whose usage was tried.
const USAGE_OF: &str = "usage of ";
/// What begins the words on an expression that was not answered.
const FAILED: &str = "failed to ";

/// How far Prometheus' clock is from this machine's, as far as it tells.
pub(super) async fn clock(config: &Config) -> Option<Checked> {
    let url = config.prometheus.url.to_string();
    let client = reqwest::Client::builder().timeout(config.prometheus.time_out).build().ok()?;
    let answer = client.get(url).send().await.ok()?;
    let theirs = DateTime::parse_from_rfc2822(answer.headers().get("date")?.to_str().ok()?).ok()?;
    let theirs = Timestamp::from_millis(theirs.timestamp_millis());
    let ours = SystemClock.now();
    let apart = ours.since(theirs).max(theirs.since(ours));
    let seconds = apart.as_secs();
    Some(match apart <= CLOCKS_APART {
        true => Checked::good("clock", format!("{seconds} s from Prometheus' at most")),
        false => Checked::bad(
            "clock",
            format!("{seconds} s from Prometheus'"),
            Some(
                "set both by NTP; samples would be asked for that are not there yet, or looked for too late",
            ),
        ),
    })
}

/// What each expression gives now and a week ago.
pub(super) async fn expressions(config: &Config) -> Vec<Checked> {
    let source = match parts::prometheus_source(config) {
        Ok(source) => source,
        Err(error) => return vec![Checked::bad("prometheus", format!("{error:#}"), None)],
    };
    // At once, since each waits for its retries where Prometheus is down.
    let tried = source.resources().into_iter().map(|resource| expression(&source, resource, config));
    let mut all = join_all(tried).await;
    let (hour, at) = (Duration::from_secs(3600), SystemClock.now().minus(config.prometheus.settle));
    if source.knows_availability() {
        let mend =
            "look at it in Prometheus with $window replaced by 1h; it must keep the label of the tenant";
        all.push(shares("availability", source.availability(hour, at).await, mend, config));
    }
    if source.knows_latency() {
        let mend = "look at it in Prometheus with $window replaced by 1h and $seconds by 1; it must keep the label of \
                    the tenant, and a bucket must end there: latency_p99_ms of a template must be the end of one";
        all.push(shares("latency", source.latency(A_SECOND, hour, at).await, mend, config));
    }
    for meter in source.meters() {
        all.push(metered(&source, meter, config).await);
    }
    all
}

/// What an expression of `sla` gave.
fn shares(
    name: &'static str,
    found: Result<Measured, SourceError>,
    mend: &'static str,
    config: &Config,
) -> Checked {
    let key = format!("sla.{name}");
    let found = match found {
        Ok(found) => found,
        Err(error) => return failed(name, &error, &key, config),
    };
    let tenants = found.by_tenant.len();
    if let Some(checked) = left_out(name, tenants, &found.refused, &key) {
        return checked;
    }
    match tenants {
        0 => Checked::bad(name, "the expression gives nothing", Some(mend)),
        _ => Checked::good(name, counted(tenants, "tenant")),
    }
}

/// What is said of an answer of which series are left out; `None` where none are.
fn left_out(part: &str, tenants: usize, refused: &[String], key: &str) -> Option<Checked> {
    if refused.is_empty() {
        return None;
    }
    let quoted: Vec<&str> = refused.iter().take(QUOTED).map(String::as_str).collect();
    let (known, problems) = (counted(tenants, "tenant"), counted(refused.len(), "problem"));
    let found = format!("{known}, and {problems} such as: {}", quoted.join("; "));
    let mend = format!("correct {key}");
    Some(match tenants {
        0 => Checked::bad(part, found, Some(&mend)),
        _ => Checked::doubtful(part, found, mend),
    })
}

/// What is the same fault everywhere, told of once: where Prometheus is down, no
/// expression can be tried.
pub(super) fn together(all: Vec<Checked>) -> Vec<Checked> {
    let mut told: Vec<Checked> = Vec::new();
    for one in &all {
        let is_same = |other: &&Checked| {
            other.found.starts_with(FAILED) && (&other.found, &other.mend) == (&one.found, &one.mend)
        };
        let same: Vec<&str> = all.iter().filter(is_same).map(|other| other.part.as_str()).collect();
        match same[..] {
            [first, _, ..] if first == one.part => {
                let names: Vec<&str> =
                    same.iter().map(|part| part.strip_prefix(USAGE_OF).unwrap_or(part)).collect();
                let found = format!("{}; so nothing is known of {}", one.found, names.join(", "));
                told.push(Checked { part: "prometheus".to_owned(), found, ..one.clone() });
            }
            [_, _, ..] => {}
            _ => told.push(one.clone()),
        }
    }
    told
}

/// An expression that was not answered, with what mends that.
fn failed(part: impl Into<String>, error: &SourceError, key: &str, config: &Config) -> Checked {
    let mend = match error {
        SourceError::Unreachable(_) => {
            let url = &config.prometheus.url;
            format!("see that Prometheus runs and that prometheus.url is right: curl {url}/-/healthy")
        }
        SourceError::Unauthorized(_) => "set who is asking under [prometheus]".to_owned(),
        _ => format!("try {key} in Prometheus"),
    };
    Checked::bad(part, format!("{FAILED}{error}"), Some(&mend))
}

async fn metered(source: &PrometheusSource, meter: Meter, config: &Config) -> Checked {
    let part = format!("meter {meter}");
    let key = format!("metering.{meter}");
    let found = match source.metered(meter, Duration::from_secs(3600), SystemClock.now()).await {
        Ok(found) => found,
        Err(error) => return failed(part, &error, &key, config),
    };
    let tenants = found.by_tenant.len();
    if let Some(checked) = left_out(&part, tenants, &found.refused, &key) {
        return checked;
    }
    match tenants {
        0 => Checked::bad(
            part,
            "the expression gives nothing",
            Some(
                "look at it in Prometheus with $window replaced by 1h; it must keep the label of the tenant",
            ),
        ),
        _ => Checked::good(part, format!("{} in the last hour", counted(tenants, "tenant"))),
    }
}

async fn expression(source: &PrometheusSource, resource: Resource, config: &Config) -> Checked {
    let part = format!("{USAGE_OF}{resource}");
    let key = format!("resources.{resource}.expression");
    let now = SystemClock.now().minus(config.prometheus.settle);
    let fetched = match source.instant(resource, now).await {
        Ok(fetched) => fetched,
        Err(error) => return failed(part, &error, &key, config),
    };
    let tenants = fetched.frame.series.len();
    let known = counted(tenants, "tenant");
    if let Some(checked) = left_out(&part, tenants, &fetched.refused, &key) {
        return checked;
    }
    if tenants == 0 {
        let label = &config.prometheus.tenant_label;
        let mend = format!("try {key} in Prometheus; it must keep the label {label:?}");
        return Checked::bad(part, "the expression gives nothing now", Some(&mend));
    }
    let before = source.instant(resource, now.minus(WEEK)).await;
    match before.map(|fetched| fetched.frame.series.len()) {
        Ok(0) => Checked::doubtful(
            part,
            format!("{known} now, none a week ago"),
            "nothing: with a week of usage each quota's own past decides, until then the forecast alone",
        ),
        Ok(then) => Checked::good(part, format!("{known} now, {then} a week ago")),
        Err(error) => Checked::doubtful(
            part,
            format!("{known} now; a week ago: failed to {error}"),
            "see how far back Prometheus keeps samples",
        ),
    }
}
