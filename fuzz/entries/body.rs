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
use tokio::runtime::Runtime;
use tower::ServiceExt;

const TOKEN: &str = "plim_a-token-for-fuzzing-only";
/// After so many calls the state is made anew, so that it does not grow for ever.
const CALLS: usize = 2_000;
/// What takes a body: method, path and its type.
const ROUTES: [(&str, &str, &str); 18] = [
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
    calls: usize,
}

impl Api {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("no runtime");
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
        let engine = Arc::new(Engine::new(parts, Settings::default()));
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
        let api = Api { runtime, router: router(ApiState::new(engine, deliverer, settings)), calls: 0 };
        let acme = Request::post("/v1/tenants").header("content-type", "application/json");
        let acme = acme.body(Body::from(r#"{"id": "acme", "tier": "PREMIUM"}"#));
        assert_eq!(api.status(bearing(TOKEN, acme.expect("no request"))).0, StatusCode::CREATED);
        api
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
        if held.as_ref().is_some_and(|api| api.calls >= CALLS) {
            *held = None;
        }
        let api = held.get_or_insert_with(Api::new);
        api.calls += 1;
        work(api)
    })
}

/// A body for one of the routes, which the first byte chooses; for a `GET` it is
/// the query.
pub fn body(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let (method, path, kind) = ROUTES[usize::from(*first) % ROUTES.len()];
    let mut request = Request::builder().method(method).header("content-type", kind);
    request = if method == "GET" {
        request.uri(format!("{path}?{}", String::from_utf8_lossy(rest)))
    } else {
        request.uri(path).header("if-match", "\"1\"")
    };
    // What is no request never reaches the daemon.
    let Ok(request) = request.body(Body::from(rest.to_vec())) else { return };
    let (status, said) = with_api(|api| api.status(bearing(TOKEN, request)));
    assert!(!is_own_fault(status), "{method} {path}: {status} {said}");
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
