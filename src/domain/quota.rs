//! The limit of one resource for one tenant, and the wish to change it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{DomainError, RecommendationId, Resource, RolloutId, TenantId, Timestamp};

/// The largest quota that is accepted: far above any real one, and still a
/// whole number in an `f64`.
pub const LARGEST_QUOTA: f64 = 1e15;

/// The limit of one resource for one tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Quota {
    /// What is limited.
    pub resource: Resource,
    /// The limit, in the resource's unit.
    pub limit: f64,
    /// Rises by one with every change; the first is 1.
    pub generation: u64,
    /// When it was last changed.
    pub changed_at: Timestamp,
    /// The limit before that change; `None` where there was none, or a record
    /// is from before that was noted.
    #[serde(default)]
    pub before: Option<f64>,
}

/// Checks a limit before it becomes a quota.
pub fn checked_limit(resource: Resource, value: f64) -> Result<f64, DomainError> {
    if value.is_finite() && value > 0.0 && value <= LARGEST_QUOTA {
        Ok(value)
    } else {
        Err(DomainError::BadQuota { resource, value })
    }
}

/// The wish to move one quota: the only thing that, once approved, `apply`
/// takes. It names the generation that it starts from; if the quota has moved
/// on since, it is stale and is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QuotaChange {
    /// Whose quota.
    pub tenant: TenantId,
    /// Which quota.
    pub resource: Resource,
    /// The generation that must still stand.
    pub parent_generation: u64,
    /// The limit that stands, in the resource's unit.
    pub from: f64,
    /// The limit wished for, in the resource's unit.
    pub to: f64,
    /// The recommendation that asks for it; `None` for a person's own request.
    pub recommendation: Option<RecommendationId>,
    /// The rollout that it is a part of.
    #[serde(default)]
    pub rollout: Option<RolloutId>,
    /// Whether it takes an earlier change back.
    #[serde(default)]
    pub rolls_back: bool,
    /// Why, in words.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_limits_are_refused() {
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 2e15] {
            assert!(checked_limit(Resource::CpuCores, bad).is_err(), "{bad}");
        }
        assert_eq!(checked_limit(Resource::CpuCores, 0.1), Ok(0.1));
    }
}
