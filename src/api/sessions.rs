//! Sessions of the dashboard: a cookie that stands for a token, so that a
//! browser need not keep the token where scripts can read it.
//!
//! Only the hash of a session's secret is held, and only in memory: a restart
//! ends all sessions. Each request still looks the token up, so a token that
//! is revoked ends its sessions at once. Other sites can't use the cookie
//! (SameSite=Strict), and a write must carry a header that other sites can't
//! send without being asked first (CORS), which this server never allows.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{COOKIE, HeaderName, ORIGIN, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use parking_lot::Mutex;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::auth::Caller;
use super::problem::Problem;
use crate::domain::{AuditAction, Timestamp};
use crate::registry::TokenView;
use crate::security::{self, Token};

/// The cookie's name.
pub(super) const NAME: &str = "plimsoll_session";
/// What a write with a session must carry, with any value.
const PAGE: HeaderName = HeaderName::from_static("x-plimsoll-page");
/// Whence a browser says that a request comes.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How sessions are bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSettings {
    /// The longest that a session lasts.
    pub life: Duration,
    /// How long it lasts while nothing is asked for.
    pub idle: Duration,
    /// The most at once; one more ends the one that was idle longest.
    pub most: usize,
}

impl Default for SessionSettings {
    fn default() -> Self {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        SessionSettings { life: hours(12), idle: hours(2), most: 1000 }
    }
}

#[derive(Debug, Clone)]
struct Held {
    token: String,
    ends_at: Timestamp,
    seen_at: Timestamp,
}

/// The sessions that last, by the hash of their secret.
#[derive(Debug, Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Held>>);

impl Sessions {
    /// The hash of the token that a session stands for; `None` where it is
    /// over, or none of ours.
    pub(super) fn token_of(
        &self,
        session: &str,
        now: Timestamp,
        settings: &SessionSettings,
    ) -> Option<String> {
        let mut all = self.0.lock();
        let held = all.get_mut(session)?;
        if is_over(held, now, settings) {
            all.remove(session);
            return None;
        }
        held.seen_at = now;
        Some(held.token.clone())
    }

    /// Ends a session.
    pub(super) fn end(&self, session: &str) {
        self.0.lock().remove(session);
    }

    fn begin(&self, session: String, token: &str, now: Timestamp, settings: &SessionSettings) -> Timestamp {
        let mut all = self.0.lock();
        all.retain(|_, held| !is_over(held, now, settings));
        while all.len() >= settings.most.max(1) {
            let idle = all.iter().min_by_key(|(_, held)| held.seen_at).map(|(session, _)| session.clone());
            idle.and_then(|session| all.remove(&session));
        }
        let ends_at = now.plus(settings.life);
        all.insert(session, Held { token: token.to_owned(), ends_at, seen_at: now });
        ends_at
    }
}

fn is_over(held: &Held, now: Timestamp, settings: &SessionSettings) -> bool {
    held.ends_at <= now || now.since(held.seen_at) >= settings.idle
}

/// The hash of the session that a request carries.
pub(super) fn of_request(headers: &HeaderMap) -> Option<String> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == NAME).map(|(_, secret)| security::hash(secret))
}

/// Refuses a write with a session that another site could have caused.
///
/// # Errors
/// 403 with what is missing.
pub(super) fn check_site(request: &Parts) -> Result<(), Problem> {
    if matches!(request.method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    let site = request.headers.get(FETCH_SITE);
    let is_own = site.is_none_or(|site| site == "same-origin");
    if is_own && request.headers.contains_key(PAGE) {
        return Ok(());
    }
    let text = "a session may write from the dashboard's own pages only: send X-Plimsoll-Page, or a token";
    Err(Problem::new(StatusCode::FORBIDDEN, text))
}

/// A session that has begun.
#[derive(Debug, Serialize, ToSchema)]
pub struct SessionView {
    /// The token that it stands for.
    token: TokenView,
    /// When it ends at the latest.
    ends_at: Timestamp,
    /// After how many seconds without a request it ends.
    idle_seconds: u64,
}

/// Begin a session of the dashboard. The answer sets a cookie that stands for
/// the token of this request, for browsers only.
#[utoipa::path(post, path = "/v1/session", tag = "tokens", security(("token" = [])),
    responses(
        (status = 201, body = SessionView, headers(("Set-Cookie", description = "the session, HttpOnly and SameSite=Strict"))),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The request carries a session and no token"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn begin(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    if caller.session().is_some() {
        return Err(Problem::new(StatusCode::CONFLICT, "a session begins with a token, not with a session"));
    }
    let registry = state.engine.registry();
    let record = registry.token(caller.hash()).await?;
    let record = record.ok_or_else(|| Problem::not_found("this token is gone"))?;
    let secret = Token::generate().map_err(|error| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("could not {error}; try again"))
    })?;
    let (settings, now) = (&state.settings.access.sessions, state.engine.now());
    let ends_at = state.gate.sessions.begin(secret.hash(), caller.hash(), now, settings);
    note(&state, &caller, AuditAction::SessionBegun).await?;
    let view =
        SessionView { token: record.view(caller.hash()), ends_at, idle_seconds: settings.idle.as_secs() };
    let cookie = cookie(secret.reveal(), settings.life, &headers);
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], Json(view)))
}

/// End the session that the request carries.
#[utoipa::path(delete, path = "/v1/session", tag = "tokens", security(("token" = [])),
    responses(
        (status = 204, description = "It is over"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "The request carries no session"),
    ))]
pub async fn end(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let session = caller.session().ok_or_else(|| Problem::not_found("this request carries no session"))?;
    state.gate.sessions.end(session);
    note(&state, &caller, AuditAction::SessionEnded).await?;
    Ok((StatusCode::NO_CONTENT, [(SET_COOKIE, cookie("", Duration::ZERO, &headers))]))
}

async fn note(state: &ApiState, caller: &Caller, action: AuditAction) -> Result<(), Problem> {
    let values = [serde_json::Value::Null, serde_json::json!({ "address": caller.address() })];
    Ok(state.engine.registry().write_event(action, (None, None), values, caller.remark(None)).await?)
}

/// `Secure` where the page came over TLS, which only the browser knows where a
/// proxy ends it.
fn cookie(secret: &str, life: Duration, headers: &HeaderMap) -> String {
    let by_tls = headers.get(ORIGIN).is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    let secure = if by_tls { "; Secure" } else { "" };
    format!("{NAME}={secret}; Path=/; Max-Age={}; HttpOnly; SameSite=Strict{secure}", life.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn sessions_end_by_age_by_silence_and_when_there_are_too_many() {
        let settings =
            SessionSettings { life: Duration::from_secs(100), idle: Duration::from_secs(30), most: 2 };
        let sessions = Sessions::default();
        let token = |session: &str, now| sessions.token_of(session, at(now), &settings);
        assert_eq!(sessions.begin("a".to_owned(), "t", at(0), &settings), at(100));
        for now in [0, 29, 58, 87, 99] {
            assert_eq!(token("a", now).as_deref(), Some("t"), "{now}");
        }
        assert_eq!(token("a", 100), None, "as old as can be");
        sessions.begin("b".to_owned(), "t", at(200), &settings);
        assert_eq!(token("b", 230), None, "idle");
        for (session, now) in [("c", 300), ("d", 301), ("e", 303)] {
            if session == "e" {
                assert!(token("c", 302).is_some());
            }
            sessions.begin(session.to_owned(), session, at(now), &settings);
        }
        assert_eq!(["c", "d", "e"].map(|one| token(one, 304).is_some()), [true, false, true]);
        sessions.end("c");
        assert_eq!(token("c", 304), None);
    }

    #[test]
    fn the_cookie_is_found_among_others_and_guarded() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, "a=b; plimsoll_session=secret; c=d".parse().unwrap());
        assert_eq!(of_request(&headers), Some(security::hash("secret")));
        assert_eq!(of_request(&HeaderMap::new()), None);
        let plain = cookie("s", Duration::from_secs(9), &headers);
        assert_eq!(plain, "plimsoll_session=s; Path=/; Max-Age=9; HttpOnly; SameSite=Strict");
        headers.insert(ORIGIN, "https://plimsoll.example.com".parse().unwrap());
        assert!(cookie("s", Duration::from_secs(9), &headers).ends_with("; Secure"));
    }
}
