//! Answers to writes that carried an Idempotency-Key, kept for a while so that
//! the same write, sent again, gets the same answer and is not done twice.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{MappedMutexGuard, MutexGuard};

use super::{Registry, RegistryError, decode, put};
use crate::domain::Timestamp;
use crate::ports::{Expect, Table, Versioned, Write};

/// How kept answers are bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerLimits {
    /// How long one is kept.
    pub life: Duration,
    /// The most that are kept; one more takes the place of the oldest.
    pub most: usize,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        AnswerLimits { life: Duration::from_secs(24 * 3600), most: 10_000 }
    }
}

/// The answer to a write that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// The hash of the request that it answered.
    pub fingerprint: String,
    /// When.
    pub at: Timestamp,
    /// Its status.
    pub status: u16,
    /// Its headers that tell of what was done, by name.
    pub headers: Vec<(String, String)>,
    /// What it said; `None` where that is not kept.
    pub body: Option<String>,
}

/// When each kept answer was given, with its key, the oldest first.
pub(super) type AnswerIndex = BTreeSet<(Timestamp, String)>;

impl Registry {
    /// The answer that is kept under a key, unless it is older than `life`.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn kept_answer(&self, key: &str, life: Duration) -> Result<Option<KeptAnswer>, RegistryError> {
        let found = self.read::<KeptAnswer>(Table::Answers, key).await?.map(|(answer, _)| answer);
        Ok(found.filter(|answer| answer.at > self.now().minus(life)))
    }

    /// Keeps an answer under its key, and forgets those that are too old or too
    /// many.
    ///
    /// # Errors
    /// Where the store fails.
    pub async fn keep_answer(
        &self,
        key: String,
        answer: &KeptAnswer,
        limits: AnswerLimits,
    ) -> Result<(), RegistryError> {
        let mut index = self.answer_index().await?;
        let oldest = self.now().minus(limits.life);
        let others: Vec<&(Timestamp, String)> = index.iter().filter(|(_, other)| *other != key).collect();
        let too_many = others.len().saturating_sub(limits.most.saturating_sub(1));
        let is_gone = |place: usize, at: Timestamp| place < too_many || at <= oldest;
        let gone = others.iter().enumerate().take_while(|(place, (at, _))| is_gone(*place, *at)).count();
        let gone: Vec<(Timestamp, String)> = others[..gone].iter().map(|entry| (*entry).clone()).collect();
        let forget = |(_, key): &(Timestamp, String)| Write::Delete {
            table: Table::Answers,
            key: key.clone(),
            expect: Expect::Anything,
        };
        let mut writes: Vec<Write> = gone.iter().map(forget).collect();
        writes.push(put(Table::Answers, key.clone(), Expect::Anything, answer)?);
        self.commit(writes).await?;
        index.retain(|entry| entry.1 != key && !gone.contains(entry));
        index.insert((answer.at, key));
        Ok(())
    }

    /// The index, read from the store at the first question, and held until the
    /// guard is dropped: nobody keeps an answer meanwhile.
    async fn answer_index(&self) -> Result<MappedMutexGuard<'_, AnswerIndex>, RegistryError> {
        let mut held = self.answer_index.lock().await;
        if held.is_none() {
            let read = |key: &str, value: &Versioned| {
                let answer: KeptAnswer = decode(Table::Answers, key, value)?;
                Ok(Some((answer.at, key.to_owned())))
            };
            *held = Some(self.newest(Table::Answers, None, usize::MAX, read).await?.into_iter().collect());
        }
        Ok(MutexGuard::map(held, |index| index.get_or_insert_default()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ports::Clock;
    use crate::ports::hands::Hands;
    use crate::store::MemoryStore;

    fn answer(at: Timestamp, body: &str) -> KeptAnswer {
        let body = Some(body.to_owned());
        KeptAnswer { fingerprint: "f".to_owned(), at, status: 201, headers: Vec::new(), body }
    }

    #[tokio::test]
    async fn the_oldest_make_room_and_the_old_are_forgotten_also_after_a_restart() {
        let clock = Arc::new(Hands::at(Timestamp::from_seconds(1_000)));
        let store = Arc::new(MemoryStore::default());
        let limits = AnswerLimits { life: Duration::from_secs(100), most: 2 };
        for (second, key) in ["a", "b", "c", "c"].into_iter().enumerate() {
            // A registry of its own each time, as after a restart.
            let registry = Registry::new(store.clone(), clock.clone());
            clock.put(clock.now().plus(Duration::from_secs(1)));
            let kept = answer(clock.now(), &format!("{key}{second}"));
            registry.keep_answer(key.to_owned(), &kept, limits).await.unwrap();
        }
        let registry = Registry::new(store, clock.clone());
        let body = async |key: &str| {
            registry.kept_answer(key, limits.life).await.unwrap().and_then(|answer| answer.body)
        };
        assert_eq!((body("a").await, body("b").await), (None, Some("b1".to_owned())));
        assert_eq!(body("c").await, Some("c3".to_owned()), "the later answer stands");
        clock.put(clock.now().plus(Duration::from_secs(98)));
        assert_eq!(body("b").await, None, "it is as old as can be");
        registry.keep_answer("d".to_owned(), &answer(clock.now(), "d"), limits).await.unwrap();
        assert_eq!(registry.answer_index().await.unwrap().len(), 2);
    }
}
