//! What was seen after the changes, against the same time before, and against
//! those whose turn has not come: of all together, and of each tenant, so that
//! the calm of many does not hide what one of them suffers; over all the time
//! since, and over the last of it, so that long calm does not hide late harm.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::{TenantId, Violations, first_of};

/// What may happen before a rollout is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchLimits {
    /// By how much the share of samples at or above the quota may rise against
    /// the same time before, 0 to 1.
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub violations: f64,
    /// By how much it may rise for a single tenant, 0 to 1.
    #[serde(default = "WatchLimits::of_a_tenant")]
    #[schema(minimum = 0.0, maximum = 1.0)]
    pub tenant_violations: f64,
    /// How many more findings of incidents may begin than in the same time
    /// before.
    pub incidents: u64,
}

impl WatchLimits {
    fn of_a_tenant() -> f64 {
        WatchLimits::default().tenant_violations
    }
}

impl Default for WatchLimits {
    fn default() -> Self {
        WatchLimits { violations: 0.02, tenant_violations: 0.1, incidents: 0 }
    }
}

/// What was seen of the changed quotas since, and in the same time before.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Watched {
    /// Samples at or above the quotas before.
    pub before: Violations,
    /// Samples at or above the quotas since.
    pub since: Violations,
    /// The same of the quotas that have not been changed yet, before.
    pub rest_before: Violations,
    /// The same of the quotas that have not been changed yet, since.
    pub rest_since: Violations,
    /// Findings of incidents that began before.
    pub incidents_before: u64,
    /// Findings of incidents that began since, also in incidents that were open
    /// already.
    pub incidents_since: u64,
    /// What was seen of each tenant whose quotas were changed.
    pub tenants: Vec<TenantWatched>,
    /// The time that was looked at, in seconds: since the first change, or the
    /// last of that.
    pub seconds: u64,
    /// The last of that time by itself, as long as a stage is watched and at
    /// least six hours; `null` while no more has passed. What was before is the
    /// worse of two here: right before each change, and the same hours of the
    /// last day that ended before it.
    #[schema(no_recursion)]
    pub lately: Option<Box<Watched>>,
}

/// What was seen of one tenant's changed quotas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TenantWatched {
    /// Whose.
    pub tenant: TenantId,
    /// In which stage they were changed.
    pub stage: usize,
    /// Samples at or above the quotas before.
    pub before: Violations,
    /// Samples at or above the quotas since.
    pub since: Violations,
}

/// Fewer samples at the quota than this say nothing of all tenants together.
const LEAST_VIOLATIONS: u64 = 2;
/// Fewer samples at the quota than this say nothing of one tenant.
const LEAST_OF_A_TENANT: u64 = 3;
/// Fewer of them in the last of a long watch are what a budget allows now and
/// then.
const LEAST_LATELY: u64 = 6;
/// The most tenants that are named in a sentence.
const NAMED: usize = 3;

impl Watched {
    /// What is outside of the limits, in words. What has risen for the others as
    /// well is not the rollout's doing.
    pub fn harm(&self, limits: &WatchLimits) -> Option<String> {
        self.harm_to_all(limits, LEAST_VIOLATIONS)
            .or_else(|| self.harm_to_one(limits, LEAST_OF_A_TENANT))
            .or_else(|| self.harm_by_incidents(limits))
            .or_else(|| self.harm_lately(limits))
    }

    /// Incidents are counted, which no length of time dilutes: here it is about
    /// shares only.
    fn harm_lately(&self, limits: &WatchLimits) -> Option<String> {
        let lately = self.lately.as_ref()?;
        let why =
            lately.harm_to_all(limits, LEAST_LATELY).or_else(|| lately.harm_to_one(limits, LEAST_LATELY))?;
        Some(format!("{why}, looking at the last {} min", lately.seconds / 60))
    }

    fn harm_to_all(&self, limits: &WatchLimits, least: u64) -> Option<String> {
        let is_harm = self.since.above >= least && self.risen(self.before, self.since) > limits.violations;
        is_harm.then(|| compared(self.before, self.since))
    }

    fn harm_to_one(&self, limits: &WatchLimits, least: u64) -> Option<String> {
        let risen = |one: &TenantWatched| self.risen(one.before, one.since);
        let is_harm =
            |one: &&TenantWatched| one.since.above >= least && risen(one) > limits.tenant_violations;
        let worst =
            self.tenants.iter().filter(is_harm).max_by(|one, other| risen(one).total_cmp(&risen(other)))?;
        Some(format!("of {}, {}", worst.tenant, compared(worst.before, worst.since)))
    }

    fn harm_by_incidents(&self, limits: &WatchLimits) -> Option<String> {
        let more = self.incidents_since.saturating_sub(self.incidents_before);
        (more > limits.incidents).then(|| {
            format!(
                "{} findings of incidents began since, {} in the same time before",
                self.incidents_since, self.incidents_before
            )
        })
    }

    /// By how much a share has risen, beyond what has risen for the others.
    fn risen(&self, before: Violations, since: Violations) -> f64 {
        rise(before, since) - rise(self.rest_before, self.rest_since).max(0.0)
    }

    /// Why a stage can't be called watched, in words: no sample of it came, or
    /// those of a tenant have stopped. A tenant without usage before and since
    /// holds nobody up while others of the stage are seen.
    pub fn unseen(&self, stage: usize) -> Option<String> {
        let of_stage: Vec<&TenantWatched> = self.tenants.iter().filter(|one| one.stage == stage).collect();
        let is_silent = |one: &&TenantWatched| one.since.samples == 0;
        let has_stopped = |one: &&TenantWatched| is_silent(one) && one.before.samples > 0;
        let any_is_seen = of_stage.iter().any(|one| !is_silent(one));
        let missing: Vec<&str> = of_stage
            .iter()
            .copied()
            .filter(|one| if any_is_seen { has_stopped(one) } else { is_silent(one) })
            .map(|one| one.tenant.as_str())
            .collect();
        (!missing.is_empty())
            .then(|| format!("no sample of {} came since the change", first_of(&missing, NAMED)))
    }
}

fn rise(before: Violations, since: Violations) -> f64 {
    since.share().map_or(0.0, |share| share - before.share().unwrap_or(0.0))
}

fn compared(before: Violations, since: Violations) -> String {
    let percent = |seen: Violations| 100.0 * seen.share().unwrap_or(0.0);
    format!(
        "{} of {} samples stand at the quota, {:.1} % where it was {:.1} % in the same time before",
        since.above,
        since.samples,
        percent(since),
        percent(before)
    )
}
