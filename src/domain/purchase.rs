//! How capacity is bought, which decides its price.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::DomainError;

/// How capacity is bought.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Purchase {
    /// By the hour, without a commitment.
    #[default]
    OnDemand,
    /// Committed to for a year.
    #[serde(rename = "committed_1y")]
    Committed1y,
    /// Committed to for three years.
    #[serde(rename = "committed_3y")]
    Committed3y,
    /// Left-over capacity that can be taken away.
    Spot,
}

impl Purchase {
    /// All four.
    pub const ALL: [Purchase; 4] =
        [Purchase::OnDemand, Purchase::Committed1y, Purchase::Committed3y, Purchase::Spot];

    /// The name used in configs, price books and the API.
    pub fn name(self) -> &'static str {
        match self {
            Purchase::OnDemand => "on_demand",
            Purchase::Committed1y => "committed_1y",
            Purchase::Committed3y => "committed_3y",
            Purchase::Spot => "spot",
        }
    }
}

impl fmt::Display for Purchase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Purchase {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let found = Purchase::ALL.into_iter().find(|purchase| purchase.name() == text);
        found.ok_or_else(|| DomainError::UnknownPurchase(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_read_back_and_match_the_json() {
        for purchase in Purchase::ALL {
            assert_eq!(purchase.name().parse(), Ok(purchase));
            assert_eq!(serde_json::to_string(&purchase).unwrap(), format!("{:?}", purchase.name()));
        }
        assert!("reserved".parse::<Purchase>().is_err());
    }
}
