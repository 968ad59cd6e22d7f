//! The dashboard, served from the binary: no build step, nothing from
//! elsewhere. Everything on it comes from the API, and is only ever set as
//! text; the browser is told to allow nothing else.

mod assets;

use axum::Router;
use axum::extract::Path;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_NONE_MATCH,
    REFERRER_POLICY,
};
use axum::http::{Method, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use assets::Asset;

/// Only what this server itself sends may run or be shown, and nothing may be
/// made into markup or a script from a text. The logo of a tenant is a picture
/// in a text (`data:`).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// Where the pages are. Each is the same document, which reads its address.
const PAGES: [&str; 11] = [
    "/",
    "/login",
    "/tenants/{id}",
    "/tenants/{id}/{resource}",
    "/incidents",
    "/incidents/{id}",
    "/rollouts",
    "/rollouts/{id}",
    "/reports",
    "/models",
    "/audit",
];

/// The pages and their parts. They hold no data, so they need no token.
pub fn router() -> Router {
    let pages = PAGES.iter().fold(Router::new(), |router, path| router.route(path, get(page)));
    pages.route("/assets/{name}", get(asset))
}

/// Whether a person's browser asks for a page.
pub fn wants_page<B>(request: &Request<B>) -> bool {
    request.method() == Method::GET
        && !request.uri().path().starts_with("/v1/")
        && request.headers().get(ACCEPT).is_some_and(|accept| accept.as_bytes().starts_with(b"text/html"))
}

/// Where there is no such page, the one that says so, in the place of an answer
/// for machines.
pub fn or_page(response: Response) -> Response {
    match response.status() {
        StatusCode::NOT_FOUND => {
            (StatusCode::NOT_FOUND, send(&assets::PAGE, &HeaderMap::new())).into_response()
        }
        _ => response,
    }
}

async fn page(headers: HeaderMap) -> Response {
    send(&assets::PAGE, &headers)
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match assets::named(&name) {
        Some(asset) => send(asset, &headers),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A browser keeps what it has as long as its tag is the same, but asks each
/// time, so that a new version of the daemon is seen at once.
fn send(asset: &Asset, headers: &HeaderMap) -> Response {
    let tag = asset.tag();
    let guards: [(HeaderName, &str); 7] = [
        (CONTENT_TYPE, asset.kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (ETAG, &tag),
    ];
    let known = headers.get(IF_NONE_MATCH).and_then(|known| known.to_str().ok()).unwrap_or_default();
    if known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag) {
        return (StatusCode::NOT_MODIFIED, guards).into_response();
    }
    (guards, asset.text).into_response()
}
