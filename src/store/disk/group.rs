//! Batches that become durable together. Each is judged by what the tree holds
//! and the batches before it in the group.

use std::ops::Bound;

use super::blobs::Blobs;
use super::entry::{self, Body, Hash};
use super::tally::{self, Tally};
use super::tree::{Tree, Writes};
use super::{corrupt, io_error};
use crate::ports::{Batch, Expect, Order, StoreError, Table};
use crate::security::sha256;
use crate::store::batch::{Last, Planned, plan};
use crate::store::keys;

/// What a group of batches changes.
pub(super) struct Group<'a> {
    tree: &'a dyn Tree,
    inline_bytes: usize,
    tally: Tally,
    writes: Writes,
}

/// What one batch changes.
struct Change<'a> {
    tally: Tally,
    writes: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    large: Vec<(Hash, &'a [u8])>,
    released: Vec<Hash>,
}

impl<'a> Group<'a> {
    /// An empty group.
    pub fn new(tree: &'a dyn Tree, inline_bytes: usize, tally: &Tally) -> Self {
        Group { tree, inline_bytes, tally: tally.clone(), writes: Writes::new() }
    }

    /// Adds a batch if all that it expects holds, and makes the files of its
    /// large values durable; else leaves the group as it was.
    pub fn add(&mut self, batch: Batch, blobs: &mut Blobs) -> Result<(), StoreError> {
        let planned = plan(batch, |table| self.last(table))?;
        let mut change =
            Change { tally: self.tally.clone(), writes: Vec::new(), large: Vec::new(), released: Vec::new() };
        for write in &planned {
            self.judge(write, &mut change)?;
        }
        blobs.write(&change.large).map_err(io_error)?;
        change.large.iter().for_each(|(hash, _)| blobs.refer(*hash));
        change.released.into_iter().for_each(|hash| blobs.release(hash));
        self.tally = change.tally;
        self.writes.extend(change.writes);
        self.add_nothing();
        Ok(())
    }

    /// Adds a commit that changes nothing but the number of commits.
    pub fn add_nothing(&mut self) {
        self.tally.commits += 1;
    }

    /// What the group writes, and the tally after it.
    pub fn finish(mut self) -> (Writes, Tally) {
        self.writes.insert(tally::PLACE.to_vec(), Some(self.tally.to_raw()));
        (self.writes, self.tally)
    }

    /// Adds a write to a change, if what it expects holds.
    fn judge<'b>(&self, write: &'b Planned, change: &mut Change<'b>) -> Result<(), StoreError> {
        let place = keys::encode(write.table, &write.key);
        let mut current = None;
        if let Some(raw) = self.get(&place)? {
            match entry::decode(&place, &raw) {
                Ok(entry) => {
                    current = Some(entry.version);
                    if let Body::InFile { hash, .. } = entry.body {
                        change.released.push(hash);
                    }
                }
                // A damaged value may be removed, but not built upon.
                Err(_) if write.bytes.is_none() && write.expect == Expect::Anything => {}
                Err(message) => return Err(corrupt(write.table, &write.key, message)),
            }
            change.tally.remove(write.table, entry::written_checksum(&raw).unwrap_or_default());
        }
        let version = write.next_version(current)?;
        let Some(bytes) = &write.bytes else {
            change.writes.push((place, None));
            return Ok(());
        };
        let body = if bytes.len() > self.inline_bytes {
            let hash = sha256([&**bytes]);
            change.large.push((hash, bytes));
            Body::InFile { hash, length: bytes.len() as u64 }
        } else {
            Body::Inline(bytes)
        };
        let (raw, checksum) = entry::encode(&place, version, body);
        change.tally.add(write.table, checksum);
        change.writes.push((place, Some(raw)));
        Ok(())
    }

    fn get(&self, place: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        match self.writes.get(place) {
            Some(raw) => Ok(raw.clone()),
            None => self.tree.get(place),
        }
    }

    /// The last value of a table. A damaged one is linked to as it stands: what
    /// happens next must be written down all the same, and whoever verifies the
    /// log finds the place.
    fn last(&self, table: Table) -> Result<Option<Last>, StoreError> {
        let Some(place) = self.last_place(table)? else { return Ok(None) };
        let Some((_, key)) = keys::decode(&place) else { return Ok(None) };
        let raw = self.get(&place)?.unwrap_or_default();
        let hash = match entry::decode(&place, &raw).map(|entry| entry.body) {
            Ok(Body::Inline(bytes)) => sha256([bytes]),
            Ok(Body::InFile { hash, .. }) => hash,
            Err(_) => sha256([&*raw]),
        };
        Ok(Some(Last { key: key.to_owned(), hash }))
    }

    fn last_place(&self, table: Table) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(mut places) = keys::places(table, "", None, Order::Upwards) else { return Ok(None) };
        let written = self.writes.range(places.clone()).rev().find(|(_, raw)| raw.is_some());
        let mut last = written.map(|(place, _)| place.clone());
        while let Some((place, _)) = self.tree.scan(places.clone(), Order::Downwards, 1)?.pop() {
            // One that the group writes or removes was looked at above.
            if !self.writes.contains_key(&place) {
                last = last.max(Some(place));
                break;
            }
            places.1 = Bound::Excluded(place);
        }
        Ok(last)
    }
}
