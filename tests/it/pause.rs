//! The switch that stops all changes of quotas, over a restart.

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::Daemon;
use crate::setup::{config_for, nowhere};

const QUOTA: &str = "/v1/tenants/acme/quotas/cpu_cores";

async fn ask(caller: &Caller) -> (u16, Value) {
    let wish = json!({"limit": 6.5, "reason": "a test"});
    caller.put(QUOTA, Some("\"1\""), &wish).await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changes_while_all_is_stopped_also_after_a_restart() {
    let mut daemon = Daemon::start(&config_for(&nowhere(), "")).await;
    let caller = Caller::of(&daemon);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "tier": "PREMIUM"})).await.0, 201);
    assert_eq!(caller.get("/v1/pause").await.1, json!({"paused": null}));
    assert_eq!(caller.put("/v1/pause", None, &json!({"reason": " "})).await.0, 422);
    let (status, paused) = caller.put("/v1/pause", None, &json!({"reason": "the network is rebuilt"})).await;
    assert_eq!((status, &paused["paused"]["reason"]), (200, &json!("the network is rebuilt")));
    let (_, again) = caller.put("/v1/pause", None, &json!({"reason": "me too"})).await;
    assert_eq!(again, paused, "it is stopped already");
    for restart in [false, true] {
        if restart {
            daemon.kill();
            daemon.start_again().await;
        }
        let (status, problem) = ask(&caller).await;
        assert_eq!(status, 409, "{problem:#}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("the network is rebuilt") && detail.contains("plimsoll resume"), "{detail}");
        assert_eq!(caller.get(QUOTA).await.1["generation"], 1);
        assert_eq!(caller.get("/v1/summary").await.1["paused"]["reason"], "the network is rebuilt");
    }
    assert_eq!(caller.call(reqwest::Method::DELETE, "/v1/pause", None, None).await.unwrap().0, 204);
    assert_eq!(ask(&caller).await.0, 200);
    let (_, audit) = caller.get("/v1/audit").await;
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions[..3], ["quota_changed", "changes_resumed", "changes_paused"]);
}
