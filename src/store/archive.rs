//! A backup as one tar archive that other tools open, too.
//!
//! `state/values-N` and `state/changes-N` hold values as the copy of an orderly
//! end does (see `disk::seal`), of which later ones count and an empty one
//! clears its place; `state/blobs/` and `history/` hold files as they are. The
//! last entry, `manifest.json`, lists all with their SHA-256 and carries its
//! own, so that a backup that was cut or changed is known as such.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::guarded;
use crate::ports::StoreCheck;
use crate::security::{hex, sha256};

/// The entry that lists all others.
const MANIFEST: &str = "manifest.json";
/// The version of the format.
const FORMAT: u32 = 1;
/// Who may read what is unpacked by hand: it holds secrets.
const MODE: u32 = 0o600;

/// What an archive holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    /// The SHA-256 of each entry by its name.
    entries: BTreeMap<String, String>,
    /// What was found when it was made.
    pub check: StoreCheck,
}

/// An archive in the making.
pub(super) struct ArchiveWriter<'a> {
    tar: tar::Builder<&'a mut dyn Write>,
    entries: BTreeMap<String, String>,
}

impl<'a> ArchiveWriter<'a> {
    /// An archive that is written to `out`.
    pub fn new(out: &'a mut dyn Write) -> Self {
        ArchiveWriter { tar: tar::Builder::new(out), entries: BTreeMap::new() }
    }

    /// Adds an entry.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.append(name, bytes)?;
        self.entries.insert(name.to_owned(), hex(&sha256([bytes])));
        Ok(())
    }

    /// Adds the list of all entries, and ends the archive.
    pub fn end(mut self, check: StoreCheck) -> io::Result<()> {
        let manifest = Manifest { format: FORMAT, entries: std::mem::take(&mut self.entries), check };
        let text = serde_json::to_vec_pretty(&manifest)?;
        self.append(MANIFEST, &guarded::guard(text))?;
        self.tar.into_inner()?.flush()
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(MODE);
        self.tar.append_data(&mut header, name, bytes)
    }
}

/// Shows each entry of an archive but the last, which is given.
fn each(path: &Path, mut show: impl FnMut(String, Vec<u8>) -> io::Result<()>) -> io::Result<Option<Vec<u8>>> {
    let mut archive = tar::Archive::new(BufReader::new(File::open(path)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.to_string_lossy().into_owned();
        // What an entry says of its length may not be true.
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        if name == MANIFEST {
            return Ok(Some(bytes));
        }
        show(name, bytes)?;
    }
    Ok(None)
}

/// Reads an archive from end to end, and holds each entry against the manifest.
///
/// # Errors
/// Where the file can't be read, or is not as it was written; the message fits
/// after "failed to use {path}: ".
pub(super) fn verify(path: &Path) -> io::Result<Manifest> {
    let mut found = BTreeMap::new();
    let damaged = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let manifest = each(path, |name, bytes| {
        found.insert(name, hex(&sha256([&*bytes])));
        Ok(())
    })?;
    let text = manifest.ok_or_else(|| damaged("it has no end; was it cut off?".to_owned()))?;
    // Its hash is part of it.
    let json = guarded::open(&text).filter(|json| json.len() < text.len());
    let manifest: Option<Manifest> = json.and_then(|json| serde_json::from_slice(json).ok());
    let manifest = manifest.ok_or_else(|| damaged(format!("its {MANIFEST} is not as it was written")))?;
    if manifest.format != FORMAT {
        let format = manifest.format;
        return Err(damaged(format!("its format {format} is that of another version of plimsoll")));
    }
    if found != manifest.entries {
        let names = manifest.entries.keys().chain(found.keys());
        let name = names.into_iter().find(|name| found.get(*name) != manifest.entries.get(*name));
        let name = name.map_or("", |name| name);
        return Err(damaged(format!("{name} in it is not as it was written")));
    }
    Ok(manifest)
}

/// Shows each entry of an archive that was verified.
pub(super) fn unpack(path: &Path, show: impl FnMut(String, Vec<u8>) -> io::Result<()>) -> io::Result<()> {
    each(path, show).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_cut_or_changed_is_noticed() {
        let mut whole = Vec::new();
        let mut writer = ArchiveWriter::new(&mut whole);
        writer.add("state/values-0", b"some values").unwrap();
        writer.add("history/cpu_cores/1_2_3.parquet", &[7; 700]).unwrap();
        writer.end(StoreCheck { values: 1, ..StoreCheck::default() }).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        let verified = |bytes: &[u8]| {
            std::fs::write(file.path(), bytes).unwrap();
            verify(file.path())
        };
        assert_eq!(verified(&whole).unwrap().check.values, 1);
        let mut names = Vec::new();
        unpack(file.path(), |name, bytes| {
            names.push((name, bytes.len()));
            Ok(())
        })
        .unwrap();
        assert_eq!(names[1], ("history/cpu_cores/1_2_3.parquet".to_owned(), 700));
        let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
        for length in (0..=end).step_by(97) {
            verified(&whole[..length]).unwrap_err();
        }
        let changed =
            verified(&whole.iter().map(|byte| if *byte == 7 { 8 } else { *byte }).collect::<Vec<_>>());
        let changed = changed.unwrap_err().to_string();
        assert_eq!(changed, "history/cpu_cores/1_2_3.parquet in it is not as it was written");
        verified(b"").unwrap_err();
        verified(b"no archive at all").unwrap_err();
    }
}
