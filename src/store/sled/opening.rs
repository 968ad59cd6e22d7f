//! How a store begins: lock, mend, look through all that is there, rewrite what
//! takes up too much room.
//!
//! All of it runs on a thread of its own with a time limit: sled 0.34 may
//! panic or read in circles on damaged files.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use sled::{Config, Db, IVec};

use super::blobs::Blobs;
use super::entry::{self, Body, Hash};
use super::layout::{Layout, wait_until_free};
use super::tally::{self, Tally};
use super::{SledSettings, io_error, seal, sled_error};
use crate::ports::StoreError;
use crate::store::{files, keys};

/// Values written at once when a sled folder is filled.
const FILL_AT_ONCE: usize = 512;
/// Damaged values that are named; more are counted.
const NAMED_DAMAGES: usize = 8;

/// A store that is ready for its writer.
pub(super) struct Opened {
    /// Keeps others out.
    pub lock: File,
    /// The values.
    pub db: Db,
    /// What should be there.
    pub tally: Tally,
    /// The large values.
    pub blobs: Blobs,
    /// What was found wrong; empty if all is well.
    pub problems: Vec<String>,
}

/// Opens the store in a folder; creates it if there is none.
pub(super) fn open(layout: &Layout, settings: &SledSettings) -> Result<Opened, StoreError> {
    let (send, receive) = mpsc::sync_channel(1);
    let inner = (layout.clone(), settings.clone());
    let opener = thread::Builder::new().name("store-open".to_owned()).spawn(move || {
        // Nobody listens any more once the time is up.
        send.send(open_here(&inner.0, &inner.1)).ok();
    });
    let opener = opener.map_err(io_error)?;
    let broken = |how: &str| {
        StoreError::Io(format!(
            "sled {how} on the files in {}, which means that they are damaged; restore a backup of {}",
            layout.sled().display(),
            layout.root().display()
        ))
    };
    match receive.recv_timeout(settings.open_limit) {
        Ok(opened) => {
            opener.join().map_err(|_| broken("broke off"))?;
            opened
        }
        Err(RecvTimeoutError::Timeout) => Err(broken("made no headway within open_limit")),
        Err(RecvTimeoutError::Disconnected) => Err(broken("broke off")),
    }
}

fn open_here(layout: &Layout, settings: &SledSettings) -> Result<Opened, StoreError> {
    files::create_folder(layout.root()).map_err(io_error)?;
    let lock = layout.lock()?;
    layout.prepare().map_err(io_error)?;
    break_seal(layout, settings)?;
    let mut db = open_sled(&layout.sled(), settings)?;
    let found = look_through(&db, layout)?;
    if found.problems.is_empty() && takes_too_much(layout, settings, found.live_bytes) {
        fill(&layout.fresh(), settings, db.iter().map(|pair| pair.map_err(|error| sled_error(&error))))?;
        drop(db);
        wait_until_free(&layout.sled())?;
        layout.swap(&layout.replaced()).map_err(io_error)?;
        files::remove_folder(&layout.replaced()).map_err(io_error)?;
        db = open_sled(&layout.sled(), settings)?;
    }
    let blobs = Blobs::new(&layout.blobs(), found.references);
    if found.problems.is_empty() {
        // A damaged value may be mended by hand, and then needs its file.
        blobs.sweep().map_err(io_error)?;
    }
    Ok(Opened { lock, db, tally: found.tally, blobs, problems: found.problems })
}

/// Compares sled's files with their seal and removes it; rebuilds them from
/// the copy if they are damaged.
fn break_seal(layout: &Layout, settings: &SledSettings) -> Result<(), StoreError> {
    let seal = seal::read(layout).map_err(io_error)?;
    let broken = seal.as_ref().and_then(|seal| seal.broken(layout));
    if let (Some(seal), Some(file)) = (seal, broken) {
        if !seal.has_copy(layout) {
            return Err(StoreError::Io(format!(
                "{} is not as it was at the last orderly end, and there is no whole copy in {}; \
                 restore a backup of {}",
                file.display(),
                layout.copy().display(),
                layout.root().display()
            )));
        }
        fill(&layout.fresh(), settings, seal::read_copy(layout).map_err(io_error)?)?;
        layout.swap(&layout.damaged()).map_err(io_error)?;
        tracing::warn!(
            file = %file.display(),
            kept = %layout.damaged().display(),
            "a file of the store was damaged since the last end; all values were rebuilt from the copy"
        );
    }
    seal::remove(layout).map_err(io_error)
}

fn open_sled(folder: &Path, settings: &SledSettings) -> Result<Db, StoreError> {
    wait_until_free(folder)?;
    let config = Config::new().path(folder).cache_capacity(settings.cache_bytes);
    let db = config.open().map_err(|error| sled_error(&error))?;
    // The file's name has to last as well as what is written to it.
    files::sync_folder(folder).map_err(io_error)?;
    if let Some(above) = folder.parent() {
        files::sync_folder(above).map_err(io_error)?;
    }
    Ok(db)
}

/// Fills a new sled folder, durably, and lets go of it.
fn fill(
    folder: &Path,
    settings: &SledSettings,
    pairs: impl Iterator<Item = Result<(IVec, IVec), StoreError>>,
) -> Result<(), StoreError> {
    files::remove_folder(folder).map_err(io_error)?;
    let db = open_sled(folder, settings)?;
    let (mut batch, mut waiting, mut total) = (sled::Batch::default(), 0, 0_usize);
    for pair in pairs {
        let (place, value) = pair?;
        batch.insert(place, value);
        waiting += 1;
        total += 1;
        if waiting == FILL_AT_ONCE {
            db.apply_batch(std::mem::take(&mut batch)).map_err(|error| sled_error(&error))?;
            waiting = 0;
        }
    }
    db.apply_batch(batch).and_then(|()| db.flush()).map_err(|error| sled_error(&error))?;
    if db.len() != total {
        return Err(StoreError::Io(format!("{}: not all values could be read back", folder.display())));
    }
    let path = folder.join("db");
    let synced = File::options().write(true).open(&path).and_then(|file| file.sync_all());
    synced.map_err(files::at(&path)).map_err(io_error)?;
    drop(db);
    wait_until_free(folder)
}

fn takes_too_much(layout: &Layout, settings: &SledSettings, live_bytes: u64) -> bool {
    let disk_bytes = files::size_of(&layout.sled());
    let much =
        disk_bytes > settings.compact_above && disk_bytes as f64 > settings.compact_ratio * live_bytes as f64;
    if much {
        tracing::info!(disk_bytes, live_bytes, "the store is rewritten to take up less room");
    }
    much
}

/// What a look at everything gave.
#[derive(Default)]
struct Found {
    tally: Tally,
    references: HashMap<Hash, u64>,
    live_bytes: u64,
    problems: Vec<String>,
}

/// Reads all values, and compares them with their checksums and the tally.
fn look_through(db: &Db, layout: &Layout) -> Result<Found, StoreError> {
    let mut found = Found::default();
    let (mut written, mut damaged) = (None, Vec::new());
    for pair in db.iter() {
        let (place, raw) = pair.map_err(|error| sled_error(&error))?;
        found.live_bytes += (place.len() + raw.len()) as u64;
        if &*place == tally::PLACE {
            written = Some(Tally::from_raw(&raw).map_err(|message| {
                StoreError::Io(format!("{}: the tally: {message}", layout.sled().display()))
            })?);
            continue;
        }
        let Some((table, key)) = keys::decode(&place) else {
            return Err(StoreError::Io(format!(
                "{} holds a table that this version does not know; use the version that wrote it",
                layout.sled().display()
            )));
        };
        match entry::decode(&place, &raw) {
            Ok(entry) => {
                found.tally.add(table, entry.checksum);
                if let Body::InFile { hash, .. } = entry.body {
                    *found.references.entry(hash).or_default() += 1;
                }
            }
            Err(message) => damaged.push(format!("{key:?} of {} is damaged: {message}", table.name())),
        }
    }
    let more = damaged.len().saturating_sub(NAMED_DAMAGES);
    found.problems.extend(damaged.into_iter().take(NAMED_DAMAGES));
    if more > 0 {
        found.problems.push(format!("{more} more values are damaged"));
    }
    let written = written.unwrap_or_default();
    found.problems.extend(written.differences(&found.tally));
    let lost = layout.read_seen().unwrap_or(0).saturating_sub(written.commits);
    if lost > 0 {
        found.problems.push(format!("at least the last {lost} commits are missing"));
    }
    found.tally = written;
    Ok(found)
}
