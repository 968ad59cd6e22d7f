//! What a tenant pays: a price book, with how capacity is bought, in which
//! currency it is shown, and what may be spent.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::book::{NoPrice, PriceBook, UnitPrice};
use super::focus::Issuer;
use crate::domain::recommendation::CostChange;
use crate::domain::{
    Budget, Budgets, Currency, DomainError, ExchangeRates, Money, PerMonth, Purchase, Resource, Site,
    Timestamp,
};

/// How prices are taken from a book.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The provider whose prices count for all tenants; each tenant's own
    /// where `None`.
    pub provider: Option<String>,
    /// The region whose prices count for all tenants; each tenant's own where
    /// `None`.
    pub region: Option<String>,
    /// How capacity is bought.
    pub purchase: Purchase,
    /// The currency of every cost; the book's where `None`.
    pub currency: Option<Currency>,
    /// What currencies are worth.
    pub rates: ExchangeRates,
    /// What may be spent, in any currency that the rates know.
    pub budgets: Budgets,
    /// Who an export names.
    pub issuer: Issuer,
}

/// The prices of all tenants, in one currency.
#[derive(Debug, Clone)]
pub struct Prices {
    book: PriceBook,
    settings: Settings,
    currency: Currency,
    budgets: Vec<Budget>,
}

impl Prices {
    /// The prices of a book.
    ///
    /// # Errors
    /// Where a currency of the book or of a budget can't be turned into the
    /// one that costs are shown in. `now` is only asked for rates.
    pub fn new(book: PriceBook, settings: Settings, now: Timestamp) -> Result<Prices, DomainError> {
        let currency = settings.currency.unwrap_or(book.currency());
        settings.rates.convert(Money::<PerMonth>::zero(book.currency()), currency, now)?;
        let budgets = settings.budgets.iter().map(|(of, limit)| {
            let limit = settings.rates.convert(*limit, currency, now)?;
            Ok(Budget { of: of.clone(), limit })
        });
        let budgets = budgets.collect::<Result<Vec<Budget>, DomainError>>()?;
        Ok(Prices { book, settings, currency, budgets })
    }

    /// The prices of a book as they are listed, on demand.
    pub fn listed(book: PriceBook) -> Prices {
        let currency = book.currency();
        Prices { book, settings: Settings::default(), currency, budgets: Vec::new() }
    }

    /// The currency of every cost.
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// How capacity is bought.
    pub fn purchase(&self) -> Purchase {
        self.settings.purchase
    }

    /// Who an export names.
    pub fn issuer(&self) -> &Issuer {
        &self.settings.issuer
    }

    /// The provider and region whose prices count at a site.
    pub fn place<'a>(&'a self, site: impl Into<Site<'a>>) -> (&'a str, &'a str) {
        let site = site.into();
        let provider = self.settings.provider.as_deref().unwrap_or(site.provider);
        (provider, self.settings.region.as_deref().unwrap_or(site.region))
    }

    /// The budgets, in [`Prices::currency`].
    pub fn budgets(&self) -> &[Budget] {
        &self.budgets
    }

    /// The same money in [`Prices::currency`].
    ///
    /// # Errors
    /// Where no rate between the two is known.
    pub fn convert<P>(&self, money: Money<P>, at: Timestamp) -> Result<Money<P>, DomainError> {
        self.settings.rates.convert(money, self.currency, at)
    }

    /// The price of a resource at a site, as that of a tenant, at an instant.
    ///
    /// # Errors
    /// Where the book has none for the provider and region.
    pub fn of<'a>(
        &'a self,
        site: impl Into<Site<'a>>,
        resource: Resource,
        at: Timestamp,
    ) -> Result<UnitPrice, NoPrice> {
        self.bought(self.place(site), resource, self.settings.purchase, at)
    }

    /// The same where nothing is committed to.
    ///
    /// # Errors
    /// Where the book has none for the provider and region.
    pub fn on_demand<'a>(
        &'a self,
        site: impl Into<Site<'a>>,
        resource: Resource,
        at: Timestamp,
    ) -> Result<UnitPrice, NoPrice> {
        self.bought(self.place(site), resource, Purchase::OnDemand, at)
    }

    fn bought(
        &self,
        (provider, region): (&str, &str),
        resource: Resource,
        purchase: Purchase,
        at: Timestamp,
    ) -> Result<UnitPrice, NoPrice> {
        let price = self.book.price(provider, region, resource, purchase, at)?;
        price.in_currency(self.currency, &self.settings.rates, at)
    }

    /// What a quota costs a month.
    ///
    /// # Errors
    /// Where the book has no price for the provider and region.
    pub fn per_month<'a>(
        &'a self,
        site: impl Into<Site<'a>>,
        resource: Resource,
        limit: f64,
        at: Timestamp,
    ) -> Result<Money<PerMonth>, NoPrice> {
        self.of(site, resource, at)?.per_month(limit)
    }

    /// What a change of a quota costs and saves a month.
    ///
    /// # Errors
    /// Where the book has no price for the provider and region.
    pub fn of_change<'a>(
        &'a self,
        site: impl Into<Site<'a>>,
        resource: Resource,
        (current, proposed): (f64, f64),
        at: Timestamp,
    ) -> Result<CostChange, NoPrice> {
        let price = self.of(site, resource, at)?;
        let (now, then) = (price.per_month(current)?, price.per_month(proposed)?);
        Ok(CostChange { now, then, saving: now.minus(&then)? })
    }

    /// The instants between two at which a price or a rate changes, rising.
    pub fn changes_between(&self, from: Timestamp, to: Timestamp) -> Vec<Timestamp> {
        let days: BTreeSet<NaiveDate> = self.book.days().chain(self.settings.rates.days()).collect();
        days.into_iter().map(Timestamp::midnight).filter(|at| from < *at && *at < to).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    const ACME: Site<'_> = Site { provider: "aws", region: "us-east-1" };

    fn now() -> Timestamp {
        "2026-11-23".parse().unwrap()
    }

    fn monthly(settings: Settings) -> String {
        let prices = Prices::new(PriceBook::shipped().unwrap(), settings, now()).unwrap();
        prices.per_month(ACME, Resource::CpuCores, 8.0, now()).unwrap().to_string()
    }

    /// 8 cores for 730 hours at 0.035, and so on, by hand.
    #[test]
    fn a_tenant_pays_its_own_prices_or_those_that_are_set_for_all() {
        assert_eq!(monthly(Settings::default()), "204.40 USD");
        let committed = Settings { purchase: Purchase::Committed1y, ..Settings::default() };
        assert_eq!(monthly(committed), "127.75 USD");
        let elsewhere = Settings { region: Some("eu-central-1".to_owned()), ..Settings::default() };
        assert_eq!(monthly(elsewhere), "244.22 USD");
        let gcp = Settings { provider: Some("gcp".to_owned()), ..Settings::default() };
        assert_eq!(monthly(gcp), "127.38 USD");
        let rates = ExchangeRates::new(["1 EUR = 1.12 USD on 2026-11-20".parse().unwrap()]);
        let euros = Settings { currency: Some("EUR".parse().unwrap()), rates, ..Settings::default() };
        assert_eq!(monthly(euros), "182.50 EUR");
    }

    #[test]
    fn a_currency_without_a_rate_is_refused_at_once() {
        let shipped = || PriceBook::shipped().unwrap();
        let settings = Settings { currency: Some("EUR".parse().unwrap()), ..Settings::default() };
        let error = Prices::new(shipped(), settings, now()).unwrap_err().to_string();
        assert!(error.contains("turn USD into EUR"), "{error}");
        let budgets = Budgets::new(["fleet 100CHF/month".parse().unwrap()]);
        let settings = Settings { budgets, ..Settings::default() };
        let error = Prices::new(shipped(), settings, now()).unwrap_err().to_string();
        assert!(error.contains("turn CHF into USD"), "{error}");
    }

    #[test]
    fn a_change_costs_the_difference() {
        let prices = Prices::listed(PriceBook::shipped().unwrap());
        let cost = prices.of_change(ACME, Resource::CpuCores, (8.0, 2.5), now()).unwrap();
        assert_eq!(cost.then.to_string(), "63.88 USD", "2.5 * 730 * 0.035 = 63.875");
        assert_eq!(cost.saving.amount, "140.525".parse().unwrap());
        let missing = prices.of_change(ACME, Resource::DatabaseConnections, (8.0, 2.0), now()).unwrap_err();
        assert!(missing.to_string().contains("no price of database_connections at aws"), "{missing}");
    }
}
