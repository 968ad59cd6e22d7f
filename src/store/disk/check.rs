//! Looks for damage in all files of a state that nobody uses, and changes none.

use std::fs;
use std::path::{Path, PathBuf};

use super::entry::Hash;
use super::inspect::{DamagedValue, Inspected, inspect};
use super::layout::Layout;
use super::opening::{free, refuse_another_kind, within_limit};
use super::{DiskKind, DiskSettings, blobs, io_error, seal};
use crate::ports::{StoreCheck, StoreError, StoreFinding};
use crate::security::{from_hex, hex, sha256};
use crate::store::files;

/// Reads all files of the state in a folder (see the module).
///
/// # Errors
/// Where it is in use, is not there, or can't be copied.
pub(in crate::store) fn check(
    folder: &Path,
    kind: DiskKind,
    settings: &DiskSettings,
) -> Result<StoreCheck, StoreError> {
    let layout = Layout::new(folder, kind);
    refuse_another_kind(&layout)?;
    if DiskKind::of(folder).is_none() {
        return Err(StoreError::Io(format!("{}: there is no state in it", folder.display())));
    }
    let _lock = layout.lock()?;
    let mut findings = marks(&layout)?;
    let blobs = blob_files(&layout)?;
    for blob in blobs.iter().filter(|blob| !blob.is_whole) {
        findings.push(finding(&blob.path, "its bytes are not those that were written"));
    }
    let mut values = 0;
    match examine_copy(&layout, settings)? {
        Ok(examined) => {
            values = examined.values();
            findings.extend(examined.damaged.iter().map(DamagedValue::finding));
            findings.extend(examined.gaps().iter().map(|gap| finding(&layout.file(), gap)));
            for hash in examined.references.keys() {
                let path = blobs::path(&layout.blobs(), hash);
                if !path.exists() {
                    findings.push(finding(&path, "it is missing, and a value lies in it"));
                }
            }
        }
        Err(message) => findings.push(finding(&layout.file(), &message)),
    }
    Ok(StoreCheck { values, files: blobs.len() as u64, findings })
}

pub(super) fn finding(path: &Path, message: &str) -> StoreFinding {
    StoreFinding { place: path.display().to_string(), message: message.to_owned() }
}

/// What is wrong with the files that an orderly end has sealed, and with the
/// note of the commits.
pub(super) fn marks(layout: &Layout) -> Result<Vec<StoreFinding>, StoreError> {
    let mut findings = Vec::new();
    match seal::read(layout).map_err(io_error)? {
        seal::Found::Nothing => {}
        seal::Found::Damaged => {
            findings.push(finding(&layout.seal(), "its bytes are not those that were written"));
        }
        seal::Found::Whole(seal) => {
            let broken = seal.broken(layout);
            findings.extend(
                broken.iter().map(|path| finding(path, "it is not as it was at the last orderly end")),
            );
            if seal.names_a_copy() && !seal.has_copy(layout) {
                findings.push(finding(&layout.copy(), "it is not as it was at the last orderly end"));
            }
        }
    }
    if layout.read_seen().is_err() {
        findings.push(finding(&layout.seen(), "its bytes are not those that were written"));
    }
    Ok(findings)
}

/// A value in a file of its own.
pub(super) struct BlobFile {
    pub path: PathBuf,
    pub hash: Hash,
    pub is_whole: bool,
}

/// The files that hold a value each.
pub(super) fn blob_files(layout: &Layout) -> Result<Vec<BlobFile>, StoreError> {
    if !layout.blobs().is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for path in files::files_in(&layout.blobs()).map_err(io_error)? {
        let Some(hash) = path.file_name().and_then(|name| hash_of(name.to_str()?)) else { continue };
        let is_whole = fs::read(&path).is_ok_and(|bytes| sha256([&*bytes]) == hash);
        found.push(BlobFile { path, hash, is_whole });
    }
    Ok(found)
}

fn hash_of(name: &str) -> Option<Hash> {
    from_hex(name).filter(|hash| hex(hash) == name)
}

/// Opens a copy of the values, since to open them may change them; says why it
/// can't be opened.
pub(super) fn examine_copy(
    layout: &Layout,
    settings: &DiskSettings,
) -> Result<Result<Inspected, String>, StoreError> {
    let folder = tempfile::tempdir().map_err(io_error)?;
    let copy = Layout::new(folder.path(), layout.kind());
    let values = if layout.values().exists() { layout.values() } else { layout.fresh() };
    files::copy_folder(&values, &copy.values()).map_err(io_error)?;
    if let Ok(Some(seen)) = layout.read_seen() {
        copy.write_seen(seen).map_err(io_error)?;
    }
    let (inner, cache) = (copy.clone(), settings.cache_bytes);
    let examined = within_limit(layout, settings, move || {
        let tree = inner.kind().open(&inner.values(), cache)?;
        let found = inspect(&*tree, &inner)?;
        drop(tree);
        free(&inner.values(), inner.kind())?;
        Ok(found)
    });
    Ok(examined.map_err(|error| error.to_string()))
}
