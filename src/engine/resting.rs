//! What is known of each series, at rest: written down in few bytes on a shelf,
//! and made into itself again while it is worked on.
//!
//! A fleet's states are too many to be held, and a cycle needs each for some
//! microseconds. What rests is bit by bit what was laid down.

use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::RwLock;
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::SeriesKey;
use crate::ports::{Place, Shelf};

/// The states of one kind, by their series.
#[derive(Debug)]
pub(super) struct Resting<T> {
    shelf: Arc<dyn Shelf>,
    states: RwLock<HashMap<SeriesKey, Rest>>,
    /// The most bytes that one took.
    longest: AtomicUsize,
    /// Whether a failure was logged already.
    failed: AtomicBool,
    of: PhantomData<fn() -> T>,
}

/// Where a state rests.
#[derive(Debug)]
enum Rest {
    Shelved(Place),
    /// The shelf did not take it.
    Held(Box<[u8]>),
}

/// Bytes that had room from the beginning, so that they move no more.
struct Bytes(Vec<u8>);

impl Flavor for Bytes {
    type Output = Vec<u8>;

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

impl<T> Resting<T> {
    fn give_up(&self, rest: Rest) {
        if let Rest::Shelved(place) = rest {
            self.shelf.free(place);
        }
    }
}

impl<T> Drop for Resting<T> {
    fn drop(&mut self) {
        let states = std::mem::take(&mut *self.states.write());
        states.into_values().for_each(|rest| self.give_up(rest));
    }
}

impl<T: Serialize + DeserializeOwned> Resting<T> {
    /// With nothing known yet.
    pub fn new(shelf: Arc<dyn Shelf>) -> Self {
        Resting {
            shelf,
            states: RwLock::default(),
            longest: AtomicUsize::default(),
            failed: AtomicBool::default(),
            of: PhantomData,
        }
    }

    /// The state of a series. One that can't be read is taken for none, so that
    /// it is made again from the history.
    pub fn get(&self, key: &SeriesKey) -> Option<T> {
        // Held while the shelf is read: a place is given up only by who has it alone.
        let states = self.states.read();
        let bytes = match states.get(key)? {
            Rest::Held(bytes) => Ok(bytes.to_vec()),
            Rest::Shelved(place) => self.shelf.get(*place).map_err(|error| error.to_string()),
        };
        drop(states);
        let read = bytes.and_then(|bytes| postcard::from_bytes(&bytes).map_err(|error| error.to_string()));
        match read {
            Ok(state) => Some(state),
            Err(error) => {
                self.say_once(&format!("{error}; what is known of the series is made again"));
                self.forget(key);
                None
            }
        }
    }

    /// Lays a state down in the place of the one before.
    pub fn put(&self, key: &SeriesKey, state: &T) {
        let room = Bytes(Vec::with_capacity(self.longest.load(Ordering::Relaxed)));
        let bytes = match postcard::serialize_with_flavor(state, room) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.say_once(&format!("write a state down: {error}"));
                return self.forget(key);
            }
        };
        self.longest.fetch_max(bytes.len(), Ordering::Relaxed);
        let rest = match self.shelf.put(&bytes) {
            Ok(place) => Rest::Shelved(place),
            Err(error) => {
                self.say_once(&format!("{error}; states are held in memory meanwhile"));
                Rest::Held(bytes.into())
            }
        };
        let mut states = self.states.write();
        match states.get_mut(key) {
            Some(known) => {
                let before = std::mem::replace(known, rest);
                self.give_up(before);
            }
            None => drop(states.insert(key.clone(), rest)),
        }
    }

    /// Forgets what is known of a series.
    pub fn forget(&self, key: &SeriesKey) {
        if let Some(rest) = self.states.write().remove(key) {
            self.give_up(rest);
        }
    }

    /// Forgets the series that do not stay.
    pub fn retain(&self, stays: impl Fn(&SeriesKey) -> bool) {
        let mut states = self.states.write();
        for (_, rest) in states.extract_if(|key, _| !stays(key)) {
            self.give_up(rest);
        }
    }

    fn say_once(&self, message: &str) {
        if !self.failed.swap(true, Ordering::Relaxed) {
            tracing::error!("failed to {message}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Resource;
    use crate::ports::ShelfError;
    use crate::store::{FileShelf, MemoryShelf};

    fn key(number: usize) -> SeriesKey {
        let tenant = format!("tenant-{number}").parse().unwrap();
        SeriesKey { tenant, resource: Resource::CpuCores }
    }

    #[test]
    fn states_come_back_until_they_are_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let shelves: [Arc<dyn Shelf>; 2] =
            [Arc::new(FileShelf::create(folder.path()).unwrap()), Arc::new(MemoryShelf::default())];
        for shelf in shelves {
            let resting: Resting<Vec<f64>> = Resting::new(shelf);
            (0..50).for_each(|number| resting.put(&key(number), &vec![0.1; number]));
            (0..50).for_each(|number| resting.put(&key(number), &vec![0.2; 2 * number]));
            assert_eq!(resting.get(&key(7)), Some(vec![0.2; 14]));
            resting.retain(|key| key.tenant.as_str() != "tenant-7");
            assert_eq!((resting.get(&key(7)), resting.get(&key(50))), (None, None));
            assert_eq!(resting.get(&key(49)).map(|state| state.len()), Some(98));
        }
    }

    /// Takes nothing, or gives what it never took.
    #[derive(Debug)]
    struct Broken {
        takes: bool,
    }

    impl Shelf for Broken {
        fn put(&self, _: &[u8]) -> Result<Place, ShelfError> {
            let place = Place { at: 0, length: 1, sum: 0 };
            if self.takes { Ok(place) } else { Err(ShelfError::File("no room".to_owned())) }
        }

        fn get(&self, _: Place) -> Result<Vec<u8>, ShelfError> {
            Err(ShelfError::Damaged)
        }

        fn free(&self, _: Place) {}
    }

    #[test]
    fn a_full_disk_costs_memory_and_a_damaged_state_is_none() {
        let resting: Resting<u64> = Resting::new(Arc::new(Broken { takes: false }));
        resting.put(&key(1), &5);
        assert_eq!(resting.get(&key(1)), Some(5));
        let resting: Resting<u64> = Resting::new(Arc::new(Broken { takes: true }));
        resting.put(&key(1), &5);
        assert_eq!(resting.get(&key(1)), None);
    }
}
