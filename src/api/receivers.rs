//! Receivers of notices, and the notices that they did not take. A secret or
//! the path of a URL is never shown again once it is given.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::auth::Caller;
use super::etag::{IfNoneMatch, if_match_given, tag};
use super::extract::{Body, Path, Query};
use super::page::{Page, PageQuery, no_place, place};
use super::problem::Problem;
use super::reason::WhyRemoved;
use crate::domain::{Receiver, ReceiverKind, ReceiverName, Wanted};
use crate::engine::{KnownReceiver, Origin};
use crate::registry::Disabled;
use crate::registry::outbox::{DeadLetter, Delivery};
use crate::security::{SigningSecret, check_url, hint, shown_url};

/// The settings of a receiver.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiverSettings {
    /// What it understands.
    kind: ReceiverKind,
    /// Where notices are posted; for an Alertmanager its base URL.
    #[schema(value_type = String)]
    url: SecretString,
    /// The other replicas of an Alertmanager.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    replicas: Vec<SecretString>,
    /// Signs what is sent, for standard_webhooks: `whsec_` and 24 to 64 bytes in base64.
    #[schema(value_type = Option<String>, format = Password)]
    secret: Option<SecretString>,
    /// The secret before, which signs besides while the new one is taken up.
    #[schema(value_type = Option<String>, format = Password)]
    old_secret: Option<SecretString>,
    /// Which notices it wants.
    #[serde(default)]
    wanted: Wanted,
}

/// A receiver, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReceiverView {
    name: ReceiverName,
    kind: ReceiverKind,
    /// The beginning of its URL; the rest can be a secret.
    url: String,
    /// The beginnings of the other replicas' URLs.
    replicas: Vec<String>,
    /// The end of its signing secret.
    secret_hint: Option<String>,
    /// The end of the secret before, while it signs too.
    old_secret_hint: Option<String>,
    wanted: Wanted,
    /// Where its settings stand: `config` or `api`.
    origin: &'static str,
    /// Why nothing more is sent to it.
    disabled: Option<Disabled>,
}

impl From<KnownReceiver> for ReceiverView {
    fn from(known: KnownReceiver) -> Self {
        use secrecy::ExposeSecret;
        let KnownReceiver { receiver, origin, disabled, .. } = known;
        let shown = |url: &SecretString| shown_url(url.expose_secret());
        ReceiverView {
            url: shown(&receiver.url),
            replicas: receiver.replicas.iter().map(shown).collect(),
            secret_hint: receiver.secret.as_ref().map(hint),
            old_secret_hint: receiver.old_secret.as_ref().map(hint),
            name: receiver.name,
            kind: receiver.kind,
            wanted: receiver.wanted,
            origin: match origin {
                Origin::Config => "config",
                Origin::Api => "api",
            },
            disabled,
        }
    }
}

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestOutcome {
    /// Whether the receiver took it.
    taken: bool,
    /// What went wrong.
    error: Option<String>,
}

impl ReceiverSettings {
    fn named(self, name: ReceiverName) -> Result<Receiver, Problem> {
        use secrecy::ExposeSecret;
        let bad = |what: String| Problem::unprocessable(format!("can't {what}"));
        if self.kind.is_of_config() {
            let what = format!("make a receiver of the kind {}: only the config does", self.kind.name());
            return Err(bad(what));
        }
        for url in std::iter::once(&self.url).chain(&self.replicas) {
            check_url(url.expose_secret()).map_err(|error| bad(error.to_string()))?;
        }
        if !self.kind.is_alertmanager() && !self.replicas.is_empty() {
            return Err(bad("take replicas: only a receiver of the kind alertmanager has them".to_owned()));
        }
        let signs = self.kind.signs();
        if signs != self.secret.is_some() {
            return Err(bad(
                "take the secret: the kind standard_webhooks needs one, no other has one".to_owned()
            ));
        }
        for secret in self.secret.iter().chain(&self.old_secret) {
            SigningSecret::parse(secret).map_err(|error| bad(error.to_string()))?;
        }
        let ReceiverSettings { kind, url, replicas, secret, old_secret, wanted } = self;
        Ok(Receiver { name, kind, url, replicas, secret, old_secret, letterhead: None, wanted })
    }
}

/// List the receivers by name, those of the config and those of the API.
#[utoipa::path(get, path = "/v1/receivers", tag = "receivers", security(("token" = [])),
    params(PageQuery),
    responses(
        (status = 200, body = Page<ReceiverView>),
    ))]
pub async fn list(
    State(state): State<ApiState>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ReceiverView>>, Problem> {
    let after: Option<ReceiverName> = place(page.cursor.as_deref())?;
    let size = page.size(&state)?;
    let known = state.deliverer.receivers().await?;
    let beyond = known.into_iter().filter(|(name, _)| after.as_ref().is_none_or(|after| name > after));
    let views = beyond.map(|(_, known)| ReceiverView::from(known)).take(size + 1).collect();
    Ok(Json(Page::of(views, size, |view: &ReceiverView| view.name.to_string())))
}

/// Read one receiver.
#[utoipa::path(get, path = "/v1/receivers/{name}", tag = "receivers", security(("token" = [])),
    params(("name" = String, Path, description = "The receiver's name")),
    responses(
        (status = 200, body = ReceiverView, headers(("ETag", description = "its version, where it was made over the API"))),
        (status = 304, description = "It is still the one named in If-None-Match"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn get(
    State(state): State<ApiState>,
    Path(name): Path<ReceiverName>,
    if_none_match: IfNoneMatch,
) -> Result<Response, Problem> {
    let known = state.deliverer.receiver(&name).await?;
    let Some(tag) = known.version.map(tag) else {
        return Ok(Json(ReceiverView::from(known)).into_response());
    };
    if let Some(unchanged) = if_none_match.unchanged(&tag) {
        return Ok(unchanged);
    }
    Ok(([(header::ETAG, tag)], Json(ReceiverView::from(known))).into_response())
}

/// The version that the caller says to have seen, where it says so: none stands
/// where there is no receiver of the API.
async fn seen(state: &ApiState, headers: &HeaderMap, name: &ReceiverName) -> Result<Option<u64>, Problem> {
    let Some(allowed) = if_match_given(headers)? else { return Ok(None) };
    Ok(state.deliverer.receiver(name).await?.version.map(|version| allowed.choose(version)))
}

/// Make a receiver, or give one of the API other settings, all of them. One
/// that was disabled is sent to again. To rotate a secret, give the new one as `secret`
/// and the one before as `old_secret`; later leave `old_secret` out.
#[utoipa::path(put, path = "/v1/receivers/{name}", tag = "receivers", security(("token" = [])),
    params(
        ("name" = String, Path, description = "The receiver's name"),
        ("If-Match" = Option<String>, Header, description = "The version that was seen, in quotes; left out, whichever stands"),
    ),
    request_body = ReceiverSettings,
    responses(
        (status = 200, body = ReceiverView, description = "It has these settings now"),
        (status = 201, body = ReceiverView, description = "It was made"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "If-Match was given, and there is none"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "It has changed since"),
    ))]
pub async fn put(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<ReceiverName>,
    headers: HeaderMap,
    Body(settings): Body<ReceiverSettings>,
) -> Result<(StatusCode, Json<ReceiverView>), Problem> {
    let seen = seen(&state, &headers, &name).await?;
    let receiver = settings.named(name)?;
    let is_new = state.deliverer.put(&receiver, seen, caller.remark(None)).await?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(state.deliverer.receiver(&receiver.name).await?.into())))
}

/// Remove a receiver of the API, with all that is on its way to it.
#[utoipa::path(delete, path = "/v1/receivers/{name}", tag = "receivers", security(("token" = [])),
    params(
        ("name" = String, Path, description = "The receiver's name"),
        ("If-Match" = Option<String>, Header, description = "The version that was seen, in quotes; left out, whichever stands"),
        WhyRemoved,
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "It has changed since"),
    ))]
pub async fn remove(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<ReceiverName>,
    Query(why): Query<WhyRemoved>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let seen = seen(&state, &headers, &name).await?;
    state.deliverer.remove(&name, seen, caller.remark(why.reason)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Send to a receiver again that was disabled because it answered 410.
#[utoipa::path(post, path = "/v1/receivers/{name}/enable", tag = "receivers", security(("token" = [])),
    params(("name" = String, Path, description = "The receiver's name")),
    responses(
        (status = 200, body = ReceiverView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn enable(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<ReceiverName>,
) -> Result<Json<ReceiverView>, Problem> {
    state.deliverer.enable(&name, caller.remark(None)).await?;
    state.deliverer.wake();
    Ok(Json(state.deliverer.receiver(&name).await?.into()))
}

/// Send a test to a receiver, once and at once, and say what came of it.
#[utoipa::path(post, path = "/v1/receivers/{name}/test", tag = "receivers", security(("token" = [])),
    params(("name" = String, Path, description = "The receiver's name")),
    responses(
        (status = 200, body = TestOutcome),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn test(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<ReceiverName>,
) -> Result<Json<TestOutcome>, Problem> {
    let outcome = state.deliverer.test(&name, state.engine.notice_id(), caller.remark(None)).await?;
    let error = outcome.err().map(|error| error.to_string());
    Ok(Json(TestOutcome { taken: error.is_none(), error }))
}

/// Which dead letters are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeadLetterQuery {
    /// Those of this receiver.
    #[param(value_type = Option<String>)]
    receiver: Option<ReceiverName>,
    /// The most entries wanted; the server may give fewer.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// Where the last page ended: its `next`.
    cursor: Option<String>,
}

/// List the notices that were given up, by receiver and number.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "receivers", security(("token" = [])),
    params(DeadLetterQuery),
    responses(
        (status = 200, body = Page<DeadLetter>),
    ))]
pub async fn dead_letters(
    State(state): State<ApiState>,
    Query(query): Query<DeadLetterQuery>,
) -> Result<Json<Page<DeadLetter>>, Problem> {
    let DeadLetterQuery { receiver, limit, cursor } = query;
    let is_place = |text: &str| {
        text.split_once('/').is_some_and(|(name, number)| {
            name.parse::<ReceiverName>().is_ok() && number.parse::<u64>().is_ok()
        })
    };
    if cursor.as_deref().is_some_and(|cursor| !is_place(cursor)) {
        return Err(no_place());
    }
    let size = PageQuery { limit, cursor: None }.size(&state)?;
    let registry = state.engine.registry();
    let found = registry.dead_letters(receiver.as_ref(), cursor.as_deref(), size + 1).await?;
    let next = |dead: &DeadLetter| format!("{}/{:020}", dead.delivery.receiver, dead.delivery.number);
    Ok(Json(Page::of(found, size, next)))
}

/// Send a notice again that was given up.
#[utoipa::path(post, path = "/v1/dead-letters/{receiver}/{number}/send-again", tag = "receivers",
    security(("token" = [])),
    params(("receiver" = String, Path, description = "The receiver's name"), ("number" = u64, Path)),
    responses(
        (status = 202, body = Delivery),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn send_again(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path((receiver, number)): Path<(ReceiverName, u64)>,
) -> Result<impl IntoResponse, Problem> {
    let delivery = state.deliverer.send_again(&receiver, number, caller.remark(None)).await?;
    state.deliverer.wake();
    Ok((StatusCode::ACCEPTED, Json(delivery)))
}
