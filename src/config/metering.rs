//! Where what tenants use of their granted amounts is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reader::{Complaint, Key, Reader, Section};
use super::resources::check_syntax;
use super::sla::WINDOW;
use super::values::plain_text;
use crate::domain::Meter;

/// Where it is counted.
#[derive(Debug, Clone)]
pub struct Metering {
    /// PromQL with [`WINDOW`] in it, by what it counts.
    pub expressions: BTreeMap<Meter, String>,
    /// How often the source is asked.
    pub every: Duration,
}

/// Reads where it is counted.
pub(super) fn read(reader: &mut Reader<'_>) -> Metering {
    let about = "What tenants use of the amounts that their templates grant for a day or a month (ai_config); \
                 docs/tenants.md tells of it. What has no expression here is only declared.";
    let mut section = reader.section("metering", about);
    let requests = read_one(
        &mut section,
        "inference_requests",
        "PromQL that gives how many requests to models were made over $window, one series a tenant; $window is the \
         time since midnight (UTC). It is held against ai_config.inference_requests_per_day.",
        "\"sum by (tenant) (increase(inference_requests_total[$window]))\"",
    );
    let hours = read_one(
        &mut section,
        "training_hours",
        "PromQL that gives how many hours models were trained for over $window, one series a tenant; $window is the \
         time since the month began (UTC), so the source must keep samples for 31 days. It is held against \
         ai_config.model_training_quota_hours.",
        "\"sum by (tenant) (increase(training_seconds_total[$window])) / 3600\"",
    );
    let every = section.duration(
        "every",
        "How often the source is asked for each of them.",
        Duration::from_secs(60),
        Duration::from_secs(5)..=Duration::from_secs(3600),
    );
    let found = [(Meter::InferenceRequests, requests), (Meter::TrainingHours, hours)];
    let expressions = found.into_iter().filter_map(|(meter, text)| Some((meter, text?))).collect();
    Metering { expressions, every }
}

fn read_one(
    section: &mut Section<'_, '_>,
    name: &'static str,
    about: &'static str,
    like: &'static str,
) -> Option<String> {
    let key = Key::new(name, about, "PromQL with $window").example(like);
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
