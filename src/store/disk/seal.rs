//! A copy and a seal for the time between an orderly end and the next start.
//!
//! When sled 0.34 opens files with a flipped byte it may panic, read in circles,
//! or cut off what follows the byte without a word; redb refuses the file. So
//! an orderly end leaves a plain copy of all values and the hashes of all files,
//! and a start compares the hashes before anything is opened; what is damaged is
//! rebuilt from the copy. Whoever puts other files in their place must remove
//! the seal.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use super::inspect::{Inspected, LookedThrough};
use super::layout::Layout;
use super::tree::{Pair, Tree, each};
use crate::ports::StoreError;
use crate::security::hex;
use crate::store::{files, guarded};

/// What the seal says of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sealed {
    path: PathBuf,
    bytes: u64,
    sha256: String,
}

/// All files of the values, and the copy if one was made.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Seal {
    files: Vec<Sealed>,
    copy: Option<Sealed>,
    /// What the values were found to be; `None` where something was wrong with
    /// them, and in seals of versions that did not note it.
    #[serde(default)]
    looked_through: Option<LookedThrough>,
}

impl Seal {
    /// The files that are not as they were sealed.
    pub fn broken(&self, layout: &Layout) -> Vec<PathBuf> {
        let differs = |sealed: &&Sealed| !sealed.stands(layout);
        self.files.iter().filter(differs).map(|sealed| layout.root().join(&sealed.path)).collect()
    }

    /// What a look through all values gave before their files were sealed.
    pub fn looked_through(&self) -> Option<&LookedThrough> {
        self.looked_through.as_ref()
    }

    /// Whether a copy was sealed.
    pub fn names_a_copy(&self) -> bool {
        self.copy.is_some()
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
/// (4 bytes each, big endian), the place, the value. Gives what the values were
/// found to be.
pub(super) fn write_copy(layout: &Layout, tree: &dyn Tree) -> io::Result<Inspected> {
    let mut found = Inspected::default();
    files::write_whole_with(&layout.copy(), |file| {
        let mut writer = BufWriter::new(file);
        let copied = each(tree, |place, raw| {
            write_pair(&mut writer, &place, &raw).map_err(super::io_error)?;
            found.take(place, &raw)
        });
        copied.map_err(io::Error::other)?;
        writer.flush()
    })?;
    Ok(found)
}

/// Writes one value of a copy.
pub(in crate::store) fn write_pair(writer: &mut impl Write, place: &[u8], raw: &[u8]) -> io::Result<()> {
    for part in [place, raw] {
        let length = u32::try_from(part.len()).map_err(io::Error::other)?;
        writer.write_all(&length.to_be_bytes())?;
    }
    writer.write_all(place)?;
    writer.write_all(raw)
}

/// The values of a copy.
pub(super) fn read_copy(path: &Path) -> io::Result<impl Iterator<Item = Result<Pair, StoreError>> + use<>> {
    let path = path.to_owned();
    let file = File::open(&path).map_err(files::at(&path))?;
    let most = file.metadata().map_err(files::at(&path))?.len();
    let pairs = read_pairs(BufReader::new(file), most);
    Ok(pairs.map(move |pair| pair.map_err(|error| super::io_error(files::at(&path)(error)))))
}

/// Values as [`write_pair`] writes them, of which none is longer than `most`:
/// a length that is not as it was written must not fill the memory.
pub(super) fn read_pairs(mut reader: impl Read, most: u64) -> impl Iterator<Item = io::Result<Pair>> {
    std::iter::from_fn(move || {
        let mut lengths = [0; 8];
        match reader.read(&mut lengths[..1]) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(error)),
        }
        let mut pair = || {
            reader.read_exact(&mut lengths[1..])?;
            let [a, b, c, d, e, f, g, h] = lengths;
            let mut part = |length: [u8; 4]| {
                let length = u32::from_be_bytes(length);
                if u64::from(length) > most {
                    return Err(io::Error::other("a length in it is more than all of it"));
                }
                let mut bytes = vec![0; length as usize];
                reader.read_exact(&mut bytes)?;
                io::Result::Ok(bytes)
            };
            Ok((part([a, b, c, d])?, part([e, f, g, h])?))
        };
        Some(pair())
    })
}

/// What an orderly end does beside closing the files.
#[derive(Debug)]
pub(super) struct LastLook {
    /// Whether the copy was made.
    pub copied: bool,
    /// What is known of the values, where all are as they should be.
    pub looked_through: Option<LookedThrough>,
}

/// Seals the values' files, closed and synced, and the copy if one was made.
pub(super) fn write(layout: &Layout, last: LastLook) -> io::Result<()> {
    let mut paths = files::files_in(&layout.values())?;
    // Where sled keeps large nodes.
    let blobs = layout.values().join("blobs");
    if blobs.is_dir() {
        paths.extend(files::files_in(&blobs)?);
    }
    let sealed = paths.iter().map(|path| Sealed::of(layout, path)).collect::<io::Result<_>>()?;
    let copy = last.copied.then(|| Sealed::of(layout, &layout.copy())).transpose()?;
    let seal = Seal { files: sealed, copy, looked_through: last.looked_through };
    let text = serde_json::to_vec_pretty(&seal)?;
    files::write_whole(&layout.seal(), &guarded::guard(text))?;
    files::sync_folder(layout.root())
}

/// What a start finds of a seal.
pub(super) enum Found {
    /// None: the end before was not orderly.
    Nothing,
    /// One that is not as it was written; it seals nothing.
    Damaged,
    /// One.
    Whole(Seal),
}

/// The seal, if the end before was orderly.
pub(super) fn read(layout: &Layout) -> io::Result<Found> {
    let path = layout.seal();
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(files::at(&path)(error)),
    };
    let seal = guarded::open(&text).and_then(|json| serde_json::from_slice(json).ok());
    Ok(seal.map_or(Found::Damaged, Found::Whole))
}

/// Breaks the seal, durably: the values' files are about to change.
pub(super) fn remove(layout: &Layout) -> io::Result<()> {
    files::remove(&layout.seal())?;
    files::sync_folder(layout.root())
}
