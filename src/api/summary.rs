//! The fleet in a few figures.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::problem::Problem;
use crate::domain::{Money, Pause, PerMonth, Resource, Timestamp};
use crate::ports::Asked;

/// The fleet in a few figures.
#[derive(Debug, Serialize, ToSchema)]
pub struct Summary {
    /// Whether the usage is made up.
    simulated: bool,
    tenants: usize,
    /// Recommendations that wait for a decision.
    waiting: usize,
    /// A month at the quotas that stand; `null` without prices.
    cost_now: Option<Money<PerMonth>>,
    /// A month at the recommended quotas, and those that stand where none is.
    cost_then: Option<Money<PerMonth>>,
    /// The difference.
    saving: Option<Money<PerMonth>>,
    open_incidents: usize,
    /// Who stopped all changes, if somebody has.
    paused: Option<Pause>,
    /// The resources whose source fails, each with what it says.
    source_problems: Vec<SourceProblemView>,
    /// What was asked for where the source's last answer held series that could not be used.
    refused_series: Vec<RefusedSeries>,
    /// What is wrong between the source's clock and the daemon's; `null` where nothing is.
    clock_problem: Option<String>,
    /// What of the history of usage can't be written or read; `null` where nothing is wrong with it.
    history_problem: Option<String>,
    /// The resources whose usage is older than `rightsizing.stale_after` for all tenants.
    stale: Vec<StaleUsage>,
    last_cycle_at: Option<Timestamp>,
}

/// A resource whose source fails.
#[derive(Debug, Serialize, ToSchema)]
pub struct SourceProblemView {
    resource: Resource,
    since: Timestamp,
    message: String,
}

/// What was asked for, of which series are left out.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedSeries {
    /// The name of the resource whose usage it is, or of the meter, or `availability` or `latency`.
    asked: &'static str,
    /// The resource whose usage it is; `null` where it is no usage.
    resource: Option<Resource>,
    /// Which are left out, and why; where there are many, the last one counts the rest. Of the availability and
    /// the latency, which are asked for over several windows, each reason stands once.
    reasons: Vec<String>,
}

impl RefusedSeries {
    fn of((asked, reasons): (Asked, Vec<String>)) -> Self {
        let resource = match asked {
            Asked::Usage(resource) => Some(resource),
            Asked::Availability | Asked::Latency | Asked::Metered(_) => None,
        };
        RefusedSeries { asked: asked.name(), resource, reasons }
    }
}

/// A resource whose usage is stale.
#[derive(Debug, Serialize, ToSchema)]
pub struct StaleUsage {
    resource: Resource,
    /// When its newest sample is from.
    since: Timestamp,
}

/// Read the fleet in a few figures, which are at most some seconds old.
#[utoipa::path(get, path = "/v1/summary", tag = "analysis", security(("token" = [])),
    responses(
        (status = 200, body = Summary),
    ))]
pub async fn get(State(state): State<ApiState>) -> Result<Json<Summary>, Problem> {
    let (registry, workspace) = (state.engine.registry(), state.engine.workspace());
    let (_, rows) = state.fleet.rows(&state).await?;
    let changing = || rows.iter().flat_map(|row| &row.quotas).filter(|quota| quota.recommendation.is_some());
    let cost_now = sum(rows.iter().filter_map(|row| row.cost_now))?;
    let cost_then = sum(rows.iter().filter_map(|row| row.cost_recommended))?;
    let saving = cost_now.zip(cost_then).map(|(now, then)| now.minus(&then)).transpose()?;
    let problems = workspace.source_problems().into_iter().map(|(resource, problem)| SourceProblemView {
        resource,
        since: problem.since,
        message: format!("failed to {}", problem.error),
    });
    let stale = state.engine.stale_resources().into_iter();
    let stale = stale.map(|(resource, since)| StaleUsage { resource, since });
    Ok(Json(Summary {
        simulated: state.settings.simulated,
        tenants: rows.len(),
        waiting: changing().count(),
        cost_now,
        cost_then,
        saving,
        open_incidents: rows.iter().filter(|row| row.incident.is_some()).count(),
        paused: registry.pause().await?,
        source_problems: problems.collect(),
        refused_series: workspace.refused().into_iter().map(RefusedSeries::of).collect(),
        clock_problem: state.engine.clock_problem(),
        history_problem: state.engine.history_problem(),
        stale: stale.collect(),
        last_cycle_at: workspace.last_cycle_at(),
    }))
}

fn sum(mut amounts: impl Iterator<Item = Money<PerMonth>>) -> Result<Option<Money<PerMonth>>, Problem> {
    let Some(first) = amounts.next() else { return Ok(None) };
    let total = amounts.try_fold(first, |total, amount| total.plus(&amount));
    Ok(total.map(Some)?)
}
