//! What the guardrails must know of what was changed before: what the daemon's
//! own changes of this month add to the cost, and what was rolled back lately.
//! Both are read from the changes that are kept, so that a restart forgets
//! nothing.

use std::collections::BTreeMap;

use super::costs::was_changed;
use super::{Engine, EngineError, Settings};
use crate::cost::month_of;
use crate::domain::{
    Actor, AppliedChange, BudgetOf, Guardrails, Money, Objection, PerMonth, QuotaChange, Resource, Tenant,
    Timestamp,
};
use crate::registry::RegistryError;

/// What the daemon's own changes of this month add to the monthly cost, by
/// whose limit it counts against.
#[derive(Debug, Default)]
pub(super) struct Risen(BTreeMap<BudgetOf, Money<PerMonth>>);

impl Engine {
    /// Reads what was changed since the month began. Empty where nothing is
    /// limited.
    pub(super) async fn risen(&self, tenants: &[Tenant]) -> Result<Risen, EngineError> {
        let mut risen = Risen::default();
        if self.settings().guardrails.monthly_rise.iter().next().is_none() {
            return Ok(risen);
        }
        let since = month_of(self.now()).start;
        for tenant in tenants {
            for change in self.changes_of(tenant, since).await? {
                if change.by == Actor::Daemon {
                    self.has_risen(&mut risen, tenant, change.resource, (change.before, change.after));
                }
            }
        }
        Ok(risen)
    }

    /// Counts a change that the daemon has made.
    pub(super) fn count_rise(&self, risen: &mut Risen, tenant: &Tenant, change: &QuotaChange) {
        self.has_risen(risen, tenant, change.resource, (change.from, change.to));
    }

    fn has_risen(&self, risen: &mut Risen, tenant: &Tenant, resource: Resource, limits: (f64, f64)) {
        let Some(rise) = self.rise(tenant, resource, limits) else { return };
        let settings = self.settings();
        for (of, _) in limits_of(&settings, tenant) {
            let sum = risen.0.get(of).map_or(Ok(rise), |before| before.plus(&rise));
            // The sums of one price book have one currency.
            if let Ok(sum) = sum {
                risen.0.insert(of.clone(), sum);
            }
        }
    }

    /// Which limit the change would break, if it raises the cost and does.
    pub(super) fn too_dear(&self, risen: &Risen, tenant: &Tenant, change: &QuotaChange) -> Option<Objection> {
        let rise = self.rise(tenant, change.resource, (change.from, change.to))?;
        if rise.amount <= Money::<PerMonth>::zero(rise.currency).amount {
            return None;
        }
        let (settings, prices) = (self.settings(), self.prices()?);
        limits_of(&settings, tenant).find_map(|(of, limit)| {
            let limit = prices.convert(*limit, self.now()).ok()?;
            let all = risen.0.get(of).map_or(Ok(rise), |before| before.plus(&rise)).ok()?;
            (all.amount > limit.amount).then(|| Objection::RiseTooDear {
                of: of.to_string(),
                rise: all.rounded(),
                limit: limit.rounded(),
            })
        })
    }

    /// What a change adds to the monthly cost at today's prices; `None` where
    /// there is no price.
    fn rise(&self, tenant: &Tenant, resource: Resource, limits: (f64, f64)) -> Option<Money<PerMonth>> {
        let cost = self.prices()?.of_change(tenant, resource, limits, self.now()).ok()?;
        cost.then.minus(&cost.now).ok()
    }

    /// When changes of a tenant's quotas were rolled back, as far as that still
    /// counts, the oldest first.
    pub(super) async fn rollbacks(&self, tenant: &Tenant) -> Result<Vec<Timestamp>, RegistryError> {
        let since = self.now().minus(Guardrails::ROLLBACKS_WITHIN);
        let changes = self.changes_of(tenant, since).await?;
        let mut all: Vec<Timestamp> =
            changes.iter().filter(|change| change.rolls_back).map(|change| change.at).collect();
        all.sort();
        Ok(all)
    }

    async fn changes_of(
        &self,
        tenant: &Tenant,
        since: Timestamp,
    ) -> Result<Vec<AppliedChange>, RegistryError> {
        let mut all = Vec::new();
        for quota in self.parts.registry.quotas_if_there(&tenant.id).await? {
            if was_changed(&quota, since) {
                all.extend(self.parts.registry.applied_to(&tenant.id, quota.resource, since).await?);
            }
        }
        Ok(all)
    }
}

fn limits_of<'a>(
    settings: &'a Settings,
    tenant: &'a Tenant,
) -> impl Iterator<Item = (&'a BudgetOf, &'a Money<PerMonth>)> {
    let limits = settings.guardrails.monthly_rise.iter();
    limits.filter(|(of, _)| of.covers(&tenant.id, tenant.tier))
}

#[cfg(test)]
mod tests;
