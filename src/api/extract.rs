//! Paths, queries, bodies and headers of requests, each refused with a problem
//! that names the place.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts};
use axum::http::StatusCode;
use axum::http::header::{HeaderMap, IF_MATCH};

use super::problem::Problem;

/// A JSON body. Unknown fields and wrong types are refused by their names.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub struct Body<T>(pub T);

/// The parts of a path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// The query behind a path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let detail = rejection.body_text();
        match rejection {
            JsonRejection::JsonDataError(_) => Problem::unprocessable(detail),
            other => Problem::new(other.status(), detail),
        }
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        Problem::new(rejection.status(), rejection.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Problem::bad_request(rejection.body_text())
    }
}

/// The generation that an `If-Match` names.
///
/// # Errors
/// 428 where there is none, 400 where it is no generation.
pub fn if_match(headers: &HeaderMap) -> Result<u64, Problem> {
    let Some(tag) = headers.get(IF_MATCH) else {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "name the generation that you have seen, as in If-Match: \"3\"; it is the ETag of a GET",
        ));
    };
    let text = tag.to_str().unwrap_or_default();
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    inner.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Problem::bad_request(format!("can't read If-Match: {text}; give a generation in quotes, as in \"3\""))
    })
}
