//! What people's approvals and rejections do at the real daemon.

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus};
use crate::setup::{config_for, daily_usage};

/// acme of tier PREMIUM, whose usage peaks at 2 of its 8 cores.
async fn acme(more: &str) -> (Prometheus, Daemon, Caller) {
    let prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, more)).await;
    let caller = Caller::of(&daemon);
    let tenant = json!({"id": "acme", "tier": "PREMIUM", "provider": "aws", "apply_mode": "review"});
    assert_eq!(caller.post("/v1/tenants", &tenant).await.0, 201);
    (prometheus, daemon, caller)
}

async fn proposed(caller: &Caller) -> Vec<Value> {
    let (_, page) = caller.get("/v1/recommendations?tenant=acme&state=proposed").await;
    page["items"].as_array().unwrap().clone()
}

async fn waiting(caller: &Caller) -> Value {
    caller.wait_until("a recommendation waits", || async { !proposed(caller).await.is_empty() }).await;
    proposed(caller).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_rejected_stays_rejected_over_a_restart() {
    let (_prometheus, mut daemon, caller) = acme("").await;
    let id = waiting(&caller).await["id"].as_str().unwrap().to_owned();
    let no = json!({"reason": "they launch in May"});
    assert_eq!(caller.post(&format!("/v1/recommendations/{id}/reject"), &no).await.0, 200);
    let said = || async {
        let (_, assessments) = caller.get("/v1/tenants/acme/assessments").await;
        let cpu = assessments["items"].get(0).cloned().unwrap_or_default();
        let why = cpu["reason"].as_str().unwrap_or_default();
        cpu["outcome"] == "keep" && why.contains("admin said no to that (they launch in May)")
    };
    for restart in [false, true] {
        if restart {
            daemon.kill();
            daemon.start_again().await;
        }
        caller.wait_until("it is said why nothing is proposed", said).await;
        assert!(proposed(&caller).await.is_empty());
    }
    let explained = daemon.asked(&["explain", &id]);
    let text = String::from_utf8_lossy(&explained.stdout);
    assert!(text.contains("Rejected by admin") && text.contains("they launch in May"), "{text}");
}

async fn person(admin: &Caller, name: &str) -> Caller {
    let (status, made) = admin.post("/v1/tokens", &json!({"name": name, "role": "approver"})).await;
    assert_eq!(status, 201, "{made:#}");
    admin.with_token(made["token"].as_str().unwrap())
}

const TWO: &str = "\n[approval]\ntwo_person_monthly_cost = \"100USD/month\"\n";

/// Over the API, the command line, and a kill in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn two_people_decide_on_what_is_dear() {
    let (_prometheus, mut daemon, admin) = acme(TWO).await;
    let (ann, ben) = (person(&admin, "ann").await, person(&admin, "ben").await);
    let id = waiting(&admin).await["id"].as_str().unwrap().to_owned();
    let approve = format!("/v1/recommendations/{id}/approve");
    let (status, first) = ann.post(&approve, &json!({"comment": "fine with me"})).await;
    assert_eq!((status, &first["state"]["state"]), (202, &json!("awaits_second")), "{first:#}");
    daemon.kill();
    daemon.start_again().await;
    let (status, twice) = ann.post(&approve, &json!({})).await;
    assert_eq!((status, &twice["objections"][0]["rule"]), (403, &json!("same_person_twice")), "{twice:#}");
    assert!(twice["detail"].as_str().unwrap().contains("a second, different person must"), "{twice:#}");
    let (status, done) = ben.post(&approve, &json!({})).await;
    assert_eq!((status, &done["quota"]["generation"]), (200, &json!(2)), "{done:#}");

    let quota = "/v1/tenants/acme/quotas/cpu_cores";
    let (status, asked) = ann.put(quota, Some("\"2\""), &json!({"limit": 30, "reason": "a launch"})).await;
    assert_eq!((status, &asked["state"]["state"]), (202, &json!("waiting")), "{asked:#}");
    let listed = daemon.asked(&["quota", "requests"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("a launch") && listed.contains("ann"), "{listed}");
    let place = format!("/v1/change-requests/{}", asked["id"].as_str().unwrap());
    assert_eq!(ann.post(&format!("{place}/approve"), &json!({})).await.0, 403);
    let approved = daemon.asked(&["quota", "approve", asked["id"].as_str().unwrap()]);
    assert!(approved.status.success(), "{}", String::from_utf8_lossy(&approved.stderr));
    assert_eq!(admin.get(quota).await.1["limit"], 30.0);
    let (_, decided) = ann.get(&place).await;
    assert_eq!(decided["state"]["decided_by"], json!({"kind": "person", "name": "admin"}), "{decided:#}");
}
