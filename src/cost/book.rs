//! Prices by provider, region and resource, read from a TOML file.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Deserialize;

use crate::domain::{Currency, Money, PerHour, Resource};

/// The region that stands for every region without a price of its own.
const ANY_REGION: &str = "*";

/// Prices a unit and hour, all in one currency.
#[derive(Debug, Clone)]
pub struct PriceBook {
    currency: Currency,
    prices: BTreeMap<(String, String, Resource), Decimal>,
}

/// A price book that can't be used; reads well after "failed to".
#[derive(Debug, Clone, thiserror::Error)]
pub enum PriceBookError {
    /// The text is not a price book.
    #[error("read the price book: {0}")]
    Malformed(String),
    /// A price below zero.
    #[error("take the price of {resource} at {provider} in {region}: it is below zero")]
    Negative {
        /// The provider.
        provider: String,
        /// The region.
        region: String,
        /// The resource.
        resource: Resource,
    },
    /// Two prices for the same thing.
    #[error("take two prices of {resource} at {provider} in {region}; remove one")]
    Twice {
        /// The provider.
        provider: String,
        /// The region.
        region: String,
        /// The resource.
        resource: Resource,
    },
}

/// Why there is no price.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoPrice {
    /// No price book is configured.
    #[error("no price book is given; the daemon takes one from [prices], a command from --prices")]
    NoBook,
    /// The book has no such entry.
    #[error(
        "the price book has no price of {resource} at {provider} in {region}; add a [[price]] for it, \
         or one with region = \"*\""
    )]
    NotListed {
        /// The provider asked for.
        provider: String,
        /// The region asked for.
        region: String,
        /// The resource asked for.
        resource: Resource,
    },
    /// The quantity can't be priced.
    #[error("{quantity} of {resource} can't be priced")]
    NotANumber {
        /// The resource.
        resource: Resource,
        /// The quantity, in the resource's unit.
        quantity: f64,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBook {
    currency: Currency,
    #[serde(default)]
    price: Vec<RawPrice>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrice {
    provider: String,
    region: String,
    resource: Resource,
    /// As text, so that no digit is lost on the way.
    #[serde(with = "rust_decimal::serde::str")]
    per_unit_hour: Decimal,
    /// Where the figure comes from; required, so that no price is without one.
    #[serde(rename = "source")]
    _source: String,
    /// When the figure was read.
    #[serde(rename = "date")]
    _date: String,
}

impl PriceBook {
    /// Reads a price book.
    ///
    /// # Errors
    /// Names the line of a malformed entry, a negative price, or one that is
    /// listed twice.
    pub fn from_toml(text: &str) -> Result<Self, PriceBookError> {
        let raw: RawBook =
            toml::from_str(text).map_err(|error| PriceBookError::Malformed(error.to_string()))?;
        let mut prices = BTreeMap::new();
        for RawPrice { provider, region, resource, per_unit_hour, .. } in raw.price {
            if per_unit_hour.is_sign_negative() {
                return Err(PriceBookError::Negative { provider, region, resource });
            }
            if prices.insert((provider.clone(), region.clone(), resource), per_unit_hour).is_some() {
                return Err(PriceBookError::Twice { provider, region, resource });
            }
        }
        Ok(PriceBook { currency: raw.currency, prices })
    }

    /// The book's one currency.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The price of one unit for one hour.
    ///
    /// # Errors
    /// Where neither the region nor `*` has a price at this provider.
    pub fn price(&self, provider: &str, region: &str, resource: Resource) -> Result<Money<PerHour>, NoPrice> {
        let listed = |region: &str| self.prices.get(&(provider.to_owned(), region.to_owned(), resource));
        let price = listed(region).or_else(|| listed(ANY_REGION)).ok_or_else(|| NoPrice::NotListed {
            provider: provider.to_owned(),
            region: region.to_owned(),
            resource,
        })?;
        Ok(Money::new(*price, self.currency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOK: &str = r#"
        currency = "USD"
        [[price]]
        provider = "aws"
        region = "*"
        resource = "cpu_cores"
        per_unit_hour = "0.031611"
        source = "list"
        date = "2026-11-23"
        [[price]]
        provider = "aws"
        region = "eu-central-1"
        resource = "cpu_cores"
        per_unit_hour = "0.04"
        source = "list"
        date = "2026-11-23"
    "#;

    #[test]
    fn a_region_has_its_own_price_or_that_of_any() {
        let book = PriceBook::from_toml(BOOK).unwrap();
        let price = |region| book.price("aws", region, Resource::CpuCores).unwrap().amount.to_string();
        assert_eq!(price("eu-central-1"), "0.04");
        assert_eq!(price("us-east-1"), "0.031611");
        let missing = book.price("gcp", "x", Resource::CpuCores).unwrap_err();
        assert!(missing.to_string().contains("no price of cpu_cores at gcp"), "{missing}");
    }

    #[test]
    fn a_bad_book_is_refused_with_its_place() {
        let twice = format!("{BOOK}{}", &BOOK[BOOK.rfind("[[price]]").unwrap()..]);
        assert!(matches!(PriceBook::from_toml(&twice), Err(PriceBookError::Twice { .. })));
        let negative = BOOK.replace("0.04", "-0.04");
        assert!(matches!(PriceBook::from_toml(&negative), Err(PriceBookError::Negative { .. })));
        let unknown = BOOK.replace("cpu_cores", "cpus");
        let error = PriceBook::from_toml(&unknown).unwrap_err().to_string();
        assert!(error.contains("line 6"), "{error}");
    }
}
