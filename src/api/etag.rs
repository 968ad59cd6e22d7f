//! Versions as ETags: what a caller has seen, what may still be changed, and
//! what need not be sent again.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::header::{ETAG, HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// The ETag of a generation or version.
pub fn tag(generation: u64) -> String {
    format!("\"{generation}\"")
}

/// The versions that a caller has already (`If-None-Match`, RFC 9110, 13.1.2).
pub struct IfNoneMatch(Option<HeaderValue>);

impl<S: Sync> FromRequestParts<S> for IfNoneMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(IfNoneMatch(parts.headers.get(IF_NONE_MATCH).cloned()))
    }
}

impl IfNoneMatch {
    /// The answer to a caller that has this version; `None` where it has not.
    pub fn unchanged(&self, tag: &str) -> Option<Response> {
        let known = self.0.as_ref().and_then(|known| known.to_str().ok()).unwrap_or_default();
        let is_it = |one: &str| matches!(one.trim(), "*") || one.trim().trim_start_matches("W/") == tag;
        known.split(',').any(is_it).then(|| (StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response())
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

/// What an `If-Match` allows that need not be there; `None` where it is not.
///
/// # Errors
/// 400 where it names no generation.
pub fn if_match_given(headers: &HeaderMap) -> Result<Option<IfMatch>, Problem> {
    headers.contains_key(IF_MATCH).then(|| if_match(headers)).transpose()
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
