//! Signed checkpoints of the audit log.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::{Registry, RegistryError, decode, enqueue, put};
use crate::domain::{Notice, NoticeKind, Severity};
use crate::ports::{Batch, Expect, Order, StoreError, Table, append_key};
use crate::security::{Checkpoint, Signer, Tree, WrittenTree, hex, sha256};

/// What notices of checkpoints are about.
const SUBJECT: &str = "audit/checkpoints";

/// A checkpoint as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckpointRecord {
    /// How many lines the log had.
    pub size: u64,
    /// The signed text.
    pub note: String,
    /// What the signature is verified with.
    pub key: String,
    /// The hash of the last line, as hexadecimal digits.
    pub last: String,
    /// The Merkle tree over the lines, to go on from.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub tree: Option<WrittenTree>,
}

impl Registry {
    /// The newest checkpoints, up to `limit`, of those of fewer than `below` lines.
    pub async fn checkpoints(
        &self,
        below: Option<u64>,
        limit: usize,
    ) -> Result<Vec<CheckpointRecord>, RegistryError> {
        self.newest(Table::Checkpoints, below.map(append_key), limit, |key, value| {
            Ok(Some(decode(Table::Checkpoints, key, value)?))
        })
        .await
    }

    /// Signs for the log as it is; `None` where it has not grown since. The
    /// checkpoint and the notice of it are one commit.
    pub async fn sign_checkpoint(
        &self,
        signer: &Signer,
        notice_id: uuid::Uuid,
    ) -> Result<Option<CheckpointRecord>, RegistryError> {
        let last = self.checkpoints(None, 1).await?.pop();
        let mut tree = match &last {
            Some(last) => tree_of(last)?,
            None => Tree::default(),
        };
        let from = tree.size();
        let mut hash = last.map(|last| last.last).unwrap_or_default();
        let lines = (Table::Audit, "", Order::Upwards);
        self.walk(lines, Some(append_key(from)), |key, value| {
            // A hole would give every later line another number.
            if *key != append_key(tree.size() + 1) {
                return Err(corrupt(key, "the line before it is missing").into());
            }
            tree.push(&value.bytes);
            hash = hex(&sha256([&*value.bytes]));
            Ok(ControlFlow::Continue(()))
        })
        .await?;
        if tree.size() == from {
            return Ok(None);
        }
        let checkpoint = Checkpoint { size: tree.size(), root: tree.root(), at: self.now() };
        let record = CheckpointRecord {
            size: tree.size(),
            note: signer.sign(&checkpoint),
            key: signer.verifier().to_string(),
            last: hash,
            tree: Some(WrittenTree::from(&tree)),
        };
        let writes = vec![put(Table::Checkpoints, append_key(record.size), Expect::Absent, &record)?];
        let mut batch = Batch { writes };
        enqueue(&mut batch, &notice(&record, &checkpoint, notice_id))?;
        self.store.commit(batch).await?;
        Ok(Some(record))
    }
}

/// The tree of a kept checkpoint.
pub(super) fn tree_of(record: &CheckpointRecord) -> Result<Tree, StoreError> {
    let tree = record.tree.as_ref().and_then(WrittenTree::read);
    tree.ok_or_else(|| StoreError::Corrupt {
        table: Table::Checkpoints,
        key: append_key(record.size),
        message: "its tree is none".to_owned(),
    })
}

fn corrupt(key: &str, message: &str) -> StoreError {
    StoreError::Corrupt { table: Table::Audit, key: key.to_owned(), message: message.to_owned() }
}

fn notice(record: &CheckpointRecord, checkpoint: &Checkpoint, id: uuid::Uuid) -> Notice {
    Notice {
        id,
        at: checkpoint.at,
        since: checkpoint.at,
        kind: NoticeKind::AuditCheckpoint,
        tenant: None,
        severity: Severity::Info,
        subject: SUBJECT.to_owned(),
        title: format!("Checkpoint of the audit log at {} lines", record.size),
        text: record.note.clone(),
        detail: serde_json::json!({ "size": record.size, "note": record.note, "key": record.key }),
        trace: None,
        only_for: Vec::new(),
    }
}
