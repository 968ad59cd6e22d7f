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

/// The least time that is looked at by itself at the end of a long watch: what a
/// budget of violations allows now and then must not weigh too much in it.
const LEAST_LATELY: Duration = Duration::from_secs(6 * 3600);
const DAY: Duration = Duration::from_secs(86_400);

/// What is held against each other around one change.
struct Around {
    /// As long before it as `since` is; where only the last of the time since is
    /// looked at, also the same hours of an earlier day.
    before: [TimeRange; 2],
    since: TimeRange,
}

impl Around {
    /// All the time since `at`, or its last part as long as `last`.
    fn new(at: Timestamp, now: Timestamp, last: Option<Duration>) -> Self {
        let all = now.since(at);
        let long = last.map_or(all, |last| last.min(all));
        let range = |end: Timestamp| TimeRange { start: end.minus(long), end };
        let whole_days = u32::try_from(all.as_secs().div_ceil(DAY.as_secs())).unwrap_or(u32::MAX);
        let same_hours =
            if long < all { range(now.minus(DAY.saturating_mul(whole_days))) } else { range(at) };
        Around { before: [range(at), same_hours], since: range(now) }
    }
}

/// Samples at the quota over both of the times before, and since.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    before: [Violations; 2],
    since: Violations,
}

impl Counted {
    fn plus(self, other: Counted) -> Counted {
        let [first, second] = self.before;
        let before = [first.plus(other.before[0]), second.plus(other.before[1])];
        Counted { before, since: self.since.plus(other.since) }
    }

    /// The worse of both times before.
    fn worse_before(&self) -> Violations {
        let share = |seen: Violations| seen.share().unwrap_or(-1.0);
        let [first, second] = self.before;
        if share(second) > share(first) { second } else { first }
    }
}

impl Engine {
    /// What was seen since the changes, and in the same time before; where that
    /// is long, also what was seen lately.
    ///
    /// # Errors
    /// Where the state can't be read.
    pub async fn watched(&self, rollout: &Rollout) -> Result<Watched, EngineError> {
        let changed = changed_at(rollout);
        let Some(first) = changed.values().min().copied() else { return Ok(Watched::default()) };
        let begun = self.begun_findings().await?;
        let watch = Duration::from_secs(rollout.watch_seconds);
        let last = watch.max(LEAST_LATELY);
        let mut watched = self.seen(rollout, &changed, &begun, first, None);
        if !watch.is_zero() && self.now().since(first) > last {
            watched.lately = Some(Box::new(self.seen(rollout, &changed, &begun, first, Some(last))));
        }
        Ok(watched)
    }

    /// What was seen over all the time since the changes, or the last of it.
    fn seen(
        &self,
        rollout: &Rollout,
        changed: &BTreeMap<TenantId, Timestamp>,
        begun: &[(TenantId, Timestamp)],
        first: Timestamp,
        last: Option<Duration>,
    ) -> Watched {
        let now = self.now();
        let (mut all, mut rest) = (Counted::default(), Counted::default());
        let mut tenants: BTreeMap<&TenantId, (usize, Counted)> = BTreeMap::new();
        for change in &rollout.changes {
            match (change.applied_at(), &change.outcome) {
                (Some(at), _) => {
                    let counted = self.count(change, &Around::new(at, now, last), change.to);
                    all = all.plus(counted);
                    let (_, of_tenant) =
                        tenants.entry(&change.tenant).or_insert((change.stage, Counted::default()));
                    *of_tenant = of_tenant.plus(counted);
                }
                (None, Outcome::Waiting | Outcome::Kept) => {
                    rest = rest.plus(self.count(change, &Around::new(first, now, last), change.from));
                }
                _ => {}
            }
        }
        let (mut since, mut before) = (0, [0, 0]);
        for (tenant, began) in begun {
            let Some(at) = changed.get(tenant) else { continue };
            let around = Around::new(*at, now, last);
            since += u64::from(*began >= around.since.start);
            for (count, range) in before.iter_mut().zip(around.before) {
                *count += u64::from((range.start..range.end).contains(began));
            }
        }
        let of_tenant = |(tenant, (stage, counted)): (&TenantId, (usize, Counted))| TenantWatched {
            tenant: tenant.clone(),
            stage,
            before: counted.worse_before(),
            since: counted.since,
        };
        let long = now.since(first);
        Watched {
            before: all.worse_before(),
            since: all.since,
            rest_before: rest.worse_before(),
            rest_since: rest.since,
            incidents_before: before[0].max(before[1]),
            incidents_since: since,
            tenants: tenants.into_iter().map(of_tenant).collect(),
            seconds: last.map_or(long, |last| last.min(long)).as_secs(),
            lately: None,
        }
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
            figures.violations =
                figures.violations.plus(self.count(change, &Around::new(at, now, None), limit).since);
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

    /// Samples at the quota before a change, and since at `limit`.
    fn count(&self, change: &RolloutChange, around: &Around, limit: f64) -> Counted {
        let count = |range: TimeRange, limit: f64| self.at_quota(change, range, TOUCHES * limit);
        Counted {
            before: around.before.map(|range| count(range, change.from)),
            since: count(around.since, limit),
        }
    }

    fn at_quota(&self, change: &RolloutChange, range: TimeRange, limit: f64) -> Violations {
        self.with_usage(change, |usage| {
            let values = usage.within(range);
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

/// When the first of each tenant was changed.
fn changed_at(rollout: &Rollout) -> BTreeMap<TenantId, Timestamp> {
    let of_quotas = rollout.changes.iter().map(|change| (&change.tenant, change.applied_at()));
    let of_moves = rollout.moves().iter().map(|one| (&one.tenant, one.applied_at()));
    let mut all: BTreeMap<TenantId, Timestamp> = BTreeMap::new();
    for (tenant, at) in of_quotas.chain(of_moves) {
        if let Some(at) = at {
            all.entry(tenant.clone()).and_modify(|first| *first = at.min(*first)).or_insert(at);
        }
    }
    all
}
