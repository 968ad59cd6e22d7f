//! Values that take up too much room are written anew while the store is in use.
//!
//! A thread copies all that stands there, some at a time; the writer goes on and
//! notes what it changes. Once the copy is there it is given these changes, and
//! the two folders change places: only that moment is waited for. A crash at any
//! time leaves one folder that is whole, as [`Layout::prepare`] finds it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use super::layout::Layout;
use super::opening::Filling;
use super::snapshot::Changes;
use super::tree::{Tree, Writes, each};
use super::{DiskSettings, io_error};
use crate::ports::StoreError;
use crate::store::files;

/// What was rewritten is not rewritten again before it has grown so much.
const GROWN_BY: f64 = 1.25;

/// How much room values take up, and may.
#[derive(Debug)]
pub(super) struct Room {
    /// Bytes of keys and values when all were looked at last.
    live_bytes: u64,
    /// Bytes on disk after they were rewritten last, or could not be.
    tried_at: u64,
}

impl Room {
    /// Of values that were just looked through.
    pub fn of(live_bytes: u64) -> Self {
        Room { live_bytes, tried_at: 0 }
    }

    /// Whether the values take up too much.
    pub fn is_overrun(&self, layout: &Layout, settings: &DiskSettings) -> bool {
        let disk_bytes = files::size_of(&layout.values());
        let most = settings.compact_ratio * self.live_bytes as f64;
        let overrun = disk_bytes > settings.compact_above
            && disk_bytes as f64 > most
            && disk_bytes as f64 > GROWN_BY * self.tried_at as f64;
        if overrun {
            let live_bytes = self.live_bytes;
            tracing::info!(disk_bytes, live_bytes, "the store is rewritten to take up less room");
        }
        overrun
    }

    /// Notes how large the values are once they were rewritten, or could not be.
    pub fn tried(&mut self, layout: &Layout, live_bytes: Option<u64>) {
        self.tried_at = files::size_of(&layout.values());
        self.live_bytes = live_bytes.unwrap_or(self.live_bytes);
    }
}

/// All values, written anew.
pub(super) struct Fresh {
    pub tree: Arc<dyn Tree>,
    /// Bytes of their keys and values.
    pub live_bytes: u64,
}

/// A copy in the making.
pub(super) struct Rewriting {
    copying: JoinHandle<Result<Fresh, StoreError>>,
    stop: Arc<AtomicBool>,
    /// What was changed since it began.
    changes: Changes,
}

impl Rewriting {
    /// Begins to copy all values.
    pub fn begin(
        layout: &Layout,
        settings: &DiskSettings,
        tree: Arc<dyn Tree>,
    ) -> Result<Rewriting, StoreError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (layout, cache_bytes, stopped) = (layout.clone(), settings.cache_bytes, Arc::clone(&stop));
        let copying = thread::Builder::new().name("store-rewrite".to_owned());
        let copying =
            copying.spawn(move || copy(&layout, cache_bytes, &*tree, &stopped)).map_err(io_error)?;
        Ok(Rewriting { copying, stop, changes: Changes::watched() })
    }

    /// Notes what was written to the values that are copied.
    pub fn note(&mut self, written: &Writes) {
        self.changes.note(written.clone());
    }

    /// Whether the copy waits for the changes.
    pub fn is_copied(&self) -> bool {
        self.copying.is_finished()
    }

    /// The values as they are now, durable.
    pub fn finish(self) -> Result<Fresh, StoreError> {
        let broken = |_| StoreError::Io("the thread that rewrites the store broke off".to_owned());
        let fresh = self.copying.join().map_err(broken)??;
        fresh.tree.apply(&self.changes.noted()?)?;
        fresh.tree.sync()?;
        Ok(fresh)
    }

    /// Gives the copy up.
    pub fn give_up(self, layout: &Layout) {
        self.stop.store(true, Ordering::Relaxed);
        // Whatever came of it is not wanted.
        drop(self.copying.join());
        if let Err(error) = files::remove_folder(&layout.fresh()) {
            tracing::warn!("a copy of the store is removed at the next start: {error}");
        }
    }
}

/// Writes all values anew, durably, where fresh ones are made.
pub(super) fn copy(
    layout: &Layout,
    cache_bytes: u64,
    tree: &dyn Tree,
    stop: &AtomicBool,
) -> Result<Fresh, StoreError> {
    files::remove_folder(&layout.fresh()).map_err(io_error)?;
    let fresh = layout.kind().open(&layout.fresh(), cache_bytes)?;
    let mut filling = Filling::new(&*fresh);
    let mut live_bytes = 0;
    each(tree, |place, raw| {
        if stop.load(Ordering::Relaxed) {
            return Err(StoreError::Closed);
        }
        live_bytes += (place.len() + raw.len()) as u64;
        filling.put(place, Some(raw))
    })?;
    filling.end()?;
    Ok(Fresh { tree: fresh, live_bytes })
}
