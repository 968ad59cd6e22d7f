//! What quotas have cost over a time, for the tools that read cloud bills: each
//! quota's past out of the state, put to `cost`.

use std::sync::Arc;

use super::Engine;
use super::costs::{CostError, was_changed};
use crate::cost::{self, Change, ExportFormat, Held};
use crate::domain::{Quota, Tenant, TenantId, TimeRange, Timestamp};
use crate::registry::RegistryError;

impl Engine {
    /// The changes of a quota since an instant, the oldest first.
    pub(super) async fn changes_since(
        &self,
        tenant: &Tenant,
        quota: &Quota,
        since: Timestamp,
    ) -> Result<Vec<Change>, RegistryError> {
        if !was_changed(quota, since) {
            return Ok(Vec::new());
        }
        let applied = self.parts.registry.applied_to(&tenant.id, quota.resource, since).await?;
        Ok(applied.iter().map(Change::from).collect())
    }

    /// One tenant or all, each with what its quotas were since an instant.
    pub(super) async fn held_since(
        &self,
        tenant: Option<&TenantId>,
        since: Timestamp,
    ) -> Result<Vec<(Tenant, Vec<Held>)>, RegistryError> {
        let registry = &self.parts.registry;
        let tenants = match tenant {
            Some(id) => vec![registry.tenant(id).await?],
            None => registry.all_tenants().await?,
        };
        let mut all = Vec::with_capacity(tenants.len());
        for tenant in tenants {
            let mut held = Vec::new();
            for quota in registry.quotas(&tenant.id).await? {
                let changes = self.changes_since(&tenant, &quota, since).await?;
                held.push(Held { resource: quota.resource, limit: quota.limit, changes });
            }
            all.push((tenant, held));
        }
        Ok(all)
    }

    /// What the quotas of one tenant or of all have cost on each day of a range,
    /// as a file in the form of FOCUS 1.2. The range ends by now, and is this
    /// calendar month so far where nobody says.
    ///
    /// # Errors
    /// Where there are no prices, the range is empty or has too many rows, or
    /// the state can't be read.
    pub async fn focus_export(
        self: &Arc<Self>,
        tenant: Option<&TenantId>,
        (from, to): (Option<Timestamp>, Option<Timestamp>),
        format: ExportFormat,
    ) -> Result<Vec<u8>, CostError> {
        let (most, now) = (self.known_prices()?.issuer().most_rows, self.now());
        let end = to.unwrap_or(now).min(now);
        let range = TimeRange { start: from.unwrap_or(cost::month_of(end).start), end };
        if range.is_empty() {
            return Err(CostError::Range(range));
        }
        let held = self.held_since(tenant, range.start).await?;
        let rows = |(tenant, held): &(Tenant, Vec<Held>)| {
            let start = range.start.max(tenant.created_at);
            held.len().saturating_mul(cost::rows_of(TimeRange { start, end: range.end }))
        };
        let rows = held.iter().map(rows).fold(0_usize, usize::saturating_add);
        if rows > most {
            return Err(CostError::TooManyRows { rows, most });
        }
        let engine = Arc::clone(self);
        let work = move || {
            let prices = engine.known_prices()?;
            let mut charges = Vec::with_capacity(rows);
            for (tenant, held) in &held {
                charges.extend(cost::charges(prices, tenant, held, range)?);
            }
            Ok(cost::export(prices, &charges, format)?)
        };
        self.parts.compute.run(work).await?
    }
}
