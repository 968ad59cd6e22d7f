//! Quotas that are enforced elsewhere: in files, and at a server of the
//! platform that is down, answers wrongly, or will not have a change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::put;
use plimsoll::security::SigningSecret;
use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::Daemon;
use crate::setup::{config_for, nowhere};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const QUOTA: &str = "/v1/tenants/acme/quotas/cpu_cores";

/// The platform: keeps limits, checks signatures, and does as it is told.
#[derive(Clone, Default)]
struct Platform(Arc<Mutex<Held>>);

#[derive(Default)]
struct Held {
    limits: BTreeMap<String, f64>,
    /// The answer to the next calls in the place of doing anything.
    refuses_with: Option<u16>,
    /// Takes what it is told, and keeps another limit.
    forgets: bool,
    calls: Vec<(HeaderMap, Value)>,
}

impl Platform {
    async fn start(&self) -> String {
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/quotas/{{tenant}}/{{resource}}", socket.local_addr().unwrap());
        let routes =
            Router::new().route("/quotas/{tenant}/{resource}", put(set).get(get)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(socket, routes).await });
        url
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.0.lock().unwrap()
    }
}

async fn set(
    State(platform): State<Platform>,
    Path((tenant, resource)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let secret = SigningSecret::parse(&SECRET.into()).unwrap();
    let seconds = header("webhook-timestamp").parse().unwrap();
    assert_eq!(header("webhook-signature"), secret.sign(&header("webhook-id"), seconds, &body));
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let mut held = platform.held();
    held.calls.push((headers, asked.clone()));
    if let Some(status) = held.refuses_with {
        return (StatusCode::from_u16(status).unwrap(), "not now".to_owned());
    }
    let limit = if held.forgets { 1.0 } else { asked["limit"].as_f64().unwrap() };
    held.limits.insert(format!("{tenant}/{resource}"), limit);
    (StatusCode::NO_CONTENT, String::new())
}

async fn get(
    State(platform): State<Platform>,
    Path((tenant, resource)): Path<(String, String)>,
) -> (StatusCode, String) {
    match platform.held().limits.get(&format!("{tenant}/{resource}")) {
        Some(limit) => (StatusCode::OK, json!({"limit": limit}).to_string()),
        None => (StatusCode::NOT_FOUND, String::new()),
    }
}

async fn daemon(target: &str) -> (Daemon, Caller) {
    let daemon = Daemon::start(&config_for(&nowhere(), &format!("[target]\n{target}\n"))).await;
    let caller = Caller::of(&daemon);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "tier": "PREMIUM"})).await.0, 201);
    (daemon, caller)
}

/// Asks for a limit from the generation that stands.
async fn ask(caller: &Caller, limit: f64) -> (u16, Value) {
    let (_, quota) = caller.get(QUOTA).await;
    let tag = format!("\"{}\"", quota["generation"]);
    caller
        .call(Method::PUT, QUOTA, Some(&tag), Some(&json!({"limit": limit, "reason": "a test"})))
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_stand_in_a_file_before_they_count() {
    let (daemon, caller) = daemon("kind = \"file\"\nfolder = \"quotas\"").await;
    assert_eq!(ask(&caller, 6.5).await.0, 200);
    let text = std::fs::read_to_string(daemon.folder().join("quotas/acme.yaml")).unwrap();
    assert!(text.contains("cpu_cores:") && text.contains("limit: 6.5") && text.contains("a test"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_is_down_gets_the_change_later_and_once() {
    let platform = Platform::default();
    let url = platform.start().await;
    let (_daemon, caller) = daemon(&format!("kind = \"http\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"")).await;
    platform.held().refuses_with = Some(503);
    let (status, problem) = ask(&caller, 6.5).await;
    assert!(status == 503 || status == 202, "{status} {problem:#}");
    assert_eq!(caller.get(QUOTA).await.1["generation"], 1, "it does not count yet");
    platform.held().refuses_with = None;
    caller
        .wait_until("the change is seen through", || async {
            caller.get(QUOTA).await.1["limit"].as_f64() == Some(6.5)
        })
        .await;
    let held = platform.held();
    assert_eq!(held.limits["acme/cpu_cores"], 6.5);
    let (headers, asked) = &held.calls[0];
    assert_eq!((headers["if-match"].to_str().unwrap(), &asked["generation"]), ("\"1\"", &json!(2)));
    let keys: Vec<&str> =
        held.calls.iter().map(|(headers, _)| headers["idempotency-key"].to_str().unwrap()).collect();
    assert!(keys.len() > 1 && keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_waits_while_all_is_stopped() {
    let platform = Platform::default();
    let url = platform.start().await;
    let (_daemon, caller) = daemon(&format!("kind = \"http\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"")).await;
    platform.held().refuses_with = Some(503);
    assert_eq!(ask(&caller, 6.5).await.0, 503);
    assert_eq!(caller.put("/v1/pause", None, &json!({"reason": "a rebuild"})).await.0, 200);
    let (status, problem) = ask(&caller, 7.0).await;
    assert!(status == 409 && problem["detail"].as_str().unwrap().contains("a rebuild"), "{problem:#}");
    platform.held().refuses_with = None;
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert!(platform.held().limits.is_empty(), "two cycles went by");
    assert_eq!(caller.call(Method::DELETE, "/v1/pause", None, None).await.unwrap().0, 204);
    let done = || async { caller.get(QUOTA).await.1["limit"].as_f64() == Some(6.5) };
    caller.wait_until("it is seen through", done).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_will_not_have_a_change_leaves_the_quota() {
    let platform = Platform::default();
    let url = platform.start().await;
    let (_daemon, caller) = daemon(&format!("kind = \"http\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"")).await;
    platform.held().refuses_with = Some(409);
    let (status, problem) = ask(&caller, 6.5).await;
    assert!(status >= 400 && problem["detail"].as_str().unwrap().contains("not now"), "{status} {problem:#}");
    platform.held().refuses_with = None;
    platform.held().forgets = true;
    let (status, problem) = ask(&caller, 7.5).await;
    assert!(
        status >= 400 && problem["detail"].as_str().unwrap().contains("1 holds there"),
        "{status} {problem:#}"
    );
    assert_eq!(caller.get(QUOTA).await.1["generation"], 1);
    let (_, audit) = caller.get("/v1/audit").await;
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions.iter().filter(|action| **action == "change_failed").count(), 2, "{actions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changed_at_the_target_is_found_and_set_right() {
    let platform = Platform::default();
    let url = platform.start().await;
    let reported =
        format!("kind = \"http\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\nreconcile_every = \"1s\"");
    let (reporting, caller) = daemon(&reported).await;
    assert_eq!(ask(&caller, 6.5).await.0, 200);
    platform.held().limits.insert("acme/cpu_cores".to_owned(), 99.0);
    let drifts = |caller: Caller| async move { caller.get("/v1/drift?limit=500").await.1["items"].clone() };
    let of_cpu =
        |all: &Value| all.as_array().unwrap().iter().find(|one| one["resource"] == "cpu_cores").cloned();
    caller
        .wait_until("it is told of", || async {
            of_cpu(&drifts(caller.clone()).await).is_some_and(|one| one["target"] == 99.0)
        })
        .await;
    let told = of_cpu(&drifts(caller.clone()).await).unwrap();
    assert_eq!((&told["registry"], &told["repaired"]), (&json!(6.5), &json!(false)));
    assert_eq!(platform.held().limits["acme/cpu_cores"], 99.0, "nothing was changed");
    drop(reporting);

    let (_repairing, caller) = daemon(&format!("{reported}\ndrift = \"repair\"")).await;
    caller
        .wait_until("the quota of the registry holds again", || async {
            platform.held().limits["acme/cpu_cores"] == 8.0
        })
        .await;
    caller
        .wait_until("nothing differs any more", || async { drifts(caller.clone()).await == json!([]) })
        .await;
    let (_, audit) = caller.get("/v1/audit").await;
    let repair = audit["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["action"] == "target_repaired" && line["resource"] == "cpu_cores");
    assert_eq!(repair.unwrap()["before"], 99.0, "{audit:#}");
}
