//! How far promises to tenants are kept: availability and latency from the
//! source, the room below each quota from the usage in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;

use super::Engine;
use crate::domain::applied::limit_at;
use crate::domain::sla::{self, Breach, GoodShares, Objective, SlaState};
use crate::domain::{
    AppliedChange, Finding, FindingKind, Quota, Severity, Tenant, TenantId, Timestamp, Violations,
};
use crate::ports::{Asked, Measured, SourceError};
use crate::registry::RegistryError;
use crate::series::UsageSeries;

/// What the source said is used for so many times the distance of two questions.
const STALE_AFTER: u32 = 3;

impl Engine {
    /// How each promise to a tenant stands: its service's availability and latency
    /// where the source knows them, and each quota whose usage is known.
    ///
    /// # Errors
    /// Where the state can't be read.
    pub async fn promises(&self, tenant: &Tenant) -> Result<Vec<SlaState>, RegistryError> {
        let all_settings = self.settings();
        let settings = &all_settings.sla;
        let served = Served::ALL.into_iter().filter_map(|served| self.known_now(served, tenant));
        let mut all: Vec<SlaState> = served.collect();
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

    /// The same with the service's also where nothing is known of them.
    pub(super) async fn all_promises(&self, tenant: &Tenant) -> Result<Vec<SlaState>, RegistryError> {
        let mut all = self.promises(tenant).await?;
        for served in Served::ALL {
            let objective = served.objective();
            let Some(target) = served.promised(tenant) else { continue };
            if !all.iter().any(|state| state.objective == objective) {
                all.push(sla::judge(objective, target, &GoodShares::new(), &self.settings().sla));
            }
        }
        all.sort_by_key(|state| state.objective);
        Ok(all)
    }

    /// Whether it can be measured how this kind of promise is kept.
    pub fn watches(&self, objective: Objective) -> bool {
        match objective {
            Objective::Availability => self.source().knows_availability(),
            Objective::Latency => self.source().knows_latency(),
            Objective::Quota(_) => true,
        }
    }

    /// How a promise of the service stands as the source knows it now; `None`
    /// where it has been silent for too long for that.
    fn known_now(&self, served: Served, tenant: &Tenant) -> Option<SlaState> {
        let heard_at = self.workspace.served.read().get(&served)?.heard_at?;
        let fresh = self.now().since(heard_at) <= self.settings().sla.every * STALE_AFTER;
        self.heard(served, tenant).filter(|_| fresh)
    }

    /// Whether the source could say how good services are, and has not yet.
    pub(super) fn is_unheard(&self) -> bool {
        let known = self.workspace.served.read();
        let heard = |served| known.get(&served).is_some_and(|shares| shares.heard_at.is_some());
        Served::ALL.into_iter().any(|served| self.watches(served.objective()) && !heard(served))
    }

    /// How a promise of the service stands by what was heard last.
    fn heard(&self, served: Served, tenant: &Tenant) -> Option<SlaState> {
        let good = Arc::clone(&self.workspace.served.read().get(&served)?.good);
        let (target, shares) = (served.promised(tenant)?, good.get(&tenant.id)?);
        Some(sla::judge(served.objective(), target, shares, &self.settings().sla))
    }

    /// Asks the source how good services were, where it is time.
    pub(super) async fn ask_how_services_are(&self, tenants: &[Tenant]) {
        for served in Served::ALL {
            self.ask(served, tenants).await;
        }
    }

    /// The tenants whose service breaks a promise, or soon will. What can't be
    /// seen is not over: while the source is silent, what was heard last stands.
    pub(super) fn sla_breaches(&self, tenants: &[Tenant]) -> BTreeMap<TenantId, Finding> {
        let now = self.now();
        let one = |tenant: &Tenant| {
            let broken = Served::ALL.into_iter().filter_map(|served| {
                let state = self.heard(served, tenant)?;
                Some(finding(&state, state.breach?, tenant, now))
            });
            Some((tenant.id.clone(), broken.reduce(both)?))
        };
        tenants.iter().filter_map(one).collect()
    }

    async fn ask(&self, served: Served, tenants: &[Tenant]) {
        let now = self.now();
        if !self.watches(served.objective()) {
            return;
        }
        {
            let mut known = self.workspace.served.write();
            let known = known.entry(served).or_default();
            if known.asked_at.is_some_and(|at| now.since(at) < self.settings().sla.every) {
                return;
            }
            known.asked_at = Some(now);
        }
        let at = now.minus(self.settings().settle);
        let answer = match served {
            Served::Answers => self.availability_at(at).await,
            Served::InTime => self.latency_at(at, tenants).await,
        };
        match answer {
            Ok(said) => {
                self.tell_of_refused(served.asked(), said.refused);
                let mut known = self.workspace.served.write();
                let known = known.entry(served).or_default();
                (known.heard_at, known.good) = (Some(now), Arc::new(said.good));
            }
            Err(error) => {
                tracing::warn!("failed to {error}; how good services are in this is not known");
            }
        }
    }

    /// All windows at once: the source keeps to its own limit on queries.
    async fn availability_at(&self, at: Timestamp) -> Result<Said, SourceError> {
        let (windows, source) = (self.settings().sla.windows(), self.source());
        let answers = windows.iter().map(|window| source.availability(*window, at));
        Ok(Said::of(&windows, try_join_all(answers).await?))
    }

    /// The same of each latency that is promised; those of the most tenants first.
    async fn latency_at(&self, at: Timestamp, tenants: &[Tenant]) -> Result<Said, SourceError> {
        let settings = self.settings();
        let (windows, source) = (settings.sla.windows(), self.source());
        let (asked, left) = latencies(tenants, settings.sla.max_latencies);
        if left > 0 {
            let most = settings.sla.max_latencies;
            tracing::warn!(
                "{left} tenants' promises of latency are not measured: there are more than {most} different ones; \
                 raise sla.max_latencies, or let templates promise the same"
            );
        }
        let mut all = Said::default();
        for (within_ms, whose) in asked {
            let answers = windows.iter().map(|window| source.latency(within_ms, *window, at));
            let mut said = Said::of(&windows, try_join_all(answers).await?);
            said.good.retain(|tenant, _| whose.contains(&tenant));
            all.good.append(&mut said.good);
            all.refuse(said.refused);
        }
        Ok(all)
    }
}

/// What is promised of a tenant's service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Served {
    Answers,
    InTime,
}

impl Served {
    const ALL: [Served; 2] = [Served::Answers, Served::InTime];

    fn objective(self) -> Objective {
        match self {
            Served::Answers => Objective::Availability,
            Served::InTime => Objective::Latency,
        }
    }

    /// What the source is asked for it.
    fn asked(self) -> Asked {
        match self {
            Served::Answers => Asked::Availability,
            Served::InTime => Asked::Latency,
        }
    }

    /// The share of good that a tenant is promised; `None` where nothing is.
    fn promised(self, tenant: &Tenant) -> Option<f64> {
        match self {
            Served::Answers => Some(availability_promised(tenant)),
            Served::InTime => latency_promised(tenant).map(|_| sla::LATENCY_SHARE),
        }
    }
}

/// The latencies that are promised, in milliseconds, with those whom they are
/// promised to: the `most` of them that the most tenants have. And how many
/// tenants have others.
fn latencies(tenants: &[Tenant], most: usize) -> (Vec<(f64, Vec<&TenantId>)>, usize) {
    let mut all: Vec<(f64, Vec<&TenantId>)> = Vec::new();
    for tenant in tenants {
        let Some(promised) = latency_promised(tenant) else { continue };
        match all.iter_mut().find(|(within_ms, _)| *within_ms == promised) {
            Some((_, whose)) => whose.push(&tenant.id),
            None => all.push((promised, vec![&tenant.id])),
        }
    }
    all.sort_by(|(a, of_a), (b, of_b)| of_b.len().cmp(&of_a.len()).then(a.total_cmp(b)));
    let left = all.iter().skip(most).map(|(_, whose)| whose.len()).sum();
    all.truncate(most);
    (all, left)
}

/// What the source said of how good services were.
#[derive(Debug, Default)]
struct Said {
    good: BTreeMap<TenantId, GoodShares>,
    /// Why series were left out, each reason once.
    refused: Vec<String>,
}

impl Said {
    /// Puts the answers for these windows together.
    fn of(windows: &[Duration], answers: Vec<Measured>) -> Self {
        let mut said = Said::default();
        for (window, Measured { by_tenant, refused }) in windows.iter().zip(answers) {
            for (tenant, share) in by_tenant {
                said.good.entry(tenant).or_default().insert(*window, share);
            }
            said.refuse(refused);
        }
        said
    }

    /// A series that is at fault is mostly so over each window. The order stays,
    /// since the last reason of an answer may count those that are not named.
    fn refuse(&mut self, reasons: Vec<String>) {
        for reason in reasons {
            if !self.refused.contains(&reason) {
                self.refused.push(reason);
            }
        }
    }
}

/// How long 99 of 100 answers may take by a tenant's template, in milliseconds.
fn latency_promised(tenant: &Tenant) -> Option<f64> {
    tenant.template.as_ref().and_then(|template| template.latency_p99_ms)
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

fn finding(state: &SlaState, breach: Breach, tenant: &Tenant, now: Timestamp) -> Finding {
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
    let (good_share, target) = (percent(good), percent(state.target));
    let text = match (state.objective, latency_promised(tenant)) {
        (Objective::Latency, Some(within)) => format!(
            "{good_share} of the answers of the last {days} days took no longer than {within} ms; {target} is promised. \
             {how}"
        ),
        _ => format!(
            "The service was available for {good_share} of the last {days} days; {target} is promised. {how}"
        ),
    };
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

/// Two broken promises as one finding: the worse one's, with the words of both.
fn both(one: Finding, other: Finding) -> Finding {
    let text = format!("{} {}", one.text, other.text);
    let worse = if (other.severity, other.strength) > (one.severity, one.strength) { other } else { one };
    Finding { text, ..worse }
}

#[cfg(test)]
mod tests;
