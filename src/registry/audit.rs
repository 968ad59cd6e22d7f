//! Reading the audit log. It is written by the changes themselves.

use serde::Serialize;

use super::{Registry, RegistryError, decode};
use crate::domain::{AuditEvent, TenantId};
use crate::ports::{Order, StoreError, Table, append_key};

/// How many lines a filtered listing reads at once.
const SCAN_CHUNK: usize = 256;

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
    /// Up to `limit` lines below the number `before`, the newest first, of one
    /// tenant or of all.
    pub async fn audit(
        &self,
        tenant: Option<&TenantId>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<NumberedAuditEvent>, RegistryError> {
        let mut cursor = before.map(append_key);
        let mut page = Vec::new();
        loop {
            let chunk =
                self.store.scan(Table::Audit, "", cursor.as_deref(), Order::Downwards, SCAN_CHUNK).await?;
            for (key, value) in &chunk {
                let event: AuditEvent = decode(Table::Audit, key, value)?;
                if tenant.is_none_or(|tenant| event.tenant.as_ref() == Some(tenant)) {
                    page.push(NumberedAuditEvent { number: number_of(key)?, event });
                }
                if page.len() == limit {
                    return Ok(page);
                }
            }
            match chunk.last() {
                Some((key, _)) if chunk.len() == SCAN_CHUNK => cursor = Some(key.clone()),
                _ => return Ok(page),
            }
        }
    }
}

fn number_of(key: &str) -> Result<u64, StoreError> {
    key.parse().map_err(|_| StoreError::Corrupt {
        table: Table::Audit,
        key: key.to_owned(),
        message: "the key is no number".to_owned(),
    })
}
