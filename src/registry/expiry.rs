//! What waits for a decision does not wait for ever.
//!
//! When each has to be looked at again is kept in memory, so that a cycle reads
//! what is due and not all that waits. The store is read once, at the first
//! question. What is kept is a hint only: what is due is read, and what stands
//! there counts.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::{Registry, RegistryError, decode};
use crate::domain::{RecommendationId, RecommendationState, Timestamp};
use crate::ports::{Expect, Order, Table, Write};

/// When the recommendation of each quota has to be looked at again.
#[derive(Debug, Default)]
pub(super) struct Expiries(Mutex<Looks>);

#[derive(Debug, Default)]
struct Looks {
    /// Whether what the store holds is among them.
    read: bool,
    /// By the key of the quota.
    at: HashMap<String, Timestamp>,
}

impl Expiries {
    /// The recommendation of a quota has to be looked at then.
    pub fn look_at(&self, key: String, at: Timestamp) {
        self.0.lock().at.insert(key, at);
    }

    fn forget(&self, key: &str) {
        self.0.lock().at.remove(key);
    }

    fn are_read(&self) -> bool {
        self.0.lock().read
    }

    /// Nothing is known yet of what the store holds: it is all due.
    fn begin(&self, keys: impl IntoIterator<Item = String>) {
        let mut looks = self.0.lock();
        looks.read = true;
        for key in keys {
            looks.at.entry(key).or_insert(Timestamp::from_seconds(0));
        }
    }

    fn due(&self, now: Timestamp) -> Vec<String> {
        let looks = self.0.lock();
        looks.at.iter().filter(|(_, at)| **at <= now).map(|(key, _)| key.clone()).collect()
    }
}

impl Registry {
    /// Marks those that waited too long as expired; gives how many.
    pub async fn expire(&self) -> Result<usize, RegistryError> {
        if !self.expiries.are_read() {
            let waiting = self.store.scan(Table::Waiting, "", None, Order::Upwards, usize::MAX).await?;
            self.expiries.begin(waiting.into_iter().map(|(key, _)| key));
        }
        let mut expired = 0;
        for key in self.expiries.due(self.now()) {
            expired += usize::from(self.expire_one(key).await?);
        }
        Ok(expired)
    }

    /// Looks at what waits for a quota; gives whether it has expired.
    async fn expire_one(&self, key: String) -> Result<bool, RegistryError> {
        let Some(value) = self.store.get(Table::Waiting, &key).await? else {
            self.expiries.forget(&key);
            return Ok(false);
        };
        let id: RecommendationId = decode(Table::Waiting, &key, &value)?;
        let (record, version) = self.recommendation_with_version(id).await?;
        let expires_at = record.recommendation.expires_at;
        if expires_at > self.now() {
            let until = self.expire_first_word(&record, version).await?;
            self.expiries.look_at(key, until.map_or(expires_at, |until| until.min(expires_at)));
            return Ok(false);
        }
        match record.state {
            RecommendationState::Proposed | RecommendationState::AwaitsSecond { .. } => {
                self.end_waiting(&record, version, RecommendationState::Expired).await?;
                self.expiries.forget(&key);
                Ok(true)
            }
            // On its way: it is looked at again until that has ended.
            RecommendationState::Approved { .. } => Ok(false),
            _ => {
                let expect = Expect::Version(value.version);
                self.commit(vec![Write::Delete { table: Table::Waiting, key: key.clone(), expect }]).await?;
                self.expiries.forget(&key);
                Ok(false)
            }
        }
    }
}
