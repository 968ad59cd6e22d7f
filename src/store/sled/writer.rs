//! The one thread that writes: it takes the batches that wait, applies each as
//! one atomic sled batch, makes all durable with one sync, and then answers.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::thread;

use sled::Db;
use tokio::sync::mpsc::Receiver;

use super::blobs::Blobs;
use super::entry::{self, Body, Hash};
use super::layout::{Layout, wait_until_free};
use super::opening::Opened;
use super::tally::{self, Tally};
use super::{Shared, SledSettings, io_error, seal, sled_error};
use crate::ports::{Batch, Expect, Order, StoreError, Table};
use crate::store::batch::{Planned, plan};
use crate::store::{files, keys};

/// Tells a waiting caller how it went.
pub(super) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What waits for the writer.
pub(super) struct Job {
    /// What to write; `None` for a probe.
    pub batch: Option<Batch>,
    /// Called once the outcome is certain.
    pub answer: Answer,
}

/// What the writer owns.
pub(super) struct Writer {
    shared: Arc<Shared>,
    layout: Layout,
    settings: SledSettings,
    db: Db,
    /// sled's own file: sled only ever asks the system to begin writing it.
    db_file: File,
    tally: Tally,
    blobs: Blobs,
    lock: File,
}

/// What a batch does to everything, before it is done.
struct Change<'a> {
    writes: sled::Batch,
    tally: Tally,
    large: Vec<(Hash, &'a [u8])>,
    released: Vec<Hash>,
}

impl Writer {
    /// Over an opened store.
    pub fn new(
        opened: Opened,
        shared: Arc<Shared>,
        layout: Layout,
        settings: SledSettings,
    ) -> Result<Self, StoreError> {
        let path = layout.sled().join("db");
        let db_file = File::options().write(true).open(&path).map_err(files::at(&path)).map_err(io_error)?;
        let Opened { lock, db, tally, blobs, .. } = opened;
        Ok(Writer { shared, layout, settings, db, db_file, tally, blobs, lock })
    }

    /// Writes until nobody can send a batch any more, then ends in order.
    pub fn run(mut self, mut queue: Receiver<Job>) -> Result<(), StoreError> {
        let _alarm = Alarm(Arc::clone(&self.shared));
        while let Some(first) = queue.blocking_recv() {
            let mut group = vec![first];
            while group.len() < self.settings.group_size
                && let Ok(job) = queue.try_recv()
            {
                group.push(job);
            }
            self.settle(group);
        }
        self.end()
    }

    /// Writes a group and answers everybody in it.
    fn settle(&mut self, group: Vec<Job>) {
        let (mut wrote, mut probed) = (false, false);
        let mut answers = Vec::with_capacity(group.len());
        for Job { batch, answer } in group {
            probed |= batch.is_none();
            let outcome = self.shared.condition.check().and_then(|()| match batch {
                Some(batch) => self.write(batch),
                None => self.write_tally(),
            });
            wrote |= outcome.is_ok();
            answers.push((answer, outcome));
        }
        let mut durable = if wrote { self.sync() } else { Ok(()) };
        if durable.is_ok() {
            self.remove_released();
            if probed {
                durable = self.layout.write_seen(self.tally.commits).map_err(io_error);
            }
        }
        for (answer, outcome) in answers {
            answer(outcome.and(durable.clone()));
        }
    }

    /// Applies one batch if all that it expects holds.
    fn write(&mut self, batch: Batch) -> Result<(), StoreError> {
        let planned = plan(batch, |table| last_key(&self.db, table))?;
        if planned.is_empty() {
            return Ok(());
        }
        let mut tally = self.tally.clone();
        tally.commits += 1;
        let mut change =
            Change { writes: sled::Batch::default(), tally, large: Vec::new(), released: Vec::new() };
        for write in &planned {
            self.add(write, &mut change)?;
        }
        self.blobs.write(&change.large).map_err(io_error)?;
        change.writes.insert(tally::PLACE, change.tally.to_raw());
        self.apply(change.writes)?;
        self.tally = change.tally;
        change.large.iter().for_each(|(hash, _)| self.blobs.refer(*hash));
        change.released.into_iter().for_each(|hash| self.blobs.release(hash));
        Ok(())
    }

    /// Adds a write to a change, if what it expects holds.
    fn add<'a>(&self, write: &'a Planned, change: &mut Change<'a>) -> Result<(), StoreError> {
        let place = keys::encode(write.table, &write.key);
        let old = self.db.get(&place).map_err(|error| sled_error(&error))?;
        let mut current = None;
        if let Some(raw) = &old {
            match entry::decode(&place, raw) {
                Ok(entry) => {
                    current = Some(entry.version);
                    if let Body::InFile { hash, .. } = entry.body {
                        change.released.push(hash);
                    }
                }
                // A damaged value may be removed, but not built upon.
                Err(_) if write.bytes.is_none() && write.expect == Expect::Anything => {}
                Err(message) => return Err(super::corrupt(write.table, &write.key, message)),
            }
            change.tally.remove(write.table, entry::written_checksum(raw).unwrap_or_default());
        }
        let version = write.next_version(current)?;
        let Some(bytes) = &write.bytes else {
            change.writes.remove(place);
            return Ok(());
        };
        let body = if bytes.len() > self.settings.inline_bytes {
            let hash = files::sha256(bytes);
            change.large.push((hash, bytes));
            Body::InFile { hash, length: bytes.len() as u64 }
        } else {
            Body::Inline(bytes)
        };
        let (raw, checksum) = entry::encode(&place, version, body);
        change.tally.add(write.table, checksum);
        change.writes.insert(place, raw);
        Ok(())
    }

    /// A write that changes nothing but the number of commits.
    fn write_tally(&mut self) -> Result<(), StoreError> {
        let mut tally = self.tally.clone();
        tally.commits += 1;
        let mut writes = sled::Batch::default();
        writes.insert(tally::PLACE, tally.to_raw());
        self.apply(writes)?;
        self.tally = tally;
        Ok(())
    }

    /// Readers see all of a batch or nothing.
    fn apply(&self, writes: sled::Batch) -> Result<(), StoreError> {
        let alone = self.shared.view.write();
        let applied = self.db.apply_batch(writes);
        drop(alone);
        applied.map_err(|error| self.failed(sled_error(&error)))
    }

    /// Makes all that was applied durable.
    fn sync(&self) -> Result<(), StoreError> {
        let flushed = self.db.flush().map_err(|error| sled_error(&error));
        // A sync that failed must not be tried again: the system may have
        // dropped what it could not write, and the second would succeed.
        let synced = flushed.and_then(|_| self.db_file.sync_all().map_err(io_error));
        synced.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: StoreError) -> StoreError {
        self.shared.condition.fail(&match &error {
            StoreError::Io(message) => message.clone(),
            other => other.to_string(),
        });
        error
    }

    fn remove_released(&mut self) {
        let released = self.blobs.take_released();
        if released.is_empty() {
            return;
        }
        // No reader stands between a reference and its file.
        let _alone = self.shared.view.write();
        for file in released {
            if let Err(error) = files::remove(&file) {
                tracing::warn!("a file of the store is removed at the next start: {error}");
            }
        }
    }

    /// Lets go of sled in order, and seals its files.
    fn end(self) -> Result<(), StoreError> {
        let failed = self.shared.condition.check();
        let synced = failed.and_then(|()| self.sync());
        let Writer { shared, layout, settings, db, db_file, tally, lock, .. } = self;
        let copied = synced.is_ok()
            && files::size_of(&layout.sled()) <= settings.copy_below
            && end_step("copied", seal::write_copy(&layout, &db));
        *shared.view.write() = None;
        drop((db, db_file));
        let free = wait_until_free(&layout.sled());
        if synced.is_ok() && free.is_ok() && end_step("counted", layout.write_seen(tally.commits)) {
            end_step("sealed", seal::write(&layout, copied));
        }
        drop(lock);
        synced.and(free)
    }
}

/// Whether a step of an orderly end worked out. All values are durable by
/// then: what does not work out only leaves the next start without its help.
fn end_step(what: &str, outcome: io::Result<()>) -> bool {
    if let Err(error) = &outcome {
        tracing::warn!("the store could not be {what} at its end: {error}");
    }
    outcome.is_ok()
}

fn last_key(db: &Db, table: Table) -> Result<Option<String>, StoreError> {
    let Some(places) = keys::places(table, "", None, Order::Upwards) else { return Ok(None) };
    let Some(last) = db.range(places).next_back() else { return Ok(None) };
    let (place, _) = last.map_err(|error| sled_error(&error))?;
    Ok(keys::decode(&place).map(|(_, key)| key.to_owned()))
}

/// Tells when the writer breaks off: it would leave callers without an answer.
struct Alarm(Arc<Shared>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.condition.fail("the thread that writes broke off");
        }
    }
}
