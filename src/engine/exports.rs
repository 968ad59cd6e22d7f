//! What quotas have cost over a time, for the tools that read cloud bills: each
//! quota's past out of the state, put to `cost`.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Engine;
use super::costs::{CostError, was_changed};
use crate::cost::{self, AllocateBy, Allocation, Change, Charge, ExportFormat, Held, Prices};
use crate::domain::{DomainError, Quota, Tenant, TenantId, TimeRange, Timestamp};
use crate::registry::RegistryError;
use crate::series::stats;

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
            for quota in registry.quotas_if_there(&tenant.id).await? {
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
        let now = self.now();
        let end = to.unwrap_or(now).min(now);
        let range = TimeRange { start: from.unwrap_or(cost::month_of(end).start), end };
        let held = self.held_within(tenant, range).await?;
        let engine = Arc::clone(self);
        let work = move || {
            let prices = engine.known_prices()?;
            Ok(cost::export(&prices, &charges_of(&prices, &held, range)?, format)?)
        };
        self.parts.compute.run(work).await?
    }

    /// What quotas have cost over a range in the shape of OpenCost: one set for
    /// each day, or one for all of it. Usage counts as far as it is in memory.
    ///
    /// # Errors
    /// As [`Self::focus_export`].
    pub async fn allocations(
        self: &Arc<Self>,
        range: TimeRange,
        by: AllocateBy,
        daily: bool,
    ) -> Result<Vec<BTreeMap<String, Allocation>>, CostError> {
        let range = TimeRange { start: range.start, end: range.end.min(self.now()) };
        let held = self.held_within(None, range).await?;
        let engine = Arc::clone(self);
        let work = move || {
            let prices = engine.known_prices()?;
            let charges = charges_of(&prices, &held, range)?;
            let usage = |charge: &Charge<'_>| {
                let frame = engine.workspace.frame(charge.resource())?;
                stats::mean(frame.series.get(&charge.tenant().id)?.within(charge.period()))
            };
            Ok(cost::allocations(&charges, range, by, daily, usage))
        };
        self.parts.compute.run(work).await?
    }

    /// What quotas were within a range, where that is not too much to list by
    /// the day.
    async fn held_within(
        &self,
        tenant: Option<&TenantId>,
        range: TimeRange,
    ) -> Result<Vec<(Tenant, Vec<Held>)>, CostError> {
        let most = self.known_prices()?.issuer().most_rows;
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
        Ok(held)
    }
}

fn charges_of<'t>(
    prices: &'t Prices,
    held: &'t [(Tenant, Vec<Held>)],
    range: TimeRange,
) -> Result<Vec<Charge<'t>>, DomainError> {
    let mut charges = Vec::new();
    for (tenant, held) in held {
        charges.extend(cost::charges(prices, tenant, held, range)?);
    }
    Ok(charges)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{ApplyMode, Budgets, Resource};
    use crate::engine::Settings;
    use crate::engine::tests::{HOUR, engine, pass};
    use crate::ports::Clock;

    #[tokio::test]
    async fn an_allocation_of_each_day_holds_its_quota_its_usage_and_its_cost() {
        let quotas = [(Resource::CpuCores, 16.0)];
        let (engine, clock) =
            engine(Settings::default(), Budgets::default(), ApplyMode::Review, &quotas).await;
        let begin = clock.now();
        for _ in 0..48 {
            pass(&engine, &clock, 1).await;
        }
        let range = TimeRange { start: begin, end: clock.now() };
        let days = engine.allocations(range, AllocateBy::Tenant, true).await.unwrap();
        assert_eq!(days.len(), 2);
        for day in &days {
            let acme = &day["acme"];
            assert_eq!((acme.minutes, acme.cpu_core_hours, acme.cpu_cores), (1440.0, 384.0, 16.0));
            // A core costs half a dollar an hour.
            assert!((acme.cpu_cost - 192.0).abs() < 1e-9 && acme.total_cost == acme.cpu_cost, "{acme:?}");
            // The last hour's sample of the last day has not settled.
            let used = acme.cpu_core_usage_average;
            assert!((2.3..2.6).contains(&used), "{used}");
            assert!((acme.cpu_efficiency - used / 16.0).abs() < 1e-9, "{acme:?}");
        }
        let whole = engine.allocations(range, AllocateBy::Tier, false).await.unwrap();
        assert_eq!(whole.len(), 1);
        assert!((whole[0]["PREMIUM"].cpu_core_hours - 768.0).abs() < 1e-9, "{whole:?}");
        let empty = TimeRange { start: clock.now(), end: clock.now().plus(Duration::from_secs(HOUR)) };
        assert!(matches!(
            engine.allocations(empty, AllocateBy::Tenant, false).await,
            Err(CostError::Range(_))
        ));
    }
}
