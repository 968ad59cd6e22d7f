//! All that is kept, state and history, as one: copied and examined while it
//! is in use.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::archive::ArchiveWriter;
use super::disk::snapshot::{Examination, Part};
use super::disk::{DiskStore, write_pair};
use super::history::{DamagedSegment, ParquetHistory, check_history, history_files};
use crate::ports::{Keeper, StoreCheck, StoreError, StoreFinding};
use crate::security::hex;

/// Values of this many bytes make an entry of a backup.
const ENTRY_BYTES: usize = 1 << 20;

/// State and history of one daemon.
#[derive(Debug, Clone)]
pub struct DiskKeeper {
    store: Arc<DiskStore>,
    history: Arc<ParquetHistory>,
}

impl DiskKeeper {
    /// Of a store and the history beside it.
    pub fn new(store: Arc<DiskStore>, history: Arc<ParquetHistory>) -> Self {
        DiskKeeper { store, history }
    }

    /// Closes the store (see [`DiskStore::close`]).
    ///
    /// # Errors
    /// Where what waited could not be made durable.
    pub fn close(&self) -> Result<(), StoreError> {
        self.store.close()
    }
}

impl Keeper for DiskKeeper {
    fn back_up(&self, out: &mut dyn io::Write) -> Result<StoreCheck, StoreError> {
        let mut archive = ArchiveWriter::new(out);
        let mut examination = Examination::default();
        let mut values = Values::default();
        self.store.snapshot(|part| {
            examination.take(&part);
            values.add(part, &mut archive).map_err(io_error)
        })?;
        values.end(&mut archive).map_err(io_error)?;
        let (count, mut files, mut findings) = examination.end()?;
        // After the state: whatever its watermarks say was collected is there.
        let frozen = self.history.freeze().map_err(io_error)?;
        let (segments, damaged) = check_history(frozen.path()).map_err(io_error)?;
        files += segments as u64;
        for file in history_files(frozen.path()).map_err(io_error)? {
            if damaged.iter().any(|one| one.path == file) {
                continue;
            }
            let below = file.strip_prefix(frozen.path()).unwrap_or(&file);
            let bytes = std::fs::read(&file).map_err(super::files::at(&file)).map_err(io_error)?;
            archive.add(&format!("history/{}", below.display()), &bytes).map_err(io_error)?;
        }
        findings.extend(damaged.into_iter().map(|one| finding(one, frozen.path())));
        let check = StoreCheck { values: count, files, findings };
        archive.end(check.clone()).map_err(io_error)?;
        Ok(check)
    }

    fn check(&self) -> Result<StoreCheck, StoreError> {
        let mut examination = Examination::default();
        self.store.snapshot(|part| {
            examination.take(&part);
            Ok(())
        })?;
        let (values, files, mut findings) = examination.end()?;
        let folder = self.history.folder();
        let (segments, damaged) = check_history(folder).map_err(io_error)?;
        findings.extend(damaged.into_iter().map(|one| finding(one, Path::new(""))));
        Ok(StoreCheck { values, files: files + segments as u64, findings })
    }
}

/// How a damaged segment is told of, with a path below `folder`.
pub(super) fn finding(damaged: DamagedSegment, folder: &Path) -> StoreFinding {
    let DamagedSegment { path, message, resource, from, to } = damaged;
    let place = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
    StoreFinding { place, message: format!("{message}; it held samples of {resource} from {from} to {to}") }
}

/// Values on their way into an archive.
#[derive(Default)]
struct Values {
    waiting: Vec<u8>,
    are_late: bool,
    entries: usize,
}

impl Values {
    fn add(&mut self, part: Part, archive: &mut ArchiveWriter<'_>) -> io::Result<()> {
        if part.is_late != self.are_late {
            self.end(archive)?;
            self.are_late = part.is_late;
        }
        for (hash, content) in &part.files {
            // What can't be read is told of by whoever examines it.
            if let Ok(bytes) = content {
                archive.add(&format!("state/blobs/{}", hex(hash)), bytes)?;
            }
        }
        for (place, raw) in &part.pairs {
            write_pair(&mut self.waiting, place, raw)?;
            if self.waiting.len() >= ENTRY_BYTES {
                self.end(archive)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, archive: &mut ArchiveWriter<'_>) -> io::Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        self.entries += 1;
        let what = if self.are_late { "changes" } else { "values" };
        let bytes = std::mem::take(&mut self.waiting);
        archive.add(&format!("state/{what}-{:06}", self.entries), &bytes)
    }
}

pub(super) fn io_error(error: io::Error) -> StoreError {
    StoreError::Io(error.to_string())
}
