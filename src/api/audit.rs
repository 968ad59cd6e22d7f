//! The audit log.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::ApiState;
use super::extract::Query;
use super::page::{Page, PageQuery, place};
use super::problem::Problem;
use crate::domain::TenantId;
use crate::registry::NumberedAuditEvent;

/// Which lines are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Those of this tenant.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// The most entries wanted; the server may give fewer.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// Where the last page ended: its `next`.
    cursor: Option<String>,
}

/// Read the audit log, the newest line first.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", security(("token" = [])),
    params(AuditQuery),
    responses(
        (status = 200, body = Page<NumberedAuditEvent>),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 401, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn list(
    State(state): State<ApiState>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Page<NumberedAuditEvent>>, Problem> {
    let AuditQuery { tenant, limit, cursor } = query;
    let before: Option<u64> = place(cursor.as_deref())?;
    let size = PageQuery { limit, cursor }.size(&state)?;
    let found = state.engine.registry().audit(tenant.as_ref(), before, size + 1).await?;
    Ok(Json(Page::of(found, size, |line| line.number.to_string())))
}
