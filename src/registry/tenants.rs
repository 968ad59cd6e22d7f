//! Tenants and their quotas.

use std::collections::BTreeMap;

use super::{Registry, RegistryError, append_audit, decode, put, resource_key};
use crate::domain::quota::checked_limit;
use crate::domain::{Actor, ApplyMode, AuditAction, AuditEvent, Quota, Resource, Tenant, TenantId, Tier};
use crate::ports::{Expect, Order, StoreError, Table};

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
    /// Quotas that differ from the tier's, in the resource's unit.
    pub quotas: BTreeMap<Resource, f64>,
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
        let tenant = Tenant {
            name: new.name.unwrap_or_else(|| new.id.to_string()),
            id: new.id,
            tier: new.tier,
            provider: new.provider,
            region: new.region,
            apply_mode: new.apply_mode,
            created_at: now,
        };
        let mut quotas = BTreeMap::new();
        let key = tenant.id.to_string();
        let mut writes = vec![put(Table::Tenants, key, Expect::Absent, &tenant)?];
        for resource in Resource::ALL {
            let wish = new.quotas.get(&resource).copied();
            let limit = checked_limit(resource, wish.unwrap_or_else(|| tenant.tier.default_quota(resource)))?;
            let quota = Quota { resource, limit, generation: 1, changed_at: now };
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
            reason: format!("created from the tier {}", tenant.tier),
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
        let found = self.read(Table::Tenants, id.as_str()).await?;
        found.map(|(tenant, _)| tenant).ok_or_else(|| RegistryError::NoSuchTenant(id.clone()))
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

    /// Changes what may happen to a tenant's recommendations.
    pub async fn set_apply_mode(
        &self,
        id: &TenantId,
        mode: ApplyMode,
        actor: Actor,
        reason: String,
        request_id: Option<String>,
    ) -> Result<Tenant, RegistryError> {
        let found = self.read::<Tenant>(Table::Tenants, id.as_str()).await?;
        let (before, version) = found.ok_or_else(|| RegistryError::NoSuchTenant(id.clone()))?;
        let after = Tenant { apply_mode: mode, ..before.clone() };
        let event = AuditEvent {
            at: self.now(),
            actor,
            action: AuditAction::ApplyModeChanged,
            tenant: Some(id.clone()),
            resource: None,
            before: serde_json::json!(before.apply_mode),
            after: serde_json::json!(after.apply_mode),
            reason,
            request_id,
        };
        let record = put(Table::Tenants, id.to_string(), Expect::Version(version), &after)?;
        self.commit(vec![record, append_audit(&event)?]).await?;
        Ok(after)
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
