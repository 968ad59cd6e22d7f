//! What a quota costs: a price book, and the cost and saving of a change.

mod book;

pub use book::{NoPrice, PriceBook, PriceBookError};

use crate::domain::recommendation::CostChange;
use crate::domain::{Money, PerHour, PerMonth, Resource, Tenant};

/// The price of a unit of a tenant's quota for an hour.
///
/// # Errors
/// Where the book has no price for the tenant's provider and region.
pub fn hourly(book: &PriceBook, tenant: &Tenant, resource: Resource) -> Result<Money<PerHour>, NoPrice> {
    book.price(&tenant.provider, &tenant.region, resource)
}

/// The cost of a quota for a month, in the book's currency.
///
/// # Errors
/// Where the book has no price for the tenant's provider and region.
pub fn monthly(
    book: &PriceBook,
    tenant: &Tenant,
    resource: Resource,
    limit: f64,
) -> Result<Money<PerMonth>, NoPrice> {
    let price = hourly(book, tenant, resource)?;
    price.for_month_of(limit).ok_or(NoPrice::NotANumber { resource, quantity: limit })
}

/// What a quota costs now and would cost, and the difference.
///
/// # Errors
/// Where the book has no price for the tenant's provider and region.
pub fn of_change(
    book: &PriceBook,
    tenant: &Tenant,
    resource: Resource,
    current: f64,
    proposed: f64,
) -> Result<CostChange, NoPrice> {
    let now = monthly(book, tenant, resource, current)?;
    let then = monthly(book, tenant, resource, proposed)?;
    // Both come from one book, so they share its currency.
    let saving = Money::new(now.amount - then.amount, now.currency);
    Ok(CostChange { now, then, saving })
}
