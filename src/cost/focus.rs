//! What quotas have cost as a table of FOCUS 1.2, the FinOps Open Cost and Usage
//! Specification (focus.finops.org): a row for each quota and day, which tools
//! for cloud bills read. It is a showback, and no invoice: a tenant is a sub
//! account, and a quota is a resource that is paid for, used or not.
//!
//! Commitments are prices here, and nothing that was bought: so such rows have
//! the pricing category `Other`, and name no commitment discount.

use chrono::Days;
use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::book::{NoPrice, UnitPrice};
use super::fleet::month_of;
use super::prices::Prices;
use super::span::{Change, limits};
use crate::domain::{DomainError, Purchase, Resource, Tenant, TimeRange, Timestamp};
use crate::series::table::{self, Column, Table};

/// Decimals of an amount: enough that a fleet's days add up to its month.
const PLACES: u32 = 12;

/// Who stands in an export where the specification asks for a name.
#[derive(Debug, Clone)]
pub struct Issuer {
    /// The account that everything is billed to.
    pub billing_account: String,
    /// Who bills it.
    pub name: String,
    /// The most rows of an export.
    pub most_rows: usize,
}

impl Default for Issuer {
    fn default() -> Self {
        let name = || "plimsoll".to_owned();
        Issuer { billing_account: name(), name: name(), most_rows: 200_000 }
    }
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ExportFormat {
    /// Comma-separated, amounts exact.
    #[default]
    Csv,
    /// Parquet, amounts as 64-bit floats.
    Parquet,
}

impl ExportFormat {
    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            ExportFormat::Csv => "csv",
            ExportFormat::Parquet => "parquet",
        }
    }

    /// The type of its content on the wire.
    pub fn media_type(self) -> &'static str {
        match self {
            ExportFormat::Csv => "text/csv; charset=utf-8",
            ExportFormat::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// One quota over a time.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Which resource.
    pub resource: Resource,
    /// The limit that stands, in the resource's unit.
    pub limit: f64,
    /// The changes since the time began, the oldest first.
    pub changes: Vec<Change>,
}

/// What one quota has cost on one day.
#[derive(Debug, Clone, PartialEq)]
pub struct Charge<'t> {
    tenant: &'t Tenant,
    provider: &'t str,
    region: &'t str,
    resource: Resource,
    period: TimeRange,
    /// Units times hours.
    quantity: Decimal,
    /// Of a unit for an hour, as it is bought and on demand.
    price: Decimal,
    list_price: Decimal,
    purchase: Purchase,
}

impl<'t> Charge<'t> {
    /// Whose quota.
    pub fn tenant(&self) -> &'t Tenant {
        self.tenant
    }

    /// Of what.
    pub fn resource(&self) -> Resource {
        self.resource
    }

    /// The day, or the part of it.
    pub fn period(&self) -> TimeRange {
        self.period
    }

    /// Units times hours.
    pub fn quantity(&self) -> Decimal {
        self.quantity
    }

    /// The provider and region whose prices apply.
    pub fn place(&self) -> String {
        format!("{}/{}", self.provider, self.region)
    }

    /// What it costs, in the currency of the prices.
    pub fn cost(&self) -> Decimal {
        self.price * self.quantity
    }
}

/// The days of a range, the first and the last cut to it.
fn days(range: TimeRange) -> impl Iterator<Item = TimeRange> {
    let mut start = range.start;
    std::iter::from_fn(move || {
        let tomorrow = start.to_utc()?.date_naive().checked_add_days(Days::new(1))?;
        let day = TimeRange { start, end: Timestamp::midnight(tomorrow).min(range.end) };
        start = day.end;
        (!day.is_empty()).then_some(day)
    })
}

/// How many rows a quota has over a range, at most.
pub fn rows_of(range: TimeRange) -> usize {
    usize::try_from(range.end.since(range.start).as_secs() / 86_400 + 2).unwrap_or(usize::MAX)
}

/// What a tenant's quotas have cost on each day of a range, as far as they have
/// a price. It is nothing before the tenant was registered.
///
/// # Errors
/// Where a quota is too large to be priced.
pub fn charges<'t>(
    prices: &'t Prices,
    tenant: &'t Tenant,
    held: &[Held],
    range: TimeRange,
) -> Result<Vec<Charge<'t>>, DomainError> {
    let range = TimeRange { start: range.start.max(tenant.created_at), end: range.end };
    let mut all = Vec::new();
    for quota in held {
        for day in days(range) {
            match charge(prices, tenant, quota, day) {
                Ok(charge) => all.push(charge),
                Err(NoPrice::Money(error)) => return Err(error),
                Err(NoPrice::NotANumber { .. }) => return Err(DomainError::TooMuchMoney),
                // What has no price is no cost; GET /v1/costs tells of it.
                Err(NoPrice::NoBook | NoPrice::NotListed { .. }) => break,
            }
        }
    }
    Ok(all)
}

/// Prices and rates change at midnight only, so that a day has one price.
fn charge<'t>(
    prices: &'t Prices,
    tenant: &'t Tenant,
    quota: &Held,
    day: TimeRange,
) -> Result<Charge<'t>, NoPrice> {
    let resource = quota.resource;
    let price = prices.of(tenant, resource, day.start)?;
    let purchase = price.purchase;
    let of_unit = |price: &UnitPrice| Ok::<_, NoPrice>(price.per_hour(1.0)?.amount);
    // What is sold at a moving price has no other list price.
    let list_price = match purchase {
        Purchase::Spot => of_unit(&price)?,
        _ => of_unit(&prices.on_demand(tenant, resource, day.start)?)?,
    };
    let refuse = |limit| NoPrice::NotANumber { resource, quantity: limit };
    let mut quantity = Decimal::ZERO;
    for (range, limit) in limits(day, quota.limit, &quota.changes) {
        let millis = Decimal::from(range.end.millis() - range.start.millis());
        let units = Decimal::from_f64(limit).and_then(|units| units.checked_mul(millis));
        quantity += units.ok_or_else(|| refuse(limit))? / Decimal::from(3_600_000_u32);
    }
    let price = of_unit(&price)?;
    price.checked_mul(quantity).ok_or_else(|| refuse(quota.limit))?;
    let (provider, region) = prices.place(tenant);
    Ok(Charge { tenant, provider, region, resource, period: day, quantity, price, list_price, purchase })
}

/// The unit that is priced, as the specification writes units.
fn unit(resource: Resource) -> &'static str {
    match resource {
        Resource::CpuCores => "Core-Hours",
        Resource::MemoryGb | Resource::StorageGb => "GB-Hours",
        Resource::NetworkBandwidthMbps => "Mb/Second-Hours",
        Resource::ConcurrentConnections | Resource::DatabaseConnections => "Connection-Hours",
        Resource::ApiRequestsPerMinute => "Request/Minute-Hours",
        Resource::MlModelInstances => "Instance-Hours",
        Resource::AiProcessingUnits => "Unit-Hours",
        Resource::CacheSizeMb => "MB-Hours",
    }
}

/// Category, subcategory and name of the service that a resource is.
fn service(resource: Resource) -> (&'static str, &'static str, &'static str) {
    match resource {
        Resource::CpuCores => ("Compute", "Other (Compute)", "Processor"),
        Resource::MemoryGb => ("Compute", "Other (Compute)", "Memory"),
        Resource::StorageGb => ("Storage", "Other (Storage)", "Storage"),
        Resource::NetworkBandwidthMbps => ("Networking", "Other (Networking)", "Network bandwidth"),
        Resource::ConcurrentConnections => ("Networking", "Other (Networking)", "Connections"),
        Resource::ApiRequestsPerMinute => ("Integration", "API Management", "API requests"),
        Resource::MlModelInstances => ("AI and Machine Learning", "Machine Learning", "Model instances"),
        Resource::AiProcessingUnits => {
            ("AI and Machine Learning", "Other (AI and Machine Learning)", "AI processing")
        }
        Resource::DatabaseConnections => ("Databases", "Other (Databases)", "Database connections"),
        Resource::CacheSizeMb => ("Databases", "Caching", "Cache"),
    }
}

fn pricing_category(purchase: Purchase) -> &'static str {
    match purchase {
        Purchase::OnDemand => "Standard",
        Purchase::Spot => "Dynamic",
        Purchase::Committed1y | Purchase::Committed3y => "Other",
    }
}

/// The seconds that an instant lies in: the specification knows no parts of one.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_seconds(at.seconds())
}

/// The charges as a table of the specification.
pub fn table(prices: &Prices, charges: &[Charge<'_>], format: ExportFormat) -> Table {
    let issuer = prices.issuer();
    let mut table = Table::new();
    let mut columns = Columns { table: &mut table, charges, format };
    let currency = prices.currency().to_string();
    columns.number("BilledCost", |charge| charge.cost());
    columns.text("BillingAccountId", |_| issuer.billing_account.clone());
    columns.maybe("BillingAccountName", |_| None);
    columns.text("BillingCurrency", |_| currency.clone());
    columns.time("BillingPeriodEnd", |charge| month_of(charge.period.start).end);
    columns.time("BillingPeriodStart", |charge| month_of(charge.period.start).start);
    columns.text("ChargeCategory", |_| "Usage".to_owned());
    columns.maybe("ChargeClass", |_| None);
    columns.maybe("ChargeDescription", |charge| {
        Some(format!("The quota of {} of the tenant {}", charge.resource, charge.tenant.id))
    });
    columns.text("ChargeFrequency", |_| "Recurring".to_owned());
    columns.time("ChargePeriodEnd", |charge| whole_second(charge.period.end));
    columns.time("ChargePeriodStart", |charge| whole_second(charge.period.start));
    columns.number("ConsumedQuantity", |charge| charge.quantity);
    columns.text("ConsumedUnit", |charge| unit(charge.resource).to_owned());
    columns.number("ContractedCost", |charge| charge.cost());
    columns.number("ContractedUnitPrice", |charge| charge.price);
    columns.number("EffectiveCost", |charge| charge.cost());
    columns.text("InvoiceIssuerName", |_| issuer.name.clone());
    columns.number("ListCost", |charge| charge.list_price * charge.quantity);
    columns.number("ListUnitPrice", |charge| charge.list_price);
    columns.text("PricingCategory", |charge| pricing_category(charge.purchase).to_owned());
    columns.number("PricingQuantity", |charge| charge.quantity);
    columns.text("PricingUnit", |charge| unit(charge.resource).to_owned());
    columns.text("ProviderName", |charge| charge.provider.to_owned());
    columns.text("PublisherName", |charge| charge.provider.to_owned());
    columns.text("RegionId", |charge| charge.region.to_owned());
    columns.text("ResourceId", |charge| format!("{}/{}", charge.tenant.id, charge.resource));
    columns.maybe("ResourceName", |_| None);
    columns.text("ResourceType", |charge| charge.resource.to_string());
    columns.text("ServiceCategory", |charge| service(charge.resource).0.to_owned());
    columns.text("ServiceName", |charge| service(charge.resource).2.to_owned());
    columns.text("ServiceSubcategory", |charge| service(charge.resource).1.to_owned());
    columns.text("SkuId", |charge| charge.resource.to_string());
    columns.text("SkuPriceId", |charge| {
        format!("{}/{}/{}/{}", charge.provider, charge.region, charge.resource, charge.purchase)
    });
    columns.text("SubAccountId", |charge| charge.tenant.id.to_string());
    columns
        .maybe("SubAccountName", |charge| Some(charge.tenant.name.clone()).filter(|name| !name.is_empty()));
    columns.text("SubAccountType", |_| "Tenant".to_owned());
    columns.text("Tags", |charge| format!(r#"{{"plimsoll/tier":"{}"}}"#, charge.tenant.tier));
    columns.text("x_Purchase", |charge| charge.purchase.to_string());
    table
}

/// The charges as the bytes of a file.
///
/// # Errors
/// Where the table can't be written.
pub fn export(prices: &Prices, charges: &[Charge<'_>], format: ExportFormat) -> std::io::Result<Vec<u8>> {
    let table = table(prices, charges, format);
    match format {
        ExportFormat::Csv => table::to_csv(&table),
        ExportFormat::Parquet => table::to_parquet(&table),
    }
}

/// A table that is made a column after the other.
struct Columns<'a> {
    table: &'a mut Table,
    charges: &'a [Charge<'a>],
    format: ExportFormat,
}

impl Columns<'_> {
    fn text(&mut self, name: &str, of: impl Fn(&Charge<'_>) -> String) {
        self.table.set(name, Column::Text(self.charges.iter().map(of).collect()));
    }

    fn maybe(&mut self, name: &str, of: impl Fn(&Charge<'_>) -> Option<String>) {
        self.table.set(name, Column::Maybe(self.charges.iter().map(of).collect()));
    }

    fn time(&mut self, name: &str, of: impl Fn(&Charge<'_>) -> Timestamp) {
        self.table.set(name, Column::Times(self.charges.iter().map(of).collect()));
    }

    /// Exact in text; Parquet has the specification's "Double".
    fn number(&mut self, name: &str, of: impl Fn(&Charge<'_>) -> Decimal) {
        let rounded = self.charges.iter().map(|charge| of(charge).round_dp(PLACES).normalize());
        let column = match self.format {
            ExportFormat::Csv => Column::Text(rounded.map(|number| number.to_string()).collect()),
            ExportFormat::Parquet => {
                Column::Numbers(rounded.map(|number| number.to_f64().unwrap_or(f64::NAN)).collect())
            }
        };
        self.table.set(name, column);
    }
}

#[cfg(test)]
mod tests;
