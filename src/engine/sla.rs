//! How far promises to tenants are kept: the availability from the source, the
//! room below each quota from the usage in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::workspace::Availability;
use super::{Engine, EngineError};
use crate::domain::applied::limit_at;
use crate::domain::sla::{self, Breach, GoodShares, Objective, SlaState};
use crate::domain::{
    AppliedChange, Finding, FindingKind, Quota, Severity, Tenant, TenantId, Timestamp, Violations,
};
use crate::ports::SourceError;
use crate::registry::RegistryError;
use crate::series::UsageSeries;

/// What the source said is used for so many times the distance of two questions.
const STALE_AFTER: u32 = 3;

impl Engine {
    /// How each promise to a tenant stands: its availability where the source
    /// knows it, and each quota whose usage is known.
    ///
    /// # Errors
    /// Where the state can't be read.
    pub async fn promises(&self, tenant: &Tenant) -> Result<Vec<SlaState>, RegistryError> {
        let settings = &self.settings.sla;
        let mut all: Vec<SlaState> = self.availability_of(tenant).into_iter().collect();
        for quota in self.parts.registry.quotas(&tenant.id).await? {
            let frame = self.workspace.frame(quota.resource);
            let Some(usage) = frame.as_ref().and_then(|frame| frame.series.get(&tenant.id)) else { continue };
            let since = self.now().minus(settings.period);
            let changes = self.parts.registry.applied_to(&tenant.id, quota.resource, since).await?;
            let good = below(usage, &quota, &changes, &settings.windows());
            let target = 1.0 - self.budget(tenant, quota.resource).share;
            all.push(sla::judge(Objective::Quota(quota.resource), target, &good, settings));
        }
        Ok(all)
    }

    /// Whether the source can say how available services were.
    pub fn watches_availability(&self) -> bool {
        self.parts.source.knows_availability()
    }

    fn availability_of(&self, tenant: &Tenant) -> Option<SlaState> {
        let known = self.workspace.availability.read();
        let good: &GoodShares = known.as_ref()?.1.get(&tenant.id)?;
        let promised = tenant.template.as_ref().and_then(|template| template.availability_percent);
        let target = promised.unwrap_or_else(|| tenant.tier.availability_percent()) / 100.0;
        Some(sla::judge(Objective::Availability, target, good, &self.settings.sla))
    }

    /// The tenants whose availability breaks its promise, or soon will.
    pub(super) async fn sla_breaches(
        &self,
        tenants: &[Tenant],
    ) -> Result<BTreeMap<TenantId, Finding>, EngineError> {
        self.ask_availability().await;
        let now = self.now();
        let one = |tenant: &Tenant| {
            let state = self.availability_of(tenant)?;
            Some((tenant.id.clone(), finding(&state, state.breach?, now)))
        };
        Ok(tenants.iter().filter_map(one).collect())
    }

    /// Asks the source how available services were, where it is time. What it
    /// said before stands for a while where it does not answer.
    async fn ask_availability(&self) {
        let (now, settings) = (self.now(), &self.settings.sla);
        let asked_at = self.workspace.availability.read().as_ref().map(|(at, _)| *at);
        let due = asked_at.is_none_or(|at| now.since(at) >= settings.every);
        if !due || !self.watches_availability() {
            return;
        }
        match self.availability_now(now).await {
            Ok(found) => *self.workspace.availability.write() = Some((now, found)),
            Err(error) => {
                tracing::warn!("failed to {error}; how available services are is not known");
                if asked_at.is_some_and(|at| now.since(at) > settings.every * STALE_AFTER) {
                    *self.workspace.availability.write() = None;
                }
            }
        }
    }

    async fn availability_now(&self, now: Timestamp) -> Result<Availability, SourceError> {
        let at = now.minus(self.settings.settle);
        let mut found: BTreeMap<TenantId, GoodShares> = BTreeMap::new();
        for window in self.settings.sla.windows() {
            for (tenant, share) in self.parts.source.availability(window, at).await? {
                found.entry(tenant).or_default().insert(window, share);
            }
        }
        Ok(Arc::new(found))
    }
}

/// The share of the samples that lie below the quota of their time, over each
/// of the windows, the shortest first.
fn below(usage: &UsageSeries, quota: &Quota, changes: &[AppliedChange], windows: &[Duration]) -> GoodShares {
    let mut newest_first = (0..usage.len()).rev().peekable();
    let (mut found, mut shares) = (Violations::default(), GoodShares::new());
    for window in windows {
        let since = usage.end().minus(*window);
        while let Some(index) = newest_first.next_if(|index| usage.at(*index) >= since) {
            let limit = limit_at(quota.limit, changes, usage.at(index));
            found = found.plus(Violations::count([usage.values[index]].into_iter(), limit));
        }
        shares.extend(found.share().map(|above| (*window, 1.0 - above)));
    }
    shares
}

fn finding(state: &SlaState, breach: Breach, now: Timestamp) -> Finding {
    let percent = |share: f64| format!("{:.3} %", 100.0 * share);
    let days = state.period_seconds / 86_400;
    let good = state.good.unwrap_or(f64::NAN);
    let (severity, how, index) = match breach {
        Breach::BurnsFast => (Severity::Critical, "the error budget is being spent fast", 0),
        Breach::BurnsSlowly => (Severity::Warning, "the error budget is being spent too fast to last", 1),
        Breach::UsedUp => (Severity::Warning, "the error budget is used up", 1),
    };
    let burn = &state.burn[index];
    let rate = burn.rate.unwrap_or_default();
    let text = format!(
        "The service was available for {} of the last {days} days; {} is promised, and {how}: {rate:.1} times as fast \
         as it lasts over the last {} h.",
        percent(good),
        percent(state.target),
        burn.window_seconds / 3600,
    );
    Finding {
        severity,
        unit: "share".to_owned(),
        expected: Some(state.target),
        lower: Some(state.target),
        actual: Some(good),
        strength: (rate / burn.limit).max(1.0),
        ..Finding::new(FindingKind::SlaBreach, "error budget", text, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::applied::tests::change;
    use crate::domain::{Resource, Step};

    #[test]
    fn each_sample_is_held_against_the_quota_of_its_time() {
        let start = Timestamp::from_seconds(0);
        let usage =
            UsageSeries { start, step: Step::HOUR, values: vec![5.0, 5.0, 5.0, f64::NAN, 5.0].into() };
        let resource = Resource::CpuCores;
        let quota = Quota { resource, limit: 4.0, generation: 2, changed_at: start, before: Some(8.0) };
        let changes = [change(start.plus(Duration::from_secs(2 * 3600)), 8.0, 4.0)];
        let hours = |n: u64| Duration::from_secs(n * 3600);
        let windows = [hours(1), hours(10)];
        let shares = |changes: &[AppliedChange]| below(&usage, &quota, changes, &windows);
        assert_eq!(shares(&changes), GoodShares::from([(hours(1), 0.0), (hours(10), 0.5)]));
        assert_eq!(shares(&[]), GoodShares::from([(hours(1), 0.0), (hours(10), 0.0)]));
    }
}
