//! All values as they are at one moment, while others write.
//!
//! First all are read, some at a time, while the writer notes what it changes;
//! then what was changed is given, and that is the moment. A value that was
//! read too early is given again as it became. Nobody waits for longer than it
//! takes to read a few values, and it holds for any kind of tree.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::entry::{self, Body, Checksum, Hash};
use super::inspect::{DamagedValue, Inspected};
use super::tree::{AT_ONCE, Pair, Writes};
use super::{DiskStore, Shared, View, blobs, tally};
use crate::ports::{Order, StoreError, StoreFinding};
use crate::security::hex;

/// The most bytes that are noted while values are read.
const NOTED_AT_MOST: usize = 256 << 20;

/// What the writer notes of its changes.
#[derive(Default)]
pub(super) enum Changes {
    /// Nothing: nobody asks.
    #[default]
    Unwatched,
    /// All of them since somebody asked, and how many bytes they are.
    Noted(Writes, usize),
    /// They became too many.
    TooMany,
}

impl Changes {
    /// Noted from now on.
    pub fn watched() -> Changes {
        Changes::Noted(Writes::new(), 0)
    }

    /// All that was noted.
    ///
    /// # Errors
    /// Where it became too much.
    pub fn noted(self) -> Result<Writes, StoreError> {
        match self {
            Changes::Noted(writes, _) => Ok(writes),
            Changes::Unwatched | Changes::TooMany => Err(StoreError::Io(format!(
                "more than {} MB were written while all was read; take it at a quieter time, or to a \
                 faster place",
                NOTED_AT_MOST >> 20
            ))),
        }
    }

    /// What was noted; nothing more is from now on.
    fn take(&mut self) -> Changes {
        std::mem::take(self)
    }

    /// Notes what was written.
    pub fn note(&mut self, written: Writes) {
        let Changes::Noted(writes, bytes) = self else { return };
        let more = written.iter().map(|(place, raw)| place.len() + raw.as_ref().map_or(0, Vec::len));
        *bytes += more.sum::<usize>();
        writes.extend(written);
        if *bytes > NOTED_AT_MOST {
            *self = Changes::TooMany;
        }
    }
}

/// Some values with what lies in files of their own.
#[derive(Debug, Default)]
pub(in crate::store) struct Part {
    /// The values; an empty one clears its place.
    pub pairs: Vec<Pair>,
    /// The content of files by their hash, or why it can't be read.
    pub files: BTreeMap<Hash, Result<Vec<u8>, String>>,
    /// Whether these are changes of values that were given before.
    pub is_late: bool,
}

impl Part {
    fn of(view: &View, pairs: Vec<Pair>, is_late: bool) -> Self {
        let mut files = BTreeMap::new();
        for (place, raw) in &pairs {
            if let Ok(Body::InFile { hash, length }) = entry::decode(place, raw).map(|entry| entry.body) {
                files.entry(hash).or_insert_with(|| blobs::read(&view.blobs, &hash, length));
            }
        }
        Part { pairs, files, is_late }
    }
}

/// Ends the noting, also where it breaks off.
struct Noting<'a> {
    shared: &'a Shared,
    is_over: bool,
}

impl<'a> Noting<'a> {
    fn begin(shared: &'a Shared) -> Result<Self, StoreError> {
        let mut changes = shared.changes.lock();
        if !matches!(*changes, Changes::Unwatched) {
            return Err(StoreError::Busy);
        }
        *changes = Changes::watched();
        Ok(Noting { shared, is_over: false })
    }

    /// What was noted.
    fn end(mut self) -> Changes {
        self.is_over = true;
        self.shared.changes.lock().take()
    }
}

impl Drop for Noting<'_> {
    fn drop(&mut self) {
        // Else another one may have begun since.
        if !self.is_over {
            self.shared.changes.lock().take();
        }
    }
}

impl DiskStore {
    /// Shows all values as they are at the moment at which it ends, in parts.
    /// It may block for long: call it off the async threads.
    ///
    /// # Errors
    /// Where another one is under way, values can't be read, `show` fails, or
    /// very much was written meanwhile.
    pub(in crate::store) fn snapshot(
        &self,
        mut show: impl FnMut(Part) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let shared = &*self.shared;
        let noting = Noting::begin(shared)?;
        let mut after = Bound::Unbounded;
        loop {
            let part = {
                let view = shared.view.read();
                let view = view.as_ref().ok_or(StoreError::Closed)?;
                let places = (after.clone(), Bound::Unbounded);
                Part::of(view, view.tree.scan(places, Order::Upwards, AT_ONCE)?, false)
            };
            let Some((last, _)) = part.pairs.last() else { break };
            after = Bound::Excluded(last.clone());
            // Whoever takes it may be slow; nobody waits for that.
            show(part)?;
        }
        let part = {
            // Files of values stay while it is held.
            let view = shared.view.read();
            let view = view.as_ref().ok_or(StoreError::Closed)?;
            let pairs =
                noting.end().noted()?.into_iter().map(|(place, raw)| (place, raw.unwrap_or_default()));
            Part::of(view, pairs.collect(), true)
        };
        show(part)
    }
}

/// What is remembered of a value.
#[derive(Debug)]
enum Seen {
    /// It is as it was written; what guards it.
    Whole(Checksum),
    /// All of it: it is damaged, lies in a file, or counts the others.
    Raw(Vec<u8>),
}

/// Gathers what is wrong with the values of a snapshot.
#[derive(Debug, Default)]
pub(in crate::store) struct Examination {
    values: BTreeMap<Vec<u8>, Seen>,
    files: BTreeMap<Hash, Result<(), String>>,
}

impl Examination {
    /// Takes a part into account.
    pub fn take(&mut self, part: &Part) {
        for (place, raw) in &part.pairs {
            match raw.is_empty() {
                true => self.values.remove(place),
                false => self.values.insert(place.clone(), Examination::seen(place, raw)),
            };
        }
        for (hash, content) in &part.files {
            self.files.insert(*hash, content.as_ref().map(drop).map_err(Clone::clone));
        }
    }

    fn seen(place: &[u8], raw: &[u8]) -> Seen {
        match entry::decode(place, raw) {
            Ok(entry) if matches!(entry.body, Body::Inline(_)) && place != tally::PLACE => {
                Seen::Whole(entry.checksum)
            }
            _ => Seen::Raw(raw.to_vec()),
        }
    }

    /// How many values and files there are, and what is wrong with them.
    pub fn end(self) -> Result<(u64, u64, Vec<StoreFinding>), StoreError> {
        let mut inspected = Inspected::default();
        for (place, seen) in self.values {
            match seen {
                Seen::Whole(checksum) => inspected.count(&place, checksum)?,
                Seen::Raw(raw) => inspected.take(place, &raw)?,
            }
        }
        let used = |hash: &Hash| inspected.references.contains_key(hash);
        let files: Vec<_> = self.files.into_iter().filter(|(hash, _)| used(hash)).collect();
        let count = files.len() as u64;
        let mut findings: Vec<StoreFinding> = inspected.damaged.iter().map(DamagedValue::finding).collect();
        let gaps = inspected.gaps().into_iter();
        findings.extend(gaps.map(|message| StoreFinding { place: "the state".to_owned(), message }));
        findings.extend(files.into_iter().filter_map(|(hash, content)| {
            content.err().map(|message| StoreFinding { place: hex(&hash), message })
        }));
        Ok((inspected.values(), count, findings))
    }
}
