//! The state in the house's own words: typed records over the `Store` port.
//!
//! A change that matters is written together with its line in the audit log,
//! in one commit: what can't be audited does not happen. Every write names the
//! version that it starts from, so that two writers can't undo each other.

mod answers;
mod applied;
mod audit;
mod changes;
mod expiry;
mod incidents;
mod known;
mod models;
pub mod outbox;
mod pause;
mod quiet;
mod receivers;
mod recommendations;
mod refusals;
mod reports;
mod requests;
mod rollouts;
mod sizing;
mod standing;
mod template_removal;
mod templates;
mod tenants;
mod tokens;
mod watermarks;

use std::ops::ControlFlow;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

pub use answers::{AnswerLimits, KeptAnswer};
pub use audit::{
    AuditFilter, CheckpointRecord, Cut, Finding as AuditFinding, Inspection, NumberedAuditEvent, Remark,
    Report as AuditReport,
};
pub use changes::Outcome as ChangeOutcome;
pub use incidents::{AlertBudget, IncidentFilter, IncidentWrite, NotToLearn};
pub use known::CalledUsual;
pub use models::Replacement;
use outbox::enqueue;
pub use receivers::{Disabled, ReceiverRecord};
pub use recommendations::{Filter, Proposed, RecommendationRecord};
pub use reports::{KeptReport, ReportRun};
pub use requests::RequestFilter;
pub use sizing::{Before, Stands, Unread};
pub use standing::QuotaPage;
pub use templates::{Standing, TemplateFault, TemplateLimits, TemplateRecord, TemplateWritten};
pub use tenants::{NewTenant, TenantEdit};
pub use tokens::{NewToken, TokenRecord, TokenView};

use crate::domain::{
    AuditEvent, ChangeRequestId, DomainError, IncidentId, Pause, ReceiverName, RecommendationId, ReportId,
    Resource, RolloutId, TemplateName, TenantId, Timestamp, Verdict,
};
use crate::ports::{Batch, Clock, Expect, Order, Store, StoreError, StoreHealth, Table, Versioned, Write};
use crate::security::AddressError;

/// How many records a listing reads at once: few enough that to make them takes no
/// async thread a millisecond.
const SCAN_CHUNK: usize = 64;

/// Reads and writes the state.
#[derive(Clone)]
pub struct Registry {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    expiries: Arc<expiry::Expiries>,
    /// Read at the first question.
    incident_index: Arc<tokio::sync::Mutex<Option<known::IncidentIndex>>>,
    /// Likewise.
    answer_index: Arc<tokio::sync::Mutex<Option<answers::AnswerIndex>>>,
    standing: Arc<standing::Standing>,
}

/// A failure of the registry; reads well after "failed to".
#[derive(Debug, Clone, thiserror::Error)]
pub enum RegistryError {
    /// There is no such tenant.
    #[error("find the tenant {0}")]
    NoSuchTenant(TenantId),
    /// There is already such a tenant.
    #[error("create the tenant {0}: there is one already")]
    TenantExists(TenantId),
    /// Somebody else changed the tenant at the same time.
    #[error("change the tenant {0}: somebody else has changed it meanwhile; look at it again")]
    TenantMoved(TenantId),
    /// The tenant has no quota of this resource.
    #[error("find a quota of {1} for the tenant {0}")]
    NoSuchQuota(TenantId, Resource),
    /// There is no such recommendation.
    #[error("find the recommendation {0}")]
    NoSuchRecommendation(RecommendationId),
    /// The recommendation waits for nobody.
    #[error("decide on the recommendation {id}: it is already {state}")]
    AlreadyDecided {
        /// Which.
        id: RecommendationId,
        /// What has become of it.
        state: String,
    },
    /// There is no such request.
    #[error("find the change request {0}")]
    NoSuchRequest(ChangeRequestId),
    /// The request waits for nobody.
    #[error("decide on the change request {id}: it is already {state}")]
    RequestDecided {
        /// Which.
        id: ChangeRequestId,
        /// What has become of it.
        state: &'static str,
    },
    /// There may wait no more requests.
    #[error(
        "ask for the change: {0} wait for a second person, as many as approval.max_requests allows; decide on some"
    )]
    TooManyRequests(usize),
    /// There is no such incident.
    #[error("find the incident {0}")]
    NoSuchIncident(IncidentId),
    /// The incident is resolved.
    #[error("acknowledge the incident {0}: it is resolved already")]
    IncidentOver(IncidentId),
    /// There is no such report.
    #[error("find the report {0}")]
    NoSuchReport(ReportId),
    /// There is no such rollout.
    #[error("find the rollout {0}")]
    NoSuchRollout(RolloutId),
    /// There is no such silence.
    #[error("find the silence {0}")]
    NoSuchSilence(Uuid),
    /// There is no such marker.
    #[error("find the marker {0}")]
    NoSuchMarker(Uuid),
    /// The quota stands as it was first made.
    #[error("roll the quota of {1} for {0} back: it was never changed")]
    NothingToRollBack(TenantId, Resource),
    /// Rules stand against the change.
    #[error("change the quota: {0}")]
    Refused(Verdict),
    /// The quota is being changed by somebody else right now.
    #[error("change the quota of {1} for {0}: another change of it is on its way; try again")]
    Busy(TenantId, Resource),
    /// All changes are stopped.
    #[error(
        "change quotas: all changes are stopped by {by} since {at} ({reason}); `plimsoll resume` lets them be made again",
        by = .0.by, at = .0.at, reason = .0.reason
    )]
    Paused(Pause),
    /// There is no such receiver.
    #[error("find the receiver {0}")]
    NoSuchReceiver(ReceiverName),
    /// There is already such a receiver.
    #[error("create the receiver {0}: there is one already")]
    ReceiverExists(ReceiverName),
    /// Somebody else has changed the receiver since.
    #[error("change the receiver {0}: somebody else has changed it meanwhile; look at it again")]
    ReceiverMoved(ReceiverName),
    /// The receiver stands in the config.
    #[error("change the receiver {0}: it stands in the config; change it there")]
    ReceiverOfConfig(ReceiverName),
    /// There may be no more receivers.
    #[error("create a receiver: there are {0}, as many as notify.max_receivers allows")]
    TooManyReceivers(usize),
    /// A receiver may have fewer replicas.
    #[error("take {0} replicas: notify.max_replicas allows {1}")]
    TooManyReplicas(usize, usize),
    /// A receiver may not be told at this address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// There is no such dead letter.
    #[error("find the dead letter {1} of the receiver {0}")]
    NoSuchDeadLetter(ReceiverName, u64),
    /// Nothing is sent to a disabled receiver.
    #[error("send to {0}: it is disabled; `plimsoll notify enable {0}` sends to it again")]
    ReceiverIsDisabled(ReceiverName),
    /// Sending it now would turn the order round.
    #[error("send the dead letter {1} to {0} again: it has taken a later notice of the same incident since")]
    WouldOvertake(ReceiverName, u64),
    /// Sending it now would open what nobody ends.
    #[error(
        "send the dead letter {1} to {0} again: its incident is over, and its end will not be told there; look at it in GET /v1/incidents"
    )]
    WouldNotEnd(ReceiverName, u64),
    /// There is no such token.
    #[error("find the token {0}")]
    NoSuchToken(String),
    /// The bearer has a second factor.
    #[error("set up a second factor: this token has one; an administrator can take it away")]
    HasSecondFactor,
    /// The bearer has no second factor.
    #[error("check the code: this token has no second factor; POST /v1/token/second-factor sets one up")]
    NoSecondFactor,
    /// There is no such template, or not this version of it.
    #[error("find the template {0}{at}", at = .1.map(|version| format!("@{version}")).unwrap_or_default())]
    NoSuchTemplate(TemplateName, Option<u64>),
    /// There is already such a template.
    #[error("create the template {0}: there is one already")]
    TemplateExists(TemplateName),
    /// The template has a newer version.
    #[error(
        "change the template {name}: it has moved on from version {expected} to {found}; look at it again"
    )]
    TemplateMoved {
        /// Which.
        name: TemplateName,
        /// The version that was seen.
        expected: u64,
        /// The version that stands.
        found: u64,
    },
    /// Something stands on the template.
    #[error("remove the template {name}: {users} stand on it; give them another first")]
    TemplateInUse {
        /// Which.
        name: TemplateName,
        /// What stands on it.
        users: String,
    },
    /// There may be no more templates.
    #[error("create a template: there may be {0}, as templates.max_templates says")]
    TooManyTemplates(usize),
    /// Something is wrong with templates.
    #[error("take the template: {}", faults_of(.0))]
    TemplateRefused(Vec<TemplateFault>),
    /// A value that breaks a rule of the domain.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Registry {
    /// A registry over a store.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Registry {
            store,
            clock,
            expiries: Arc::default(),
            incident_index: Arc::default(),
            answer_index: Arc::default(),
            standing: Arc::default(),
        }
    }

    /// The present, by the clock that was passed in.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// How many writes wait to be made durable.
    pub fn waiting_writes(&self) -> usize {
        self.store.waiting()
    }

    /// How the store is doing.
    pub async fn health(&self) -> StoreHealth {
        self.store.health().await
    }

    /// Reads one record with its version.
    async fn read<T: DeserializeOwned>(
        &self,
        table: Table,
        key: &str,
    ) -> Result<Option<(T, u64)>, StoreError> {
        let Some(found) = self.store.get(table, key).await? else { return Ok(None) };
        let version = found.version;
        decode(table, key, &found).map(|record| Some((record, version)))
    }

    /// Shows the records of a table whose keys begin with `prefix` and lie beyond
    /// `after`, one by one, until `show` breaks off.
    async fn walk(
        &self,
        (table, prefix, order): (Table, &str, Order),
        after: Option<String>,
        mut show: impl FnMut(&str, &Versioned) -> Result<ControlFlow<()>, RegistryError>,
    ) -> Result<(), RegistryError> {
        let mut cursor = after;
        loop {
            let chunk = self.store.scan(table, prefix, cursor.as_deref(), order, SCAN_CHUNK).await?;
            for (key, value) in &chunk {
                if show(key, value)?.is_break() {
                    return Ok(());
                }
            }
            match chunk.last() {
                Some((key, _)) if chunk.len() == SCAN_CHUNK => cursor = Some(key.clone()),
                _ => return Ok(()),
            }
        }
    }

    /// Up to `limit` records of which `read` makes something, the one with the
    /// largest key first, of those below the key `before`.
    async fn newest<T>(
        &self,
        table: Table,
        before: Option<String>,
        limit: usize,
        read: impl Fn(&str, &Versioned) -> Result<Option<T>, RegistryError>,
    ) -> Result<Vec<T>, RegistryError> {
        let mut page = Vec::new();
        self.walk((table, "", Order::Downwards), before, |key, value| {
            page.extend(read(key, value)?);
            Ok(if page.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .await?;
        Ok(page)
    }

    async fn commit(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        if writes.iter().any(standing::concerns) {
            return self.commit_standing(writes).await;
        }
        self.store.commit(Batch { writes }).await
    }
}

fn decode<T: DeserializeOwned>(table: Table, key: &str, found: &Versioned) -> Result<T, StoreError> {
    serde_json::from_slice(&found.bytes).map_err(|error| StoreError::Corrupt {
        table,
        key: key.to_owned(),
        message: error.to_string(),
    })
}

fn encode<T: Serialize>(record: &T) -> Result<Vec<u8>, StoreError> {
    serde_json::to_vec(record).map_err(|error| StoreError::Io(error.to_string()))
}

fn put<T: Serialize>(table: Table, key: String, expect: Expect, record: &T) -> Result<Write, StoreError> {
    Ok(Write::Put { table, key, expect, bytes: encode(record)? })
}

fn append_audit(event: &AuditEvent) -> Result<Write, StoreError> {
    Ok(Write::Append { table: Table::Audit, bytes: audit::canonical(event)? })
}

fn faults_of(faults: &[TemplateFault]) -> String {
    let all: Vec<String> = faults.iter().map(|one| format!("{}: {}", one.template, one.fault)).collect();
    all.join("; ")
}

/// The key of what belongs to one resource of one tenant. No tenant id holds a
/// slash, so a tenant's keys are exactly those that begin with `id/`.
fn resource_key(tenant: &TenantId, resource: Resource) -> String {
    format!("{tenant}/{resource}")
}

#[cfg(test)]
mod tests;
