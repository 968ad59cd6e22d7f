//! What a tenant has bought: default quotas, floors, ceilings, and how rarely
//! its demand may go above its quota.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DomainError, Resource};

/// The plan that a tenant is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Tier {
    /// 1 CPU, 1 GB.
    Free,
    /// 2 CPU, 4 GB.
    Standard,
    /// 8 CPU, 16 GB.
    Premium,
    /// 32 CPU, 128 GB.
    Enterprise,
    /// 128 CPU, 512 GB.
    EnterprisePlus,
    /// Starts as ENTERPRISE_PLUS, has no ceiling and its own branding.
    WhiteLabel,
}

impl Tier {
    /// All tiers, from the smallest.
    pub const ALL: [Tier; 6] =
        [Tier::Free, Tier::Standard, Tier::Premium, Tier::Enterprise, Tier::EnterprisePlus, Tier::WhiteLabel];

    /// The name used in configs, files and the API.
    pub fn name(self) -> &'static str {
        match self {
            Tier::Free => "FREE",
            Tier::Standard => "STANDARD",
            Tier::Premium => "PREMIUM",
            Tier::Enterprise => "ENTERPRISE",
            Tier::EnterprisePlus => "ENTERPRISE_PLUS",
            Tier::WhiteLabel => "WHITE_LABEL",
        }
    }

    /// The quota that a new tenant of this tier gets, in the resource's unit.
    pub fn default_quota(self, resource: Resource) -> f64 {
        // Columns: FREE, STANDARD, PREMIUM, ENTERPRISE, ENTERPRISE_PLUS.
        let by_tier: [f64; 5] = match resource {
            Resource::CpuCores => [1.0, 2.0, 8.0, 32.0, 128.0],
            Resource::MemoryGb => [1.0, 4.0, 16.0, 128.0, 512.0],
            Resource::StorageGb => [5.0, 50.0, 500.0, 5_000.0, 20_000.0],
            Resource::NetworkBandwidthMbps => [10.0, 100.0, 500.0, 2_000.0, 10_000.0],
            Resource::ConcurrentConnections => [100.0, 1_000.0, 10_000.0, 50_000.0, 200_000.0],
            Resource::ApiRequestsPerMinute => [60.0, 1_000.0, 10_000.0, 50_000.0, 250_000.0],
            Resource::MlModelInstances => [1.0, 2.0, 5.0, 20.0, 80.0],
            Resource::AiProcessingUnits => [1.0, 5.0, 25.0, 100.0, 400.0],
            Resource::DatabaseConnections => [5.0, 20.0, 50.0, 200.0, 1_000.0],
            Resource::CacheSizeMb => [64.0, 256.0, 1_024.0, 4_096.0, 32_768.0],
        };
        by_tier[match self {
            Tier::Free => 0,
            Tier::Standard => 1,
            Tier::Premium => 2,
            Tier::Enterprise => 3,
            Tier::EnterprisePlus | Tier::WhiteLabel => 4,
        }]
    }

    /// The least quota that a recommendation may propose: a tenth of what the
    /// tier starts with, so that an idle tenant can always wake up.
    pub fn floor(self, resource: Resource) -> f64 {
        resource.round_up(self.default_quota(resource) * 0.1)
    }

    /// The largest quota that the tier allows, `None` for no ceiling. It is
    /// what the next tier starts with, so growth beyond it is a tier move.
    pub fn ceiling(self, resource: Resource) -> Option<f64> {
        match self {
            Tier::Free => Some(Tier::Standard.default_quota(resource)),
            Tier::Standard => Some(Tier::Premium.default_quota(resource)),
            Tier::Premium => Some(Tier::Enterprise.default_quota(resource)),
            Tier::Enterprise => Some(Tier::EnterprisePlus.default_quota(resource)),
            Tier::EnterprisePlus => Some(4.0 * Tier::EnterprisePlus.default_quota(resource)),
            Tier::WhiteLabel => None,
        }
    }

    /// The share of time in which a tenant's service answers, in percent, where
    /// no template says otherwise.
    pub fn availability_percent(self) -> f64 {
        match self {
            Tier::Free => 99.0,
            Tier::Standard => 99.5,
            Tier::Premium => 99.9,
            Tier::Enterprise => 99.95,
            Tier::EnterprisePlus | Tier::WhiteLabel => 99.99,
        }
    }

    /// The share of 5-minute samples in which demand may lie above the quota.
    pub fn violation_budget(self) -> f64 {
        match self {
            Tier::Free => 0.02,
            Tier::Standard => 0.01,
            Tier::Premium => 0.005,
            Tier::Enterprise => 0.002,
            Tier::EnterprisePlus | Tier::WhiteLabel => 0.0005,
        }
    }
}

/// The names, comma-separated, for messages.
pub(super) fn names() -> String {
    Tier::ALL.map(Tier::name).join(", ")
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Tier {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        Tier::ALL
            .into_iter()
            .find(|tier| tier.name() == text)
            .ok_or_else(|| DomainError::UnknownTier(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_read_back_and_match_the_json() {
        for tier in Tier::ALL {
            assert_eq!(tier.name().parse(), Ok(tier));
            assert_eq!(serde_json::to_string(&tier).unwrap(), format!("{:?}", tier.name()));
        }
    }

    #[test]
    fn the_default_always_lies_between_floor_and_ceiling() {
        for tier in Tier::ALL {
            for resource in Resource::ALL {
                let quota = tier.default_quota(resource);
                assert!(tier.floor(resource) <= quota, "{tier} {resource}");
                assert!(tier.ceiling(resource).is_none_or(|ceiling| quota < ceiling), "{tier} {resource}");
            }
        }
    }

    #[test]
    fn the_figures_that_were_promised() {
        let cpu_and_memory =
            |tier: Tier| (tier.default_quota(Resource::CpuCores), tier.default_quota(Resource::MemoryGb));
        assert_eq!(cpu_and_memory(Tier::Free), (1.0, 1.0));
        assert_eq!(cpu_and_memory(Tier::Standard), (2.0, 4.0));
        assert_eq!(cpu_and_memory(Tier::Premium), (8.0, 16.0));
        assert_eq!(cpu_and_memory(Tier::Enterprise), (32.0, 128.0));
        assert_eq!(cpu_and_memory(Tier::EnterprisePlus), (128.0, 512.0));
        let enterprise = Resource::ALL.map(|resource| Tier::Enterprise.default_quota(resource));
        assert_eq!(
            enterprise,
            [32.0, 128.0, 5_000.0, 2_000.0, 50_000.0, 50_000.0, 20.0, 100.0, 200.0, 4_096.0]
        );
        assert_eq!(Tier::WhiteLabel.ceiling(Resource::CpuCores), None);
    }
}
