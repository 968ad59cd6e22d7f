//! State in memory, for tests, the demo and one-shot commands, and a history
//! that keeps nothing. Both forget everything at the end.

use std::collections::BTreeMap;

use async_trait::async_trait;
use parking_lot::RwLock;

use super::batch::{Last, plan};
use super::keys;
use crate::domain::{Resource, Step, Timestamp};
use crate::ports::{Batch, History, HistoryError, Order, Store, StoreError, StoreHealth, Table, Versioned};
use crate::security::sha256;
use crate::series::Frame;

/// State that is lost when it is dropped; else it does what every store does.
#[derive(Debug, Default)]
pub struct MemoryStore {
    values: RwLock<BTreeMap<Vec<u8>, Versioned>>,
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, table: Table, key: &str) -> Result<Option<Versioned>, StoreError> {
        Ok(self.values.read().get(&keys::encode(table, key)).cloned())
    }

    async fn scan(
        &self,
        table: Table,
        prefix: &str,
        after: Option<&str>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(String, Versioned)>, StoreError> {
        let Some(places) = keys::places(table, prefix, after, order) else { return Ok(Vec::new()) };
        let values = self.values.read();
        let range = values.range(places);
        let named = |(place, value): (&Vec<u8>, &Versioned)| {
            keys::decode(place).map(|(_, key)| (key.to_owned(), value.clone()))
        };
        Ok(match order {
            Order::Upwards => range.filter_map(named).take(limit).collect(),
            Order::Downwards => range.rev().filter_map(named).take(limit).collect(),
        })
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let mut values = self.values.write();
        let planned = plan(batch, |table| {
            let all = keys::places(table, "", None, Order::Upwards);
            let last = all.and_then(|places| values.range(places).next_back());
            Ok(last.and_then(|(place, value)| {
                let (_, key) = keys::decode(place)?;
                Some(Last { key: key.to_owned(), hash: sha256([&*value.bytes]) })
            }))
        })?;
        let mut changes = Vec::with_capacity(planned.len());
        for write in planned {
            let place = keys::encode(write.table, &write.key);
            let version = write.next_version(values.get(&place).map(|value| value.version))?;
            changes.push((place, write.bytes.map(|bytes| Versioned { version, bytes })));
        }
        for (place, value) in changes {
            match value {
                Some(value) => values.insert(place, value),
                None => values.remove(&place),
            };
        }
        Ok(())
    }

    async fn health(&self) -> StoreHealth {
        StoreHealth { problem: None, disk_bytes: 0 }
    }
}

/// A history that keeps nothing, for engines that hold all they need.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHistory;

impl History for NoHistory {
    fn append(&self, _frame: &Frame) -> Result<(), HistoryError> {
        Ok(())
    }

    fn load(&self, resource: Resource, step: Step, _since: Timestamp) -> Result<Frame, HistoryError> {
        Ok(Frame::empty(resource, step))
    }

    fn retain(&self, _full_since: Timestamp, _since: Timestamp) -> Result<(), HistoryError> {
        Ok(())
    }

    fn holds(&self, _resource: Resource) -> Result<bool, HistoryError> {
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::conformance;
    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn does_what_every_store_does() {
        conformance::run(Arc::new(MemoryStore::default())).await;
    }
}
