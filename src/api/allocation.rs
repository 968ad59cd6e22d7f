//! `/allocation`, for tools that know OpenCost.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::extract::Query;
use super::problem::Problem;
use crate::cost::{self, AllocateBy, Allocation};
use crate::domain::TimeRange;

/// What is asked for. Other parameters of OpenCost are taken and change nothing.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct AllocationQuery {
    /// Over which time: today, yesterday, week, lastweek, month, lastmonth, 7d, 24h, or two instants with a comma.
    window: String,
    /// What is added up: namespace (a tenant), label:tier, or cluster (provider and region).
    #[serde(default)]
    #[param(inline)]
    aggregate: AllocateBy,
    /// 1d for a set for each day (UTC); without it there is one for the whole window.
    step: Option<String>,
    /// Whether the sets of all days are added up.
    #[serde(default)]
    accumulate: bool,
}

/// Allocations as OpenCost answers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Allocations {
    /// 200.
    code: u16,
    /// The sets, the oldest first; each allocation by its name.
    data: Vec<BTreeMap<String, Allocation>>,
}

/// What quotas have cost, in the shape of OpenCost's allocations: a tenant is a namespace.
#[utoipa::path(get, path = "/allocation", tag = "costs", security(("token" = [])),
    params(AllocationQuery),
    responses(
        (status = 200, body = Allocations),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The window holds more days of quotas than costs.export_rows"),
    ))]
pub async fn allocation(
    State(state): State<ApiState>,
    Query(query): Query<AllocationQuery>,
) -> Result<Json<Allocations>, Problem> {
    let AllocationQuery { window, aggregate, step, accumulate } = query;
    let TimeRange { start, end } = cost::window(&window, state.engine.now())
        .map_err(|error| Problem::bad_request(format!("window: failed to {error}")))?;
    let daily = match step.as_deref() {
        None => false,
        Some("1d" | "24h" | "day") => !accumulate,
        Some(other) if other == window => false,
        Some(_) => return Err(Problem::bad_request("step: use 1d, or leave it out for the whole window")),
    };
    let data = state.engine.allocations(TimeRange { start, end }, aggregate, daily).await?;
    Ok(Json(Allocations { code: 200, data }))
}
