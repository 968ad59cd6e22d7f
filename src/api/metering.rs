//! What a tenant has used of the amounts that are granted to it.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::extract::Path;
use super::problem::Problem;
use crate::domain::{MeterState, TenantId};

/// The meters of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct Meters {
    tenant: TenantId,
    /// Those that the config says how to count (`[metering]`).
    items: Vec<MeterState>,
}

/// Read what a tenant has used of the amounts that are granted to it for a day or a month, and what is left.
/// It is answered from memory, so that gateways can poll it.
#[utoipa::path(get, path = "/v1/tenants/{id}/meters", tag = "quotas", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id")),
    responses(
        (status = 200, body = Meters),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn get(State(state): State<ApiState>, Path(id): Path<TenantId>) -> Result<Json<Meters>, Problem> {
    let tenant = state.engine.registry().standing_tenant(&id).await?;
    let items = state.engine.meter_states(&tenant);
    Ok(Json(Meters { tenant: id, items }))
}
