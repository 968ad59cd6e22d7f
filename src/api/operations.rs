//! What operators ask of the daemon itself.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::{Extension, Json};

use super::ApiState;
use super::auth::Caller;
use super::problem::Problem;
use crate::ports::{Asked, Reloaded};

/// Say that the process answers.
#[utoipa::path(get, path = "/-/healthy", tag = "operations",
    responses((status = 200, body = String, content_type = "text/plain")))]
pub async fn healthy() -> &'static str {
    "plimsoll is healthy\n"
}

/// Say whether the daemon can do its work, and if not, why.
#[utoipa::path(get, path = "/-/ready", tag = "operations",
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 503, body = String, content_type = "text/plain", description = "The reasons, a line each"),
    ))]
pub async fn ready(State(state): State<ApiState>) -> (StatusCode, String) {
    let mut reasons = Vec::new();
    if let Some(problem) = state.engine.registry().health().await.problem {
        reasons.push(format!("the store fails: {problem}"));
    }
    if state.engine.workspace().last_cycle_at().is_none() {
        let step = state.engine.doing().unwrap_or("about to begin");
        reasons.push(format!("the first cycle has not ended: {step}"));
    }
    let workspace = state.engine.workspace();
    if !state.engine.resources().is_empty() && !workspace.source_has_answered() {
        let why = "the source of usage has not answered since the start, so nothing is known of the present";
        reasons.push(why.to_owned());
    }
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let word = if reasons.is_empty() { "plimsoll is ready" } else { "plimsoll is not ready" };
    // A source that fails after it has answered, or a history that does, is a
    // reason to look, but not to take the API away from those who poll quotas.
    if let Some(problem) = state.engine.history_problem() {
        reasons.push(format!("the history fails: {problem}"));
    }
    for (resource, problem) in workspace.source_problems() {
        let since = problem.since;
        reasons.push(format!("since {since} the usage of {resource} fails: failed to {}", problem.error));
    }
    for (resource, since) in state.engine.stale_resources() {
        reasons.push(format!("the usage of {resource} is stale: its newest sample is of {since}"));
    }
    // Whoever asks for health needs no token, so no labels are told here.
    reasons.extend(workspace.refused().into_iter().map(|(asked, _)| {
        let usage = if matches!(asked, Asked::Usage(_)) { "the usage of " } else { "" };
        format!("series of {usage}{asked} are left out: GET /v1/summary and the log say why")
    }));
    reasons.extend(state.engine.clock_problem());
    let lines: Vec<String> = std::iter::once(word.to_owned()).chain(reasons).collect();
    (status, lines.join("\n") + "\n")
}

/// Read the daemon's config file again: all of it, or, where anything in it can't be used, nothing.
#[utoipa::path(post, path = "/-/reload", tag = "operations", security(("token" = [])),
    responses(
        (status = 200, body = Reloaded),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "This daemon has no config file"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "All that is wrong with the config; nothing was changed"),
    ))]
pub async fn reload(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Reloaded>, Problem> {
    let none = || Problem::not_found("this daemon has no config file to read again");
    let reloads = state.reloads.as_ref().ok_or_else(none)?;
    let stops = || Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon stops");
    let reloaded = reloads.ask().await.ok_or_else(stops)?.map_err(Problem::refused_config)?;
    state.engine.registry().config_reloaded(&reloaded, caller.remark(None)).await?;
    Ok(Json(reloaded))
}

/// What metrics are written as.
pub(super) const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Read the daemon's own metrics.
#[utoipa::path(get, path = "/metrics", tag = "operations", security(("token" = [])),
    responses(
        (status = 200, body = String, content_type = "application/openmetrics-text"),
        (status = 401, body = super::problem::Problem, content_type = "application/problem+json"),
    ))]
pub async fn metrics(State(state): State<ApiState>) -> impl IntoResponse {
    state.engine.measure_queues();
    ([(header::CONTENT_TYPE, METRICS_TYPE)], state.engine.metrics().render())
}
