//! Changes of quotas that people asked for and a second person must approve.

use axum::extract::State;
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
use super::recommendations::ApprovalToGive;
use crate::domain::{ChangeRequest, ChangeRequestId, RequestState, TenantId};
use crate::registry::RequestFilter;

/// A change that waits for a second person, or what became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeRequestView {
    #[serde(flatten)]
    request: ChangeRequest,
    /// The resource's unit.
    unit: &'static str,
}

impl From<ChangeRequest> for ChangeRequestView {
    fn from(request: ChangeRequest) -> Self {
        ChangeRequestView { unit: request.resource.unit(), request }
    }
}

/// Which requests are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChangeRequestQuery {
    /// Those of this tenant.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// Those in this state: waiting, approved, applied, rejected, failed, stale or expired.
    state: Option<String>,
    /// The most entries wanted; the server may give fewer.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// Where the last page ended: its `next`.
    cursor: Option<String>,
}

/// List the changes of quotas that people asked for and a second person must approve, the newest first.
#[utoipa::path(get, path = "/v1/change-requests", tag = "quotas", security(("token" = [])),
    params(ChangeRequestQuery),
    responses((status = 200, body = Page<ChangeRequestView>)))]
pub async fn list(
    State(state): State<ApiState>,
    Query(query): Query<ChangeRequestQuery>,
) -> Result<Json<Page<ChangeRequestView>>, Problem> {
    let ChangeRequestQuery { tenant, state: wanted, limit, cursor } = query;
    known_state(wanted.as_deref(), &RequestState::NAMES)?;
    place::<ChangeRequestId>(cursor.as_deref())?;
    let page = PageQuery { limit, cursor };
    let size = page.size(&state)?;
    let filter = RequestFilter { tenant, state: wanted };
    let found = state.engine.registry().change_requests(&filter, page.cursor.as_deref(), size + 1).await?;
    let views = found.into_iter().map(ChangeRequestView::from).collect();
    Ok(Json(Page::of(views, size, |view: &ChangeRequestView| view.request.id.to_string())))
}

/// Read one change of a quota that was asked for, with what became of it.
#[utoipa::path(get, path = "/v1/change-requests/{id}", tag = "quotas", security(("token" = [])),
    params(("id" = ChangeRequestId, Path, description = "The request's id")),
    responses(
        (status = 200, body = ChangeRequestView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn get(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<ChangeRequestId>,
) -> Result<Json<ChangeRequestView>, Problem> {
    Ok(Json(admitted(&state, &caller, id).await?.into()))
}

/// Approve a change of a quota that another person asked for, and carry it out.
#[utoipa::path(post, path = "/v1/change-requests/{id}/approve", tag = "quotas", security(("token" = [])),
    params(("id" = ChangeRequestId, Path, description = "The request's id")),
    request_body = ApprovalToGive,
    responses(
        (status = 200, body = QuotaView),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "The token may not do this, or is that of whoever asked"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It waits no more, or the quota has moved on"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The tier does not allow it"),
        (status = 502, body = Problem, content_type = "application/problem+json", description = "The target refused it"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "The target is out of reach; it will be tried again"),
    ))]
pub async fn approve(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<ChangeRequestId>,
    Body(approval): Body<ApprovalToGive>,
) -> Result<Json<QuotaView>, Problem> {
    admitted(&state, &caller, id).await?;
    let outcome = state.engine.approve_request(id, caller.remark(approval.comment)).await;
    Ok(Json(outcome.map_err(|error| Problem::from(error).or_conflict())?.into()))
}

/// Reject a change of a quota that was asked for. Whoever asked may take it back like this, too.
#[utoipa::path(post, path = "/v1/change-requests/{id}/reject", tag = "quotas", security(("token" = [])),
    params(("id" = ChangeRequestId, Path, description = "The request's id")),
    request_body = Reason,
    responses(
        (status = 200, body = ChangeRequestView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It waits no more"),
    ))]
pub async fn reject(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<ChangeRequestId>,
    Body(rejection): Body<Reason>,
) -> Result<Json<ChangeRequestView>, Problem> {
    let reason = rejection.given()?;
    admitted(&state, &caller, id).await?;
    let rejected = state.engine.registry().reject_request(id, reason, caller.remark(None)).await?;
    Ok(Json(rejected.into()))
}

/// The request, where the caller may act for its tenant.
async fn admitted(state: &ApiState, caller: &Caller, id: ChangeRequestId) -> Result<ChangeRequest, Problem> {
    let request = state.engine.registry().change_request(id).await?;
    caller.admit(state, &request.tenant).await?;
    Ok(request)
}
