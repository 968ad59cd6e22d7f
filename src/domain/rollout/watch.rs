//! What was seen after the changes, against the same time before, and against
//! those whose turn has not come.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::Violations;

/// What may happen before a rollout is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchLimits {
    /// By how much the share of samples at or above the quota may rise against
    /// the same time before, 0 to 1.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub violations: f64,
    /// How many more incidents may begin than in the same time before.
    pub incidents: u64,
}

impl Default for WatchLimits {
    fn default() -> Self {
        WatchLimits { violations: 0.02, incidents: 0 }
    }
}

/// What was seen of the changed quotas since, and in the same time before.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Watched {
    /// Samples at or above the quotas before.
    pub before: Violations,
    /// Samples at or above the quotas since.
    pub since: Violations,
    /// The same of the quotas that have not been changed yet, before.
    pub rest_before: Violations,
    /// The same of the quotas that have not been changed yet, since.
    pub rest_since: Violations,
    /// Incidents that began before.
    pub incidents_before: u64,
    /// Incidents that began since.
    pub incidents_since: u64,
}

/// Fewer samples at the quota than this say nothing.
const LEAST_VIOLATIONS: u64 = 2;

impl Watched {
    /// What is outside of the limits, in words. What has risen for the others as
    /// well is not the rollout's doing.
    pub fn harm(&self, limits: &WatchLimits) -> Option<String> {
        let rise = |before: Violations, since: Violations| {
            since.share().map(|share| share - before.share().unwrap_or(0.0))
        };
        let of_rest = rise(self.rest_before, self.rest_since).unwrap_or(0.0).max(0.0);
        let risen = rise(self.before, self.since).unwrap_or(0.0) - of_rest;
        if self.since.above >= LEAST_VIOLATIONS && risen > limits.violations {
            let percent = |seen: Violations| 100.0 * seen.share().unwrap_or(0.0);
            return Some(format!(
                "{} of {} samples stand at the quota, {:.1} % where it was {:.1} % in the same time before",
                self.since.above,
                self.since.samples,
                percent(self.since),
                percent(self.before)
            ));
        }
        let more = self.incidents_since.saturating_sub(self.incidents_before);
        (more > limits.incidents).then(|| {
            format!(
                "{} incidents began since, {} in the same time before",
                self.incidents_since, self.incidents_before
            )
        })
    }
}
