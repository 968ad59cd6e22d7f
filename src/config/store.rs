//! Where state and history are kept.

use std::path::PathBuf;
use std::time::Duration;

use super::reader::Reader;

/// How state is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// On disk, in sled.
    Sled,
    /// On disk, in redb.
    Redb,
    /// In memory, lost at the end.
    Memory,
}

/// Where state and history are kept.
#[derive(Debug, Clone)]
pub struct Store {
    /// The folder of both.
    pub path: PathBuf,
    /// How state is kept.
    pub kind: StoreKind,
    /// The most writes that wait for the disk.
    pub queue_length: usize,
    /// The most writes that are made durable together.
    pub group_size: usize,
    /// How often a write is tried, to know that the disk still takes one.
    pub probe_interval: Duration,
    /// The most threads that wait for the disk at once.
    pub threads: usize,
    /// Memory for what was read of the state, in bytes.
    pub cache: usize,
    /// How many times its live size the state may take up on disk.
    pub compact_ratio: f64,
}

impl Store {
    /// The folder of the state.
    pub fn state_path(&self) -> PathBuf {
        self.path.join("state")
    }

    /// The folder of the history.
    pub fn history_path(&self) -> PathBuf {
        self.path.join("history")
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section(
            "store",
            "Where tenants, quotas, recommendations and the audit log (state) and usage samples \
             (history, as Parquet files) are kept.",
        );
        Store {
            path: section.path(
                "path",
                "The folder; state goes to `state` in it, samples to `history`. Use a local disk that \
                 is backed up. One daemon at a time can use it.",
                "plimsoll-data",
            ),
            kind: section.choice(
                "kind",
                "How state is kept: in redb or in sled on disk; \"memory\" forgets it at the end, for trials \
                 only. A folder stays with its kind; `plimsoll store backup` and `restore` carry it over.",
                &[("redb", StoreKind::Redb), ("sled", StoreKind::Sled), ("memory", StoreKind::Memory)],
            ),
            queue_length: section.count(
                "queue_length",
                "The most writes that wait for the disk; callers beyond it wait for room. Raise it if \
                 writes come in bursts.",
                1_000,
                1..=1_000_000,
            ),
            group_size: section.count(
                "group_size",
                "The most writes that one sync to disk makes durable. A larger group raises throughput, \
                 a smaller one makes the slowest write quicker.",
                256,
                1..=100_000,
            ),
            probe_interval: section.duration(
                "probe_interval",
                "How often a small write is tried; `/-/ready` turns red when the disk refuses it.",
                Duration::from_secs(10),
                Duration::from_millis(100)..=Duration::from_secs(3600),
            ),
            threads: section.count(
                "threads",
                "The most threads that wait for the disk at once, for reads of the state and of usage and for \
                 files. Further reads wait for one. A quarter of them is for polls of quotas alone. Each keeps some \
                 hundred KiB of memory.",
                32,
                4..=512,
            ),
            cache: section.size(
                "cache",
                "Memory for what was read of the state on disk, on top of what the system keeps.",
                64 << 20,
                1 << 20..=64 << 30,
            ),
            compact_ratio: section.number(
                "compact_ratio",
                "The state is rewritten when it takes up this many times its live size on disk: redb's while \
                 the daemon goes on, sled's at a start. Lower it to save disk, raise it to write less.",
                1.8,
                1.5..=1_000.0,
            ),
        }
    }
}
