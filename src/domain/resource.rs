//! The ten things that a tenant can use up, each with its unit.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::DomainError;

/// One of the ten metered resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Processor time, in cores.
    CpuCores,
    /// Main memory, in GB.
    MemoryGb,
    /// Persistent storage, in GB.
    StorageGb,
    /// Network bandwidth, in Mbit/s.
    NetworkBandwidthMbps,
    /// Open client connections.
    ConcurrentConnections,
    /// API requests in a minute.
    ApiRequestsPerMinute,
    /// Running instances of machine-learning models.
    MlModelInstances,
    /// Units of AI processing, as the platform defines them.
    AiProcessingUnits,
    /// Open database connections.
    DatabaseConnections,
    /// Cache, in MB.
    CacheSizeMb,
}

impl Resource {
    /// All ten, in the order in which they are shown.
    pub const ALL: [Resource; 10] = [
        Resource::CpuCores,
        Resource::MemoryGb,
        Resource::StorageGb,
        Resource::NetworkBandwidthMbps,
        Resource::ConcurrentConnections,
        Resource::ApiRequestsPerMinute,
        Resource::MlModelInstances,
        Resource::AiProcessingUnits,
        Resource::DatabaseConnections,
        Resource::CacheSizeMb,
    ];

    /// The name used in configs, files and the API.
    pub fn name(self) -> &'static str {
        match self {
            Resource::CpuCores => "cpu_cores",
            Resource::MemoryGb => "memory_gb",
            Resource::StorageGb => "storage_gb",
            Resource::NetworkBandwidthMbps => "network_bandwidth_mbps",
            Resource::ConcurrentConnections => "concurrent_connections",
            Resource::ApiRequestsPerMinute => "api_requests_per_minute",
            Resource::MlModelInstances => "ml_model_instances",
            Resource::AiProcessingUnits => "ai_processing_units",
            Resource::DatabaseConnections => "database_connections",
            Resource::CacheSizeMb => "cache_size_mb",
        }
    }

    /// The unit, as it is written behind a number.
    pub fn unit(self) -> &'static str {
        match self {
            Resource::CpuCores => "cores",
            Resource::MemoryGb | Resource::StorageGb => "GB",
            Resource::NetworkBandwidthMbps => "Mbit/s",
            Resource::ConcurrentConnections | Resource::DatabaseConnections => "connections",
            Resource::ApiRequestsPerMinute => "requests/min",
            Resource::MlModelInstances => "instances",
            Resource::AiProcessingUnits => "AI units",
            Resource::CacheSizeMb => "MB",
        }
    }

    /// The unit behind a number as it is shown: "1 core", but "1.5 cores".
    pub fn unit_behind(self, shown: &str) -> &'static str {
        match (self, shown) {
            (Resource::CpuCores, "1") => "core",
            (Resource::ConcurrentConnections | Resource::DatabaseConnections, "1") => "connection",
            (Resource::ApiRequestsPerMinute, "1") => "request/min",
            (Resource::MlModelInstances, "1") => "instance",
            (Resource::AiProcessingUnits, "1") => "AI unit",
            _ => self.unit(),
        }
    }

    /// The steps in which a quota of this resource is set: a quota is always
    /// a whole multiple of it. A tenth of a core or of a GB, else whole units.
    pub fn granularity(self) -> f64 {
        match self {
            Resource::CpuCores | Resource::MemoryGb => 0.1,
            _ => 1.0,
        }
    }

    /// Rounds a wish up to the next whole multiple of [`granularity`](Self::granularity),
    /// at least one of it.
    pub fn round_up(self, value: f64) -> f64 {
        // Steps per unit is exact where the step itself (0.1) is not.
        let steps_per_unit = (1.0 / self.granularity()).round();
        let steps = (value * steps_per_unit - 1e-9).ceil().max(1.0);
        steps / steps_per_unit
    }
}

/// The ten names, comma-separated, for messages.
pub(super) fn names() -> String {
    Resource::ALL.map(Resource::name).join(", ")
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Resource {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        Resource::ALL
            .into_iter()
            .find(|resource| resource.name() == text)
            .ok_or_else(|| DomainError::UnknownResource(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for resource in Resource::ALL {
            assert_eq!(resource.name().parse(), Ok(resource));
            let json = serde_json::to_string(&resource).unwrap();
            assert_eq!(json, format!("{:?}", resource.name()));
        }
        assert!("cpu".parse::<Resource>().is_err());
    }

    #[test]
    fn one_is_no_plural() {
        assert_eq!(Resource::ALL.map(|one| one.unit_behind("2")), Resource::ALL.map(Resource::unit));
        assert!(Resource::ALL.iter().all(|one| !one.unit_behind("1").ends_with("ns")));
        assert_eq!(
            [Resource::CpuCores.unit_behind("1"), Resource::MemoryGb.unit_behind("1")],
            ["core", "GB"]
        );
    }

    #[test]
    fn quotas_are_rounded_up_in_steps() {
        assert_eq!(Resource::CpuCores.round_up(1.23), 1.3);
        assert_eq!(Resource::CpuCores.round_up(1.3), 1.3);
        assert_eq!(Resource::CpuCores.round_up(0.0), 0.1);
        assert_eq!(Resource::CacheSizeMb.round_up(10.2), 11.0);
    }
}
