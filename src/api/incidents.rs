//! Incidents: listed, read with all that explains them, acknowledged, judged.

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::analysis::Items;
use super::auth::Caller;
use super::extract::{Body, Path, Query};
use super::page::{Page, PageQuery, known_state, place};
use super::problem::Problem;
use crate::domain::{FindingKind, Incident, IncidentId, Resource, Severity, TenantId};
use crate::registry::IncidentFilter;

/// Incidents that are shown of a tenant.
const INCIDENTS_SHOWN: usize = 100;

/// Which incidents are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IncidentQuery {
    /// Those of this tenant.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// Those that concern this resource.
    resource: Option<Resource>,
    /// Those in this state: open, acknowledged or resolved.
    state: Option<String>,
    /// Those with a finding of this kind.
    kind: Option<FindingKind>,
    /// Those that matter at least so much.
    severity: Option<Severity>,
    /// The most entries wanted; the server may give fewer.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// Where the last page ended: its `next`.
    cursor: Option<String>,
}

/// What the person who takes care of an incident says.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AcknowledgementToGive {
    /// What is done about it.
    comment: Option<String>,
}

/// What a person says of an incident.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedbackToGive {
    /// Whether something was wrong indeed.
    is_true: bool,
    /// Why.
    comment: Option<String>,
}

/// List incidents, the newest first.
#[utoipa::path(get, path = "/v1/incidents", tag = "incidents", security(("token" = [])),
    params(IncidentQuery),
    responses(
        (status = 200, body = Page<Incident>),
    ))]
pub async fn list(
    State(state): State<ApiState>,
    Query(query): Query<IncidentQuery>,
) -> Result<Json<Page<Incident>>, Problem> {
    let IncidentQuery { tenant, resource, state: wanted, kind, severity, limit, cursor } = query;
    known_state(wanted.as_deref(), &Incident::STATES)?;
    let before: Option<IncidentId> = place(cursor.as_deref())?;
    let size = PageQuery { limit, cursor }.size(&state)?;
    let filter = IncidentFilter { tenant, resource, state: wanted, kind, severity };
    let found = state.engine.registry().incidents(&filter, before, size + 1).await?;
    Ok(Json(Page::of(found, size, |incident: &Incident| incident.id.to_string())))
}

/// Read a tenant's incidents, the newest first.
#[utoipa::path(get, path = "/v1/tenants/{id}/incidents", tag = "incidents", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id")),
    responses(
        (status = 200, body = Items<Incident>),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn of_tenant(
    State(state): State<ApiState>,
    Path(id): Path<TenantId>,
) -> Result<Json<Items<Incident>>, Problem> {
    state.engine.registry().tenant(&id).await?;
    let filter = IncidentFilter { tenant: Some(id), ..IncidentFilter::default() };
    Ok(Json(Items { items: state.engine.registry().incidents(&filter, None, INCIDENTS_SHOWN).await? }))
}

/// Read one incident with all that explains it.
#[utoipa::path(get, path = "/v1/incidents/{id}", tag = "incidents", security(("token" = [])),
    params(("id" = IncidentId, Path, description = "The incident's id")),
    responses(
        (status = 200, body = Incident),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn get(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<IncidentId>,
) -> Result<Json<Incident>, Problem> {
    Ok(Json(admitted(&state, &caller, id).await?))
}

/// Say that you take care of an incident. Nothing is applied to the tenant automatically until it is resolved.
#[utoipa::path(post, path = "/v1/incidents/{id}/acknowledge", tag = "incidents", security(("token" = [])),
    params(("id" = IncidentId, Path, description = "The incident's id")),
    request_body = AcknowledgementToGive,
    responses(
        (status = 200, body = Incident),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is over, or changes right now"),
    ))]
pub async fn acknowledge(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<IncidentId>,
    Body(given): Body<AcknowledgementToGive>,
) -> Result<Json<Incident>, Problem> {
    admitted(&state, &caller, id).await?;
    Ok(Json(state.engine.registry().acknowledge(id, caller.remark(given.comment)).await?))
}

/// Say whether an incident was one. What was none is learned from, and holds no change back.
#[utoipa::path(post, path = "/v1/incidents/{id}/feedback", tag = "incidents", security(("token" = [])),
    params(("id" = IncidentId, Path, description = "The incident's id")),
    request_body = FeedbackToGive,
    responses(
        (status = 200, body = Incident),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is over, or changes right now"),
    ))]
pub async fn feedback(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<IncidentId>,
    Body(given): Body<FeedbackToGive>,
) -> Result<Json<Incident>, Problem> {
    let FeedbackToGive { is_true, comment } = given;
    let before = admitted(&state, &caller, id).await?.feedback.map(|feedback| feedback.is_true);
    let incident = state.engine.registry().judge_incident(id, is_true, caller.remark(comment)).await?;
    if before != Some(is_true) {
        state.engine.metrics().incident_judged(is_true);
    }
    Ok(Json(incident))
}

/// The incident, where the caller may act for its tenant.
async fn admitted(state: &ApiState, caller: &Caller, id: IncidentId) -> Result<Incident, Problem> {
    let (incident, _) = state.engine.registry().incident(id).await?;
    caller.admit(state, &incident.tenant).await?;
    Ok(incident)
}
