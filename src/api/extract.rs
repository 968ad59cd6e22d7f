//! Paths, queries, bodies and headers of requests, each refused with a problem
//! that names the place.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use axum::http::header::{HeaderMap, IF_MATCH};

use serde::de::DeserializeOwned;

use super::ApiState;
use super::problem::Problem;

/// A JSON body. Unknown fields and wrong types are refused by their names.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<ApiState> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let read = axum::Json::from_request(request, state).await;
        read.map(|axum::Json(body)| Body(body))
            .map_err(|rejection| refused(rejection, state.settings.max_body))
    }
}

fn refused(rejection: JsonRejection, max_body: usize) -> Problem {
    let detail = rejection.body_text();
    match rejection {
        JsonRejection::JsonDataError(_) => Problem::unprocessable(detail),
        other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => too_large(max_body),
        other => Problem::new(other.status(), detail),
    }
}

fn too_large(max_body: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is larger than {max_body} bytes; send less, or raise server.max_body"),
    )
}

/// A body of text, of whatever type it says it is.
pub struct Text(pub String);

impl FromRequest<ApiState> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        String::from_request(request, state).await.map(Text).map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(state.settings.max_body),
            status => Problem::new(status, rejection.body_text()),
        })
    }
}

/// The parts of a path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// The query behind a path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        // A path with a part that can't be, such as an unknown resource, leads nowhere.
        match rejection.status() {
            StatusCode::BAD_REQUEST => Problem::not_found(rejection.body_text()),
            status => Problem::new(status, rejection.body_text()),
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Problem::bad_request(rejection.body_text())
    }
}

/// Which generations a caller allows to be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// Whatever stands.
    Any,
    /// One of these; never empty.
    OneOf(u64, Vec<u64>),
}

impl IfMatch {
    /// The generation to ask for, where `current` stands. Where the caller
    /// named others, it is one of those, so that the change is refused.
    pub fn choose(&self, current: u64) -> u64 {
        match self {
            IfMatch::Any => current,
            IfMatch::OneOf(_, others) if others.contains(&current) => current,
            IfMatch::OneOf(first, _) => *first,
        }
    }
}

/// What an `If-Match` allows (RFC 9110, 13.1.1).
///
/// # Errors
/// 428 where there is none, 400 where it names no generation.
pub fn if_match(headers: &HeaderMap) -> Result<IfMatch, Problem> {
    let Some(tag) = headers.get(IF_MATCH) else {
        return Err(Problem::new(
            StatusCode::PRECONDITION_REQUIRED,
            "name the generation that you have seen, as in If-Match: \"3\"; it is the ETag of a GET",
        ));
    };
    let text = tag.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(IfMatch::Any);
    }
    let read = |one: &str| one.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok();
    let generations: Option<Vec<u64>> = text.split(',').map(read).collect();
    match generations.as_deref() {
        Some([first, others @ ..]) => Ok(IfMatch::OneOf(*first, others.to_vec())),
        _ => Err(Problem::bad_request(format!(
            "can't read If-Match: {text}; give a generation in quotes, as in \"3\""
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<IfMatch> {
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, text.parse().unwrap());
        if_match(&headers).ok()
    }

    #[test]
    fn an_if_match_is_a_generation_a_list_or_a_star() {
        assert_eq!(read("\"3\""), Some(IfMatch::OneOf(3, vec![])));
        assert_eq!(read("*").unwrap().choose(7), 7);
        let list = read("\"3\", \"5\"").unwrap();
        assert_eq!((list.choose(5), list.choose(3), list.choose(9)), (5, 3, 3));
        for bad in ["3", "", "W/\"3\"", "\"x\"", "\"3\","] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
