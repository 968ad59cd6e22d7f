//! What a rollout may be made of: recommendations that wait, limits that
//! somebody names, a version of a template.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::Deserialize;
use utoipa::ToSchema;

use super::Engine;
use crate::domain::quota::checked_limit;
use crate::domain::rollout::{Outcome, TemplateChange, TenantMove, Wish};
use crate::domain::template::{AssignedTemplate, Extends, Resolved};
use crate::domain::{Resource, TenantId, Tier};
use crate::registry::{Filter, RecommendationRecord, RegistryError};

/// What is taken into a rollout.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Take {
    /// The recommendations that wait, of all or of these.
    Recommendations {
        /// Of tenants of this tier.
        tier: Option<Tier>,
        /// Of this resource.
        resource: Option<Resource>,
        /// Of these tenants.
        #[serde(default)]
        tenants: Vec<TenantId>,
        /// What the other half of an A/B test gets: the name of an alternative
        /// in the evidence, such as `KRR`. Left out, its quotas stay.
        alternative: Option<String>,
    },
    /// Limits that somebody names.
    Changes {
        /// The quotas, each with its limit.
        #[schema(min_items = 1)]
        changes: Vec<LimitToSet>,
    },
    /// A template's version, for the tenants that have another version of it:
    /// what the daemon sees to, the tier and the quotas.
    Template {
        /// The template, as `gold` for the newest version or `gold@3`.
        #[schema(value_type = String)]
        template: Extends,
        /// Also change quotas and tiers that are no longer what the tenant's
        /// present version says. Left out, what was right-sized or set since
        /// stays.
        #[serde(default)]
        overwrite: bool,
    },
}

/// A quota with the limit that it should have.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitToSet {
    /// Whose.
    tenant: TenantId,
    /// Which.
    resource: Resource,
    /// The limit, in the resource's unit.
    limit: f64,
    /// The limit of the other half of an A/B test.
    alternative: Option<f64>,
}

impl Engine {
    /// The wishes behind `take`, with the template that comes with them.
    ///
    /// # Errors
    /// Where something of it can't be found, or a limit can't be.
    pub async fn wishes(&self, take: &Take) -> Result<(Vec<Wish>, Option<TemplateChange>), RegistryError> {
        match take {
            Take::Recommendations { tier, resource, tenants, alternative } => {
                let filter =
                    Filter { resource: *resource, state: Some("proposed".to_owned()), ..Filter::default() };
                let takes = |record: &RecommendationRecord| {
                    let one = &record.recommendation;
                    tier.is_none_or(|tier| tier == one.tier)
                        && (tenants.is_empty() || tenants.contains(&one.tenant))
                };
                let mut wishes = Vec::new();
                let most = usize::MAX;
                for record in self.parts.registry.recommendations(&filter, None, most).await? {
                    if takes(&record) {
                        wishes.extend(self.wish_for(record, alternative.as_deref()).await?);
                    }
                }
                Ok((wishes, None))
            }
            Take::Changes { changes } => {
                let mut wishes = BTreeMap::new();
                for LimitToSet { tenant, resource, limit, alternative } in changes {
                    let quota = self.parts.registry.quota(tenant, *resource).await?;
                    let to = checked_limit(*resource, *limit)?;
                    let alternative = alternative.map(|limit| checked_limit(*resource, limit)).transpose()?;
                    let wish = Wish { tenant: tenant.clone(), quota, to, alternative, recommendation: None };
                    wishes.insert((tenant.clone(), *resource), wish);
                }
                Ok((wishes.into_values().collect(), None))
            }
            Take::Template { template, overwrite } => self.wishes_of_template(template, *overwrite).await,
        }
    }

    /// The wish of a recommendation, where its quota still stands as it was.
    async fn wish_for(
        &self,
        record: RecommendationRecord,
        alternative: Option<&str>,
    ) -> Result<Option<Wish>, RegistryError> {
        let one = record.recommendation;
        let quota = self.parts.registry.quota(&one.tenant, one.resource).await?;
        if quota.generation != one.parent_generation {
            return Ok(None);
        }
        let named = one.evidence.alternatives.iter().find(|other| Some(other.name.as_str()) == alternative);
        let ceiling = one.tier.ceiling(one.resource).unwrap_or(f64::INFINITY);
        let within = |limit: f64| one.resource.round_up(limit).max(one.tier.floor(one.resource)).min(ceiling);
        Ok(Some(Wish {
            alternative: named.map(|other| within(other.limit)),
            tenant: one.tenant,
            quota,
            to: one.proposed,
            recommendation: Some(one.id),
        }))
    }

    /// A quota or a tier is the template's while it stands where the tenant's
    /// present version puts it. What has been right-sized or set since is not,
    /// and stays unless `overwrite` says otherwise. Every tenant of another
    /// version gets this one, also where nothing of that differs.
    async fn wishes_of_template(
        &self,
        template: &Extends,
        overwrite: bool,
    ) -> Result<(Vec<Wish>, Option<TemplateChange>), RegistryError> {
        let registry = &self.parts.registry;
        let record = registry.template_named(template).await?;
        let resolved = registry.resolved(&record).await?;
        let limits = limits_of(&resolved);
        let mut present: BTreeMap<u64, Resolved> = BTreeMap::new();
        let to: AssignedTemplate = resolved.assigned(record.template.name.clone(), record.version);
        let (mut wishes, mut moves) = (Vec::new(), Vec::new());
        for tenant in registry.all_tenants().await? {
            let Some(before) = tenant.template.filter(|before| before.name == to.name) else { continue };
            if let Entry::Vacant(unknown) = present.entry(before.version) {
                let version = registry.template_version(&before.name, before.version).await?;
                unknown.insert(registry.resolved(&version).await?);
            }
            let put = &present[&before.version];
            let own_tier = !overwrite && tenant.tier != put.tier;
            let to_tier = if own_tier { tenant.tier } else { resolved.tier };
            if before == to && to_tier == tenant.tier {
                continue;
            }
            let put = limits_of(put);
            for quota in registry.quotas_if_there(&tenant.id).await? {
                let Some(to) = limits.get(&quota.resource).copied().filter(|to| *to != quota.limit) else {
                    continue;
                };
                if !overwrite && put.get(&quota.resource) != Some(&quota.limit) {
                    continue;
                }
                let tenant = tenant.id.clone();
                wishes.push(Wish { tenant, quota, to, alternative: None, recommendation: None });
            }
            moves.push(TenantMove {
                tenant: tenant.id,
                stage: 0,
                arm: None,
                from: before,
                from_tier: tenant.tier,
                to_tier,
                tier_left_out: Some(resolved.tier).filter(|tier| *tier != to_tier),
                outcome: Outcome::Waiting,
            });
        }
        Ok((wishes, Some(TemplateChange { to, moves })))
    }
}

fn limits_of(resolved: &Resolved) -> BTreeMap<Resource, f64> {
    resolved.settings.resource_quotas.clone().unwrap_or_default().0
}
