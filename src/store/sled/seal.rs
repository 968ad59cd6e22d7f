//! A copy and a seal for the time between an orderly end and the next start.
//!
//! When sled 0.34 opens files with a flipped byte it may panic, read in circles,
//! or cut off what follows the byte without a word. So an orderly end leaves a
//! plain copy of all values and the hashes of all files, and a start compares
//! the hashes before sled touches anything; what is damaged is rebuilt from the
//! copy. Whoever puts other files in the place of sled's must remove the seal.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};
use sled::{IVec, Tree};

use super::layout::Layout;
use crate::ports::StoreError;
use crate::security::hex;
use crate::store::files;

/// What the seal says of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sealed {
    path: PathBuf,
    bytes: u64,
    sha256: String,
}

/// All files of sled, and the copy if one was made.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seal {
    files: Vec<Sealed>,
    copy: Option<Sealed>,
}

impl Seal {
    /// The first file that is not as it was sealed.
    pub fn broken(&self, layout: &Layout) -> Option<PathBuf> {
        let differs = |sealed: &&Sealed| !sealed.stands(layout);
        self.files.iter().find(differs).map(|sealed| layout.root().join(&sealed.path))
    }

    /// Whether there is a copy, and it is as it was sealed.
    pub fn has_copy(&self, layout: &Layout) -> bool {
        self.copy.as_ref().is_some_and(|sealed| sealed.stands(layout))
    }
}

impl Sealed {
    fn of(layout: &Layout, path: &Path) -> io::Result<Self> {
        let (bytes, sha256) = hash(path).map_err(files::at(path))?;
        let path = path.strip_prefix(layout.root()).unwrap_or(path).to_owned();
        Ok(Sealed { path, bytes, sha256 })
    }

    fn stands(&self, layout: &Layout) -> bool {
        Sealed::of(layout, &layout.root().join(&self.path)).is_ok_and(|now| now == *self)
    }
}

fn hash(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, hex(hash.finish().as_ref())));
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
}

/// Copies all values to one file: for each the lengths of place and value
/// (4 bytes each, big endian), the place, the value.
pub(super) fn write_copy(layout: &Layout, tree: &Tree) -> io::Result<()> {
    files::write_whole_with(&layout.copy(), |file| {
        let mut writer = BufWriter::new(file);
        for pair in tree.iter() {
            let (place, value) = pair.map_err(io::Error::other)?;
            for part in [&place, &value] {
                let length = u32::try_from(part.len()).map_err(io::Error::other)?;
                writer.write_all(&length.to_be_bytes())?;
            }
            writer.write_all(&place)?;
            writer.write_all(&value)?;
        }
        writer.flush()
    })
}

/// The values of the copy.
pub(super) fn read_copy(
    layout: &Layout,
) -> io::Result<impl Iterator<Item = Result<(IVec, IVec), StoreError>> + use<>> {
    let path = layout.copy();
    let mut reader = BufReader::new(File::open(&path).map_err(files::at(&path))?);
    Ok(std::iter::from_fn(move || {
        let mut lengths = [0; 8];
        match reader.read(&mut lengths[..1]) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(super::io_error(files::at(&path)(error)))),
        }
        let mut pair = || {
            reader.read_exact(&mut lengths[1..])?;
            let [a, b, c, d, e, f, g, h] = lengths;
            let mut part = |length: [u8; 4]| {
                let mut bytes = vec![0; u32::from_be_bytes(length) as usize];
                reader.read_exact(&mut bytes)?;
                io::Result::Ok(IVec::from(bytes))
            };
            Ok((part([a, b, c, d])?, part([e, f, g, h])?))
        };
        Some(pair().map_err(|error| super::io_error(files::at(&path)(error))))
    }))
}

/// Seals sled's files, closed and synced, and the copy if one was made.
pub(super) fn write(layout: &Layout, copied: bool) -> io::Result<()> {
    let mut paths = files::files_in(&layout.sled())?;
    let blobs = layout.sled().join("blobs");
    if blobs.is_dir() {
        paths.extend(files::files_in(&blobs)?);
    }
    let sealed = paths.iter().map(|path| Sealed::of(layout, path)).collect::<io::Result<_>>()?;
    let copy = copied.then(|| Sealed::of(layout, &layout.copy())).transpose()?;
    let text = serde_json::to_vec_pretty(&Seal { files: sealed, copy })?;
    files::write_whole(&layout.seal(), &text)?;
    files::sync_folder(layout.root())
}

/// The seal, if the end before was orderly.
pub(super) fn read(layout: &Layout) -> io::Result<Option<Seal>> {
    let path = layout.seal();
    match fs::read(&path) {
        // A seal that can't be read seals nothing.
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(files::at(&path)(error)),
    }
}

/// Breaks the seal, durably: sled's files are about to change.
pub(super) fn remove(layout: &Layout) -> io::Result<()> {
    files::remove(&layout.seal())?;
    files::sync_folder(layout.root())
}
