//! Where state and history are kept: the adapters behind `ports::Store` and
//! `ports::History`,
//! and behind `ports::Shelf`.
//!
//! State is kept by [`SledStore`] on disk and by [`MemoryStore`] for trials;
//! both pass one conformance suite. History is kept by [`ParquetHistory`] in
//! files that other tools open as they are. What is known of a series and can be
//! made again rests on a shelf: [`FileShelf`] or [`MemoryShelf`].

mod batch;
#[cfg(test)]
mod conformance;
#[cfg(test)]
pub(crate) mod cut;
mod files;
mod history;
mod keys;
mod memory;
mod shelf;
mod sled;

pub use history::{HistorySettings, ParquetHistory};
pub use memory::{MemoryStore, NoHistory};
pub use shelf::{FileShelf, MemoryShelf};
pub use sled::{SledSettings, SledStore};
