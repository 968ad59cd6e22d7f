//! What every store must do, whatever it is made of.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::ports::{Batch, Expect, Order, Store, StoreError, Table, Versioned, Write, append_key};
use crate::security::sha256;

/// A put, for short tests.
pub(super) fn put(key: &str, expect: Expect, bytes: &[u8]) -> Write {
    Write::Put { table: Table::Tenants, key: key.to_owned(), expect, bytes: bytes.to_vec() }
}

pub(super) fn delete(key: &str, expect: Expect) -> Write {
    Write::Delete { table: Table::Tenants, key: key.to_owned(), expect }
}

/// An addition to the audit log, for short tests.
pub(super) fn append(bytes: &[u8]) -> Write {
    Write::Append { table: Table::Audit, bytes: bytes.to_vec() }
}

/// Commits some writes.
pub(super) async fn commit<const N: usize>(store: &dyn Store, writes: [Write; N]) -> Result<(), StoreError> {
    store.commit(Batch { writes: writes.into() }).await
}

async fn keys(
    store: &dyn Store,
    prefix: &str,
    after: Option<&str>,
    order: Order,
    limit: usize,
) -> Vec<String> {
    let found = store.scan(Table::Tenants, prefix, after, order, limit).await.unwrap();
    found.into_iter().map(|(key, _)| key).collect()
}

/// Runs all of it on an empty store, and leaves it empty but for the audit log.
pub(super) async fn run(store: Arc<dyn Store>) {
    versions_and_expectations(&*store).await;
    a_batch_is_written_whole_or_not_at_all(&*store).await;
    a_key_named_twice_is_refused(&*store).await;
    large_values(&*store).await;
    scans(&*store).await;
    appended_values_are_numbered_without_holes(&store).await;
    only_one_of_many_changes_wins(&store).await;
    let health = store.health().await;
    assert_eq!(health.problem, None);
}

async fn versions_and_expectations(store: &dyn Store) {
    let stands = |outcome: Result<(), StoreError>| match outcome {
        Err(StoreError::Conflict { table: Table::Tenants, key }) => key,
        other => panic!("a conflict was expected, not {other:?}"),
    };
    assert_eq!(store.get(Table::Tenants, "a").await.unwrap(), None);
    assert_eq!(stands(commit(store, [put("a", Expect::Version(1), b"x")]).await), "a");
    commit(store, [put("a", Expect::Absent, b"1")]).await.unwrap();
    assert_eq!(stands(commit(store, [put("a", Expect::Absent, b"x")]).await), "a");
    commit(store, [put("a", Expect::Version(1), b"2")]).await.unwrap();
    assert_eq!(stands(commit(store, [put("a", Expect::Version(1), b"x")]).await), "a");
    commit(store, [put("a", Expect::Anything, b"3")]).await.unwrap();
    let value = store.get(Table::Tenants, "a").await.unwrap();
    assert_eq!(value, Some(Versioned { version: 3, bytes: b"3".to_vec() }));
    assert_eq!(store.get(Table::Quotas, "a").await.unwrap(), None, "tables are apart");
    let several = ["b", "a", "a"].map(str::to_owned).to_vec();
    assert_eq!(store.get_all(Table::Tenants, several).await.unwrap(), [None, value.clone(), value]);

    assert_eq!(stands(commit(store, [delete("a", Expect::Version(2))]).await), "a");
    assert_eq!(stands(commit(store, [delete("a", Expect::Absent)]).await), "a");
    commit(store, [delete("a", Expect::Version(3))]).await.unwrap();
    assert_eq!(store.get(Table::Tenants, "a").await.unwrap(), None);
    commit(store, [delete("a", Expect::Anything)]).await.unwrap();
    assert_eq!(stands(commit(store, [delete("a", Expect::Version(3))]).await), "a");
    commit(store, [put("a", Expect::Anything, b"")]).await.unwrap();
    let again = store.get(Table::Tenants, "a").await.unwrap();
    assert_eq!(again, Some(Versioned { version: 1, bytes: Vec::new() }));
    commit(store, [delete("a", Expect::Anything)]).await.unwrap();
}

async fn a_batch_is_written_whole_or_not_at_all(store: &dyn Store) {
    commit(store, [put("there", Expect::Absent, b"old")]).await.unwrap();
    let outcome = commit(
        store,
        [
            put("new", Expect::Absent, b"x"),
            append(b"x"),
            delete("there", Expect::Version(1)),
            put("first", Expect::Version(7), b"x"),
            put("second", Expect::Version(7), b"x"),
        ],
    )
    .await;
    assert!(matches!(outcome, Err(StoreError::Conflict { ref key, .. }) if key == "first"), "{outcome:?}");
    assert_eq!(keys(store, "", None, Order::Upwards, 10).await, ["there"]);
    assert!(store.scan(Table::Audit, "", None, Order::Upwards, 1).await.unwrap().is_empty());
    commit(store, [put("new", Expect::Absent, b"x"), delete("there", Expect::Version(1))]).await.unwrap();
    assert_eq!(keys(store, "", None, Order::Upwards, 10).await, ["new"]);
    commit(store, [delete("new", Expect::Anything)]).await.unwrap();
    commit(store, []).await.unwrap();
}

async fn a_key_named_twice_is_refused(store: &dyn Store) {
    let outcome =
        commit(store, [put("twice", Expect::Anything, b"1"), delete("twice", Expect::Anything)]).await;
    assert!(matches!(outcome, Err(StoreError::Repeated { ref key, .. }) if key == "twice"), "{outcome:?}");
    let first = Write::Put {
        table: Table::Audit,
        key: append_key(1),
        expect: Expect::Anything,
        bytes: b"1".to_vec(),
    };
    let outcome = commit(store, [first, append(b"1")]).await;
    assert!(matches!(outcome, Err(StoreError::Repeated { .. })), "{outcome:?}");
    assert_eq!(store.get(Table::Tenants, "twice").await.unwrap(), None);
    assert_eq!(store.get(Table::Audit, &append_key(1)).await.unwrap(), None);
}

async fn large_values(store: &dyn Store) {
    let large: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    commit(store, [put("large", Expect::Absent, &large), put("same", Expect::Absent, &large)]).await.unwrap();
    commit(store, [delete("same", Expect::Version(1))]).await.unwrap();
    let value = store.get(Table::Tenants, "large").await.unwrap().unwrap();
    assert!(value.bytes == large && value.version == 1);
    commit(store, [put("large", Expect::Version(1), b"small")]).await.unwrap();
    commit(store, [put("large", Expect::Version(2), &large)]).await.unwrap();
    let value = store.get(Table::Tenants, "large").await.unwrap().unwrap();
    assert!(value.bytes == large && value.version == 3);
    commit(store, [delete("large", Expect::Anything)]).await.unwrap();
}

async fn scans(store: &dyn Store) {
    use Order::{Downwards, Upwards};
    let all = ["a", "a/1", "a/2", "a/3", "b/1", "b\u{10ffff}", "ü"];
    let writes = all.map(|key| put(key, Expect::Absent, key.as_bytes()));
    commit(store, writes).await.unwrap();
    let mut backwards = all;
    backwards.reverse();
    assert_eq!(keys(store, "", None, Upwards, 100).await, all);
    assert_eq!(keys(store, "", None, Downwards, 100).await, backwards);
    assert_eq!(keys(store, "a/", None, Upwards, 100).await, ["a/1", "a/2", "a/3"]);
    assert_eq!(keys(store, "a/", None, Downwards, 2).await, ["a/3", "a/2"]);
    assert_eq!(keys(store, "a/", Some("a/1"), Upwards, 1).await, ["a/2"]);
    assert_eq!(keys(store, "a/", Some("a/2"), Downwards, 9).await, ["a/1"]);
    assert_eq!(keys(store, "a/", Some("a/25"), Upwards, 9).await, ["a/3"], "after need not be there");
    assert_eq!(keys(store, "b", Some("a"), Upwards, 9).await, ["b/1", "b\u{10ffff}"]);
    assert_eq!(keys(store, "b", Some("c"), Downwards, 9).await, ["b\u{10ffff}", "b/1"]);
    assert!(keys(store, "a/", Some("b"), Upwards, 9).await.is_empty());
    assert!(keys(store, "b", Some("a"), Downwards, 9).await.is_empty());
    assert!(keys(store, "c", None, Upwards, 9).await.is_empty());
    assert!(keys(store, "", None, Upwards, 0).await.is_empty());
    let found = store.scan(Table::Tenants, "ü", None, Upwards, 9).await.unwrap();
    assert_eq!(found, [("ü".to_owned(), Versioned { version: 1, bytes: "ü".into() })]);
    commit(store, all.map(|key| delete(key, Expect::Anything))).await.unwrap();
}

async fn appended_values_are_numbered_without_holes(store: &Arc<dyn Store>) {
    let writers = (0..64_u32).map(|writer| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for turn in 0..5_u32 {
                let name = format!("{writer}-{turn}");
                let fails = put("never there", Expect::Version(1), b"");
                commit(&*store, [append(name.as_bytes()), fails]).await.unwrap_err();
                let second = format!("{name}'");
                commit(&*store, [append(name.as_bytes()), append(second.as_bytes())]).await.unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    let found = store.scan(Table::Audit, "", None, Order::Upwards, 10_000).await.unwrap();
    let numbers: Vec<String> = found.iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(numbers, (1..=640).map(append_key).collect::<Vec<_>>());
    let texts: Vec<&[u8]> = found.iter().map(|(_, value)| &value.bytes[32..]).collect();
    for pair in texts.chunks(2) {
        assert_eq!(pair[1], [pair[0], b"'"].concat(), "the two of a batch stand together");
    }
    assert_eq!(texts.iter().collect::<BTreeSet<_>>().len(), 640);
    let mut before = [0; 32];
    for (key, value) in &found {
        assert_eq!(value.bytes[..32], before, "{key} names the one before it");
        before = sha256([&*value.bytes]);
    }
    assert!(found.iter().all(|(_, value)| value.version == 1));
}

async fn only_one_of_many_changes_wins(store: &Arc<dyn Store>) {
    commit(&**store, [put("fought for", Expect::Absent, b"")]).await.unwrap();
    for version in 1..=5 {
        let writers: Vec<_> = (0..16_u8)
            .map(|writer| {
                let store = Arc::clone(store);
                tokio::spawn(async move {
                    commit(&*store, [put("fought for", Expect::Version(version), &[writer])]).await.is_ok()
                })
            })
            .collect();
        let mut winners = 0;
        for writer in writers {
            winners += usize::from(writer.await.unwrap());
        }
        assert_eq!(winners, 1);
    }
    let value = store.get(Table::Tenants, "fought for").await.unwrap().unwrap();
    assert_eq!(value.version, 6);
    commit(&**store, [delete("fought for", Expect::Version(6))]).await.unwrap();
}
