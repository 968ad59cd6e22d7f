//! Rollouts through the real daemon: from the command line, over the target
//! folder, killed again and again on the way.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::Daemon;
use crate::setup::{config_for, nowhere};

const TENANTS: usize = 12;
const SEED: u64 = 411;

async fn fleet(more: &str) -> (Daemon, Caller) {
    let daemon = Daemon::start(&config_for(&nowhere(), more)).await;
    let caller = Caller::of(&daemon);
    for number in 0..TENANTS {
        let tenant = json!({"id": format!("t{number}"), "tier": "PREMIUM", "quotas": {"cpu_cores": 8.0}});
        assert_eq!(caller.post("/v1/tenants", &tenant).await.0, 201);
    }
    (daemon, caller)
}

async fn limits(caller: &Caller) -> Vec<f64> {
    let mut all = Vec::new();
    for number in 0..TENANTS {
        let (_, quota) = caller.get(&format!("/v1/tenants/t{number}/quotas/cpu_cores")).await;
        all.push(quota["limit"].as_f64().unwrap());
    }
    all
}

fn printed(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = daemon.asked(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

fn json_of(daemon: &Daemon, arguments: &[&str]) -> Value {
    let all = [&["rollout", "--output", "json"], arguments].concat();
    serde_json::from_str(&printed(daemon, &all)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_is_planned_begun_halted_and_taken_back_from_the_command_line() {
    let (daemon, caller) = fleet("[rollouts]\nwatch = \"1h\"\ncheck_every = \"50ms\"\n").await;
    let sets: Vec<String> = (0..TENANTS).map(|number| format!("--set=t{number}/cpu_cores=6")).collect();
    let mut create =
        vec!["create", "smaller", "--reason", "a test", "--strategy", "canary", "--share", "0.25"];
    create.extend(sets.iter().map(String::as_str));
    let planned = json_of(&daemon, &[&create[..], &["--dry-run"]].concat());
    let stages: Vec<u64> =
        planned["changes"].as_array().unwrap().iter().map(|one| one["stage"].as_u64().unwrap()).collect();
    assert_eq!(stages.iter().filter(|stage| **stage == 0).count(), 3);
    assert_eq!(limits(&caller).await, [8.0; TENANTS], "a dry run changes nothing");
    let begun = json_of(&daemon, &create);
    let id = begun["id"].as_str().unwrap();
    assert_eq!(begun["state"]["kind"], "watching");
    assert_eq!(limits(&caller).await.iter().filter(|limit| **limit == 6.0).count(), 3);
    let gauge = |count: usize| format!("plimsoll_open_rollouts{{state=\"watching\"}} {count}\n");
    let counted = async |count: usize| caller.text("/metrics").await.1.contains(&gauge(count));
    caller.wait_until("it is counted where it stands", || counted(1)).await;
    json_of(&daemon, &["pause", id, "--reason", "wait"]);
    let shown = printed(&daemon, &["rollout", "get", id]);
    assert!(
        shown.contains("canary") && shown.contains("applied") && shown.contains("at the quota"),
        "{shown}"
    );
    let back = json_of(&daemon, &["roll-back", id, "--reason", "not now"]);
    assert_eq!(back["state"], json!({"kind": "rolled_back", "why": "not now"}));
    assert_eq!(limits(&caller).await, [8.0; TENANTS]);
    let again = daemon.asked(&["rollout", "roll-back", id, "--reason", "twice"]);
    let said = String::from_utf8_lossy(&again.stderr);
    assert!(!again.status.success() && said.contains("it is rolled_back"), "{said}");
    let (_, audit) = caller.get("/v1/audit?limit=500").await;
    let count = |action: &str| {
        audit["items"].as_array().unwrap().iter().filter(|line| line["action"] == action).count()
    };
    assert_eq!((count("rollout_begun"), count("rollout_paused"), count("quota_changed")), (1, 1, 6));
    assert!(count("rollout_moved") >= 3, "{audit:#}");
    caller.wait_until("no rollout is open", || counted(0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_leaves_quotas_alone_that_were_right_sized_since() {
    let daemon = Daemon::start(&config_for(&nowhere(), "")).await;
    let caller = Caller::of(&daemon);
    let gold =
        |cores: f64| json!({"name": "gold", "tier": "PREMIUM", "resource_quotas": {"cpu_cores": cores}});
    assert_eq!(caller.post("/v1/templates", &gold(12.0)).await.0, 201);
    for id in ["plain", "sized"] {
        assert_eq!(caller.post("/v1/tenants", &json!({"id": id, "template": "gold"})).await.0, 201);
    }
    let sized = "/v1/tenants/sized/quotas/cpu_cores";
    assert_eq!(caller.put(sized, Some("\"1\""), &json!({"limit": 5.0})).await.0, 200);
    assert_eq!(caller.put("/v1/templates/gold", Some("\"1\""), &gold(10.0)).await.0, 200);
    let create =
        ["create", "new gold", "--reason", "a test", "--template", "gold", "--strategy", "all-at-once"];
    let taken = |more: &[&str]| {
        let planned = json_of(&daemon, &[&create[..], &["--dry-run"], more].concat());
        let changes = planned["changes"].as_array().unwrap().clone();
        changes.iter().map(|one| one["tenant"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(taken(&["--overwrite"]), ["plain", "sized"]);
    assert_eq!(taken(&[]), ["plain"]);
    json_of(&daemon, &create);
    let limit = async |path: &str| caller.get(path).await.1["limit"].as_f64().unwrap();
    assert_eq!(limit("/v1/tenants/plain/quotas/cpu_cores").await, 10.0);
    assert_eq!(limit(sized).await, 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollout_goes_on_however_often_the_daemon_is_killed() {
    let (mut daemon, caller) = fleet("[rollouts]\ncheck_every = \"10ms\"\n").await;
    let changes: Vec<Value> = (0..TENANTS)
        .map(|number| json!({"tenant": format!("t{number}"), "resource": "cpu_cores", "limit": 6.0}))
        .collect();
    let wish = json!({
        "name": "smaller", "reason": "a test", "watch_seconds": 0,
        "strategy": {"kind": "rolling", "batch": 1}, "take": {"kind": "changes", "changes": changes},
    });
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let begin = {
        let (caller, wish) = (caller.clone(), wish.clone());
        tokio::spawn(
            async move { caller.call(reqwest::Method::POST, "/v1/rollouts", None, Some(&wish)).await },
        )
    };
    for _ in 0..8 {
        tokio::time::sleep(Duration::from_millis(random.random_range(1..40))).await;
        daemon.kill();
        daemon.start_again().await;
        let between = limits(&caller).await;
        assert!(between.iter().all(|limit| [6.0, 8.0].contains(limit)), "{between:?}");
    }
    let _ = begin.await.unwrap();
    let begun = || async { caller.get("/v1/rollouts").await.1["items"].get(0).cloned() };
    if begun().await.is_none() {
        // It was killed before it had written anything down.
        assert_eq!(caller.post("/v1/rollouts", &wish).await.0, 201);
    }
    caller.wait_until("it is done", || async { begun().await.unwrap()["state"]["kind"] == "done" }).await;
    assert_eq!(limits(&caller).await, [6.0; TENANTS]);
    let (_, audit) = caller.get("/v1/audit?limit=500").await;
    let mut changed: BTreeMap<&str, usize> = BTreeMap::new();
    for line in audit["items"].as_array().unwrap().iter().filter(|line| line["action"] == "quota_changed") {
        *changed.entry(line["tenant"].as_str().unwrap()).or_default() += 1;
    }
    assert_eq!(changed.len(), TENANTS);
    assert!(changed.values().all(|count| *count == 1), "{changed:?}");
}
