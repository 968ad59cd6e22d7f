//! Removes the oldest lines of the audit log, with proof of what was removed.
//!
//! Only whole checkpoints are cut: the line that tells of the cut holds the
//! Merkle tree over the removed lines, whose root was signed for while they
//! stood. Whoever kept an export can prove what was in them.

use super::super::{Registry, RegistryError, append_audit};
use super::checkpoints::tree_of;
use super::{Cut, line};
use crate::domain::{Actor, AuditAction, Timestamp};
use crate::ports::{Expect, Order, Table, Write, append_key};

/// Lines that are removed in one commit, at most.
const CUT_AT_ONCE: usize = 10_000;

impl Registry {
    /// Removes lines that were written before `instant`, as far as a checkpoint
    /// was signed for them, some thousand at once. Gives how many.
    pub async fn cut_audit_before(&self, instant: Timestamp) -> Result<u64, RegistryError> {
        let oldest = self.store.scan(Table::Audit, "", None, Order::Upwards, CUT_AT_ONCE).await?;
        let mut last_old = None;
        for (key, value) in &oldest {
            let line = line(key, value)?;
            if line.event.at >= instant {
                break;
            }
            last_old = Some(line.number);
        }
        let Some(last_old) = last_old else { return Ok(0) };
        let Some(checkpoint) = self.checkpoints(Some(last_old + 1), 1).await?.pop() else { return Ok(0) };
        let removed: Vec<&String> = oldest
            .iter()
            .map(|(key, _)| key)
            .take_while(|key| **key <= append_key(checkpoint.size))
            .collect();
        if removed.is_empty() {
            return Ok(0);
        }
        let tree = (&tree_of(&checkpoint)?).into();
        let cut = Cut { through: checkpoint.size, hash: checkpoint.last, tree };
        let after =
            serde_json::to_value(&cut).map_err(|error| crate::ports::StoreError::Io(error.to_string()))?;
        let remark = super::Remark {
            by: Actor::Daemon,
            comment: Some(format!("older than {instant}; signed for: {}", checkpoint.note.trim())),
            request_id: None,
        };
        let event = self.event(AuditAction::AuditCut, (None, None), [serde_json::Value::Null, after], remark);
        let count = removed.len() as u64;
        let mut writes: Vec<Write> = removed
            .into_iter()
            .map(|key| Write::Delete { table: Table::Audit, key: key.clone(), expect: Expect::Anything })
            .collect();
        for older in self.checkpoints(Some(checkpoint.size), CUT_AT_ONCE).await? {
            let (table, key) = (Table::Checkpoints, append_key(older.size));
            writes.push(Write::Delete { table, key, expect: Expect::Anything });
        }
        writes.push(append_audit(&event)?);
        self.commit(writes).await?;
        Ok(count)
    }
}
