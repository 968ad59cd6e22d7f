//! The price books that come with the binary, one a provider. Each says in its
//! head what its figures are reckoned from.

use super::book::PriceBook;
use super::reading::PriceBookError;

/// The providers whose books come along.
pub const PROVIDERS: [&str; 4] = ["aws", "azure", "gcp", "on-premises"];

const BOOKS: [&str; 4] = [
    include_str!("../../config/prices/aws.toml"),
    include_str!("../../config/prices/azure.toml"),
    include_str!("../../config/prices/gcp.toml"),
    include_str!("../../config/prices/on-premises.toml"),
];

impl PriceBook {
    /// All books that come along, as one: providers are told apart by name.
    ///
    /// # Errors
    /// Where one can't be read, which a test rules out.
    pub fn shipped() -> Result<PriceBook, PriceBookError> {
        let [first, others @ ..] = BOOKS;
        others
            .iter()
            .try_fold(PriceBook::from_toml(first)?, |all, text| Ok(all.joined(PriceBook::from_toml(text)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Purchase, Resource, Timestamp};

    fn price(provider: &str, region: &str, resource: Resource, purchase: Purchase) -> f64 {
        let at = Timestamp::from_seconds(1_800_000_000);
        let price = PriceBook::shipped().unwrap().price(provider, region, resource, purchase, at).unwrap();
        price.per_hour(1.0).unwrap().amount.to_string().parse().unwrap()
    }

    /// A machine's price out of those of its parts, beside what it is listed at.
    fn machine(provider: &str, region: &str, cores: f64, gib: f64) -> f64 {
        let core = price(provider, region, Resource::CpuCores, Purchase::OnDemand);
        let gb = price(provider, region, Resource::MemoryGb, Purchase::OnDemand);
        cores * core + gib * 1.073_741_824 * gb
    }

    #[test]
    fn the_parts_add_up_to_the_machines_that_they_come_from() {
        let listed = [
            ("aws", "us-east-1", 4.0, 16.0, 0.192),
            ("aws", "us-east-1", 4.0, 8.0, 0.170),
            ("aws", "us-east-1", 4.0, 32.0, 0.252),
            ("azure", "eastus", 4.0, 16.0, 0.192),
            ("azure", "eastus", 16.0, 128.0, 1.008),
            ("azure", "westus", 4.0, 16.0, 0.224),
            ("azure", "southcentralus", 4.0, 16.0, 0.230),
            ("gcp", "us-central1", 4.0, 16.0, 0.134_012),
            ("gcp", "europe-west1", 4.0, 16.0, 0.1474),
        ];
        for (provider, region, cores, gib, expected) in listed {
            let found = machine(provider, region, cores, gib);
            assert!((found / expected - 1.0).abs() < 0.032, "{provider} {region}: {found}, not {expected}");
        }
    }

    #[test]
    fn each_book_has_what_it_promises() {
        for provider in PROVIDERS {
            for resource in [Resource::CpuCores, Resource::MemoryGb, Resource::StorageGb] {
                let anywhere = |purchase| price(provider, "anywhere", resource, purchase);
                let on_demand = anywhere(Purchase::OnDemand);
                assert!(on_demand > 0.0, "{provider} {resource}");
                assert!(anywhere(Purchase::Committed1y) <= on_demand, "{provider} {resource}");
                assert!(anywhere(Purchase::Committed3y) <= anywhere(Purchase::Committed1y), "{provider}");
                assert!(anywhere(Purchase::Spot) <= on_demand, "{provider} {resource}");
            }
        }
        for resource in Resource::ALL {
            assert!(price("on-premises", "default", resource, Purchase::OnDemand) > 0.0, "{resource}");
        }
        let dearer = price("aws", "eu-central-1", Resource::CpuCores, Purchase::OnDemand);
        assert!(dearer > price("aws", "us-east-1", Resource::CpuCores, Purchase::OnDemand));
    }
}
