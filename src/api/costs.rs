//! What the fleet costs, and what the changes of its quotas have saved.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::extract::Query;
use super::page::{Page, PageQuery, place};
use super::problem::Problem;
use crate::cost::{self, ExportFormat, FleetCosts, Plan, Saving, Savings, TenantCosts};
use crate::domain::{Money, PerMonth, TenantId, TimeRange, Timestamp};
use crate::engine::CostError;

impl From<CostError> for Problem {
    fn from(error: CostError) -> Self {
        match error {
            CostError::NoPrices => Problem::not_found(format!("can't {error}")),
            CostError::Range(_) => Problem::bad_request(format!("can't {error}")),
            CostError::Plan(_) | CostError::TooManyRows { .. } => {
                Problem::unprocessable(format!("can't {error}"))
            }
            CostError::Domain(error) => error.into(),
            CostError::Registry(error) => error.into(),
            CostError::Compute(error) => Problem::internal(&error),
            CostError::Export(error) => Problem::internal(&error),
        }
    }
}

/// Read what the fleet costs: now, as recommended, in this month, against its budgets.
#[utoipa::path(get, path = "/v1/costs", tag = "costs", security(("token" = [])),
    responses(
        (status = 200, body = FleetCosts),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn fleet(State(state): State<ApiState>) -> Result<Json<FleetCosts>, Problem> {
    Ok(Json(state.engine.fleet_costs().await?))
}

/// List what each tenant costs, by the tenants' ids.
#[utoipa::path(get, path = "/v1/costs/tenants", tag = "costs", security(("token" = [])),
    params(PageQuery),
    responses(
        (status = 200, body = Page<TenantCosts>),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn tenants(
    State(state): State<ApiState>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TenantCosts>>, Problem> {
    place::<TenantId>(page.cursor.as_deref())?;
    let size = page.size(&state)?;
    let tenants = state.engine.registry().tenants(page.cursor.as_deref(), size + 1).await?;
    let costs = state.engine.costs_of(&tenants).await?;
    Ok(Json(Page::of(costs, size, |one| one.tenant.to_string())))
}

/// Which plan is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PlanQuery {
    /// What may be spent, such as 10000EUR/month.
    budget: String,
}

/// Plan how a budget is best spent: on the quotas where violations hurt most.
#[utoipa::path(get, path = "/v1/costs/plan", tag = "costs", security(("token" = [])),
    params(PlanQuery),
    responses(
        (status = 200, body = Plan),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The budget does not pay for the least"),
    ))]
pub async fn plan(
    State(state): State<ApiState>,
    Query(query): Query<PlanQuery>,
) -> Result<Json<Plan>, Problem> {
    let budget: Money<PerMonth> = query.budget.parse()?;
    Ok(Json(state.engine.plan(budget).await?))
}

/// Which savings are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SavingsQuery {
    /// Those of this tenant.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// What was saved from this instant on; from the first change that is kept where it is left out.
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// What was saved before this instant; until now where it is left out or later.
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
    /// The most changes wanted; the server may give fewer.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// Where the last page ended: its `next`.
    cursor: Option<String>,
}

/// What changes of quotas have saved.
#[derive(Debug, Serialize, ToSchema)]
pub struct SavingsView {
    /// All of them together, whatever the page.
    total: Savings,
    /// Each of them, the newest first.
    items: Vec<Saving>,
    /// The cursor of the next page; `null` on the last one.
    next: Option<String>,
}

/// Read what the changes of quotas have saved: measured, not promised.
#[utoipa::path(get, path = "/v1/costs/savings", tag = "costs", security(("token" = [])),
    params(SavingsQuery),
    responses(
        (status = 200, body = SavingsView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn savings(
    State(state): State<ApiState>,
    Query(query): Query<SavingsQuery>,
) -> Result<Json<SavingsView>, Problem> {
    let SavingsQuery { tenant, from, to, limit, cursor } = query;
    let size = PageQuery { limit, cursor: None }.size(&state)?;
    if let Some(tenant) = &tenant {
        state.engine.registry().tenant(tenant).await?;
    }
    let now = state.engine.now();
    let range = TimeRange { start: from.unwrap_or_default(), end: to.unwrap_or(now).min(now) };
    if range.is_empty() {
        return Err(Problem::bad_request("from must lie before to and before now"));
    }
    let (total, mut changes) = state.engine.savings(tenant.as_ref(), range).await?;
    if let Some(before) = &cursor {
        changes.retain(|change| change.position() < *before);
    }
    let prices = state.engine.prices().ok_or(CostError::NoPrices)?;
    let items = changes.iter().take(size + 1).map(|change| cost::of_change(&prices, change, range)).collect();
    let Page { items, next } = Page::of(items, size, |saving: &Saving| saving.change.position());
    Ok(Json(SavingsView { total, items, next }))
}

/// Which export is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FocusQuery {
    /// How it is written.
    #[serde(default)]
    format: ExportFormat,
    /// The costs of this tenant only.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// What it cost from this instant on; from the beginning of the calendar month (UTC) where it is left out.
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// What it cost before this instant; until now where it is left out or later.
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
}

/// Export what quotas have cost in the form of FOCUS 1.2: a row for each quota and day.
#[utoipa::path(get, path = "/v1/costs/focus", tag = "costs", security(("token" = [])),
    params(FocusQuery),
    responses(
        (status = 200, content((String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The export would have more rows than costs.export_rows"),
    ))]
pub async fn focus(
    State(state): State<ApiState>,
    Query(query): Query<FocusQuery>,
) -> Result<Response, Problem> {
    let FocusQuery { format, tenant, from, to } = query;
    let bytes = state.engine.focus_export(tenant.as_ref(), (from, to), format).await?;
    let mut response = bytes.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    Ok(response)
}
