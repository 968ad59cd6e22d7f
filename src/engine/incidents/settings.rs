//! When incidents open, close and are told of.

use std::time::Duration;

use super::super::workspace::RunRules;
use crate::domain::{Resource, Step};

/// How incidents are set.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Anomalous samples in a row that open an incident.
    pub open_after: usize,
    /// How far out the worst of them must lie, 1 at the band's edge.
    pub open_distance: f64,
    /// Usual samples in a row that close it.
    pub close_after: usize,
    /// How near to what was expected a sample is usual again, 1 at the band's edge.
    pub close_distance: f64,
    /// Resources of which a drop is no news.
    pub ignore_drops: Vec<Resource>,
    /// Resources of which a rise is no news.
    pub ignore_rises: Vec<Resource>,
    /// How long a fault that goes on is kept from being learned.
    pub longest_hold: Duration,
    /// The least time from an incident's detection to its end.
    pub least_open: Duration,
    /// How long after its last alert what else goes wrong joins an incident
    /// without another one.
    pub join_within: Duration,
    /// The factor by which it must get worse to be told of again.
    pub worse_by: f64,
    /// The most alerts of a tenant and day.
    pub alerts_per_day: usize,
    /// How long a series may be silent.
    pub no_data_after: Duration,
    /// After what time a silent series is no longer missed.
    pub no_data_forget: Duration,
    /// How long usage stands at the quota before that is said.
    pub pinned_for: Duration,
    /// The quantile of the forecast that crosses the quota.
    pub breach_quantile: f64,
    /// How far ahead a breach is looked for.
    pub breach_within: Duration,
    /// How near a breach is critical.
    pub critical_within: Duration,
    /// What is added to the band of a tenant's spend, as a share of it.
    pub spend_change: f64,
}

impl Settings {
    /// How long a series may be silent: two samples may be missing at least,
    /// else a coarse grid would be silent between any two.
    pub(super) fn longest_silence(&self, step: Step) -> Duration {
        self.no_data_after.max(2 * step.duration())
    }

    pub(in crate::engine) fn run_rules(&self) -> RunRules {
        RunRules {
            open_after: self.open_after,
            open_distance: self.open_distance,
            close_after: self.close_after,
            close_distance: self.close_distance,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        Settings {
            open_after: 3,
            open_distance: 1.0,
            close_after: 12,
            close_distance: 0.5,
            ignore_drops: vec![Resource::StorageGb, Resource::CacheSizeMb],
            ignore_rises: Vec::new(),
            longest_hold: hours(7 * 24),
            least_open: Duration::from_secs(900),
            join_within: hours(1),
            worse_by: 1.5,
            alerts_per_day: 10,
            no_data_after: Duration::from_secs(1800),
            no_data_forget: hours(7 * 24),
            pinned_for: hours(1),
            breach_quantile: 0.5,
            breach_within: hours(48),
            critical_within: hours(6),
            spend_change: 0.25,
        }
    }
}
