//! How far promises to tenants are kept: the availability from the source, the
//! room below each quota from the usage in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;

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
        let all_settings = self.settings();
        let settings = &all_settings.sla;
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

    /// The same with the availability also where nothing is known of it.
    pub(super) async fn all_promises(&self, tenant: &Tenant) -> Result<Vec<SlaState>, RegistryError> {
        let mut all = self.promises(tenant).await?;
        if !all.iter().any(|state| state.objective == Objective::Availability) {
            let (target, unknown) = (availability_promised(tenant), GoodShares::new());
            all.insert(0, sla::judge(Objective::Availability, target, &unknown, &self.settings().sla));
        }
        Ok(all)
    }

    /// Whether the source can say how available services were.
    pub fn watches_availability(&self) -> bool {
        self.source().knows_availability()
    }

    /// The availability as the source knows it now; `None` where it has been
    /// silent for too long for that.
    fn availability_of(&self, tenant: &Tenant) -> Option<SlaState> {
        let heard_at = self.workspace.availability.read().heard_at?;
        let fresh = self.now().since(heard_at) <= self.settings().sla.every * STALE_AFTER;
        self.availability_heard(tenant).filter(|_| fresh)
    }

    /// Whether the source could say how available services are, and has not yet.
    pub(super) fn is_unheard(&self) -> bool {
        self.watches_availability() && self.workspace.availability.read().heard_at.is_none()
    }

    /// The availability as it was heard last.
    fn availability_heard(&self, tenant: &Tenant) -> Option<SlaState> {
        let good = Arc::clone(&self.workspace.availability.read().good);
        let target = availability_promised(tenant);
        Some(sla::judge(Objective::Availability, target, good.get(&tenant.id)?, &self.settings().sla))
    }

    /// The tenants whose availability breaks its promise, or soon will. What
    /// can't be seen is not over: while the source is silent, what was heard
    /// last stands.
    pub(super) async fn sla_breaches(
        &self,
        tenants: &[Tenant],
    ) -> Result<BTreeMap<TenantId, Finding>, EngineError> {
        self.ask_availability().await;
        let now = self.now();
        let one = |tenant: &Tenant| {
            let state = self.availability_heard(tenant)?;
            Some((tenant.id.clone(), finding(&state, state.breach?, now)))
        };
        Ok(tenants.iter().filter_map(one).collect())
    }

    /// Asks the source how available services were, where it is time.
    async fn ask_availability(&self) {
        let now = self.now();
        {
            let mut known = self.workspace.availability.write();
            let due = known.asked_at.is_none_or(|at| now.since(at) >= self.settings().sla.every);
            if !due || !self.watches_availability() {
                return;
            }
            known.asked_at = Some(now);
        }
        match self.availability_now(now).await {
            Ok(good) => {
                let mut known = self.workspace.availability.write();
                (known.heard_at, known.good) = (Some(now), Arc::new(good));
            }
            Err(error) => {
                tracing::warn!("failed to {error}; how available services are is not known");
            }
        }
    }

    /// All windows at once: the source keeps to its own limit on queries.
    async fn availability_now(&self, now: Timestamp) -> Result<BTreeMap<TenantId, GoodShares>, SourceError> {
        let at = now.minus(self.settings().settle);
        let windows = self.settings().sla.windows();
        let source = self.source();
        let answers = windows.iter().map(|window| source.availability(*window, at));
        let mut found: BTreeMap<TenantId, GoodShares> = BTreeMap::new();
        for (window, shares) in windows.iter().zip(try_join_all(answers).await?) {
            for (tenant, share) in shares {
                found.entry(tenant).or_default().insert(*window, share);
            }
        }
        Ok(found)
    }
}

/// The share of good that a tenant's template promises, or else its tier.
fn availability_promised(tenant: &Tenant) -> f64 {
    let promised = tenant.template.as_ref().and_then(|template| template.availability_percent);
    promised.unwrap_or_else(|| tenant.tier.availability_percent()) / 100.0
}

/// One sample held against the quota of its time.
pub(super) fn held(
    usage: &UsageSeries,
    index: usize,
    quota: &Quota,
    changes: &[AppliedChange],
) -> Violations {
    let limit = limit_at(quota.limit, changes, usage.at(index));
    Violations::count([usage.values[index]].into_iter(), limit)
}

/// The share of the samples that lie below the quota of their time, over each
/// of the windows, the shortest first.
fn below(usage: &UsageSeries, quota: &Quota, changes: &[AppliedChange], windows: &[Duration]) -> GoodShares {
    let mut newest_first = (0..usage.len()).rev().peekable();
    let (mut found, mut shares) = (Violations::default(), GoodShares::new());
    for window in windows {
        let since = usage.end().minus(*window);
        while let Some(index) = newest_first.next_if(|index| usage.at(*index) >= since) {
            found = found.plus(held(usage, index, quota, changes));
        }
        shares.extend(found.share().map(|above| (*window, 1.0 - above)));
    }
    shares
}

fn finding(state: &SlaState, breach: Breach, now: Timestamp) -> Finding {
    let percent = |share: f64| format!("{:.3} %", 100.0 * share);
    let days = state.period_seconds / 86_400;
    let good = state.good.unwrap_or(f64::NAN);
    let (severity, index) = match breach {
        Breach::BurnsFast => (Severity::Critical, 0),
        Breach::BurnsSlowly | Breach::UsedUp => (Severity::Warning, 1),
    };
    let burn = &state.burn[index];
    let rate = burn.rate.unwrap_or_default();
    let window = match burn.window_seconds / 3600 {
        1 => "hour".to_owned(),
        hours => format!("{hours} hours"),
    };
    let pace = format!("{rate:.1} times as much failed as the promise allows for that time");
    let how = match breach {
        Breach::UsedUp => format!("More failed than the {days} days allow. Over the last {window} {pace}."),
        _ => format!("Over the last {window} {pace}; going on like this breaks the promise."),
    };
    let text = format!(
        "The service was available for {} of the last {days} days; {} is promised. {how}",
        percent(good),
        percent(state.target),
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
mod tests;
