//! Where state and history are kept: the adapters behind `ports::Store` and
//! `ports::History`,
//! and behind `ports::Shelf`.
//!
//! State is kept by [`DiskStore`] on disk, in sled or redb, and by [`MemoryStore`] for trials;
//! both pass one conformance suite. History is kept by [`ParquetHistory`] in
//! files that other tools open as they are. What is known of a series and can be
//! made again rests on a shelf: [`FileShelf`] or [`MemoryShelf`].

mod archive;
mod batch;
#[cfg(test)]
mod conformance;
#[cfg(test)]
pub(crate) mod cut;
mod disk;
mod files;
mod guarded;
mod history;
mod keeper;
mod keys;
mod maintenance;
mod memory;
mod shelf;

#[cfg(test)]
pub(crate) use disk::breakable;
pub use disk::{DiskKind, DiskSettings, DiskStore};
pub use history::{DamagedSegment, HistorySettings, ParquetHistory, check_history};
pub use keeper::DiskKeeper;
pub use maintenance::{Repaired, StoppedStore, verify_backup};
pub use memory::{MemoryStore, NoHistory};
pub use shelf::{FileShelf, MemoryShelf};
