//! What a gateway asks for again and again: the quotas of a tenant, and to be
//! told of a change at once.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::Daemon;
use crate::setup::{config_for, nowhere};

const QUOTAS: &str = "/v1/tenants/acme/quotas";

async fn daemon(server: &str) -> (Daemon, Caller) {
    let config = config_for(&nowhere(), "").replace("[server]\n", &format!("[server]\n{server}\n"));
    let daemon = Daemon::start(&config).await;
    let caller = Caller::of(&daemon);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "tier": "PREMIUM"})).await.0, 201);
    (daemon, caller)
}

/// What stands, by its tag.
async fn seen(daemon: &Daemon) -> String {
    let answer = daemon.get(QUOTAS).send().await.unwrap();
    answer.headers()["etag"].to_str().unwrap().to_owned()
}

/// Begins to wait for something else than what was seen; again where somebody
/// has the place just then.
fn wait(
    daemon: &Daemon,
    token: Option<&str>,
    tag: &str,
) -> tokio::task::JoinHandle<reqwest::Result<Response>> {
    let path = format!("{QUOTAS}?wait=20s");
    let request = match token {
        None => daemon.get(&path),
        Some(token) => daemon.http().get(format!("{}{path}", daemon.url)).bearer_auth(token),
    };
    let request = request.header("if-none-match", tag);
    tokio::spawn(async move {
        loop {
            let answer = request.try_clone().expect("it has no body").send().await?;
            if answer.status() != StatusCode::SERVICE_UNAVAILABLE {
                return Ok(answer);
            }
        }
    })
}

/// Until somebody waits: then there is no place for a second one.
async fn until_full(daemon: &Daemon, tag: &str) -> Response {
    for _ in 0..200 {
        let path = format!("{QUOTAS}?wait=10ms");
        let answer = daemon.get(&path).header("if-none-match", tag).send().await.unwrap();
        if answer.status() != StatusCode::NOT_MODIFIED {
            return answer;
        }
    }
    panic!("nobody waits");
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_wait_as_may_and_each_is_told_at_once() {
    let (daemon, caller) = daemon("max_waiting = 1").await;
    let tag = seen(&daemon).await;
    let waiting = wait(&daemon, None, &tag);
    let refused = until_full(&daemon, &tag).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    let problem: Value = refused.json().await.unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("server.max_waiting"), "{problem:#}");
    let plain = daemon.get(QUOTAS).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(plain.status(), StatusCode::NOT_MODIFIED, "without wait there is always an answer");

    let path = format!("{QUOTAS}/cpu_cores");
    assert_eq!(caller.put(&path, Some("\"1\""), &json!({"limit": 6.0})).await.0, 200);
    let told = waiting.await.unwrap().unwrap();
    assert_eq!(told.status(), StatusCode::OK);
    let quotas: Value = told.json().await.unwrap();
    let cpu = quotas["items"].as_array().unwrap().iter().find(|one| one["resource"] == "cpu_cores").unwrap();
    assert_eq!((&cpu["limit"], &cpu["generation"]), (&json!(6.0), &json!(2)));
    let again = wait(&daemon, None, &seen(&daemon).await);
    assert_eq!(until_full(&daemon, &seen(&daemon).await).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    again.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_daemon_ends_the_wait() {
    let (mut daemon, _caller) = daemon("max_waiting = 1").await;
    let tag = seen(&daemon).await;
    let waiting = wait(&daemon, None, &tag);
    until_full(&daemon, &tag).await;
    daemon.terminate();
    assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::NOT_MODIFIED);
    assert!(daemon.wait().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_ask_any_more_is_told_nothing() {
    let (daemon, caller) = daemon("max_waiting = 1").await;
    let locked =
        json!({"name": "locked", "tier": "PREMIUM", "security_config": {"ip_whitelist": ["10.9.9.0/24"]}});
    assert_eq!(caller.post("/v1/templates", &locked).await.0, 201);
    let (_, made) =
        caller.post("/v1/tokens", &json!({"name": "gateway", "role": "viewer", "tenants": ["acme"]})).await;
    let tag = seen(&daemon).await;
    let waiting = wait(&daemon, made["token"].as_str(), &tag);
    until_full(&daemon, &tag).await;
    let edit = json!({"template": "locked"});
    let (status, tenant) =
        caller.call(Method::PATCH, "/v1/tenants/acme", Some("*"), Some(&edit)).await.unwrap();
    assert_eq!(status, 200, "{tenant:#}");
    let path = format!("{QUOTAS}/cpu_cores");
    assert_eq!(caller.put(&path, Some("*"), &json!({"limit": 6.0})).await.0, 200);
    assert_eq!(waiting.await.unwrap().unwrap().status(), StatusCode::FORBIDDEN, "it calls from 127.0.0.1");
}
