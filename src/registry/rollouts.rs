//! Rollouts: each a record with its plan and what has become of it, and the ids
//! of those that are not over. Where one begins, goes on or ends, its line in
//! the audit log is part of the same commit.

use serde_json::json;

use super::{Registry, RegistryError, Remark, SCAN_CHUNK, append_audit, decode, put};
use crate::domain::{AuditAction, Rollout, RolloutId, Timestamp};
use crate::ports::{Expect, Order, Table, Write};

impl Registry {
    /// One rollout with its version.
    ///
    /// # Errors
    /// Where there is none of this id.
    pub async fn rollout(&self, id: RolloutId) -> Result<(Rollout, u64), RegistryError> {
        let found = self.read(Table::Rollouts, &id.to_string()).await?;
        found.ok_or(RegistryError::NoSuchRollout(id))
    }

    /// Up to `limit` rollouts, the newest first, of those older than `before`.
    pub async fn rollouts(
        &self,
        before: Option<RolloutId>,
        limit: usize,
    ) -> Result<Vec<Rollout>, RegistryError> {
        let before = before.map(|id| id.to_string());
        self.newest(Table::Rollouts, before, limit, |key, value| {
            Ok(Some(decode(Table::Rollouts, key, value)?))
        })
        .await
    }

    /// The ids of the rollouts that are not over, the oldest first.
    pub async fn open_rollouts(&self) -> Result<Vec<RolloutId>, RegistryError> {
        let found = self.store.scan(Table::OpenRollouts, "", None, Order::Upwards, usize::MAX).await?;
        found.iter().map(|(key, value)| Ok(decode(Table::OpenRollouts, key, value)?)).collect()
    }

    /// Writes a rollout down as it stands now, with what was done where
    /// something was.
    ///
    /// # Errors
    /// A conflict where it has moved on from `version`; `None` is a new one.
    pub async fn write_rollout(
        &self,
        rollout: &Rollout,
        version: Option<u64>,
        done: Option<(AuditAction, &str, Remark)>,
    ) -> Result<(), RegistryError> {
        let key = rollout.id.to_string();
        let expect = version.map_or(Expect::Absent, Expect::Version);
        let mut writes = vec![put(Table::Rollouts, key.clone(), expect, rollout)?];
        writes.push(match rollout.state.is_over() {
            true => Write::Delete { table: Table::OpenRollouts, key, expect: Expect::Anything },
            false => put(Table::OpenRollouts, key, Expect::Anything, &rollout.id)?,
        });
        if let Some((action, before, remark)) = done {
            let since = json!({
                "rollout": rollout.id, "name": rollout.name, "state": rollout.state.name(), "stage": rollout.stage,
            });
            let before = if before.is_empty() { json!(null) } else { json!({ "state": before }) };
            writes.push(append_audit(&self.event(action, (None, None), [before, since], remark))?);
        }
        Ok(self.commit(writes).await?)
    }

    /// Forgets the rollouts that ended before an instant.
    pub async fn forget_rollouts_before(&self, oldest: Timestamp) -> Result<(), RegistryError> {
        let found = self.newest(Table::Rollouts, None, usize::MAX, |key, value| {
            let rollout: Rollout = decode(Table::Rollouts, key, value)?;
            let old = rollout.state.is_over() && rollout.since < oldest;
            let (key, expect) = (key.to_owned(), Expect::Version(value.version));
            Ok(old.then_some(Write::Delete { table: Table::Rollouts, key, expect }))
        });
        for some in found.await?.chunks(SCAN_CHUNK) {
            self.commit(some.to_vec()).await?;
        }
        Ok(())
    }
}
