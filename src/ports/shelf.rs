//! Where what is known of each series rests between two cycles.

use std::fmt;

/// Where what is known of a series rests while it is not worked on: bytes that
/// the history can make again, so that nothing is lost with them.
pub trait Shelf: Send + Sync + fmt::Debug {
    /// Lays bytes down.
    fn put(&self, bytes: &[u8]) -> Result<Place, ShelfError>;

    /// The bytes that lie at a place.
    fn get(&self, place: Place) -> Result<Vec<u8>, ShelfError>;

    /// Gives a place up; nobody may look there again.
    fn free(&self, place: Place);
}

/// Where bytes lie on a [`Shelf`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The number of the place.
    pub at: u64,
    /// How many bytes there are.
    pub length: u32,
    /// Their CRC-32.
    pub sum: u32,
}

/// A failure of the shelf; reads well after "failed to".
#[derive(Debug, Clone, thiserror::Error)]
pub enum ShelfError {
    /// The disk.
    #[error("use the file of states at rest: {0}")]
    File(String),
    /// The bytes are not those that were laid down.
    #[error("read a state at rest: its checksum is another")]
    Damaged,
}
