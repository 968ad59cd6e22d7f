//! Tenants and their quotas.

use std::collections::BTreeMap;

use super::recommendations::{WITHOUT_NEED, tell_of_end};
use super::{Registry, RegistryError, Remark, append_audit, decode, put, resource_key};
use crate::domain::quota::checked_limit;
use crate::domain::rollout::TemplateAndTier;
use crate::domain::{
    Actor, ApplyMode, AssignedTemplate, AuditAction, AuditEvent, Cadence, Quota, Resource, Tenant, TenantId,
    Tier, Timestamp,
};
use crate::ports::{Expect, Order, StoreError, Table, Write};

/// What a new tenant is made from.
#[derive(Debug, Clone)]
pub struct NewTenant {
    /// The value of its label in Prometheus.
    pub id: TenantId,
    /// The name that people read; the id where `None`.
    pub name: Option<String>,
    /// Its plan, which gives the quotas.
    pub tier: Tier,
    /// The provider whose prices apply.
    pub provider: String,
    /// The region whose prices apply.
    pub region: String,
    /// What may happen to its recommendations.
    pub apply_mode: ApplyMode,
    /// The template that it is made from, where it is made from one.
    pub template: Option<AssignedTemplate>,
    /// Quotas that differ from the tier's, in the resource's unit.
    pub quotas: BTreeMap<Resource, f64>,
}

/// What is to be changed of a tenant; what is `None` stays.
#[derive(Debug, Clone, Default)]
pub struct TenantEdit {
    /// The name that people read.
    pub name: Option<String>,
    /// Its plan.
    pub tier: Option<Tier>,
    /// The provider whose prices apply.
    pub provider: Option<String>,
    /// The region whose prices apply.
    pub region: Option<String>,
    /// What may happen to its recommendations.
    pub apply_mode: Option<ApplyMode>,
    /// How often its quotas are meant to change.
    pub cadence: Option<Cadence>,
    /// The most changes of a quota a day, above 0.
    pub changes_per_day: Option<f64>,
    /// The template whose settings hold; quotas stay as they are.
    pub template: Option<AssignedTemplate>,
    /// The version that was seen; `None` for whichever stands.
    pub seen: Option<u64>,
}

impl NewTenant {
    /// The tenant, as registered at an instant.
    pub fn to_tenant(&self, at: Timestamp) -> Tenant {
        Tenant {
            name: self.name.clone().unwrap_or_else(|| self.id.to_string()),
            id: self.id.clone(),
            tier: self.tier,
            provider: self.provider.clone(),
            region: self.region.clone(),
            apply_mode: self.apply_mode,
            cadence: None,
            changes_per_day: None,
            template: self.template.clone(),
            created_at: at,
        }
    }
}

impl TenantEdit {
    /// A tenant as it is to be.
    pub fn made_of(self, before: &Tenant) -> Tenant {
        Tenant {
            id: before.id.clone(),
            name: self.name.unwrap_or_else(|| before.name.clone()),
            tier: self.tier.unwrap_or(before.tier),
            provider: self.provider.unwrap_or_else(|| before.provider.clone()),
            region: self.region.unwrap_or_else(|| before.region.clone()),
            apply_mode: self.apply_mode.unwrap_or(before.apply_mode),
            cadence: self.cadence.or(before.cadence),
            changes_per_day: self.changes_per_day.or(before.changes_per_day),
            template: self.template.or_else(|| before.template.clone()),
            created_at: before.created_at,
        }
    }
}

impl Registry {
    /// Registers a tenant with a quota of each resource.
    ///
    /// # Errors
    /// Where there is one of this id already, or a quota is impossible.
    pub async fn create_tenant(
        &self,
        new: NewTenant,
        actor: Actor,
        request_id: Option<String>,
    ) -> Result<Tenant, RegistryError> {
        let now = self.now();
        let tenant = new.to_tenant(now);
        let mut quotas = BTreeMap::new();
        let key = tenant.id.to_string();
        let mut writes = vec![put(Table::Tenants, key, Expect::Absent, &tenant)?];
        for resource in Resource::ALL {
            let wish = new.quotas.get(&resource).copied();
            let limit = checked_limit(resource, wish.unwrap_or_else(|| tenant.tier.default_quota(resource)))?;
            let quota = Quota { resource, limit, generation: 1, changed_at: now, before: None };
            let key = resource_key(&tenant.id, resource);
            writes.push(put(Table::Quotas, key, Expect::Absent, &quota)?);
            quotas.insert(resource.name(), limit);
        }
        writes.push(append_audit(&AuditEvent {
            at: now,
            actor,
            action: AuditAction::TenantCreated,
            tenant: Some(tenant.id.clone()),
            resource: None,
            before: serde_json::Value::Null,
            after: serde_json::json!({"tier": tenant.tier, "apply_mode": tenant.apply_mode, "quotas": quotas}),
            reason: match &tenant.template {
                Some(template) => format!("created from the template {}@{}", template.name, template.version),
                None => format!("created from the tier {}", tenant.tier),
            },
            request_id,
        })?);
        match self.commit(writes).await {
            Err(StoreError::Conflict { .. }) => Err(RegistryError::TenantExists(tenant.id)),
            other => other.map(|()| tenant).map_err(RegistryError::from),
        }
    }

    /// One tenant.
    ///
    /// # Errors
    /// Where there is none of this id.
    pub async fn tenant(&self, id: &TenantId) -> Result<Tenant, RegistryError> {
        Ok(self.tenant_with_version(id).await?.0)
    }

    /// One tenant with its version.
    ///
    /// # Errors
    /// Where there is none of this id.
    pub async fn tenant_with_version(&self, id: &TenantId) -> Result<(Tenant, u64), RegistryError> {
        let found = self.read(Table::Tenants, id.as_str()).await?;
        found.ok_or_else(|| RegistryError::NoSuchTenant(id.clone()))
    }

    /// Up to `limit` tenants after the id `after`, in the order of their ids.
    pub async fn tenants(&self, after: Option<&str>, limit: usize) -> Result<Vec<Tenant>, RegistryError> {
        let found = self.store.scan(Table::Tenants, "", after, Order::Upwards, limit).await?;
        found.iter().map(|(key, value)| Ok(decode(Table::Tenants, key, value)?)).collect()
    }

    /// All tenants, in the order of their ids.
    pub async fn all_tenants(&self) -> Result<Vec<Tenant>, RegistryError> {
        self.tenants(None, usize::MAX).await
    }

    /// Changes a tenant, and gives it as it is since.
    ///
    /// # Errors
    /// Where there is none of this id, it has moved on, or its plan is to change
    /// while all changes are stopped.
    pub async fn edit_tenant(
        &self,
        id: &TenantId,
        edit: TenantEdit,
        remark: Remark,
    ) -> Result<Tenant, RegistryError> {
        let (before, version) = self.tenant_with_version(id).await?;
        still(id, edit.seen, version)?;
        let after = edit.made_of(&before);
        self.write_tenant((&before, version), after, remark).await
    }

    /// Gives a tenant a template and a tier, where it stands on `from`, and says
    /// whether it stands on `to` since. Doing it again changes nothing.
    ///
    /// # Errors
    /// Where there is none of this id, all changes are stopped, or somebody
    /// changes it at the same time.
    pub async fn move_tenant(
        &self,
        id: &TenantId,
        from: &TemplateAndTier,
        to: &TemplateAndTier,
        remark: Remark,
    ) -> Result<bool, RegistryError> {
        let (before, version) = self.tenant_with_version(id).await?;
        let stands_on =
            |it: &TemplateAndTier| before.template.as_ref() == Some(&it.template) && before.tier == it.tier;
        if !stands_on(from) {
            return Ok(stands_on(to));
        }
        let after = Tenant { template: Some(to.template.clone()), tier: to.tier, ..before.clone() };
        self.write_tenant((&before, version), after, remark).await.map(|_| true)
    }

    /// Writes a tenant as it is to be, with its lines in the audit log: one of
    /// its own where the tier changes. A pause stops changes of its plan.
    async fn write_tenant(
        &self,
        (before, version): (&Tenant, u64),
        after: Tenant,
        remark: Remark,
    ) -> Result<Tenant, RegistryError> {
        let json = |what: &Tenant| serde_json::json!(what);
        let only_mode = Tenant { apply_mode: before.apply_mode, ..after.clone() } == *before;
        let mut lines = vec![match only_mode {
            true => {
                let modes = [before.apply_mode, after.apply_mode].map(|mode| serde_json::json!(mode));
                (AuditAction::ApplyModeChanged, modes)
            }
            false => (AuditAction::TenantChanged, [json(before), json(&after)]),
        }];
        if before.tier != after.tier {
            let tiers = [before.tier, after.tier].map(|tier| serde_json::json!(tier));
            lines.push((AuditAction::TierChanged, tiers));
        }
        let mut writes = vec![put(Table::Tenants, after.id.to_string(), Expect::Version(version), &after)?];
        for (action, words) in lines {
            let about = (Some(after.id.clone()), None);
            writes.push(append_audit(&self.event(action, about, words, remark.clone()))?);
        }
        let outcome = match before.has_the_plan_of(&after) {
            true => self.commit(writes).await.map_err(RegistryError::from),
            false => self.commit_unless_paused(writes).await,
        };
        match outcome {
            Err(RegistryError::Store(StoreError::Conflict { .. })) => {
                Err(RegistryError::TenantMoved(after.id))
            }
            outcome => outcome.map(|()| after),
        }
    }

    /// Removes a tenant with its quotas and what is proposed for them.
    ///
    /// # Errors
    /// Where there is none of this id, it has moved on from the version that was
    /// seen, one of its quotas is being changed, or all changes are stopped.
    pub async fn remove_tenant(
        &self,
        id: &TenantId,
        seen: Option<u64>,
        remark: Remark,
    ) -> Result<(), RegistryError> {
        let (tenant, version) = self.tenant_with_version(id).await?;
        still(id, seen, version)?;
        let mut writes = vec![Write::Delete {
            table: Table::Tenants,
            key: id.to_string(),
            expect: Expect::Version(version),
        }];
        let mut ended = Vec::new();
        for resource in Resource::ALL {
            if self.open_change(id, resource).await?.is_some() {
                return Err(RegistryError::Busy(id.clone(), resource));
            }
            let (ends, recommendation) = self.end_with_tenant(id, resource).await?;
            writes.extend(ends);
            ended.extend(recommendation);
            let key = resource_key(id, resource);
            let delete = |table, expect| Write::Delete { table, key: key.clone(), expect };
            // A change that begins meanwhile makes the commit fail.
            writes.push(delete(Table::Intents, Expect::Absent));
            writes.push(delete(Table::Quotas, Expect::Anything));
            writes.push(delete(Table::Refusals, Expect::Anything));
        }
        writes.extend(self.end_applied(id).await?);
        writes.extend(self.end_requests(id).await?);
        let (about, words) = ((Some(id.clone()), None), [serde_json::json!(tenant), serde_json::Value::Null]);
        writes.push(append_audit(&self.event(AuditAction::TenantRemoved, about, words, remark))?);
        self.commit_unless_paused(writes).await?;
        ended.iter().for_each(|recommendation| tell_of_end(recommendation, &WITHOUT_NEED));
        Ok(())
    }

    /// All quotas of a tenant, in the order of [`Resource::ALL`].
    ///
    /// # Errors
    /// Where there is no such tenant.
    pub async fn quotas(&self, tenant: &TenantId) -> Result<Vec<Quota>, RegistryError> {
        let prefix = format!("{tenant}/");
        let limit = Resource::ALL.len();
        let found = self.store.scan(Table::Quotas, &prefix, None, Order::Upwards, limit).await?;
        if found.is_empty() {
            return Err(RegistryError::NoSuchTenant(tenant.clone()));
        }
        let decoded: Result<Vec<Quota>, StoreError> =
            found.iter().map(|(key, value)| decode(Table::Quotas, key, value)).collect();
        let mut quotas = decoded?;
        quotas.sort_by_key(|quota| quota.resource);
        Ok(quotas)
    }

    /// The same for one of many tenants, who may have left since they were
    /// listed; then there are none.
    ///
    /// # Errors
    /// Where the state can't be read.
    pub async fn quotas_if_there(&self, tenant: &TenantId) -> Result<Vec<Quota>, RegistryError> {
        match self.quotas(tenant).await {
            Err(RegistryError::NoSuchTenant(_)) => Ok(Vec::new()),
            quotas => quotas,
        }
    }

    /// One quota of a tenant.
    ///
    /// # Errors
    /// Where there is no such tenant.
    pub async fn quota(&self, tenant: &TenantId, resource: Resource) -> Result<Quota, RegistryError> {
        Ok(self.quota_with_version(tenant, resource).await?.0)
    }

    pub(super) async fn quota_with_version(
        &self,
        tenant: &TenantId,
        resource: Resource,
    ) -> Result<(Quota, u64), RegistryError> {
        let found = self.read(Table::Quotas, &resource_key(tenant, resource)).await?;
        match found {
            Some(found) => Ok(found),
            None => {
                self.tenant(tenant).await?;
                Err(RegistryError::NoSuchQuota(tenant.clone(), resource))
            }
        }
    }
}

/// Whether a tenant stands as it was seen.
fn still(id: &TenantId, seen: Option<u64>, stands: u64) -> Result<(), RegistryError> {
    match seen.is_none_or(|seen| seen == stands) {
        true => Ok(()),
        false => Err(RegistryError::TenantMoved(id.clone())),
    }
}
