//! A template as part of a rollout: each tenant gets the version, with what the
//! daemon sees to and the tier, before its quotas are changed. So the new tier's
//! bounds hold for them, and a tenant whose quotas are the same gets it as well.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Arm, Outcome};
use crate::domain::template::AssignedTemplate;
use crate::domain::{TenantId, Tier, Timestamp};

/// What a tenant is given beside its quotas.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateAndTier {
    /// The version of a template, with what the daemon sees to.
    pub template: AssignedTemplate,
    /// The tier.
    pub tier: Tier,
}

/// A template that tenants get, and what has become of that.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TemplateChange {
    /// The version that they get.
    pub to: AssignedTemplate,
    /// The tenants that get it.
    #[serde(default)]
    pub moves: Vec<TenantMove>,
}

impl TemplateChange {
    /// What a tenant stood on before.
    pub fn before(one: &TenantMove) -> TemplateAndTier {
        TemplateAndTier { template: one.from.clone(), tier: one.from_tier }
    }

    /// What it is to stand on.
    pub fn after(&self, one: &TenantMove) -> TemplateAndTier {
        TemplateAndTier { template: self.to.clone(), tier: one.to_tier }
    }
}

/// A tenant that gets the template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TenantMove {
    /// Which tenant.
    pub tenant: TenantId,
    /// In which stage, from 0 on.
    pub stage: usize,
    /// The half, of an A/B test; half B keeps what it has.
    pub arm: Option<Arm>,
    /// The version that it has before.
    pub from: AssignedTemplate,
    /// The tier that it has before.
    pub from_tier: Tier,
    /// The tier that it gets.
    pub to_tier: Tier,
    /// The template's tier, where the tenant's own stays because somebody has
    /// set that since.
    pub tier_left_out: Option<Tier>,
    /// What has become of it.
    pub outcome: Outcome,
}

impl TenantMove {
    /// Since when the tenant has it, where it does.
    pub fn applied_at(&self) -> Option<Timestamp> {
        self.outcome.applied_at()
    }
}
