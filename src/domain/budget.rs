//! What may be spent in a month: by a tenant, by a tier, by the fleet.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{DomainError, Money, PerMonth, TenantId, Tier};

/// Whose spend a budget bounds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum BudgetOf {
    /// All tenants together.
    Fleet,
    /// All tenants of a tier together.
    Tier(Tier),
    /// One tenant.
    Tenant(TenantId),
}

impl BudgetOf {
    /// Whether a tenant's spend counts.
    pub fn covers(&self, tenant: &TenantId, tier: Tier) -> bool {
        match self {
            BudgetOf::Fleet => true,
            BudgetOf::Tier(own) => *own == tier,
            BudgetOf::Tenant(own) => own == tenant,
        }
    }
}

impl fmt::Display for BudgetOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BudgetOf::Fleet => f.pad("fleet"),
            BudgetOf::Tier(tier) => write!(f, "tier {tier}"),
            BudgetOf::Tenant(tenant) => write!(f, "tenant {tenant}"),
        }
    }
}

/// One budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Whose.
    pub of: BudgetOf,
    /// How much.
    pub limit: Money<PerMonth>,
}

impl FromStr for Budget {
    type Err = DomainError;

    /// Reads `fleet 10000EUR/month`, `tier PREMIUM 4000EUR/month` and
    /// `tenant acme 500EUR/month`.
    fn from_str(text: &str) -> Result<Self, DomainError> {
        let (of, limit) = match text.trim().split_once(' ') {
            Some(("fleet", limit)) => (BudgetOf::Fleet, limit),
            Some((kind @ ("tier" | "tenant"), rest)) => {
                let bad = || DomainError::BadBudget(text.to_owned());
                let (name, limit) = rest.trim().split_once(' ').ok_or_else(bad)?;
                let of = match kind {
                    "tier" => BudgetOf::Tier(name.parse()?),
                    _ => BudgetOf::Tenant(name.parse()?),
                };
                (of, limit)
            }
            _ => return Err(DomainError::BadBudget(text.to_owned())),
        };
        Ok(Budget { of, limit: limit.parse()? })
    }
}

/// Budgets by whose they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Budgets(BTreeMap<BudgetOf, Money<PerMonth>>);

impl Budgets {
    /// These budgets; of two for the same the later in the list stays.
    pub fn new(budgets: impl IntoIterator<Item = Budget>) -> Self {
        Budgets(budgets.into_iter().map(|budget| (budget.of, budget.limit)).collect())
    }

    /// Each budget with whose it is.
    pub fn iter(&self) -> impl Iterator<Item = (&BudgetOf, &Money<PerMonth>)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_read_as_they_are_written() {
        let read = |text: &str| text.parse::<Budget>().unwrap();
        assert_eq!(read("fleet 10000EUR/month").of, BudgetOf::Fleet);
        assert_eq!(read("tier PREMIUM 4000 EUR/month").of, BudgetOf::Tier(Tier::Premium));
        let acme = read("tenant acme 500.5EUR/month");
        assert_eq!(acme.of.to_string(), "tenant acme");
        assert_eq!(acme.limit.amount, "500.5".parse().unwrap());
        for bad in
            ["", "fleet", "fleet 5", "tier GOLD 1EUR/month", "tenant a/b 1EUR/month", "acme 1EUR/month"]
        {
            assert!(bad.parse::<Budget>().is_err(), "{bad}");
        }
    }
}
