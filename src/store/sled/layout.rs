//! The folder of a store, and how one sled folder takes the place of another
//! so that a crash at any moment leaves one that is whole.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::ports::StoreError;
use crate::store::files;

/// How long sled's threads may take to let go of a file after its last handle
/// was dropped.
const LETTING_GO: Duration = Duration::from_secs(10);

/// The paths in a store's folder.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of a folder.
    pub fn new(root: &Path) -> Self {
        Layout { root: root.to_owned() }
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What sled keeps.
    pub fn sled(&self) -> PathBuf {
        self.root.join("sled")
    }

    /// A sled folder in the making. Where there is one and no [`Self::sled`],
    /// it is whole and its turn has come.
    pub fn fresh(&self) -> PathBuf {
        self.root.join("sled.new")
    }

    /// A sled folder that was rewritten, about to be removed.
    pub fn replaced(&self) -> PathBuf {
        self.root.join("sled.old")
    }

    /// A sled folder that was found damaged, kept for a person to look at.
    pub fn damaged(&self) -> PathBuf {
        self.root.join("sled.damaged")
    }

    /// Values too large for sled.
    pub fn blobs(&self) -> PathBuf {
        self.root.join("blobs")
    }

    /// All that sled held at the last orderly end.
    pub fn copy(&self) -> PathBuf {
        self.root.join("copy")
    }

    /// The hashes of sled's files and of the copy, there only from an orderly
    /// end to the next start.
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
        if !self.sled().exists() && self.fresh().exists() {
            fs::rename(self.fresh(), self.sled()).map_err(files::at(&self.fresh()))?;
        }
        files::remove_folder(&self.fresh())?;
        files::remove_folder(&self.replaced())?;
        files::sweep_temporaries(&self.root)?;
        files::create_folder(&self.blobs())?;
        files::sync_folder(&self.root)
    }

    /// Lets the fresh folder take the place of sled's, which is kept as `aside`.
    pub fn swap(&self, aside: &Path) -> io::Result<()> {
        files::remove_folder(aside)?;
        fs::rename(self.sled(), aside).map_err(files::at(&self.sled()))?;
        fs::rename(self.fresh(), self.sled()).map_err(files::at(&self.fresh()))?;
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

    /// How many commits are known to have been durable.
    pub fn read_seen(&self) -> Option<u64> {
        fs::read_to_string(self.seen()).ok()?.trim().parse().ok()
    }

    /// Notes how many commits are durable.
    pub fn write_seen(&self, commits: u64) -> io::Result<()> {
        files::write_whole(&self.seen(), commits.to_string().as_bytes())?;
        files::sync_folder(&self.root)
    }
}

/// Waits until sled's threads have let go of a sled folder: they may outlive
/// the last handle for a moment.
pub(super) fn wait_until_free(sled: &Path) -> Result<(), StoreError> {
    let path = sled.join("db");
    let until = Instant::now() + LETTING_GO;
    loop {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(super::io_error(files::at(&path)(error))),
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
