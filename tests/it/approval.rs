//! What people's approvals and rejections do at the real daemon.

use reqwest::Method;
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
    let no = json!({"comment": "they launch in May"});
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

/// What a batch says of each resource.
fn outcomes(batch: &Value) -> Vec<(&str, &str)> {
    let items = batch["items"].as_array().unwrap_or_else(|| panic!("{batch:#}"));
    let mut all: Vec<_> = items
        .iter()
        .map(|one| (one["resource"].as_str().unwrap(), one["outcome"].as_str().unwrap()))
        .collect();
    all.sort_unstable();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_approved_at_once_after_a_dry_run() {
    let memory = "\n[resources.memory_gb]\nexpression = \"max by (tenant) (tenant_cpu_cores)\"\n";
    let (_prometheus, daemon, admin) = acme(&format!("{TWO}{memory}")).await;
    let (ann, ben) = (person(&admin, "ann").await, person(&admin, "ben").await);
    let both = || async { proposed(&admin).await.len() == 2 };
    admin.wait_until("both recommendations wait", both).await;
    let (path, trial) = ("/v1/recommendations/approve", "/v1/recommendations/approve?dry_run=true");

    let (status, dry) = ann.post(trial, &json!({})).await;
    assert_eq!(status, 200, "{dry:#}");
    assert_eq!(
        outcomes(&dry),
        [("cpu_cores", "would_await_second"), ("memory_gb", "would_apply")],
        "{dry:#}"
    );
    assert!(dry["saving"]["amount"].as_str().unwrap().parse::<f64>().unwrap() > 1.0, "{dry:#}");
    let dear = dry["items"].as_array().unwrap().iter().find(|one| one["resource"] == "cpu_cores").unwrap();
    assert!(dear["why"].as_str().unwrap().contains("100"), "{dear:#}");
    assert_eq!(proposed(&admin).await.len(), 2, "nothing was changed");
    for (chosen, count) in [
        (json!({"resource": "memory_gb"}), 1),
        (json!({"direction": "up"}), 0),
        (json!({"direction": "down", "tier": "PREMIUM", "tenants": ["acme"]}), 2),
        (json!({"tier": "FREE"}), 0),
        (json!({"least_confidence": 1.0}), 0),
    ] {
        assert_eq!(outcomes(&ann.post(trial, &chosen).await.1).len(), count, "{chosen}");
    }
    let (_, one) = ann.post(trial, &json!({"most": 1})).await;
    assert_eq!((outcomes(&one).len(), &one["left"]), (1, &json!(1)), "{one:#}");
    assert_eq!(ann.post(trial, &json!({"tenants": ["nobody"]})).await.0, 404);
    assert_eq!(ann.post(trial, &json!({"least_confidence": 7})).await.0, 422);

    let (status, first) = ann.post(path, &json!({"comment": "all of it"})).await;
    assert_eq!(status, 200, "{first:#}");
    assert_eq!(outcomes(&first), [("cpu_cores", "awaits_second"), ("memory_gb", "applied")], "{first:#}");
    let (_, again) = ann.post(path, &json!({"resource": "cpu_cores"})).await;
    assert_eq!(outcomes(&again), [("cpu_cores", "refused")], "the same person twice: {again:#}");
    let asked = ["recommendation", "approve-all", "--resource", "cpu_cores", "--dry-run"];
    let said = String::from_utf8_lossy(&daemon.asked(&asked).stdout).into_owned();
    assert!(said.contains("would_apply") && said.contains("nothing was changed"), "{said}");
    let (_, second) = ben.post(path, &json!({})).await;
    assert_eq!(outcomes(&second), [("cpu_cores", "applied")], "{second:#}");
    let (_, audit) = admin.get("/v1/audit?tenant=acme").await;
    let changed = audit["items"].as_array().unwrap().iter().filter(|line| line["action"] == "quota_changed");
    assert_eq!(changed.count(), 2, "{audit:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lacks_a_second_factor_is_refused_where_one_is_asked_for_and_nowhere_else() {
    let of_globex = "label_replace(max by (tenant) (tenant_cpu_cores), \\\"tenant\\\", \\\"globex\\\", \\\"\\\", \\\"\\\")";
    let memory = format!("[resources.memory_gb]\nexpression = \"{of_globex}\"\n");
    let (_prometheus, _daemon, admin) = acme(&memory).await;
    let tenant = json!({"id": "globex", "tier": "PREMIUM", "apply_mode": "review"});
    assert_eq!(admin.post("/v1/tenants", &tenant).await.0, 201);
    let both = || async {
        let (_, page) = admin.get("/v1/recommendations?state=proposed").await;
        page["items"].as_array().unwrap().len() == 2
    };
    admin.wait_until("both recommendations wait", both).await;
    let strict = json!({"name": "strict", "tier": "PREMIUM", "security_config": {"mfa_required": true}});
    assert_eq!(admin.post("/v1/templates", &strict).await.0, 201);
    let follow = Some(json!({"template": "strict"}));
    assert_eq!(admin.call(Method::PATCH, "/v1/tenants/acme", None, follow.as_ref()).await.unwrap().0, 200);
    let ann = person(&admin, "ann").await;
    let ways = [("?dry_run=true", "would_apply"), ("", "applied")];
    for (way, outcome) in ways {
        let (status, batch) = ann.post(&format!("/v1/recommendations/approve{way}"), &json!({})).await;
        assert_eq!(status, 200, "{batch:#}");
        assert_eq!(outcomes(&batch), [("cpu_cores", "refused"), ("memory_gb", outcome)], "{batch:#}");
        let items = batch["items"].as_array().unwrap();
        let refused = items.iter().find(|one| one["tenant"] == "acme").unwrap();
        assert!(refused["why"].as_str().unwrap().contains("X-TOTP-Code"), "{refused:#}");
    }
}
