//! Answers to writes that carried an Idempotency-Key, kept for a while so that
//! the same write, sent again, gets the same answer and is not done twice.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{MappedMutexGuard, MutexGuard};

use super::{Registry, RegistryError, decode, encode};
use crate::domain::Timestamp;
use crate::ports::{Expect, Table, Versioned, Write};

/// How kept answers are bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerLimits {
    /// How long one is kept.
    pub life: Duration,
    /// The most that are kept; one more takes the place of the oldest.
    pub most: usize,
    /// The most bytes that they take together; the oldest make room.
    pub bytes: usize,
}

impl Default for AnswerLimits {
    fn default() -> Self {
        AnswerLimits { life: Duration::from_secs(24 * 3600), most: 10_000, bytes: 64 << 20 }
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

/// The answers that are kept, the oldest first.
#[derive(Debug, Default)]
pub(super) struct AnswerIndex {
    by_age: BTreeSet<(Timestamp, String)>,
    /// When each was given, and its size.
    known: HashMap<String, (Timestamp, usize)>,
    bytes: usize,
}

impl AnswerIndex {
    fn insert(&mut self, key: String, at: Timestamp, size: usize) {
        self.by_age.insert((at, key.clone()));
        self.known.insert(key, (at, size));
        self.bytes += size;
    }

    fn remove(&mut self, key: &str) {
        if let Some((at, size)) = self.known.remove(key) {
            self.by_age.remove(&(at, key.to_owned()));
            self.bytes -= size;
        }
    }

    /// The keys of those that make room for one more of this size, the oldest
    /// first.
    fn too_old(&self, oldest: Timestamp, size: usize, limits: AnswerLimits) -> Vec<String> {
        let (mut count, mut bytes) = (self.known.len() + 1, self.bytes + size);
        let mut gone = Vec::new();
        for (at, key) in &self.by_age {
            if *at > oldest && count <= limits.most && bytes <= limits.bytes {
                break;
            }
            count -= 1;
            bytes -= self.known.get(key).map_or(0, |(_, size)| *size);
            gone.push(key.clone());
        }
        gone
    }
}

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
        let bytes = encode(answer)?;
        let size = bytes.len();
        let before = index.known.get(&key).copied();
        index.remove(&key);
        let gone = index.too_old(self.now().minus(limits.life), size, limits);
        let forget = |key: &String| Write::Delete {
            table: Table::Answers,
            key: key.clone(),
            expect: Expect::Anything,
        };
        let mut writes: Vec<Write> = gone.iter().map(forget).collect();
        writes.push(Write::Put { table: Table::Answers, key: key.clone(), expect: Expect::Anything, bytes });
        if let Err(error) = self.commit(writes).await {
            before.iter().for_each(|(at, size)| index.insert(key.clone(), *at, *size));
            return Err(error.into());
        }
        gone.iter().for_each(|key| index.remove(key));
        index.insert(key, answer.at, size);
        Ok(())
    }

    /// The index, read from the store at the first question, and held until the
    /// guard is dropped: nobody keeps an answer meanwhile.
    async fn answer_index(&self) -> Result<MappedMutexGuard<'_, AnswerIndex>, RegistryError> {
        let mut held = self.answer_index.lock().await;
        if held.is_none() {
            let read = |key: &str, value: &Versioned| {
                let answer: KeptAnswer = decode(Table::Answers, key, value)?;
                Ok(Some((key.to_owned(), answer.at, value.bytes.len())))
            };
            let mut index = AnswerIndex::default();
            for (key, at, size) in self.newest(Table::Answers, None, usize::MAX, read).await? {
                index.insert(key, at, size);
            }
            *held = Some(index);
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
        let limits = AnswerLimits { life: Duration::from_secs(100), most: 2, bytes: 1 << 20 };
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
        assert_eq!(registry.answer_index().await.unwrap().known.len(), 2);
    }

    #[tokio::test]
    async fn large_answers_leave_less_room_for_others() {
        let registry =
            Registry::new(Arc::new(MemoryStore::default()), Arc::new(Hands::at(Timestamp::from_seconds(1))));
        let limits = AnswerLimits { bytes: 1_000, ..AnswerLimits::default() };
        for (second, key) in ["a", "b", "c"].into_iter().enumerate() {
            let kept = answer(Timestamp::from_seconds(second as i64), &"x".repeat(350));
            registry.keep_answer(key.to_owned(), &kept, limits).await.unwrap();
        }
        let index = registry.answer_index().await.unwrap();
        assert_eq!(index.by_age.iter().map(|(_, key)| key.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        assert!(index.bytes <= limits.bytes && index.bytes > 2 * 350, "{}", index.bytes);
    }
}
