//! Every way to change a log unseen, and the trace that it leaves.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::Timestamp;
use crate::ports::hands::Hands;
use crate::ports::{Batch, Clock, Expect, Store, Write};
use crate::security::{Checkpoint, Signer, Verifier};
use crate::store::MemoryStore;

struct Log {
    registry: Registry,
    store: Arc<MemoryStore>,
    clock: Arc<Hands>,
    signer: Signer,
}

impl Log {
    fn new() -> Self {
        let clock = Arc::new(Hands::at(Timestamp::from_seconds(1_790_000_000)));
        let store = Arc::new(MemoryStore::default());
        let registry = Registry::new(store.clone(), clock.clone());
        Log { registry, store, clock, signer: Signer::from_key(&Signer::new_key().unwrap()).unwrap() }
    }

    /// Writes lines, a minute apart.
    async fn write(&self, lines: usize) {
        for _ in 0..lines {
            let later = self.clock.now().plus(Duration::from_secs(60));
            self.clock.put(later);
            let remark = Remark { by: Actor::Daemon, comment: Some(later.to_string()), request_id: None };
            let values = [serde_json::Value::Null, serde_json::json!({ "b": 0.1, "a": [1, 2] })];
            let event = self.registry.event(AuditAction::QuotaChanged, (None, None), values, remark);
            self.registry.commit(vec![super::super::append_audit(&event).unwrap()]).await.unwrap();
        }
    }

    async fn sign(&self) -> CheckpointRecord {
        self.registry.sign_checkpoint(&self.signer, uuid::Uuid::nil()).await.unwrap().unwrap()
    }

    async fn lines(&self) -> Vec<NumberedAuditEvent> {
        self.registry.audit_after(0, 10_000).await.unwrap()
    }

    fn verified(&self, notes: &[&CheckpointRecord]) -> Vec<Checkpoint> {
        notes.iter().map(|one| Verifier::parse(&one.key).unwrap().read(&one.note).unwrap()).collect()
    }

    /// Changes what is stored, behind the registry's back.
    async fn tamper(&self, write: Write) {
        self.store.commit(Batch { writes: vec![write] }).await.unwrap();
    }
}

fn inspect(lines: &[NumberedAuditEvent], checkpoints: Vec<Checkpoint>) -> Report {
    let cut = lines.iter().find_map(|line| Cut::of(&line.event));
    let mut inspection = Inspection::new(cut.as_ref(), checkpoints);
    lines.iter().for_each(|line| inspection.take(line).unwrap());
    inspection.end()
}

#[tokio::test]
async fn a_log_that_nobody_touched_is_whole() {
    let log = Log::new();
    log.write(5).await;
    let first = log.sign().await;
    log.write(8).await;
    let second = log.sign().await;
    log.write(2).await;
    assert_eq!((first.size, second.size), (5, 13));
    let report = inspect(&log.lines().await, log.verified(&[&second, &first]));
    assert_eq!(report, Report { lines: 15, cut: 0, checkpoints: 2, findings: Vec::new() });
    log.sign().await;
    let again = log.registry.sign_checkpoint(&log.signer, uuid::Uuid::nil()).await.unwrap();
    assert!(again.is_none(), "nothing new to sign for");
    let kept = log.registry.checkpoints(None, 10).await.unwrap();
    assert_eq!(kept.iter().map(|one| one.size).collect::<Vec<_>>(), [15, 13, 5]);
}

#[tokio::test]
async fn an_export_that_was_changed_is_found_out() {
    let log = Log::new();
    log.write(9).await;
    let checkpoint = log.sign().await;
    let whole = log.lines().await;
    let text = serde_json::to_string(&whole).unwrap();
    let read: Vec<NumberedAuditEvent> = serde_json::from_str(&text).unwrap();
    let found = |lines: &[NumberedAuditEvent]| inspect(lines, log.verified(&[&checkpoint])).findings;
    assert_eq!(found(&read), []);

    let mut edited = whole.clone();
    edited[3].event.reason = "as agreed".to_owned();
    assert_eq!(found(&edited), [Finding::Edited { number: 4 }, Finding::NotAsSigned { size: 9 }]);

    let mut left_out = whole.clone();
    left_out.remove(3);
    assert_eq!(found(&left_out), [Finding::Missing { from: 4, to: 4 }, Finding::NotAsSigned { size: 9 }]);

    let mut swapped = whole.clone();
    swapped.swap(3, 4);
    assert!(found(&swapped).contains(&Finding::OutOfOrder { number: 4, after: 5 }), "{:?}", found(&swapped));

    assert_eq!(found(&whole[..7]), [Finding::Truncated { size: 9, lines: 7 }]);
    assert_eq!(found(&whole[1..])[0], Finding::Missing { from: 1, to: 1 });
}

#[tokio::test]
async fn a_store_that_was_changed_is_found_out() {
    let log = Log::new();
    log.write(9).await;
    let checkpoint = log.sign().await;
    let found = |lines: Vec<NumberedAuditEvent>| inspect(&lines, log.verified(&[&checkpoint])).findings;

    // A line with another text, its own hash right again.
    let key = append_key(4);
    let kept = log.store.get(Table::Audit, &key).await.unwrap().unwrap().bytes;
    let mut event: AuditEvent = serde_json::from_slice(&kept[32..]).unwrap();
    event.reason = "as agreed".to_owned();
    let bytes = [&kept[..32], &canonical(&event).unwrap()].concat();
    log.tamper(Write::Put { table: Table::Audit, key: key.clone(), expect: Expect::Anything, bytes }).await;
    assert_eq!(found(log.lines().await), [Finding::Broken { number: 5 }, Finding::NotAsSigned { size: 9 }]);

    // And with all that follow written anew, so that the chain holds again.
    let mut previous = sha256([&*log.store.get(Table::Audit, &key).await.unwrap().unwrap().bytes]);
    for number in 5..=9 {
        let key = append_key(number);
        let kept = log.store.get(Table::Audit, &key).await.unwrap().unwrap().bytes;
        let bytes = [&previous[..], &kept[32..]].concat();
        previous = sha256([&*bytes]);
        log.tamper(Write::Put { table: Table::Audit, key, expect: Expect::Anything, bytes }).await;
    }
    assert_eq!(found(log.lines().await), [Finding::NotAsSigned { size: 9 }]);

    // The end cut off: only who kept a checkpoint elsewhere can tell.
    for number in 8..=9 {
        let (table, key) = (Table::Audit, append_key(number));
        log.tamper(Write::Delete { table, key, expect: Expect::Anything }).await;
    }
    assert!(found(log.lines().await).contains(&Finding::Truncated { size: 9, lines: 7 }));
}

#[tokio::test]
async fn old_lines_go_as_far_as_they_were_signed_for_and_leave_proof() {
    let log = Log::new();
    let start = log.clock.now();
    log.write(10).await;
    let first = log.sign().await;
    log.write(10).await;
    let second = log.sign().await;
    let all = log.lines().await;
    let minutes = |n: u64| start.plus(Duration::from_secs(60 * n));

    assert_eq!(log.registry.cut_audit_before(minutes(9)).await.unwrap(), 0, "nothing is signed for so far");
    assert_eq!(log.registry.cut_audit_before(minutes(15)).await.unwrap(), 10);
    log.write(3).await;
    let third = log.sign().await;
    let lines = log.lines().await;
    assert_eq!((lines[0].number, lines.len()), (11, 14));
    let report = inspect(&lines, log.verified(&[&first, &second, &third]));
    assert_eq!(report, Report { lines: 14, cut: 10, checkpoints: 3, findings: Vec::new() });

    // What was removed is proved by an export of its time.
    let whole: Vec<NumberedAuditEvent> = all[..10].iter().chain(&lines).cloned().collect();
    let mut inspection = Inspection::new(None, log.verified(&[&first, &second, &third]));
    whole.iter().for_each(|line| inspection.take(line).unwrap());
    assert_eq!(inspection.end().findings, []);

    // Removing more than the log says is found out.
    assert_eq!(inspect(&lines[1..], Vec::new()).findings, [Finding::Missing { from: 11, to: 11 }]);

    assert_eq!(log.registry.cut_audit_before(minutes(21)).await.unwrap(), 10);
    let lines = log.lines().await;
    let last_cut = lines.iter().filter_map(|line| Cut::of(&line.event)).next_back().unwrap();
    let mut inspection = Inspection::new(Some(&last_cut), log.verified(&[&third]));
    lines.iter().for_each(|line| inspection.take(line).unwrap());
    assert_eq!(inspection.end().findings, []);
    let kept = log.registry.checkpoints(None, 10).await.unwrap();
    assert_eq!(kept.iter().map(|one| one.size).collect::<Vec<_>>(), [24, 20]);
}

#[test]
fn lines_are_hashed_with_sorted_keys_and_read_as_they_were_written() {
    let line = br#"{"action":"quota_changed","actor":{"kind":"daemon"},"after":{"a":1,"b":0.1},"at":"2026-09-21T13:46:40Z","before":null,"reason":"r","request_id":null,"resource":"cpu_cores","tenant":"acme"}"#;
    let event: AuditEvent = serde_json::from_slice(line).unwrap();
    assert_eq!(String::from_utf8(canonical(&event).unwrap()), String::from_utf8(line.to_vec()));
}
