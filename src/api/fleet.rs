//! The fleet as people look over it, sorted, filtered and in pages. The rows of
//! all tenants are put together once a cycle or every few seconds, so that a
//! page of ten thousand tenants is answered from memory.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering as AtomicOrdering};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::extract::{Path, Query};
use super::page::{PageQuery, place};
use super::problem::Problem;
use crate::domain::{ApplyMode, Money, PerMonth, Resource, TenantId, Tier, Timestamp};
use crate::engine::{FleetQuota, FleetTenant};

/// How old rows may be that are shown.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// How long newer rows are waited for where there are older ones.
const PATIENCE: Duration = Duration::from_millis(300);

/// By what rows are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FleetSort {
    /// The tenant's id.
    #[default]
    Tenant,
    /// The share of the quota that the usage's peak fills.
    Used,
    /// The unused share of the quota.
    Slack,
    /// The share of samples above the quota.
    Violations,
    /// What the tenant costs now.
    Cost,
    /// What its recommendations save.
    Saving,
    /// The least confidence of its recommendations.
    Confidence,
    /// How much its open incident matters.
    Incident,
}

/// Which rows are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FleetOnly {
    /// Those with a recommendation that waits.
    Waiting,
    /// Those with an open incident.
    Incident,
    /// Those with a quota that is exceeded more often than its budget allows.
    OverBudget,
}

/// Which part of the fleet is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FleetQuery {
    /// A part of the tenant's id or name.
    search: Option<String>,
    /// Those of this tier.
    tier: Option<Tier>,
    /// Those in this apply mode.
    mode: Option<ApplyMode>,
    /// Only those that need somebody.
    only: Option<FleetOnly>,
    /// The resource that is shown and sorted by; each tenant's fullest quota where it is left out.
    resource: Option<Resource>,
    /// By what rows are sorted.
    #[serde(default)]
    sort: FleetSort,
    /// Whether the largest come first.
    #[serde(default)]
    descending: bool,
    /// The most entries wanted; the server may give fewer.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// Where the last page ended: its `next`.
    cursor: Option<String>,
}

/// What the rows that fit a question come to.
#[derive(Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct FleetTotals {
    /// How many tenants fit.
    tenants: usize,
    /// A month at their quotas that stand; `null` without prices.
    cost_now: Option<Money<PerMonth>>,
    /// A month at their recommended quotas.
    cost_recommended: Option<Money<PerMonth>>,
    /// The difference.
    saving: Option<Money<PerMonth>>,
    /// Recommendations of theirs that wait for a decision.
    waiting: usize,
    /// Those of them for tenants whose open incident holds automatic changes back.
    waiting_in_incidents: usize,
    /// The waiting recommendations by the tenants' apply modes.
    #[schema(value_type = BTreeMap<String, usize>)]
    waiting_by_mode: BTreeMap<&'static str, usize>,
    /// How many have an open incident.
    incidents: usize,
    /// How many exceed a quota more often than its budget allows.
    over_budget: usize,
}

/// A page of the fleet.
#[derive(Debug, Serialize, ToSchema)]
pub struct FleetPage {
    /// The tenants of the page.
    items: Vec<FleetRow>,
    /// The cursor of the next page; `null` on the last one.
    next: Option<String>,
    /// What all that fit come to, whatever the page.
    totals: FleetTotals,
    /// The measured resources.
    resources: Vec<Resource>,
    /// When the rows were put together.
    at: Timestamp,
}

/// A tenant with the quota of it that is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct FleetRow {
    /// The resource that is asked for, or the one whose quota is fullest.
    shown: Option<Resource>,
    #[serde(flatten)]
    row: FleetTenant,
}

#[derive(Clone)]
struct Held {
    at: Timestamp,
    cycle: Option<Timestamp>,
    /// How many writes the rows are newer than.
    writes: u64,
    rows: Arc<Vec<FleetTenant>>,
}

/// The rows that were put together last.
#[derive(Default)]
pub(super) struct Snapshot {
    held: RwLock<Option<Held>>,
    /// Held by whoever puts rows together.
    making: Mutex<()>,
    /// How many writes were answered.
    writes: AtomicU64,
}

impl Snapshot {
    /// The rows of all tenants, and when they were put together; never from
    /// before a write that was answered before the question. While newer ones
    /// take their time, those of the last seconds do.
    pub(super) async fn rows(&self, state: &ApiState) -> Result<(Timestamp, Arc<Vec<FleetTenant>>), Problem> {
        let writes = self.writes.load(AtomicOrdering::Acquire);
        if let Some(fresh) = self.fresh(state, writes) {
            return Ok((fresh.at, fresh.rows));
        }
        // A task of its own, so that it ends also where nobody waits for it.
        let making = tokio::spawn({
            let state = state.clone();
            async move { state.fleet.make(&state, writes).await }
        });
        let before = self.held.read().clone().filter(|held| held.writes >= writes);
        let made = match before {
            None => making.await,
            Some(before) => match tokio::time::timeout(PATIENCE, making).await {
                Ok(made) => made,
                Err(_) => return Ok((before.at, before.rows)),
            },
        };
        let made = made.map_err(|error| Problem::internal(&error))??;
        Ok((made.at, made.rows))
    }

    /// Has the rows put together anew for every question from now on.
    pub(super) fn forget(&self) {
        self.writes.fetch_add(1, AtomicOrdering::Release);
    }

    /// What is held, where it is of this cycle and of the last seconds, and not
    /// from before so many writes.
    fn fresh(&self, state: &ApiState, writes: u64) -> Option<Held> {
        let (now, cycle) = (state.engine.now(), state.engine.workspace().last_cycle_at());
        let fresh = |held: &&Held| {
            held.writes >= writes && held.cycle == cycle && now.since(held.at) < FRESH_FOR && held.at <= now
        };
        self.held.read().as_ref().filter(fresh).cloned()
    }

    async fn make(&self, state: &ApiState, writes: u64) -> Result<Held, Problem> {
        let _making = self.making.lock().await;
        // Whoever had the lock before may have made them.
        if let Some(fresh) = self.fresh(state, writes) {
            return Ok(fresh);
        }
        // What is written from here on may or may not be seen, so it counts as unseen.
        let writes = self.writes.load(AtomicOrdering::Acquire);
        let (at, cycle) = (state.engine.now(), state.engine.workspace().last_cycle_at());
        let made = Held { at, cycle, writes, rows: Arc::new(state.engine.fleet().await?) };
        *self.held.write() = Some(made.clone());
        Ok(made)
    }
}

/// Look over the fleet: usage beside quotas, costs, and what waits. Rows are at most some seconds old.
#[utoipa::path(get, path = "/v1/fleet", tag = "analysis", security(("token" = [])),
    params(FleetQuery),
    responses(
        (status = 200, body = FleetPage),
    ))]
pub async fn list(
    State(state): State<ApiState>,
    Query(query): Query<FleetQuery>,
) -> Result<Json<FleetPage>, Problem> {
    let from: usize = place(query.cursor.as_deref())?.unwrap_or(0);
    let size = PageQuery { limit: query.limit, cursor: None }.size(&state)?;
    let (at, rows) = state.fleet.rows(&state).await?;
    let mut found: Vec<(Option<&FleetQuota>, &FleetTenant)> =
        rows.iter().filter(|row| takes(&query, row)).map(|row| (shown(row, query.resource), row)).collect();
    let totals = totals(found.iter().map(|(_, row)| *row));
    // Stable, so that equal rows stay in the order of ids.
    found.sort_by(|one, other| compare(query.sort, query.descending, *one, *other));
    let more = found.len() > from.saturating_add(size);
    let page = found.into_iter().skip(from).take(size);
    let items = page.map(|(quota, row)| {
        let shown = quota.map(|quota| quota.resource);
        let mut row = FleetTenant { quotas: quota.into_iter().cloned().collect(), ..row.clone() };
        state.engine.draw(&mut row);
        FleetRow { shown, row }
    });
    let next = more.then(|| (from + size).to_string());
    Ok(Json(FleetPage { items: items.collect(), next, totals, resources: state.engine.resources(), at }))
}

/// Look at one tenant: usage beside quotas, costs, and what waits.
#[utoipa::path(get, path = "/v1/fleet/{id}", tag = "analysis", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id")),
    responses(
        (status = 200, body = FleetTenant),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn one(
    State(state): State<ApiState>,
    Path(id): Path<TenantId>,
) -> Result<Json<FleetTenant>, Problem> {
    Ok(Json(state.engine.fleet_tenant(&id).await?))
}

fn takes(query: &FleetQuery, row: &FleetTenant) -> bool {
    let named = |text: &String| {
        let text = text.trim().to_lowercase();
        row.tenant.as_str().to_lowercase().contains(&text) || row.name.to_lowercase().contains(&text)
    };
    query.search.as_ref().is_none_or(named)
        && query.tier.is_none_or(|tier| tier == row.tier)
        && query.mode.is_none_or(|mode| mode == row.apply_mode)
        && match query.only {
            None => true,
            Some(FleetOnly::Waiting) => row.waiting > 0,
            Some(FleetOnly::Incident) => row.incident.is_some(),
            Some(FleetOnly::OverBudget) => is_over_budget(row),
        }
}

fn is_over_budget(row: &FleetTenant) -> bool {
    row.quotas.iter().any(|quota| quota.violations.is_some_and(|share| share > quota.budget))
}

fn used(quota: &FleetQuota) -> Option<f64> {
    quota.peak.map(|peak| peak / quota.limit)
}

/// The quota of a tenant that is shown: of the resource that is asked for, or
/// the fullest one.
fn shown(row: &FleetTenant, asked: Option<Resource>) -> Option<&FleetQuota> {
    match asked {
        Some(resource) => row.quotas.iter().find(|quota| quota.resource == resource),
        None => {
            let measured = row.quotas.iter().filter(|quota| quota.peak.is_some());
            measured.max_by(|one, other| used(one).unwrap_or(0.0).total_cmp(&used(other).unwrap_or(0.0)))
        }
    }
}

type Row<'a> = (Option<&'a FleetQuota>, &'a FleetTenant);

fn compare(sort: FleetSort, descending: bool, one: Row<'_>, other: Row<'_>) -> Ordering {
    let turned = |order: Ordering| if descending { order.reverse() } else { order };
    if sort == FleetSort::Tenant {
        return turned(one.1.tenant.cmp(&other.1.tenant));
    }
    let value = |(quota, row): Row<'_>| match sort {
        FleetSort::Used => quota.and_then(used),
        FleetSort::Slack => quota.and_then(|quota| quota.slack),
        FleetSort::Violations => quota.and_then(|quota| quota.violations),
        FleetSort::Cost => row.cost_now?.to_f64(),
        FleetSort::Saving => row.saving.filter(|_| row.waiting > 0)?.to_f64(),
        FleetSort::Confidence => row.confidence,
        FleetSort::Incident => row.incident.as_ref().map(|open| f64::from(open.severity as u8)),
        FleetSort::Tenant => None,
    };
    // What has no value comes last, whichever way it is sorted.
    match (value(one), value(other)) {
        (Some(one), Some(other)) => turned(one.total_cmp(&other)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => Ordering::Equal,
    }
}

fn totals<'a>(rows: impl Iterator<Item = &'a FleetTenant>) -> FleetTotals {
    let mut totals = FleetTotals::default();
    let add = |sum: &mut Option<Money<PerMonth>>, one: Option<Money<PerMonth>>| {
        *sum = match (*sum, one) {
            (Some(sum), Some(one)) => sum.plus(&one).ok(),
            (sum, one) => sum.or(one),
        };
    };
    for row in rows {
        totals.tenants += 1;
        add(&mut totals.cost_now, row.cost_now);
        add(&mut totals.cost_recommended, row.cost_recommended);
        add(&mut totals.saving, row.saving);
        totals.waiting += row.waiting;
        totals.incidents += usize::from(row.incident.is_some());
        totals.over_budget += usize::from(is_over_budget(row));
        if row.waiting > 0 {
            *totals.waiting_by_mode.entry(row.apply_mode.name()).or_default() += row.waiting;
            totals.waiting_in_incidents += if row.incident.is_some() { row.waiting } else { 0 };
        }
    }
    totals
}
