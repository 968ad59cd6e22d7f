//! What was seen of a rollout's quotas since they were changed, from the usage
//! in memory and the incidents that are kept.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::EngineError;
use super::Engine;
use crate::domain::rollout::{
    Arm, ArmFigures, Comparison, Outcome, Rollout, RolloutChange, TenantWatched, Watched,
};
use crate::domain::{FindingKind, Incident, IncidentId, TenantId, TimeRange, Timestamp, Violations};
use crate::registry::{IncidentFilter, RegistryError};
use crate::series::UsageSeries;

/// How near to its quota usage stands at it, as a share: a platform that lets
/// nothing above the quota shows no more than this.
const TOUCHES: f64 = 0.99;
/// The newest incidents that are looked at.
const INCIDENTS: usize = 1_000;

impl Engine {
    /// What was seen since the changes, and in the same time before.
    ///
    /// # Errors
    /// Where the state can't be read.
    pub async fn watched(&self, rollout: &Rollout) -> Result<Watched, EngineError> {
        let (now, mut watched) = (self.now(), Watched::default());
        let changed = changed_at(rollout);
        let Some(first) = changed.values().min().copied() else { return Ok(watched) };
        let mut tenants: BTreeMap<&TenantId, TenantWatched> = BTreeMap::new();
        for change in &rollout.changes {
            match (change.applied_at(), &change.outcome) {
                (Some(at), _) => {
                    let (before, since) = self.around(change, at, now, change.to);
                    watched.before = watched.before.plus(before);
                    watched.since = watched.since.plus(since);
                    let one = tenants.entry(&change.tenant).or_insert_with(|| unwatched(change));
                    one.before = one.before.plus(before);
                    one.since = one.since.plus(since);
                }
                (None, Outcome::Waiting | Outcome::Kept) => {
                    let (before, since) = self.around(change, first, now, change.from);
                    watched.rest_before = watched.rest_before.plus(before);
                    watched.rest_since = watched.rest_since.plus(since);
                }
                _ => {}
            }
        }
        watched.tenants = tenants.into_values().collect();
        for (tenant, began) in self.begun_findings().await? {
            let Some(at) = changed.get(&tenant) else { continue };
            let long = now.since(*at);
            watched.incidents_since += u64::from(began >= *at);
            watched.incidents_before += u64::from((at.minus(long)..*at).contains(&began));
        }
        Ok(watched)
    }

    /// The halves of an A/B test beside each other; `None` for other rollouts.
    ///
    /// # Errors
    /// Where the state can't be read.
    pub async fn compare_rollout(&self, rollout: &Rollout) -> Result<Option<Comparison>, EngineError> {
        let mut halves: BTreeMap<Arm, BTreeMap<TenantId, Figures>> = BTreeMap::new();
        let (now, begun) = (self.now(), self.begun_findings().await?);
        for change in &rollout.changes {
            let Some(arm) = change.arm else { return Ok(None) };
            let (at, limit) = match (change.applied_at(), &change.outcome) {
                (Some(at), _) => (at, change.to),
                (None, Outcome::Kept) => (rollout.since, change.from),
                _ => continue,
            };
            let figures = halves.entry(arm).or_default().entry(change.tenant.clone()).or_default();
            figures.violations = figures.violations.plus(self.around(change, at, now, limit).1);
            figures.slack.extend(self.slack(change, at, limit));
            let price =
                |tenant| self.prices()?.per_month(&tenant, change.resource, limit, now).ok()?.to_f64();
            let tenant = self.parts.registry.tenant(&change.tenant).await;
            figures.cost += tenant.ok().and_then(price).unwrap_or(0.0);
            let since = begun.iter().filter(|(id, opened)| *id == change.tenant && *opened >= at);
            figures.incidents = since.count() as f64;
        }
        let figures = |arm| halves.get(&arm).map_or_else(ArmFigures::default, figures_of);
        Ok(Some(Comparison::of(&figures(Arm::A), &figures(Arm::B))))
    }

    /// Samples at the quota before `at`, and since; of as much time on both
    /// sides.
    fn around(
        &self,
        change: &RolloutChange,
        at: Timestamp,
        now: Timestamp,
        limit: f64,
    ) -> (Violations, Violations) {
        let long: Duration = now.since(at);
        let count = |from, until, limit: f64| self.at_quota(change, from, until, TOUCHES * limit);
        (count(at.minus(long), at, change.from), count(at, now, limit))
    }

    fn at_quota(&self, change: &RolloutChange, from: Timestamp, until: Timestamp, limit: f64) -> Violations {
        self.with_usage(change, |usage| {
            let values = usage.within(TimeRange { start: from, end: until });
            Violations::count(values.iter().copied(), limit)
        })
        .unwrap_or_default()
    }

    /// The unused share of the quota, over the samples since `at`.
    fn slack(&self, change: &RolloutChange, at: Timestamp, limit: f64) -> Option<f64> {
        self.with_usage(change, |usage| {
            let since = usage.values.iter().enumerate().filter(|(index, _)| usage.at(*index) >= at);
            let known = since.map(|(_, value)| *value).filter(|value| value.is_finite());
            let (sum, count) = known.fold((0.0, 0.0), |(sum, count), value| {
                (sum + ((limit - value) / limit).max(0.0), count + 1.0)
            });
            (count > 0.0).then(|| sum / count)
        })?
    }

    fn with_usage<T>(&self, change: &RolloutChange, look: impl FnOnce(&UsageSeries) -> T) -> Option<T> {
        let frame = self.workspace.frame(change.resource)?;
        frame.series.get(&change.tenant).map(look)
    }

    /// Whose finding began when, of those that quotas can bring about. One that
    /// joined an incident that was open already counts like any other; what a
    /// person called nothing does not.
    async fn begun_findings(&self) -> Result<Vec<(TenantId, Timestamp)>, RegistryError> {
        let registry = &self.parts.registry;
        let newest = registry.incidents(&IncidentFilter::default(), None, INCIDENTS).await?;
        let open = registry.open_incidents().await?.into_values().map(|(incident, _)| incident);
        let all: BTreeMap<IncidentId, Incident> =
            newest.into_iter().chain(open).map(|incident| (incident.id, incident)).collect();
        let of_usage = [FindingKind::UnusualUsage, FindingKind::PinnedAtQuota, FindingKind::ForecastBreach];
        let mut begun = Vec::new();
        for incident in all.into_values().filter(|incident| !incident.is_false()) {
            let counted = incident.findings.iter().filter(|finding| of_usage.contains(&finding.kind));
            begun.extend(counted.map(|finding| (incident.tenant.clone(), finding.since)));
        }
        Ok(begun)
    }
}

/// A tenant of which nothing was seen yet.
fn unwatched(change: &RolloutChange) -> TenantWatched {
    let nothing = Violations::default();
    TenantWatched { tenant: change.tenant.clone(), stage: change.stage, before: nothing, since: nothing }
}

#[derive(Default)]
struct Figures {
    violations: Violations,
    slack: Vec<f64>,
    cost: f64,
    incidents: f64,
}

fn figures_of(tenants: &BTreeMap<TenantId, Figures>) -> ArmFigures {
    let mut all = ArmFigures::default();
    for one in tenants.values() {
        all.violations.extend(one.violations.share());
        if !one.slack.is_empty() {
            all.slack.push(one.slack.iter().sum::<f64>() / one.slack.len() as f64);
        }
        all.cost.push(one.cost);
        all.incidents.push(one.incidents);
    }
    all
}

/// When the first quota of each tenant was changed.
fn changed_at(rollout: &Rollout) -> BTreeMap<TenantId, Timestamp> {
    let mut all: BTreeMap<TenantId, Timestamp> = BTreeMap::new();
    for change in &rollout.changes {
        if let Some(at) = change.applied_at() {
            all.entry(change.tenant.clone()).and_modify(|first| *first = at.min(*first)).or_insert(at);
        }
    }
    all
}
