//! The folder of a store, and how one folder of values takes the place of
//! another so that a crash at any moment leaves one that is whole.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::tree::DiskKind;
use crate::ports::StoreError;
use crate::store::{files, guarded};

/// How long a file may stay in use after its last handle was dropped.
const LETTING_GO: Duration = Duration::from_secs(10);

/// The paths in a store's folder.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
    kind: DiskKind,
}

impl Layout {
    /// The layout of a folder.
    pub fn new(root: &Path, kind: DiskKind) -> Self {
        Layout { root: root.to_owned(), kind }
    }

    /// What the values are kept in.
    pub fn kind(&self) -> DiskKind {
        self.kind
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The values.
    pub fn values(&self) -> PathBuf {
        self.root.join(self.kind.name())
    }

    /// Values in the making. Where there are some and no [`Self::values`],
    /// they are whole and their turn has come.
    pub fn fresh(&self) -> PathBuf {
        self.root.join(format!("{}.new", self.kind))
    }

    /// Values that were rewritten, about to be removed.
    pub fn replaced(&self) -> PathBuf {
        self.root.join(format!("{}.old", self.kind))
    }

    /// Values that were found damaged, kept for a person to look at.
    pub fn damaged(&self) -> PathBuf {
        self.root.join(format!("{}.damaged", self.kind))
    }

    /// The file in which the values lie.
    pub fn file(&self) -> PathBuf {
        self.values().join(self.kind.file())
    }

    /// Values that are files of their own.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// All values as they were at the last orderly end.
    pub fn copy(&self) -> PathBuf {
        self.root.join("copy")
    }

    /// The hashes of the values' files and of the copy, there only from an
    /// orderly end to the next start.
    pub fn seal(&self) -> PathBuf {
        self.root.join("seal.json")
    }

    /// How many commits were durable when last looked at.
    pub fn seen(&self) -> PathBuf {
        self.root.join("seen")
    }

    /// Creates the folders, and finishes or undoes what a crash interrupted.
    pub fn prepare(&self) -> io::Result<()> {
        files::create_folder(&self.root)?;
        if !self.values().exists() && self.fresh().exists() {
            fs::rename(self.fresh(), self.values()).map_err(files::at(&self.fresh()))?;
        }
        files::remove_folder(&self.fresh())?;
        files::remove_folder(&self.replaced())?;
        files::sweep_temporaries(&self.root)?;
        files::create_folder(&self.blobs())?;
        files::sync_folder(&self.root)
    }

    /// Lets the fresh values take the place of those that are there, which are
    /// kept as `aside`.
    pub fn swap(&self, aside: &Path) -> io::Result<()> {
        files::remove_folder(aside)?;
        fs::rename(self.values(), aside).map_err(files::at(&self.values()))?;
        fs::rename(self.fresh(), self.values()).map_err(files::at(&self.fresh()))?;
        files::sync_folder(&self.root)
    }

    /// Keeps other processes out for as long as the file lives.
    pub fn lock(&self) -> Result<File, StoreError> {
        let path = self.root.join("lock");
        let file = File::create(&path).map_err(|error| super::io_error(files::at(&path)(error)))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(StoreError::Io(format!(
                "the folder {} is in use by another plimsoll; stop that one, or name another folder",
                self.root.display()
            ))),
            Err(TryLockError::Error(error)) => Err(super::io_error(files::at(&path)(error))),
        }
    }

    /// How many commits are known to have been durable; `None` where nobody
    /// noted it.
    ///
    /// # Errors
    /// Says what is wrong where the note is not as it was written.
    pub fn read_seen(&self) -> Result<Option<u64>, String> {
        let path = self.seen();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("{}: {error}", path.display())),
        };
        let number = guarded::open(&bytes).and_then(|text| str::from_utf8(text).ok()?.parse().ok());
        let damaged = || format!("{}: its bytes are not those that were written", path.display());
        number.map(Some).ok_or_else(damaged)
    }

    /// Notes how many commits are durable.
    pub fn write_seen(&self, commits: u64) -> io::Result<()> {
        files::write_whole(&self.seen(), &guarded::guard(commits.to_string().into_bytes()))?;
        files::sync_folder(&self.root)
    }
}

/// Waits until the file of values is let go of: sled's threads may outlive the
/// last handle for a moment.
pub(super) fn wait_until_free(path: &Path) -> Result<(), StoreError> {
    let until = Instant::now() + LETTING_GO;
    loop {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(super::io_error(files::at(path)(error))),
        };
        match file.try_lock() {
            Ok(()) => return Ok(()),
            Err(_) if Instant::now() < until => thread::sleep(Duration::from_millis(5)),
            Err(error) => {
                return Err(StoreError::Io(format!("{}: it stays locked: {error}", path.display())));
            }
        }
    }
}
