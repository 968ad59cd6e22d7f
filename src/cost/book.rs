//! Prices by provider, region, resource and date, for each way to buy.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use crate::domain::{
    Currency, Dated, DomainError, ExchangeRates, Money, PerHour, PerMonth, Purchase, Resource, Timestamp,
};

/// The region that stands for every region without a price of its own.
pub const ANY_REGION: &str = "*";

/// Which price is meant: provider, region and resource.
pub(super) type PriceKey = (String, String, Resource);

/// Prices for a quantity of a resource, all in one currency.
#[derive(Debug, Clone)]
pub struct PriceBook {
    currency: Currency,
    prices: BTreeMap<PriceKey, Dated<Listed>>,
}

/// The prices of one resource from a date on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Listed {
    /// By the way to buy; on demand is always there.
    pub(super) amounts: BTreeMap<Purchase, Decimal>,
    /// For how many units, above zero.
    pub(super) units: Decimal,
    /// For how long.
    pub(super) per: Per,
    /// Where the figure comes from.
    pub(super) source: String,
    /// When it was looked up.
    pub(super) looked_up: NaiveDate,
}

/// For how long a price is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Per {
    Hour,
    Month,
}

/// Why there is no price.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NoPrice {
    /// No price book is configured.
    #[error("no price book is given; the daemon takes one from [costs], a command from --prices")]
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
    /// The price can't be turned into the currency that is wanted.
    #[error("the price can't be used: failed to {0}")]
    Money(#[from] DomainError),
}

/// What a price is for, with its amount typed by how long it buys.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Amount {
    Hourly(Money<PerHour>),
    Monthly(Money<PerMonth>),
}

/// The price of one resource at one place and time.
#[derive(Debug, Clone, PartialEq)]
pub struct UnitPrice {
    resource: Resource,
    amount: Amount,
    units: Decimal,
    /// How it is bought: what was asked for, or on demand where the book has no
    /// other price.
    pub purchase: Purchase,
    /// Where the figure comes from.
    pub source: String,
    /// When it was looked up.
    pub looked_up: NaiveDate,
}

impl UnitPrice {
    /// What a quantity costs for a month, rounded as a bill is.
    ///
    /// # Errors
    /// Where the quantity can't be priced.
    pub fn per_month(&self, quantity: f64) -> Result<Money<PerMonth>, NoPrice> {
        let cost = match self.amount {
            Amount::Hourly(amount) => amount.times(quantity).and_then(|hour| hour.per_month()),
            Amount::Monthly(amount) => amount.times(quantity),
        };
        let shared = cost.and_then(|cost| cost.shared_by(self.units)).map_err(|_| self.refuse(quantity))?;
        Ok(shared.rounded())
    }

    /// What a quantity costs for an hour.
    ///
    /// # Errors
    /// Where the quantity can't be priced.
    pub fn per_hour(&self, quantity: f64) -> Result<Money<PerHour>, NoPrice> {
        let cost = match self.amount {
            Amount::Hourly(amount) => amount.times(quantity),
            Amount::Monthly(amount) => amount.times(quantity).map(|month| month.per_hour()),
        };
        cost.and_then(|cost| cost.shared_by(self.units)).map_err(|_| self.refuse(quantity))
    }

    fn refuse(&self, quantity: f64) -> NoPrice {
        NoPrice::NotANumber { resource: self.resource, quantity }
    }

    /// The same price in another currency.
    pub(super) fn in_currency(
        self,
        to: Currency,
        rates: &ExchangeRates,
        at: Timestamp,
    ) -> Result<UnitPrice, NoPrice> {
        let amount = match self.amount {
            Amount::Hourly(amount) => Amount::Hourly(rates.convert(amount, to, at)?),
            Amount::Monthly(amount) => Amount::Monthly(rates.convert(amount, to, at)?),
        };
        Ok(UnitPrice { amount, ..self })
    }
}

impl PriceBook {
    /// A book of these prices.
    pub(super) fn new(currency: Currency, prices: BTreeMap<PriceKey, Dated<Listed>>) -> PriceBook {
        PriceBook { currency, prices }
    }

    /// The book's one currency.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The prices of both; those of `other` count where both list one. Both
    /// must be in the same currency.
    pub(super) fn joined(mut self, other: PriceBook) -> PriceBook {
        debug_assert_eq!(self.currency, other.currency, "books of two currencies can't be joined");
        self.prices.extend(other.prices);
        self
    }

    /// The days on which a price changes.
    pub fn days(&self) -> impl Iterator<Item = NaiveDate> + '_ {
        self.prices.values().flat_map(Dated::days)
    }

    /// The price that counts at `at`: the newest that is valid by then, else
    /// the oldest. Where the book has no price for this way to buy, it is the
    /// one on demand: storage, for one, is not sold by commitment.
    ///
    /// # Errors
    /// Where neither the region nor `*` has a price at this provider.
    pub fn price(
        &self,
        provider: &str,
        region: &str,
        resource: Resource,
        purchase: Purchase,
        at: Timestamp,
    ) -> Result<UnitPrice, NoPrice> {
        let dated = |region: &str| self.prices.get(&(provider.to_owned(), region.to_owned(), resource));
        let missing =
            || NoPrice::NotListed { provider: provider.to_owned(), region: region.to_owned(), resource };
        let dated = dated(region).or_else(|| dated(ANY_REGION)).ok_or_else(missing)?;
        let listed = dated.at(at).ok_or_else(missing)?;
        let (purchase, amount) = listed
            .amounts
            .get_key_value(&purchase)
            .or_else(|| listed.amounts.get_key_value(&Purchase::OnDemand))
            .ok_or_else(missing)?;
        let amount = match listed.per {
            Per::Hour => Amount::Hourly(Money::new(*amount, self.currency)),
            Per::Month => Amount::Monthly(Money::new(*amount, self.currency)),
        };
        Ok(UnitPrice {
            resource,
            amount,
            units: listed.units,
            purchase: *purchase,
            source: listed.source.clone(),
            looked_up: listed.looked_up,
        })
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
        on_demand = "0.031611"
        spot = "0.01"
        source = "list"
        looked_up = "2026-11-23"
        [[price]]
        provider = "aws"
        region = "eu-central-1"
        resource = "cpu_cores"
        on_demand = "0.04"
        valid_from = "2026-01-01"
        source = "list"
        looked_up = "2025-11-23"
        [[price]]
        provider = "aws"
        region = "eu-central-1"
        resource = "cpu_cores"
        on_demand = "0.05"
        valid_from = "2026-07-01"
        source = "list"
        looked_up = "2026-07-02"
        [[price]]
        provider = "aws"
        region = "*"
        resource = "api_requests_per_minute"
        on_demand = "7.30"
        units = "1000"
        per = "month"
        source = "own"
        looked_up = "2026-11-23"
    "#;

    fn at(day: &str) -> Timestamp {
        day.parse().unwrap()
    }

    fn book() -> PriceBook {
        PriceBook::from_toml(BOOK).unwrap()
    }

    fn cores(region: &str, purchase: Purchase, day: &str) -> UnitPrice {
        book().price("aws", region, Resource::CpuCores, purchase, at(day)).unwrap()
    }

    #[test]
    fn a_region_has_its_own_price_or_that_of_any() {
        let price = |region| {
            cores(region, Purchase::OnDemand, "2026-12-01").per_hour(1.0).unwrap().amount.to_string()
        };
        assert_eq!(price("eu-central-1"), "0.05");
        assert_eq!(price("us-east-1"), "0.031611");
        let missing =
            book().price("gcp", "x", Resource::CpuCores, Purchase::OnDemand, at("2026-12-01")).unwrap_err();
        assert!(missing.to_string().contains("no price of cpu_cores at gcp"), "{missing}");
    }

    #[test]
    fn a_price_counts_from_its_date() {
        let price = |day| cores("eu-central-1", Purchase::OnDemand, day).per_hour(1.0).unwrap().amount;
        assert_eq!(price("2026-06-30"), "0.04".parse().unwrap());
        assert_eq!(price("2026-07-01"), "0.05".parse().unwrap());
        assert_eq!(price("2020-01-01"), "0.04".parse().unwrap(), "the oldest stands for what lies before");
    }

    #[test]
    fn what_is_not_sold_in_a_way_costs_what_it_does_on_demand() {
        let spot = cores("us-east-1", Purchase::Spot, "2026-12-01");
        assert_eq!(
            (spot.purchase, spot.per_hour(1.0).unwrap().amount),
            (Purchase::Spot, "0.01".parse().unwrap())
        );
        let committed = cores("us-east-1", Purchase::Committed1y, "2026-12-01");
        assert_eq!(committed.purchase, Purchase::OnDemand);
    }

    #[test]
    fn prices_by_the_thousand_and_the_month_are_reckoned_down() {
        let requests = book()
            .price("aws", "x", Resource::ApiRequestsPerMinute, Purchase::OnDemand, at("2026-12-01"))
            .unwrap();
        // 7.30 a month for 1,000, so 2,500 cost 18.25 a month and 0.025 an hour.
        assert_eq!(requests.per_month(2_500.0).unwrap().amount, "18.25".parse().unwrap());
        assert_eq!(requests.per_hour(2_500.0).unwrap().amount, "0.025".parse().unwrap());
        assert!(matches!(requests.per_month(f64::INFINITY), Err(NoPrice::NotANumber { .. })));
    }
}
