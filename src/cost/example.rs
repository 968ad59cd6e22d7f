//! Prices and tenants for the tests of this room.

use super::{PriceBook, Prices, Settings};
use crate::domain::{ApplyMode, Budgets, Site, Tenant, Tier, Timestamp};

/// Where [`prices`] and [`rising`] count.
pub const SITE: Site<'_> = Site { provider: "x", region: "y" };

/// A core costs 0.5 an hour; nothing else has a price.
const BOOK: &str = "currency = \"USD\"\nprovider = \"x\"\n\
    [[price]]\nregion = \"*\"\nresource = \"cpu_cores\"\non_demand = \"0.5\"\nsource = \"s\"\n\
    looked_up = \"2026-01-01\"\n";

/// And 0.75 from the 11th of November on.
const RISE: &str = "[[price]]\nregion = \"*\"\nresource = \"cpu_cores\"\non_demand = \"0.75\"\n\
    source = \"s\"\nlooked_up = \"2026-11-11\"\n";

/// An instant.
pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A core costs 0.5 USD an hour.
pub fn prices(budgets: &[&str]) -> Prices {
    let budgets = Budgets::new(budgets.iter().map(|budget| budget.parse().unwrap()));
    let settings = Settings { budgets, ..Settings::default() };
    Prices::new(PriceBook::from_toml(BOOK).unwrap(), settings, at("2026-11-21")).unwrap()
}

/// A core costs 0.5 USD an hour, and 0.75 from the 11th of November on.
pub fn rising() -> Prices {
    Prices::listed(PriceBook::from_toml(&format!("{BOOK}{RISE}")).unwrap())
}

/// A tenant at [`SITE`].
pub fn tenant(id: &str, tier: Tier, created_at: &str) -> Tenant {
    Tenant {
        id: id.parse().unwrap(),
        name: String::new(),
        tier,
        provider: SITE.provider.to_owned(),
        region: SITE.region.to_owned(),
        apply_mode: ApplyMode::Observe,
        cadence: None,
        changes_per_day: None,
        template: None,
        created_at: at(created_at),
    }
}
