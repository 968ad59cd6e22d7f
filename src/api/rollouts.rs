//! Rollouts: many changes as one, planned, begun, watched and taken back.

use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ApiState;
use super::auth::Caller;
use super::extract::{Body, DryRun, Path, Query};
use super::page::{Page, PageQuery, place};
use super::problem::Problem;
use super::reason::Reason;
use crate::domain::rollout::{Comparison, Evidence, Rollout, Strategy, WatchLimits, Watched};
use crate::domain::{RolloutId, TenantId};
use crate::engine::{RolloutWish, Steer, Take};

/// A rollout to begin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutToBegin {
    /// Its name, for people.
    #[schema(min_length = 1)]
    name: String,
    /// Why; it stands in the audit log with each change.
    #[schema(min_length = 1)]
    reason: String,
    /// In which stages.
    strategy: Strategy,
    /// What is taken into it.
    take: Take,
    /// How long each stage is watched; left out, what `rollouts.watch` says.
    #[schema(maximum = 31536000)]
    watch_seconds: Option<u64>,
    /// What may happen meanwhile; left out, what the config says.
    limits: Option<WatchLimits>,
}

/// A rollout with what was seen of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RolloutView {
    #[serde(flatten)]
    rollout: Rollout,
    /// What was seen of the changed quotas since, and in the same time before.
    watched: Watched,
    /// The halves of an A/B test; `null` for others.
    comparison: Option<Comparison>,
}

const MOST_TEXT: usize = 1_000;

/// Begin a rollout of many changes, or only plan it. Who begins it approves its changes.
#[utoipa::path(post, path = "/v1/rollouts", tag = "rollouts", security(("token" = [])),
    params(DryRun),
    request_body = RolloutToBegin,
    responses(
        (status = 200, body = Rollout, description = "The plan; nothing was begun"),
        (status = 201, body = Rollout, headers(("Location", description = "where it is"))),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such tenant, quota or template"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Too many are not over, or all that it would change is in another one"),
    ))]
pub async fn create(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Query(DryRun { dry_run }): Query<DryRun>,
    Body(wish): Body<RolloutToBegin>,
) -> Result<Response, Problem> {
    let RolloutToBegin { name, reason, strategy, take, watch_seconds, limits } = wish;
    for (what, text) in [("name", &name), ("reason", &reason)] {
        if text.trim().is_empty() || text.len() > MOST_TEXT {
            return Err(Problem::unprocessable(format!("{what} has 1 to {MOST_TEXT} bytes")));
        }
    }
    for (name, share) in limits.iter().flat_map(|limits| {
        [("violations", limits.violations), ("tenant_violations", limits.tenant_violations)]
    }) {
        if !(0.0..=1.0).contains(&share) {
            return Err(Problem::unprocessable(format!("limits.{name} is a share from 0 to 1")));
        }
    }
    if watch_seconds.is_some_and(|seconds| seconds > 366 * 86_400) {
        return Err(Problem::unprocessable("watch_seconds is at most a year"));
    }
    let (wishes, template) = state.engine.wishes(&take).await?;
    let watch = watch_seconds.map(Duration::from_secs);
    let wish = RolloutWish { name, reason, strategy, watch, limits, wishes, template };
    let remark = caller.remark(None);
    let planned = state.engine.plan_rollout(wish, &remark).await?;
    let concerned = present(&state, &planned).await;
    if dry_run {
        caller.reach_all(&state, &concerned).await?;
        return Ok(Json(planned).into_response());
    }
    caller.admit_all(&state, &concerned).await?;
    let begun = state.engine.begin_rollout(planned, remark).await?;
    let location = format!("/v1/rollouts/{}", begun.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(begun)).into_response())
}

/// List rollouts, the newest first.
#[utoipa::path(get, path = "/v1/rollouts", tag = "rollouts", security(("token" = [])),
    params(PageQuery),
    responses((status = 200, body = Page<Rollout>)))]
pub async fn list(
    State(state): State<ApiState>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Rollout>>, Problem> {
    let before = place::<RolloutId>(page.cursor.as_deref())?;
    let size = page.size(&state)?;
    let found = state.engine.registry().rollouts(before, size + 1).await?;
    Ok(Json(Page::of(found, size, |rollout: &Rollout| rollout.id.to_string())))
}

/// Read one rollout with what was seen of it.
#[utoipa::path(get, path = "/v1/rollouts/{id}", tag = "rollouts", security(("token" = [])),
    params(("id" = RolloutId, Path, description = "The rollout's id")),
    responses(
        (status = 200, body = RolloutView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn get(
    State(state): State<ApiState>,
    Path(id): Path<RolloutId>,
) -> Result<Json<RolloutView>, Problem> {
    let (rollout, _) = state.engine.registry().rollout(id).await?;
    let evidence = state.engine.evidence(&rollout).await.map_err(|error| Problem::internal(&error))?;
    let Evidence { watched, comparison } = evidence;
    Ok(Json(RolloutView { rollout, watched, comparison }))
}

/// Approve a rollout that needs two people, as the second one.
#[utoipa::path(post, path = "/v1/rollouts/{id}/approve", tag = "rollouts", security(("token" = [])),
    params(("id" = RolloutId, Path, description = "The rollout's id")),
    request_body = Reason,
    responses(
        (status = 200, body = Rollout),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It waits for nobody, or you have asked for it yourself"),
    ))]
pub async fn approve(
    state: State<ApiState>,
    caller: Extension<Caller>,
    id: Path<RolloutId>,
    wish: Body<Reason>,
) -> Result<Json<Rollout>, Problem> {
    steer(state, caller, id, wish, |_| Steer::Approve).await
}

/// Halt a rollout where it is. While it stands still nothing is watched.
#[utoipa::path(post, path = "/v1/rollouts/{id}/pause", tag = "rollouts", security(("token" = [])),
    params(("id" = RolloutId, Path, description = "The rollout's id")),
    request_body = Reason,
    responses(
        (status = 200, body = Rollout),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is over, or halted already"),
    ))]
pub async fn pause(
    state: State<ApiState>,
    caller: Extension<Caller>,
    id: Path<RolloutId>,
    wish: Body<Reason>,
) -> Result<Json<Rollout>, Problem> {
    steer(state, caller, id, wish, |_| Steer::Pause).await
}

/// Let a halted rollout go on; its stage is watched anew. One that has seen nothing of its stage goes on to the next.
#[utoipa::path(post, path = "/v1/rollouts/{id}/resume", tag = "rollouts", security(("token" = [])),
    params(("id" = RolloutId, Path, description = "The rollout's id")),
    request_body = Reason,
    responses(
        (status = 200, body = Rollout),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is not halted, and has seen its stage"),
    ))]
pub async fn resume(
    state: State<ApiState>,
    caller: Extension<Caller>,
    id: Path<RolloutId>,
    wish: Body<Reason>,
) -> Result<Json<Rollout>, Problem> {
    steer(state, caller, id, wish, |_| Steer::Resume).await
}

/// Switch to what a blue-green rollout has prepared.
#[utoipa::path(post, path = "/v1/rollouts/{id}/switch", tag = "rollouts", security(("token" = [])),
    params(("id" = RolloutId, Path, description = "The rollout's id")),
    request_body = Reason,
    responses(
        (status = 200, body = Rollout),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is switched already"),
    ))]
pub async fn switch(
    state: State<ApiState>,
    caller: Extension<Caller>,
    id: Path<RolloutId>,
    wish: Body<Reason>,
) -> Result<Json<Rollout>, Problem> {
    steer(state, caller, id, wish, |_| Steer::Switch).await
}

/// End a rollout that is watched, or an A/B test. What was changed stays.
#[utoipa::path(post, path = "/v1/rollouts/{id}/finish", tag = "rollouts", security(("token" = [])),
    params(("id" = RolloutId, Path, description = "The rollout's id")),
    request_body = Reason,
    responses(
        (status = 200, body = Rollout),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is not watched"),
    ))]
pub async fn finish(
    state: State<ApiState>,
    caller: Extension<Caller>,
    id: Path<RolloutId>,
    wish: Body<Reason>,
) -> Result<Json<Rollout>, Problem> {
    steer(state, caller, id, wish, |_| Steer::Finish).await
}

/// Take a rollout back, also one that is done. What somebody has changed since is left.
#[utoipa::path(post, path = "/v1/rollouts/{id}/roll-back", tag = "rollouts", security(("token" = [])),
    params(("id" = RolloutId, Path, description = "The rollout's id")),
    request_body = Reason,
    responses(
        (status = 200, body = Rollout),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is taken back already"),
    ))]
pub async fn roll_back(
    state: State<ApiState>,
    caller: Extension<Caller>,
    id: Path<RolloutId>,
    wish: Body<Reason>,
) -> Result<Json<Rollout>, Problem> {
    steer(state, caller, id, wish, Steer::RollBack).await
}

async fn steer(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<RolloutId>,
    Body(wish): Body<Reason>,
    steer: impl FnOnce(String) -> Steer,
) -> Result<Json<Rollout>, Problem> {
    let reason = wish.given()?;
    let (rollout, _) = state.engine.registry().rollout(id).await?;
    admit(&state, &caller, &rollout).await?;
    let remark = caller.remark(Some(reason.clone()));
    Ok(Json(state.engine.steer_rollout(id, steer(reason), remark).await?))
}

/// Whether the caller may decide for all of its tenants. Those that have left
/// ask for nothing.
async fn admit(state: &ApiState, caller: &Caller, rollout: &Rollout) -> Result<(), Problem> {
    caller.admit_all(state, &present(state, rollout).await).await
}

/// The tenants of a rollout that are still there.
async fn present(state: &ApiState, rollout: &Rollout) -> Vec<TenantId> {
    let mut present = Vec::new();
    for tenant in rollout.tenants() {
        if state.engine.registry().tenant(tenant).await.is_ok() {
            present.push(tenant.clone());
        }
    }
    present
}
