//! Amounts that a template grants for a period and that are used up: requests to
//! models a day, hours of training a month.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{TimeRange, Timestamp};

/// What is metered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Meter {
    /// Requests to models, a day.
    InferenceRequests,
    /// Hours of training of models, a month.
    TrainingHours,
}

impl Meter {
    /// All meters.
    pub const ALL: [Meter; 2] = [Meter::InferenceRequests, Meter::TrainingHours];

    /// The name used in the config and the API.
    pub fn name(self) -> &'static str {
        match self {
            Meter::InferenceRequests => "inference_requests",
            Meter::TrainingHours => "training_hours",
        }
    }

    /// The template's setting that grants it.
    pub fn setting(self) -> &'static str {
        match self {
            Meter::InferenceRequests => "ai_config.inference_requests_per_day",
            Meter::TrainingHours => "ai_config.model_training_quota_hours",
        }
    }

    /// What it is counted in, and over what, for people.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            Meter::InferenceRequests => ("inference requests", "day"),
            Meter::TrainingHours => ("training hours", "month"),
        }
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How one meter of a tenant stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MeterState {
    /// What is metered.
    pub meter: Meter,
    /// What is granted for the period, in requests or hours.
    pub limit: f64,
    /// What was used of it so far; `null` until the source has said so in this
    /// period.
    pub used: Option<f64>,
    /// What is left, never below 0; `null` where `used` is.
    pub left: Option<f64>,
    /// Whether nothing is left.
    pub used_up: bool,
    /// When the period began, in UTC: a day or a calendar month.
    pub from: Timestamp,
    /// When it ends, and all is granted anew.
    pub until: Timestamp,
    /// When the source said so; `null` where it has not in this period.
    pub heard_at: Option<Timestamp>,
}

impl MeterState {
    /// Of a grant, with what was heard of its period and when.
    pub fn new(meter: Meter, limit: f64, period: TimeRange, heard: Option<(f64, Timestamp)>) -> Self {
        let used = heard.map(|(used, _)| used);
        MeterState {
            meter,
            limit,
            used,
            left: used.map(|used| (limit - used).max(0.0)),
            used_up: used.is_some_and(|used| used >= limit),
            from: period.start,
            until: period.end,
            heard_at: heard.map(|(_, at)| at),
        }
    }

    /// Whether more than nothing was granted, or used, and nothing is left.
    pub fn is_overrun(&self) -> bool {
        self.used_up && self.used.is_some_and(|used| used > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_never_below_zero_and_nothing_is_said_before_it_is_heard() {
        let at = Timestamp::from_seconds;
        let period = TimeRange { start: at(0), end: at(86_400) };
        let state = |limit, used| MeterState::new(Meter::InferenceRequests, limit, period, used);
        let some = state(100.0, Some((60.0, at(9))));
        assert_eq!((some.left, some.used_up, some.is_overrun()), (Some(40.0), false, false));
        let over = state(100.0, Some((130.0, at(9))));
        assert_eq!((over.left, over.used_up, over.is_overrun()), (Some(0.0), true, true));
        let none = state(0.0, Some((0.0, at(9))));
        assert_eq!((none.used_up, none.is_overrun()), (true, false), "nothing was granted, and nothing used");
        let unheard = state(0.0, None);
        assert_eq!((unheard.left, unheard.used_up, unheard.heard_at), (None, false, None));
    }
}
