//! How a store begins: lock, mend, look through all that is there, rewrite what
//! takes up too much room.
//!
//! All of it runs on a thread of its own with a time limit: sled 0.34 may
//! panic or read in circles on damaged files.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;

use super::blobs::Blobs;
use super::inspect::{self, Inspected, LookedThrough};
use super::layout::{Layout, wait_until_free};
use super::rewrite::{self, Room};
use super::tally::Tally;
use super::tree::{DiskKind, Pair, Tree, Writes, each};
use super::{DiskSettings, io_error, seal};
use crate::ports::StoreError;
use crate::store::files;

/// Values written at once when a tree is filled.
const FILL_AT_ONCE: usize = 512;

/// A store that is ready for its writer.
pub(super) struct Opened {
    /// Keeps others out.
    pub lock: File,
    /// The values.
    pub tree: Arc<dyn Tree>,
    /// What should be there.
    pub tally: Tally,
    /// The large values.
    pub blobs: Blobs,
    /// How much room the values take up.
    pub room: Room,
    /// What was found wrong; empty if all is well.
    pub problems: Vec<String>,
}

/// Opens the store in a folder; creates it if there is none.
pub(super) fn open(layout: &Layout, settings: &DiskSettings) -> Result<Opened, StoreError> {
    let inner = (layout.clone(), settings.clone());
    within_limit(layout, settings, move || open_here(&inner.0, &inner.1))
}

/// Runs what opens a tree on a thread of its own, and not for longer than is
/// allowed.
pub(super) fn within_limit<T: Send + 'static>(
    layout: &Layout,
    settings: &DiskSettings,
    run: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (send, receive) = mpsc::sync_channel(1);
    let opener = thread::Builder::new().name("store-open".to_owned()).spawn(move || {
        // Nobody listens any more once the time is up.
        send.send(run()).ok();
    });
    let opener = opener.map_err(io_error)?;
    let broken = |how: &str| {
        StoreError::Io(format!(
            "{} {how} on the files in {}, which means that they are damaged; restore a backup of {}, or try \
             `plimsoll store repair`",
            layout.kind(),
            layout.values().display(),
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

fn open_here(layout: &Layout, settings: &DiskSettings) -> Result<Opened, StoreError> {
    files::create_folder(layout.root()).map_err(io_error)?;
    let lock = layout.lock()?;
    refuse_another_kind(layout)?;
    layout.prepare().map_err(io_error)?;
    let Unsealed { is_known, looked_through, problem } = break_seal(layout, settings)?;
    let mut tree = layout.kind().open_known(&layout.values(), settings.cache_bytes, is_known)?;
    let found = match looked_through.and_then(|known| known.again(layout)) {
        Some(found) => found,
        None => inspect::inspect(&*tree, layout)?,
    };
    let mut problems: Vec<String> = problem.into_iter().collect();
    problems.extend(found.problems());
    let mut room = Room::of(found.live_bytes);
    if problems.is_empty() && room.is_overrun(layout, settings) {
        tree = rewrite(layout, settings, tree)?;
        room.tried(layout, None);
    }
    let Inspected { references, written, .. } = found;
    let blobs = Blobs::new(&layout.blobs(), references);
    if problems.is_empty() {
        // A damaged value may be mended by hand, and then needs its file.
        blobs.sweep().map_err(io_error)?;
    }
    Ok(Opened { lock, tree, tally: written, blobs, room, problems })
}

/// Values of one kind are never taken for those of another, nor mixed with
/// them.
pub(super) fn refuse_another_kind(layout: &Layout) -> Result<(), StoreError> {
    match DiskKind::of(layout.root()) {
        Some(there) if there != layout.kind() => Err(StoreError::Io(format!(
            "{} holds a state that is kept by {there}, not by {}; set store.kind to \"{there}\", or carry it \
             over: `plimsoll store backup`, then `plimsoll store restore` into another folder",
            layout.root().display(),
            layout.kind(),
        ))),
        _ => Ok(()),
    }
}

/// What is known of the values' files before they are opened.
struct Unsealed {
    /// Whether they are as the last end left them, byte by byte.
    is_known: bool,
    /// What that end found all values to be.
    looked_through: Option<LookedThrough>,
    /// What is wrong beside them.
    problem: Option<String>,
}

/// Compares the values' files with their seal and removes it; rebuilds them
/// from the copy if they are damaged.
fn break_seal(layout: &Layout, settings: &DiskSettings) -> Result<Unsealed, StoreError> {
    let (mut is_known, mut looked_through) = (false, None);
    match seal::read(layout).map_err(io_error)? {
        seal::Found::Nothing => {}
        // What it sealed is looked through like all that a crash left.
        seal::Found::Damaged => {
            let path = layout.seal();
            tracing::warn!(path = %path.display(), "the seal of the store is damaged, and was removed");
        }
        seal::Found::Whole(seal) => {
            if let Some(file) = seal.broken(layout).first() {
                if !seal.has_copy(layout) {
                    return Err(StoreError::Io(format!(
                        "{} is not as it was at the last orderly end, and there is no whole copy in {}; \
                         restore a backup of {}",
                        file.display(),
                        layout.copy().display(),
                        layout.root().display()
                    )));
                }
                rebuild(layout, settings)?;
                tracing::warn!(
                    file = %file.display(),
                    kept = %layout.damaged().display(),
                    "a file of the store was damaged since the last end; all values were rebuilt from the copy"
                );
            } else {
                is_known = true;
                looked_through = seal.looked_through().cloned();
                if seal.names_a_copy() && !seal.has_copy(layout) {
                    let path = layout.copy();
                    tracing::warn!(path = %path.display(), "the copy of the store is damaged; the values are whole");
                }
            }
        }
    }
    seal::remove(layout).map_err(io_error)?;
    Ok(Unsealed { is_known, looked_through, problem: layout.read_seen().err() })
}

/// Puts values that are made from the copy in the place of those that are
/// there, which are set aside.
pub(super) fn rebuild(layout: &Layout, settings: &DiskSettings) -> Result<(), StoreError> {
    fill(layout, settings, seal::read_copy(&layout.copy()).map_err(io_error)?)?;
    layout.swap(&layout.damaged()).map_err(io_error)
}

fn rewrite(
    layout: &Layout,
    settings: &DiskSettings,
    tree: Arc<dyn Tree>,
) -> Result<Arc<dyn Tree>, StoreError> {
    // Nobody is there yet who could stop it.
    let fresh = rewrite::copy(layout, settings.cache_bytes, &*tree, &AtomicBool::new(false))?;
    drop((fresh, tree));
    wait_until_free(&layout.file())?;
    layout.swap(&layout.replaced()).map_err(io_error)?;
    files::remove_folder(&layout.replaced()).map_err(io_error)?;
    layout.kind().open(&layout.values(), settings.cache_bytes)
}

/// Fills fresh values, durably, and lets go of them.
fn fill(
    layout: &Layout,
    settings: &DiskSettings,
    pairs: impl Iterator<Item = Result<Pair, StoreError>>,
) -> Result<(), StoreError> {
    let folder = layout.fresh();
    files::remove_folder(&folder).map_err(io_error)?;
    let tree = layout.kind().open(&folder, settings.cache_bytes)?;
    let mut filling = Filling::new(&*tree);
    let mut total = 0_usize;
    for pair in pairs {
        let (place, raw) = pair?;
        filling.put(place, Some(raw))?;
        total += 1;
    }
    filling.end()?;
    let mut there = 0;
    each(&*tree, |_, _| {
        there += 1;
        Ok(())
    })?;
    if there != total {
        return Err(StoreError::Io(format!("{}: not all values could be read back", folder.display())));
    }
    drop(tree);
    free(&folder, layout.kind())
}

/// Waits until the values in a folder are let go of.
pub(super) fn free(folder: &Path, kind: DiskKind) -> Result<(), StoreError> {
    wait_until_free(&folder.join(kind.file()))
}

/// Writes many values to a tree, some at a time.
pub(super) struct Filling<'a> {
    tree: &'a dyn Tree,
    waiting: Writes,
}

impl<'a> Filling<'a> {
    /// Of a tree that nobody else writes to.
    pub fn new(tree: &'a dyn Tree) -> Self {
        Filling { tree, waiting: Writes::new() }
    }

    /// Puts a value, or clears its place.
    pub fn put(&mut self, place: Vec<u8>, raw: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.waiting.insert(place, raw);
        if self.waiting.len() < FILL_AT_ONCE {
            return Ok(());
        }
        self.tree.apply(&std::mem::take(&mut self.waiting))
    }

    /// Makes all of it durable.
    pub fn end(self) -> Result<(), StoreError> {
        self.tree.apply(&self.waiting)?;
        self.tree.sync()
    }
}
