//! How a budget is best spent: on the quotas where violations hurt most.
//!
//! Every quota starts at its tier's floor. What a higher limit is worth is the
//! violations that it avoids, each sample of the past counting as one that may
//! come again, in units of what the tier promises. The limits of a quota that
//! are worth paying are those on the lower convex hull of cost and violations;
//! the steps between them are bought by what they avoid for the money, over all
//! quotas, until the next one costs more than is left. Of that last one the
//! largest part that can be paid is bought, and nothing else, so that more money
//! never makes any quota smaller.
//!
//! Greedy on hulls solves the relaxed problem in which steps can be divided
//! (Dantzig 1957; the multiple-choice knapsack of Sinha and Zoltners 1979). Its
//! value is a bound that no plan of the same budget can beat, so the gap to the
//! best plan is known, and is less than what the one divided step is worth.

use rust_decimal::Decimal;
use rust_decimal::prelude::{RoundingStrategy, ToPrimitive};
use serde::Serialize;
use utoipa::ToSchema;

use super::book::{NoPrice, UnitPrice};
use crate::domain::money::HOURS_PER_MONTH;
use crate::domain::{DomainError, Money, PerMonth, Resource, TenantId, Tier};

/// A quota that money can be spent on.
#[derive(Debug, Clone)]
pub struct Spendable {
    /// Whose.
    pub tenant: TenantId,
    /// The tenant's tier, which names the floor and the ceiling.
    pub tier: Tier,
    /// Which quota.
    pub resource: Resource,
    /// The limit that stands, in the resource's unit.
    pub limit: f64,
    /// The most that the past, the forecast and the policies ask for.
    pub needed: Option<f64>,
    /// The share of samples that may lie above the limit, above 0.
    pub promise: f64,
    /// What it costs.
    pub price: UnitPrice,
    /// The demand that was seen, sorted upwards; never empty.
    pub demand: Vec<f64>,
}

/// Quotas that a plan leaves as they are, since nothing is known of their demand.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Fixed {
    /// How many.
    pub quotas: usize,
    /// What they cost.
    pub cost: Money<PerMonth>,
}

/// What a plan makes of one quota.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Planned {
    /// Whose.
    pub tenant: TenantId,
    /// The tenant's tier.
    pub tier: Tier,
    /// Which quota.
    pub resource: Resource,
    /// The limit that stands, in the resource's unit.
    pub now: f64,
    /// The limit that the plan pays for.
    pub planned: f64,
    /// A month at the limit that stands.
    pub cost_now: Money<PerMonth>,
    /// A month at the planned limit.
    pub cost: Money<PerMonth>,
    /// The share of samples that may lie above the limit.
    pub promise: f64,
    /// The share of samples expected above the limit that stands.
    pub violations_now: f64,
    /// The share of samples expected above the planned limit.
    pub violations: f64,
}

/// How a budget is spent.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Plan {
    /// What may be spent.
    pub budget: Money<PerMonth>,
    /// What the plan costs, the fixed quotas included; never above the budget.
    pub cost: Money<PerMonth>,
    /// What is left: more would avoid nothing, or less than a step.
    pub unspent: Money<PerMonth>,
    /// What the same quotas cost now.
    pub cost_now: Money<PerMonth>,
    /// The least that can be spent: every quota at its floor.
    pub floor: Money<PerMonth>,
    /// Quotas without usage, which stay as they are.
    pub fixed: Fixed,
    /// Quotas without a price, which no plan can weigh.
    pub unpriced: usize,
    /// Expected violations, each in units of its tier's promise, at the quotas that stand.
    pub harm_now: f64,
    /// The same at the planned quotas.
    pub harm: f64,
    /// What no plan of this budget can go below; `harm` less this is the most that is lost to the method.
    pub harm_at_least: f64,
    /// Hours a month above the quotas that stand, summed over the quotas.
    pub hours_above_now: f64,
    /// The same at the planned quotas.
    pub hours_above: f64,
    /// Each quota, those that the plan spares most harm first.
    pub quotas: Vec<Planned>,
}

/// Why there is no plan; reads well after "failed to".
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// Nothing can be spent on.
    #[error("plan: no quota has both a price and usage; see the reasons at /v1/costs/tenants")]
    Nothing,
    /// Not even the floors can be paid.
    #[error(
        "plan with {budget}: the least is {least}, for {quotas} quotas at the floors of their tiers and \
         {fixed} without usage that stay as they are ({fixed_cost}); give at least that"
    )]
    TooLittle {
        /// What may be spent.
        budget: Money<PerMonth>,
        /// The least that can be, rounded up.
        least: Money<PerMonth>,
        /// Quotas at their floors.
        quotas: usize,
        /// Quotas that stay as they are.
        fixed: usize,
        /// What those cost.
        fixed_cost: Money<PerMonth>,
    },
    /// A quantity can't be priced.
    #[error(transparent)]
    Price(#[from] NoPrice),
    /// The sums can't be made.
    #[error(transparent)]
    Domain(#[from] DomainError),
}

/// A limit that is worth paying.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rung {
    limit: f64,
    /// The share of samples expected above it.
    violations: f64,
}

/// From one rung of a quota's hull to the next.
struct Step {
    quota: usize,
    from: Rung,
    to: Rung,
    /// The harm avoided.
    gain: f64,
    /// The harm avoided for a unit of money.
    worth: f64,
}

impl Spendable {
    /// The share of samples expected above a limit: of n that were seen and the
    /// one that comes, as many as lie above it, and the new one (the rule of
    /// succession). Above all that was seen that chance falls evenly, to nothing
    /// at what is needed.
    fn violations(&self, limit: f64) -> f64 {
        let seen = self.demand.len();
        let above = seen - self.demand.partition_point(|sample| *sample <= limit);
        let most = self.demand.last().copied().unwrap_or(0.0);
        let new = match self.needed.filter(|needed| *needed > most) {
            Some(needed) if above == 0 => ((needed - limit) / (needed - most)).clamp(0.0, 1.0),
            None if above == 0 => 0.0,
            _ => 1.0,
        };
        (above as f64 + new) / (seen + 1) as f64
    }

    /// Every limit that avoids something, from the floor up.
    fn rungs(&self) -> Vec<Rung> {
        let floor = self.tier.floor(self.resource);
        let ceiling = self.tier.ceiling(self.resource).unwrap_or(f64::INFINITY).max(floor);
        let wanted = self.demand.iter().copied().chain(self.needed);
        let limits = wanted.map(|limit| self.resource.round_up(limit).min(ceiling));
        let mut limits: Vec<f64> =
            std::iter::once(floor).chain(limits.filter(|limit| *limit > floor)).collect();
        limits.sort_unstable_by(f64::total_cmp);
        limits.dedup();
        limits.into_iter().map(|limit| Rung { limit, violations: self.violations(limit) }).collect()
    }

    fn harm(&self, violations: f64) -> f64 {
        violations / self.promise
    }
}

/// The lower convex hull of rungs, from the first one down to where nothing more
/// is avoided (Andrew 1979).
fn hull(rungs: &[Rung]) -> Vec<Rung> {
    let mut hull: Vec<Rung> = Vec::new();
    for rung in rungs {
        if hull.last().is_some_and(|last| rung.violations >= last.violations) {
            continue;
        }
        while let [.., a, b] = hull[..] {
            let flatter = (b.violations - a.violations) * (rung.limit - a.limit)
                >= (rung.violations - a.violations) * (b.limit - a.limit);
            if !flatter {
                break;
            }
            hull.pop();
        }
        hull.push(*rung);
    }
    hull
}

/// Spends a budget, in the currency of the prices, on quotas.
///
/// # Errors
/// Where there is nothing to spend on, or the budget does not pay for the floors.
pub fn plan(
    budget: Money<PerMonth>,
    quotas: Vec<Spendable>,
    fixed: Fixed,
    unpriced: usize,
) -> Result<Plan, PlanError> {
    if quotas.is_empty() {
        return Err(PlanError::Nothing);
    }
    let rungs: Vec<Vec<Rung>> = quotas.iter().map(Spendable::rungs).collect();
    let mut chosen: Vec<Rung> = rungs.iter().map(|rungs| rungs[0]).collect();
    let mut floors = fixed.cost;
    for (quota, rung) in quotas.iter().zip(&chosen) {
        floors = floors.plus(&quota.price.per_month(rung.limit)?)?;
    }
    if floors.minus(&budget)?.amount > Decimal::ZERO {
        let up = floors.amount.round_dp_with_strategy(2, RoundingStrategy::ToPositiveInfinity);
        return Err(PlanError::TooLittle {
            budget,
            least: Money::new(up, floors.currency),
            quotas: quotas.len(),
            fixed: fixed.quotas,
            fixed_cost: fixed.cost,
        });
    }
    let mut spent = floors;
    let mut relaxed = 0.0;
    for step in steps(&quotas, &rungs)? {
        let quota = &quotas[step.quota];
        let price = |limit| quota.price.per_month(limit);
        let without = spent.minus(&price(step.from.limit)?)?;
        let with = without.plus(&price(step.to.limit)?)?;
        if with.amount <= budget.amount {
            (spent, chosen[step.quota]) = (with, step.to);
            continue;
        }
        // The best that a part of this step could avoid, if it could be divided.
        let left = (budget.amount - spent.amount).to_f64().unwrap_or(0.0);
        relaxed = (left * step.worth).min(step.gain);
        let between = rungs[step.quota].iter().filter(|rung| step.from.limit < rung.limit);
        for rung in between {
            let with = without.plus(&price(rung.limit)?)?;
            if with.amount > budget.amount {
                break;
            }
            if rung.violations < chosen[step.quota].violations {
                (spent, chosen[step.quota]) = (with, *rung);
            }
        }
        relaxed -= quota.harm(step.from.violations - chosen[step.quota].violations);
        break;
    }
    told(budget, spent, floors, &quotas, &chosen, (fixed, unpriced, relaxed.max(0.0)))
}

/// All steps of all hulls, those that avoid most for the money first.
fn steps(quotas: &[Spendable], rungs: &[Vec<Rung>]) -> Result<Vec<Step>, PlanError> {
    let mut steps = Vec::new();
    for (index, (quota, rungs)) in quotas.iter().zip(rungs).enumerate() {
        let mut least = f64::INFINITY;
        for pair in hull(rungs).windows(2) {
            let [from, to] = [pair[0], pair[1]];
            let gain = quota.harm(from.violations - to.violations);
            let cost = quota.price.per_month(to.limit)?.minus(&quota.price.per_month(from.limit)?)?;
            // A hull's steps are worth less and less, but for the last digits.
            least = least.min(gain / cost.amount.to_f64().unwrap_or(f64::INFINITY));
            steps.push(Step { quota: index, from, to, gain, worth: least });
        }
    }
    // Stable, so that the steps of one quota keep their order.
    steps.sort_by(|a, b| b.worth.total_cmp(&a.worth).then(a.quota.cmp(&b.quota)));
    Ok(steps)
}

fn told(
    budget: Money<PerMonth>,
    spent: Money<PerMonth>,
    floor: Money<PerMonth>,
    quotas: &[Spendable],
    chosen: &[Rung],
    (fixed, unpriced, gap): (Fixed, usize, f64),
) -> Result<Plan, PlanError> {
    let mut planned = Vec::with_capacity(quotas.len());
    let (mut cost_now, mut harm_now, mut harm) = (fixed.cost, 0.0, 0.0);
    for (quota, rung) in quotas.iter().zip(chosen) {
        let one = Planned {
            tenant: quota.tenant.clone(),
            tier: quota.tier,
            resource: quota.resource,
            now: quota.limit,
            planned: rung.limit,
            cost_now: quota.price.per_month(quota.limit)?,
            cost: quota.price.per_month(rung.limit)?,
            promise: quota.promise,
            violations_now: quota.violations(quota.limit),
            violations: rung.violations,
        };
        cost_now = cost_now.plus(&one.cost_now)?;
        harm_now += quota.harm(one.violations_now);
        harm += quota.harm(one.violations);
        planned.push(one);
    }
    let hours = |of: fn(&Planned) -> f64| planned.iter().map(of).sum::<f64>() * f64::from(HOURS_PER_MONTH);
    let (hours_above_now, hours_above) = (hours(|one| one.violations_now), hours(|one| one.violations));
    let spared = |one: &Planned| (one.violations_now - one.violations) / one.promise;
    planned.sort_by(|a, b| spared(b).total_cmp(&spared(a)));
    Ok(Plan {
        budget,
        cost: spent,
        unspent: budget.minus(&spent)?.rounded(),
        cost_now,
        floor,
        fixed,
        unpriced,
        harm_now,
        harm,
        harm_at_least: (harm - gap).max(0.0),
        hours_above_now,
        hours_above,
        quotas: planned,
    })
}

#[cfg(test)]
mod tests;
