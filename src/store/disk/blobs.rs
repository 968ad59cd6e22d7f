//! Values of many bytes: files named by their SHA-256, so that equal values
//! share one. sled reclaims large ones badly.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::entry::Hash;
use crate::security::{hex, sha256};
use crate::store::files;

/// The files, and how many values refer to each.
#[derive(Debug)]
pub(super) struct Blobs {
    folder: PathBuf,
    references: HashMap<Hash, u64>,
}

impl Blobs {
    /// Over a folder that is there, with the references that were found.
    pub fn new(folder: &Path, references: HashMap<Hash, u64>) -> Self {
        Blobs { folder: folder.to_owned(), references }
    }

    /// Makes the files of some values durable. Nothing refers to them yet.
    pub fn write(&self, values: &[(Hash, &[u8])]) -> io::Result<()> {
        if values.is_empty() {
            return Ok(());
        }
        for (hash, bytes) in values {
            // A file that is there may be damaged; to write it again mends it.
            files::write_whole(&path(&self.folder, hash), bytes)?;
        }
        files::sync_folder(&self.folder)
    }

    /// Counts a reference.
    pub fn refer(&mut self, hash: Hash) {
        *self.references.entry(hash).or_default() += 1;
    }

    /// Counts a reference no more.
    pub fn release(&mut self, hash: Hash) {
        if let Some(count) = self.references.get_mut(&hash) {
            *count = count.saturating_sub(1);
        }
    }

    /// Takes the files that nothing refers to any more, to be removed once the
    /// writes that let go of them are durable.
    pub fn take_released(&mut self) -> Vec<PathBuf> {
        let released = self.references.extract_if(|_, count| *count == 0);
        released.map(|(hash, _)| path(&self.folder, &hash)).collect()
    }

    /// Removes files that a crash left without a reference.
    pub fn sweep(&self) -> io::Result<()> {
        files::sweep_temporaries(&self.folder)?;
        let kept: HashSet<PathBuf> = self.references.keys().map(|hash| path(&self.folder, hash)).collect();
        for file in files::files_in(&self.folder)? {
            if !kept.contains(&file) {
                files::remove(&file)?;
            }
        }
        Ok(())
    }
}

/// The file of a value.
pub(super) fn path(folder: &Path, hash: &Hash) -> PathBuf {
    folder.join(hex(hash))
}

/// Reads a value and holds it against its hash; says what is wrong.
pub(super) fn read(folder: &Path, hash: &Hash, length: u64) -> Result<Vec<u8>, String> {
    let path = path(folder, hash);
    let mend = "restore the file from a backup";
    let bytes = fs::read(&path).map_err(|error| format!("{}: {error}; {mend}", path.display()))?;
    if bytes.len() as u64 == length && sha256([&*bytes]) == *hash {
        Ok(bytes)
    } else {
        Err(format!("{}: its bytes are not those that were written; {mend}", path.display()))
    }
}
