//! Usage that is hours old: what rests on it is marked wherever people look, and
//! the daemon applies none of it. And a source whose clock is another than ours.

use std::path::Path;
use std::process::Command;

use chrono::{TimeDelta, Utc};
use serde_json::json;

use crate::caller::Caller;
use crate::rig::{Asked, Daemon, Fake, Prometheus, Reply, node_scripts};
use crate::setup::{config_for, daily_usage_until};

/// A resource whose series names no tenant.
const NAMELESS: &str = "[resources.memory_gb]\nexpression = \"vector(1)\"\n";
/// An availability whose series names none either.
const NAMELESS_SHARE: &str =
    "[sla]\navailability = \"1 + 0 * sum(count_over_time(tenant_cpu_cores[$window]))\"\n";
/// Another one.
const MORE: &str = "[resources.storage_gb]\nexpression = \"max by (tenant) (tenant_storage_gb)\"\n";

/// Holds what the dashboard says in a browser, in both languages.
fn is_seen_in_a_browser(what: &str, daemon: &Daemon) {
    let Some(scripts) = node_scripts("tests/browser") else { return };
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join(what);
    let output = Command::new("node")
        .current_dir(&scripts)
        .args(["stale.mjs", what, &daemon.url, &daemon.token, "acme"])
        .arg(&pictures)
        .output()
        .expect("node is missing; `make test` installs it");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success(), "{}\npictures: {}", said.concat(), pictures.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rests_on_stale_usage_is_marked_and_not_applied() {
    let mut prometheus = Prometheus::start(&daily_usage_until("acme", 21, 2.0, 3)).await;
    let config = config_for(&prometheus.url, &format!("{NAMELESS}{NAMELESS_SHARE}"));
    let daemon = Daemon::start(&config).await;
    let caller = Caller::of(&daemon);
    let acme = json!({"id": "acme", "name": "Acme Ltd", "tier": "PREMIUM", "apply_mode": "approved"});
    assert_eq!(caller.post("/v1/tenants", &acme).await.0, 201);
    let waiting = "/v1/recommendations?tenant=acme&state=proposed&limit=1";
    let waits = || async { caller.get(waiting).await.1["items"].get(0).is_some() };
    caller.wait_until("acme has a recommendation", waits).await;
    let held = || async {
        let (_, fleet) = caller.get("/v1/fleet/acme").await;
        let quotas = fleet["quotas"].as_array().unwrap();
        let cpu = quotas.iter().find(|quota| quota["resource"] == "cpu_cores").unwrap();
        cpu["held_back_by"].as_str().is_some_and(|why| why.contains("the last usage sample is from"))
            && cpu["stale_since"].is_string()
    };
    caller.wait_until("the daemon holds it back", held).await;

    let recommendation = caller.get(waiting).await.1["items"][0].clone();
    let since = recommendation["stale_since"].as_str().unwrap().to_owned();
    let id = recommendation["id"].as_str().unwrap();
    assert_eq!(caller.get(&format!("/v1/recommendations/{id}")).await.1["stale_since"], since);
    let summary = caller.get("/v1/summary").await.1;
    assert_eq!(summary["stale"], json!([{"resource": "cpu_cores", "since": since}]), "{summary:#}");
    assert_eq!(summary["source_problems"], json!([]));
    let reasons = json!(["{} has no label \"tenant\"; keep it in the expression"]);
    let refused = json!([
        {"asked": "memory_gb", "resource": "memory_gb", "reasons": reasons},
        {"asked": "availability", "resource": null, "reasons": reasons},
    ]);
    assert_eq!(summary["refused_series"], refused, "{summary:#}");
    let (status, ready) = caller.text("/-/ready").await;
    assert!(status == 200 && ready.contains("the usage of cpu_cores is stale"), "{status} {ready}");
    assert!(ready.contains("series of the availability are left out"), "{ready}");
    let (_, metrics) = caller.text("/metrics").await;
    for line in [
        "plimsoll_newest_sample_timestamp_seconds{resource=\"cpu_cores\"}",
        "plimsoll_source_refusals_total{resource=\"availability\"} ",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
    let (_, quota) = caller.get("/v1/tenants/acme/quotas/cpu_cores").await;
    assert_eq!(quota["generation"], 1, "{quota:#}");

    // A resource that is new is asked for at once, and not with the next step.
    prometheus.kill();
    daemon.write_config(&format!("{config}{MORE}"));
    assert_eq!(caller.post("/-/reload", &json!({})).await.0, 200);
    let fails = || async {
        let problems = caller.get("/v1/summary").await.1["source_problems"].clone();
        let mut problems = problems.as_array().unwrap().iter();
        problems.any(|one| one["resource"] == "storage_gb" && one.to_string().contains("reach the source"))
    };
    caller.wait_until("the source fails", fails).await;
    assert_eq!(caller.text("/-/healthy").await.0, 200);

    is_seen_in_a_browser("stale", &daemon);
}

/// Two cores of acme all the time, dated ten minutes ahead.
fn from_ahead(asked: &Asked) -> Reply {
    let sample = |at: &f64| format!("[{at},\"2\"]");
    let values: Vec<String> = asked.instants().iter().map(sample).collect();
    let series = format!(r#"[{{"metric":{{"tenant":"acme"}},"values":[{}]}}]"#, values.join(","));
    let answer = if asked.is_count() { asked.count(1) } else { Reply::success("matrix", &series) };
    let Reply::Text(status, mut headers, body) = answer else { panic!("it is a text") };
    let date = Utc::now() + TimeDelta::seconds(600);
    headers.push(("date", date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()));
    Reply::Text(status, headers, body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_with_another_clock_is_told_of_on_the_dashboard() {
    let fake = Fake::start(from_ahead).await;
    let config = config_for(&fake.url, "").replace("settle = \"0s\"", "settle = \"0s\"\nbackfill = \"2d\"");
    let daemon = Daemon::start(&config).await;
    let caller = Caller::of(&daemon);
    let acme = json!({"id": "acme", "name": "Acme Ltd", "tier": "PREMIUM"});
    assert_eq!(caller.post("/v1/tenants", &acme).await.0, 201);
    let told = || async {
        let (status, ready) = caller.text("/-/ready").await;
        status == 200 && ready.contains("ahead of ours")
    };
    caller.wait_until("it is ready, and says that the clocks differ", told).await;
    is_seen_in_a_browser("clock", &daemon);
}
