//! Recommendations: read with their evidence, approved, rejected.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::auth::Caller;
use super::extract::{Body, Path, Query};
use super::page::{Page, PageQuery, known_state, place};
use super::problem::Problem;
use super::quotas::QuotaView;
use super::reason::Reason;
use crate::domain::{Recommendation, RecommendationId, RecommendationState, Resource, TenantId, Timestamp};
use crate::engine::{Decided, SeriesKey};
use crate::registry::{Filter, RecommendationRecord};

/// A recommendation, with what has become of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RecommendationView {
    #[serde(flatten)]
    recommendation: Recommendation,
    /// The resource's unit.
    unit: &'static str,
    /// What has become of it.
    state: RecommendationState,
    /// While it waits: when the newest sample of the usage is from, where that is longer ago than
    /// `rightsizing.stale_after`. The daemon does not apply it then, and a person should look first.
    stale_since: Option<Timestamp>,
}

impl RecommendationView {
    fn of(state: &ApiState, record: RecommendationRecord) -> Self {
        let RecommendationRecord { recommendation, state: become_of_it } = record;
        let waits =
            matches!(become_of_it, RecommendationState::Proposed | RecommendationState::AwaitsSecond { .. });
        let key = SeriesKey { tenant: recommendation.tenant.clone(), resource: recommendation.resource };
        RecommendationView {
            unit: recommendation.resource.unit(),
            stale_since: waits.then(|| state.engine.stale_since(&key)).flatten(),
            recommendation,
            state: become_of_it,
        }
    }
}

/// Which recommendations are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RecommendationQuery {
    /// Those of this tenant.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// Those of this resource.
    resource: Option<Resource>,
    /// Those in this state: proposed, awaits_second, approved, applied, rejected, superseded, stale or expired.
    state: Option<String>,
    /// The most entries wanted; the server may give fewer.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// Where the last page ended: its `next`.
    cursor: Option<String>,
}

/// Why a recommendation is approved.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalToGive {
    /// What the approver says; `reason` is taken as well.
    #[serde(alias = "reason")]
    pub(super) comment: Option<String>,
}

/// What came of an approval.
#[derive(Debug, Serialize, ToSchema)]
pub struct Applied {
    /// The quota that stands now.
    quota: QuotaView,
    /// The recommendation, applied.
    recommendation: RecommendationView,
}

/// List recommendations, the newest first.
#[utoipa::path(get, path = "/v1/recommendations", tag = "recommendations", security(("token" = [])),
    params(RecommendationQuery),
    responses(
        (status = 200, body = Page<RecommendationView>),
    ))]
pub async fn list(
    State(state): State<ApiState>,
    Query(query): Query<RecommendationQuery>,
) -> Result<Json<Page<RecommendationView>>, Problem> {
    let RecommendationQuery { tenant, resource, state: wanted, limit, cursor } = query;
    known_state(wanted.as_deref(), &RecommendationState::NAMES)?;
    place::<RecommendationId>(cursor.as_deref())?;
    let page = PageQuery { limit, cursor };
    let size = page.size(&state)?;
    let filter = Filter { tenant, resource, state: wanted };
    let registry = state.engine.registry();
    let found = registry.recommendations(&filter, page.cursor.as_deref(), size + 1).await?;
    let views = found.into_iter().map(|record| RecommendationView::of(&state, record)).collect();
    Ok(Json(Page::of(views, size, |view: &RecommendationView| view.recommendation.id.to_string())))
}

/// Read one recommendation with its evidence.
#[utoipa::path(get, path = "/v1/recommendations/{id}", tag = "recommendations", security(("token" = [])),
    params(("id" = RecommendationId, Path, description = "The recommendation's id")),
    responses(
        (status = 200, body = RecommendationView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn get(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<RecommendationId>,
) -> Result<Json<RecommendationView>, Problem> {
    let record = state.engine.registry().recommendation(id).await?;
    caller.admit(&state, &record.recommendation.tenant).await?;
    Ok(Json(RecommendationView::of(&state, record)))
}

/// Approve a recommendation and change the quota. Where it needs two people (`[approval]` in the config) the first
/// one's approval is answered with 202, and a second, different one's carries it out.
#[utoipa::path(post, path = "/v1/recommendations/{id}/approve", tag = "recommendations", security(("token" = [])),
    params(("id" = RecommendationId, Path, description = "The recommendation's id")),
    request_body = ApprovalToGive,
    responses(
        (status = 200, body = Applied),
        (status = 202, body = RecommendationView, description = "It waits for a second person"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The token may not do this, or its bearer has approved it already"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It waits no more, or the quota has moved on"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The tier does not allow it"),
        (status = 502, body = Problem, content_type = "application/problem+json", description = "The target refused it"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "The target is out of reach; it will be tried again"),
    ))]
pub async fn approve(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<RecommendationId>,
    Body(approval): Body<ApprovalToGive>,
) -> Result<Response, Problem> {
    admit(&state, &caller, id).await?;
    let outcome = state.engine.approve(id, caller.remark(approval.comment)).await;
    Ok(match outcome.map_err(|error| Problem::from(error).or_conflict())? {
        Decided::Applied(quota) => {
            let recommendation = state.engine.registry().recommendation(id).await?;
            let recommendation = RecommendationView::of(&state, recommendation);
            Json(Applied { quota: quota.into(), recommendation }).into_response()
        }
        Decided::AwaitsSecond(record) => {
            (StatusCode::ACCEPTED, Json(RecommendationView::of(&state, *record))).into_response()
        }
    })
}

/// Reject a recommendation. The same is not proposed again for a while (`rightsizing.reconsider_after`).
#[utoipa::path(post, path = "/v1/recommendations/{id}/reject", tag = "recommendations", security(("token" = [])),
    params(("id" = RecommendationId, Path, description = "The recommendation's id")),
    request_body = Reason,
    responses(
        (status = 200, body = RecommendationView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It waits no more"),
    ))]
pub async fn reject(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<RecommendationId>,
    Body(rejection): Body<Reason>,
) -> Result<Json<RecommendationView>, Problem> {
    let reason = rejection.given()?;
    admit(&state, &caller, id).await?;
    let registry = state.engine.registry();
    let record = registry.reject(id, caller.actor(), reason, caller.request_id()).await?;
    tracing::info!(recommendation = %id, by = caller.name(), "rejected");
    Ok(Json(RecommendationView::of(&state, record)))
}

/// Whether the caller may decide for the recommendation's tenant.
async fn admit(state: &ApiState, caller: &Caller, id: RecommendationId) -> Result<(), Problem> {
    let record = state.engine.registry().recommendation(id).await?;
    caller.admit(state, &record.recommendation.tenant).await
}
