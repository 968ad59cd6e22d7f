//! Prometheus: whether it answers, what each expression gives, how far back, and
//! whether its clock is ours.

use std::time::Duration;

use chrono::DateTime;

use super::{Checked, SystemClock, parts};
use crate::config::Config;
use crate::domain::{Meter, Resource, Timestamp};
use crate::ports::{Clock, UsageSource};
use crate::source::PrometheusSource;

/// How far two clocks may be apart: more than an answer takes, less than what
/// settles.
const CLOCKS_APART: Duration = Duration::from_secs(20);
/// Days of usage with which a quota's own past decides.
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// Refused series that are quoted.
const QUOTED: usize = 2;

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
    let mut all = Vec::new();
    for resource in source.resources() {
        all.push(expression(&source, resource, config).await);
    }
    if source.knows_availability() {
        let at = SystemClock.now().minus(config.prometheus.settle);
        all.push(match source.availability(Duration::from_secs(3600), at).await {
            Err(error) => Checked::bad("availability", format!("failed to {error}"), None),
            Ok(found) if found.is_empty() => Checked::bad(
                "availability",
                "the expression gives nothing",
                Some("look at it in Prometheus with $window replaced by 1h; it must keep the label of the tenant"),
            ),
            Ok(found) => Checked::good("availability", format!("{} tenants", found.len())),
        });
    }
    for meter in source.meters() {
        all.push(metered(&source, meter).await);
    }
    all
}

async fn metered(source: &PrometheusSource, meter: Meter) -> Checked {
    let part = format!("meter {meter}");
    match source.metered(meter, Duration::from_secs(3600), SystemClock.now()).await {
        Err(error) => Checked::bad(part, format!("failed to {error}"), None),
        Ok(found) if found.is_empty() => Checked::bad(
            part,
            "the expression gives nothing",
            Some(
                "look at it in Prometheus with $window replaced by 1h; it must keep the label of the tenant",
            ),
        ),
        Ok(found) => Checked::good(part, format!("{} tenants in the last hour", found.len())),
    }
}

async fn expression(source: &PrometheusSource, resource: Resource, config: &Config) -> Checked {
    let part = format!("usage of {resource}");
    let now = SystemClock.now().minus(config.prometheus.settle);
    let fetched = match source.instant(resource, now).await {
        Ok(fetched) => fetched,
        Err(error) => return Checked::bad(part, format!("failed to {error}"), None),
    };
    let tenants = fetched.frame.series.len();
    if !fetched.refused.is_empty() {
        let quoted: Vec<&str> = fetched.refused.iter().take(QUOTED).map(String::as_str).collect();
        let found = format!(
            "{tenants} tenants, and {} problems such as: {}",
            fetched.refused.len(),
            quoted.join("; ")
        );
        let mend = format!("mend resources.{resource}.expression");
        return match tenants {
            0 => Checked::bad(part, found, Some(&mend)),
            _ => Checked::doubtful(part, found, mend),
        };
    }
    if tenants == 0 {
        let label = &config.prometheus.tenant_label;
        let mend =
            format!("try resources.{resource}.expression in Prometheus; it must keep the label {label:?}");
        return Checked::bad(part, "the expression gives nothing now", Some(&mend));
    }
    let before = source.instant(resource, now.minus(WEEK)).await;
    match before.map(|fetched| fetched.frame.series.len()) {
        Ok(0) => Checked::doubtful(
            part,
            format!("{tenants} tenants now, none a week ago"),
            "nothing: with a week of usage each quota's own past decides, until then the forecast alone",
        ),
        Ok(then) => Checked::good(part, format!("{tenants} tenants now, {then} a week ago")),
        Err(error) => Checked::doubtful(
            part,
            format!("{tenants} tenants now; a week ago: failed to {error}"),
            "see how far back Prometheus keeps samples",
        ),
    }
}
