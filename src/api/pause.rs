//! The switch that stops all changes of quotas.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::auth::Caller;
use super::extract::{Body, Query};
use super::problem::Problem;
use super::reason::{Reason, WhyRemoved};
use crate::domain::Pause;

/// Whether all changes are stopped.
#[derive(Debug, Serialize, ToSchema)]
pub struct PauseView {
    /// Who stopped them, since when and why; `null` while changes are made.
    paused: Option<Pause>,
}

/// Say whether all changes of quotas are stopped.
#[utoipa::path(get, path = "/v1/pause", tag = "quotas", security(("token" = [])),
    responses((status = 200, body = PauseView)))]
pub async fn get(State(state): State<ApiState>) -> Result<Json<PauseView>, Problem> {
    Ok(Json(PauseView { paused: state.engine.registry().pause().await? }))
}

/// Stop all changes of quotas: the daemon applies nothing, and people's changes are refused, until somebody resumes.
#[utoipa::path(put, path = "/v1/pause", tag = "quotas", security(("token" = [])),
    request_body = Reason,
    responses(
        (status = 200, body = PauseView),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Somebody else switched it at the same time"),
    ))]
pub async fn put(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Body(reason): Body<Reason>,
) -> Result<Json<PauseView>, Problem> {
    let reason = reason.given()?;
    let pause = state.engine.registry().stop_changes(reason, caller.remark(None)).await?;
    state.engine.metrics().paused(true);
    Ok(Json(PauseView { paused: Some(pause) }))
}

/// Let changes of quotas be made again.
#[utoipa::path(delete, path = "/v1/pause", tag = "quotas", security(("token" = [])),
    params(WhyRemoved),
    responses(
        (status = 204, description = "Changes are made"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Somebody else switched it at the same time"),
    ))]
pub async fn remove(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Query(why): Query<WhyRemoved>,
) -> Result<StatusCode, Problem> {
    state.engine.registry().resume_changes(caller.remark(why.reason)).await?;
    state.engine.metrics().paused(false);
    state.engine.wake();
    Ok(StatusCode::NO_CONTENT)
}
