//! Budgets that the month will exceed if the quotas stay. One of a tier or of
//! the fleet is told of at the tenant that pays the largest part of it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{Engine, EngineError};
use crate::cost::{self, BudgetState, Prices, TenantCosts};
use crate::domain::{
    Budget, BudgetOf, DomainError, Finding, FindingKind, Severity, Tenant, TenantId, Timestamp,
};
use crate::engine::CostError;

impl Engine {
    /// The budgets that the month will exceed, each at one tenant.
    pub(super) async fn budget_overruns(
        &self,
        tenants: &[Tenant],
    ) -> Result<BTreeMap<TenantId, Finding>, EngineError> {
        let Some(prices) = self.prices().filter(|prices| !prices.budgets().is_empty()) else {
            return Ok(BTreeMap::new());
        };
        let costs = match self.costs_of(tenants).await {
            Ok(costs) => costs,
            Err(CostError::Registry(error)) => return Err(error.into()),
            Err(error) => {
                tracing::warn!("failed to {error}");
                return Ok(BTreeMap::new());
            }
        };
        overruns(&prices, &costs, self.now()).or_else(|error| {
            tracing::warn!("failed to {error}");
            Ok(BTreeMap::new())
        })
    }
}

fn overruns(
    prices: &Prices,
    costs: &[TenantCosts],
    now: Timestamp,
) -> Result<BTreeMap<TenantId, Finding>, DomainError> {
    let mut found: BTreeMap<TenantId, Finding> = BTreeMap::new();
    for (budget, state) in prices.budgets().iter().zip(cost::budgets(prices, costs)?) {
        let counts = |one: &&TenantCosts| budget.of.covers(&one.tenant, one.tier);
        let dearest = costs.iter().filter(counts).max_by_key(|one| one.costs.month_end.amount);
        let Some(dearest) = dearest.filter(|_| state.exceeded) else { continue };
        let finding = finding(budget, &state, dearest, now);
        match found.get_mut(&dearest.tenant) {
            // A tenant has one finding of a kind; the worst budget gives the figures.
            Some(known) if known.strength >= finding.strength => {
                known.text = format!("{} {}", known.text, finding.text);
            }
            Some(known) => {
                let text = format!("{} {}", finding.text, known.text);
                *known = Finding { text, severity: known.severity.max(finding.severity), ..finding };
            }
            None => {
                found.insert(dearest.tenant.clone(), finding);
            }
        }
    }
    Ok(found)
}

fn finding(budget: &Budget, state: &BudgetState, dearest: &TenantCosts, now: Timestamp) -> Finding {
    let figure = |amount: Decimal| amount.to_f64().unwrap_or(f64::INFINITY);
    let (limit, month_end) = (figure(state.limit.amount), figure(state.month_end.amount));
    let part = match budget.of {
        BudgetOf::Tenant(_) => String::new(),
        _ => format!(" {} pays the largest part, {}.", dearest.tenant, dearest.costs.month_end),
    };
    let spent = state.so_far.amount > state.limit.amount;
    let text = format!(
        "The budget of {}, {} a month, will be exceeded: {} at the month's end if the quotas stay, {} so \
         far.{part}",
        state.of, state.limit, state.month_end, state.so_far
    );
    Finding {
        severity: if spent { Severity::Critical } else { Severity::Warning },
        unit: format!("{}/month", state.limit.currency),
        expected: Some(limit),
        upper: Some(limit),
        actual: Some(month_end),
        strength: if limit > 0.0 { month_end / limit } else { f64::MAX },
        ..Finding::new(FindingKind::BudgetOverrun, "budget", text, now)
    }
}
