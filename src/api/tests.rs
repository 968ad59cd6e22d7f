//! The API over an engine whose state is in memory and whose source is empty.

mod fleet;
mod idempotency;
mod model;
mod page;
mod people;
mod ready;
mod receivers;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt;

use super::*;
use crate::domain::{Actor, AuditAction, Role, Step, Timestamp};
use crate::engine::{Compute, Ids, Parts, Settings, Silent};
use crate::ports::{Clock, Store, UsageSource};
use crate::registry::{NewToken, Registry, Remark};
use crate::security;
use crate::source::FileSource;
use crate::store::{MemoryShelf, MemoryStore, NoHistory};
use crate::target::RegistryTarget;
use crate::telemetry::Metrics;

const TOKEN: &str = "plim_a-token-for-tests";

#[derive(Debug)]
struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_790_000_000)
    }
}

/// The API and its engine over a store, with ids from a seed.
async fn api_over(store: Arc<dyn Store>, seed: u64) -> (Router, Arc<Engine>) {
    api_with(store, seed, Settings::default()).await
}

/// The same with an engine that is set in another way.
async fn api_with(store: Arc<dyn Store>, seed: u64, settings: Settings) -> (Router, Arc<Engine>) {
    api_from(Arc::new(FileSource::from_frames(Step::FIVE_MINUTES, Vec::new())), store, seed, settings).await
}

/// The same over a source.
async fn api_from(
    source: Arc<dyn UsageSource>,
    store: Arc<dyn Store>,
    seed: u64,
    settings: Settings,
) -> (Router, Arc<Engine>) {
    let clock = Arc::new(Standing);
    let parts = Parts {
        source,
        history: Arc::new(NoHistory),
        shelf: Arc::new(MemoryShelf::default()),
        registry: Registry::new(store, clock.clone()),
        target: Arc::new(RegistryTarget),
        prices: None,
        clock,
        ids: Ids::from_seed(seed),
        compute: Compute::new(1, 1).unwrap(),
        metrics: Arc::new(Metrics::default()),
    };
    let engine = Arc::new(Engine::new(parts, settings));
    let deliverer = crate::app::deliverer_over(&engine, &crate::app::demo_receivers().unwrap()).unwrap();
    engine.registry().add_token(&security::hash(TOKEN), "tester").await.unwrap();
    let access = AccessSettings { new_tokens_per_minute: 10_000, ..AccessSettings::default() };
    let settings =
        ApiSettings { access, max_body: 4096, max_page: 2, default_page: 2, ..ApiSettings::default() };
    (router(ApiState::new(engine.clone(), deliverer, settings)), engine)
}

/// The API, its engine, and one registered tenant of tier PREMIUM.
async fn api() -> (Router, Arc<Engine>) {
    let (router, engine) = api_over(Arc::new(MemoryStore::default()), 1).await;
    let created =
        call(&router, "POST", "/v1/tenants", &[], Some(json!({"id": "acme", "tier": "PREMIUM"}))).await;
    assert_eq!(created.0, StatusCode::CREATED, "{}", created.2);
    assert_eq!(created.1["location"], "/v1/tenants/acme");
    (router, engine)
}

async fn call(
    router: &Router,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Value>,
) -> (StatusCode, HeaderMap, Value) {
    let mut request = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "authorization") {
        request = request.header("authorization", format!("Bearer {TOKEN}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = match body {
        Some(json) => {
            request = request.header("content-type", "application/json");
            Body::from(json.to_string())
        }
        None => Body::empty(),
    };
    let response = router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (status, headers, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

async fn get(router: &Router, path: &str) -> (StatusCode, HeaderMap, Value) {
    call(router, "GET", path, &[], None).await
}

#[tokio::test]
async fn a_tenant_that_names_no_provider_has_that_of_the_config() {
    let aws =
        Settings { provider: "aws".to_owned(), region: "eu-central-1".to_owned(), ..Settings::default() };
    let (api, _) = api_with(Arc::new(MemoryStore::default()), 1, aws).await;
    let made = async |body: Value| {
        let (status, _, made) = call(&api, "POST", "/v1/tenants", &[], Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        (made["provider"].clone(), made["region"].clone())
    };
    let none = made(json!({"id": "none", "tier": "PREMIUM"})).await;
    assert_eq!(none, (json!("aws"), json!("eu-central-1")));
    let other = made(json!({"id": "other", "tier": "PREMIUM", "provider": "gcp"})).await;
    assert_eq!(other, (json!("gcp"), json!("default")), "the region of the config is one of aws");
    let region = made(json!({"id": "region", "tier": "PREMIUM", "region": "us-east-1"})).await;
    assert_eq!(region, (json!("aws"), json!("us-east-1")));
}

#[tokio::test]
async fn only_health_is_open() {
    let (api, _) = api().await;
    let (_, _, document) = get(&api, "/openapi.json").await;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 17, "{paths:#?}");
    for (path, methods) in paths {
        let open = path.starts_with("/-/") && path != "/-/reload";
        let real = path.replace("{id}", "acme").replace("{resource}", "cpu_cores");
        for method in methods.as_object().unwrap().keys().map(|name| name.to_uppercase()) {
            let bad = [("authorization", "Bearer plim_wrong")];
            let (status, headers, _) = call(&api, &method, &real, &bad, None).await;
            assert_eq!(status != StatusCode::UNAUTHORIZED, open, "{method} {path}: {status}");
            assert_eq!(headers.contains_key("www-authenticate"), !open, "{method} {path}");
        }
    }
    assert!(document["components"]["securitySchemes"]["token"].is_object(), "{document:#}");
    assert!(!document.to_string().contains("\"tuple\""));
}

#[tokio::test]
async fn errors_are_problem_documents() {
    let (api, _) = api().await;
    let big = json!({"id": "x".repeat(5000), "tier": "FREE"});
    let unknown = json!({"id": "b", "tier": "FREE", "colour": "red"});
    let cases: [(&str, &str, Option<Value>, u16, &str); 16] = [
        ("GET", "/v1/tenants?cursor=a%2Fb", None, 400, "can't read cursor"),
        ("GET", "/v1/recommendations?cursor=odd", None, 400, "can't read cursor"),
        ("GET", "/v1/audit?cursor=odd", None, 400, "can't read cursor"),
        ("GET", "/v1/nothing", None, 404, "there is nothing at /v1/nothing"),
        ("DELETE", "/v1/tenants", None, 405, "can't be called with DELETE"),
        ("GET", "/v1/tenants/nobody", None, 404, "find the tenant nobody"),
        ("GET", "/v1/tenants/acme/quotas/cpu", None, 404, "cpu_cores"),
        ("GET", "/v1/tenants?limit=0", None, 400, "at least 1"),
        ("GET", "/v1/tenants?limit=x", None, 400, "limit"),
        ("GET", "/v1/recommendations?state=odd", None, 400, "the states are proposed"),
        ("POST", "/v1/tenants", Some(unknown), 422, "colour"),
        ("POST", "/v1/tenants", Some(json!({"id": "a/b", "tier": "FREE"})), 422, "tenant id"),
        ("POST", "/v1/tenants", Some(json!({"id": "acme", "tier": "FREE"})), 409, "there is one already"),
        ("POST", "/v1/tenants", Some(big), 413, "larger than 4096 bytes"),
        ("GET", "/v1/tenants?limt=3", None, 400, "limt"),
        (
            "GET",
            "/v1/recommendations/00000000-0000-0000-0000-000000000000",
            None,
            404,
            "find the recommendation",
        ),
    ];
    for (method, path, body, expected, words) in cases {
        let (status, headers, problem) = call(&api, method, path, &[], body).await;
        assert_eq!(status.as_u16(), expected, "{method} {path}: {problem}");
        assert_eq!(headers["content-type"], "application/problem+json", "{method} {path}");
        assert_eq!(problem["status"], expected, "{method} {path}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{method} {path}: {problem}");
    }
}

#[tokio::test]
async fn a_quota_changes_only_from_the_generation_that_was_seen() {
    let (api, engine) = api().await;
    let path = "/v1/tenants/acme/quotas/cpu_cores";
    let (_, headers, quota) = get(&api, path).await;
    assert_eq!((quota["limit"].as_f64(), &headers["etag"]), (Some(8.0), &"\"1\"".parse().unwrap()));
    let put = |tag: &'static str, limit: f64| {
        let (api, body) = (api.clone(), json!({"limit": limit, "reason": "more load"}));
        async move { call(&api, "PUT", path, &[("if-match", tag), ("x-request-id", "call-7")], Some(body)).await }
    };
    let (status, headers, quota) = put("\"1\"", 9.0).await;
    assert_eq!((status, quota["generation"].as_u64()), (StatusCode::OK, Some(2)), "{quota}");
    assert_eq!(
        (&headers["etag"], &headers["x-request-id"]),
        (&"\"2\"".parse().unwrap(), &"call-7".parse().unwrap())
    );
    assert_eq!(put("\"1\"", 9.5).await.0, StatusCode::PRECONDITION_FAILED);
    assert_eq!(put("2", 9.5).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(
        call(&api, "PUT", path, &[], Some(json!({"limit": 9}))).await.0,
        StatusCode::PRECONDITION_REQUIRED
    );
    for (limit, rule) in [(0.1, "below_floor"), (1e6, "above_ceiling")] {
        let (status, _, problem) = put("\"2\"", limit).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(problem["objections"][0]["rule"], rule, "{problem}");
    }
    let newest = engine.registry().audit(None, None, 1).await.unwrap().remove(0).event;
    assert_eq!((newest.reason.as_str(), newest.request_id.as_deref()), ("more load", Some("call-7")));
}

#[tokio::test]
async fn quotas_are_polled_cheaply() {
    let (api, _) = api().await;
    let (_, headers, all) = get(&api, "/v1/tenants/acme/quotas").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 10);
    let tag = headers["etag"].to_str().unwrap();
    let again = call(&api, "GET", "/v1/tenants/acme/quotas", &[("if-none-match", tag)], None).await;
    assert_eq!(again.0, StatusCode::NOT_MODIFIED);
    let body = Some(json!({"limit": 9}));
    call(&api, "PUT", "/v1/tenants/acme/quotas/cpu_cores", &[("if-match", "\"1\"")], body).await;
    let changed = call(&api, "GET", "/v1/tenants/acme/quotas", &[("if-none-match", tag)], None).await;
    assert_eq!(changed.0, StatusCode::OK);
    let cpu = |all: &Value| all["items"].as_array().unwrap()[0].clone();
    assert_ne!(cpu(&changed.2), cpu(&all), "the first is cpu_cores");
}

#[tokio::test]
async fn whoever_waits_hears_of_a_change_at_once_and_of_nothing_once_revoked() {
    let (api, engine) = api().await;
    let made = call(&api, "POST", "/v1/tenants", &[], Some(json!({"id": "other", "tier": "FREE"}))).await;
    assert_eq!(made.0, StatusCode::CREATED);
    let reader =
        NewToken { name: "gateway".to_owned(), role: Role::Viewer, tenants: vec![], expires_at: None };
    let by = || Remark { by: Actor::Person("tester".to_owned()), comment: None, request_id: None };
    let view = engine.registry().create_token(&security::hash("plim_gateway"), reader, by()).await.unwrap();
    let (_, headers, _) = get(&api, "/v1/tenants/acme/quotas").await;
    let tag = headers["etag"].to_str().unwrap().to_owned();
    let wait = |text: &'static str| {
        let (api, tag) = (api.clone(), tag.clone());
        async move {
            let path = format!("/v1/tenants/acme/quotas?wait={text}");
            let seen = [("if-none-match", tag.as_str()), ("authorization", "Bearer plim_gateway")];
            call(&api, "GET", &path, &seen, None).await
        }
    };
    assert_eq!(wait("soon").await.0, StatusCode::BAD_REQUEST);
    assert_eq!(wait("1ms").await.0, StatusCode::NOT_MODIFIED, "nothing has changed");

    let set = async |tenant: &str, limit: f64| {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let path = format!("/v1/tenants/{tenant}/quotas/cpu_cores");
        let put = call(&api, "PUT", &path, &[("if-match", "*")], Some(json!({"limit": limit}))).await;
        assert_eq!(put.0, StatusCode::OK, "{}", put.2);
    };
    let (heard, ()) = tokio::join!(wait("300ms"), set("other", 1.5));
    assert_eq!(heard.0, StatusCode::NOT_MODIFIED, "another tenant's change is not told");
    let (heard, ()) = tokio::join!(wait("20s"), set("acme", 9.0));
    assert_eq!(heard.0, StatusCode::OK);
    assert!(heard.2.to_string().contains("9.0"), "{}", heard.2);

    let (_, headers, _) = get(&api, "/v1/tenants/acme/quotas").await;
    let now = headers["etag"].to_str().unwrap().to_owned();
    let seen = [("if-none-match", now.as_str()), ("authorization", "Bearer plim_gateway")];
    let revoke = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        engine.registry().revoke_token(&view.id, by()).await.unwrap();
    };
    let (heard, ()) =
        tokio::join!(call(&api, "GET", "/v1/tenants/acme/quotas?wait=20s", &seen, None), revoke);
    assert_eq!(heard.0, StatusCode::UNAUTHORIZED, "a revoked token ends its wait");
}

#[tokio::test]
async fn a_tenant_made_again_is_not_taken_for_the_one_before() {
    let (api, _) = api().await;
    let (_, headers, _) = get(&api, "/v1/tenants/acme/quotas").await;
    let tag = headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(call(&api, "DELETE", "/v1/tenants/acme", &[], None).await.0, StatusCode::NO_CONTENT);
    let seen = [("if-none-match", tag.as_str())];
    let path = "/v1/tenants/acme/quotas";
    assert_eq!(call(&api, "GET", path, &seen, None).await.0, StatusCode::NOT_FOUND);
    // The sum of its generations is the same.
    let made = call(&api, "POST", "/v1/tenants", &[], Some(json!({"id": "acme", "tier": "FREE"}))).await;
    assert_eq!(made.0, StatusCode::CREATED);
    let again = call(&api, "GET", path, &seen, None).await;
    assert_eq!(again.0, StatusCode::OK, "{}", again.2);
}

#[tokio::test]
async fn long_lists_come_in_pages() {
    let (api, _) = api().await;
    for id in ["b", "c", "d"] {
        let created = call(&api, "POST", "/v1/tenants", &[], Some(json!({"id": id, "tier": "FREE"}))).await;
        assert_eq!(created.0, StatusCode::CREATED);
    }
    for (path, key, expected) in [
        ("/v1/tenants", "id", vec!["acme", "b", "c", "d"]),
        ("/v1/audit", "tenant", vec!["d", "c", "b", "acme", "null"]),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let (_, _, page) = get(&api, &format!("{path}?limit=50{cursor}")).await;
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= 2, "a page is at most max_page long");
            seen.extend(items.iter().map(|item| item[key].as_str().unwrap_or("null").to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            cursor = format!("&cursor={next}");
        }
        assert_eq!(seen, expected, "{path}");
    }
}

#[tokio::test]
async fn a_tenants_mode_is_changed_and_audited() {
    let (api, engine) = api().await;
    let body = json!({"apply_mode": "approved", "reason": "trusted now"});
    let (status, _, tenant) = call(&api, Method::PATCH.as_str(), "/v1/tenants/acme", &[], Some(body)).await;
    assert_eq!((status, tenant["apply_mode"].as_str()), (StatusCode::OK, Some("approved")), "{tenant}");
    let newest = engine.registry().audit(None, None, 1).await.unwrap().remove(0).event;
    assert_eq!((newest.before, newest.after), (json!("observe"), json!("approved")));
}

#[tokio::test]
async fn a_tenant_moves_to_another_tier_and_leaves() {
    let (api, engine) = api().await;
    let body = json!({"tier": "ENTERPRISE", "name": "Acme"});
    let (status, _, tenant) = call(&api, "PATCH", "/v1/tenants/acme", &[], Some(body)).await;
    assert_eq!((status, &tenant["tier"]), (StatusCode::OK, &json!("ENTERPRISE")), "{tenant}");
    assert_eq!((&tenant["name"], &tenant["apply_mode"]), (&json!("Acme"), &json!("observe")));
    // What PREMIUM forbade is allowed since.
    let path = "/v1/tenants/acme/quotas/cpu_cores";
    let wish = || Some(json!({"limit": 100.0}));
    let (status, _, quota) = call(&api, "PUT", path, &[("if-match", "*")], wish()).await;
    assert_eq!((status, &quota["generation"]), (StatusCode::OK, &json!(2)), "{quota}");
    let stale = call(&api, "PUT", path, &[("if-match", "\"7\", \"9\"")], wish()).await;
    assert_eq!(stale.0, StatusCode::PRECONDITION_FAILED, "{}", stale.2);

    assert_eq!(call(&api, "DELETE", "/v1/tenants/acme", &[], None).await.0, StatusCode::NO_CONTENT);
    for gone in ["/v1/tenants/acme", "/v1/tenants/acme/quotas", path] {
        assert_eq!(get(&api, gone).await.0, StatusCode::NOT_FOUND, "{gone}");
    }
    let newest = engine.registry().audit(None, None, 1).await.unwrap().remove(0).event;
    assert_eq!(
        (newest.action, newest.before["tier"].as_str()),
        (AuditAction::TenantRemoved, Some("ENTERPRISE"))
    );
    assert_eq!(call(&api, "DELETE", "/v1/tenants/acme", &[], None).await.0, StatusCode::NOT_FOUND);
}

/// Many callers that have seen the same generation: one of them changes the
/// quota, and nobody overwrites what they have not seen.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_at_once_just_one_is_heard() {
    let (api, _) = api().await;
    let path = "/v1/tenants/acme/quotas/cpu_cores";
    for round in 1..=200_u64 {
        let callers: Vec<_> = (0..16)
            .map(|caller| {
                let (api, body) = (api.clone(), json!({"limit": 2.0 + f64::from(caller)}));
                let tag = format!("\"{round}\"");
                tokio::spawn(async move {
                    call(&api, "PUT", path, &[("if-match", &tag)], Some(body)).await.0.as_u16()
                })
            })
            .collect();
        let mut heard = 0;
        for caller in callers {
            let status = caller.await.unwrap();
            assert!(matches!(status, 200 | 409 | 412), "{status}");
            heard += usize::from(status == 200);
        }
        let (_, _, quota) = get(&api, path).await;
        assert_eq!((heard, quota["generation"].as_u64()), (1, Some(round + 1)), "round {round}");
    }
}

/// The one table of roles and the document name the same routes; each route
/// lets its role in, and no lower one.
#[tokio::test]
async fn each_route_asks_for_its_role() {
    let (api, engine) = api().await;
    let (_, _, document) = get(&api, "/openapi.json").await;
    let mut documented: Vec<(String, String)> = vec![("GET".to_owned(), "/openapi.json".to_owned())];
    for (path, methods) in document["paths"].as_object().unwrap().iter().filter(|(path, _)| {
        // Whether the daemon lives is told to anybody; a reload is not anybody's to ask for.
        !path.starts_with("/-/") || path.as_str() == "/-/reload"
    }) {
        for (method, operation) in methods.as_object().unwrap() {
            let told = operation["description"].as_str().unwrap_or_default();
            assert!(told.contains("Needs a token of the role"), "{method} {path}: {told}");
            for status in ["401", "403", "429"] {
                assert!(
                    operation["responses"][status].is_object(),
                    "{method} {path} says nothing of {status}"
                );
            }
            documented.push((method.to_uppercase(), path.clone()));
        }
    }
    documented.sort();
    let mut ruled: Vec<(String, String)> =
        access::RULES.iter().map(|rule| (rule.method.to_owned(), rule.path.to_owned())).collect();
    ruled.sort();
    assert_eq!(documented, ruled);

    for role in Role::ALL {
        let new = NewToken { name: role.to_string(), role, tenants: Vec::new(), expires_at: None };
        let remark = Remark { by: Actor::Daemon, comment: None, request_id: None };
        let hash = security::hash(&format!("plim_{role}"));
        engine.registry().create_token(&hash, new, remark).await.unwrap();
    }
    for rule in access::RULES {
        // Nothing of this is there, so that nothing is changed.
        let path = rule.path.replace("{id}", "nobody").replace("{resource}", "odd").replace("{number}", "1");
        let path = path.replace("{name}", "nobody").replace("{receiver}", "nobody").replace("{version}", "1");
        for role in Role::ALL {
            let bearer = format!("Bearer plim_{role}");
            let (status, _, answer) =
                call(&api, rule.method, &path, &[("authorization", &bearer)], None).await;
            let let_in = status != StatusCode::FORBIDDEN && status != StatusCode::UNAUTHORIZED;
            assert_eq!(let_in, role >= rule.role, "{role}: {} {path}: {answer}", rule.method);
        }
    }
}

/// What a browser keeps of an answer.
fn cookie_of(headers: &HeaderMap) -> String {
    headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned()
}

/// A call with a cookie in the place of a token.
async fn with_cookie(
    router: &Router,
    method: &str,
    path: &str,
    cookie: &str,
    more: &[(&str, &str)],
) -> StatusCode {
    let mut request = Request::builder().method(method).uri(path).header("cookie", cookie);
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
}

#[tokio::test]
async fn a_session_stands_for_its_token_and_can_be_forged_by_nobody() {
    let (api, engine) = api().await;
    let made = call(&api, "POST", "/v1/tokens", &[], Some(json!({"name": "vera", "role": "viewer"}))).await;
    let (id, token) = (made.2["id"].as_str().unwrap(), made.2["token"].as_str().unwrap());
    let bearer = format!("Bearer {token}");
    let (status, headers, body) =
        call(&api, "POST", "/v1/session", &[("authorization", &bearer)], None).await;
    assert_eq!((status, &body["token"]["name"]), (StatusCode::CREATED, &json!("vera")), "{body:#}");
    assert!(headers["set-cookie"].to_str().unwrap().contains("; HttpOnly; SameSite=Strict"));
    let cookie = cookie_of(&headers);
    assert!(!cookie.contains(token) && !body.to_string().contains(&cookie[17..]), "{cookie}");

    assert_eq!(with_cookie(&api, "GET", "/v1/tenants", &cookie, &[]).await, StatusCode::OK);
    // The role is the token's.
    let own = ("x-plimsoll-page", "1");
    assert_eq!(with_cookie(&api, "DELETE", "/v1/tenants/acme", &cookie, &[own]).await, StatusCode::FORBIDDEN);
    let elsewhere = [own, ("sec-fetch-site", "cross-site")];
    for guards in [&[][..], &elsewhere] {
        let status = with_cookie(&api, "DELETE", "/v1/session", &cookie, guards).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{guards:?}");
    }
    assert_eq!(with_cookie(&api, "POST", "/v1/session", &cookie, &[own]).await, StatusCode::CONFLICT);
    assert_eq!(call(&api, "DELETE", "/v1/session", &[], None).await.0, StatusCode::NOT_FOUND, "no session");
    let same = [own, ("sec-fetch-site", "same-origin")];
    assert_eq!(with_cookie(&api, "DELETE", "/v1/session", &cookie, &same).await, StatusCode::NO_CONTENT);
    assert_eq!(with_cookie(&api, "GET", "/v1/tenants", &cookie, &[]).await, StatusCode::UNAUTHORIZED);

    // A token that is revoked takes its sessions with it, with one line in the log.
    let (_, headers, _) = call(&api, "POST", "/v1/session", &[("authorization", &bearer)], None).await;
    let cookie = cookie_of(&headers);
    assert_eq!(with_cookie(&api, "GET", "/v1/tenants", &cookie, &[]).await, StatusCode::OK);
    assert_eq!(call(&api, "DELETE", &format!("/v1/tokens/{id}"), &[], None).await.0, StatusCode::OK);
    for _ in 0..3 {
        assert_eq!(with_cookie(&api, "GET", "/v1/tenants", &cookie, &[]).await, StatusCode::UNAUTHORIZED);
    }
    let log = engine.registry().audit(None, None, 4).await.unwrap();
    let actions: Vec<AuditAction> = log.into_iter().map(|line| line.event.action).collect();
    use AuditAction::{LoginFailed, SessionBegun, SessionEnded, TokenRevoked};
    assert_eq!(actions, [LoginFailed, TokenRevoked, SessionBegun, SessionEnded]);
}

#[tokio::test]
async fn the_fleet_is_searched_sorted_and_paged() {
    let (api, _) = api().await;
    for (id, tier) in [("brig", "FREE"), ("cutter", "STANDARD")] {
        let body = json!({"id": id, "name": id.to_uppercase(), "tier": tier, "apply_mode": "review"});
        assert_eq!(call(&api, "POST", "/v1/tenants", &[], Some(body)).await.0, StatusCode::CREATED);
    }
    let names = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|row| row["tenant"].as_str().unwrap().to_owned()).collect()
    };
    let (_, _, first) = get(&api, "/v1/fleet?descending=true").await;
    assert_eq!(names(&first), ["cutter", "brig"], "{first:#}");
    assert_eq!((&first["next"], &first["totals"]["tenants"]), (&json!("2"), &json!(3)));
    let (_, _, second) = get(&api, "/v1/fleet?descending=true&cursor=2").await;
    assert_eq!((names(&second), &second["next"]), (vec!["acme".to_owned()], &Value::Null));
    for (query, found) in [
        ("search=RI", vec!["brig"]),
        ("tier=STANDARD", vec!["cutter"]),
        ("mode=observe", vec!["acme"]),
        ("only=waiting", vec![]),
        ("resource=cpu_cores&sort=saving", vec!["acme", "brig"]),
    ] {
        let (status, _, page) = get(&api, &format!("/v1/fleet?{query}")).await;
        assert_eq!(
            (status, names(&page)),
            (StatusCode::OK, found.iter().map(|id| (*id).to_owned()).collect())
        );
    }
    let (_, _, one) = get(&api, "/v1/fleet/acme").await;
    assert_eq!(
        (&one["quotas"][0]["limit"], &one["quotas"][0]["usage"]),
        (&json!(8.0), &Value::Null),
        "{one:#}"
    );
    assert_eq!(one["quotas"].as_array().map(Vec::len), Some(10));
    for (path, status) in
        [("/v1/fleet/nobody", 404), ("/v1/fleet?sort=colour", 400), ("/v1/fleet?cursor=x", 400)]
    {
        assert_eq!(get(&api, path).await.0.as_u16(), status, "{path}");
    }
}

#[tokio::test]
async fn the_audit_log_is_searched() {
    let (api, _) = api().await;
    let change = json!({"apply_mode": "review", "reason": "Launch is NEAR"});
    assert_eq!(call(&api, "PATCH", "/v1/tenants/acme", &[], Some(change)).await.0, StatusCode::OK);
    let future = "2090-01-01T00:00:00Z";
    for (query, lines) in [
        ("text=near".to_owned(), 1),
        ("text=acme".to_owned(), 2),
        ("action=tenant_created".to_owned(), 1),
        ("actor=TEST&action=apply_mode_changed".to_owned(), 1),
        ("actor=nobody".to_owned(), 0),
        ("resource=cpu_cores".to_owned(), 0),
        (format!("from={future}"), 0),
        (format!("to={future}&tenant=acme"), 2),
    ] {
        let (status, _, page) = get(&api, &format!("/v1/audit?{query}")).await;
        let found = page["items"].as_array().map(Vec::len);
        assert_eq!((status, found), (StatusCode::OK, Some(lines)), "{query}: {page:#}");
    }
    assert_eq!(get(&api, "/v1/audit?order=oldest&text=x").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_tenant_that_has_moved_on_is_not_changed_unseen() {
    let (api, _) = api().await;
    let path = "/v1/tenants/acme";
    let tag = get(&api, path).await.1["etag"].to_str().unwrap().to_owned();
    let unchanged = call(&api, "GET", path, &[("if-none-match", &tag)], None).await;
    assert_eq!(unchanged.0, StatusCode::NOT_MODIFIED);
    let patch = |tag: Option<&str>, name: &str| {
        let headers: Vec<(&str, String)> = tag.map(|tag| ("if-match", tag.to_owned())).into_iter().collect();
        let (api, body) = (api.clone(), json!({ "name": name }));
        async move {
            let headers: Vec<(&str, &str)> =
                headers.iter().map(|(name, tag)| (*name, tag.as_str())).collect();
            call(&api, "PATCH", path, &headers, Some(body)).await.0
        }
    };
    assert_eq!(patch(Some(&tag), "Acme").await, StatusCode::OK);
    assert_eq!(patch(Some(&tag), "Other").await, StatusCode::PRECONDITION_FAILED);
    assert_eq!(patch(Some("odd"), "Other").await, StatusCode::BAD_REQUEST);
    assert_eq!(patch(None, "Other").await, StatusCode::OK);
    let removed = call(&api, "DELETE", path, &[("if-match", &tag)], None).await;
    assert_eq!(removed.0, StatusCode::PRECONDITION_FAILED, "{}", removed.2);
    assert_eq!(call(&api, "DELETE", path, &[("if-match", "*")], None).await.0, StatusCode::NO_CONTENT);
}
