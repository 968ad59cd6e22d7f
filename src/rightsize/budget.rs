//! The share of samples that may lie above a quota: what the tier promises, or
//! what the price of a unit and the cost of not having it make worth while.

use std::collections::BTreeMap;

use crate::domain::{Resource, Tier};

/// The least and the largest share that prices may lead to: a slip in a price
/// must neither promise the impossible nor give a tenant up.
const BOUNDS: (f64, f64) = (0.0001, 0.1);

/// The promises of the tiers, and what it costs to break one.
#[derive(Debug, Clone, PartialEq)]
pub struct Budgets {
    /// The share of each tier, in the order of [`Tier::ALL`], above 0 and below 1.
    pub shares: [f64; 6],
    /// What an hour costs in which a unit of demand is not served, in the
    /// currency that costs are shown in.
    pub unserved: BTreeMap<Resource, f64>,
}

impl Default for Budgets {
    fn default() -> Self {
        Budgets { shares: Tier::ALL.map(Tier::violation_budget), unserved: BTreeMap::new() }
    }
}

/// The share of samples that may lie above one quota.
#[derive(Debug, Clone, PartialEq)]
pub struct Budget {
    /// The share, above 0 and below 1.
    pub share: f64,
    /// Where it comes from, in words.
    pub because: String,
}

impl Budgets {
    /// The share that this tier promises.
    pub fn of_tier(&self, tier: Tier) -> f64 {
        let place = Tier::ALL.iter().position(|one| *one == tier).unwrap_or(0);
        self.shares[place]
    }

    /// The budget of one quota. `price` is what a unit of quota costs an hour;
    /// where that and the cost of an unserved unit are known, demand may exceed
    /// the quota as often as the one is of the other: the newsvendor's critical
    /// fractile (Arrow, Harris and Marschak 1951).
    pub fn of(&self, tier: Tier, resource: Resource, price: Option<f64>) -> Budget {
        match (price, self.unserved.get(&resource)) {
            (Some(price), Some(unserved)) if price > 0.0 => Budget {
                share: (price / unserved).clamp(BOUNDS.0, BOUNDS.1),
                because: format!(
                    "a unit costs {price} an hour, and not having it when it is needed {unserved}"
                ),
            },
            _ => Budget { share: self.of_tier(tier), because: format!("the promise of the tier {tier}") },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_comes_from_the_tier_or_from_both_prices() {
        let mut budgets = Budgets::default();
        let cpu = Resource::CpuCores;
        assert_eq!(budgets.of(Tier::Free, cpu, Some(0.03)).share, 0.02);
        budgets.unserved.insert(cpu, 3.0);
        assert_eq!(budgets.of(Tier::Free, cpu, Some(0.03)).share, 0.01);
        assert_eq!(budgets.of(Tier::Free, cpu, None).share, 0.02);
        assert_eq!(budgets.of(Tier::Free, Resource::MemoryGb, Some(0.03)).share, 0.02);
        // A violation that costs less than the unit must not give it up.
        assert_eq!(budgets.of(Tier::Free, cpu, Some(9.0)).share, 0.1);
    }
}
