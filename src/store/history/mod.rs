//! Usage history in Parquet files that polars, DuckDB and pandas open as they
//! are: `<folder>/<resource>/<from>_<to>_<number>_<hash>.parquet` with the
//! columns `tenant`, `ds` (milliseconds, UTC) and `y` in the resource's unit.
//! Gaps are left out.
//!
//! Such a file, a segment, holds samples of one day in UTC; `from` and `to` are
//! its first and last instant in milliseconds since 1970, `hash` is the first
//! half of the SHA-256 of its bytes, held against them on each read. Samples may lie in several
//! segments: that with the highest number wins. Segments of a day are put
//! together into one, which takes the highest number of its parts; the
//! parts are removed after it is in its place, so that a crash in between
//! leaves samples twice and loses none. Days that are old become segments of
//! hours in `<resource>/hourly` (see [`hours`]), in the same way.

mod check;
mod columns;
mod hours;
mod segment;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use parking_lot::{Mutex, RwLock};
use rayon::prelude::*;
use tempfile::TempDir;

pub use self::check::{DamagedSegment, check_history};
pub(super) use self::check::{history_files, is_history_file};
use self::columns::{Rows, Samples, read_samples};
use self::hours::Hours;
use self::segment::{Segment, day_of, end_of};
use super::files;
use crate::domain::{Resource, Step, TenantId, TimeRange, Timestamp};
use crate::ports::{History, HistoryError};
use crate::series::{Frame, UsageSeries};

/// How the folder begins that holds all segments of one moment.
const FROZEN: &str = ".frozen-";
/// The folder of a resource's hours.
const HOURLY: &str = "hourly";
/// Days of a resource that are thinned out in one go, so that whoever adds
/// samples never waits long.
const THINNED_AT_ONCE: usize = 4;

/// The limits of a [`ParquetHistory`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistorySettings {
    /// A day that is over is put together once it has more segments than this.
    pub segments_per_day: usize,
    /// The last day is put together once it has more segments than this: each
    /// time all of it is written again.
    pub segments_of_last_day: usize,
}

impl Default for HistorySettings {
    fn default() -> Self {
        HistorySettings { segments_per_day: 4, segments_of_last_day: 32 }
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
    /// Segments that can't be read, each with what is wrong with it; they were logged.
    unreadable: Mutex<BTreeMap<PathBuf, String>>,
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
        history.sweep_frozen().map_err(file_error(folder))?;
        for resource in Resource::ALL {
            let folder = history.folder_of(resource);
            let swept = files::create_folder(&folder).and_then(|()| files::sweep_temporaries(&folder));
            swept.map_err(file_error(&folder))?;
            let hourly = folder.join(HOURLY);
            if hourly.is_dir() {
                files::sweep_temporaries(&hourly).map_err(file_error(&hourly))?;
            }
        }
        Ok(history)
    }

    /// Removes what a crash has left of a backup.
    fn sweep_frozen(&self) -> io::Result<()> {
        files::create_folder(&self.folder)?;
        for entry in std::fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(FROZEN) {
                files::remove_folder(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All segments as they are now, under the same names in a folder that goes
    /// with the handle. They are links to the same files where links can be
    /// made, and copies elsewhere.
    pub(super) fn freeze(&self) -> io::Result<TempDir> {
        let frozen = tempfile::Builder::new().prefix(FROZEN).tempdir_in(&self.folder)?;
        for (resource, lock) in &self.locks {
            let _unchanged = lock.read();
            let (full, hourly) = (self.folder_of(*resource), self.folder_of(*resource).join(HOURLY));
            for folder in [full, hourly].iter().filter(|folder| folder.is_dir()) {
                let below = folder.strip_prefix(&self.folder).unwrap_or(folder);
                let into = frozen.path().join(below);
                std::fs::create_dir_all(&into)?;
                for path in files::files_in(folder)? {
                    let (Some(_), Some(name)) = (Segment::of(&path), path.file_name()) else { continue };
                    let link = std::fs::hard_link(&path, into.join(name));
                    link.or_else(|_| std::fs::copy(&path, into.join(name)).map(drop))?;
                }
            }
        }
        Ok(frozen)
    }

    fn folder_of(&self, resource: Resource) -> PathBuf {
        self.folder.join(resource.name())
    }

    fn segments(&self, resource: Resource) -> Result<Vec<Segment>, HistoryError> {
        segments_in(&self.folder_of(resource))
    }

    fn hourly_segments(&self, resource: Resource) -> Result<Vec<Segment>, HistoryError> {
        let folder = self.folder_of(resource).join(HOURLY);
        if folder.is_dir() { segments_in(&folder) } else { Ok(Vec::new()) }
    }

    /// The samples of a segment; `None` if it can't be read.
    fn read(&self, segment: &Segment) -> Option<Samples> {
        self.read_as(segment, read_samples)
    }

    fn read_as<T>(&self, segment: &Segment, parse: impl FnOnce(Vec<u8>) -> Result<T, String>) -> Option<T> {
        match segment.bytes().and_then(parse) {
            Ok(content) => {
                // It may have been brought back since.
                self.unreadable.lock().remove(&segment.path);
                Some(content)
            }
            Err(message) => {
                let known = self.unreadable.lock().insert(segment.path.clone(), message.clone());
                if known.is_none() {
                    let failure = error(&segment.path, message);
                    tracing::error!(
                        "left out a part of the history: failed to {failure}; restore the file from a \
                         backup, or remove it and leave a gap"
                    );
                }
                None
            }
        }
    }

    /// Forgets segments that could not be read and that are gone: somebody took
    /// them away, and wants the gap.
    fn forget_taken_away(&self) {
        self.unreadable.lock().retain(|path, _| path.try_exists().unwrap_or(true));
    }

    fn write(
        &self,
        resource: Resource,
        number: u64,
        rows: &Rows<'_>,
    ) -> Result<Option<PathBuf>, HistoryError> {
        let folder = self.folder_of(resource);
        let Some((from, to)) = rows.span() else { return Ok(None) };
        let bytes = rows.write().map_err(|message| error(&folder, message))?;
        let segment = Segment::new(&folder, from, to, number, &bytes);
        files::write_whole(&segment.path, &bytes).map_err(file_error(&segment.path))?;
        Ok(Some(segment.path))
    }

    /// Puts each day that has many segments together into one.
    fn compact(&self, resource: Resource) -> Result<(), HistoryError> {
        let segments = self.segments(resource)?;
        let Some(last_day) = segments.last().map(|segment| day_of(segment.from)) else { return Ok(()) };
        for parts in segments.chunk_by(|a, b| day_of(a.from) == day_of(b.from)) {
            let over = parts.first().is_some_and(|part| day_of(part.from) < last_day);
            let most = if over { self.settings.segments_per_day } else { self.settings.segments_of_last_day };
            if parts.len() > most {
                self.put_together(resource, parts)?;
            }
        }
        Ok(())
    }

    fn put_together(&self, resource: Resource, parts: &[Segment]) -> Result<(), HistoryError> {
        let Some(whole) = self.whole(parts) else { return Ok(()) };
        let number = parts.iter().map(|part| part.number).max().unwrap_or(0);
        let folder = self.folder_of(resource);
        let placed = self.write(resource, number, &Rows::of(&whole))?;
        files::sync_folder(&folder).map_err(file_error(&folder))?;
        for part in parts.iter().filter(|part| Some(&part.path) != placed.as_ref()) {
            files::remove(&part.path).map_err(file_error(&part.path))?;
        }
        Ok(())
    }

    /// All samples of segments; `None` where one can't be read: what it lies
    /// among is left as it is for a person.
    fn whole(&self, parts: &[Segment]) -> Option<Samples> {
        let mut whole = Samples::default();
        for part in parts {
            whole.append(self.read(part)?);
        }
        whole.keep_latest();
        Some(whole)
    }

    /// Leaves only the hours of days that end by `instant`, the oldest first.
    fn thin_out(&self, resource: Resource, instant: Timestamp) -> Result<(), HistoryError> {
        let segments = self.segments(resource)?;
        let days = segments.chunk_by(|a, b| day_of(a.from) == day_of(b.from));
        let old = days.filter(|parts| end_of(day_of(parts[0].from)) <= instant);
        for parts in old.take(THINNED_AT_ONCE) {
            self.thin_out_day(resource, parts)?;
        }
        Ok(())
    }

    fn thin_out_day(&self, resource: Resource, parts: &[Segment]) -> Result<(), HistoryError> {
        let day = day_of(parts[0].from);
        let mut known = self.hourly_segments(resource)?;
        known.retain(|segment| day_of(segment.from) == day);
        let mut hours = Hours::default();
        for segment in &known {
            let Some(older) = self.read_as(segment, Hours::read) else { return Ok(()) };
            hours.append(older);
        }
        let Some(whole) = self.whole(parts) else { return Ok(()) };
        hours.append(Hours::of(&whole));
        let folder = self.folder_of(resource).join(HOURLY);
        files::create_folder(&folder).map_err(file_error(&folder))?;
        let mut placed = None;
        if let Some((from, to)) = hours.span() {
            let bytes = hours.write().map_err(|message| error(&folder, message))?;
            let number = known.iter().map(|segment| segment.number).max().unwrap_or(0) + 1;
            let segment = Segment::new(&folder, from, to, number, &bytes);
            files::write_whole(&segment.path, &bytes).map_err(file_error(&segment.path))?;
            files::sync_folder(&folder).map_err(file_error(&folder))?;
            placed = Some(segment.path);
        }
        let replaced = known.iter().filter(|segment| Some(&segment.path) != placed.as_ref());
        for segment in replaced.chain(parts) {
            files::remove(&segment.path).map_err(file_error(&segment.path))?;
        }
        Ok(())
    }
}

/// The segments in a folder, in the order in which later ones win.
fn segments_in(folder: &Path) -> Result<Vec<Segment>, HistoryError> {
    let files = files::files_in(folder).map_err(file_error(folder))?;
    // Other files are somebody else's.
    let mut segments: Vec<Segment> = files.iter().filter_map(|path| Segment::of(path)).collect();
    segments.sort_unstable_by_key(|segment| (day_of(segment.from), segment.number, segment.from));
    Ok(segments)
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
        // A look back has many days.
        let write = |rows: &Rows<'_>| self.write(frame.resource, number, rows);
        let written: Vec<_> = days.par_iter().map(|(_, rows)| write(rows)).collect();
        for segment in written {
            segment?;
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

    fn retain(&self, full_since: Timestamp, since: Timestamp) -> Result<(), HistoryError> {
        self.forget_taken_away();
        for (resource, lock) in &self.locks {
            let _alone = lock.write();
            let (full, hourly) = (self.segments(*resource)?, self.hourly_segments(*resource)?);
            // An hour goes on for a while after it began.
            let old_hours = hourly.iter().filter(|segment| end_of(day_of(segment.to)) <= since);
            for segment in full.iter().filter(|segment| segment.to < since).chain(old_hours) {
                files::remove(&segment.path).map_err(file_error(&segment.path))?;
                self.unreadable.lock().remove(&segment.path);
            }
            self.thin_out(*resource, full_since)?;
        }
        Ok(())
    }

    fn holds(&self, resource: Resource) -> Result<bool, HistoryError> {
        let Some(lock) = self.locks.get(&resource) else { return Ok(false) };
        let _unchanged = lock.read();
        Ok(!self.segments(resource)?.is_empty() || !self.hourly_segments(resource)?.is_empty())
    }

    fn damage(&self) -> Option<String> {
        let unreadable = self.unreadable.lock();
        let (path, message) = unreadable.first_key_value()?;
        let first = error(path, message.clone());
        let more = match unreadable.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        Some(format!("left out a part of it: failed to {first}{more}"))
    }
}

/// The samples of a frame, apart by their days.
fn by_day(frame: &Frame) -> BTreeMap<i64, Rows<'_>> {
    let mut days: BTreeMap<i64, Rows<'_>> = BTreeMap::new();
    for (tenant, series) in &frame.series {
        let mut from = 0;
        while from < series.len() {
            let day = day_of(series.at(from));
            let points = TimeRange { start: series.at(from), end: end_of(day) }.points(series.step).max(1);
            let until = series.len().min(from + points);
            let samples = (from..until).map(|index| (series.at(index), series.values[index]));
            let mut known = samples.filter(|(_, value)| value.is_finite()).peekable();
            if known.peek().is_some() {
                days.entry(day).or_default().extend(tenant.as_str(), known);
            }
            from = until;
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
