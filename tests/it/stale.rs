//! Usage that is hours old: what rests on it is marked wherever people look, and
//! the daemon applies none of it.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus, node_scripts};
use crate::setup::{config_for, daily_usage_until};

/// A resource whose series names no tenant.
const NAMELESS: &str = "[resources.memory_gb]\nexpression = \"vector(1)\"\n";
/// An availability whose series names none either.
const NAMELESS_SHARE: &str =
    "[sla]\navailability = \"1 + 0 * sum(count_over_time(tenant_cpu_cores[$window]))\"\n";
/// Another one.
const MORE: &str = "[resources.storage_gb]\nexpression = \"max by (tenant) (tenant_storage_gb)\"\n";

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

    let Some(scripts) = node_scripts("tests/browser") else { return };
    let pictures = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stale");
    let output = Command::new("node")
        .current_dir(&scripts)
        .args(["stale.mjs", &daemon.url, &daemon.token, "acme"])
        .arg(&pictures)
        .output()
        .expect("node is missing; `make test` installs it");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success(), "{}\npictures: {}", said.concat(), pictures.display());
}
