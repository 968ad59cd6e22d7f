//! The dashboard in Debian's Chromium, on the real daemon over a Prometheus
//! with weeks of usage.

use std::f64::consts::TAU;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus, node_scripts, openmetrics};
use crate::setup::config_for;

const STEP: i64 = 300;
const DAYS: i64 = 21;
/// Memory beside CPU, and incidents that open at once.
const MORE: &str = "[resources.memory_gb]\nexpression = \"max by (tenant) (tenant_memory_gb)\"\n\
    [incidents]\nleast_open = \"0s\"\n\
    [rollouts]\nwatch = \"1h\"\ncheck_every = \"50ms\"\n";

/// Weeks of daily rhythm of some tenants; the last hours of `surge` are five
/// times what they were.
fn usage(tenants: &[(&str, f64)], surge: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let last = now / STEP * STEP;
    let series = |scale: f64| {
        tenants.iter().map(move |(tenant, peak)| {
            let samples = (0..DAYS * 86_400 / STEP).rev().map(|age| {
                let at = last - age * STEP;
                let noise = (at / STEP * 7919 % 100) as f64 / 1000.0;
                let of_day = (at % 86_400) as f64 / 86_400.0;
                let surged = if *tenant == surge && age < 24 { 5.0 } else { 1.0 };
                (at, scale * peak * surged * (0.6 + 0.35 * (TAU * of_day).sin() + noise / 2.0))
            });
            (format!("tenant=\"{tenant}\""), samples.collect::<Vec<(i64, f64)>>())
        })
    };
    openmetrics([
        ("tenant_cpu_cores", "gauge", series(1.0).collect()),
        ("tenant_memory_gb", "gauge", series(2.0).collect()),
    ])
}

/// Where the pictures are kept, to be looked at.
fn pictures() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("dashboard")
}

/// A tenant whose template asks for a second factor.
async fn guarded_tenant(caller: &Caller) {
    let template = json!({"name": "vault", "tier": "PREMIUM", "security_config": {"mfa_required": true}});
    assert_eq!(caller.post("/v1/templates", &template).await.0, 201);
    let tenant = json!({"id": "galleon", "name": "Galleon Ltd", "template": "vault", "provider": "aws",
        "region": "eu-central-1", "apply_mode": "review"});
    assert_eq!(caller.post("/v1/tenants", &tenant).await.0, 201);
}

/// A green disc on 40 by 40 pixels, as a picture in a text.
fn logo() -> String {
    let disc = "<svg xmlns='http://www.w3.org/2000/svg' width='40' height='40'>\
        <circle cx='20' cy='20' r='18' fill='#0a8f4d'/></svg>";
    format!("data:image/svg+xml;base64,{}", STANDARD.encode(disc))
}

/// A token of the people of a tenant with a name, a logo and a colour of its
/// own.
async fn own_token(caller: &Caller) -> String {
    let branding = json!({"product_name": "Harbour Suite", "primary_color": "#7a1fa2", "logo_url": logo()});
    let template = json!({"name": "label", "tier": "WHITE_LABEL", "branding": branding});
    assert_eq!(caller.post("/v1/templates", &template).await.0, 201);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "liner", "template": "label"})).await.0, 201);
    let token = json!({"name": "lena", "role": "approver", "tenants": ["liner"]});
    caller.post("/v1/tokens", &token).await.1["token"].as_str().unwrap().to_owned()
}

/// A canary on some of the quiet tenants, in its first stage.
async fn canary(caller: &Caller) -> String {
    let strategy = json!({"kind": "canary", "share": 0.1});
    let changes: Vec<_> = (1..=40)
        .map(|number| json!({"tenant": format!("quiet-{number:02}"), "resource": "cpu_cores", "limit": 0.75}))
        .collect();
    let take = json!({"kind": "changes", "changes": changes});
    let wish =
        json!({"name": "three quarters", "reason": "they use little", "strategy": strategy, "take": take});
    let (status, begun) = caller.post("/v1/rollouts", &wish).await;
    assert_eq!(status, 201, "{begun:#}");
    begun["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_works_in_a_browser() {
    let Some(scripts) = node_scripts("tests/browser") else { return };
    let tenants =
        [("acme", 2.0), ("brig", 3.0), ("cutter", 0.6), ("dinghy", 0.3), ("eddy", 1.1), ("foghorn", 2.4)];
    let all = [&tenants[..], &[("galleon", 1.7)]].concat();
    let prometheus = Prometheus::start(&usage(&all, "foghorn")).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, MORE)).await;
    let caller = Caller::of(&daemon);
    for (tenant, _) in tenants {
        let body = json!({"id": tenant, "name": format!("{}{} Ltd", tenant[..1].to_uppercase(), &tenant[1..]),
            "tier": "PREMIUM", "provider": "aws", "region": "eu-central-1", "apply_mode": "review"});
        assert_eq!(caller.post("/v1/tenants", &body).await.0, 201);
    }
    guarded_tenant(&caller).await;
    let own = own_token(&caller).await;
    // More than a page shows; they have no usage.
    for number in 1..=60 {
        let body = json!({"id": format!("quiet-{number:02}"), "tier": "FREE"});
        assert_eq!(caller.post("/v1/tenants", &body).await.0, 201);
    }
    for of in ["tenant=acme&resource=cpu_cores", "tenant=acme&resource=memory_gb", "tenant=galleon"] {
        let path = format!("/v1/recommendations?{of}&state=proposed&limit=1");
        let waits = || async { caller.get(&path).await.1["items"].get(0).is_some() };
        caller.wait_until(&format!("{of} has a recommendation"), waits).await;
    }
    let open = "/v1/incidents?tenant=foghorn&kind=unusual_usage";
    caller
        .wait_until("an incident is open", || async {
            !caller.get(open).await.1["items"].as_array().unwrap().is_empty()
        })
        .await;
    let incident = caller.get(open).await.1["items"][0]["id"].as_str().unwrap().to_owned();
    let rollout = canary(&caller).await;
    let viewer = json!({"name": "vera", "role": "viewer"});
    let (status, viewer) = caller.post("/v1/tokens", &viewer).await;
    assert_eq!(status, 201, "{viewer:#}");
    let output = Command::new("node")
        .current_dir(&scripts)
        .arg("dashboard.mjs")
        .args([
            &daemon.url,
            &daemon.token,
            viewer["token"].as_str().unwrap(),
            &own,
            "acme",
            &incident,
            &rollout,
        ])
        .arg(pictures())
        .output()
        .expect("node is missing; `make test` installs it");
    assert!(
        output.status.success(),
        "{}{}\npictures: {}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        pictures().display()
    );
}
