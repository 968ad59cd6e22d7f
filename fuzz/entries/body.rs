//! The API as a caller meets it: a body for one of its routes, or a proof of who
//! is calling. No answer may be a failure of the daemon's own.

use std::cell::RefCell;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use plimsoll::api::{AccessSettings, ApiSettings, ApiState, router};
use plimsoll::app::{deliverer_over, no_receivers};
use plimsoll::domain::{Step, Timestamp};
use plimsoll::engine::{Compute, Engine, Ids, Parts, Settings};
use plimsoll::ports::Clock;
use plimsoll::registry::Registry;
use plimsoll::security;
use plimsoll::source::FileSource;
use plimsoll::store::{MemoryShelf, MemoryStore, NoHistory};
use plimsoll::target::RegistryTarget;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt;

use super::records;

const TOKEN: &str = "plim_a-token-for-fuzzing-only";
/// After so many calls the state is made anew, so that it does not grow for ever.
/// One that decides something for good counts for many of them.
const CALLS: usize = 2_000;
/// What takes a body, and two that take a query: method, path and the body's type.
/// `{id}` is that of the records. The first byte of an input chooses, so a new one
/// goes to the end; those of the corpus are below the number of routes.
const ROUTES: [(&str, &str, &str); 32] = [
    ("POST", "/v1/tenants", "application/json"),
    ("PATCH", "/v1/tenants/acme", "application/json"),
    ("PUT", "/v1/tenants/acme/quotas/cpu_cores", "application/json"),
    ("POST", "/v1/templates", "application/json"),
    ("PUT", "/v1/templates/gold", "application/json"),
    ("POST", "/v1/template-imports", "application/yaml"),
    ("POST", "/v1/recommendations/approve", "application/json"),
    ("POST", "/v1/rollouts", "application/json"),
    ("POST", "/v1/silences", "application/json"),
    ("POST", "/v1/markers", "application/json"),
    ("PUT", "/v1/receivers/pager", "application/json"),
    ("POST", "/v1/tokens", "application/json"),
    ("PUT", "/v1/pause", "application/json"),
    ("POST", "/v1/session", "application/json"),
    ("POST", "/v1/token/second-factor/confirm", "application/json"),
    ("POST", "/v1/tenants/acme/quotas/cpu_cores/roll-back", "application/json"),
    ("GET", "/v1/fleet", "application/json"),
    ("GET", "/v1/recommendations", "application/json"),
    ("POST", "/v1/templates/silver/clone", "application/json"),
    ("POST", "/v1/recommendations/{id}/approve", "application/json"),
    ("POST", "/v1/recommendations/{id}/reject", "application/json"),
    ("POST", "/v1/change-requests/{id}/approve", "application/json"),
    ("POST", "/v1/change-requests/{id}/reject", "application/json"),
    ("POST", "/v1/incidents/{id}/acknowledge", "application/json"),
    ("POST", "/v1/incidents/{id}/feedback", "application/json"),
    ("POST", "/v1/models/cpu_cores/rollback", "application/json"),
    ("POST", "/v1/rollouts/{id}/approve", "application/json"),
    ("POST", "/v1/rollouts/{id}/pause", "application/json"),
    ("POST", "/v1/rollouts/{id}/resume", "application/json"),
    ("POST", "/v1/rollouts/{id}/switch", "application/json"),
    ("POST", "/v1/rollouts/{id}/finish", "application/json"),
    ("POST", "/v1/rollouts/{id}/roll-back", "application/json"),
];

#[derive(Debug)]
struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(1_790_000_000)
    }
}

struct Api {
    runtime: Runtime,
    router: Router,
    /// How much of the state is used up, in calls.
    spent: usize,
}

/// An engine whose state is in memory and whose source is empty.
fn engine() -> Engine {
    let clock = Arc::new(Standing);
    let parts = Parts {
        source: Arc::new(FileSource::from_frames(Step::FIVE_MINUTES, Vec::new())),
        history: Arc::new(NoHistory),
        shelf: Arc::new(MemoryShelf::default()),
        registry: Registry::new(Arc::new(MemoryStore::default()), clock.clone()),
        target: Arc::new(RegistryTarget),
        prices: None,
        clock,
        ids: Ids::from_seed(1),
        compute: Compute::new(1, 1).expect("no threads"),
        metrics: Arc::default(),
    };
    Engine::new(parts, Settings::default())
}

impl Api {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
        let engine = Arc::new(engine());
        // None may be made over the API either, so that nobody is ever called.
        let outlet = no_receivers().expect("no outlet");
        let deliverer = deliverer_over(&engine, &outlet).expect("no deliverer");
        let hash = security::hash(TOKEN);
        runtime.block_on(engine.registry().add_token(&hash, "fuzz")).expect("no token");
        let most = u32::MAX;
        let access = AccessSettings {
            new_tokens_per_minute: most,
            requests_per_second: most,
            ..AccessSettings::default()
        };
        let settings = ApiSettings { access, ..ApiSettings::default() };
        let state = ApiState::new(Arc::clone(&engine), deliverer, settings);
        let api = Api { runtime, router: router(state), spent: 0 };
        api.make("/v1/tenants", r#"{"id": "acme", "tier": "PREMIUM"}"#);
        api.make("/v1/templates", r#"{"name": "silver", "tier": "PREMIUM"}"#);
        api.make("/v1/token/second-factor", "");
        api.runtime.block_on(records::write(&engine));
        api
    }

    fn make(&self, path: &str, body: &'static str) {
        let request = Request::post(path).header("content-type", "application/json");
        let request = request.body(Body::from(body)).expect("no request");
        let (status, said) = self.status(bearing(TOKEN, request));
        assert_eq!(status, StatusCode::CREATED, "{path}: {said}");
    }

    fn status(&self, request: Request<Body>) -> (StatusCode, String) {
        self.runtime.block_on(async {
            let Ok(response) = self.router.clone().oneshot(request).await;
            let status = response.status();
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap_or_default();
            (status, String::from_utf8_lossy(&body).into_owned())
        })
    }
}

fn bearing(token: &str, mut request: Request<Body>) -> Request<Body> {
    if let Ok(value) = format!("Bearer {token}").parse() {
        request.headers_mut().insert("authorization", value);
    }
    request
}

fn with_api<T>(work: impl FnOnce(&mut Api) -> T) -> T {
    thread_local!(static API: RefCell<Option<Api>> = const { RefCell::new(None) });
    API.with_borrow_mut(|held| {
        if held.as_ref().is_some_and(|api| api.spent >= CALLS) {
            *held = None;
        }
        let api = held.get_or_insert_with(Api::new);
        api.spent += 1;
        work(api)
    })
}

/// How many calls one counts for that was a success: what is decided on once is
/// soon all decided, and while changes are stopped the others are only refused.
fn weight(path: &str) -> usize {
    match path {
        "/v1/pause" => CALLS,
        _ if path.contains("{id}") && !path.starts_with("/v1/incidents/") => CALLS / 4,
        _ => 0,
    }
}

/// A body for one of the routes, which the first byte chooses; for a `GET` it is
/// the query.
pub fn body(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let (method, path, kind) = ROUTES[usize::from(*first) % ROUTES.len()];
    let place = path.replace("{id}", records::ID);
    let mut request = Request::builder().method(method).header("content-type", kind);
    request = match method {
        "GET" => request.uri(format!("{place}?{}", String::from_utf8_lossy(rest))),
        // There is none, and so no version of it to be named.
        _ if path.starts_with("/v1/receivers/") => request.uri(place),
        _ => request.uri(place).header("if-match", "*"),
    };
    // What is no request never reaches the daemon.
    let Ok(request) = request.body(Body::from(rest.to_vec())) else { return };
    let (status, said) = with_api(|api| {
        let (status, said) = api.status(bearing(TOKEN, request));
        api.spent += if status.is_success() { weight(path) } else { 0 };
        (status, said)
    });
    assert!(!is_own_fault(status), "{method} {path}: {status} {said}");
}

/// The routes that take a body, by the OpenAPI document, and are not among those
/// above.
pub fn routes_left_out() -> Vec<String> {
    let request = Request::get("/openapi.json").body(Body::empty()).expect("no request");
    let (status, said) = with_api(|api| api.status(bearing(TOKEN, request)));
    assert_eq!(status, StatusCode::OK, "{said}");
    let document: Value = serde_json::from_str(&said).expect("no document");
    let paths = document["paths"].as_object().expect("no paths");
    let operations = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("no methods");
        methods.iter().map(move |(method, operation)| (method, path, operation))
    });
    let with_body = operations.filter(|(_, _, operation)| operation.get("requestBody").is_some());
    let is_fed = |method: &str, path: &str| {
        ROUTES.iter().any(|(of, fed, _)| of.eq_ignore_ascii_case(method) && is_one_of(fed, path))
    };
    let left_out = with_body.filter(|(method, path, _)| !is_fed(method, path));
    left_out.map(|(method, path, _)| format!("{method} {path}")).collect()
}

/// Whether a path is one of those that a pattern such as `/v1/tenants/{id}` stands for.
fn is_one_of(path: &str, pattern: &str) -> bool {
    let (parts, of) = (path.split('/').collect::<Vec<_>>(), pattern.split('/').collect::<Vec<_>>());
    parts.len() == of.len() && parts.iter().zip(&of).all(|(part, of)| part == of || of.starts_with('{'))
}

/// A proof of who is calling, as a token, a second factor and a cookie.
pub fn knock(bytes: &[u8]) {
    let request = || Request::get("/v1/tenants");
    let value = axum::http::HeaderValue::from_bytes(bytes);
    let Ok(value) = value else { return };
    let bearer = [b"Bearer ", bytes].concat();
    for (name, value) in [
        ("authorization", axum::http::HeaderValue::from_bytes(&bearer).unwrap_or(value.clone())),
        ("authorization", value.clone()),
        ("cookie", value.clone()),
        ("x-forwarded-for", value),
    ] {
        let Ok(request) = request().header(name, value).body(Body::empty()) else { return };
        let (status, said) = with_api(|api| api.status(request));
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{name}: {said}");
    }
}

fn is_own_fault(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE
}
