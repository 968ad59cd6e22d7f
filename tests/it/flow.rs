//! The main job with real processes: a Prometheus with backfilled usage, the
//! daemon, a person who approves over the API, the quota and the audit log.

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus};
use crate::setup::{config_for, daily_usage, nowhere};

const QUOTA: &str = "/v1/tenants/acme/quotas/cpu_cores";

/// One tenant of tier PREMIUM, which has 8 cores.
fn acme(mode: &str) -> Value {
    json!({"id": "acme", "tier": "PREMIUM", "provider": "aws", "region": "eu-central-1", "apply_mode": mode})
}

/// A Prometheus in which acme peaks at 2 cores, and a daemon over it.
async fn acme_at_two_cores(mode: &str) -> (Prometheus, Daemon, Caller) {
    let prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, "")).await;
    let caller = Caller::of(&daemon);
    assert_eq!(caller.post("/v1/tenants", &acme(mode)).await.0, 201);
    (prometheus, daemon, caller)
}

async fn waiting_cpu(caller: &Caller) -> Value {
    let path = "/v1/recommendations?tenant=acme&resource=cpu_cores&state=proposed";
    caller
        .wait_until("a recommendation waits", || async {
            caller.get(path).await.1["items"].as_array().is_some_and(|items| !items.is_empty())
        })
        .await;
    caller.get(path).await.1["items"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_becomes_a_recommendation_that_a_person_approves() {
    let (_prometheus, daemon, caller) = acme_at_two_cores("review").await;
    let recommendation = waiting_cpu(&caller).await;
    // The recommendation is there before the cycle that made it has ended.
    caller.wait_until("it is ready", || async { caller.text("/-/ready").await.0 == 200 }).await;
    let id = recommendation["id"].as_str().unwrap();
    let proposed = recommendation["proposed"].as_f64().unwrap();
    assert!((2.0..=3.0).contains(&proposed), "{recommendation:#}");
    assert_eq!(recommendation["current"], 8.0);
    assert!(recommendation["reasons"][0].as_str().unwrap().contains("own past"), "{recommendation:#}");
    let others = recommendation["evidence"]["alternatives"].as_array().unwrap();
    assert_eq!(others.len(), 2, "the VPA and KRR stand beside it: {recommendation:#}");
    assert!(others.iter().all(|other| other["cost"]["amount"].is_string()), "{recommendation:#}");
    let evidence = &recommendation["evidence"];
    assert_eq!(evidence["budget"], 0.005, "{recommendation:#}");
    assert_eq!(evidence["budget_because"], "the promise of the tier PREMIUM");
    let backtest = &evidence["backtest"];
    assert_eq!((&backtest["proven"], &backtest["holds_hours"]), (&json!(true), &json!(24)), "{backtest:#}");
    assert!(backtest["days"].as_f64().is_some_and(|days| days >= 5.0), "{backtest:#}");
    assert!(backtest["violations"].as_f64().is_some_and(|share| share <= 0.005), "{backtest:#}");
    assert!(evidence["would_change"].as_array().is_some_and(|lines| lines.len() >= 2), "{evidence:#}");
    let explained = daemon.asked(&["explain", id]);
    assert_eq!(
        daemon.asked(&["explain", "acme/cpu_cores"]).stdout,
        explained.stdout,
        "the newest of its quota"
    );
    let none = daemon.asked(&["explain", "acme/memory_gb"]);
    assert!(
        String::from_utf8_lossy(&none.stderr).contains("find a recommendation for acme/memory_gb"),
        "{none:?}"
    );
    let text = String::from_utf8_lossy(&explained.stdout);
    assert!(explained.status.success(), "{}", String::from_utf8_lossy(&explained.stderr));
    for part in ["cpu_cores of acme (PREMIUM): 8 -> ", "today", "VPA target", "KRR", "Trial: ", "UTC"] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    let saving: f64 = recommendation["cost"]["saving"]["amount"].as_str().unwrap().parse().unwrap();
    assert!(saving > 100.0, "five cores less save more than 100 a month: {recommendation:#}");

    let (_, models) = caller.get("/v1/models?resource=cpu_cores").await;
    let first = &models["items"][0];
    assert_eq!(
        (first["version"].as_u64(), first["state"].as_str()),
        (Some(1), Some("champion")),
        "{models:#}"
    );
    assert!(first["backtest"]["quantile_loss"].as_f64().is_some_and(|loss| loss < 0.5), "{models:#}");
    let (_, forecast) = caller.get("/v1/tenants/acme/resources/cpu_cores/forecast").await;
    assert_eq!(forecast["made_by"]["version"], 1, "{forecast:#}");
    let back = json!({"reason": "it looks odd"});
    let (status, problem) = caller.post("/v1/models/cpu_cores/rollback", &back).await;
    assert_eq!(status, 409, "there is no earlier version: {problem:#}");

    let approve = format!("/v1/recommendations/{id}/approve");
    let (status, answer) = caller.post(&approve, &json!({"comment": "looks right"})).await;
    assert_eq!(status, 200, "{answer:#}");
    let (_, quota) = caller.get(QUOTA).await;
    assert_eq!(quota["limit"].as_f64(), Some(proposed));
    assert_eq!(quota["generation"], 2);
    let (_, decided) = caller.get(&format!("/v1/recommendations/{id}")).await;
    assert!(decided.to_string().contains("\"applied\""), "{decided:#}");

    let (_, audit) = caller.get("/v1/audit?tenant=acme").await;
    let lines = audit["items"].as_array().unwrap();
    let actions: Vec<&str> = lines.iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["quota_changed", "recommendation_approved", "tenant_created"]);
    assert_eq!(lines[0]["before"]["limit"], 8.0);
    assert_eq!(lines[0]["after"]["limit"].as_f64(), Some(proposed));
    assert_eq!(lines[0]["actor"], json!({"kind": "person", "name": "admin"}));

    let (status, again) = caller.post(&approve, &json!({})).await;
    assert_eq!(status, 409, "a decided recommendation is not decided twice: {again:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn approved_mode_applies_inside_the_guardrails() {
    let (_prometheus, _daemon, caller) = acme_at_two_cores("approved").await;
    caller
        .wait_until("the daemon has applied a step", || async {
            caller.get(QUOTA).await.1["generation"] == 2
        })
        .await;
    // Far less is needed, but one step cuts at most 30 %.
    assert_eq!(caller.get(QUOTA).await.1["limit"], 5.6);
    let (_, audit) = caller.get("/v1/audit?tenant=acme").await;
    assert_eq!(audit["items"][0]["actor"]["kind"], "daemon", "{audit:#}");
    // The cool-down holds the next step back, and that is said.
    caller
        .wait_until("the next step is held back", || async {
            caller.get("/v1/tenants/acme/assessments").await.1.to_string().contains("cooling_down")
        })
        .await;
    assert_eq!(caller.get(QUOTA).await.1["generation"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn observe_mode_only_recommends() {
    let (_prometheus, _daemon, caller) = acme_at_two_cores("observe").await;
    waiting_cpu(&caller).await;
    let cycles = || async {
        let (_, metrics) = caller.text("/metrics").await;
        let line = metrics.lines().find_map(|line| line.strip_prefix("plimsoll_cycles_total "));
        line.map_or(0, |count| count.parse::<u64>().unwrap())
    };
    let begun = cycles().await;
    caller.wait_until("two more cycles ran", || async { cycles().await >= begun + 2 }).await;
    assert_eq!(caller.get(QUOTA).await.1["generation"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_write_is_refused_and_changes_nothing() {
    let daemon = Daemon::start(&config_for(&nowhere(), "")).await;
    let caller = Caller::of(&daemon);
    assert_eq!(caller.post("/v1/tenants", &acme("observe")).await.0, 201);
    let put = |tag, limit: f64| {
        let caller = caller.clone();
        async move { caller.put(QUOTA, tag, &json!({"limit": limit})).await }
    };
    assert_eq!(put(Some("\"1\""), 9.0).await.0, 200);
    assert_eq!(put(Some("\"1\""), 10.0).await.0, 412);
    assert_eq!(put(None, 10.0).await.0, 428);
    let (status, problem) = put(Some("\"2\""), 1000.0).await;
    assert_eq!(status, 422, "{problem:#}");
    assert!(problem.to_string().contains("ceiling"), "{problem:#}");
    assert_eq!(caller.get(QUOTA).await.1["limit"], 9.0);
    assert_eq!(caller.with_token("plim_wrong").get(QUOTA).await.0, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_down_is_named_and_the_daemon_stays_up() {
    let daemon = Daemon::start(&config_for(&nowhere(), "")).await;
    let caller = Caller::of(&daemon);
    caller
        .wait_until("the failure is named", || async {
            caller.get("/v1/summary").await.1.to_string().contains("reach the source")
        })
        .await;
    assert_eq!(caller.text("/-/healthy").await.0, 200);
    let (status, why) = caller.text("/-/ready").await;
    assert!(status == 503 && why.contains("has not answered since the start"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_where_it_stopped() {
    let (_prometheus, mut daemon, caller) = acme_at_two_cores("review").await;
    let before = waiting_cpu(&caller).await;
    daemon.terminate();
    assert!(daemon.wait().await.success());
    assert!(daemon.said().contains("stopped"), "{}", daemon.said());
    daemon.start_again().await;
    let after = waiting_cpu(&caller).await;
    assert_eq!(before["id"], after["id"], "the same need is not proposed twice");
    caller.wait_until("it is ready", || async { caller.text("/-/ready").await.0 == 200 }).await;
    // Only what is new since the watermark was fetched: the 14 days came from
    // the history on disk, and the forecast stands on them.
    let (_, metrics) = caller.text("/metrics").await;
    let collected = "plimsoll_samples_collected_total{resource=\"cpu_cores\"} ";
    let count = metrics.lines().find_map(|line| line.strip_prefix(collected)).unwrap_or("0");
    assert!(count.parse::<f64>().unwrap() < 10.0, "{count} samples were fetched again");
    let (_, forecast) = caller.get("/v1/tenants/acme/resources/cpu_cores/forecast").await;
    assert!(forecast["values"].as_array().is_some_and(|steps| steps.len() == 168), "{forecast:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_token_is_printed_once_and_kept_as_a_hash() {
    let config = config_for(&nowhere(), "").replace("token = \"plim_a-token-for-tests-only\"\n", "");
    let mut daemon = Daemon::start(&config).await;
    let said = daemon.said();
    let token = said.split_whitespace().find(|word| word.starts_with("plim_")).unwrap().to_owned();
    assert_eq!(Caller::of(&daemon).with_token(&token).get("/v1/tenants").await.0, 200);
    daemon.kill();
    daemon.start_again().await;
    assert_eq!(daemon.said().matches("plim_").count(), 1, "{}", daemon.said());
    assert_eq!(Caller::of(&daemon).with_token(&token).get("/v1/tenants").await.0, 200);
    daemon.kill();
    let mut files = vec![daemon.folder().join("data")];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            let found = bytes.windows(token.len()).any(|window| window == token.as_bytes());
            assert!(!found, "{} holds the token in the clear", path.display());
        }
    }
}
