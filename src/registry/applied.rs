//! Changes of quotas that were carried out, and what was measured of them. They
//! are kept beside the audit log, since savings are read by quota and by time.

use std::ops::ControlFlow;

use super::{Registry, RegistryError, SCAN_CHUNK, decode, put, resource_key};
use crate::domain::{AppliedChange, Measured, Resource, TenantId, Timestamp};
use crate::ports::{Expect, Order, StoreError, Table, Write};

/// The key of a change; those of one quota sort by time. Generations begin anew
/// where a tenant comes back under its old name.
fn key(change: &AppliedChange) -> String {
    let quota = resource_key(&change.tenant, change.resource);
    format!("{quota}/{:020}/{:020}", change.at.millis(), change.generation)
}

/// Writes a change down.
pub(super) fn put_applied(expect: Expect, change: &AppliedChange) -> Result<Write, StoreError> {
    put(Table::Changes, key(change), expect, change)
}

impl Registry {
    /// The changes of one quota since an instant, the oldest first.
    pub async fn applied_to(
        &self,
        tenant: &TenantId,
        resource: Resource,
        since: Timestamp,
    ) -> Result<Vec<AppliedChange>, RegistryError> {
        let prefix = format!("{}/", resource_key(tenant, resource));
        let mut found = Vec::new();
        self.each_applied(&prefix, Order::Downwards, |_, _, change| {
            if change.at < since {
                return ControlFlow::Break(());
            }
            found.push(change);
            ControlFlow::Continue(())
        })
        .await?;
        found.reverse();
        Ok(found)
    }

    /// All changes that are kept, of one tenant or of all, by tenant, resource
    /// and time.
    pub async fn applied(&self, tenant: Option<&TenantId>) -> Result<Vec<AppliedChange>, RegistryError> {
        let prefix = tenant.map_or_else(String::new, |tenant| format!("{tenant}/"));
        let mut found = Vec::new();
        self.each_applied(&prefix, Order::Upwards, |_, _, change| {
            found.push(change);
            ControlFlow::Continue(())
        })
        .await?;
        Ok(found)
    }

    /// Writes down what was measured of a change. Nothing happens where it is
    /// kept no more.
    pub async fn measured(&self, change: &AppliedChange, measured: Measured) -> Result<(), RegistryError> {
        let Some((known, version)) = self.read::<AppliedChange>(Table::Changes, &key(change)).await? else {
            return Ok(());
        };
        let after = AppliedChange { measured: Some(measured), ..known };
        Ok(self.commit(vec![put_applied(Expect::Version(version), &after)?]).await?)
    }

    /// Forgets the changes from before an instant.
    pub async fn forget_applied_before(&self, oldest: Timestamp) -> Result<(), RegistryError> {
        let mut writes = Vec::new();
        self.each_applied("", Order::Upwards, |key, _, change| {
            if change.at < oldest {
                let expect = Expect::Anything;
                writes.push(Write::Delete { table: Table::Changes, key: key.to_owned(), expect });
            }
            ControlFlow::Continue(())
        })
        .await?;
        for some in writes.chunks(SCAN_CHUNK) {
            self.commit(some.to_vec()).await?;
        }
        Ok(())
    }

    /// What ends the changes of a tenant that leaves now.
    pub(super) async fn end_applied(&self, tenant: &TenantId) -> Result<Vec<Write>, RegistryError> {
        let (now, mut ended) = (self.now(), Vec::new());
        self.each_applied(&format!("{tenant}/"), Order::Upwards, |_, version, change| {
            // Those of a tenant of the same name that left earlier have ended.
            if change.left_at.is_none() {
                ended.push((version, AppliedChange { left_at: Some(now), ..change }));
            }
            ControlFlow::Continue(())
        })
        .await?;
        let write = |(version, change)| Ok(put_applied(Expect::Version(version), &change)?);
        ended.into_iter().map(write).collect()
    }

    /// Shows the changes under a prefix one by one, each with its key and version.
    async fn each_applied(
        &self,
        prefix: &str,
        order: Order,
        mut show: impl FnMut(&str, u64, AppliedChange) -> ControlFlow<()>,
    ) -> Result<(), RegistryError> {
        self.walk((Table::Changes, prefix, order), None, |key, value| {
            Ok(show(key, value.version, decode(Table::Changes, key, value)?))
        })
        .await
    }
}
