//! The daemon is killed at random moments while quotas change. What it has
//! acknowledged must stand after the restart, in the quotas and in the audit
//! log; what it has not may stand or not, but never half.

use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::Daemon;
use crate::setup::{config_for, nowhere};

/// Kills, unless PLIMSOLL_TEST_KILLS says another number; 500 are the long form.
const KILLS: usize = 12;
const TENANTS: usize = 4;
const SEED: u64 = 7117;

/// A change that the daemon has acknowledged.
#[derive(Debug, Clone, PartialEq)]
struct Acknowledged {
    limit: f64,
    generation: u64,
}

fn quota_path(tenant: &str) -> String {
    format!("/v1/tenants/{tenant}/quotas/cpu_cores")
}

/// Changes one tenant's quota again and again until the daemon is gone; gives
/// what it acknowledged.
async fn change_until_gone(caller: Caller, tenant: String) -> Vec<Acknowledged> {
    let (path, mut acknowledged) = (quota_path(&tenant), Vec::new());
    let Ok((_, quota)) = caller.call(Method::GET, &path, None, None).await else { return acknowledged };
    let mut generation = quota["generation"].as_u64().unwrap();
    loop {
        let limit = 1.0 + (generation % 70) as f64 / 10.0;
        let (tag, body) = (format!("\"{generation}\""), json!({"limit": limit}));
        match caller.call(Method::PUT, &path, Some(&tag), Some(&body)).await {
            Ok((200, answer)) => {
                generation = answer["generation"].as_u64().unwrap();
                acknowledged.push(Acknowledged { limit, generation });
            }
            // The daemon is ending the change that the kill has cut.
            Ok((409, _)) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                let Ok((_, quota)) = caller.call(Method::GET, &path, None, None).await else {
                    return acknowledged;
                };
                generation = quota["generation"].as_u64().unwrap();
            }
            Ok((status, answer)) => panic!("{status} {answer:#}"),
            Err(_) => return acknowledged,
        }
    }
}

/// The whole audit log, the oldest line first.
async fn whole_audit(caller: &Caller) -> Vec<Value> {
    let (mut lines, mut path) = (Vec::new(), "/v1/audit?limit=500".to_owned());
    loop {
        let (status, page) = caller.get(&path).await;
        assert_eq!(status, 200, "{page:#}");
        lines.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(cursor) = page["next"].as_str() else { break };
        path = format!("/v1/audit?limit=500&cursor={cursor}");
    }
    lines.reverse();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_changes_survive_kill_9() {
    let mut daemon = Daemon::start(&config_for(&nowhere(), "")).await;
    let caller = Caller::of(&daemon);
    let tenants: Vec<String> = (0..TENANTS).map(|number| format!("tenant-{number}")).collect();
    for tenant in &tenants {
        assert_eq!(caller.post("/v1/tenants", &json!({"id": tenant, "tier": "PREMIUM"})).await.0, 201);
    }
    let mut acknowledged: Vec<Vec<Acknowledged>> = vec![Vec::new(); TENANTS];
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let kills = std::env::var("PLIMSOLL_TEST_KILLS").map_or(KILLS, |kills| kills.parse().unwrap());
    for _ in 0..kills {
        let changers: Vec<_> = tenants
            .iter()
            .map(|tenant| tokio::spawn(change_until_gone(caller.clone(), tenant.clone())))
            .collect();
        tokio::time::sleep(Duration::from_millis(random.random_range(20..400))).await;
        daemon.kill();
        for (mine, changer) in acknowledged.iter_mut().zip(changers) {
            mine.extend(changer.await.unwrap());
        }
        daemon.start_again().await;
    }
    let count: usize = acknowledged.iter().map(Vec::len).sum();
    assert!(count > 10 * kills, "only {count} changes were acknowledged");

    let audit = whole_audit(&caller).await;
    for (index, line) in audit.iter().enumerate() {
        assert_eq!(line["number"].as_u64(), Some(index as u64 + 1), "the log leaves no number out");
    }
    let verified = crate::audit::audit(&daemon, &["verify"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    for (tenant, mine) in tenants.iter().zip(&acknowledged) {
        let (_, quota) = caller.get(&quota_path(tenant)).await;
        check(tenant, &quota, mine, &audit);
    }
}

fn check(tenant: &str, quota: &Value, mine: &[Acknowledged], audit: &[Value]) {
    let generation = quota["generation"].as_u64().unwrap();
    let last = mine.last().unwrap();
    assert!(generation >= last.generation, "{tenant}: generation {generation} after {last:?}");
    if generation == last.generation {
        assert_eq!(quota["limit"].as_f64(), Some(last.limit), "{tenant}");
    }
    // Each change stands in the log exactly once, from what stood before to
    // what stood after, without a break.
    let of_tenant = |line: &&Value| line["tenant"] == tenant && line["action"] == "quota_changed";
    let changes: Vec<&Value> = audit.iter().filter(of_tenant).collect();
    assert_eq!(changes.len() as u64, generation - 1, "{tenant}: a line for each generation");
    for (index, change) in changes.iter().enumerate() {
        assert_eq!(change["before"]["generation"].as_u64(), Some(index as u64 + 1));
        assert_eq!(change["after"]["generation"].as_u64(), Some(index as u64 + 2));
    }
    for change in mine {
        let line = changes[change.generation as usize - 2];
        assert_eq!(line["after"]["limit"].as_f64(), Some(change.limit), "{tenant}: {change:?}");
    }
}
