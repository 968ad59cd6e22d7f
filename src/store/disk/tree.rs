//! What a store on disk keeps its values in: an ordered map on disk that takes
//! many writes as one.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use super::layout::Layout;
use super::redb::RedbTree;
use super::sled::SledTree;
use crate::ports::{Order, StoreError};
use crate::store::keys::Places;

/// Values that are read at once where all are.
pub(super) const AT_ONCE: usize = 512;

/// A place and what stands there.
pub(super) type Pair = (Vec<u8>, Vec<u8>);
/// What becomes of some places; `None` clears one.
pub(super) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// An ordered map on disk. Only one thread writes at a time.
pub(super) trait Tree: Send + Sync {
    /// What stands at a place.
    fn get(&self, place: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Up to `limit` pairs of a range, in the order of `order`. Of writes that
    /// were applied together it sees all or none.
    fn scan(&self, places: Places, order: Order, limit: usize) -> Result<Vec<Pair>, StoreError>;

    /// Makes writes together or not at all; they may be durable only after
    /// [`Tree::sync`].
    fn apply(&self, writes: &Writes) -> Result<(), StoreError>;

    /// Makes all that was applied durable.
    fn sync(&self) -> Result<(), StoreError>;
}

/// Shows all pairs of a tree in the order of their places. Others may read and
/// write meanwhile.
pub(super) fn each(
    tree: &dyn Tree,
    mut show: impl FnMut(Vec<u8>, Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after = Bound::Unbounded;
    loop {
        let pairs = tree.scan((after, Bound::Unbounded), Order::Upwards, AT_ONCE)?;
        let Some((last, _)) = pairs.last() else { return Ok(()) };
        after = Bound::Excluded(last.clone());
        pairs.into_iter().try_for_each(|(place, raw)| show(place, raw))?;
    }
}

/// What the values are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DiskKind {
    /// sled 0.34.
    Sled,
    /// redb 4.
    Redb,
}

impl DiskKind {
    /// All kinds.
    pub const ALL: [DiskKind; 2] = [DiskKind::Sled, DiskKind::Redb];

    /// Its name, as in the config and of its folder.
    pub fn name(self) -> &'static str {
        match self {
            DiskKind::Sled => "sled",
            DiskKind::Redb => "redb",
        }
    }

    /// The kind that keeps the state in a folder; `None` where there is none.
    pub fn of(folder: &Path) -> Option<DiskKind> {
        let holds = |kind: &DiskKind| {
            let layout = Layout::new(folder, *kind);
            layout.values().exists() || layout.fresh().exists()
        };
        DiskKind::ALL.into_iter().find(holds)
    }

    /// The file in which the values lie.
    pub(in crate::store) fn file(self) -> &'static str {
        match self {
            DiskKind::Sled => "db",
            DiskKind::Redb => "values.redb",
        }
    }

    /// Whether an open tree goes on where its folder is given another name: redb
    /// holds its one file open, and sled looks for files by their paths.
    pub(super) fn can_be_moved(self) -> bool {
        self == DiskKind::Redb
    }

    /// Opens the tree in a folder; creates it if there is none.
    pub(super) fn open(self, folder: &Path, cache_bytes: u64) -> Result<Arc<dyn Tree>, StoreError> {
        self.open_known(folder, cache_bytes, false)
    }

    /// The same of files that may be known to be as they were left, byte by byte.
    pub(super) fn open_known(
        self,
        folder: &Path,
        cache_bytes: u64,
        is_known: bool,
    ) -> Result<Arc<dyn Tree>, StoreError> {
        let tree: Arc<dyn Tree> = match self {
            DiskKind::Sled => Arc::new(SledTree::open(folder, cache_bytes)?),
            DiskKind::Redb => Arc::new(RedbTree::open(folder, cache_bytes, is_known)?),
        };
        #[cfg(test)]
        let tree = super::faults::wrap(folder, tree);
        Ok(tree)
    }
}

impl fmt::Display for DiskKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
