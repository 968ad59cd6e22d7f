//! Makes a state that opens out of a damaged one: damaged parts are set aside
//! as they are, the rest is kept, and what is lost is said.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use super::check::{blob_files, finding, marks};
use super::entry::{self, Body, Hash};
use super::inspect::{DamagedValue, Inspected, inspect};
use super::layout::Layout;
use super::opening::{Filling, free, refuse_another_kind, within_limit};
use super::tally::{self, Tally};
use super::tree::{Pair, each};
use super::{DiskKind, DiskSettings, io_error, keys, seal};
use crate::ports::{StoreError, StoreFinding};
use crate::store::files;

/// What can be had of the values.
struct Salvaged {
    pairs: Vec<Pair>,
    inspected: Inspected,
}

/// Repairs the state in a folder; gives what was damaged and what is lost by
/// it. A state without damage is left as it is.
///
/// # Errors
/// Where it is in use, or nothing of the values can be read.
pub(in crate::store) fn repair(
    folder: &Path,
    kind: DiskKind,
    settings: &DiskSettings,
    aside: &Path,
) -> Result<Vec<StoreFinding>, StoreError> {
    let layout = Layout::new(folder, kind);
    refuse_another_kind(&layout)?;
    if DiskKind::of(folder).is_none() {
        return Err(StoreError::Io(format!("{}: there is no state in it", folder.display())));
    }
    let _lock = layout.lock()?;
    layout.prepare().map_err(io_error)?;
    let mut findings = marks(&layout)?;
    let set_aside = |path: &Path| {
        let name = path.strip_prefix(layout.root()).unwrap_or(path);
        files::move_aside(path, &aside.join(name)).map_err(io_error)
    };
    let sealed_copy = match seal::read(&layout).map_err(io_error)? {
        seal::Found::Whole(seal) => !seal.broken(&layout).is_empty() && seal.has_copy(&layout),
        _ => false,
    };
    let salvaged = match sealed_copy {
        true => Err("it is not as it was at the last orderly end".to_owned()),
        false => {
            salvage_values(&layout, settings)?.and_then(|salvaged| unless_copy_is_newer(&layout, salvaged))
        }
    };
    let (salvaged, from_copy) = match salvaged {
        Ok(salvaged) => (salvaged, false),
        Err(message) => {
            if !sealed_copy {
                findings.push(finding(&layout.file(), &message));
            }
            (salvage_copy(&layout, &message)?, true)
        }
    };
    if salvaged.pairs.is_empty() && salvaged.inspected.lost_commits > 0 {
        let what = "nothing of the values is left, and nothing can be rebuilt; restore a backup";
        return Err(StoreError::Io(format!("{}: {what}", layout.file().display())));
    }
    let lost_files = lost_files(&layout, &salvaged, &mut findings, &set_aside)?;
    let Salvaged { pairs, inspected } = salvaged;
    let mut tally = Tally::default().after(inspected.written.commits);
    let mut kept = Vec::with_capacity(pairs.len());
    let mut dropped = 0;
    for (place, raw) in pairs {
        let name = DamagedValue { place: place.clone(), message: String::new() }.name();
        match (entry::decode(&place, &raw), keys::decode(&place)) {
            _ if place == tally::PLACE => {}
            (Ok(one), Some((table, _))) => {
                if let Body::InFile { hash, .. } = one.body
                    && lost_files.contains(&hash)
                {
                    dropped += 1;
                    let message = "it is lost: the file that held it is damaged or missing".to_owned();
                    findings.push(StoreFinding { place: name, message });
                    continue;
                }
                tally.add(table, one.checksum);
                kept.push((place, raw));
            }
            (Err(message), _) => {
                dropped += 1;
                findings.push(StoreFinding { place: name, message: format!("it is lost: {message}") });
            }
            (Ok(_), None) => kept.push((place, raw)),
        }
    }
    findings.extend(inspected.gaps().iter().map(|gap| finding(&layout.file(), &format!("lost: {gap}"))));
    tally.commits = tally.commits.max(layout.read_seen().ok().flatten().unwrap_or(0));
    if findings.is_empty() {
        return Ok(findings);
    }
    if from_copy {
        let message = format!(
            "all values were rebuilt from it, as of commit {}; {}",
            inspected.written.commits,
            match inspected.lost_commits {
                0 => "none is known to have come after it".to_owned(),
                lost => format!("at least {lost} that came after it are lost"),
            }
        );
        findings.push(finding(&layout.copy(), &message));
    }
    if from_copy || dropped > 0 || !inspected.gaps().is_empty() || !inspected.damaged.is_empty() {
        kept.push((tally::PLACE.to_vec(), tally.to_raw()));
        // Where the new values are, and no others, they are whole.
        fill_fresh(&layout, settings, kept)?;
        set_aside(&layout.values())?;
        fs::rename(layout.fresh(), layout.values()).map_err(files::at(&layout.fresh())).map_err(io_error)?;
    }
    for path in [layout.seal(), layout.seen()] {
        if path.exists() {
            set_aside(&path)?;
        }
    }
    layout.write_seen(tally.commits).map_err(io_error)?;
    Ok(findings)
}

/// The values as they can be read, from a copy of their files: to open these
/// may change them. Says why where they can't be opened at all.
fn salvage_values(layout: &Layout, settings: &DiskSettings) -> Result<Result<Salvaged, String>, StoreError> {
    let folder = tempfile::tempdir().map_err(io_error)?;
    let copy = Layout::new(folder.path(), layout.kind());
    files::copy_folder(&layout.values(), &copy.values()).map_err(io_error)?;
    if let Ok(Some(seen)) = layout.read_seen() {
        copy.write_seen(seen).map_err(io_error)?;
    }
    let cache = settings.cache_bytes;
    let salvaged = within_limit(layout, settings, move || {
        let tree = copy.kind().open(&copy.values(), cache)?;
        let inspected = inspect(&*tree, &copy)?;
        let mut pairs = Vec::new();
        each(&*tree, |place, raw| {
            pairs.push((place, raw));
            Ok(())
        })?;
        drop(tree);
        free(&copy.values(), copy.kind())?;
        Ok(Salvaged { pairs, inspected })
    });
    Ok(salvaged.map_err(|error| error.to_string()))
}

/// What was salvaged, unless commits are missing in it that the copy has.
fn unless_copy_is_newer(layout: &Layout, salvaged: Salvaged) -> Result<Salvaged, String> {
    let inspected = &salvaged.inspected;
    if inspected.lost_commits == 0 {
        return Ok(salvaged);
    }
    let why = inspected.gaps().join("; ");
    match salvage_copy(layout, &why) {
        Ok(copy) if copy.inspected.written.commits > inspected.written.commits => Err(why),
        _ => Ok(salvaged),
    }
}

/// The values of the copy that an orderly end has left, if it is whole.
fn salvage_copy(layout: &Layout, why: &str) -> Result<Salvaged, StoreError> {
    let hopeless = |what: &str| {
        StoreError::Io(format!(
            "{}: {why}; {} {what}, so that nothing can be rebuilt from it; restore a backup",
            layout.file().display(),
            layout.copy().display()
        ))
    };
    if !layout.copy().exists() {
        return Err(hopeless("is missing"));
    }
    let pairs: Result<Vec<Pair>, StoreError> = seal::read_copy(&layout.copy()).map_err(io_error)?.collect();
    let pairs = pairs.map_err(|_| hopeless("is damaged"))?;
    let mut inspected = Inspected::default();
    for (place, raw) in &pairs {
        inspected.take(place.clone(), raw)?;
    }
    if !inspected.damaged.is_empty() || !inspected.gaps().is_empty() {
        return Err(hopeless("is damaged"));
    }
    let seen = layout.read_seen().ok().flatten().unwrap_or(0);
    inspected.lost_commits = seen.saturating_sub(inspected.written.commits);
    Ok(Salvaged { pairs, inspected })
}

/// The files of values that are damaged, which are set aside, or missing.
fn lost_files(
    layout: &Layout,
    salvaged: &Salvaged,
    findings: &mut Vec<StoreFinding>,
    set_aside: &impl Fn(&Path) -> Result<(), StoreError>,
) -> Result<HashSet<Hash>, StoreError> {
    let blobs = blob_files(layout)?;
    for blob in blobs.iter().filter(|blob| !blob.is_whole) {
        findings.push(finding(&blob.path, "its bytes are not those that were written"));
        set_aside(&blob.path)?;
    }
    let whole: HashSet<Hash> = blobs.iter().filter(|blob| blob.is_whole).map(|blob| blob.hash).collect();
    let referred = salvaged.inspected.references.keys().copied();
    Ok(referred.filter(|hash| !whole.contains(hash)).collect())
}

fn fill_fresh(layout: &Layout, settings: &DiskSettings, pairs: Vec<Pair>) -> Result<(), StoreError> {
    let tree = layout.kind().open(&layout.fresh(), settings.cache_bytes)?;
    let mut filling = Filling::new(&*tree);
    pairs.into_iter().try_for_each(|(place, raw)| filling.put(place, Some(raw)))?;
    filling.end()?;
    drop(tree);
    free(&layout.fresh(), layout.kind())
}
