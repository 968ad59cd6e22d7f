//! Usage history in Parquet files that polars, DuckDB and pandas open as they
//! are: `<folder>/<resource>/<from>_<to>_<number>.parquet` with the columns
//! `tenant`, `ds` (milliseconds, UTC) and `y` in the resource's unit. Gaps are
//! left out.
//!
//! Such a file, a segment, holds samples of one day in UTC; `from` and `to` are
//! its first and last instant in milliseconds since 1970. Samples may lie in several
//! segments: that with the highest number wins. A day that is over is put
//! together into one segment, which takes the highest number of its parts; the
//! parts are removed after it is in its place, so that a crash in between
//! leaves samples twice and loses none.

mod columns;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::{Mutex, RwLock};

use self::columns::{Samples, read_samples, write_samples};
use self::segment::{Segment, day_of};
use super::files;
use crate::domain::{Resource, Step, TenantId, Timestamp};
use crate::ports::{History, HistoryError};
use crate::series::{Frame, UsageSeries};

/// The limits of a [`ParquetHistory`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistorySettings {
    /// A day that is over is put together once it has more segments than this.
    pub segments_per_day: usize,
}

impl Default for HistorySettings {
    fn default() -> Self {
        HistorySettings { segments_per_day: 4 }
    }
}

/// History on disk. A segment that can't be read is left out and logged once;
/// what other segments hold of its time is still given.
#[derive(Debug)]
pub struct ParquetHistory {
    folder: PathBuf,
    settings: HistorySettings,
    /// Held for writing while segments of the resource come and go.
    locks: BTreeMap<Resource, RwLock<()>>,
    /// Segments that were logged as unreadable.
    unreadable: Mutex<BTreeSet<PathBuf>>,
}

impl ParquetHistory {
    /// Opens the history in a folder, and creates it if there is none.
    ///
    /// # Errors
    /// Where the folder can't be created or read.
    pub fn open(folder: &Path) -> Result<Self, HistoryError> {
        ParquetHistory::open_with(folder, HistorySettings::default())
    }

    /// Opens the history with other limits.
    ///
    /// # Errors
    /// Where the folder can't be created or read.
    pub fn open_with(folder: &Path, settings: HistorySettings) -> Result<Self, HistoryError> {
        let history = ParquetHistory {
            folder: folder.to_owned(),
            settings,
            locks: Resource::ALL.into_iter().map(|resource| (resource, RwLock::default())).collect(),
            unreadable: Mutex::default(),
        };
        for resource in Resource::ALL {
            let folder = history.folder_of(resource);
            let swept = files::create_folder(&folder).and_then(|()| files::sweep_temporaries(&folder));
            swept.map_err(file_error(&folder))?;
        }
        Ok(history)
    }

    fn folder_of(&self, resource: Resource) -> PathBuf {
        self.folder.join(resource.name())
    }

    fn segments(&self, resource: Resource) -> Result<Vec<Segment>, HistoryError> {
        let folder = self.folder_of(resource);
        let files = files::files_in(&folder).map_err(file_error(&folder))?;
        // Other files are somebody else's.
        let mut segments: Vec<Segment> = files.iter().filter_map(|path| Segment::of(path)).collect();
        segments.sort_unstable_by_key(|segment| (day_of(segment.from), segment.number, segment.from));
        Ok(segments)
    }

    /// The samples of a segment; `None` if it can't be read.
    fn read(&self, segment: &Segment) -> Option<Samples> {
        match read_samples(&segment.path) {
            Ok(samples) => Some(samples),
            Err(error) => {
                if self.unreadable.lock().insert(segment.path.clone()) {
                    let failure = self::error(&segment.path, error);
                    tracing::error!(
                        "left out a part of the history: failed to {failure}; restore the file from a \
                         backup, or remove it and leave a gap"
                    );
                }
                None
            }
        }
    }

    fn write(
        &self,
        resource: Resource,
        number: u64,
        samples: &Samples,
    ) -> Result<Option<PathBuf>, HistoryError> {
        let folder = self.folder_of(resource);
        let Some((from, to)) = samples.span() else { return Ok(None) };
        let segment = Segment::new(&folder, from, to, number);
        let bytes = write_samples(samples).map_err(|message| error(&segment.path, message))?;
        files::write_whole(&segment.path, &bytes).map_err(file_error(&segment.path))?;
        Ok(Some(segment.path))
    }

    /// Puts each day that is over and has many segments together into one.
    fn compact(&self, resource: Resource) -> Result<(), HistoryError> {
        let segments = self.segments(resource)?;
        let Some(last_day) = segments.last().map(|segment| day_of(segment.from)) else { return Ok(()) };
        for parts in segments.chunk_by(|a, b| day_of(a.from) == day_of(b.from)) {
            let over = parts.first().is_some_and(|part| day_of(part.from) < last_day);
            if over && parts.len() > self.settings.segments_per_day {
                self.put_together(resource, parts)?;
            }
        }
        Ok(())
    }

    fn put_together(&self, resource: Resource, parts: &[Segment]) -> Result<(), HistoryError> {
        let mut whole = Samples::default();
        for part in parts {
            // A day with an unreadable segment is left as it is for a person.
            let Some(samples) = self.read(part) else { return Ok(()) };
            whole.append(samples);
        }
        whole.keep_latest();
        let number = parts.iter().map(|part| part.number).max().unwrap_or(0);
        let folder = self.folder_of(resource);
        let placed = self.write(resource, number, &whole)?;
        files::sync_folder(&folder).map_err(file_error(&folder))?;
        for part in parts.iter().filter(|part| Some(&part.path) != placed.as_ref()) {
            files::remove(&part.path).map_err(file_error(&part.path))?;
        }
        Ok(())
    }
}

impl History for ParquetHistory {
    fn append(&self, frame: &Frame) -> Result<(), HistoryError> {
        let Some(lock) = self.locks.get(&frame.resource) else { return Ok(()) };
        let days = by_day(frame);
        if days.is_empty() {
            return Ok(());
        }
        let _alone = lock.write();
        let highest = self.segments(frame.resource)?.iter().map(|segment| segment.number).max();
        let number = highest.map_or(1, |highest| highest + 1);
        for samples in days.values() {
            self.write(frame.resource, number, samples)?;
        }
        let folder = self.folder_of(frame.resource);
        files::sync_folder(&folder).map_err(file_error(&folder))?;
        self.compact(frame.resource)
    }

    fn load(&self, resource: Resource, step: Step, since: Timestamp) -> Result<Frame, HistoryError> {
        let mut frame = Frame::empty(resource, step);
        let Some(lock) = self.locks.get(&resource) else { return Ok(frame) };
        let _unchanged = lock.read();
        let mut segments = self.segments(resource)?;
        segments.retain(|segment| segment.to >= since);
        for day in segments.chunk_by(|a, b| day_of(a.from) == day_of(b.from)) {
            let mut of_day = Samples::default();
            day.iter().filter_map(|segment| self.read(segment)).for_each(|samples| of_day.append(samples));
            of_day.keep_from(since);
            for (tenant, samples) in of_day.0 {
                // A name that is no tenant's was written by somebody else.
                let Ok(tenant) = tenant.parse::<TenantId>() else { continue };
                let Some(series) = UsageSeries::from_samples(step, &samples) else { continue };
                match frame.series.get_mut(&tenant) {
                    Some(known) => known.extend(&series),
                    None => drop(frame.series.insert(tenant, series)),
                }
            }
        }
        Ok(frame)
    }

    fn drop_before(&self, instant: Timestamp) -> Result<(), HistoryError> {
        for (resource, lock) in &self.locks {
            let _alone = lock.write();
            for segment in self.segments(*resource)?.iter().filter(|segment| segment.to < instant) {
                files::remove(&segment.path).map_err(file_error(&segment.path))?;
                self.unreadable.lock().remove(&segment.path);
            }
        }
        Ok(())
    }
}

/// The samples of a frame, apart by their days.
fn by_day(frame: &Frame) -> BTreeMap<i64, Samples> {
    let mut days: BTreeMap<i64, Samples> = BTreeMap::new();
    for (tenant, series) in &frame.series {
        let samples = series.values.iter().enumerate().map(|(index, value)| (series.at(index), *value));
        let samples: Vec<_> = samples.filter(|(_, value)| value.is_finite()).collect();
        for of_day in samples.chunk_by(|a, b| day_of(a.0) == day_of(b.0)) {
            let day = days.entry(day_of(of_day[0].0)).or_default();
            day.extend(tenant.as_str(), of_day.iter().copied());
        }
    }
    days
}

fn error(path: &Path, message: String) -> HistoryError {
    HistoryError::File { path: path.display().to_string(), message }
}

fn file_error(path: &Path) -> impl Fn(io::Error) -> HistoryError + '_ {
    move |cause| error(path, cause.to_string())
}
