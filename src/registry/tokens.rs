//! Tokens, of which only the hash is kept.

use serde::{Deserialize, Serialize};

use super::{Registry, RegistryError, append_audit, put};
use crate::domain::{Actor, AuditAction, AuditEvent, Timestamp};
use crate::ports::{Expect, Order, Table};

/// What is kept of a token, under its hash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// The name that stands in the audit log.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Registry {
    /// Whether any token exists.
    pub async fn has_token(&self) -> Result<bool, RegistryError> {
        Ok(!self.store.scan(Table::Tokens, "", None, Order::Upwards, 1).await?.is_empty())
    }

    /// What is kept under a token's hash.
    pub async fn token(&self, hash: &str) -> Result<Option<TokenRecord>, RegistryError> {
        Ok(self.read(Table::Tokens, hash).await?.map(|(record, _)| record))
    }

    /// Keeps a token's hash under a name; one that is kept already stays.
    pub async fn add_token(&self, hash: &str, name: &str) -> Result<(), RegistryError> {
        if self.token(hash).await?.is_some() {
            return Ok(());
        }
        let now = self.now();
        let record = TokenRecord { name: name.to_owned(), created_at: now };
        let event = AuditEvent {
            at: now,
            actor: Actor::Daemon,
            action: AuditAction::TokenCreated,
            tenant: None,
            resource: None,
            before: serde_json::Value::Null,
            after: serde_json::json!(name),
            reason: "made at start".to_owned(),
            request_id: None,
        };
        let write = put(Table::Tokens, hash.to_owned(), Expect::Absent, &record)?;
        Ok(self.commit(vec![write, append_audit(&event)?]).await?)
    }
}
