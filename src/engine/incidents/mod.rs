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
    Finding, FindingKind, Incident, Marker, Notice, Peers, Quota, Resource, Silence, Tenant, TenantId, Tier,
};
use crate::ports::StoreError;
use crate::registry::{AlertBudget, IncidentWrite, RegistryError};
use crate::series::{Frame, UsageSeries};
use crate::telemetry;
use findings::Case;
use lifecycle::{Change, Found};

/// Tenants whose usage is looked at together.
const LOOKED_AT_ONCE: usize = 256;
/// Peers that are shown by name.
const PEERS_SHOWN: usize = 10;
/// What is said at the end of what was wrong with a tenant that left.
const TENANT_LEFT: &str = " It is over because the tenant was removed.";
/// Where so many series of a resource, and this share of them, are silent at
/// once, it is what measures them that failed.
const MANY_SILENT: usize = 10;
const MOST_SILENT: f64 = 0.5;

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
        let tenants = self.parts.registry.all_tenants().await?;
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

    async fn round(self: &Arc<Self>, tenants: &[Tenant]) -> Result<Round, EngineError> {
        let registry = &self.parts.registry;
        let frames = self.workspace.all_frames();
        let mut failing: BTreeSet<Resource> =
            self.workspace.source_problems().into_iter().map(|(resource, _)| resource).collect();
        failing.extend(frames.iter().filter(|frame| self.is_dark(frame)).map(|frame| frame.resource));
        Ok(Round {
            spend: self.spend_anomalies(tenants, &frames).await?,
            overruns: self.budget_overruns(tenants).await?,
            breaches: self.sla_breaches(tenants).await?,
            used_up: self.used_up(tenants),
            rolled_back: self.rolled_back().await?,
            frames: frames.into(),
            tiers: tenants.iter().map(|tenant| (tenant.id.clone(), tenant.tier)).collect(),
            open: registry.open_incidents().await?,
            silences: registry.silences().await?,
            markers: registry.markers().await?,
            failing: failing.into(),
            groups: BTreeMap::new(),
        })
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
    async fn spend_anomalies(
        self: &Arc<Self>,
        tenants: &[Tenant],
        frames: &[Arc<Frame>],
    ) -> Result<Arc<BTreeMap<TenantId, Finding>>, EngineError> {
        if self.prices().is_none() {
            return Ok(Arc::default());
        }
        let ends = frames.iter().flat_map(|frame| frame.series.values().map(|series| series.end()));
        let Some(end) = ends.max() else { return Ok(Arc::default()) };
        let today = notices::day_of(end.min(self.now()));
        if let Some((day, known)) = self.workspace.spend.read().as_ref()
            && *day == today
        {
            return Ok(Arc::clone(known));
        }
        let (engine, tenants, frames) = (Arc::clone(self), tenants.to_vec(), frames.to_vec());
        let compute = move || match engine.prices() {
            Some(prices) => spend::anomalies(&tenants, &frames, &prices, today, &engine.settings().incidents),
            None => BTreeMap::new(),
        };
        let found = Arc::new(self.parts.compute.run(compute).await?);
        *self.workspace.spend.write() = Some((today, Arc::clone(&found)));
        Ok(found)
    }

    /// What is wrong with some tenants. Those inside of a marker are left out: all
    /// stays as it is.
    async fn look_at(
        self: &Arc<Self>,
        tenants: &[Tenant],
        round: &Round,
    ) -> Result<Vec<(TenantId, Found)>, EngineError> {
        let now = self.now();
        let mut cases = Vec::new();
        for tenant in tenants {
            if !round.markers.iter().any(|marker| marker.covers(&tenant.id, now)) {
                let known = round.open.get(&tenant.id).map(|(incident, _)| incident.clone());
                cases.push((tenant.id.clone(), self.parts.registry.quotas(&tenant.id).await?, known));
            }
        }
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
            let one = |(tenant, quotas, known): (TenantId, Vec<Quota>, Option<Incident>)| {
                let mut found = nothing.clone();
                for frame in &*frames {
                    let source_answers = !failing.contains(&frame.resource);
                    engine.look_at_usage(&tenant, frame, &quotas, known.as_ref(), source_answers, &mut found);
                }
                (tenant, found)
            };
            cases.into_par_iter().map(one).collect()
        };
        let mut all: Vec<(TenantId, Found)> = self.parts.compute.run(look).await?;
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
        self.name_peers(&mut incident, round);
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

    /// Says of each unusual usage that has no peers yet who moved as well.
    fn name_peers(&self, incident: &mut Incident, round: &mut Round) {
        let tenant = incident.tenant.clone();
        for finding in incident.findings.iter_mut().filter(|finding| finding.is_open()) {
            let resource = finding.resource.filter(|_| finding.kind == FindingKind::UnusualUsage);
            if let Some(resource) = resource.filter(|_| finding.peers.is_none()) {
                finding.peers = self.peers(&tenant, resource, round);
            }
        }
    }

    fn peers(&self, tenant: &TenantId, resource: Resource, round: &mut Round) -> Option<Peers> {
        let frame = round.frames.iter().find(|frame| frame.resource == resource)?;
        let groups = round.groups.entry(resource).or_insert_with(|| peers::groups(frame));
        let tiers = &round.tiers;
        let (chosen_by, alike): (String, Vec<&TenantId>) = match groups.get(tenant) {
            Some(own) => {
                let alike = groups.iter().filter(|(_, group)| *group == own).map(|(other, _)| other);
                ("tenants whose day has the same shape".to_owned(), alike.collect())
            }
            None => {
                let own = tiers.get(tenant)?;
                let alike = tiers.iter().filter(|(_, tier)| *tier == own).map(|(other, _)| other);
                (format!("tenants of the tier {own}"), alike.collect())
            }
        };
        // Of who is not measured, or is silent, nobody knows whether it moved.
        let (now, settings) = (self.now(), self.settings());
        let is_measured = |other: &TenantId| {
            let last = frame.series.get(other).and_then(UsageSeries::last_sample);
            last.is_some_and(|(at, _)| now.since(at) <= settings.incidents.longest_silence(frame.step))
        };
        let alike: Vec<&TenantId> =
            alike.into_iter().filter(|other| *other != tenant && is_measured(other)).collect();
        let glances = self.workspace.glances.read();
        let rules = settings.incidents.run_rules();
        let moved = |other: &&&TenantId| {
            let key = SeriesKey { tenant: (**other).clone(), resource };
            glances.get(&key).is_some_and(|glance| glance.run(rules).is_some())
        };
        let moved: Vec<TenantId> = alike.iter().filter(moved).map(|other| (*other).clone()).collect();
        (!alike.is_empty()).then(|| Peers {
            chosen_by,
            count: alike.len() as u64,
            also_moved_count: moved.len() as u64,
            also_moved: moved.into_iter().take(PEERS_SHOWN).collect(),
        })
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
