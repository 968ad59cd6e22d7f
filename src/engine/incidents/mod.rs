//! Incidents: what was found of each tenant becomes at most one open incident,
//! which is told of once, again where it gets worse, and when it is over.
//!
//! Each cycle looks at every tenant anew and steps its incident on; what was
//! told already stands in the incident itself, so that a restart tells nothing
//! twice. An incident is written in one commit with what is told of it.

mod budgets;
mod explain;
mod findings;
mod lifecycle;
mod notices;
mod peers;
mod record;
mod rolled_back;
mod settings;
mod spend;
mod worse;

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use settings::Settings;

use rayon::prelude::*;

use super::{Engine, EngineError, SeriesKey};
use crate::domain::{
    Finding, FindingKind, Incident, Marker, Notice, Quota, Resource, Silence, Tenant, TenantId, Tier,
};
use crate::ports::StoreError;
use crate::registry::{AlertBudget, IncidentWrite, RegistryError, Unread};
use crate::series::Frame;
use crate::telemetry;
use findings::Case;
use lifecycle::{Change, Found};

/// Tenants whose usage is looked at together.
const LOOKED_AT_ONCE: usize = 256;
/// What is said at the end of what was wrong with a tenant that left.
const TENANT_LEFT: &str = " It is over because the tenant was removed.";
/// Where so many series of a resource, and this share of them, are silent at
/// once, it is what measures them that failed.
const MANY_SILENT: usize = 10;
const MOST_SILENT: f64 = 0.5;

/// A tenant whose usage is looked at, with its quotas and its open incident.
type Looked = (TenantId, Vec<Unread<Quota>>, Option<Incident>);

/// What all tenants of a cycle share.
struct Round {
    frames: Arc<[Arc<Frame>]>,
    tiers: BTreeMap<TenantId, Tier>,
    open: BTreeMap<TenantId, (Incident, u64)>,
    silences: Vec<Silence>,
    markers: Vec<Marker>,
    spend: Arc<BTreeMap<TenantId, Finding>>,
    overruns: BTreeMap<TenantId, Finding>,
    breaches: BTreeMap<TenantId, Finding>,
    used_up: BTreeMap<TenantId, Finding>,
    rolled_back: BTreeMap<TenantId, Finding>,
    /// The resources whose source fails.
    failing: Arc<BTreeSet<Resource>>,
    /// The groups of tenants that behave alike, by resource; made when needed.
    groups: BTreeMap<Resource, BTreeMap<TenantId, usize>>,
}

impl Engine {
    /// Opens, continues and resolves incidents.
    pub(super) async fn update_incidents(self: &Arc<Self>) -> Result<(), EngineError> {
        self.summarise_yesterday().await?;
        let tenants: Arc<[Tenant]> = self.parts.registry.all_tenants().await?.into();
        let mut round = self.round(&tenants).await?;
        for some in tenants.chunks(LOOKED_AT_ONCE) {
            for (tenant, found) in self.look_at(some, &round).await? {
                self.step_incident(&tenant, found, &mut round).await?;
            }
        }
        // What was wrong with a tenant that left is over.
        let left: Vec<TenantId> =
            round.open.keys().filter(|id| !round.tiers.contains_key(*id)).cloned().collect();
        for tenant in left {
            self.end_of_a_tenant(&tenant, &mut round).await?;
        }
        let open = self.parts.registry.open_incidents().await?;
        self.parts.metrics.open_incidents(open.len());
        let oldest = self.now().minus(self.settings().keep);
        self.parts.registry.forget_incidents_before(oldest).await?;
        Ok(self.parts.registry.forget_quiet_before(oldest).await?)
    }

    async fn round(self: &Arc<Self>, tenants: &Arc<[Tenant]>) -> Result<Round, EngineError> {
        let registry = &self.parts.registry;
        let frames: Arc<[Arc<Frame>]> = self.workspace.all_frames().into();
        self.ask_how_services_are(tenants).await;
        let (engine, all, of) = (Arc::clone(self), Arc::clone(tenants), Arc::clone(&frames));
        let overruns = self.budget_overruns(tenants).await?;
        let (open, silences) = (registry.open_incidents().await?, registry.silences().await?);
        let (markers, rolled_back) = (registry.markers().await?, self.rolled_back().await?);
        let look = move || Round {
            spend: engine.spend_anomalies(&all, &of),
            overruns,
            breaches: engine.sla_breaches(&all),
            used_up: engine.used_up(&all),
            rolled_back,
            tiers: all.iter().map(|tenant| (tenant.id.clone(), tenant.tier)).collect(),
            open,
            silences,
            markers,
            failing: engine.failing(&of).into(),
            groups: BTreeMap::new(),
            frames: of,
        };
        Ok(self.parts.compute.run(look).await?)
    }

    /// The resources whose source fails, by its word or by the silence.
    fn failing(&self, frames: &[Arc<Frame>]) -> BTreeSet<Resource> {
        let problems = self.workspace.source_problems().into_iter().map(|(resource, _)| resource);
        let dark = frames.iter().filter(|frame| self.is_dark(frame)).map(|frame| frame.resource);
        problems.chain(dark).collect()
    }

    /// Whether so many series stopped at once that it is not the tenants.
    fn is_dark(&self, frame: &Frame) -> bool {
        let now = self.now();
        let all_settings = self.settings();
        let settings = &all_settings.incidents;
        let ages = frame.series.values().filter_map(|series| Some(now.since(series.last_sample()?.0)));
        let ages: Vec<_> = ages.filter(|age| *age <= settings.no_data_forget).collect();
        let silent = ages.iter().filter(|age| **age > settings.longest_silence(frame.step)).count();
        let dark = silent >= MANY_SILENT && silent as f64 > MOST_SILENT * ages.len() as f64;
        if dark {
            let (resource, all) = (frame.resource, ages.len());
            tracing::warn!(%resource, silent, all, "most tenants have no new samples: check what measures them");
        }
        dark
    }

    /// What is wrong with tenants' spend, computed once a whole day.
    fn spend_anomalies(&self, tenants: &[Tenant], frames: &[Arc<Frame>]) -> Arc<BTreeMap<TenantId, Finding>> {
        let Some(prices) = self.prices() else { return Arc::default() };
        let ends = frames.iter().flat_map(|frame| frame.series.values().map(|series| series.end()));
        let Some(end) = ends.max() else { return Arc::default() };
        let today = notices::day_of(end.min(self.now()));
        if let Some((day, known)) = self.workspace.spend.read().as_ref()
            && *day == today
        {
            return Arc::clone(known);
        }
        let settings = self.settings();
        let found = Arc::new(spend::anomalies(tenants, frames, &prices, today, &settings.incidents));
        *self.workspace.spend.write() = Some((today, Arc::clone(&found)));
        found
    }

    /// What is wrong with some tenants. Those inside of a marker are left out: all
    /// stays as it is.
    async fn look_at(
        self: &Arc<Self>,
        tenants: &[Tenant],
        round: &Round,
    ) -> Result<Vec<(TenantId, Found)>, EngineError> {
        let now = self.now();
        let is_free = |tenant: &&TenantId| !round.markers.iter().any(|marker| marker.covers(tenant, now));
        let ids: Vec<&TenantId> = tenants.iter().map(|tenant| &tenant.id).filter(is_free).collect();
        let quotas = self.parts.registry.quotas_of(&ids, &Resource::ALL).await?;
        let known = |id: &TenantId| round.open.get(id).map(|(incident, _)| incident.clone());
        let cases: Vec<Looked> =
            ids.into_iter().zip(quotas).map(|(id, quotas)| (id.clone(), quotas, known(id))).collect();
        let silent = [
            (FindingKind::SlaBreach, self.is_unheard()),
            (FindingKind::MeterUsedUp, self.has_unheard_meter()),
        ];
        let unheard =
            silent.into_iter().filter(|(_, is_unheard)| *is_unheard).map(|(kind, _)| kind).collect();
        let nothing = Found { unheard, ..Found::default() };
        let (engine, frames, failing) =
            (Arc::clone(self), Arc::clone(&round.frames), Arc::clone(&round.failing));
        let look = move || {
            let one = |(tenant, quotas, known): Looked| {
                let mut found = nothing.clone();
                let quotas: Vec<Option<(Quota, u64)>> =
                    quotas.iter().map(Unread::record).collect::<Result<_, RegistryError>>()?;
                let quotas: Vec<Quota> = quotas.into_iter().flatten().map(|(quota, _)| quota).collect();
                if quotas.is_empty() {
                    // It was removed meanwhile.
                    return Ok(None);
                }
                for frame in &*frames {
                    let source_answers = !failing.contains(&frame.resource);
                    engine.look_at_usage(&tenant, frame, &quotas, known.as_ref(), source_answers, &mut found);
                }
                Ok(Some((tenant, found)))
            };
            cases
                .into_par_iter()
                .filter_map(|case| one(case).transpose())
                .collect::<Result<Vec<_>, RegistryError>>()
        };
        let mut all: Vec<(TenantId, Found)> = self.parts.compute.run(look).await??;
        let Round { spend, overruns, breaches, used_up, rolled_back, .. } = round;
        for (tenant, found) in &mut all {
            for of_all in [spend.as_ref(), overruns, breaches, used_up, rolled_back] {
                found.findings.extend(of_all.get(tenant).cloned());
            }
        }
        Ok(all)
    }

    fn look_at_usage(
        &self,
        tenant: &TenantId,
        frame: &Frame,
        quotas: &[Quota],
        known: Option<&Incident>,
        source_answers: bool,
        found: &mut Found,
    ) {
        let Some(usage) = frame.series.get(tenant) else { return };
        let key = SeriesKey { tenant: tenant.clone(), resource: frame.resource };
        let forecast = self.workspace.forecast(&key);
        let glance = self.workspace.glances.read().get(&key).cloned();
        Case {
            usage,
            glance: glance.as_ref(),
            detection: LazyCell::new(Box::new(|| self.workspace.detections.get(&key))),
            forecast: forecast.as_deref(),
            quota: quotas.iter().find(|quota| quota.resource == frame.resource),
            source_answers,
            known,
            now: self.now(),
            settings: &self.settings().incidents,
            key: &key,
        }
        .look(found);
    }

    /// Ends the incident of a tenant that was removed.
    async fn end_of_a_tenant(&self, tenant: &TenantId, round: &mut Round) -> Result<(), EngineError> {
        if let Some((incident, _)) = round.open.get_mut(tenant) {
            for finding in incident.findings.iter_mut().filter(|finding| finding.is_open()) {
                finding.text.push_str(TENANT_LEFT);
            }
        }
        self.step_incident(tenant, Found::default(), round).await
    }

    async fn step_incident(
        &self,
        tenant: &TenantId,
        found: Found,
        round: &mut Round,
    ) -> Result<(), EngineError> {
        let (now, all_settings) = (self.now(), self.settings());
        let settings = &all_settings.incidents;
        let known = round.open.get(tenant).cloned();
        let before = known.as_ref().map(|(incident, _)| incident);
        let new_id = || self.parts.ids.incident(now);
        let stepped = lifecycle::step(before, tenant, found, now, settings, new_id);
        let Some((mut incident, change)) = stepped else { return Ok(()) };
        self.name_peers(&mut incident, round).await?;
        let budget = self.parts.registry.alert_budget(tenant).await?;
        let id = self.parts.ids.notice(now);
        let (notice, budget) =
            notices::tell(&mut incident, &change, &round.silences, &budget, settings, now, id);
        if before == Some(&incident) {
            return Ok(());
        }
        record::log_change(&incident, &change);
        let audit = record::audit_line(before, &incident, &change, now);
        let version = known.as_ref().map(|(_, version)| *version);
        if change != Change::GoesOn {
            let (name, severity) = (record::change_name(&change), incident.severity.name());
            self.parts.metrics.incident_changed(name, severity, notice.is_some());
        }
        let notice = notice.map(|notice| Notice { trace: telemetry::traceparent(), ..notice });
        let write = IncidentWrite { incident, version, notice, budget, audit };
        match self.parts.registry.write_incident(&write).await {
            // Somebody spoke of it meanwhile: the next cycle looks again.
            Err(RegistryError::Store(StoreError::Conflict { .. })) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    /// Tells of what the budgets of earlier days kept back, once.
    async fn summarise_yesterday(&self) -> Result<(), EngineError> {
        let now = self.now();
        let today = notices::day_of(now);
        for (tenant, budget) in self.parts.registry.overrun_budgets(today).await? {
            let mut incidents = Vec::new();
            for id in &budget.kept_back {
                match self.parts.registry.incident(*id).await {
                    Ok((incident, _)) => incidents.push(incident),
                    Err(RegistryError::NoSuchIncident(_)) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            let notice = notices::summary(&tenant, &budget, &incidents, now, self.parts.ids.notice(now));
            let fresh = AlertBudget { day: today, ..AlertBudget::default() };
            self.parts.registry.summarise_alerts(&tenant, &fresh, &notice).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
