//! Values in redb 4: a copy-on-write tree in one file, durable once a
//! transaction is committed, and with a checksum on each page.

use std::ops::Bound;
use std::path::Path;

use redb::{AccessGuard, Builder, Database, Durability, ReadableDatabase, StorageError, TableDefinition};

use super::io_error;
use super::tree::{DiskKind, Pair, Tree, Writes};
use crate::ports::{Order, StoreError};
use crate::store::files;
use crate::store::keys::Places;

/// The one table: places and what stands there.
const VALUES: TableDefinition<'static, &[u8], &[u8]> = TableDefinition::new("values");

/// Bytes in a page.
type Guard<'a> = AccessGuard<'a, &'static [u8]>;

/// A redb database.
pub(super) struct RedbTree {
    db: Database,
}

impl RedbTree {
    /// Opens the database in a folder; creates it if there is none. The
    /// checksum of every page is verified, unless the file `is_known` to be as
    /// it was left.
    pub fn open(folder: &Path, cache_bytes: u64, is_known: bool) -> Result<Self, StoreError> {
        files::create_folder(folder).map_err(io_error)?;
        let path = folder.join(DiskKind::Redb.file());
        let tree = RedbTree::over(builder(cache_bytes, is_known).create(&path).map_err(redb_error)?)?;
        files::sync_folder(folder).map_err(io_error)?;
        Ok(tree)
    }

    fn over(db: Database) -> Result<Self, StoreError> {
        let begun = db.begin_write().map_err(redb_error)?;
        begun.open_table(VALUES).map_err(redb_error)?;
        begun.commit().map_err(redb_error)?;
        Ok(RedbTree { db })
    }
}

fn builder(cache_bytes: u64, is_known: bool) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(usize::try_from(cache_bytes).unwrap_or(usize::MAX));
    // A file that somebody altered is refused, instead of being trusted.
    builder.set_check_integrity_on_open(!is_known);
    builder
}

impl Tree for RedbTree {
    fn get(&self, place: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let table = self.db.begin_read().map_err(redb_error)?.open_table(VALUES).map_err(redb_error)?;
        let raw = table.get(place).map_err(redb_error)?;
        Ok(raw.map(|raw| raw.value().to_vec()))
    }

    fn scan(&self, places: Places, order: Order, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let table = self.db.begin_read().map_err(redb_error)?.open_table(VALUES).map_err(redb_error)?;
        let bounds = (bound(&places.0), bound(&places.1));
        let range = table.range::<&[u8]>(bounds).map_err(redb_error)?;
        let plain = |pair: Result<(Guard<'_>, Guard<'_>), StorageError>| {
            let (place, raw) = pair.map_err(redb_error)?;
            Ok((place.value().to_vec(), raw.value().to_vec()))
        };
        match order {
            Order::Upwards => range.take(limit).map(plain).collect(),
            Order::Downwards => range.rev().take(limit).map(plain).collect(),
        }
    }

    /// What is committed is durable.
    fn apply(&self, writes: &Writes) -> Result<(), StoreError> {
        let mut begun = self.db.begin_write().map_err(redb_error)?;
        begun.set_durability(Durability::Immediate).map_err(redb_error)?;
        {
            let mut table = begun.open_table(VALUES).map_err(redb_error)?;
            for (place, raw) in writes {
                match raw {
                    Some(raw) => table.insert(&**place, &**raw).map(drop).map_err(redb_error)?,
                    None => table.remove(&**place).map(drop).map_err(redb_error)?,
                }
            }
        }
        begun.commit().map_err(redb_error)
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

fn bound(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(|place| &**place)
}

fn redb_error<E: std::fmt::Display>(error: E) -> StoreError {
    StoreError::Io(format!("redb: {error}"))
}
