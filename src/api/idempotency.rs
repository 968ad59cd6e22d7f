//! The same write sent twice is done once: a request with an `Idempotency-Key`
//! (draft-ietf-httpapi-idempotency-key-header) is answered from what was kept
//! of the first one.
//!
//! Only what was done is kept: a request that was refused changed nothing, and
//! may be sent again once that is mended. The answer is kept after the write is
//! durable, so a crash just between both loses the answer, and the request that
//! is sent again runs into what stands against a second one: a generation or
//! version that has moved on, or a name that is taken. A silence, a marker and a
//! test of a receiver have no such thing, and would be made twice then. A caller
//! that goes away does not stop a request that carries a key.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Request};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use parking_lot::Mutex;

use super::ApiState;
use super::access;
use super::auth::Caller;
use super::problem::Problem;
use crate::registry::KeptAnswer;
use crate::security::{hex, sha256};

/// Names the request among its caller's.
const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Marks an answer that was given before.
const REPEATED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key, in bytes.
pub(super) const LONGEST_KEY: usize = 255;
/// What else is kept of an answer.
const KEPT: [HeaderName; 3] = [CONTENT_TYPE, ETAG, LOCATION];

/// The requests with a key that are being carried out.
#[derive(Debug, Clone, Default)]
pub(super) struct UnderWay(Arc<Mutex<HashSet<String>>>);

/// Marks one until it is dropped.
struct Mark(UnderWay, String);

impl UnderWay {
    /// `None` where it is marked already.
    fn mark(&self, place: &str) -> Option<Mark> {
        let is_new = self.0.lock().insert(place.to_owned());
        // Made only where it is new: dropping one takes the mark away.
        is_new.then(|| Mark(self.clone(), place.to_owned()))
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.0.0.lock().remove(&self.1);
    }
}

/// Carries a write out that has no key, or one that was not seen.
pub(super) async fn once<F>(
    state: ApiState,
    caller: &Caller,
    request: Request,
    carry_out: impl FnOnce(Request) -> F,
) -> Response
where
    F: Future<Output = Response> + Send + 'static,
{
    match key_of(&request) {
        Ok(None) => carry_out(request).await,
        Ok(Some(key)) => {
            let place = hex(&sha256([caller.hash().as_bytes(), &[0], key.as_bytes()]));
            answer(state, place, request, carry_out).await.unwrap_or_else(Problem::into_response)
        }
        Err(problem) => problem.into_response(),
    }
}

fn key_of(request: &Request) -> Result<Option<String>, Problem> {
    let Some(key) = request.headers().get(KEY) else { return Ok(None) };
    let sane = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= LONGEST_KEY);
    let key = sane.ok_or_else(|| {
        Problem::bad_request(format!("Idempotency-Key takes 1 to {LONGEST_KEY} characters of ASCII"))
    })?;
    Ok(Some(key.to_owned()))
}

async fn answer<F>(
    state: ApiState,
    place: String,
    request: Request,
    carry_out: impl FnOnce(Request) -> F,
) -> Result<Response, Problem>
where
    F: Future<Output = Response> + Send + 'static,
{
    let (parts, body) = request.into_parts();
    let limit = state.settings.max_body;
    let body = to_bytes(body, limit).await.map_err(|_| {
        let text = format!("the body is larger than {limit} bytes (server.max_body), or broke off");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    })?;
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let seen = parts.headers.get(IF_MATCH).map(HeaderValue::as_bytes).unwrap_or_default();
    let method = parts.method.as_str().as_bytes();
    let fingerprint = hex(&sha256([method, &[0], path.as_bytes(), &[0], seen, &[0], &body[..]]));
    let metrics = Arc::clone(state.engine.metrics());
    let mark = state.gate.under_way.mark(&place).ok_or_else(|| {
        metrics.idempotency_key("in_flight");
        let text = "a request with this Idempotency-Key is under way; come again in a second";
        Problem::new(StatusCode::CONFLICT, text).retry_after(1)
    })?;
    let life = state.settings.access.answers.life;
    if let Some(kept) = state.engine.registry().kept_answer(&place, life).await? {
        let is_same = kept.fingerprint == fingerprint;
        metrics.idempotency_key(if is_same { "repeated" } else { "other_request" });
        return repeat(kept, is_same);
    }
    metrics.idempotency_key("new");
    let route = parts.extensions.get::<MatchedPath>().map(MatchedPath::as_str).unwrap_or_default();
    let is_secret = access::answers_a_secret(route);
    let request = Request::from_parts(parts, Body::from(body));
    let carried_out = carry_out(request);
    // A task of its own: it is not given up where the caller is.
    let task = tokio::spawn(async move {
        let response = carried_out.await;
        let response = keep(&state, place, fingerprint, is_secret, response).await;
        drop(mark);
        response
    });
    task.await.unwrap_or_else(|error| Err(Problem::internal(&error)))
}

/// Keeps what was done. Where that fails the caller has its answer all the
/// same, since the write is durable.
async fn keep(
    state: &ApiState,
    place: String,
    fingerprint: String,
    is_secret: bool,
    response: Response,
) -> Result<Response, Problem> {
    if !response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body: Bytes = to_bytes(body, usize::MAX).await.map_err(|error| Problem::internal(&error))?;
    let limits = state.settings.access.answers;
    let fits = !is_secret && body.len() <= state.settings.max_body.min(limits.bytes / 2);
    let text = std::str::from_utf8(&body).ok().filter(|_| fits).map(str::to_owned);
    let kept = KeptAnswer {
        fingerprint,
        at: state.engine.now(),
        status: parts.status.as_u16(),
        headers: kept_headers(&parts.headers),
        body: text,
    };
    if let Err(error) = state.engine.registry().keep_answer(place, &kept, limits).await {
        tracing::error!("failed to keep the answer to a request with an Idempotency-Key: {error}");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn kept_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let kept = KEPT.into_iter().filter_map(|name| {
        let value = headers.get(&name)?.to_str().ok()?;
        Some((name.to_string(), value.to_owned()))
    });
    kept.collect()
}

/// The answer that was given before, to the same request only.
fn repeat(kept: KeptAnswer, is_same: bool) -> Result<Response, Problem> {
    if !is_same {
        return Err(Problem::unprocessable(
            "this Idempotency-Key was used for another request; make a new one for each",
        ));
    }
    let Some(body) = kept.body else {
        let text = "this was done already, and its answer is not kept: it held a secret or was too large";
        return Err(Problem::new(StatusCode::CONFLICT, text));
    };
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    headers.remove(CONTENT_TYPE);
    for (name, value) in kept.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(&value)) {
            headers.insert(name, value);
        }
    }
    headers.insert(REPEATED, HeaderValue::from_static("true"));
    Ok(response)
}
