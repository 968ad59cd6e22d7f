//! How rollouts are set, where nobody says otherwise.

use std::time::Duration;

use super::WatchLimits;

/// How rollouts are set.
#[derive(Debug, Clone, PartialEq)]
pub struct RolloutSettings {
    /// The most changes of one.
    pub max_changes: usize,
    /// The most that are not over.
    pub max_open: usize,
    /// How often it is looked whether one goes on.
    pub check_every: Duration,
    /// How long a stage is watched where nobody says.
    pub watch: Duration,
    /// How much longer samples are waited for where none came.
    pub wait_for_samples: Duration,
    /// What may happen meanwhile, where nobody says.
    pub limits: WatchLimits,
}

impl Default for RolloutSettings {
    fn default() -> Self {
        RolloutSettings {
            max_changes: 1_000,
            max_open: 10,
            check_every: Duration::from_secs(10),
            watch: Duration::from_secs(3600),
            wait_for_samples: Duration::from_secs(3600),
            limits: WatchLimits::default(),
        }
    }
}
