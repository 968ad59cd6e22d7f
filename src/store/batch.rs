//! What every store does with a batch before it writes: settle the keys of
//! appended values, refuse a key that is named twice, and judge expectations.

use std::collections::{BTreeMap, BTreeSet};

use crate::ports::{Batch, Expect, StoreError, Table, Write, append_key};

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

/// The writes of a batch with their keys; `last_key` gives the last key of a
/// table, behind which appended values go.
pub(super) fn plan(
    batch: Batch,
    mut last_key: impl FnMut(Table) -> Result<Option<String>, StoreError>,
) -> Result<Vec<Planned>, StoreError> {
    let mut last_numbers: BTreeMap<Table, u64> = BTreeMap::new();
    let mut named = BTreeSet::new();
    let mut planned = Vec::with_capacity(batch.writes.len());
    for write in batch.writes {
        let write = match write {
            Write::Put { table, key, expect, bytes } => Planned { table, key, expect, bytes: Some(bytes) },
            Write::Delete { table, key, expect } => Planned { table, key, expect, bytes: None },
            Write::Append { table, bytes } => {
                let last = match last_numbers.get(&table) {
                    Some(number) => *number,
                    None => number_of(table, last_key(table)?)?,
                };
                last_numbers.insert(table, last + 1);
                Planned { table, key: append_key(last + 1), expect: Expect::Absent, bytes: Some(bytes) }
            }
        };
        if !named.insert((write.table, write.key.clone())) {
            return Err(StoreError::Repeated { table: write.table, key: write.key });
        }
        planned.push(write);
    }
    Ok(planned)
}

/// The number of a table's last key, zero for an empty table.
fn number_of(table: Table, key: Option<String>) -> Result<u64, StoreError> {
    let Some(key) = key else { return Ok(0) };
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
