//! How rollouts are watched, and how large they may be.

use std::time::Duration;

use super::reader::Reader;
use super::units::days;
use crate::domain::rollout::{RolloutSettings, WatchLimits};

const ABOUT: &str = "Rollouts of many changes as one; docs/rollouts.md shows them.";

pub(super) fn read(reader: &mut Reader<'_>) -> RolloutSettings {
    let mut section = reader.section("rollouts", ABOUT);
    let default = RolloutSettings::default();
    RolloutSettings {
        max_changes: section.count(
            "max_changes",
            "The most quotas that one changes, and the most tenants that it gives a template.",
            default.max_changes,
            1..=100_000,
        ),
        max_open: section.count("max_open", "The most that are not over.", default.max_open, 1..=1_000),
        check_every: section.duration(
            "check_every",
            "How often it is looked whether one goes on.",
            default.check_every,
            Duration::from_millis(10)..=Duration::from_secs(3600),
        ),
        watch: section.duration(
            "watch",
            "How long each stage is watched, where nobody says.",
            default.watch,
            Duration::ZERO..=days(31),
        ),
        wait_for_samples: section.duration(
            "wait_for_samples",
            "How much longer a stage is watched where no sample came of it; after that somebody has to say \
             whether the rollout goes on.",
            default.wait_for_samples,
            Duration::ZERO..=days(31),
        ),
        limits: WatchLimits {
            violations: section.number(
                "most_violations",
                "By how much the share of samples at the quota may rise against the same time before, and \
                 against the tenants whose turn has not come, before it is taken back.",
                default.limits.violations,
                0.0..=1.0,
            ),
            tenant_violations: section.number(
                "most_violations_of_a_tenant",
                "By how much it may rise for a single tenant, with at least three samples at the quota.",
                default.limits.tenant_violations,
                0.0..=1.0,
            ),
            incidents: section.count(
                "most_incidents",
                "How many more findings of incidents may begin than in the same time before.",
                0,
                0..=10_000,
            ) as u64,
        },
    }
}
