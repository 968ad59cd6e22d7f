//! What a store on disk must do beyond what every store does.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::inspect::{LookedThrough, inspect};
use super::tree::Writes;
use super::*;
use crate::ports::{Expect, Write, append_key};
use crate::store::conformance::{self, append, commit, delete, put};

/// Has each test run over each kind of store.
macro_rules! over_both {
    ($($test:ident),+ $(,)?) => {
        mod on_sled {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::store::DiskKind::Sled).await;
            })+
        }
        mod on_redb {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() {
                super::$test($crate::store::DiskKind::Redb).await;
            })+
        }
    };
}
pub(in crate::store) use over_both;

over_both!(
    does_what_every_store_does_and_remembers_it,
    one_process_at_a_time,
    another_kind_is_never_mixed_in,
    a_flipped_byte_while_closed_is_mended_from_the_copy,
    a_flipped_byte_after_a_crash_is_never_passed_over,
    a_damaged_value_is_named_and_the_rest_stays_usable,
    what_was_lost_without_a_word_is_told,
    a_start_after_an_orderly_end_knows_what_a_look_would_find,
    large_values_live_in_files_as_long_as_something_refers_to_them,
    an_interrupted_swap_is_finished_or_undone,
    a_disk_that_hangs_fails_commits_and_is_told,
    a_batch_larger_than_the_cache_is_written,
);

pub(super) fn open(folder: &Path, kind: DiskKind) -> DiskStore {
    DiskStore::open(folder, kind, DiskSettings::default()).unwrap()
}

async fn text(store: &DiskStore, key: &str) -> Option<String> {
    let value = store.get(Table::Tenants, key).await.unwrap()?;
    Some(String::from_utf8(value.bytes).unwrap())
}

fn files_of(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

/// Changes what stands at a key behind the store's back.
pub(in crate::store) fn behind_its_back(
    folder: &Path,
    kind: DiskKind,
    key: &str,
    change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>,
) {
    let (layout, place) = (Layout::new(folder, kind), keys::encode(Table::Tenants, key));
    let tree = kind.open(&layout.values(), 1 << 20).unwrap();
    let raw = tree.get(&place).unwrap().unwrap();
    tree.apply(&Writes::from([(place, change(raw))])).unwrap();
    tree.sync().unwrap();
    drop(tree);
    layout::wait_until_free(&layout.file()).unwrap();
    seal::remove(&layout).unwrap();
}

/// Flips the last bit of a value.
pub(in crate::store) fn flip_the_last(mut raw: Vec<u8>) -> Option<Vec<u8>> {
    *raw.last_mut().unwrap() ^= 1;
    Some(raw)
}

async fn does_what_every_store_does_and_remembers_it(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(open(folder.path(), kind));
    conformance::run(store.clone()).await;
    commit(&*store, [put("kept", Expect::Absent, b"1")]).await.unwrap();
    store.close().unwrap();
    store.close().unwrap();
    assert!(matches!(store.get(Table::Tenants, "kept").await, Err(StoreError::Closed)));
    assert!(matches!(commit(&*store, [append(b"")]).await, Err(StoreError::Closed)));
    drop(store);

    let store = open(folder.path(), kind);
    assert_eq!(store.health().await.problem, None);
    assert_eq!(text(&store, "kept").await.as_deref(), Some("1"));
    commit(&store, [put("kept", Expect::Version(1), b"2"), append(b"next")]).await.unwrap();
    let last = store.scan(Table::Audit, "", None, Order::Downwards, 1).await.unwrap();
    assert_eq!(last[0].0, append_key(641));
    assert_eq!(files_of(&folder.path().join("blobs")), 0, "nothing refers to a large value any more");
}

async fn one_process_at_a_time(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path(), kind);
    let second = DiskStore::open(folder.path(), kind, DiskSettings::default()).unwrap_err().to_string();
    assert!(second.contains("is in use by another plimsoll; stop that one"), "{second}");
    assert!(second.contains(folder.path().to_str().unwrap()), "{second}");
    drop(first);
    open(folder.path(), kind);
}

async fn another_kind_is_never_mixed_in(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(DiskKind::of(folder.path()), None);
    drop(open(folder.path(), kind));
    assert_eq!(DiskKind::of(folder.path()), Some(kind));
    let other = DiskKind::ALL.into_iter().find(|other| *other != kind).unwrap();
    let refused = DiskStore::open(folder.path(), other, DiskSettings::default()).unwrap_err().to_string();
    assert!(refused.contains(&format!("set store.kind to \"{kind}\"")), "{refused}");
    assert!(!Layout::new(folder.path(), other).values().exists());
    open(folder.path(), kind);
}

async fn a_flipped_byte_while_closed_is_mended_from_the_copy(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let name = |number: u32| format!("tenant-{number:04}");
    let store = open(folder.path(), kind);
    for number in 0..200 {
        let value = vec![b'v'; 40 * (number as usize % 100)];
        commit(&store, [put(&name(number), Expect::Absent, &value)]).await.unwrap();
    }
    drop(store);
    let layout = Layout::new(folder.path(), kind);
    let path = layout.file();
    let length = fs::metadata(&path).unwrap().len() as usize;
    for part in 0..8 {
        let mut bytes = fs::read(&path).unwrap();
        let place = (length * part / 8 + 100).min(bytes.len() - 1);
        bytes[place] ^= 4;
        fs::write(&path, bytes).unwrap();
        let store = open(folder.path(), kind);
        assert_eq!(store.health().await.problem, None);
        let found = store.scan(Table::Tenants, "", None, Order::Upwards, 1000).await.unwrap();
        assert_eq!(found.len(), 200);
        assert!(found.iter().all(|(_, value)| value.bytes.iter().all(|byte| *byte == b'v')));
        assert!(layout.damaged().join(kind.file()).exists());
        assert!(!folder.path().join("seal.json").exists(), "the seal is broken while the store is open");
    }
    let copy = folder.path().join("copy");
    let mut bytes = fs::read(&copy).unwrap();
    bytes[50] ^= 1;
    fs::write(&copy, bytes).unwrap();
    open(folder.path(), kind);
    fs::write(&copy, b"").unwrap();
    fs::write(&path, b"").unwrap();
    let refused = DiskStore::open(folder.path(), kind, DiskSettings::default()).unwrap_err().to_string();
    assert!(
        refused.contains(&format!("{} is not as it was", path.display()))
            && refused.contains("restore a backup"),
        "{refused}"
    );
}

async fn a_flipped_byte_after_a_crash_is_never_passed_over(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), kind);
    let value = |number: usize| vec![b'v'; 40 * (number % 100)];
    for number in 0..200 {
        commit(&store, [put(&format!("{number:04}"), Expect::Absent, &value(number))]).await.unwrap();
    }
    drop(store);
    // Only the values' files and the mark are taken over: it is as after a crash.
    let from = Layout::new(folder.path(), kind);
    let whole = fs::read(from.file()).unwrap();
    let written = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let mut told = 0;
    for part in 0..8 {
        let broken = tempfile::tempdir().unwrap();
        let to = Layout::new(broken.path(), kind);
        fs::create_dir_all(to.values().join("blobs")).unwrap();
        for file in files::files_in(&from.values()).unwrap() {
            fs::copy(&file, to.values().join(file.file_name().unwrap())).unwrap();
        }
        fs::copy(folder.path().join("seen"), broken.path().join("seen")).unwrap();
        let mut bytes = whole.clone();
        bytes[written * (2 * part + 1) / 16] ^= 4;
        fs::write(to.file(), bytes).unwrap();
        let hasty = DiskSettings { open_limit: Duration::from_secs(2), ..DiskSettings::default() };
        let Ok(store) = DiskStore::open(broken.path(), kind, hasty) else {
            told += 1;
            continue;
        };
        if store.health().await.problem.is_some() {
            told += 1;
            continue;
        }
        let found = store.scan(Table::Tenants, "", None, Order::Upwards, 1000).await.unwrap();
        assert_eq!(found.len(), 200, "part {part}");
        assert!(found.iter().enumerate().all(|(number, (_, found))| found.bytes == value(number)));
    }
    assert!(told > 0, "some of the bytes were of values");
}

async fn a_damaged_value_is_named_and_the_rest_stays_usable(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), kind);
    commit(&store, [put("good", Expect::Absent, b"1"), put("bad", Expect::Absent, b"2")]).await.unwrap();
    drop(store);
    behind_its_back(folder.path(), kind, "bad", flip_the_last);
    let store = open(folder.path(), kind);
    let problem = store.health().await.problem.unwrap();
    assert!(problem.contains("\"bad\" of tenants is damaged"), "{problem}");
    assert_eq!(text(&store, "good").await.as_deref(), Some("1"));
    let named = store.get(Table::Tenants, "bad").await.unwrap_err();
    assert!(matches!(named, StoreError::Corrupt { table: Table::Tenants, ref key, .. } if key == "bad"));
    let named = store.scan(Table::Tenants, "", None, Order::Upwards, 9).await.unwrap_err();
    assert!(matches!(named, StoreError::Corrupt { ref key, .. } if key == "bad"));
    let named = commit(&store, [put("bad", Expect::Anything, b"3")]).await.unwrap_err();
    assert!(matches!(named, StoreError::Corrupt { .. }), "it is not built upon");
    let delete = Write::Delete { table: Table::Tenants, key: "bad".into(), expect: Expect::Anything };
    commit(&store, [delete]).await.unwrap();
    commit(&store, [put("bad", Expect::Absent, b"3")]).await.unwrap();
    assert_eq!(text(&store, "bad").await.as_deref(), Some("3"));
}

async fn what_was_lost_without_a_word_is_told(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), kind);
    for key in ["a", "b", "c"] {
        commit(&store, [put(key, Expect::Absent, b"1"), append(b"1")]).await.unwrap();
    }
    drop(store);
    behind_its_back(folder.path(), kind, "b", |_| None);
    let problem = open(folder.path(), kind).health().await.problem.unwrap();
    assert!(problem.contains("2 values of tenants were found where 3 were written"), "{problem}");
    assert!(!problem.contains("audit"), "{problem}");
    fs::remove_file(folder.path().join("seal.json")).unwrap();
    fs::remove_dir_all(Layout::new(folder.path(), kind).values()).unwrap();
    let problem = open(folder.path(), kind).health().await.problem.unwrap();
    assert!(problem.contains("at least the last 3 commits are missing"), "{problem}");
}

async fn a_start_after_an_orderly_end_knows_what_a_look_would_find(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let (layout, blobs) = (Layout::new(folder.path(), kind), folder.path().join("blobs"));
    let (store, large) = (open(folder.path(), kind), vec![7; 5000]);
    commit(&store, [put("a", Expect::Absent, &large), put("b", Expect::Absent, &large)]).await.unwrap();
    commit(&store, [put("bad", Expect::Absent, b"1"), append(b"1")]).await.unwrap();
    drop(store);

    let sealed = |layout: &Layout| match seal::read(layout).unwrap() {
        seal::Found::Whole(seal) => seal.looked_through().cloned(),
        _ => panic!("the end was orderly"),
    };
    let known = sealed(&layout);
    assert_eq!(known.is_some(), kind == DiskKind::Redb, "sled's files are not read again at the end");
    let look = || {
        let tree = kind.open(&layout.values(), 1 << 20).unwrap();
        let found = LookedThrough::of(&inspect(&*tree, &layout).unwrap());
        drop(tree);
        layout::wait_until_free(&layout.file()).unwrap();
        found
    };
    let store = open(folder.path(), kind);
    commit(&store, [delete("a", Expect::Anything)]).await.unwrap();
    assert_eq!(files_of(&blobs), 1, "another value refers to it");
    commit(&store, [delete("b", Expect::Anything)]).await.unwrap();
    assert_eq!(files_of(&blobs), 0, "how many did was known");
    drop(store);
    let known = sealed(&layout);
    assert!(known.is_none() || known == look(), "{known:?}");

    // What is wrong is not sealed as whole, and is told at each start.
    behind_its_back(folder.path(), kind, "bad", flip_the_last);
    for _ in 0..2 {
        let problem = open(folder.path(), kind).health().await.problem.unwrap();
        assert!(problem.contains("\"bad\" of tenants is damaged"), "{problem}");
        assert_eq!(sealed(&layout), None);
    }
}

async fn large_values_live_in_files_as_long_as_something_refers_to_them(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = folder.path().join("blobs");
    let (store, large) = (open(folder.path(), kind), vec![7; 5000]);
    commit(&store, [put("a", Expect::Absent, &large), put("b", Expect::Absent, &large)]).await.unwrap();
    commit(&store, [put("c", Expect::Absent, &[8; 4096])]).await.unwrap();
    commit(&store, [put("a", Expect::Version(1), b"small")]).await.unwrap();
    assert_eq!(files_of(&blobs), 1);
    drop(store);

    fs::write(blobs.join("0".repeat(64)), b"nobody's").unwrap();
    let store = open(folder.path(), kind);
    assert_eq!(files_of(&blobs), 1, "orphans are swept");
    let file = fs::read_dir(&blobs).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&file).unwrap();
    bytes[100] ^= 1;
    fs::write(&file, bytes).unwrap();
    let named = store.get(Table::Tenants, "b").await.unwrap_err();
    assert!(matches!(named, StoreError::Corrupt { ref key, .. } if key == "b"), "{named}");
    assert_eq!(text(&store, "a").await.as_deref(), Some("small"));
    commit(&store, [put("d", Expect::Absent, &large)]).await.unwrap();
    assert_eq!(
        store.get(Table::Tenants, "b").await.unwrap().unwrap().bytes,
        large,
        "written anew, it is mended"
    );
    for key in ["b", "d"] {
        commit(&store, [put(key, Expect::Version(1), b"")]).await.unwrap();
    }
    assert_eq!(files_of(&blobs), 0);
}

#[tokio::test]
async fn values_of_four_kilobytes_do_not_become_blobs_of_sled() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), DiskKind::Sled);
    for start in (0..600).step_by(100) {
        let writes: Vec<_> = (start..start + 100)
            .map(|number| put(&format!("{number:04}"), Expect::Absent, &[number as u8; 4096]))
            .collect();
        store.commit(Batch { writes }).await.unwrap();
    }
    drop(store);
    assert_eq!(files_of(&folder.path().join("sled/blobs")), 0);
    assert_eq!(files_of(&folder.path().join("blobs")), 0);
}

#[tokio::test]
async fn what_takes_up_too_much_room_is_rewritten() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path(), DiskKind::Sled);
    for turn in 0..60_u8 {
        let writes = (0..100).map(|number| put(&format!("{number}"), Expect::Anything, &[turn; 1000]));
        store.commit(Batch { writes: writes.collect() }).await.unwrap();
    }
    drop(store);
    let sled = folder.path().join("sled");
    let before = files::size_of(&sled);
    let tight = DiskSettings { compact_above: 0, compact_ratio: 2.0, ..DiskSettings::default() };
    let store = DiskStore::open(folder.path(), DiskKind::Sled, tight).unwrap();
    assert_eq!(store.health().await.problem, None);
    let after = files::size_of(&sled);
    assert!(after * 2 < before, "{after} of {before} bytes");
    let found = store.scan(Table::Tenants, "", None, Order::Upwards, 1000).await.unwrap();
    assert_eq!(found.len(), 100);
    assert!(found.iter().all(|(_, value)| value.version == 60 && value.bytes == [59; 1000]));
    assert!(!folder.path().join("sled.old").exists());
}

#[tokio::test]
async fn redb_is_rewritten_while_it_is_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let tight = DiskSettings { compact_above: 0, compact_ratio: 1.2, ..DiskSettings::default() };
    let store = DiskStore::open(folder.path(), DiskKind::Redb, tight).unwrap();
    let values = folder.path().join("redb/values.redb");
    let (mut expected, mut files, mut turn) = (BTreeMap::new(), BTreeSet::new(), 0_u32);
    while files.len() < 4 {
        assert!(turn < 10_000, "it was rewritten {} times", files.len() - 1);
        // Some are written again in each turn, some come, and some go.
        let again = (0..50).map(|number| format!("{number}"));
        let written: Vec<String> = again.chain((0..10).map(|number| format!("{turn} {number}"))).collect();
        let gone: Vec<String> = (0..4).map(|number| format!("{} {number}", turn.saturating_sub(1))).collect();
        let bytes = vec![turn as u8; 3000];
        let puts = written.iter().map(|key| put(key, Expect::Anything, &bytes));
        let deletes = gone.iter().filter(|_| turn > 0).map(|key| delete(key, Expect::Anything));
        store.commit(Batch { writes: puts.chain(deletes).collect() }).await.unwrap();
        expected.extend(written.into_iter().map(|key| (key, bytes.clone())));
        gone.iter().filter(|_| turn > 0).for_each(|key| drop(expected.remove(key)));
        files.insert(fs::metadata(&values).unwrap().ino());
        turn += 1;
    }
    drop(store);
    let store = open(folder.path(), DiskKind::Redb);
    assert_eq!(store.health().await.problem, None);
    let found = store.scan(Table::Tenants, "", None, Order::Upwards, usize::MAX).await.unwrap();
    let found: BTreeMap<String, Vec<u8>> = found.into_iter().map(|(key, value)| (key, value.bytes)).collect();
    assert!(found == expected, "{} values where {} were written", found.len(), expected.len());
    let left = |name: &str| folder.path().join(name).exists();
    assert!(!left("redb.new") && !left("redb.old"));
}

async fn an_interrupted_swap_is_finished_or_undone(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::new(folder.path(), kind);
    let (values, fresh) = (layout.values(), layout.fresh());
    let store = open(folder.path(), kind);
    commit(&store, [put("a", Expect::Absent, b"1")]).await.unwrap();
    drop(store);
    fs::create_dir(&fresh).unwrap();
    fs::write(fresh.join(kind.file()), b"half written").unwrap();
    let store = open(folder.path(), kind);
    assert_eq!(text(&store, "a").await.as_deref(), Some("1"), "fresh values beside others are dropped");
    assert!(!fresh.exists());
    drop(store);
    fs::rename(&values, &fresh).unwrap();
    fs::create_dir(layout.replaced()).unwrap();
    let store = open(folder.path(), kind);
    assert_eq!(text(&store, "a").await.as_deref(), Some("1"), "without others they take their place");
    assert!(!fresh.exists() && !layout.replaced().exists());
}

async fn a_disk_that_hangs_fails_commits_and_is_told(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let settings = DiskSettings {
        queue_length: 2,
        commit_limit: Duration::from_millis(200),
        probe_interval: Duration::from_millis(20),
        probe_limit: Duration::from_millis(100),
        ..DiskSettings::default()
    };
    let store = DiskStore::open(folder.path(), kind, settings).unwrap();
    // The writer can't apply anything while somebody holds what it notes changes in.
    let shared = Arc::clone(&store.shared);
    let (send, stop) = thread_mpsc::channel::<()>();
    let reader = thread::spawn(move || {
        let _changes = shared.changes.lock();
        stop.recv().ok();
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let commits = (0..8).map(|number| {
        let key = format!("{number}");
        let store = &store;
        async move { commit(store, [put(&key, Expect::Absent, b"")]).await }
    });
    for outcome in futures::future::join_all(commits).await {
        assert!(
            matches!(outcome, Err(StoreError::Io(ref message)) if message.contains("within")),
            "{outcome:?}"
        );
    }
    let problem = store.health().await.problem.unwrap();
    assert!(problem.contains("a small write did not get to the disk"), "{problem}");
    drop(send);
    reader.join().unwrap();
    for _ in 0..100 {
        // It may be busy with what hung for a moment.
        let later = commit(&store, [put("later", Expect::Anything, b"")]).await;
        if later.is_ok() && store.health().await.problem.is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the problem stayed: {:?}", store.health().await);
}

async fn a_batch_larger_than_the_cache_is_written(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let small = DiskSettings { cache_bytes: 1 << 20, ..DiskSettings::default() };
    let store = DiskStore::open(folder.path(), kind, small).unwrap();
    for turn in 1..=2 {
        let writes = (0..5_000_u32).map(|number| {
            let key = format!("{:04}", number * 7919 % 5_000);
            put(&key, Expect::Anything, &[turn; 4000])
        });
        store.commit(Batch { writes: writes.collect() }).await.unwrap();
    }
    let found = store.scan(Table::Tenants, "", None, Order::Upwards, 10_000).await.unwrap();
    assert_eq!(found.len(), 5_000);
    assert!(found.iter().all(|(_, value)| value.version == 2 && value.bytes == [2; 4000]));
}
