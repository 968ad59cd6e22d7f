//! What tenants are promised, and how it is watched.

use std::time::Duration;

use super::reader::{Complaint, Key, Reader, Section};
use super::resources::check_syntax;
use super::units::days;
use super::values::plain_text;
use crate::domain::sla::SlaSettings;

/// Stands for the window in the expression.
pub const WINDOW: &str = "$window";

/// How promises are watched, and where the availability comes from.
#[derive(Debug, Clone)]
pub struct Sla {
    /// PromQL with [`WINDOW`] in it: the share that was good, by tenant.
    pub availability: Option<String>,
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
        "How often the source is asked for the availability: one query for each of five windows.",
        default.every,
        Duration::from_secs(60)..=Duration::from_secs(86_400),
    );
    let mut limits = [fast, slow];
    (limits[0].rate, limits[1].rate) = (fast_rate, slow_rate);
    Sla { availability, settings: SlaSettings { period, limits, every } }
}

fn read_availability(section: &mut Section<'_, '_>) -> Option<String> {
    let like = "\"sum by (tenant) (rate(http_requests_total{code!~\\\"5..\\\"}[$window])) / sum by (tenant) \
                (rate(http_requests_total[$window]))\"";
    let about = "PromQL that gives the share of requests (or of time) that was good over $window, 0 to 1, one series a \
                 tenant. It is held against availability_percent of the tenant's template, or of its tier.";
    let key = Key::new("availability", about, "PromQL with $window").example(like);
    section.take(key, |value| {
        let text = plain_text(value, like)?;
        if !text.contains(WINDOW) {
            return Err(Complaint::new(
                "has no $window in it",
                "write it where the range stands, as in [$window]",
            ));
        }
        check_syntax(&text.replace(WINDOW, "5m"), like)?;
        Ok(text)
    })
}
