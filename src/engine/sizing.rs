//! The backtests behind the recommendations: one walk through its past for each
//! quota, at rest between the hours and carried on with each new one.
//!
//! Where nobody says how often a quota may change, its own past is walked at
//! each cadence that keeps within the allowed changes, and the one that is
//! lightest within the budget is carried on; the others are let go. Once a week
//! that is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::pools::Known;
use super::{Engine, SeriesKey};
use crate::domain::{ApplyMode, Cadence, Quota, Resource, Tenant, Tier, Timestamp};
use crate::rightsize::schedule::Reach;
use crate::rightsize::{Budget, Course, StandingQuota, Walk};
use crate::series::UsageSeries;

/// How much lighter limits must be for the trouble of changing more often.
const WORTH_CHURN: f64 = 0.95;
/// How long a cadence that was chosen is kept.
const CHOSEN_FOR: Duration = Duration::from_secs(7 * 86_400);

/// A walk, and when its cadence was chosen.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Carried {
    walk: Walk,
    asked: Cadence,
    chosen_at: Timestamp,
}

impl Engine {
    /// The budget of one quota.
    pub(super) fn budget(&self, tenant: &Tenant, resource: Resource) -> Budget {
        let price = self.prices().and_then(|prices| {
            let unit = prices.of(tenant, resource, self.now()).ok()?;
            unit.per_hour(1.0).ok()
        });
        let hourly = price.and_then(|price| price.to_f64());
        let promised =
            tenant.template.as_ref().and_then(|template| Some((template, template.violation_budget?)));
        if let Some((template, share)) = promised {
            let because = format!("the promise of the template {}@{}", template.name, template.version);
            return Budget { share, because };
        }
        self.settings().rightsizing.budgets.of(tenant.tier, resource, hourly)
    }

    /// The violation budget that the config promises a tier.
    pub fn promised(&self, tier: Tier) -> f64 {
        self.settings().rightsizing.budgets.of_tier(tier)
    }

    /// The walk of one quota, brought up to date.
    pub(super) fn walk(
        &self,
        key: &SeriesKey,
        tenant: &Tenant,
        quota: &Quota,
        usage: &UsageSeries,
        known: &Known,
    ) -> Carried {
        let asked = tenant.cadence.unwrap_or(self.settings().rightsizing.cadence);
        let budget = self.budget(tenant, quota.resource).share;
        let changes_per_day = tenant.changes_per_day.unwrap_or(self.settings().rightsizing.changes_per_day);
        let schedule = self.reach(tenant, asked, changes_per_day);
        let course = |hours| Course { budget, hours, changes_per_day, schedule };
        let stands = standing(quota);
        let others = |hours| known.others(quota.resource, hours);
        if let Some(mut carried) = self.workspace.walks.get(key) {
            let stale = asked == Cadence::Auto && carried.is_stale(usage.end());
            let same = *carried.walk.course() == course(carried.walk.course().hours);
            if carried.asked == asked && same && !stale {
                let others = others(carried.walk.course().hours);
                let before = carried.walk.until();
                carried.walk.catch_up(usage, &stands, others);
                if carried.walk.until() != before {
                    self.workspace.walks.put(key, &carried);
                }
                return carried;
            }
        }
        let walked = |hours| {
            let mut walk = Walk::new(usage, course(hours));
            walk.catch_up(usage, &stands, others(hours));
            walk
        };
        let walk = match asked.hours() {
            Some(hours) => walked(hours),
            None => self.lightest(tenant, budget, walked),
        };
        let chosen_at = usage.end().minus(spread(key));
        let carried = Carried { walk, asked, chosen_at };
        self.workspace.walks.put(key, &carried);
        carried
    }

    /// How far a schedule may go that the daemon follows by itself: within the
    /// allowed changes, and no deeper than one step of the guardrails leads
    /// down and back up again.
    fn reach(&self, tenant: &Tenant, asked: Cadence, changes_per_day: f64) -> Option<Reach> {
        let settings = self.settings();
        let rails = &settings.guardrails;
        let lowest = (1.0 - rails.largest_step_down).max(1.0 / (1.0 + rails.largest_step_up));
        let follows = asked == Cadence::DayAhead && tenant.apply_mode == ApplyMode::Approved;
        // One step is a quota for the whole day.
        (follows && changes_per_day >= 2.0)
            .then_some(Reach { most_changes: changes_per_day as usize, lowest })
    }

    /// The walk of the cadence that is worth its changes.
    fn lightest(&self, tenant: &Tenant, budget: f64, walked: impl Fn(usize) -> Walk) -> Walk {
        let allowed = tenant.changes_per_day.unwrap_or(self.settings().rightsizing.changes_per_day);
        let mut best = walked(24);
        for hours in self.hours_walked(tenant).into_iter().filter(|hours| *hours < 24) {
            let other = walked(hours);
            let (Some(ours), Some(theirs)) = (best.tried(), other.tried()) else { continue };
            let holds = theirs.violations <= budget && theirs.changes <= allowed;
            let better = theirs.mean < WORTH_CHURN * ours.mean || ours.violations > budget;
            if holds && better {
                best = other;
            }
        }
        best
    }
}

impl Carried {
    pub(super) fn walk(&self) -> &Walk {
        &self.walk
    }

    /// Whether its cadence was chosen too long ago.
    fn is_stale(&self, now: Timestamp) -> bool {
        now.since(self.chosen_at) >= CHOSEN_FOR
    }
}

/// The quota as its usage meets it.
pub(super) fn standing(quota: &Quota) -> StandingQuota {
    let changed = quota.generation > 1;
    StandingQuota {
        limit: quota.limit,
        since: changed.then_some(quota.changed_at),
        raised: changed && quota.before.is_none_or(|before| before < quota.limit),
    }
}

/// Spreads the weekly trials of a fleet that was walked at one start over days.
fn spread(key: &SeriesKey) -> Duration {
    let sum: u64 = key.tenant.as_str().bytes().map(u64::from).sum();
    Duration::from_secs(sum % 84 * 3600)
}

#[cfg(test)]
mod tests;
