//! Around every request: its id, its trace, its metrics, its time limit, and headers that
//! keep browsers from doing harm with the answer.

use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::Span;
use tracing::field::Empty;
use uuid::Uuid;

use super::ApiState;
use super::problem::Problem;
use crate::telemetry::{self, TRACEPARENT};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A longer id than this is not taken from a caller.
const LONGEST_ID: usize = 128;

/// Asked thousands of times a second, and answered from memory: a span of each
/// would take as long as the answer, and bury all others. Whoever follows one
/// sends `traceparent`.
const POLLED: &str = "/v1/tenants/{id}/quotas";
/// Answered where they come in, however much the other threads have to do.
const LIGHT: [&str; 3] = [POLLED, "/-/healthy", "/-/ready"];

tokio::task_local! {
    static REQUEST: String;
}

/// The id of the request that is being answered; `None` outside of any.
pub(super) fn present_request() -> Option<String> {
    REQUEST.try_with(Clone::clone).ok()
}

/// Names a request in logs, answers and the audit log.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

/// Gives the request its id and its place in a trace, limits its time, counts it,
/// logs it at debug level, and hardens its answer.
pub async fn observe(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let id = id_of(&request);
    request.extensions_mut().insert(RequestId(id.clone()));
    let (method, begun) = (request.method().clone(), Instant::now());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "none".to_owned());
    let parent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok()?.parse().ok());
    let span = if route == POLLED && parent.is_none() {
        Span::none()
    } else {
        tracing::info_span!(
            "request",
            request_id = id,
            trace_id = Empty,
            %method,
            route,
            status = Empty,
            otel.kind = "server"
        )
    };
    let is_light = request.method().is_safe() && LIGHT.contains(&&*route);
    let (metrics, limit) = (state.engine.metrics(), state.settings.request_time_out);
    let task = if is_light { "polls" } else { "requests" };
    let answer = metrics.polls().timed(task, next.run(request));
    let answer = REQUEST.scope(id.clone(), telemetry::traced(span.clone(), parent, answer));
    let response = async {
        match state.aside.as_ref().filter(|_| !is_light) {
            Some(threads) => in_time(limit, answer_on(threads, answer)).await,
            None => in_time(limit, answer).await,
        }
    };
    let mut response = REQUEST.scope(id.clone(), response).await;
    let (status, took) = (response.status().as_u16(), begun.elapsed());
    metrics.answered(method.as_str(), &route, status, took);
    span.record("status", status);
    span.in_scope(|| tracing::debug!(status, ?took, "answered"));
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    harden(response)
}

/// Answers on other threads; given up where the caller is gone.
async fn answer_on(threads: &Handle, answer: impl Future<Output = Response> + Send + 'static) -> Response {
    // What runs in a set ends when the set is dropped.
    let mut running = JoinSet::new();
    running.spawn_on(answer, threads);
    match running.join_next().await {
        Some(Ok(response)) => response,
        // A panic of a handler is caught before.
        _ => Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon stops").into_response(),
    }
}

/// The caller's own id where it is a sane one, else a new one.
fn id_of(request: &Request) -> String {
    let sane = |id: &&str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
        !id.is_empty() && id.len() <= LONGEST_ID && id.chars().all(allowed)
    };
    let given = request.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(sane);
    given.map_or_else(|| Uuid::from_bytes(rand::random()).to_string(), str::to_owned)
}

/// Gives a request up that takes too long.
async fn in_time(limit: Duration, answer: impl Future<Output = Response>) -> Response {
    match tokio::time::timeout(limit, answer).await {
        Ok(response) => response,
        Err(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("this took longer than {limit:?}; try again"),
        )
        .into_response(),
    }
}

/// Answers are never guessed at, and not kept unless they say so.
fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
