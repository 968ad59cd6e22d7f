//! A disk that is full, read-only, slow or broken: what was acknowledged
//! stands, the failure is told, reading goes on.
//!
//! Full and read-only disks are real ones, of a few megabytes of memory, where
//! the test may mount them; errors and slowness come from a layer over the tree,
//! and from where the history's files are written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use parking_lot::Mutex;

use super::tests::{open, over_both};
use super::tree::{Pair, Tree, Writes};
use super::{DiskKind, DiskSettings, DiskStore};
use crate::domain::{Resource, Step, Timestamp};
use crate::ports::{Expect, History, Order, Store, StoreError, Table};
use crate::series::{Frame, UsageSeries};
use crate::store::conformance::{append, commit, put};
use crate::store::keys::Places;
use crate::store::{ParquetHistory, check_history, files};

over_both!(
    an_error_on_write_ends_writing_and_nothing_else,
    an_error_on_read_is_told_and_passes,
    a_slow_disk_is_told_and_comes_back,
    a_full_disk_keeps_what_it_took,
    a_read_only_disk_is_named,
);

/// What the system says of a disk that breaks.
const BROKEN: &str = "input/output error (os error 5)";
/// And of one that it has made read-only.
const READ_ONLY: &str = "read-only file system (os error 30)";

/// What goes wrong with a tree.
#[derive(Debug, Default)]
struct Fault {
    /// Writes fail: before they are made, or after.
    before: Mutex<Option<&'static str>>,
    after: Mutex<Option<&'static str>>,
    /// Reads fail.
    reads: Mutex<Option<&'static str>>,
    delay: Mutex<Duration>,
}

static FAULTS: LazyLock<Mutex<BTreeMap<PathBuf, Arc<Fault>>>> = LazyLock::new(Mutex::default);

/// The fault of the values in a folder of state, from its next start on.
fn fault_of(state: &Path, kind: DiskKind) -> Arc<Fault> {
    let fault = Arc::new(Fault::default());
    FAULTS.lock().insert(state.join(kind.name()), Arc::clone(&fault));
    fault
}

/// A tree with the fault of its folder, if it has one.
pub(super) fn wrap(folder: &Path, tree: Arc<dyn Tree>) -> Arc<dyn Tree> {
    match FAULTS.lock().get(folder) {
        Some(fault) => Arc::new(Faulty { tree, fault: Arc::clone(fault) }),
        None => tree,
    }
}

/// A store in this folder, and what breaks its disk for good: for tests of
/// what stands above stores.
pub(crate) fn breakable(folder: &Path) -> (DiskStore, Box<dyn Fn() + Send>) {
    let fault = fault_of(folder, DiskKind::Redb);
    let store = open(folder, DiskKind::Redb);
    (store, Box::new(move || *fault.before.lock() = Some(BROKEN)))
}

struct Faulty {
    tree: Arc<dyn Tree>,
    fault: Arc<Fault>,
}

fn failing(what: &Mutex<Option<&'static str>>) -> Result<(), StoreError> {
    what.lock().map_or(Ok(()), |message| Err(StoreError::Io(message.to_owned())))
}

impl Tree for Faulty {
    fn get(&self, place: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        failing(&self.fault.reads)?;
        self.tree.get(place)
    }

    fn scan(&self, places: Places, order: Order, limit: usize) -> Result<Vec<Pair>, StoreError> {
        failing(&self.fault.reads)?;
        self.tree.scan(places, order, limit)
    }

    fn apply(&self, writes: &Writes) -> Result<(), StoreError> {
        std::thread::sleep(*self.fault.delay.lock());
        failing(&self.fault.before)?;
        self.tree.apply(writes)?;
        failing(&self.fault.after)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.tree.sync()
    }
}

async fn an_error_on_write_ends_writing_and_nothing_else(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let fault = fault_of(folder.path(), kind);
    // A disk that breaks, and one that the system makes read-only for that.
    let faults = [(&fault.before, BROKEN), (&fault.after, BROKEN), (&fault.before, READ_ONLY)];
    for (turn, (place, message)) in faults.into_iter().enumerate() {
        let store = open(folder.path(), kind);
        let (good, bad) = (format!("good-{turn}"), format!("bad-{turn}"));
        commit(&store, [put(&good, Expect::Absent, b"1"), append(b"1")]).await.unwrap();
        *place.lock() = Some(message);
        let failed = commit(&store, [put(&bad, Expect::Absent, b"2"), append(b"2")]).await;
        assert!(failed.unwrap_err().to_string().contains(message));
        let problem = store.health().await.problem.unwrap();
        assert!(problem.contains(message), "{problem}");
        *place.lock() = None;
        // It is unknown what is on the disk: nothing more until the next start.
        let refused = commit(&store, [append(b"3")]).await.unwrap_err().to_string();
        assert!(refused.contains("nothing more is written until"), "{refused}");
        assert_eq!(store.get(Table::Tenants, &good).await.unwrap().unwrap().bytes, b"1", "reading goes on");
        drop(store);
        let store = open(folder.path(), kind);
        assert_eq!(store.health().await.problem, None);
        assert_eq!(store.get(Table::Tenants, &good).await.unwrap().unwrap().bytes, b"1");
        // What failed is there or not, but never half.
        let mut lines = turn + 1;
        for earlier in 0..=turn {
            let there = store.get(Table::Tenants, &format!("bad-{earlier}")).await.unwrap();
            lines += usize::from(there.is_some());
        }
        let log = store.scan(Table::Audit, "", None, Order::Upwards, 9).await.unwrap();
        assert_eq!(log.len(), lines);
        commit(&store, [put(&good, Expect::Version(1), b"2")]).await.unwrap();
    }
}

async fn an_error_on_read_is_told_and_passes(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let fault = fault_of(folder.path(), kind);
    let store = open(folder.path(), kind);
    commit(&store, [put("a", Expect::Absent, b"1")]).await.unwrap();
    *fault.reads.lock() = Some(BROKEN);
    let of_one = store.get(Table::Tenants, "a").await.unwrap_err().to_string();
    let of_all = store.scan(Table::Tenants, "", None, Order::Upwards, 9).await.unwrap_err().to_string();
    assert!(of_one.contains(BROKEN) && of_all.contains(BROKEN), "{of_one}; {of_all}");
    // What a write expects can't be looked up.
    let refused = commit(&store, [put("a", Expect::Version(1), b"2")]).await.unwrap_err().to_string();
    assert!(refused.contains(BROKEN), "{refused}");
    *fault.reads.lock() = None;
    assert_eq!(store.get(Table::Tenants, "a").await.unwrap().unwrap().bytes, b"1");
    drop(store);
    let store = open(folder.path(), kind);
    commit(&store, [put("a", Expect::Version(1), b"2")]).await.unwrap();
}

async fn a_slow_disk_is_told_and_comes_back(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let fault = fault_of(folder.path(), kind);
    let settings = DiskSettings {
        commit_limit: Duration::from_millis(300),
        probe_interval: Duration::from_millis(50),
        probe_limit: Duration::from_millis(200),
        ..DiskSettings::default()
    };
    let store = DiskStore::open(folder.path(), kind, settings).unwrap();
    commit(&store, [put("quick", Expect::Absent, b"1")]).await.unwrap();
    *fault.delay.lock() = Duration::from_millis(900);
    let late = commit(&store, [put("late", Expect::Absent, b"1")]).await.unwrap_err().to_string();
    assert!(late.contains("within"), "{late}");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let problem = store.health().await.problem.unwrap();
    assert!(problem.contains("a small write did not get to the disk"), "{problem}");
    *fault.delay.lock() = Duration::ZERO;
    for _ in 0..100 {
        if store.health().await.problem.is_none() {
            commit(&store, [put("again", Expect::Absent, b"1")]).await.unwrap();
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the problem stayed: {:?}", store.health().await);
}

/// A disk of a few megabytes; `None`, and a word of it, where none can be
/// mounted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<SmallDisk> {
        let folder = tempfile::tempdir().unwrap();
        let disk = SmallDisk(folder);
        let option = format!("size={size}");
        if run("mount", &["-t", "tmpfs", "-o", &option, "tmpfs", disk.path()]) {
            return Some(disk);
        }
        eprintln!("skipped: no disk can be mounted; run as root");
        None
    }

    fn path(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    fn again(&self, options: &str) {
        assert!(run("mount", &["-o", &format!("remount,{options}"), self.path()]), "{options}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        run("umount", &["-l", self.path()]);
    }
}

fn run(program: &str, arguments: &[&str]) -> bool {
    Command::new(program).args(arguments).output().is_ok_and(|output| output.status.success())
}

async fn a_full_disk_keeps_what_it_took(kind: DiskKind) {
    let Some(disk) = SmallDisk::mount("6m") else { return };
    let state = disk.0.path().join("state");
    let mut answered = 0_u64;
    {
        let store = open(&state, kind);
        // 20 MB do not fit.
        for number in 0..10_000_u64 {
            let value = vec![number as u8; 2000];
            let written =
                commit(&store, [put(&format!("{number:05}"), Expect::Absent, &value), append(&[7])]);
            if let Err(error) = written.await {
                let message = error.to_string();
                assert!(message.contains("space") || message.contains("os error 28"), "{message}");
                break;
            }
            answered += 1;
        }
        assert!((100..10_000).contains(&answered), "{answered}");
        // A probe in between may find room for its few bytes.
        let mut told = false;
        for _ in 0..20 {
            let refused = commit(&store, [append(&[7; 2000])]).await.is_err();
            told |= refused && store.health().await.problem.is_some();
        }
        assert!(told);
        let first = store.get(Table::Tenants, "00000").await.unwrap().unwrap();
        assert_eq!(first.bytes, vec![0; 2000], "reading goes on");
    }
    disk.again("size=64m");
    let store = open(&state, kind);
    assert_eq!(store.health().await.problem, None);
    let found = store.scan(Table::Tenants, "", None, Order::Upwards, usize::MAX).await.unwrap();
    assert!(found.len() as u64 >= answered, "{answered} were answered, {} are there", found.len());
    for (number, (key, value)) in found.into_iter().enumerate() {
        assert_eq!((key, value.bytes), (format!("{number:05}"), vec![number as u8; 2000]));
    }
    commit(&store, [put("room", Expect::Absent, b"")]).await.unwrap();
}

async fn a_read_only_disk_is_named(kind: DiskKind) {
    let Some(disk) = SmallDisk::mount("64m") else { return };
    let state = disk.0.path().join("state");
    let store = open(&state, kind);
    commit(&store, [put("a", Expect::Absent, b"1")]).await.unwrap();
    drop(store);
    disk.again("ro");
    let refused = DiskStore::open(&state, kind, DiskSettings::default()).unwrap_err().to_string();
    assert!(refused.contains(disk.path()) && refused.to_lowercase().contains("read-only"), "{refused}");
    disk.again("rw");
    let store = open(&state, kind);
    assert_eq!(store.get(Table::Tenants, "a").await.unwrap().unwrap().bytes, b"1");
}

/// A day of noise that does not compress.
fn noise(day: i64) -> Frame {
    let mut frame = Frame::empty(Resource::CpuCores, Step::FIVE_MINUTES);
    for tenant in 0..200_u64 {
        let values = (0..288_u64).map(|n| {
            let place = tenant * 288 + n + day as u64 * 57_600;
            (place.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 11) as f64
        });
        let start = at_day(day);
        let series =
            UsageSeries { start, step: Step::FIVE_MINUTES, values: values.collect::<Vec<_>>().into() };
        frame.series.insert(format!("tenant-{tenant}").parse().unwrap(), series);
    }
    frame
}

#[test]
fn a_history_on_a_full_or_read_only_disk_keeps_what_it_took() {
    let Some(disk) = SmallDisk::mount("3m") else { return };
    let folder = disk.0.path().join("history");
    let history = ParquetHistory::open(&folder).unwrap();
    let failed = (0..20).find_map(|day| history.append(&noise(day)).err().map(|error| (day, error)));
    let (days, error) = failed.unwrap();
    assert!(days > 1, "{days}");
    let message = error.to_string();
    assert!(message.contains(folder.to_str().unwrap()) && message.contains("space"), "{message}");
    let load = |history: &ParquetHistory| {
        let frame = history.load(Resource::CpuCores, Step::FIVE_MINUTES, Timestamp::from_millis(0));
        frame.unwrap().samples() as i64
    };
    assert_eq!(load(&history), days * 57_600);
    disk.again("ro");
    let message = history.append(&noise(days)).unwrap_err().to_string();
    assert!(message.to_lowercase().contains("read-only"), "while it is open: {message}");
    let history = ParquetHistory::open(&folder).unwrap();
    assert_eq!(load(&history), days * 57_600, "reading goes on");
    let message = history.append(&noise(days)).unwrap_err().to_string();
    assert!(message.to_lowercase().contains("read-only"), "{message}");
    disk.again("rw,size=64m");
    history.append(&noise(days)).unwrap();
    assert_eq!(load(&history), (days + 1) * 57_600);
}

#[test]
fn a_history_whose_disk_breaks_while_it_is_open_keeps_what_it_took() {
    let folder = tempfile::tempdir().unwrap();
    let history = ParquetHistory::open(folder.path()).unwrap();
    let load = |history: &ParquetHistory| {
        history.load(Resource::CpuCores, Step::FIVE_MINUTES, at_day(0)).unwrap().samples()
    };
    (0..2).for_each(|day| history.append(&noise(day)).unwrap());
    for number in [5, 30] {
        let broken = files::failing::below(folder.path(), number);
        let added = history.append(&noise(2)).unwrap_err().to_string();
        let thinned = history.retain(at_day(1), at_day(0)).unwrap_err().to_string();
        for message in [added, thinned] {
            let named = message.contains(folder.path().to_str().unwrap());
            assert!(named && message.contains(&format!("os error {number}")), "{message}");
        }
        assert_eq!(load(&history), 2 * 57_600, "reading goes on");
        drop(broken);
    }
    history.append(&noise(2)).unwrap();
    assert_eq!(load(&history), 3 * 57_600, "the same handle writes again");
    history.retain(at_day(1), at_day(0)).unwrap();
    let (history, left) = (ParquetHistory::open(folder.path()).unwrap(), 2 * 57_600);
    assert_eq!(load(&history), left, "the first day has become hours");
    let (segments, damaged) = check_history(folder.path()).unwrap();
    assert!(segments == 3 && damaged.is_empty(), "{segments}, {damaged:?}");
}

fn at_day(day: i64) -> Timestamp {
    Timestamp::from_millis(day * 86_400_000)
}
