//! The audit log: how a line of it is made, and how it is read. It is written
//! by the changes themselves.

use serde::Serialize;

use super::{Registry, RegistryError, decode};
use crate::domain::{Actor, AuditAction, AuditEvent, Resource, TenantId};
use crate::ports::{StoreError, Table, append_key};

/// Who changes something, and what they say of it.
#[derive(Debug, Clone)]
pub struct Remark {
    /// Who.
    pub by: Actor,
    /// What they say.
    pub comment: Option<String>,
    /// The request's id.
    pub request_id: Option<String>,
}

/// A line of the log with its number; the first is 1.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct NumberedAuditEvent {
    /// Its place in the log.
    pub number: u64,
    /// The line.
    #[serde(flatten)]
    pub event: AuditEvent,
}

impl Registry {
    /// The line of the log for what is done now, about a tenant, a resource or
    /// neither.
    pub(super) fn event(
        &self,
        action: AuditAction,
        (tenant, resource): (Option<TenantId>, Option<Resource>),
        [before, after]: [serde_json::Value; 2],
        remark: Remark,
    ) -> AuditEvent {
        let Remark { by: actor, comment, request_id } = remark;
        let reason = comment.unwrap_or_default();
        AuditEvent { at: self.now(), actor, action, tenant, resource, before, after, reason, request_id }
    }

    /// Up to `limit` lines below the number `before`, the newest first, of one
    /// tenant or of all.
    pub async fn audit(
        &self,
        tenant: Option<&TenantId>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<NumberedAuditEvent>, RegistryError> {
        self.newest(Table::Audit, before.map(append_key), limit, |key, value| {
            let event: AuditEvent = decode(Table::Audit, key, value)?;
            let wanted = tenant.is_none_or(|tenant| event.tenant.as_ref() == Some(tenant));
            Ok(if wanted { Some(NumberedAuditEvent { number: number_of(key)?, event }) } else { None })
        })
        .await
    }
}

fn number_of(key: &str) -> Result<u64, StoreError> {
    key.parse().map_err(|_| StoreError::Corrupt {
        table: Table::Audit,
        key: key.to_owned(),
        message: "the key is no number".to_owned(),
    })
}
