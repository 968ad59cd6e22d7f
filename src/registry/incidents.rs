//! Incidents: at most one is open for a tenant.

use super::{Registry, RegistryError, decode, put};
use crate::domain::{Incident, TenantId};
use crate::ports::{Expect, Order, Table};

/// The key sorts a tenant's incidents by the time of their opening.
fn key(incident: &Incident) -> String {
    format!("{}/{:020}", incident.tenant, incident.opened_at.millis())
}

impl Registry {
    /// Writes an incident, new or changed.
    pub async fn put_incident(&self, incident: &Incident) -> Result<(), RegistryError> {
        Ok(self.commit(vec![put(Table::Incidents, key(incident), Expect::Anything, incident)?]).await?)
    }

    /// The incident that is open for a tenant.
    pub async fn open_incident(&self, tenant: &TenantId) -> Result<Option<Incident>, RegistryError> {
        let newest = self.incidents(tenant, 1).await?;
        Ok(newest.into_iter().find(|incident| incident.resolved_at.is_none()))
    }

    /// Up to `limit` incidents of a tenant, the newest first.
    pub async fn incidents(&self, tenant: &TenantId, limit: usize) -> Result<Vec<Incident>, RegistryError> {
        let prefix = format!("{tenant}/");
        let found = self.store.scan(Table::Incidents, &prefix, None, Order::Downwards, limit).await?;
        found.iter().map(|(key, value)| Ok(decode(Table::Incidents, key, value)?)).collect()
    }
}
