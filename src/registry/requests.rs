//! Changes of quotas that people asked for and that wait for a second person,
//! and what became of them.

use serde_json::json;

use super::changes::{Outcome, event};
use super::{Registry, RegistryError, Remark, append_audit, decode, put};
use crate::domain::{
    Actor, Approved, AuditAction, ChangeRequest, ChangeRequestId, QuotaChange, RequestState, TenantId,
    Timestamp,
};
use crate::ports::{Expect, Order, StoreError, Table, Write};

const TABLE: Table = Table::ChangeRequests;

/// Which requests a listing shows.
#[derive(Debug, Clone, Default)]
pub struct RequestFilter {
    /// Those of this tenant.
    pub tenant: Option<TenantId>,
    /// Those in this state, by its name.
    pub state: Option<String>,
}

impl RequestFilter {
    fn takes(&self, request: &ChangeRequest) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| *tenant == request.tenant)
            && self.state.as_deref().is_none_or(|state| state == request.state.name())
    }
}

impl Registry {
    /// Writes a request down, with whose it is.
    ///
    /// # Errors
    /// Where as many as `most` wait, or all changes are stopped.
    pub async fn ask_for_change(
        &self,
        request: ChangeRequest,
        most: usize,
        request_id: Option<String>,
    ) -> Result<ChangeRequest, RegistryError> {
        let state = Some(RequestState::Waiting.name().to_owned());
        let waiting = self.change_requests(&RequestFilter { tenant: None, state }, None, most).await?;
        if waiting.len() >= most {
            return Err(RegistryError::TooManyRequests(most));
        }
        let remark = Remark { by: request.by.clone(), comment: Some(request.reason.clone()), request_id };
        let writes = vec![
            put(TABLE, request.id.to_string(), Expect::Absent, &request)?,
            self.line(&request, AuditAction::ChangeRequested, remark)?,
        ];
        self.commit_unless_paused(writes).await?;
        Ok(request)
    }

    /// One request.
    ///
    /// # Errors
    /// Where there is none of this id.
    pub async fn change_request(&self, id: ChangeRequestId) -> Result<ChangeRequest, RegistryError> {
        Ok(self.request_with_version(id).await?.0)
    }

    /// Up to `limit` requests that the filter takes, the newest first, of those
    /// older than `before`.
    pub async fn change_requests(
        &self,
        filter: &RequestFilter,
        before: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ChangeRequest>, RegistryError> {
        self.newest(TABLE, before.map(str::to_owned), limit, |key, value| {
            let request: ChangeRequest = decode(TABLE, key, value)?;
            Ok(filter.takes(&request).then_some(request))
        })
        .await
    }

    /// Says no to a request, or takes it back.
    ///
    /// # Errors
    /// Where it waits no more.
    pub async fn reject_request(
        &self,
        id: ChangeRequestId,
        reason: String,
        remark: Remark,
    ) -> Result<ChangeRequest, RegistryError> {
        let (request, version) = self.waiting_request(id).await?;
        let (decided_by, decided_at) = (remark.by.clone(), self.now());
        let remark = Remark { comment: Some(reason.clone()), ..remark };
        let line = self.line(&request, AuditAction::ChangeRequestRejected, remark)?;
        let state = RequestState::Rejected { decided_by, decided_at, because: reason };
        let request = ChangeRequest { state, ..request };
        self.commit(vec![put(TABLE, id.to_string(), Expect::Version(version), &request)?, line]).await?;
        Ok(request)
    }

    /// Ends the requests that waited too long or whose quota has moved on, and
    /// forgets those from before `oldest` that were decided.
    pub async fn tend_requests(&self, oldest: Timestamp) -> Result<(), RegistryError> {
        let found = self.store.scan(TABLE, "", None, Order::Upwards, usize::MAX).await?;
        for (key, value) in found {
            let request: ChangeRequest = decode(TABLE, &key, &value)?;
            let expect = Expect::Version(value.version);
            let writes = match &request.state {
                RequestState::Approved { .. } => continue,
                RequestState::Waiting => match self.lapsed(&request).await? {
                    Some((state, why)) => {
                        let remark = Remark { by: Actor::Daemon, comment: Some(why), request_id: None };
                        let line = self.line(&request, AuditAction::ChangeRequestLapsed, remark)?;
                        vec![put(TABLE, key, expect, &ChangeRequest { state, ..request })?, line]
                    }
                    None => continue,
                },
                _ if request.at < oldest => vec![Write::Delete { table: TABLE, key, expect }],
                _ => continue,
            };
            match self.commit(writes).await {
                // Somebody decided meanwhile.
                Ok(()) | Err(StoreError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// What ends the requests of a tenant that leaves now.
    pub(super) async fn end_requests(&self, tenant: &TenantId) -> Result<Vec<Write>, RegistryError> {
        let state = Some(RequestState::Waiting.name().to_owned());
        let filter = RequestFilter { tenant: Some(tenant.clone()), state };
        let mut writes = Vec::new();
        for request in self.change_requests(&filter, None, usize::MAX).await? {
            let (request, version) = self.waiting_request(request.id).await?;
            let ended = ChangeRequest { state: RequestState::Stale { found_generation: 0 }, ..request };
            writes.push(put(TABLE, ended.id.to_string(), Expect::Version(version), &ended)?);
        }
        Ok(writes)
    }

    /// What has become of a request that waits, where that is over.
    async fn lapsed(&self, request: &ChangeRequest) -> Result<Option<(RequestState, String)>, RegistryError> {
        let found = match self.quota(&request.tenant, request.resource).await {
            Ok(quota) => quota.generation,
            Err(RegistryError::NoSuchTenant(_)) => 0,
            Err(error) => return Err(error),
        };
        Ok(if found != request.parent_generation {
            let why = format!(
                "the quota has changed since, from generation {} to {found}",
                request.parent_generation
            );
            Some((RequestState::Stale { found_generation: found }, why))
        } else if request.expires_at <= self.now() {
            Some((RequestState::Expired, "no second person came in time".to_owned()))
        } else {
            None
        })
    }

    /// What is written where the second person has approved a request.
    pub(super) async fn begin_request(
        &self,
        id: ChangeRequestId,
        approved: &Approved<QuotaChange>,
        limit: f64,
    ) -> Result<Vec<Write>, RegistryError> {
        let (request, version) = self.waiting_request(id).await?;
        let reason = approved.comment().map_or_else(|| request.reason.clone(), str::to_owned);
        let (action, at) = (AuditAction::ChangeRequestApproved, approved.at());
        let line = event(approved, action, json!(limit), json!(request.to), reason, at);
        let state = RequestState::Approved { decided_by: approved.by().clone(), decided_at: at };
        let request = ChangeRequest { state, ..request };
        let write = put(TABLE, id.to_string(), Expect::Version(version), &request)?;
        Ok(vec![write, append_audit(&line)?])
    }

    /// What is written where the change of an approved request has ended.
    pub(super) async fn end_request(
        &self,
        id: ChangeRequestId,
        approved: &Approved<QuotaChange>,
        outcome: &Outcome,
        generation: u64,
    ) -> Result<Write, RegistryError> {
        let (request, version) = self.request_with_version(id).await?;
        let state = match outcome {
            Outcome::Enforced => RequestState::Applied {
                decided_by: approved.by().clone(),
                decided_at: self.now(),
                generation,
            },
            Outcome::Failed(why) => RequestState::Failed { because: why.clone() },
        };
        let request = ChangeRequest { state, ..request };
        Ok(put(TABLE, id.to_string(), Expect::Version(version), &request)?)
    }

    async fn request_with_version(&self, id: ChangeRequestId) -> Result<(ChangeRequest, u64), RegistryError> {
        let found = self.read(TABLE, &id.to_string()).await?;
        found.ok_or(RegistryError::NoSuchRequest(id))
    }

    async fn waiting_request(&self, id: ChangeRequestId) -> Result<(ChangeRequest, u64), RegistryError> {
        let (request, version) = self.request_with_version(id).await?;
        match request.state {
            RequestState::Waiting => Ok((request, version)),
            other => Err(RegistryError::RequestDecided { id, state: other.name() }),
        }
    }

    /// The line of the log for what becomes of a request.
    fn line(
        &self,
        request: &ChangeRequest,
        action: AuditAction,
        remark: Remark,
    ) -> Result<Write, StoreError> {
        let about = (Some(request.tenant.clone()), Some(request.resource));
        let event = self.event(action, about, [json!(request.from), json!(request.to)], remark);
        append_audit(&event)
    }
}
