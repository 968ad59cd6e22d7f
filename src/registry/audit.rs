//! The audit log: how a line of it is made, and how it is read. It is written
//! by the changes themselves. Each line holds the hash of the line before;
//! signed checkpoints say from time to time how long the log is and what stands
//! for all of it, and leave the host.

mod checkpoints;
mod inspection;
mod retention;
#[cfg(test)]
mod tests;

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

pub use checkpoints::CheckpointRecord;
pub use inspection::{Cut, Finding, Inspection, Report};

use super::{Registry, RegistryError};
use crate::domain::{Actor, AuditAction, AuditEvent, Resource, TenantId, Timestamp};
use crate::ports::{Order, Reloaded, StoreError, Table, Versioned, append_key};
use crate::security::{hex, sha256};

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

/// A line of the log with its place in the chain; the first has the number 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct NumberedAuditEvent {
    /// Its place in the log.
    pub number: u64,
    /// The hash of the line before as hexadecimal digits, zeros for the first.
    pub previous: String,
    /// Its own hash: the SHA-256 of the 32 bytes of `previous` and of the line
    /// as JSON with its keys sorted and no spaces.
    pub hash: String,
    /// The line.
    #[serde(flatten)]
    pub event: AuditEvent,
}

/// Which lines a search finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Those about this tenant.
    pub tenant: Option<TenantId>,
    /// Those about this resource.
    pub resource: Option<Resource>,
    /// Those of this kind.
    pub action: Option<AuditAction>,
    /// Those with this in the name of who did it, in small letters.
    pub actor: Option<String>,
    /// Those with this in the reason, the tenant's id or the request's id, in
    /// small letters.
    pub text: Option<String>,
    /// Those from this instant on.
    pub from: Option<Timestamp>,
    /// Those before this instant.
    pub to: Option<Timestamp>,
}

impl AuditFilter {
    fn takes(&self, event: &AuditEvent) -> bool {
        let has = |text: &str, part: &String| text.to_lowercase().contains(part.as_str());
        let in_text = |part: &String| {
            let about = event.tenant.as_ref().map_or("", TenantId::as_str);
            let request = event.request_id.as_deref().unwrap_or_default();
            has(&event.reason, part) || has(about, part) || has(request, part)
        };
        self.tenant.as_ref().is_none_or(|tenant| event.tenant.as_ref() == Some(tenant))
            && self.resource.is_none_or(|resource| event.resource == Some(resource))
            && self.action.is_none_or(|action| event.action == action)
            && self.actor.as_ref().is_none_or(|actor| has(&event.actor.to_string(), actor))
            && self.text.as_ref().is_none_or(in_text)
            && self.to.is_none_or(|to| event.at < to)
    }
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

    /// Writes down what is done outside of the state.
    pub async fn write_event(
        &self,
        action: AuditAction,
        about: (Option<TenantId>, Option<Resource>),
        values: [serde_json::Value; 2],
        remark: Remark,
    ) -> Result<(), RegistryError> {
        let event = self.event(action, about, values, remark);
        Ok(self.commit(vec![super::append_audit(&event)?]).await?)
    }

    /// Writes down that the config was read again and taken.
    pub async fn config_reloaded(&self, reloaded: &Reloaded, remark: Remark) -> Result<(), RegistryError> {
        let values = [serde_json::Value::Null, serde_json::json!(reloaded)];
        self.write_event(AuditAction::ConfigReloaded, (None, None), values, remark).await
    }

    /// Up to `limit` lines that the filter takes, the newest first, of those
    /// below the number `before`.
    pub async fn search_audit(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<NumberedAuditEvent>, RegistryError> {
        let mut page = Vec::new();
        self.walk((Table::Audit, "", Order::Downwards), before.map(append_key), |key, value| {
            let line = line(key, value)?;
            if filter.from.is_some_and(|from| line.event.at < from) {
                return Ok(ControlFlow::Break(()));
            }
            if filter.takes(&line.event) {
                page.push(line);
            }
            Ok(if page.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
        .await?;
        Ok(page)
    }

    /// Up to `limit` lines of one tenant or of all, the newest first, of those
    /// below the number `before`.
    pub async fn audit(
        &self,
        tenant: Option<&TenantId>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<NumberedAuditEvent>, RegistryError> {
        let filter = AuditFilter { tenant: tenant.cloned(), ..AuditFilter::default() };
        self.search_audit(&filter, before, limit).await
    }

    /// Up to `limit` lines, the oldest first, of those above the number `after`.
    pub async fn audit_after(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<NumberedAuditEvent>, RegistryError> {
        let after = append_key(after);
        let found = self.store.scan(Table::Audit, "", Some(&after), Order::Upwards, limit).await?;
        found.iter().map(|(key, value)| Ok(line(key, value)?)).collect()
    }
}

/// A line as it is stored: the hash of the line before, and the event.
fn line(key: &str, value: &Versioned) -> Result<NumberedAuditEvent, StoreError> {
    let corrupt = |message: String| StoreError::Corrupt { table: Table::Audit, key: key.to_owned(), message };
    let (previous, body) = value
        .bytes
        .split_first_chunk::<32>()
        .ok_or_else(|| corrupt("it is shorter than a hash".to_owned()))?;
    let event = serde_json::from_slice(body).map_err(|error| corrupt(error.to_string()))?;
    let number = number_of(key)?;
    Ok(NumberedAuditEvent { number, previous: hex(previous), hash: hex(&sha256([&*value.bytes])), event })
}

/// An event as it is hashed and stored: JSON with sorted keys, no spaces.
pub(super) fn canonical(event: &AuditEvent) -> Result<Vec<u8>, StoreError> {
    // Objects of serde_json's values are sorted by key.
    let value = serde_json::to_value(event).map_err(|error| StoreError::Io(error.to_string()))?;
    super::encode(&value)
}

fn number_of(key: &str) -> Result<u64, StoreError> {
    key.parse().map_err(|_| StoreError::Corrupt {
        table: Table::Audit,
        key: key.to_owned(),
        message: "the key is no number".to_owned(),
    })
}
