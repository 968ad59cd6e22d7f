//! The fleet in a few figures.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::problem::Problem;
use crate::domain::{Money, Pause, PerMonth, Resource, Timestamp};

/// The fleet in a few figures.
#[derive(Debug, Serialize, ToSchema)]
pub struct Summary {
    /// Whether the usage is made up.
    simulated: bool,
    tenants: usize,
    /// Recommendations that wait for a decision.
    waiting: usize,
    /// What the quotas that would change cost a month now; `null` without prices.
    cost_now: Option<Money<PerMonth>>,
    /// What they would cost.
    cost_then: Option<Money<PerMonth>>,
    /// The difference.
    saving: Option<Money<PerMonth>>,
    open_incidents: usize,
    /// Who stopped all changes, if somebody has.
    paused: Option<Pause>,
    /// The resources whose source fails, each with what it says.
    source_problems: Vec<SourceProblemView>,
    last_cycle_at: Option<Timestamp>,
}

/// A resource whose source fails.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceProblemView {
    resource: Resource,
    since: Timestamp,
    message: String,
}

/// Read the fleet in a few figures.
#[utoipa::path(get, path = "/v1/summary", tag = "analysis", security(("token" = [])),
    responses(
        (status = 200, body = Summary),
    ))]
pub async fn get(State(state): State<ApiState>) -> Result<Json<Summary>, Problem> {
    let (registry, workspace) = (state.engine.registry(), state.engine.workspace());
    let tenants = registry.all_tenants().await?;
    let waiting = registry.all_waiting().await?;
    let costs = || waiting.iter().filter_map(|record| record.recommendation.cost.as_ref());
    let open_incidents = registry.open_incidents().await?.len();
    let problems = workspace.source_problems().into_iter().map(|(resource, problem)| SourceProblemView {
        resource,
        since: problem.since,
        message: format!("failed to {}", problem.error),
    });
    Ok(Json(Summary {
        simulated: state.settings.simulated,
        tenants: tenants.len(),
        waiting: waiting.len(),
        cost_now: sum(costs().map(|cost| cost.now))?,
        cost_then: sum(costs().map(|cost| cost.then))?,
        saving: sum(costs().map(|cost| cost.saving))?,
        open_incidents,
        paused: registry.pause().await?,
        source_problems: problems.collect(),
        last_cycle_at: workspace.last_cycle_at(),
    }))
}

fn sum(mut amounts: impl Iterator<Item = Money<PerMonth>>) -> Result<Option<Money<PerMonth>>, Problem> {
    let Some(first) = amounts.next() else { return Ok(None) };
    let total = amounts.try_fold(first, |total, amount| total.plus(&amount));
    Ok(total.map(Some)?)
}
