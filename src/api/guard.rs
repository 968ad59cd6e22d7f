//! What a guarded request passes before its handler: its token, and where it
//! writes, the key that lets it happen once and the code of a second factor.
//!
//! It is one layer on purpose. Each layer costs a request several allocations,
//! and gateways poll quotas thousands of times a second.

use axum::extract::{RawPathParams, Request, State};
use axum::http::StatusCode;
use axum::http::header::{HeaderValue, WWW_AUTHENTICATE};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::auth::{self, Caller};
use super::problem::Problem;
use super::{ApiState, idempotency};

/// Lets only bearers of a token through that may do what they ask for.
pub(super) async fn guard(
    State(state): State<ApiState>,
    parameters: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let (mut parts, body) = request.into_parts();
    let caller = match auth::admitted(&state, &parameters, &parts).await {
        Ok(caller) => caller,
        Err(problem) => return refusal(problem),
    };
    parts.extensions.insert(caller.clone());
    let request = Request::from_parts(parts, body);
    if request.method().is_safe() {
        return next.run(request).await;
    }
    let named = auth::tenant_in(&parameters);
    let (held, by) = (state.clone(), caller.clone());
    let once = idempotency::once(state, &caller, request, |request| write(held, by, named, request, next));
    // In a place of its own, so that a read need not carry the room for it along.
    Box::pin(once).await
}

fn refusal(problem: Problem) -> Response {
    let unknown = problem.is(StatusCode::UNAUTHORIZED);
    let mut response = problem.into_response();
    if unknown {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// A write. The code of a second factor comes after what is known of an
/// Idempotency-Key: a request that is only answered again uses no code up.
async fn write(
    state: ApiState,
    caller: Caller,
    named: Option<String>,
    request: Request,
    next: Next,
) -> Response {
    if let Err(problem) = caller.admit_named(&state, named).await {
        return problem.into_response();
    }
    let changes = request.uri().path() != "/v1/session";
    let response = next.run(request).await;
    if changes && response.status().is_success() {
        // The rows of the fleet's page that are kept may be old now.
        state.fleet.forget();
    }
    response
}
