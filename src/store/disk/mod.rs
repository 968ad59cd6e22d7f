//! State on disk, in an ordered map that is sled or redb (see [`tree`]).
//!
//! One thread owns all commits. It takes the batches that wait, applies them as
//! one, makes them durable with one sync, and answers then. Values over 4 KB
//! are files beside the map. Every value carries a checksum, every table a sum
//! of them, and an orderly end leaves a seal and a copy, because sled drops
//! what it finds damaged without a word, and redb refuses the whole.

mod blobs;
mod check;
mod condition;
#[cfg(test)]
mod crash;
mod entry;
#[cfg(test)]
mod faults;
mod filler;
mod group;
mod inspect;
mod layout;
mod opening;
mod probe;
mod redb;
mod repair;
mod rewrite;
mod seal;
mod sled;
pub(super) mod snapshot;
mod tally;
#[cfg(test)]
mod tests;
mod tree;
mod writer;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc as thread_mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{mpsc, oneshot};

pub(super) use self::check::check;
use self::condition::Condition;
use self::entry::Body;
#[cfg(test)]
pub(crate) use self::faults::breakable;
pub(super) use self::filler::Filler;
use self::layout::Layout;
pub(super) use self::repair::repair;
pub(super) use self::seal::write_pair;
use self::snapshot::Changes;
#[cfg(test)]
pub(super) use self::tests::{behind_its_back, flip_the_last, over_both};
pub use self::tree::DiskKind;
use self::tree::Tree;
use self::writer::{Job, Writer};
use super::{files, keys};
use crate::ports::{Batch, Order, Store, StoreError, StoreHealth, Table, Versioned};

/// The limits of a [`DiskStore`].
#[derive(Debug, Clone, PartialEq)]
pub struct DiskSettings {
    /// Memory for the cache of sled or redb, in bytes.
    pub cache_bytes: u64,
    /// The most batches that wait for the disk; callers beyond it wait for room.
    pub queue_length: usize,
    /// The most batches that one sync makes durable.
    pub group_size: usize,
    /// No batch joins a group that has as many bytes as this.
    pub group_bytes: usize,
    /// Values of more bytes become files of their own.
    pub inline_bytes: usize,
    /// How long a commit may take, the wait in the queue included.
    pub commit_limit: Duration,
    /// How often a small write is tried.
    pub probe_interval: Duration,
    /// How long that write may take.
    pub probe_limit: Duration,
    /// How long opening may take, looking through all values included.
    pub open_limit: Duration,
    /// How long closing may take.
    pub close_limit: Duration,
    /// The values are rewritten, redb's at any time and sled's at start, when
    /// they take up this many times their live bytes,
    pub compact_ratio: f64,
    /// and more bytes than this.
    pub compact_above: u64,
    /// The values are copied at an orderly end while they take up no more
    /// bytes than this.
    pub copy_below: u64,
}

impl Default for DiskSettings {
    fn default() -> Self {
        DiskSettings {
            cache_bytes: 64 << 20,
            queue_length: 1_000,
            group_size: 256,
            group_bytes: 1 << 20,
            inline_bytes: 4 << 10,
            commit_limit: Duration::from_secs(10),
            probe_interval: Duration::from_secs(10),
            probe_limit: Duration::from_secs(5),
            open_limit: Duration::from_secs(300),
            close_limit: Duration::from_secs(60),
            compact_ratio: 1.8,
            compact_above: 16 << 20,
            copy_below: 1 << 30,
        }
    }
}

/// What readers see.
struct View {
    tree: Arc<dyn Tree>,
    blobs: PathBuf,
}

/// What the store shares with its threads.
struct Shared {
    /// `None` once the store is closed. Held for writing while files of values
    /// go. What readers see may be a moment from being durable; whatever is
    /// committed after it is durable only together with it.
    view: RwLock<Option<View>>,
    /// What the writer notes for a snapshot.
    changes: Mutex<Changes>,
    condition: Condition,
}

/// What waits to be joined.
struct Ending {
    writer: JoinHandle<()>,
    ended: thread_mpsc::Receiver<Result<(), StoreError>>,
    probe: JoinHandle<()>,
    /// Hanging up stops the probe.
    stop_probe: thread_mpsc::Sender<()>,
}

/// State on disk. Dropping it closes it.
pub struct DiskStore {
    shared: Arc<Shared>,
    queue: Mutex<Option<mpsc::Sender<Job>>>,
    ending: Mutex<Option<Ending>>,
    root: PathBuf,
    commit_limit: Duration,
    close_limit: Duration,
}

impl fmt::Debug for DiskStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskStore").field("root", &self.root).finish_non_exhaustive()
    }
}

impl DiskStore {
    /// Opens the store in a folder, and creates it if there is none. This may
    /// take a while: call it off the async threads.
    ///
    /// Damage that leaves the rest usable is logged and told by `health`.
    ///
    /// # Errors
    /// Where another process has the folder open, it holds values of another
    /// kind, or what lies in it can't be read at all.
    pub fn open(folder: &Path, kind: DiskKind, settings: DiskSettings) -> Result<Self, StoreError> {
        let layout = Layout::new(folder, kind);
        let opened = opening::open(&layout, &settings)?;
        let problem = (!opened.problems.is_empty()).then(|| {
            let (what, root) = (opened.problems.join("; "), layout.root().display());
            format!("in {root}: {what}; restore a backup of this folder")
        });
        if let Some(problem) = &problem {
            tracing::error!("the store is damaged: {problem}");
        }
        let view = View { tree: Arc::clone(&opened.tree), blobs: layout.blobs() };
        let shared = Arc::new(Shared {
            view: RwLock::new(Some(view)),
            changes: Mutex::default(),
            condition: Condition::new(problem, files::size_of(layout.root())),
        });
        let (queue, jobs) = mpsc::channel(settings.queue_length.max(1));
        let writer = Writer::new(opened, Arc::clone(&shared), layout.clone(), settings.clone());
        let (commit_limit, close_limit) = (settings.commit_limit, settings.close_limit);
        let ending = start(writer, jobs, &shared, layout, settings, queue.downgrade())?;
        Ok(DiskStore {
            shared,
            queue: Mutex::new(Some(queue)),
            ending: Mutex::new(Some(ending)),
            root: folder.to_owned(),
            commit_limit,
            close_limit,
        })
    }

    /// Finishes the commits that wait, and lets go of the folder. Call it off
    /// the async threads. Closing twice is no failure.
    ///
    /// # Errors
    /// Where what waited could not be made durable.
    pub fn close(&self) -> Result<(), StoreError> {
        let Some(ending) = self.ending.lock().take() else { return Ok(()) };
        drop(self.queue.lock().take());
        drop(ending.stop_probe);
        match ending.ended.recv_timeout(self.close_limit) {
            Ok(outcome) => {
                // Both have said their last; their panics were told by then.
                ending.writer.join().ok();
                ending.probe.join().ok();
                outcome
            }
            Err(thread_mpsc::RecvTimeoutError::Timeout) => Err(StoreError::Io(format!(
                "{} could not be closed within {:?}; writes that were not answered may be lost",
                self.root.display(),
                self.close_limit
            ))),
            Err(thread_mpsc::RecvTimeoutError::Disconnected) => {
                self.shared.condition.check().and(Err(StoreError::Closed))
            }
        }
    }

    /// Runs a read off the async threads: it may have to wait for the disk.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&View) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        let reading = tokio::task::spawn_blocking(move || {
            let view = shared.view.read();
            read(view.as_ref().ok_or(StoreError::Closed)?)
        });
        reading.await.map_err(|error| StoreError::Io(format!("a read broke off: {error}")))?
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::error!("failed to {error}");
        }
    }
}

fn start(
    writer: Writer,
    jobs: mpsc::Receiver<Job>,
    shared: &Arc<Shared>,
    layout: Layout,
    settings: DiskSettings,
    queue: mpsc::WeakSender<Job>,
) -> Result<Ending, StoreError> {
    let (send_ended, ended) = thread_mpsc::sync_channel(1);
    let writing = thread::Builder::new().name("store-write".to_owned());
    let writer = writing.spawn(move || drop(send_ended.send(writer.run(jobs)))).map_err(io_error)?;
    let (stop_probe, stop) = thread_mpsc::channel();
    let shared = Arc::clone(shared);
    let probing = thread::Builder::new().name("store-probe".to_owned());
    let probe = probing.spawn(move || probe::run(&shared, &layout, &settings, &queue, &stop));
    Ok(Ending { writer, ended, probe: probe.map_err(io_error)?, stop_probe })
}

#[async_trait]
impl Store for DiskStore {
    async fn get(&self, table: Table, key: &str) -> Result<Option<Versioned>, StoreError> {
        let key = key.to_owned();
        self.read(move |view| view.get(table, &key)).await
    }

    /// At once: each read is a turn of a thread that waits for reads.
    async fn get_all(&self, table: Table, keys: Vec<String>) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.read(move |view| keys.iter().map(|key| view.get(table, key)).collect()).await
    }

    async fn scan(
        &self,
        table: Table,
        prefix: &str,
        after: Option<&str>,
        order: Order,
        limit: usize,
    ) -> Result<Vec<(String, Versioned)>, StoreError> {
        let Some(places) = keys::places(table, prefix, after, order) else { return Ok(Vec::new()) };
        self.read(move |view| {
            let named = |(place, raw): (Vec<u8>, Vec<u8>)| {
                let (table, key) = keys::decode(&place)
                    .ok_or_else(|| StoreError::Io("a key is not of its table".to_owned()))?;
                Ok((key.to_owned(), view.value(table, key, &raw)?))
            };
            view.tree.scan(places, order, limit)?.into_iter().map(named).collect()
        })
        .await
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let queue = self.queue.lock().clone().ok_or(StoreError::Closed)?;
        self.shared.condition.check()?;
        let (send, answer) = oneshot::channel();
        // A caller that went away is not told.
        let job = Job { batch: Some(batch), answer: Box::new(move |outcome| drop(send.send(outcome))) };
        let gone = || StoreError::Io("the thread that writes broke off".to_owned());
        let committed = async move {
            let sent = queue.send(job).await;
            drop(queue);
            sent.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        };
        let limit = self.commit_limit;
        tokio::time::timeout(limit, committed).await.unwrap_or_else(|_| {
            Err(StoreError::Io(format!(
                "the write did not get to the disk within {limit:?}; it may yet, or may not"
            )))
        })
    }

    async fn health(&self) -> StoreHealth {
        self.shared.condition.health()
    }

    fn waiting(&self) -> usize {
        let queue = self.queue.lock();
        queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }
}

impl View {
    fn get(&self, table: Table, key: &str) -> Result<Option<Versioned>, StoreError> {
        let raw = self.tree.get(&keys::encode(table, key))?;
        raw.map(|raw| self.value(table, key, &raw)).transpose()
    }

    /// The value as a caller knows it, held against its checksum.
    fn value(&self, table: Table, key: &str, raw: &[u8]) -> Result<Versioned, StoreError> {
        let entry =
            entry::decode(&keys::encode(table, key), raw).map_err(|message| corrupt(table, key, message))?;
        let bytes = match entry.body {
            Body::Inline(bytes) => bytes.to_vec(),
            Body::InFile { hash, length } => {
                blobs::read(&self.blobs, &hash, length).map_err(|message| corrupt(table, key, message))?
            }
        };
        Ok(Versioned { version: entry.version, bytes })
    }
}

fn corrupt(table: Table, key: &str, message: String) -> StoreError {
    StoreError::Corrupt { table, key: key.to_owned(), message }
}

fn io_error(error: io::Error) -> StoreError {
    StoreError::Io(error.to_string())
}
