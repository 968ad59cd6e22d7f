//! What the fleet and each tenant cost: at the quotas that stand, at those that
//! are recommended, in the calendar month so far and at its end, and what of it
//! pays for room that nobody uses. A tenant pays for its quota, used or not.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::book::NoPrice;
use super::prices::Prices;
use super::span::{Change, limits};
use crate::domain::{
    Budget, Currency, DomainError, Money, Once, PerMonth, Purchase, Resource, Tenant, TenantId, Tier,
    TimeRange, Timestamp,
};

/// What is known of one quota.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Which resource.
    pub resource: Resource,
    /// The limit that stands, in the resource's unit.
    pub limit: f64,
    /// The limit that is recommended, where a recommendation waits.
    pub recommended: Option<f64>,
    /// The most that the past, the forecast and the policies ask for, in the
    /// resource's unit; `None` where nothing can be said.
    pub needed: Option<f64>,
    /// The changes of it that are known, in the order of time.
    pub changes: Vec<Change>,
}

/// What something costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Costs {
    /// A month of 730 hours at the quotas that stand.
    pub now: Money<PerMonth>,
    /// The same at the recommended quotas; those that stand where nothing is recommended.
    pub recommended: Money<PerMonth>,
    /// What of `now` pays for room above the most that the past, the forecast and the policies ask for; only
    /// of quotas of which that is known.
    pub idle: Money<PerMonth>,
    /// What this calendar month has cost so far, at the quotas and prices of each of its days.
    pub so_far: Money<Once>,
    /// What it will have cost at its end if the quotas stay.
    pub month_end: Money<Once>,
    /// The same if all that is recommended were applied now.
    pub month_end_recommended: Money<Once>,
}

impl Costs {
    fn nothing(currency: Currency) -> Self {
        let (month, once) = (Money::zero(currency), Money::zero(currency));
        Costs {
            now: month,
            recommended: month,
            idle: month,
            so_far: once,
            month_end: once,
            month_end_recommended: once,
        }
    }

    fn plus(&self, other: &Costs) -> Result<Costs, DomainError> {
        Ok(Costs {
            now: self.now.plus(&other.now)?,
            recommended: self.recommended.plus(&other.recommended)?,
            idle: self.idle.plus(&other.idle)?,
            so_far: self.so_far.plus(&other.so_far)?,
            month_end: self.month_end.plus(&other.month_end)?,
            month_end_recommended: self.month_end_recommended.plus(&other.month_end_recommended)?,
        })
    }

    fn rounded(self) -> Costs {
        Costs {
            so_far: self.so_far.rounded(),
            month_end: self.month_end.rounded(),
            month_end_recommended: self.month_end_recommended.rounded(),
            ..self
        }
    }

    /// The costs of many; nothing for none.
    ///
    /// # Errors
    /// Where they are too much to be summed.
    pub fn sum<'a>(
        currency: Currency,
        mut all: impl Iterator<Item = &'a Costs>,
    ) -> Result<Costs, DomainError> {
        all.try_fold(Costs::nothing(currency), |sum, one| sum.plus(one))
    }
}

/// A quota that has no cost.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Unpriced {
    /// Of which resource.
    pub resource: Resource,
    /// Why.
    pub reason: String,
}

/// What one tenant costs.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TenantCosts {
    /// Which tenant.
    pub tenant: TenantId,
    /// Its tier.
    pub tier: Tier,
    /// All its priced quotas together.
    pub costs: Costs,
    /// Each of them.
    #[schema(value_type = BTreeMap<String, Costs>)]
    pub resources: BTreeMap<Resource, Costs>,
    /// The others.
    pub unpriced: Vec<Unpriced>,
}

/// A budget beside what is spent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BudgetState {
    /// Whose: `fleet`, `tier NAME` or `tenant ID`.
    pub of: String,
    /// What may be spent in a month.
    pub limit: Money<PerMonth>,
    /// What this calendar month has cost so far.
    pub so_far: Money<Once>,
    /// What it will have cost at its end if the quotas stay.
    pub month_end: Money<Once>,
    /// Whether that is more than the limit.
    pub exceeded: bool,
}

/// What the whole fleet costs.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FleetCosts {
    /// When that was reckoned.
    pub at: Timestamp,
    /// The calendar month, in UTC.
    pub month: TimeRange,
    /// How capacity is bought.
    pub purchase: Purchase,
    /// All tenants together.
    pub fleet: Costs,
    /// Those of each tier.
    #[schema(value_type = BTreeMap<String, Costs>)]
    pub tiers: BTreeMap<Tier, Costs>,
    /// Those of each resource.
    #[schema(value_type = BTreeMap<String, Costs>)]
    pub resources: BTreeMap<Resource, Costs>,
    /// Each budget beside what is spent.
    pub budgets: Vec<BudgetState>,
    /// How many tenants there are.
    pub tenants: usize,
    /// Quotas that have no price, and so no part in these sums, by resource.
    #[schema(value_type = BTreeMap<String, usize>)]
    pub unpriced: BTreeMap<Resource, usize>,
}

/// What the whole fleet costs, out of what each tenant does.
///
/// # Errors
/// Where that is too much to be summed.
pub fn of_fleet(prices: &Prices, tenants: &[TenantCosts], now: Timestamp) -> Result<FleetCosts, DomainError> {
    let nothing = || Costs::nothing(prices.currency());
    let (mut tiers, mut resources) = (BTreeMap::new(), BTreeMap::new());
    let mut unpriced = BTreeMap::new();
    for tenant in tenants {
        let of_tier = tiers.entry(tenant.tier).or_insert_with(nothing);
        *of_tier = of_tier.plus(&tenant.costs)?;
        for (resource, costs) in &tenant.resources {
            let of_resource = resources.entry(*resource).or_insert_with(nothing);
            *of_resource = of_resource.plus(costs)?;
        }
        tenant.unpriced.iter().for_each(|one| *unpriced.entry(one.resource).or_insert(0) += 1);
    }
    Ok(FleetCosts {
        at: now,
        month: month_of(now),
        purchase: prices.purchase(),
        fleet: Costs::sum(prices.currency(), tenants.iter().map(|tenant| &tenant.costs))?,
        tiers,
        resources,
        budgets: budgets(prices, tenants)?,
        tenants: tenants.len(),
        unpriced,
    })
}

/// The calendar month, in UTC, that an instant lies in.
pub fn month_of(at: Timestamp) -> TimeRange {
    let first = |year: i32, month: u32| NaiveDate::from_ymd_opt(year, month, 1).map(Timestamp::midnight);
    let range = at.to_utc().and_then(|time| {
        let (year, month) = (time.year(), time.month());
        let (next_year, next) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        Some(TimeRange { start: first(year, month)?, end: first(next_year, next)? })
    });
    range.unwrap_or(TimeRange { start: at, end: at })
}

/// What a tenant costs.
///
/// # Errors
/// Where its costs are too much to be summed.
pub fn of_tenant(
    prices: &Prices,
    tenant: &Tenant,
    lines: &[Line],
    now: Timestamp,
) -> Result<TenantCosts, DomainError> {
    let (mut resources, mut unpriced) = (BTreeMap::new(), Vec::new());
    for line in lines {
        match of_line(prices, tenant, line, now) {
            Ok(costs) => {
                resources.insert(line.resource, costs);
            }
            Err(reason) => unpriced.push(Unpriced { resource: line.resource, reason: reason.to_string() }),
        }
    }
    let costs = Costs::sum(prices.currency(), resources.values())?;
    Ok(TenantCosts { tenant: tenant.id.clone(), tier: tenant.tier, costs, resources, unpriced })
}

fn of_line(prices: &Prices, tenant: &Tenant, line: &Line, now: Timestamp) -> Result<Costs, NoPrice> {
    let price = prices.of(tenant, line.resource, now)?;
    let wanted = line.recommended.unwrap_or(line.limit);
    let month = month_of(now);
    let past = TimeRange { start: month.start.max(tenant.created_at), end: now };
    let over = |range, limit| prices.over(tenant, line.resource, range, limit);
    let mut so_far = Money::zero(prices.currency());
    if !past.is_empty() {
        for (range, limit) in limits(past, line.limit, &line.changes) {
            so_far = so_far.plus(&over(range, limit)?)?;
        }
    }
    let rest = TimeRange { start: now, end: month.end };
    Ok(Costs {
        now: price.per_month(line.limit)?,
        recommended: price.per_month(wanted)?,
        idle: price.per_month(line.needed.map_or(0.0, |needed| (line.limit - needed).max(0.0)))?,
        so_far,
        month_end: so_far.plus(&over(rest, line.limit)?)?,
        month_end_recommended: so_far.plus(&over(rest, wanted)?)?,
    }
    .rounded())
}

/// Each budget beside what all tenants spend.
///
/// # Errors
/// Where their costs are too much to be summed.
pub fn budgets(prices: &Prices, tenants: &[TenantCosts]) -> Result<Vec<BudgetState>, DomainError> {
    let state = |budget: &Budget| {
        let counts = |one: &&TenantCosts| budget.of.covers(&one.tenant, one.tier);
        let costs = Costs::sum(prices.currency(), tenants.iter().filter(counts).map(|one| &one.costs))?;
        Ok(BudgetState {
            of: budget.of.to_string(),
            limit: budget.limit,
            so_far: costs.so_far,
            month_end: costs.month_end,
            // A budget allows its amount in each calendar month, long or short.
            exceeded: costs.month_end.amount > budget.limit.amount,
        })
    };
    prices.budgets().iter().map(state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::example::{at, prices, tenant};

    fn cores(changes: &[Change]) -> Line {
        Line {
            resource: Resource::CpuCores,
            limit: 4.0,
            recommended: Some(3.0),
            needed: Some(2.5),
            changes: changes.to_vec(),
        }
    }

    fn shown<P>(money: Money<P>) -> String {
        money.amount.normalize().to_string()
    }

    /// November has 720 hours. 8 cores until the 11th (240 h * 8 * 0.5 = 960),
    /// 4 until the 21st (240 h * 4 * 0.5 = 480), then 240 h to go.
    #[test]
    fn a_tenants_costs_by_hand() {
        let changes = [Change { at: at("2026-11-11"), before: 8.0, after: 4.0 }];
        let storage = Line { resource: Resource::StorageGb, ..cores(&[]) };
        let acme = tenant("acme", Tier::Premium, "2026-01-01");
        let found = of_tenant(&prices(&[]), &acme, &[cores(&changes), storage], at("2026-11-21")).unwrap();
        let costs = &found.costs;
        assert_eq!(shown(costs.now), "1460", "4 * 0.5 * 730");
        assert_eq!(shown(costs.recommended), "1095", "3 * 0.5 * 730");
        assert_eq!(shown(costs.idle), "547.5", "1.5 * 0.5 * 730");
        assert_eq!(shown(costs.so_far), "1440");
        assert_eq!(shown(costs.month_end), "1920", "480 more at 4 cores");
        assert_eq!(shown(costs.month_end_recommended), "1800", "360 more at 3 cores");
        assert_eq!(found.resources.len(), 1);
        assert!(found.unpriced[0].reason.contains("no price of storage_gb at x in y"), "{found:?}");
    }

    #[test]
    fn a_tenant_pays_from_the_day_on_that_it_came() {
        let young = tenant("young", Tier::Free, "2026-11-20");
        let found = of_tenant(&prices(&[]), &young, &[cores(&[])], at("2026-11-21")).unwrap();
        assert_eq!(shown(found.costs.so_far), "48", "24 h * 4 * 0.5");
    }

    #[test]
    fn budgets_are_held_against_the_months_end() {
        let prices = prices(&[
            "fleet 4000USD/month",
            "tier FREE 1000USD/month",
            "tenant acme 1440USD/month",
            "tenant no 1USD/month",
        ]);
        let now = at("2026-11-01");
        let tenants = [tenant("acme", Tier::Premium, "2026-01-01"), tenant("b", Tier::Free, "2026-01-01")];
        let costs: Vec<TenantCosts> =
            tenants.iter().map(|tenant| of_tenant(&prices, tenant, &[cores(&[])], now).unwrap()).collect();
        let states = budgets(&prices, &costs).unwrap();
        // Each costs 720 h * 4 * 0.5 = 1440 in November.
        let seen: Vec<(&str, String, bool)> =
            states.iter().map(|state| (state.of.as_str(), shown(state.month_end), state.exceeded)).collect();
        let expected = [
            ("fleet", "2880".to_owned(), false),
            ("tier FREE", "1440".to_owned(), true),
            ("tenant acme", "1440".to_owned(), false),
            ("tenant no", "0".to_owned(), false),
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_month_is_that_of_the_calendar() {
        let hours = |day: &str| {
            let month = month_of(at(day));
            month.end.since(month.start).as_secs() / 3600
        };
        assert_eq!((hours("2026-11-30"), hours("2026-12-31"), hours("2028-02-10")), (720, 744, 696));
    }
}
