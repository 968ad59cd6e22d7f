//! Values in sled 0.34.7, made to keep its word.
//!
//! sled alone loses acknowledged writes on a crash: its `flush()` only asks the
//! system to begin writing. Here a `sync_all()` of its file follows.

use std::fs::File;
use std::path::Path;

use parking_lot::RwLock;
use sled::{Config, Db, IVec};

use super::io_error;
use super::layout::wait_until_free;
use super::tree::{DiskKind, Pair, Tree, Writes};
use crate::ports::{Order, StoreError};
use crate::store::files;
use crate::store::keys::Places;

/// A sled database.
pub(super) struct SledTree {
    db: Db,
    /// sled's own file: sled only ever asks the system to begin writing it.
    file: File,
    /// Held for writing while a batch is applied, so that a scan sees all of it
    /// or nothing.
    alone: RwLock<()>,
}

impl SledTree {
    /// Opens the database in a folder; creates it if there is none.
    pub fn open(folder: &Path, cache_bytes: u64) -> Result<Self, StoreError> {
        let path = folder.join(DiskKind::Sled.file());
        wait_until_free(&path)?;
        let config = Config::new().path(folder).cache_capacity(cache_bytes);
        let db = config.open().map_err(|error| sled_error(&error))?;
        // The file's name has to last as well as what is written to it.
        files::sync_folder(folder).map_err(io_error)?;
        if let Some(above) = folder.parent() {
            files::sync_folder(above).map_err(io_error)?;
        }
        let file = File::options().write(true).open(&path).map_err(files::at(&path)).map_err(io_error)?;
        Ok(SledTree { db, file, alone: RwLock::new(()) })
    }
}

impl Tree for SledTree {
    fn get(&self, place: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let raw = self.db.get(place).map_err(|error| sled_error(&error))?;
        Ok(raw.map(|raw| raw.to_vec()))
    }

    fn scan(&self, places: Places, order: Order, limit: usize) -> Result<Vec<Pair>, StoreError> {
        let _whole = self.alone.read();
        let range = self.db.range(places);
        let plain = |pair: Result<(IVec, IVec), sled::Error>| {
            let (place, raw) = pair.map_err(|error| sled_error(&error))?;
            Ok((place.to_vec(), raw.to_vec()))
        };
        match order {
            Order::Upwards => range.take(limit).map(plain).collect(),
            Order::Downwards => range.rev().take(limit).map(plain).collect(),
        }
    }

    /// One sled batch costs one write to the log: sled writes out and waits for
    /// each batch that it is given on its own.
    fn apply(&self, writes: &Writes) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (place, raw) in writes {
            match raw {
                Some(raw) => batch.insert(&**place, &**raw),
                None => batch.remove(&**place),
            }
        }
        let _alone = self.alone.write();
        self.db.apply_batch(batch).map_err(|error| sled_error(&error))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.db.flush().map_err(|error| sled_error(&error))?;
        self.file.sync_all().map_err(io_error)
    }
}

fn sled_error(error: &sled::Error) -> StoreError {
    StoreError::Io(format!("sled: {error}"))
}
