//! The versions of the forecasting models. What was fitted is in memory and is
//! made again from the history; here stands what it was and what became of it.

use super::{Registry, RegistryError, Remark, append_audit, decode, put};
use crate::domain::{AuditAction, ModelVersion, Resource};
use crate::ports::{Expect, Order, Table, Write};

/// Versions that are remembered of each resource.
const VERSIONS_KEPT: usize = 100;

/// One version in the place of another.
#[derive(Debug, Clone)]
pub struct Replacement {
    /// The version that was used before.
    pub before: u64,
    /// The version that is used since.
    pub after: u64,
    /// Whether another won, or a person went back.
    pub action: AuditAction,
    /// Who says so, and why.
    pub remark: Remark,
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
    /// line of the audit log in the same commit. The oldest are forgotten.
    pub async fn put_models(
        &self,
        versions: &[ModelVersion],
        replaced: Option<Replacement>,
    ) -> Result<(), RegistryError> {
        let Some(first) = versions.first() else { return Ok(()) };
        let mut writes = Vec::new();
        for version in versions {
            writes.push(put(Table::Models, key(version), Expect::Anything, version)?);
        }
        if let Some(Replacement { before, after, action, remark }) = replaced {
            let values = [serde_json::json!(before), serde_json::json!(after)];
            let event = self.event(action, (None, Some(first.resource)), values, remark);
            writes.push(append_audit(&event)?);
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
