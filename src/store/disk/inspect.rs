//! A look at all that a store holds: which values are not as they were
//! written, and whether any is missing.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::entry::{self, Body, Checksum, Hash};
use super::layout::Layout;
use super::tally::{self, Tally};
use super::tree::{Tree, each};
use crate::ports::{StoreError, StoreFinding};
use crate::security::{from_hex, hex};
use crate::store::keys;

/// Damaged values that are named where there is little room; more are counted.
const NAMED_DAMAGES: usize = 8;

/// A value that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DamagedValue {
    /// Where it stands.
    pub place: Vec<u8>,
    /// What is wrong with it.
    pub message: String,
}

impl DamagedValue {
    /// As people and scripts are told of it.
    pub fn finding(&self) -> StoreFinding {
        StoreFinding { place: self.name(), message: self.message.clone() }
    }

    /// The key and its table, as people read them.
    pub fn name(&self) -> String {
        match keys::decode(&self.place) {
            Some((table, key)) => format!("{key:?} of {}", table.name()),
            None if self.place == tally::PLACE => "the count of all values".to_owned(),
            None => format!("{:?}", String::from_utf8_lossy(&self.place)),
        }
    }
}

/// What a look at everything gave.
#[derive(Debug, Default)]
pub(super) struct Inspected {
    /// What should be there, as it was written down with the last commit.
    pub written: Tally,
    /// What is there.
    pub found: Tally,
    /// How many values refer to each file.
    pub references: HashMap<Hash, u64>,
    /// Bytes of keys and values.
    pub live_bytes: u64,
    /// Values that are not as they were written.
    pub damaged: Vec<DamagedValue>,
    /// Commits that were durable once and are not there.
    pub lost_commits: u64,
}

impl Inspected {
    /// Takes a value into account.
    pub fn take(&mut self, place: Vec<u8>, raw: &[u8]) -> Result<(), StoreError> {
        self.live_bytes += (place.len() + raw.len()) as u64;
        if place == tally::PLACE {
            match Tally::from_raw(raw) {
                Ok(written) => self.written = written,
                Err(message) => self.damaged.push(DamagedValue { place, message }),
            }
            return Ok(());
        }
        match entry::decode(&place, raw) {
            Ok(entry) => {
                if let Body::InFile { hash, .. } = entry.body {
                    *self.references.entry(hash).or_default() += 1;
                }
                self.count(&place, entry.checksum)
            }
            Err(message) => {
                self.damaged.push(DamagedValue { place, message });
                Ok(())
            }
        }
    }

    /// How many values there are.
    pub fn values(&self) -> u64 {
        self.found.values() + self.damaged.len() as u64
    }

    /// Counts a value that is as it was written.
    pub fn count(&mut self, place: &[u8], checksum: Checksum) -> Result<(), StoreError> {
        let Some((table, _)) = keys::decode(place) else {
            return Err(StoreError::Io(
                "it holds a table that this version does not know; use the version that wrote it".to_owned(),
            ));
        };
        self.found.add(table, checksum);
        Ok(())
    }

    /// What is wrong, a line each; few of many damaged values are named.
    pub fn problems(&self) -> Vec<String> {
        let named = self.damaged.iter().take(NAMED_DAMAGES);
        let mut problems: Vec<String> =
            named.map(|one| format!("{} is damaged: {}", one.name(), one.message)).collect();
        let more = self.damaged.len().saturating_sub(NAMED_DAMAGES);
        if more > 0 {
            problems.push(format!("{more} more values are damaged"));
        }
        problems.extend(self.gaps());
        problems
    }

    /// The same with what is known of commits that were durable once.
    fn held_against_the_note(mut self, layout: &Layout) -> Self {
        let seen = layout.read_seen().ok().flatten().unwrap_or(0);
        if self.damaged.iter().any(|one| one.place == tally::PLACE) {
            // It is named; what is there is all that can be known then.
            self.written = self.found.clone().after(seen);
        }
        self.lost_commits = seen.saturating_sub(self.written.commits);
        self
    }

    /// What is missing, or stands as it did before.
    pub fn gaps(&self) -> Vec<String> {
        let mut gaps = self.written.differences(&self.found);
        if self.lost_commits > 0 {
            gaps.push(format!("at least the last {} commits are missing", self.lost_commits));
        }
        gaps
    }
}

/// Reads all values, and compares them with their checksums and the tally.
pub(super) fn inspect(tree: &dyn Tree, layout: &Layout) -> Result<Inspected, StoreError> {
    let mut found = Inspected::default();
    each(tree, |place, raw| {
        found.take(place, &raw).map_err(|error| match error {
            StoreError::Io(message) => StoreError::Io(format!("{}: {message}", layout.values().display())),
            other => other,
        })
    })?;
    Ok(found.held_against_the_note(layout))
}

/// A look through all values that found nothing wrong, as a seal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LookedThrough {
    /// The tally as it is kept, in base64.
    tally: String,
    /// How many values refer to each file.
    references: BTreeMap<String, u64>,
    /// Bytes of keys and values.
    live_bytes: u64,
}

impl LookedThrough {
    /// What is to be kept of a look; `None` where anything was wrong.
    pub fn of(found: &Inspected) -> Option<Self> {
        found.problems().is_empty().then(|| LookedThrough {
            tally: STANDARD.encode(found.written.to_raw()),
            references: found.references.iter().map(|(hash, count)| (hex(hash), *count)).collect(),
            live_bytes: found.live_bytes,
        })
    }

    /// What looking through the same values again would give.
    pub fn again(&self, layout: &Layout) -> Option<Inspected> {
        let written = Tally::from_raw(&STANDARD.decode(&self.tally).ok()?).ok()?;
        let reference = |(hash, count): (&String, &u64)| Some((from_hex(hash)?, *count));
        let found = Inspected {
            found: written.clone(),
            written,
            references: self.references.iter().map(reference).collect::<Option<_>>()?,
            live_bytes: self.live_bytes,
            ..Inspected::default()
        };
        Some(found.held_against_the_note(layout))
    }
}
