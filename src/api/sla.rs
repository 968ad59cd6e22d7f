//! How the promises to a tenant are kept.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::extract::Path;
use super::problem::Problem;
use crate::domain::TenantId;
use crate::domain::sla::SlaState;

/// The promises to a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantPromises {
    tenant: TenantId,
    /// The availability and the latency first, where the source knows them, and then each quota
    /// whose usage is known.
    items: Vec<SlaState>,
}

/// Read how the promises to a tenant are kept: what is left of each error budget, and how fast it is spent.
#[utoipa::path(get, path = "/v1/tenants/{id}/sla", tag = "analysis", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id")),
    responses(
        (status = 200, body = TenantPromises),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn get(
    State(state): State<ApiState>,
    Path(id): Path<TenantId>,
) -> Result<Json<TenantPromises>, Problem> {
    let tenant = state.engine.registry().tenant(&id).await?;
    let items = state.engine.promises(&tenant).await?;
    Ok(Json(TenantPromises { tenant: tenant.id, items }))
}
