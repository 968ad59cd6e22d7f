//! From the config's costs to the prices that the engine reckons with.

use std::path::Path;

use anyhow::{Context, anyhow};

use crate::config::Costs;
use crate::cost::{Issuer, PriceBook, Prices, Settings};
use crate::domain::Timestamp;

/// The name that stands for the books that come along.
const SHIPPED: &str = "shipped";

/// A price book: a file, or those that come along by the name `shipped`.
///
/// # Errors
/// Where the file can't be read, or is no price book.
pub fn named_book(name: &Path) -> anyhow::Result<PriceBook> {
    if name == Path::new(SHIPPED) {
        return Ok(PriceBook::shipped()?);
    }
    let text = std::fs::read_to_string(name)
        .with_context(|| format!("failed to read the price book {}", name.display()))?;
    PriceBook::from_toml(&text)
        .map_err(|error| anyhow!("failed to take the price book:\n{}", error.lines(name)))
}

/// The prices that a config means.
///
/// # Errors
/// Where its book can't be used, or a currency has no rate.
pub fn prices_of(costs: &Costs, now: Timestamp) -> anyhow::Result<Prices> {
    let book = named_book(costs.file.as_deref().unwrap_or(Path::new(SHIPPED)))?;
    let settings = Settings {
        provider: costs.provider.clone(),
        region: costs.region.clone(),
        purchase: costs.purchase,
        currency: costs.currency,
        rates: costs.rates.clone(),
        budgets: costs.budgets.clone(),
        issuer: Issuer {
            billing_account: costs.billing_account.clone(),
            name: costs.invoice_issuer.clone(),
            most_rows: costs.export_rows,
        },
    };
    Prices::new(book, settings, now).context("failed to use the section [costs]")
}
