//! Promises to tenants, watched by the real daemon over a real Prometheus.

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus};
use crate::setup::{config_for, daily_usage};

/// 2 % of everything was bad, 20 times what a promise of 99.9 % leaves room for.
const BAD: &str = "
[sla]
availability = \"0.98 + 0 * max by (tenant) (count_over_time(tenant_cpu_cores[$window]))\"
";

async fn promises(caller: &Caller) -> Vec<Value> {
    let (_, page) = caller.get("/v1/tenants/acme/sla").await;
    page["items"].as_array().cloned().unwrap_or_default()
}

async fn held_by(caller: &Caller) -> Value {
    let (_, settings) = caller.get("/v1/tenants/acme/settings").await;
    let all = settings["items"].as_array().unwrap();
    let path = "monitoring_config.sla_targets.availability_percent";
    all.iter().find(|one| one["path"] == path).unwrap()["enforcement"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promise_that_is_broken_is_an_incident() {
    let prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, BAD)).await;
    let caller = Caller::of(&daemon);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "tier": "PREMIUM"})).await.0, 201);
    let both = || async { promises(&caller).await.len() == 2 };
    caller.wait_until("the availability and the usage are known", both).await;
    let [availability, cpu] = promises(&caller).await.try_into().unwrap();
    assert_eq!(availability["objective"], "availability");
    assert_eq!((&availability["good"], &availability["breach"]), (&json!(0.98), &json!("burns_fast")));
    assert!((availability["burn"][0]["rate"].as_f64().unwrap() - 20.0).abs() < 1e-6, "{availability:#}");
    assert!((availability["budget_left"].as_f64().unwrap() + 19.0).abs() < 1e-6, "{availability:#}");
    assert_eq!(cpu["objective"], json!({"quota": "cpu_cores"}));
    assert_eq!((&cpu["good"], &cpu["budget_left"], &cpu["breach"]), (&json!(1.0), &json!(1.0), &Value::Null));
    assert_eq!(held_by(&caller).await, "enforced");

    let raised = || async {
        let (_, page) = caller.get("/v1/incidents?kind=sla_breach&tenant=acme").await;
        page["items"].as_array().is_some_and(|found| !found.is_empty())
    };
    caller.wait_until("an incident is raised", raised).await;
    let (_, page) = caller.get("/v1/incidents?kind=sla_breach&tenant=acme").await;
    assert_eq!(page["items"][0]["severity"], "critical");
    let text = page["items"][0].to_string();
    assert!(text.contains("99.900 % is promised") && text.contains("20.0 times as much failed"), "{text}");

    let said = daemon.asked(&["tenant", "sla", "acme"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("availability") && said.contains("burns_fast"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_expression_an_availability_is_only_declared() {
    let prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, "")).await;
    let caller = Caller::of(&daemon);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "tier": "PREMIUM"})).await.0, 201);
    let known = || async { !promises(&caller).await.is_empty() };
    caller.wait_until("the usage is known", known).await;
    assert!(promises(&caller).await.iter().all(|one| one["objective"] != "availability"));
    assert_eq!(held_by(&caller).await, "declared_only");
}
