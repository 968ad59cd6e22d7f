//! Incidents: at most one is open for a tenant. What receivers are told of one
//! is written in the same commit as the incident itself.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::known::is_of_today;
use super::{Registry, RegistryError, Remark, append_audit, decode, outbox, put};
use crate::domain::{
    Acknowledgement, AuditAction, AuditEvent, Feedback, FindingKind, Incident, IncidentId, Notice, Resource,
    Severity, TenantId, TimeRange, Timestamp,
};
use crate::ports::{Batch, Expect, Order, Table, Versioned, Write};

/// Which incidents a listing shows.
#[derive(Debug, Clone, Default)]
pub struct IncidentFilter {
    /// Those of this tenant.
    pub tenant: Option<TenantId>,
    /// Those that concern this resource.
    pub resource: Option<Resource>,
    /// Those in this state, by its name.
    pub state: Option<String>,
    /// Those with a finding of this kind.
    pub kind: Option<FindingKind>,
    /// Those that matter at least so much.
    pub severity: Option<Severity>,
}

impl IncidentFilter {
    fn takes(&self, incident: &Incident) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == incident.tenant)
            && self.resource.is_none_or(|resource| incident.resources.contains(&resource))
            && self.state.as_deref().is_none_or(|state| state == incident.state())
            && self.kind.is_none_or(|kind| incident.findings.iter().any(|finding| finding.kind == kind))
            && self.severity.is_none_or(|least| incident.severity >= least)
    }
}

/// The alerts of a tenant on one day.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AlertBudget {
    /// The day's begin, in UTC.
    pub day: Timestamp,
    /// How many were sent.
    pub sent: usize,
    /// The incidents that were kept back.
    pub kept_back: Vec<IncidentId>,
}

/// An incident to write, with what is told of it.
#[derive(Debug, Clone)]
pub struct IncidentWrite {
    /// The incident.
    pub incident: Incident,
    /// The version that it starts from; `None` for a new one.
    pub version: Option<u64>,
    /// What receivers are told.
    pub notice: Option<Notice>,
    /// The tenant's budget afterwards, where it changes.
    pub budget: Option<AlertBudget>,
    /// The line of the audit log, where it opened, got worse or ended.
    pub audit: Option<AuditEvent>,
}

impl Registry {
    /// Writes an incident with what is told of it and its line in the audit log,
    /// together.
    ///
    /// # Errors
    /// A conflict where somebody else wrote it first.
    pub async fn write_incident(&self, write: &IncidentWrite) -> Result<(), RegistryError> {
        let IncidentWrite { incident, version, notice, budget, audit } = write;
        let mut batch = Batch::default();
        let expect = version.map_or(Expect::Absent, Expect::Version);
        batch.writes.push(put(Table::Incidents, incident.id.to_string(), expect, incident)?);
        let tenant = incident.tenant.to_string();
        if incident.resolved_at.is_some() {
            let (table, expect) = (Table::OpenIncidents, Expect::Anything);
            batch.writes.push(Write::Delete { table, key: tenant.clone(), expect });
        } else if version.is_none() {
            batch.writes.push(put(Table::OpenIncidents, tenant.clone(), Expect::Absent, &incident.id)?);
        }
        if let Some(budget) = budget {
            batch.writes.push(put(Table::AlertBudgets, tenant, Expect::Anything, budget)?);
        }
        if let Some(notice) = notice {
            outbox::enqueue(&mut batch, notice)?;
        }
        if let Some(audit) = audit {
            batch.writes.push(append_audit(audit)?);
        }
        self.commit_incident(incident, batch).await
    }

    /// One incident with its version.
    ///
    /// # Errors
    /// Where there is none of this id.
    pub async fn incident(&self, id: IncidentId) -> Result<(Incident, u64), RegistryError> {
        let found = self.read(Table::Incidents, &id.to_string()).await?;
        found.ok_or(RegistryError::NoSuchIncident(id))
    }

    /// The incident that is open for a tenant.
    pub async fn open_incident(&self, tenant: &TenantId) -> Result<Option<Incident>, RegistryError> {
        let Some((id, _)) = self.read::<IncidentId>(Table::OpenIncidents, tenant.as_str()).await? else {
            return Ok(None);
        };
        Ok(Some(self.incident(id).await?.0))
    }

    /// All incidents that are open, with their versions, by tenant.
    pub async fn open_incidents(&self) -> Result<BTreeMap<TenantId, (Incident, u64)>, RegistryError> {
        let mut open = BTreeMap::new();
        for (key, value) in self.everything(Table::OpenIncidents).await? {
            let id: IncidentId = decode(Table::OpenIncidents, &key, &value)?;
            let (incident, version) = self.incident(id).await?;
            open.insert(incident.tenant.clone(), (incident, version));
        }
        Ok(open)
    }

    /// Up to `limit` incidents that the filter takes, the newest first, of
    /// those older than `before`.
    pub async fn incidents(
        &self,
        filter: &IncidentFilter,
        before: Option<IncidentId>,
        limit: usize,
    ) -> Result<Vec<Incident>, RegistryError> {
        self.newest(Table::Incidents, before.map(|id| id.to_string()), limit, |key, value| {
            if !is_of_today(key) {
                return Ok(None);
            }
            let incident: Incident = decode(Table::Incidents, key, value)?;
            Ok(filter.takes(&incident).then_some(incident))
        })
        .await
    }

    /// The times since `since` whose samples are none to learn from, by tenant
    /// and resource: those of unusual usage that nobody called usual, and
    /// those inside of markers. Of unusual usage that goes on for longer than
    /// `longest`, what comes later is how the tenant is now.
    pub async fn times_not_to_learn(
        &self,
        since: Timestamp,
        longest: Duration,
    ) -> Result<NotToLearn, RegistryError> {
        let of_series = self.incident_index().await?.spoiled_since(since, longest);
        let mut markers = self.markers().await?;
        markers.retain(|marker| marker.until > since);
        Ok(NotToLearn { of_series, markers })
    }

    /// Says that somebody takes care of an incident. Doing so twice changes
    /// nothing.
    ///
    /// # Errors
    /// Where there is no such incident, or it is over.
    pub async fn acknowledge(&self, id: IncidentId, remark: Remark) -> Result<Incident, RegistryError> {
        let (mut incident, version) = self.incident(id).await?;
        if incident.resolved_at.is_some() {
            return Err(RegistryError::IncidentOver(id));
        }
        if incident.acknowledged.is_some() {
            return Ok(incident);
        }
        let (at, by, comment) = (self.now(), remark.by.clone(), remark.comment.clone());
        incident.acknowledged = Some(Acknowledgement { by, at, comment });
        let states = ["open", "acknowledged"].map(|state| serde_json::json!(state));
        self.write_remark(&incident, version, AuditAction::IncidentAcknowledged, states, remark).await?;
        Ok(incident)
    }

    /// Keeps what a person says of an incident; the last word counts.
    ///
    /// # Errors
    /// Where there is no such incident.
    pub async fn judge_incident(
        &self,
        id: IncidentId,
        is_true: bool,
        remark: Remark,
    ) -> Result<Incident, RegistryError> {
        let (mut incident, version) = self.incident(id).await?;
        let before = incident.feedback.as_ref().map(|feedback| feedback.is_true);
        let (at, by, comment) = (self.now(), remark.by.clone(), remark.comment.clone());
        incident.feedback = Some(Feedback { is_true, by, at, comment });
        let words = [serde_json::json!(before), serde_json::json!(is_true)];
        self.write_remark(&incident, version, AuditAction::IncidentJudged, words, remark).await?;
        Ok(incident)
    }

    async fn write_remark(
        &self,
        incident: &Incident,
        version: u64,
        action: AuditAction,
        words: [serde_json::Value; 2],
        remark: Remark,
    ) -> Result<(), RegistryError> {
        let comment = remark.comment.unwrap_or_else(|| format!("incident {}", incident.id));
        let remark = Remark { comment: Some(comment), ..remark };
        let event = self.event(action, (Some(incident.tenant.clone()), None), words, remark);
        let write = put(Table::Incidents, incident.id.to_string(), Expect::Version(version), incident)?;
        self.commit_incident(incident, Batch { writes: vec![write, append_audit(&event)?] }).await
    }

    /// The alert budget of a tenant, as it was written last.
    pub async fn alert_budget(&self, tenant: &TenantId) -> Result<AlertBudget, RegistryError> {
        let found = self.read(Table::AlertBudgets, tenant.as_str()).await?;
        Ok(found.map(|(budget, _)| budget).unwrap_or_default())
    }

    /// The budgets of days before `today` that kept alerts back.
    pub async fn overrun_budgets(
        &self,
        today: Timestamp,
    ) -> Result<Vec<(TenantId, AlertBudget)>, RegistryError> {
        let mut overrun = Vec::new();
        for (key, value) in self.everything(Table::AlertBudgets).await? {
            let budget: AlertBudget = decode(Table::AlertBudgets, &key, &value)?;
            if budget.day < today && !budget.kept_back.is_empty() {
                overrun.push((key.parse()?, budget));
            }
        }
        Ok(overrun)
    }

    /// Tells of what a budget kept back, once: the tenant begins the day with
    /// a new one.
    pub async fn summarise_alerts(
        &self,
        tenant: &TenantId,
        fresh: &AlertBudget,
        notice: &Notice,
    ) -> Result<(), RegistryError> {
        let mut batch = Batch::default();
        batch.writes.push(put(Table::AlertBudgets, tenant.to_string(), Expect::Anything, fresh)?);
        outbox::enqueue(&mut batch, notice)?;
        Ok(self.store.commit(batch).await?)
    }

    /// Forgets incidents that were over before `instant`; gives how many.
    pub async fn forget_incidents_before(&self, instant: Timestamp) -> Result<usize, RegistryError> {
        let mut index = self.incident_index().await?;
        let over = index.over_before(instant);
        if over.is_empty() {
            return Ok(0);
        }
        let (table, expect) = (Table::Incidents, Expect::Anything);
        let deletes = over.iter().map(|key| Write::Delete { table, key: key.clone(), expect });
        self.commit(deletes.collect()).await?;
        index.forget(&over);
        Ok(over.len())
    }

    pub(super) async fn everything(&self, table: Table) -> Result<Vec<(String, Versioned)>, RegistryError> {
        Ok(self.store.scan(table, "", None, Order::Upwards, usize::MAX).await?)
    }
}

/// Times whose samples are none to learn from.
#[derive(Debug, Clone, Default)]
pub struct NotToLearn {
    of_series: BTreeMap<(TenantId, Resource), Vec<TimeRange>>,
    markers: Vec<crate::domain::Marker>,
}

impl NotToLearn {
    /// Whether a sample of this series at this instant is none to learn from.
    pub fn covers(&self, tenant: &TenantId, resource: Resource, at: Timestamp) -> bool {
        self.spans(tenant, resource).iter().any(|span| span.start <= at && at < span.end)
    }

    /// The times of one series, in no order; they may overlap.
    pub fn spans(&self, tenant: &TenantId, resource: Resource) -> Vec<TimeRange> {
        let mut spans = self.of_series.get(&(tenant.clone(), resource)).cloned().unwrap_or_default();
        let own = |marker: &&crate::domain::Marker| marker.tenant.as_ref().is_none_or(|id| id == tenant);
        let marked = self.markers.iter().filter(own);
        spans.extend(marked.map(|marker| TimeRange { start: marker.from, end: marker.until }));
        spans
    }
}
