//! What tenants are promised, and how it is watched.

use std::time::Duration;

use toml::de::DeValue;

use super::reader::{Complaint, Key, Reader, Section};
use super::resources::check_syntax;
use super::units::days;
use super::values::plain_text;
use crate::domain::sla::SlaSettings;

/// Stands for the window in an expression.
pub const WINDOW: &str = "$window";
/// Stands for the time that an answer may take, in seconds.
pub const SECONDS: &str = "$seconds";

/// How promises are watched, and where the availability comes from.
#[derive(Debug, Clone)]
pub struct Sla {
    /// PromQL with [`WINDOW`] in it: the share that was good, by tenant.
    pub availability: Option<String>,
    /// PromQL with [`WINDOW`] and [`SECONDS`] in it: the share of answers that took
    /// no longer, by tenant.
    pub latency: Option<String>,
    /// How they are judged.
    pub settings: SlaSettings,
}

/// Reads how promises are watched.
pub(super) fn read(reader: &mut Reader<'_>) -> Sla {
    let about = "What tenants are promised by their template (monitoring_config.sla_targets), how much of it is used \
                 up and how fast; docs/sla.md tells of it.";
    let mut section = reader.section("sla", about);
    let default = SlaSettings::default();
    let [fast, slow] = default.limits;
    let availability = read_availability(&mut section);
    let latency = read_latency(&mut section);
    let period = section.duration(
        "period",
        "The time over which an error budget may be spent. The source must keep samples that long.",
        default.period,
        days(1)..=days(90),
    );
    let fast_rate = section.number(
        "fast_burn",
        "Critical where the budget is spent more than this many times as fast as it lasts, over the last hour and the \
         last five minutes.",
        fast.rate,
        1.0..=1000.0,
    );
    let slow_rate = section.number(
        "slow_burn",
        "A warning where it is spent more than this many times as fast, over the last six hours and the last half hour.",
        slow.rate,
        1.0..=1000.0,
    );
    let every = section.duration(
        "every",
        "How often the source is asked for the availability: one query for each of five windows, and as many for each \
         latency that is promised.",
        default.every,
        Duration::from_secs(60)..=Duration::from_secs(86_400),
    );
    let max_latencies = section.count(
        "max_latencies",
        "The most different latencies that the source is asked for; those that are promised to the most tenants come \
         first.",
        default.max_latencies,
        1..=100,
    );
    let mut limits = [fast, slow];
    (limits[0].rate, limits[1].rate) = (fast_rate, slow_rate);
    Sla { availability, latency, settings: SlaSettings { period, limits, every, max_latencies } }
}

fn read_availability(section: &mut Section<'_, '_>) -> Option<String> {
    let like = "\"sum by (tenant) (rate(http_requests_total{code!~\\\"5..\\\"}[$window])) / sum by (tenant) \
                (rate(http_requests_total[$window]))\"";
    let about = "PromQL that gives the share of requests (or of time) that was good over $window, 0 to 1, one series a \
                 tenant. It is held against availability_percent of the tenant's template, or of its tier.";
    let key = Key::new("availability", about, "PromQL with $window").example(like);
    section.take(key, |value| with_signs(value, &[WINDOW], like))
}

fn read_latency(section: &mut Section<'_, '_>) -> Option<String> {
    let like = "\"sum by (tenant) (rate(http_request_duration_seconds_bucket{le=~\\\"$seconds([.]0)?\\\"}[$window])) / \
                sum by (tenant) (rate(http_request_duration_seconds_count[$window]))\"";
    let about = "PromQL that gives the share of requests that were answered within $seconds over $window, 0 to 1, one \
                 series a tenant. It is asked for each latency_p99_ms of the tenants' templates; 99 % is promised.";
    let key = Key::new("latency", about, "PromQL with $window and $seconds").example(like);
    section.take(key, |value| with_signs(value, &[WINDOW, SECONDS], like))
}

/// An expression with these signs in it, which stand for what is asked.
fn with_signs(value: &DeValue<'_>, signs: &[&str], like: &str) -> Result<String, Complaint> {
    let text = plain_text(value, like)?;
    for sign in signs {
        if !text.contains(sign) {
            let mend = match *sign {
                WINDOW => "write it where the range stands, as in [$window]",
                _ => "write it where the bucket is chosen, as in {le=~\"$seconds([.]0)?\"}",
            };
            return Err(Complaint::new(format!("has no {sign} in it"), mend));
        }
    }
    check_syntax(&text.replace(WINDOW, "5m").replace(SECONDS, "0.25"), like)?;
    Ok(text)
}
