//! Whatever is done to the files: it is named, nothing is removed, the rest
//! stays, and a copy brings all of it back.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::domain::{Resource, Step, Timestamp};
use crate::ports::{Expect, History, Order, Store, Table, append_key};
use crate::series::{Frame, UsageSeries};
use crate::store::conformance::{append, commit, put};
use crate::store::disk::over_both;

over_both!(
    a_whole_store_is_found_whole_and_left_alone,
    a_flipped_byte_in_any_file_is_named,
    what_is_damaged_is_set_aside_and_the_rest_stays,
    what_can_not_be_opened_is_rebuilt_from_the_copy_or_refused,
    a_copy_of_a_store_in_use_is_of_one_moment,
    a_backup_is_brought_back_into_either_kind,
    a_backup_that_is_damaged_is_refused,
);

fn stopped(folder: &Path, kind: DiskKind) -> StoppedStore {
    StoppedStore {
        folder: folder.to_owned(),
        state: folder.join("state"),
        history: folder.join("history"),
        kind,
        settings: DiskSettings { open_limit: std::time::Duration::from_secs(5), ..DiskSettings::default() },
    }
}

fn opened(store: &StoppedStore) -> DiskStore {
    DiskStore::open(&store.state, store.kind, store.settings.clone()).unwrap()
}

/// A store with a few small values, one that lies in a file, a log, and two
/// days of history.
async fn filled(folder: &Path, kind: DiskKind) -> StoppedStore {
    let store = stopped(folder, kind);
    let disk = opened(&store);
    for number in 0..20 {
        let text = format!("value {number}");
        let name = format!("tenant-{number:02}");
        commit(&disk, [put(&name, Expect::Absent, text.as_bytes()), append(name.as_bytes())]).await.unwrap();
    }
    commit(&disk, [put("large", Expect::Absent, &[7; 9000])]).await.unwrap();
    let history = ParquetHistory::open(&store.history).unwrap();
    let mut frame = Frame::empty(Resource::CpuCores, Step::FIVE_MINUTES);
    let series = UsageSeries {
        start: Timestamp::from_millis(0),
        step: Step::FIVE_MINUTES,
        values: vec![1.5; 400].into(),
    };
    frame.series.insert("acme".parse().unwrap(), series);
    history.append(&frame).unwrap();
    store
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { found.extend(files_below(&entry)) } else { found.push(entry) }
    }
    found.sort();
    found
}

fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let files = files_below(folder).into_iter().filter(|path| !path.ends_with("lock"));
    files.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

fn places(findings: &[StoreFinding]) -> String {
    findings.iter().map(|one| format!("{}: {}\n", one.place, one.message)).collect()
}

async fn all_of(store: &StoppedStore) -> Vec<(String, Vec<u8>)> {
    let disk = opened(store);
    let mut all = Vec::new();
    for table in [Table::Tenants, Table::Audit] {
        let found = disk.scan(table, "", None, Order::Upwards, usize::MAX).await.unwrap();
        all.extend(found.into_iter().map(|(key, value)| (key, value.bytes)));
    }
    all
}

async fn a_whole_store_is_found_whole_and_left_alone(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path(), kind).await;
    let before = contents(folder.path());
    let check = store.check().unwrap();
    assert_eq!((check.values, check.files, check.findings), (41, 3, Vec::new()));
    assert_eq!(store.repair().unwrap(), Repaired::default());
    assert_eq!(contents(folder.path()), before);

    let in_use = opened(&store);
    let refused = store.check().unwrap_err().to_string();
    assert!(refused.contains("in use by another plimsoll"), "{refused}");
    store.repair().unwrap_err();
    drop(in_use);
    let elsewhere = stopped(&folder.path().join("nowhere"), kind);
    assert!(elsewhere.check().unwrap_err().to_string().contains("there is no state in it"));
    elsewhere.repair().unwrap_err();
    elsewhere.back_up(&mut Vec::new()).unwrap_err();
}

async fn a_flipped_byte_in_any_file_is_named(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path(), kind).await;
    for (path, whole) in contents(folder.path()) {
        let places = [0, whole.len() / 3, whole.len() - 1];
        for place in places {
            let mut bytes = whole.clone();
            bytes[place] ^= 16;
            fs::write(&path, bytes).unwrap();
            let found = self::places(&store.check().unwrap().findings);
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(found.contains(name), "byte {place} of {}: {found}", path.display());
        }
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        assert!(!store.check().unwrap().findings.is_empty(), "half of {}", path.display());
        fs::write(&path, whole).unwrap();
    }
    assert_eq!(store.check().unwrap().findings, Vec::new());
}

async fn what_is_damaged_is_set_aside_and_the_rest_stays(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path(), kind).await;
    disk::behind_its_back(&store.state, kind, "tenant-03", disk::flip_the_last);
    let blob = files_below(&store.state.join("blobs")).remove(0);
    fs::write(&blob, b"torn").unwrap();
    let segment = files_below(&store.history).remove(0);
    fs::write(&segment, b"torn").unwrap();

    let found = places(&store.check().unwrap().findings);
    for part in ["\"tenant-03\" of tenants", blob.to_str().unwrap(), segment.to_str().unwrap()] {
        assert!(found.contains(part), "{part}: {found}");
    }
    let repaired = store.repair().unwrap();
    let told = places(&repaired.findings);
    assert!(told.contains("\"tenant-03\" of tenants: it is lost"), "{told}");
    assert!(told.contains("\"large\" of tenants: it is lost"), "{told}");
    assert!(told.contains("it held samples of cpu_cores from 1970-01-01"), "{told}");
    let aside = repaired.set_aside.unwrap();
    let kept = files_below(&aside);
    for file in [&blob, &segment] {
        let name = file.file_name().unwrap();
        assert!(kept.iter().any(|kept| kept.file_name() == Some(name)), "{kept:?}");
    }
    assert!(kept.iter().any(|kept| kept.ends_with(kind.file())), "{kept:?}");

    assert_eq!(store.check().unwrap().findings, Vec::new());
    let disk = opened(&store);
    assert_eq!(disk.health().await.problem, None);
    let left = disk.scan(Table::Tenants, "", None, Order::Upwards, 100).await.unwrap();
    assert_eq!(left.len(), 19);
    commit(&disk, [put("tenant-03", Expect::Absent, b"again"), append(b"again")]).await.unwrap();
    drop(disk);
    assert_eq!(store.repair().unwrap(), Repaired::default());
}

async fn what_can_not_be_opened_is_rebuilt_from_the_copy_or_refused(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path(), kind).await;
    let before = all_of(&store).await;
    // Once while it is sealed, once as after a crash.
    for is_sealed in [true, false] {
        let path = store.state.join(kind.name()).join(kind.file());
        fs::write(&path, b"nothing of it is left").unwrap();
        if !is_sealed {
            fs::remove_file(store.state.join("seal.json")).unwrap();
        }
        let told = places(&store.repair().unwrap().findings);
        assert!(told.contains("all values were rebuilt from it"), "{told}");
        assert_eq!(store.check().unwrap().findings, Vec::new());
        assert_eq!(all_of(&store).await, before);
    }
    fs::write(store.state.join(kind.name()).join(kind.file()), b"nothing of it is left").unwrap();
    fs::remove_file(store.state.join("seal.json")).unwrap();
    let mut copy = fs::read(store.state.join("copy")).unwrap();
    let middle = copy.len() / 2;
    copy[middle] ^= 1;
    fs::write(store.state.join("copy"), copy).unwrap();
    let before = contents(&store.state);
    // sled begins anew where it can't read its file; nothing says that values are missing then.
    let refused = store.repair();
    match kind {
        DiskKind::Redb => {
            let refused = refused.unwrap_err().to_string();
            assert!(refused.contains("restore a backup"), "{refused}");
            assert_eq!(contents(&store.state), before);
        }
        DiskKind::Sled => {
            let told = refused.map(|repaired| places(&repaired.findings)).unwrap_or_else(|e| e.to_string());
            assert!(told.contains("are missing") || told.contains("restore a backup"), "{told}");
        }
    }
}

/// Each turn puts two values that always agree, and a line in the log.
async fn write_on(store: Arc<DiskStore>, stop: Arc<AtomicBool>) -> u64 {
    let mut turn = 0_u64;
    while !stop.load(Ordering::SeqCst) {
        let text = turn.to_string();
        // Values that are read first and last.
        let [first, last] = ["a/first", "z/last"].map(|key| put(key, Expect::Anything, text.as_bytes()));
        let large = put("large", Expect::Anything, &vec![turn as u8; 6000]);
        commit(&*store, [first, last, large, append(text.as_bytes())]).await.unwrap();
        turn += 1;
    }
    turn
}

async fn a_copy_of_a_store_in_use_is_of_one_moment(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(folder.path(), kind).await;
    let disk = Arc::new(opened(&store));
    for start in (0..3000).step_by(500) {
        let writes = (start..start + 500).map(|n| put(&format!("m/{n:05}"), Expect::Absent, &[1; 100]));
        disk.commit(crate::ports::Batch { writes: writes.collect() }).await.unwrap();
    }
    let keeper = DiskKeeper::new(Arc::clone(&disk), Arc::new(ParquetHistory::open(&store.history).unwrap()));
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn(write_on(Arc::clone(&disk), Arc::clone(&stop)));
    while disk.get(Table::Tenants, "a/first").await.unwrap().is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    for number in 0..3 {
        let written = disk.get(Table::Tenants, "a/first").await.unwrap();
        let file = folder.path().join(format!("backup-{number}"));
        let (copier, path) = (keeper.clone(), file.clone());
        let check = tokio::task::spawn_blocking(move || {
            let mut out = fs::File::create(path).unwrap();
            copier.back_up(&mut out)
        });
        assert_eq!(check.await.unwrap().unwrap().findings, Vec::new());
        let elsewhere = stopped(&folder.path().join(format!("restored-{number}")), kind);
        assert_eq!(elsewhere.restore(&file).unwrap().findings, Vec::new());
        let copy = opened(&elsewhere);
        let value = |key: &'static str| {
            let copy = &copy;
            async move { copy.get(Table::Tenants, key).await.unwrap().unwrap() }
        };
        let (first, last, large) = (value("a/first").await, value("z/last").await, value("large").await);
        assert_eq!(first.bytes, last.bytes, "of one commit");
        let turn: u64 = String::from_utf8(first.bytes).unwrap().parse().unwrap();
        assert!(large.bytes == vec![turn as u8; 6000]);
        let log = copy.scan(Table::Audit, "", None, Order::Downwards, 1).await.unwrap();
        assert_eq!(log[0].0, append_key(21 + turn), "the log ends with the same commit");
        assert!(first.version >= written.map_or(0, |written| written.version), "all that was there before");
    }
    let checker = keeper.clone();
    let live = tokio::task::spawn_blocking(move || checker.check()).await.unwrap().unwrap();
    assert_eq!(live.findings, Vec::new());
    stop.store(true, Ordering::SeqCst);
    assert!(writer.await.unwrap() > 10);
}

async fn a_backup_is_brought_back_into_either_kind(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(&folder.path().join("store"), kind).await;
    let file = folder.path().join("backup");
    let check = store.back_up(&mut fs::File::create(&file).unwrap()).unwrap();
    assert_eq!((check.values, check.files), (41, 3));
    assert_eq!(verify_backup(&file).unwrap(), check);
    for into in DiskKind::ALL {
        let restored = stopped(&folder.path().join(into.name()), into);
        let found = restored.restore(&file).unwrap();
        assert_eq!((found.values, found.files, found.findings), (41, 3, Vec::new()));
        assert_eq!(all_of(&restored).await, all_of(&store).await);
        let history = ParquetHistory::open(&restored.history).unwrap();
        let frame = history.load(Resource::CpuCores, Step::FIVE_MINUTES, Timestamp::from_millis(0)).unwrap();
        assert_eq!(frame.samples(), 400);
        let refused = restored.restore(&file).unwrap_err().to_string();
        assert!(refused.contains("is not empty"), "{refused}");
    }
}

async fn a_backup_that_is_damaged_is_refused(kind: DiskKind) {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(&folder.path().join("store"), kind).await;
    let file = folder.path().join("backup");
    store.back_up(&mut fs::File::create(&file).unwrap()).unwrap();
    let whole = fs::read(&file).unwrap();
    let at = whole.windows(7).position(|bytes| bytes == b"value 7").unwrap();
    let mut flipped = whole.clone();
    flipped[at] ^= 1;
    let restored = stopped(&folder.path().join("restored"), kind);
    for bytes in [&flipped[..], &whole[..whole.len() / 2], b""] {
        fs::write(&file, bytes).unwrap();
        let refused = restored.restore(&file).unwrap_err().to_string();
        assert!(refused.contains("backup"), "{refused}");
        assert_eq!(fs::read_dir(&restored.folder).unwrap().count(), 0, "nothing is begun");
    }
}
