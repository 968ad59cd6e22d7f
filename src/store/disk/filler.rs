//! A new state, filled from the entries of a backup.

use std::path::Path;
use std::sync::Arc;

use super::inspect::inspect;
use super::layout::Layout;
use super::opening::{Filling, free};
use super::tree::Tree;
use super::{DiskKind, DiskSettings, blobs, io_error, seal};
use crate::ports::StoreError;
use crate::security::from_hex;
use crate::store::files;

/// A state in the making.
pub(in crate::store) struct Filler {
    layout: Layout,
    tree: Arc<dyn Tree>,
}

impl Filler {
    /// In a folder that is not there yet.
    pub fn new(folder: &Path, kind: DiskKind, settings: &DiskSettings) -> Result<Self, StoreError> {
        let layout = Layout::new(folder, kind);
        layout.prepare().map_err(io_error)?;
        let tree = kind.open(&layout.values(), settings.cache_bytes)?;
        Ok(Filler { layout, tree })
    }

    /// Takes an entry, named as below `state/` in the archive.
    pub fn take(&mut self, name: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        if let Some(hash) = name.strip_prefix("blobs").ok().and_then(|name| from_hex(name.to_str()?)) {
            let path = blobs::path(&self.layout.blobs(), &hash);
            return files::write_whole(&path, bytes).map_err(io_error);
        }
        let plain = name.to_str().is_some_and(|name| {
            (name.starts_with("values-") || name.starts_with("changes-")) && !name.contains('/')
        });
        if !plain {
            return Err(StoreError::Io(format!("state/{} in it has no place in a store", name.display())));
        }
        let mut filling = Filling::new(&*self.tree);
        for pair in seal::read_pairs(bytes, bytes.len() as u64) {
            let (place, raw) = pair.map_err(io_error)?;
            filling.put(place, Some(raw).filter(|raw| !raw.is_empty()))?;
        }
        filling.end()
    }

    /// Makes all of it durable, and lets go of it.
    pub fn end(self) -> Result<(), StoreError> {
        let Filler { layout, tree } = self;
        let found = inspect(&*tree, &layout)?;
        drop(tree);
        free(&layout.values(), layout.kind())?;
        files::sync_folder(&layout.blobs()).map_err(io_error)?;
        layout.write_seen(found.written.commits).map_err(io_error)?;
        files::sync_folder(layout.root()).map_err(io_error)
    }
}
