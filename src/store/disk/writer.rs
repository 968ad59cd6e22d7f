//! The one thread that writes: it takes the batches that wait as a group,
//! applies them, makes all durable with one sync, and then answers.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::thread;

use tokio::sync::mpsc::Receiver;

use super::blobs::Blobs;
use super::group::Group;
use super::inspect::{Inspected, LookedThrough};
use super::layout::{Layout, wait_until_free};
use super::opening::Opened;
use super::rewrite::{Rewriting, Room};
use super::seal::{self, LastLook};
use super::tally::Tally;
use super::tree::{DiskKind, Tree, Writes};
use super::{DiskSettings, Shared, io_error};
use crate::ports::{Batch, StoreError, Write};
use crate::store::files;

/// Tells a waiting caller how it went.
pub(super) type Answer = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// What waits for the writer.
pub(super) struct Job {
    /// What to write; `None` for a probe.
    pub batch: Option<Batch>,
    /// Called once the outcome is certain.
    pub answer: Answer,
}

impl Job {
    fn bytes(&self) -> usize {
        let writes = self.batch.iter().flat_map(|batch| &batch.writes);
        writes
            .map(|write| match write {
                Write::Put { key, bytes, .. } => key.len() + bytes.len(),
                Write::Delete { key, .. } => key.len(),
                Write::Append { bytes, .. } => bytes.len(),
            })
            .sum()
    }
}

/// What the writer owns.
pub(super) struct Writer {
    shared: Arc<Shared>,
    layout: Layout,
    settings: DiskSettings,
    tree: Arc<dyn Tree>,
    tally: Tally,
    blobs: Blobs,
    room: Room,
    /// The same values in the making, in less room.
    rewriting: Option<Rewriting>,
    lock: File,
}

impl Writer {
    /// Over an opened store.
    pub fn new(opened: Opened, shared: Arc<Shared>, layout: Layout, settings: DiskSettings) -> Self {
        let Opened { lock, tree, tally, blobs, room, .. } = opened;
        Writer { shared, layout, settings, tree, tally, blobs, room, rewriting: None, lock }
    }

    /// Writes until nobody can send a batch any more, then ends in order.
    pub fn run(mut self, mut queue: Receiver<Job>) -> Result<(), StoreError> {
        let _alarm = Alarm(Arc::clone(&self.shared));
        while let Some(first) = queue.blocking_recv() {
            let mut bytes = first.bytes();
            let mut jobs = vec![first];
            while jobs.len() < self.settings.group_size
                && bytes < self.settings.group_bytes
                && let Ok(job) = queue.try_recv()
            {
                bytes += job.bytes();
                jobs.push(job);
            }
            self.settle(jobs);
            self.make_room();
        }
        self.end()
    }

    /// Writes a group and answers everybody in it.
    fn settle(&mut self, jobs: Vec<Job>) {
        let mut group = Group::new(&*self.tree, self.settings.inline_bytes, &self.tally);
        let (mut any, mut probed) = (false, false);
        let mut answers = Vec::with_capacity(jobs.len());
        for Job { batch, answer } in jobs {
            probed |= batch.is_none();
            let outcome = self.shared.condition.check().and_then(|()| match batch {
                Some(batch) => group.add(batch, &mut self.blobs),
                None => {
                    group.add_nothing();
                    Ok(())
                }
            });
            if matches!(outcome, Err(StoreError::Io(_))) {
                // A tree that has failed says so here, and not only to this caller.
                self.sync().ok();
            }
            any |= outcome.is_ok();
            answers.push((answer, outcome));
        }
        let (writes, tally) = group.finish();
        let mut durable = if any { self.apply(writes, tally).and_then(|()| self.sync()) } else { Ok(()) };
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

    /// Applies a group, and tells whoever notes changes of it.
    fn apply(&mut self, writes: Writes, tally: Tally) -> Result<(), StoreError> {
        let mut changes = self.shared.changes.lock();
        self.tree.apply(&writes).map_err(|error| self.failed(error))?;
        if let Some(rewriting) = &mut self.rewriting {
            rewriting.note(&writes);
        }
        changes.note(writes);
        self.tally = tally;
        Ok(())
    }

    /// Makes all that was applied durable.
    fn sync(&self) -> Result<(), StoreError> {
        // A sync that failed must not be tried again: the system may have
        // dropped what it could not write, and the second would succeed.
        self.tree.sync().map_err(|error| self.failed(error))
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

    /// Has values that take up too much room written anew, and takes them once
    /// they are there.
    fn make_room(&mut self) {
        if !self.layout.kind().can_be_moved() || self.shared.condition.check().is_err() {
            return;
        }
        match self.rewriting.take() {
            None if self.room.is_overrun(&self.layout, &self.settings) => {
                let begun = Rewriting::begin(&self.layout, &self.settings, Arc::clone(&self.tree));
                match begun {
                    Ok(rewriting) => self.rewriting = Some(rewriting),
                    Err(error) => self.stays_large(&error),
                }
            }
            None => {}
            Some(rewriting) if rewriting.is_copied() => self.take_rewritten(rewriting),
            Some(rewriting) => self.rewriting = Some(rewriting),
        }
    }

    fn take_rewritten(&mut self, rewriting: Rewriting) {
        let fresh = match rewriting.finish() {
            Ok(fresh) => fresh,
            Err(error) => return self.stays_large(&error),
        };
        {
            let mut view = self.shared.view.write();
            if let Err(error) = self.layout.swap(&self.layout.replaced()) {
                // Either folder may stand there now; both hold all that was
                // answered for, and the next start takes the right one.
                self.failed(io_error(error));
                return;
            }
            if let Some(view) = &mut *view {
                view.tree = Arc::clone(&fresh.tree);
            }
        }
        self.tree = fresh.tree;
        if let Err(error) = files::remove_folder(&self.layout.replaced()) {
            tracing::warn!("what the store has left is removed at the next start: {error}");
        }
        self.room.tried(&self.layout, Some(fresh.live_bytes));
    }

    /// The values stay where they are.
    fn stays_large(&mut self, error: &StoreError) {
        tracing::warn!("failed to rewrite the store, which goes on as it is: {error}");
        if let Err(error) = files::remove_folder(&self.layout.fresh()) {
            tracing::warn!("a copy of the store is removed at the next start: {error}");
        }
        self.room.tried(&self.layout, None);
    }

    /// Lets go of the tree in order, and seals its files.
    fn end(mut self) -> Result<(), StoreError> {
        if let Some(rewriting) = self.rewriting.take() {
            rewriting.give_up(&self.layout);
        }
        let failed = self.shared.condition.check();
        let synced = failed.and_then(|()| self.sync());
        let Writer { shared, layout, settings, tree, tally, lock, .. } = self;
        // sled opens slowly: what it copies it has not read again from the disk,
        // and the next start looks through.
        let of_sled = (layout.kind() == DiskKind::Sled && synced.is_ok())
            .then(|| LastLook { copied: copy(&layout, &settings, &*tree).is_some(), looked_through: None });
        *shared.view.write() = None;
        drop(tree);
        let free = wait_until_free(&layout.file());
        let verified = || verify(&layout, &settings).inspect_err(|error| not_done("verified", error)).ok();
        if synced.is_ok()
            && free.is_ok()
            && let Some(last) = of_sled.or_else(verified)
            && end_step("counted", layout.write_seen(tally.commits))
        {
            end_step("sealed", seal::write(&layout, last));
        }
        drop(lock);
        synced.and(free)
    }
}

/// Opens redb's file once more, which holds its pages against their checksums,
/// and copies what is in it: where the seal is whole, the next start does neither
/// this nor looks through the values, and what was damaged meanwhile must not be
/// sealed.
fn verify(layout: &Layout, settings: &DiskSettings) -> io::Result<LastLook> {
    let tree = layout.kind().open(&layout.values(), settings.cache_bytes).map_err(io::Error::other)?;
    let found = copy(layout, settings, &*tree);
    drop(tree);
    wait_until_free(&layout.file()).map_err(io::Error::other)?;
    let looked_through = found.as_ref().and_then(LookedThrough::of);
    Ok(LastLook { copied: found.is_some(), looked_through })
}

/// Copies all values where they are not too many; gives what they were found to be.
fn copy(layout: &Layout, settings: &DiskSettings, tree: &dyn Tree) -> Option<Inspected> {
    if files::size_of(&layout.values()) > settings.copy_below {
        return None;
    }
    let copied = seal::write_copy(layout, tree);
    copied.inspect_err(|error| not_done("copied", error)).ok()
}

/// Whether a step of an orderly end worked out. All values are durable by
/// then: what does not work out only leaves the next start without its help.
fn end_step(what: &str, outcome: io::Result<()>) -> bool {
    outcome.inspect_err(|error| not_done(what, error)).is_ok()
}

fn not_done(what: &str, error: &io::Error) {
    tracing::warn!("the store could not be {what} at its end: {error}");
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
