//! Promises to tenants, watched by the real daemon over a real Prometheus.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus, openmetrics};
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

async fn held_by(caller: &Caller, target: &str) -> Value {
    let (_, settings) = caller.get("/v1/tenants/acme/settings").await;
    let all = settings["items"].as_array().unwrap();
    let path = format!("monitoring_config.sla_targets.{target}");
    all.iter().find(|one| one["path"] == *path).unwrap()["enforcement"].clone()
}

/// What the tenant's and the fleet's report say of acme's broken promise: each
/// what the promise's own page says.
async fn reports_hold(caller: &Caller, broken: &Value) {
    let (status, own) = caller.get("/v1/reports/tenants/acme?format=json").await;
    assert_eq!(status, 200, "{own:#}");
    let found = own["promises"].as_array().unwrap().iter().find(|one| one["objective"] == "availability");
    assert_eq!(found, Some(broken), "{:#}", own["promises"]);
    let (status, fleet) = caller.get("/v1/reports/fleet?format=json").await;
    let promises = &fleet["promises"];
    assert_eq!(status, 200, "{fleet:#}");
    assert_eq!(promises["availability"], json!({"measured": 1, "kept": 0}), "{promises:#}");
    assert_eq!(promises["quotas"], json!({"measured": 1, "kept": 1}), "{promises:#}");
    let row = json!({"tenant": "acme", "tier": "PREMIUM", "state": broken});
    assert_eq!(promises["list"], json!({"total": 1, "rows": [row]}), "{promises:#}");
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
    assert_eq!(held_by(&caller, "availability_percent").await, "enforced");

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
    reports_hold(&caller, &availability).await;
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
    assert_eq!(held_by(&caller, "availability_percent").await, "declared_only");
}

/// Of 100 answers each 5 minutes 80 took no longer than a quarter of a second, and 99 than one.
fn answers(days: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    // Far from the ends of the five minutes that are asked for, however slow the test is.
    let last = now - 150;
    let counted = |of_100: f64| {
        let steps = (0..days * 288).map(|step| (last - (days * 288 - 1 - step) * 300, of_100 * step as f64));
        steps.collect::<Vec<_>>()
    };
    let bucket = |end: &str, of_100| (format!("tenant=\"acme\",le=\"{end}\""), counted(of_100));
    openmetrics([
        (
            "answer_seconds_bucket",
            "gauge",
            vec![bucket("0.25", 80.0), bucket("1.0", 99.0), bucket("+Inf", 100.0)],
        ),
        ("answer_seconds_count", "gauge", vec![("tenant=\"acme\"".to_owned(), counted(100.0))]),
    ])
}

const LATENCY: &str = r#"
[sla]
latency = "sum by (tenant) (rate(answer_seconds_bucket{le=~\"$seconds([.]0)?\"}[$window])) / sum by (tenant) (rate(answer_seconds_count[$window]))"
every = "60s"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_come_too_late_break_what_the_template_promises() {
    let usage = daily_usage("acme", 14, 2.0);
    let all = format!("{}{}", usage.trim_end_matches("# EOF\n"), answers(14));
    let prometheus = Prometheus::start(&all).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, LATENCY)).await;
    let caller = Caller::of(&daemon);
    let template = |name: &str, within: f64| json!({"name": name, "tier": "PREMIUM", "monitoring_config": {"sla_targets": {"latency_p99_ms": within}}});
    for (name, within) in [("quick", 250.0), ("patient", 1000.0)] {
        assert_eq!(caller.post("/v1/templates", &template(name, within)).await.0, 201);
    }
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "template": "quick"})).await.0, 201);
    let known = || async { promises(&caller).await.iter().any(|one| one["objective"] == "latency") };
    caller.wait_until("the latency is known", known).await;
    let [latency, ..] = &promises(&caller).await[..] else { panic!("no promises") };
    assert_eq!((&latency["objective"], &latency["target"]), (&json!("latency"), &json!(0.99)));
    assert!((latency["good"].as_f64().unwrap() - 0.8).abs() < 1e-3, "{latency:#}");
    assert_eq!(latency["breach"], "burns_slowly", "no two samples lie within five minutes: {latency:#}");
    assert_eq!(held_by(&caller, "latency_p99_ms").await, "enforced");
    assert_eq!(held_by(&caller, "availability_percent").await, "declared_only");

    let raised = || async {
        let (_, page) = caller.get("/v1/incidents?kind=sla_breach&tenant=acme").await;
        page["items"]
            .to_string()
            .contains("of the last 28 days took no longer than 250 ms; 99.000 % is promised")
    };
    caller.wait_until("an incident is raised", raised).await;
    let said = daemon.asked(&["tenant", "sla", "acme"]);
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("latency") && said.contains("burns_slowly"), "{said}");
    let checked = daemon.asked(&["doctor", "--output", "json"]);
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(!checked.contains("the expression gives nothing"), "{checked}");
}
