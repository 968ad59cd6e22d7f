//! A clock for tests, which stands where it is put.

use parking_lot::RwLock;

use super::Clock;
use crate::domain::Timestamp;

/// A clock whose hands are moved.
#[derive(Debug)]
pub struct Hands(RwLock<Timestamp>);

impl Hands {
    /// At an instant.
    pub fn at(instant: Timestamp) -> Self {
        Hands(RwLock::new(instant))
    }

    /// Moves them.
    pub fn put(&self, instant: Timestamp) {
        *self.0.write() = instant;
    }
}

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.read()
    }
}
