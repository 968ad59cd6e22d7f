//! Tokens: given out with a role, listed, revoked; and the second factor of
//! the caller's own.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ApiState;
use super::auth::Caller;
use super::extract::{Body, Path, Query};
use super::page::{Page, PageQuery};
use super::problem::Problem;
use super::reason::WhyRemoved;
use crate::domain::{Role, TenantId};
use crate::registry::{NewToken, TokenView};
use crate::security::{SecondFactor, Token};

/// A token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenToCreate {
    /// The name that stands in the audit log: 1 to 64 of `a-z A-Z 0-9 . _ -`.
    #[schema(pattern = "^[a-zA-Z0-9._-]{1,64}$")]
    name: String,
    /// What its bearer may do.
    role: Role,
    /// For which tenants; all where it is left out.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    tenants: Vec<TenantId>,
    /// How long it lets its bearer in, such as `90d`; access.token_life where
    /// it is left out.
    expires_in: Option<String>,
    /// Why.
    reason: Option<String>,
}

/// A token that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenMade {
    #[serde(flatten)]
    view: TokenView,
    /// The token itself. It is shown this once; only its hash is kept.
    token: String,
}

/// What a second factor is set up with.
#[derive(Debug, Serialize, ToSchema)]
pub struct SecondFactorToSetUp {
    /// To be typed into an authenticator. It is shown this once.
    secret: String,
    /// The same for a picture that an authenticator reads.
    url: String,
}

/// A code of an authenticator.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeToConfirm {
    /// The six digits that it shows now.
    code: String,
}

/// List the tokens, without what lets anybody in.
#[utoipa::path(get, path = "/v1/tokens", tag = "tokens", security(("token" = [])),
    params(PageQuery),
    responses(
        (status = 200, body = Page<TokenView>),
    ))]
pub async fn list(
    State(state): State<ApiState>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TokenView>>, Problem> {
    let is_id = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_hexdigit());
    if page.cursor.as_deref().is_some_and(|cursor| !is_id(cursor)) {
        return Err(super::page::no_place());
    }
    let size = page.size(&state)?;
    let found = state.engine.registry().tokens(page.cursor.as_deref(), size + 1).await?;
    Ok(Json(Page::of(found, size, |view| view.id.clone())))
}

/// Make a token. It is shown in the answer and never again.
#[utoipa::path(post, path = "/v1/tokens", tag = "tokens", security(("token" = [])),
    request_body = TokenToCreate,
    responses(
        (status = 201, body = TokenMade),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such tenant"),
    ))]
pub async fn create(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Body(wish): Body<TokenToCreate>,
) -> Result<(StatusCode, Json<TokenMade>), Problem> {
    let TokenToCreate { name, role, tenants, expires_in, reason } = wish;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err(Problem::unprocessable("name must have 1 to 64 of the characters a-z A-Z 0-9 . _ -"));
    }
    let life = life(&state, expires_in.as_deref())?;
    for tenant in &tenants {
        state.engine.registry().tenant(tenant).await?;
    }
    let token = Token::generate().map_err(|error| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("could not {error}; try again"))
    })?;
    let expires_at = Some(state.engine.now().plus(life));
    let new = NewToken { name, role, tenants, expires_at };
    let view = state.engine.registry().create_token(&token.hash(), new, caller.remark(reason)).await?;
    Ok((StatusCode::CREATED, Json(TokenMade { view, token: token.reveal().to_owned() })))
}

fn life(state: &ApiState, wished: Option<&str>) -> Result<Duration, Problem> {
    let access = &state.settings.access;
    let Some(text) = wished else { return Ok(access.token_life) };
    let life = humantime::parse_duration(text).map_err(|error| {
        Problem::unprocessable(format!("can't read expires_in {text:?}: {error}; write it like 90d"))
    })?;
    let longest = access.longest_token_life;
    if life.is_zero() || life > longest {
        let days = longest.as_secs() / 86_400;
        let text =
            format!("expires_in must be above 0 and at most {days}d, as access.longest_token_life says");
        return Err(Problem::unprocessable(text));
    }
    Ok(life)
}

/// Revoke a token: it lets nobody in from now on. Its name stays in the audit log.
#[utoipa::path(delete, path = "/v1/tokens/{id}", tag = "tokens", security(("token" = [])),
    params(("id" = String, Path, description = "The token's id"), WhyRemoved),
    responses(
        (status = 200, body = TokenView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It changes right now"),
    ))]
pub async fn revoke(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(why): Query<WhyRemoved>,
) -> Result<Json<TokenView>, Problem> {
    Ok(Json(state.engine.registry().revoke_token(&id, caller.remark(why.reason)).await?))
}

/// Take a token's second factor away, where its bearer has lost it.
#[utoipa::path(delete, path = "/v1/tokens/{id}/second-factor", tag = "tokens", security(("token" = [])),
    params(("id" = String, Path, description = "The token's id"), WhyRemoved),
    responses(
        (status = 200, body = TokenView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It changes right now"),
    ))]
pub async fn reset_second_factor(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    Query(why): Query<WhyRemoved>,
) -> Result<Json<TokenView>, Problem> {
    Ok(Json(state.engine.registry().reset_second_factor(&id, caller.remark(why.reason)).await?))
}

/// Read what the caller's own token may do.
#[utoipa::path(get, path = "/v1/token", tag = "tokens", security(("token" = [])),
    responses(
        (status = 200, body = TokenView),
    ))]
pub async fn own(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<TokenView>, Problem> {
    let found = state.engine.registry().token(caller.hash()).await?;
    let record = found.ok_or_else(|| Problem::not_found("this token is gone"))?;
    Ok(Json(record.view(caller.hash())))
}

/// Set up a second factor for the caller's own token. It counts once a code of
/// it was confirmed.
#[utoipa::path(post, path = "/v1/token/second-factor", tag = "tokens", security(("token" = [])),
    responses(
        (status = 201, body = SecondFactorToSetUp),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "There is one already"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn begin_second_factor(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
) -> Result<(StatusCode, Json<SecondFactorToSetUp>), Problem> {
    let failed = |error: crate::security::SecondFactorError| {
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("could not {error}"))
    };
    let factor = SecondFactor::generate(caller.name()).map_err(failed)?;
    let (secret, url) = (factor.secret(), factor.url().map_err(failed)?);
    state.engine.registry().begin_second_factor(caller.hash(), &secret, caller.remark(None)).await?;
    let shown = |secret: &secrecy::SecretString| secret.expose_secret().to_owned();
    Ok((StatusCode::CREATED, Json(SecondFactorToSetUp { secret: shown(&secret), url: shown(&url) })))
}

/// Confirm a second factor with the code that the authenticator shows.
#[utoipa::path(post, path = "/v1/token/second-factor/confirm", tag = "tokens", security(("token" = [])),
    request_body = CodeToConfirm,
    responses(
        (status = 204, description = "It counts"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "There is none, or it changes right now"),
    ))]
pub async fn confirm_second_factor(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Body(given): Body<CodeToConfirm>,
) -> Result<StatusCode, Problem> {
    caller.use_code(&state, &given.code).await?;
    Ok(StatusCode::NO_CONTENT)
}
