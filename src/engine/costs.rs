//! What the fleet costs right now, and what the changes of its quotas have
//! saved: the state and the memory put to `cost`.

use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;

use super::sizing::standing;
use super::workspace::AssessmentKind;
use super::{ComputeError, Engine, EngineError, SeriesKey};
use crate::cost::{
    self, Fixed, FleetCosts, Line, Plan, PlanError, Prices, Savings, Spendable, TenantCosts, UnitPrice,
};
use crate::domain::{
    AppliedChange, DomainError, Measured, Money, PerMonth, Quota, Tenant, TenantId, TimeRange, Timestamp,
    Violations,
};
use crate::registry::RegistryError;
use crate::rightsize::demand;
use crate::series::UsageSeries;

/// How long before and after a change usage is looked at.
const LOOK: Duration = Duration::from_secs(7 * 86_400);
/// How often measures are written down.
const MEASURE_EVERY: Duration = Duration::from_secs(86_400);

/// Why there are no costs; reads well after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum CostError {
    /// Nobody said what quotas cost.
    #[error("say what quotas cost: there are no prices; add the section [costs] to the daemon's config")]
    NoPrices,
    /// The time that costs are asked of is empty.
    #[error("look from {} to {}: from must lie before to and before now", .0.start, .0.end)]
    Range(TimeRange),
    /// An export would be too long.
    #[error(
        "export up to {rows} rows, which is more than costs.export_rows ({most}); ask for a shorter time or \
         for one tenant"
    )]
    TooManyRows {
        /// How many it could be.
        rows: usize,
        /// How many may be.
        most: usize,
    },
    /// The export can't be written.
    #[error("write the export: {0}")]
    Export(#[from] std::io::Error),
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The costs can't be summed.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// The state can't be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Heavy work did not end well.
    #[error(transparent)]
    Compute(#[from] ComputeError),
}

impl Engine {
    pub(super) fn known_prices(&self) -> Result<Arc<Prices>, CostError> {
        self.prices().ok_or(CostError::NoPrices)
    }

    /// What each of some tenants costs.
    ///
    /// # Errors
    /// Where there are no prices, or the state can't be read.
    pub async fn costs_of(&self, tenants: &[Tenant]) -> Result<Vec<TenantCosts>, CostError> {
        let (prices, now) = (self.known_prices()?, self.now());
        let mut all = Vec::with_capacity(tenants.len());
        for tenant in tenants {
            let lines = self.lines(tenant, now).await?;
            all.push(cost::of_tenant(&prices, tenant, &lines, now)?);
        }
        Ok(all)
    }

    /// What the whole fleet costs.
    ///
    /// # Errors
    /// Where there are no prices, or the state can't be read.
    pub async fn fleet_costs(&self) -> Result<FleetCosts, CostError> {
        let tenants = self.costs_of(&self.parts.registry.all_tenants().await?).await?;
        Ok(cost::of_fleet(&*self.known_prices()?, &tenants, self.now())?)
    }

    /// What is known of each quota of a tenant.
    async fn lines(&self, tenant: &Tenant, now: Timestamp) -> Result<Vec<Line>, RegistryError> {
        let month = cost::month_of(now);
        let assessments = self.workspace.assessments(&tenant.id);
        let mut lines = Vec::new();
        for quota in self.parts.registry.quotas_if_there(&tenant.id).await? {
            let assessment = assessments.iter().find(|(resource, _)| *resource == quota.resource);
            let mut recommended = None;
            if let Some(AssessmentKind::Change(id)) = assessment.map(|(_, said)| &said.kind) {
                let record = self.parts.registry.recommendation(*id).await?;
                let waits = record.state.is_open();
                recommended = waits.then_some(record.recommendation.proposed);
            }
            let changes = self.changes_since(tenant, &quota, month.start).await?;
            let needed = assessment.and_then(|(_, said)| said.needed);
            lines.push(Line { resource: quota.resource, limit: quota.limit, recommended, needed, changes });
        }
        Ok(lines)
    }

    /// How a budget is best spent on the fleet's quotas.
    ///
    /// # Errors
    /// Where there are no prices, the budget's currency has no rate, or the
    /// budget does not pay for the least.
    pub async fn plan(self: &Arc<Self>, budget: Money<PerMonth>) -> Result<Plan, CostError> {
        let budget = self.known_prices()?.convert(budget, self.now())?.rounded();
        let mut quotas = Vec::new();
        for tenant in self.parts.registry.all_tenants().await? {
            let of_tenant = self.parts.registry.quotas_if_there(&tenant.id).await?;
            quotas.extend(of_tenant.into_iter().map(|quota| (tenant.clone(), quota)));
        }
        let engine = Arc::clone(self);
        self.parts.compute.run(move || engine.plan_of(budget, quotas)).await?
    }

    fn plan_of(&self, budget: Money<PerMonth>, quotas: Vec<(Tenant, Quota)>) -> Result<Plan, CostError> {
        let (prices, now) = (self.known_prices()?, self.now());
        let mut fixed = Fixed { quotas: 0, cost: Money::zero(prices.currency()) };
        let (mut spendable, mut unpriced) = (Vec::new(), 0);
        let read = |(tenant, quota): (Tenant, Quota)| {
            let price = prices.of(&tenant, quota.resource, now);
            (quota.limit, price.map(|price| self.spendable(&tenant, &quota, price)))
        };
        let all: Vec<_> = quotas.into_par_iter().map(read).collect();
        for (limit, known) in all {
            match known {
                Err(_) => unpriced += 1,
                Ok(quota) if quota.demand.is_empty() => {
                    fixed.quotas += 1;
                    let cost = quota.price.per_month(limit).map_err(PlanError::from)?;
                    fixed.cost = fixed.cost.plus(&cost)?;
                }
                Ok(quota) => spendable.push(quota),
            }
        }
        Ok(cost::plan(budget, spendable, fixed, unpriced)?)
    }

    fn spendable(&self, tenant: &Tenant, quota: &Quota, price: UnitPrice) -> Spendable {
        let frame = self.workspace.frame(quota.resource);
        let usage = frame.as_ref().and_then(|frame| frame.series.get(&tenant.id));
        let assessment =
            self.workspace.assessment(&SeriesKey { tenant: tenant.id.clone(), resource: quota.resource });
        Spendable {
            tenant: tenant.id.clone(),
            tier: tenant.tier,
            resource: quota.resource,
            limit: quota.limit,
            needed: assessment.and_then(|said| said.needed),
            promise: self.budget(tenant, quota.resource).share,
            price,
            demand: usage.map_or_else(Vec::new, |usage| demand::sorted(usage, &standing(quota))),
        }
    }

    /// What changes of quotas have saved within a time that ends by now, of one
    /// tenant or of all, with each of them, the newest first.
    ///
    /// # Errors
    /// Where there are no prices, or the state can't be read.
    pub async fn savings(
        &self,
        tenant: Option<&TenantId>,
        range: TimeRange,
    ) -> Result<(Savings, Vec<AppliedChange>), CostError> {
        let prices = self.known_prices()?;
        let mut changes = self.parts.registry.applied(tenant).await?;
        self.measure(&mut changes);
        changes.retain(|change| cost::counts_in(change, range));
        changes.sort_by_cached_key(|change| std::cmp::Reverse(change.position()));
        Ok((cost::savings(&prices, &changes, range)?, changes))
    }

    /// Measures what usage did before and after each of the latest changes, and
    /// writes it down before the usage is forgotten. Once a day.
    pub(super) async fn measure_changes(&self) -> Result<(), EngineError> {
        let (registry, now) = (&self.parts.registry, self.now());
        if self.workspace.measured_at.lock().is_some_and(|at| now.since(at) < MEASURE_EVERY) {
            return Ok(());
        }
        registry.forget_applied_before(now.minus(self.settings().keep_changes)).await?;
        registry.forget_rollouts_before(now.minus(self.settings().keep)).await?;
        let since = now.minus(self.settings().window);
        for tenant in registry.all_tenants().await? {
            for quota in registry.quotas_if_there(&tenant.id).await? {
                if !was_changed(&quota, since) {
                    continue;
                }
                let known = registry.applied_to(&tenant.id, quota.resource, since).await?;
                let mut anew = known.clone();
                self.measure(&mut anew);
                for (before, after) in known.iter().zip(&anew) {
                    if let Some(measured) = after.measured.filter(|_| before.measured != after.measured) {
                        registry.measured(after, measured).await?;
                    }
                }
            }
        }
        *self.workspace.measured_at.lock() = Some(now);
        Ok(())
    }

    /// Measures changes as far as their usage is in memory; they are in the
    /// order of tenant, resource and time.
    fn measure(&self, changes: &mut [AppliedChange]) {
        for index in 0..changes.len() {
            let change = &changes[index];
            let same =
                |other: &&AppliedChange| (&other.tenant, other.resource) == (&change.tenant, change.resource);
            let before = index.checked_sub(1).and_then(|index| changes.get(index)).filter(same);
            let next = changes.get(index + 1).filter(same);
            let key = SeriesKey { tenant: change.tenant.clone(), resource: change.resource };
            let frame = self.workspace.frame(key.resource);
            let Some(usage) = frame.as_ref().and_then(|frame| frame.series.get(&key.tenant)) else {
                continue;
            };
            let measured = measured(usage, change, before.map(|one| one.at), next.map(|one| one.at));
            // What was seen of it while more of its usage was known stays.
            let more = |known: Measured| measured.is_some_and(|now| now.since.samples > known.since.samples);
            if changes[index].measured.is_none_or(more) {
                changes[index].measured = measured;
            }
        }
    }
}

pub(super) fn was_changed(quota: &Quota, since: Timestamp) -> bool {
    quota.generation > 1 && quota.changed_at >= since
}

/// What usage did before and after a change, up to the changes before and after.
fn measured(
    usage: &UsageSeries,
    change: &AppliedChange,
    before: Option<Timestamp>,
    next: Option<Timestamp>,
) -> Option<Measured> {
    let from = change.at.minus(LOOK).max(before.unwrap_or_default());
    let until = [next, change.left_at].into_iter().flatten().fold(change.at.plus(LOOK), Timestamp::min);
    let until = until.min(usage.end());
    let count = |start: Timestamp, end: Timestamp, limit: f64| {
        Violations::count(usage.within(TimeRange { start, end }).iter().copied(), limit)
    };
    let measured = Measured {
        before: count(from, change.at, change.before),
        since: count(change.at, until, change.after),
        until,
    };
    (measured.before.samples + measured.since.samples > 0).then_some(measured)
}

#[cfg(test)]
mod tests;
