//! Which files of a history are not as they were written.

use std::io;
use std::path::{Path, PathBuf};

use super::HOURLY;
use super::columns::read_samples;
use super::hours::Hours;
use super::segment::Segment;
use crate::domain::{Resource, Timestamp};
use crate::store::files;

/// A segment that can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedSegment {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub message: String,
    /// Whose samples it held.
    pub resource: Resource,
    /// The instant of its first sample.
    pub from: Timestamp,
    /// The instant of its last sample.
    pub to: Timestamp,
}

/// All segments of the history in a folder.
///
/// # Errors
/// Where a folder can't be read.
pub(in crate::store) fn history_files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for resource in Resource::ALL {
        let samples = folder.join(resource.name());
        for folder in [samples.clone(), samples.join(HOURLY)] {
            if folder.is_dir() {
                found.extend(files::files_in(&folder)?);
            }
        }
    }
    found.retain(|path| Segment::of(path).is_some());
    Ok(found)
}

/// Whether a path below a history's folder is that of a segment.
pub(in crate::store) fn is_history_file(path: &Path) -> bool {
    let folder = path.parent().unwrap_or(path);
    let folders = Resource::ALL.iter().map(|resource| Path::new(resource.name()));
    let known = |known: &Path| folder == known || folder == known.join(HOURLY);
    Segment::of(path).is_some() && folders.into_iter().any(known)
}

/// Reads each segment of the history in a folder; gives how many there are,
/// and those that are damaged. Nothing is changed.
///
/// # Errors
/// Where a folder can't be read.
pub fn check_history(folder: &Path) -> io::Result<(usize, Vec<DamagedSegment>)> {
    let (mut count, mut damaged) = (0, Vec::new());
    for resource in Resource::ALL {
        let samples = folder.join(resource.name());
        let hourly = samples.join(HOURLY);
        for (folder, is_hourly) in [(samples, false), (hourly, true)] {
            if !folder.is_dir() {
                continue;
            }
            for segment in files::files_in(&folder)?.iter().filter_map(|path| Segment::of(path)) {
                count += 1;
                let read = segment.bytes().and_then(|bytes| match is_hourly {
                    _ if segment.has_hash() => Ok(()),
                    true => Hours::read(bytes).map(drop),
                    false => read_samples(bytes).map(drop),
                });
                let Err(message) = read else { continue };
                // It was put together with others since the folder was listed.
                if !segment.path.exists() {
                    continue;
                }
                let Segment { from, to, path, .. } = segment;
                damaged.push(DamagedSegment { path, message, resource, from, to });
            }
        }
    }
    Ok((count, damaged))
}
