//! The switch that stops all changes of quotas. It stands in the state, so that
//! a restart does not lift it, and each beginning of a change is written only
//! where it does not stand.

use serde_json::json;

use super::{Registry, RegistryError, Remark, append_audit, put};
use crate::domain::{AuditAction, Pause};
use crate::ports::{Expect, StoreError, Table, Write};

const KEY: &str = "all";

impl Registry {
    /// Who stopped all changes, if somebody has.
    pub async fn pause(&self) -> Result<Option<Pause>, RegistryError> {
        Ok(self.read(Table::Pause, KEY).await?.map(|(pause, _)| pause))
    }

    /// Stops all changes. Stopping again changes nothing, and gives who did.
    pub async fn stop_changes(&self, reason: String, remark: Remark) -> Result<Pause, RegistryError> {
        if let Some(known) = self.pause().await? {
            return Ok(known);
        }
        let pause = Pause { by: remark.by.clone(), at: self.now(), reason: reason.clone() };
        let remark = Remark { comment: Some(reason), ..remark };
        let event = self.event(AuditAction::ChangesPaused, (None, None), [json!(null), json!(pause)], remark);
        let write = put(Table::Pause, KEY.to_owned(), Expect::Absent, &pause)?;
        self.commit(vec![write, append_audit(&event)?]).await?;
        Ok(pause)
    }

    /// Lets changes be made again. Where nobody stopped them nothing happens.
    pub async fn resume_changes(&self, remark: Remark) -> Result<(), RegistryError> {
        let Some((pause, version)) = self.read::<Pause>(Table::Pause, KEY).await? else { return Ok(()) };
        let event =
            self.event(AuditAction::ChangesResumed, (None, None), [json!(pause), json!(null)], remark);
        let expect = Expect::Version(version);
        let delete = Write::Delete { table: Table::Pause, key: KEY.to_owned(), expect };
        Ok(self.commit(vec![delete, append_audit(&event)?]).await?)
    }
}

impl Registry {
    /// Commits what people decide on quotas, unless all changes are stopped.
    pub(super) async fn commit_unless_paused(&self, mut writes: Vec<Write>) -> Result<(), RegistryError> {
        // The first that stands against the batch is told of.
        writes.insert(0, unless_paused());
        match self.commit(writes).await {
            Err(error @ StoreError::Conflict { table: Table::Pause, .. }) => {
                Err(self.pause().await?.map_or(error.into(), RegistryError::Paused))
            }
            other => Ok(other?),
        }
    }
}

/// Has a batch refused where changes are stopped.
pub(super) fn unless_paused() -> Write {
    Write::Delete { table: Table::Pause, key: KEY.to_owned(), expect: Expect::Absent }
}
