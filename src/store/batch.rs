//! What every store does with a batch before it writes: settle the keys of
//! appended values, refuse a key that is named twice, and judge expectations.

use std::collections::{BTreeMap, BTreeSet};

use crate::ports::{Batch, Expect, StoreError, Table, Write, append_key};
use crate::security::{Digest, sha256};

/// A write whose key is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Planned {
    /// Where.
    pub table: Table,
    /// Under which key.
    pub key: String,
    /// What must hold before.
    pub expect: Expect,
    /// The value; `None` removes the key.
    pub bytes: Option<Vec<u8>>,
}

/// The last value of a table.
pub(super) struct Last {
    /// Its key.
    pub key: String,
    /// The SHA-256 of the value.
    pub hash: Digest,
}

/// The writes of a batch with their keys; `last` gives the last value of a
/// table, behind which appended values go.
pub(super) fn plan(
    batch: Batch,
    mut last: impl FnMut(Table) -> Result<Option<Last>, StoreError>,
) -> Result<Vec<Planned>, StoreError> {
    let mut ends: BTreeMap<Table, (u64, Digest)> = BTreeMap::new();
    let mut named = BTreeSet::new();
    let mut planned = Vec::with_capacity(batch.writes.len());
    for write in batch.writes {
        let write = match write {
            Write::Put { table, key, expect, bytes } => Planned { table, key, expect, bytes: Some(bytes) },
            Write::Delete { table, key, expect } => Planned { table, key, expect, bytes: None },
            Write::Append { table, bytes } => {
                let (number, hash) = match (ends.get(&table), last(table)?) {
                    (Some(end), _) => *end,
                    (None, Some(last)) => (number_of(table, last.key)?, last.hash),
                    (None, None) => (0, Digest::default()),
                };
                let bytes = if table.is_chained() { [&hash[..], &*bytes].concat() } else { bytes };
                ends.insert(table, (number + 1, sha256([&*bytes])));
                Planned { table, key: append_key(number + 1), expect: Expect::Absent, bytes: Some(bytes) }
            }
        };
        if !named.insert((write.table, write.key.clone())) {
            return Err(StoreError::Repeated { table: write.table, key: write.key });
        }
        planned.push(write);
    }
    Ok(planned)
}

/// The number of a table's last key.
fn number_of(table: Table, key: String) -> Result<u64, StoreError> {
    match key.parse() {
        Ok(number) if append_key(number) == key => Ok(number),
        _ => Err(StoreError::Corrupt {
            table,
            key,
            message: "it is not numbered, so nothing can be appended behind it".to_owned(),
        }),
    }
}

impl Planned {
    /// The version that this write gives its key, where the key now has the
    /// version `current`.
    pub(super) fn next_version(&self, current: Option<u64>) -> Result<u64, StoreError> {
        let holds = match self.expect {
            Expect::Anything => true,
            Expect::Absent => current.is_none(),
            Expect::Version(version) => current == Some(version),
        };
        if holds {
            Ok(current.unwrap_or(0) + 1)
        } else {
            Err(StoreError::Conflict { table: self.table, key: self.key.clone() })
        }
    }
}
