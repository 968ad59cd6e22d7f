//! The versions of the forecasting models. What was fitted is in memory and is
//! made again from the history; here stands what it was and what became of it.

use super::{Registry, RegistryError, append_audit, decode, put};
use crate::domain::{Actor, AuditAction, AuditEvent, ModelVersion, Resource};
use crate::ports::{Expect, Order, Table, Write};

/// Versions that are remembered of each resource.
const VERSIONS_KEPT: usize = 100;

/// Who replaced a model, and why.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// Whether another won, or a person went back.
    pub action: AuditAction,
    /// Who.
    pub by: Actor,
    /// Why.
    pub reason: String,
    /// The request that asked for it.
    pub request_id: Option<String>,
}

fn key(version: &ModelVersion) -> String {
    format!("{}/{:020}", version.resource, version.version)
}

impl Registry {
    /// Up to `limit` versions of a resource's models, the newest first.
    pub async fn models(&self, resource: Resource, limit: usize) -> Result<Vec<ModelVersion>, RegistryError> {
        let prefix = format!("{resource}/");
        let found = self.store.scan(Table::Models, &prefix, None, Order::Downwards, limit).await?;
        found.iter().map(|(key, value)| Ok(decode(Table::Models, key, value)?)).collect()
    }

    /// The number of a resource's next version.
    pub async fn next_model_version(&self, resource: Resource) -> Result<u64, RegistryError> {
        Ok(self.models(resource, 1).await?.first().map_or(1, |newest| newest.version + 1))
    }

    /// Writes versions of one resource, new or changed; with a replacement, its
    /// line of the audit log in the same commit. `after` is the version that is
    /// used since. The oldest are forgotten.
    pub async fn put_models(
        &self,
        versions: &[ModelVersion],
        replaced: Option<(Option<u64>, u64, Replacement)>,
    ) -> Result<(), RegistryError> {
        let Some(first) = versions.first() else { return Ok(()) };
        let mut writes = Vec::new();
        for version in versions {
            writes.push(put(Table::Models, key(version), Expect::Anything, version)?);
        }
        if let Some((before, after, replacement)) = replaced {
            writes.push(append_audit(&AuditEvent {
                at: self.now(),
                actor: replacement.by,
                action: replacement.action,
                tenant: None,
                resource: Some(first.resource),
                before: serde_json::json!(before),
                after: serde_json::json!(after),
                reason: replacement.reason,
                request_id: replacement.request_id,
            })?);
        }
        let newest = versions.iter().map(|version| version.version).max().unwrap_or(0);
        let oldest = format!("{}/{:020}", first.resource, newest.saturating_sub(VERSIONS_KEPT as u64));
        let prefix = format!("{}/", first.resource);
        let stale = self.store.scan(Table::Models, &prefix, Some(&oldest), Order::Downwards, 16).await?;
        writes.extend(stale.into_iter().map(|(key, _)| Write::Delete {
            table: Table::Models,
            key,
            expect: Expect::Anything,
        }));
        Ok(self.commit(writes).await?)
    }
}
