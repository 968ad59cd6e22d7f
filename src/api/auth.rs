//! Who calls: the bearer of a token whose hash is kept.

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::ApiState;
use super::observe::RequestId;
use super::problem::Problem;
use crate::domain::Actor;
use crate::registry::Remark;
use crate::security;

/// Who calls, and which call it is.
#[derive(Debug, Clone)]
pub struct Caller {
    name: String,
    request_id: Option<String>,
}

impl Caller {
    /// The caller's words, as they stand in the audit log.
    pub fn remark(&self, comment: Option<String>) -> Remark {
        Remark { by: self.actor(), comment, request_id: self.request_id.clone() }
    }

    /// The caller, as it stands in the audit log.
    pub fn actor(&self) -> Actor {
        Actor::Person(self.name.clone())
    }

    /// The call, as it stands in the audit log.
    pub fn request_id(&self) -> Option<String> {
        self.request_id.clone()
    }
}

/// Lets only bearers of a known token through.
pub async fn require_token(State(state): State<ApiState>, mut request: Request, next: Next) -> Response {
    let Some(token) = bearer(request.headers()) else {
        return refused("send a token, as in Authorization: Bearer plim_…");
    };
    match state.engine.registry().token(&security::hash(token)).await {
        Ok(Some(record)) => {
            let request_id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
            request.extensions_mut().insert(Caller { name: record.name, request_id });
            next.run(request).await
        }
        Ok(None) => refused("this token is not known"),
        Err(error) => Problem::from(error).into_response(),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let text = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = text.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

fn refused(detail: &str) -> Response {
    let mut response = Problem::new(StatusCode::UNAUTHORIZED, detail).into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}
