//! When one person's word on a quota is not enough, and the word that is kept
//! until a second person gives theirs.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Actor, ChangeRequestId, Money, PerMonth, Tier, Timestamp};

/// When a change of a quota needs two different people.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TwoPeople {
    /// Where it changes the monthly cost by more than this, up or down.
    pub monthly_cost: Option<Money<PerMonth>>,
    /// Where the tenant is of one of these tiers.
    pub tiers: Vec<Tier>,
}

/// Why a change needs two people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum WhyTwo {
    /// The tenant's tier.
    Tier {
        /// Which.
        tier: Tier,
    },
    /// What it changes the cost by.
    Cost {
        /// By how much a month.
        difference: Money<PerMonth>,
        /// How much one person may decide on.
        limit: Money<PerMonth>,
    },
}

impl fmt::Display for WhyTwo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyTwo::Tier { tier } => {
                write!(f, "the tenant is of the tier {tier}, one of approval.two_person_tiers")
            }
            WhyTwo::Cost { difference, limit } => write!(
                f,
                "it changes the cost by {difference} a month, more than the {limit} of \
                 approval.two_person_monthly_cost"
            ),
        }
    }
}

impl TwoPeople {
    /// Why a change needs two people, if it does. `difference` is what it
    /// changes the monthly cost by, `None` where that is not known: then only
    /// the tier counts. `limit` is [`TwoPeople::monthly_cost`] in the currency of
    /// `difference`.
    pub fn asked_for(
        &self,
        tier: Tier,
        difference: Option<Money<PerMonth>>,
        limit: Option<Money<PerMonth>>,
    ) -> Option<WhyTwo> {
        if self.tiers.contains(&tier) {
            return Some(WhyTwo::Tier { tier });
        }
        let (difference, limit) = (difference?, limit?);
        let difference = Money::new(difference.amount.abs(), difference.currency);
        (difference.amount > limit.amount)
            .then(|| WhyTwo::Cost { difference: difference.rounded(), limit: limit.rounded() })
    }
}

/// The word of the first of two people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FirstWord {
    /// Whose word it is.
    pub by: Actor,
    /// When it was given.
    pub at: Timestamp,
    /// What they said.
    pub comment: Option<String>,
    /// The request by which they gave it; `None` where they approved a
    /// recommendation.
    pub request: Option<ChangeRequestId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tier_or_the_cost_in_either_direction_asks_for_two() {
        let money = |text: &str| text.parse::<Money<PerMonth>>().unwrap();
        let limit = Some(money("500EUR/month"));
        let rule = TwoPeople { monthly_cost: limit, tiers: vec![Tier::EnterprisePlus] };
        assert!(matches!(rule.asked_for(Tier::EnterprisePlus, None, limit), Some(WhyTwo::Tier { .. })));
        assert_eq!(rule.asked_for(Tier::Free, None, limit), None, "no cost is known");
        let dear = money("500.01EUR/month");
        let cheap = Money::new(-dear.amount, dear.currency);
        for difference in [dear, cheap] {
            let why = rule.asked_for(Tier::Free, Some(difference), limit).unwrap();
            assert!(why.to_string().contains("by 500.01 EUR a month"), "{why}");
        }
        assert_eq!(rule.asked_for(Tier::Free, limit, limit), None);
        assert_eq!(TwoPeople::default().asked_for(Tier::EnterprisePlus, Some(dear), None), None);
    }
}
