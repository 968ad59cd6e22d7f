//! Amounts that are used up, counted by a real Prometheus, and granted anew by a
//! template's new version that changes no quota.

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus};
use crate::setup::{config_for, daily_usage};

/// Everybody has made 150,000 requests today.
const COUNTED: &str = "
[metering]
inference_requests = \"150000 + 0 * max by (tenant) (count_over_time(tenant_cpu_cores[$window]))\"
every = \"5s\"
";
const GRANT: &str = "ai_config.inference_requests_per_day";

fn gold(requests: u64) -> Value {
    json!({"name": "gold", "tier": "PREMIUM", "ai_config": {"inference_requests_per_day": requests}})
}

async fn held_by(caller: &Caller, path: &str) -> Value {
    enforcement(&caller.get("/v1/tenants/acme/settings").await.1["items"], path)
}

fn enforcement(values: &Value, path: &str) -> Value {
    let all = values.as_array().unwrap();
    all.iter().find(|one| one["path"] == path).unwrap()["enforcement"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_up_is_an_incident_until_a_template_grants_more() {
    let prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, COUNTED)).await;
    let caller = Caller::of(&daemon);
    assert_eq!(caller.post("/v1/templates", &gold(100_000)).await.0, 201);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "template": "gold"})).await.0, 201);
    let meter = || async { caller.get("/v1/tenants/acme/meters").await.1["items"][0].clone() };
    caller.wait_until("it is counted", || async { meter().await["used"] == 150_000.0 }).await;
    let state = meter().await;
    assert_eq!((&state["meter"], &state["limit"]), (&json!("inference_requests"), &json!(100_000.0)));
    assert_eq!((&state["left"], &state["used_up"]), (&json!(0.0), &json!(true)));
    assert_eq!(held_by(&caller, GRANT).await, "enforced");
    assert_eq!(held_by(&caller, "ai_config.model_training_quota_hours").await, "declared_only");
    // What nobody counts is only declared, also where its template is read.
    let (_, template) = caller.get("/v1/templates/gold").await;
    assert_eq!(enforcement(&template["values"], GRANT), "enforced");
    assert_eq!(enforcement(&template["values"], "ai_config.model_training_quota_hours"), "declared_only");
    let open = || async {
        let (_, page) = caller.get("/v1/incidents?kind=meter_used_up&tenant=acme&state=open").await;
        page["items"].as_array().unwrap().len()
    };
    caller.wait_until("an incident is raised", || async { open().await == 1 }).await;
    let said = daemon.asked(&["tenant", "meters", "acme"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("inference_requests") && said.contains("150000"), "{said}");

    assert_eq!(caller.put("/v1/templates/gold", Some("\"1\""), &gold(200_000)).await.0, 200);
    let create =
        ["rollout", "create", "more", "--reason", "they paid", "--template", "gold", "--watch", "0s"];
    let output = daemon.asked(&[&create[..], &["--strategy", "all-at-once"]].concat());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("gold@1 PREMIUM") && said.contains("gold@2 PREMIUM"),
        "{said}"
    );
    caller.wait_until("more is granted", || async { meter().await["left"] == 50_000.0 }).await;
    assert_eq!(meter().await["used_up"], false);
}
