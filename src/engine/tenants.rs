//! Tenants that come, change and go because a person asks for it. Whoever takes a
//! tenant away and makes it anew, or gives it another plan for a moment, decides
//! on its quotas as well; so the rules for these hold here, too. What one person
//! may not decide on alone needs an administrator, who gives the tokens out and
//! could be both of two people anyway.

use super::Engine;
use crate::domain::policy::judge_for_person;
use crate::domain::{QuotaChange, Resource, Role, Tenant, TenantId, WhyTwo};
use crate::registry::{NewTenant, RegistryError, Remark, TenantEdit};

use std::collections::BTreeMap;
use std::fmt;

/// Why a tenant was not made, changed or removed; reads well after "failed to".
#[derive(Debug, Clone, thiserror::Error)]
pub enum TenantError {
    /// It is for another role to do.
    #[error("do this to the tenant {tenant}: it needs the role {needed}, since {because}")]
    NotThisRole {
        /// Whose tenant.
        tenant: TenantId,
        /// The least role.
        needed: Role,
        /// Why.
        because: WhyRole,
    },
    /// The state does not allow it, or can't be read or written.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Why a role is asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum WhyRole {
    /// It decides on quotas.
    Quotas,
    /// It decides on quotas on which one person may not decide alone.
    Two(WhyTwo),
    /// It changes the prices by which that is judged.
    Prices,
}

impl fmt::Display for WhyRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WhyRole::Quotas => f.write_str("it decides on quotas"),
            WhyRole::Two(why) => write!(f, "one person may not decide on its quotas alone: {why}"),
            WhyRole::Prices => {
                f.write_str("approval.two_person_monthly_cost goes by the prices of its provider and region")
            }
        }
    }
}

impl Engine {
    /// Registers a tenant. `wished` are the quotas that are to differ from its
    /// plan's, in each resource's unit: each is judged as a change from there.
    ///
    /// # Errors
    /// Where there is one of this id, a quota is impossible or outside of the
    /// tier's floor and ceiling, or `wished` is not for this role to say.
    pub async fn register_tenant(
        &self,
        mut new: NewTenant,
        wished: BTreeMap<Resource, f64>,
        role: Role,
        remark: Remark,
    ) -> Result<Tenant, TenantError> {
        let planned = |resource: Resource| {
            let of_template = new.quotas.get(&resource).copied();
            of_template.unwrap_or_else(|| new.tier.default_quota(resource))
        };
        let changes: Vec<_> = wished
            .iter()
            .map(|(resource, wish)| (*resource, planned(*resource), *wish))
            .filter(|(_, plan, wish)| plan != wish)
            .collect();
        let tenant = new.to_tenant(self.now());
        if let Some(because) = (!changes.is_empty()).then(|| self.why_role(&tenant, &changes)) {
            permit(&tenant.id, role, because)?;
        }
        for change in changes.iter().map(|change| as_change(&tenant, *change)) {
            let verdict = judge_for_person(&change, tenant.tier, change.parent_generation, None, self.now());
            if !verdict.is_clean() {
                return Err(RegistryError::Refused(verdict).into());
            }
        }
        new.quotas.extend(wished);
        Ok(self.parts.registry.create_tenant(new, remark.by, remark.request_id).await?)
    }

    /// Changes a tenant.
    ///
    /// # Errors
    /// Where there is none of this id, it has moved on, all changes are stopped,
    /// or it is not for this role to do.
    pub async fn edit_tenant(
        &self,
        id: &TenantId,
        edit: TenantEdit,
        role: Role,
        remark: Remark,
    ) -> Result<Tenant, TenantError> {
        let registry = &self.parts.registry;
        let (before, version) = registry.tenant_with_version(id).await?;
        let edit = TenantEdit { seen: edit.seen.or(Some(version)), ..edit };
        let after = edit.clone().made_of(&before);
        if before.has_the_plan_of(&after) {
            return Ok(registry.edit_tenant(id, edit, remark).await?);
        }
        let rule = self.settings().approval.two_people.clone();
        let moves = (&before.provider, &before.region) != (&after.provider, &after.region);
        let because = match rule.tiers.contains(&before.tier) {
            true => WhyRole::Two(WhyTwo::Tier { tier: before.tier }),
            false if moves && rule.monthly_cost.is_some() => WhyRole::Prices,
            false => WhyRole::Quotas,
        };
        permit(id, role, because)?;
        Ok(registry.edit_tenant(id, edit, remark).await?)
    }

    /// Removes a tenant with its quotas: each is judged as a cut to nothing.
    ///
    /// # Errors
    /// Where there is none of this id, it has moved on from the version that was
    /// seen, one of its quotas is being changed, all changes are stopped, or it
    /// is not for this role to do.
    pub async fn remove_tenant(
        &self,
        id: &TenantId,
        seen: Option<u64>,
        role: Role,
        remark: Remark,
    ) -> Result<(), TenantError> {
        let registry = &self.parts.registry;
        let (tenant, version) = registry.tenant_with_version(id).await?;
        let quotas = registry.quotas(id).await?;
        let cuts: Vec<_> = quotas.iter().map(|quota| (quota.resource, quota.limit, 0.0)).collect();
        permit(id, role, self.why_role(&tenant, &cuts))?;
        Ok(registry.remove_tenant(id, seen.or(Some(version)), remark).await?)
    }

    /// Why changes of a tenant's quotas, each from one limit to another, ask for
    /// more than an operator.
    fn why_role(&self, tenant: &Tenant, changes: &[(Resource, f64, f64)]) -> WhyRole {
        let two = changes.iter().find_map(|change| self.needs_two(tenant, &as_change(tenant, *change)));
        two.map_or(WhyRole::Quotas, WhyRole::Two)
    }
}

/// A change of a quota from one limit to another, as the rules judge it.
fn as_change(tenant: &Tenant, (resource, from, to): (Resource, f64, f64)) -> QuotaChange {
    QuotaChange {
        tenant: tenant.id.clone(),
        resource,
        parent_generation: 0,
        from,
        to,
        recommendation: None,
        rollout: None,
        rolls_back: false,
        reason: String::new(),
    }
}

fn permit(tenant: &TenantId, role: Role, because: WhyRole) -> Result<(), TenantError> {
    let needed = if because == WhyRole::Quotas { Role::Approver } else { Role::Admin };
    let refused = || TenantError::NotThisRole { tenant: tenant.clone(), needed, because };
    if role < needed { Err(refused()) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
