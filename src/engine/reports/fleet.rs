//! Gathers the report on the whole fleet.

use std::collections::BTreeSet;

use super::super::Engine;
use super::parts::{key_of, tier_move};
use super::{ReportFailure, ReportSettings, range_of};
use crate::cost::{self, TenantCosts};
use crate::domain::sla::Objective;
use crate::domain::{ModelState, Tenant, TenantId, Timestamp};
use crate::registry::{KeptReport, RecommendationRecord};
use crate::report::model::{
    Accuracy, AtRisk, FleetMoney, FleetReport, PromiseRow, Promises, PromisesKept, QuotaName, Since,
    Standing, Top, TopSaving,
};

/// A promise with less than this share of its error budget left has a row.
const WORTH_A_ROW: f64 = 0.5;

impl Engine {
    /// The report on the whole fleet over a range, which is a period long and
    /// ends now where nobody says, compared with the last one that is kept.
    ///
    /// # Errors
    /// Where the range is none, or the state can't be read.
    pub async fn fleet_report(
        &self,
        range: (Option<Timestamp>, Option<Timestamp>),
        settings: &ReportSettings,
    ) -> Result<FleetReport, ReportFailure> {
        Ok(self.fleet_report_standing(range, settings).await?.0)
    }

    /// The same, with what the next one is compared with.
    pub(super) async fn fleet_report_standing(
        &self,
        range: (Option<Timestamp>, Option<Timestamp>),
        settings: &ReportSettings,
    ) -> Result<(FleetReport, Standing), ReportFailure> {
        let (now, most) = (self.now(), settings.max_rows);
        let range = range_of(range, now, settings.period)?;
        let tenants = self.parts.registry.all_tenants().await?;
        let money = match self.prices() {
            Some(_) => Some(self.fleet_money(&self.costs_of(&tenants).await?)?),
            None => None,
        };
        let waiting = self.parts.registry.all_waiting().await?;
        let at_risk = self.at_risk(&tenants, now).await?;
        let standing = Standing {
            tenants: tenants.iter().map(|tenant| tenant.id.clone()).collect(),
            at_risk: at_risk
                .iter()
                .map(|risk| QuotaName { tenant: risk.tenant.clone(), resource: risk.resource })
                .collect(),
            cost: money.as_ref().map(|money| money.fleet.now),
        };
        let before = self.parts.registry.last_fleet_report().await?;
        let since = before.map(|before| since(&before, &standing, most)).transpose()?;
        let fits = tenants
            .iter()
            .filter_map(|tenant| Some(tier_move(&tenant.id, self.workspace.tier_fit(&tenant.id)?)));
        let report = FleetReport {
            range,
            made_at: now,
            is_simulated: settings.is_simulated,
            tenants: tenants.len() as u64,
            waiting: waiting.len() as u64,
            money,
            top_savings: top_savings(&waiting, most),
            at_risk: Top::of(at_risk, most),
            tier_moves: Top::of(fits.collect(), most),
            incidents: self.incidents_in(None, range, most).await?,
            promises: Some(self.promises_to(&tenants, most).await?),
            accuracy: self.accuracy(),
            applied: self.applied_in(None, range, most).await?,
            since,
        };
        Ok((report, standing))
    }

    fn fleet_money(&self, tenants: &[TenantCosts]) -> Result<FleetMoney, ReportFailure> {
        let prices = self.known_prices()?;
        let costs = cost::of_fleet(&prices, tenants, self.now()).map_err(super::CostError::from)?;
        let unpriced = costs.unpriced.values().sum::<usize>() as u64;
        Ok(FleetMoney { fleet: costs.fleet, tiers: costs.tiers, budgets: costs.budgets, unpriced })
    }

    /// The quotas that are reached or will be, the soonest first.
    async fn at_risk(&self, tenants: &[Tenant], now: Timestamp) -> Result<Vec<AtRisk>, ReportFailure> {
        let mut found = Vec::new();
        for tenant in tenants {
            for quota in self.parts.registry.quotas_if_there(&tenant.id).await? {
                let Some(risk) = self.risk(&key_of(&tenant.id, quota.resource), &quota, now) else {
                    continue;
                };
                found.push(AtRisk {
                    tenant: tenant.id.clone(),
                    tier: tenant.tier,
                    resource: quota.resource,
                    quota: quota.limit,
                    used: risk.used,
                    expected: risk.expected,
                    hours: risk.hours,
                });
            }
        }
        found.sort_by(|a, b| a.hours.total_cmp(&b.hours).then_with(|| b.tier.cmp(&a.tier)));
        Ok(found)
    }

    /// How the promises to these tenants stand now.
    async fn promises_to(&self, tenants: &[Tenant], most: usize) -> Result<Promises, ReportFailure> {
        let [mut availability, mut latency, mut quotas] = [PromisesKept::default(); 3];
        let mut worst = Vec::new();
        for tenant in tenants {
            for state in self.promises(tenant).await? {
                match state.objective {
                    Objective::Availability => availability.count(&state),
                    Objective::Latency => latency.count(&state),
                    Objective::Quota(_) => quotas.count(&state),
                }
                let is_spent = state.budget_left.is_some_and(|left| left < WORTH_A_ROW);
                if state.breach.is_some() || is_spent {
                    worst.push(PromiseRow { tenant: tenant.id.clone(), tier: tenant.tier, state });
                }
            }
            // Samples were counted; others may go on in between.
            tokio::task::yield_now().await;
        }
        let left = |row: &PromiseRow| row.state.budget_left.unwrap_or(1.0);
        worst.sort_by(|a, b| left(a).total_cmp(&left(b)).then_with(|| b.tier.cmp(&a.tier)));
        let period_seconds = self.settings().sla.period.as_secs();
        Ok(Promises { period_seconds, availability, latency, quotas, list: Top::of(worst, most) })
    }

    /// What the models in use were worth.
    fn accuracy(&self) -> Vec<Accuracy> {
        let champion = |resource| {
            let models = self.workspace.models(resource);
            let model = models.into_iter().find(|model| model.state == ModelState::Champion)?;
            let live = model.live.filter(|score| score.values > 0);
            let score = live.or(model.backtest)?;
            Some(Accuracy {
                resource,
                version: model.version,
                is_live: live.is_some(),
                values: score.values,
                to_seasonal_naive: score.to_seasonal_naive,
                cover: score.cover,
            })
        };
        self.resources().into_iter().filter_map(champion).collect()
    }
}

/// The recommendations that save something, the most first.
fn top_savings(waiting: &[RecommendationRecord], most: usize) -> Top<TopSaving> {
    let saving = |record: &RecommendationRecord| {
        let recommendation = &record.recommendation;
        let saving = recommendation.cost.as_ref()?.saving;
        (saving.amount.is_sign_positive() && !saving.amount.is_zero()).then(|| TopSaving {
            tenant: recommendation.tenant.clone(),
            tier: recommendation.tier,
            resource: recommendation.resource,
            current: recommendation.current,
            proposed: recommendation.proposed,
            saving,
            confidence: recommendation.confidence,
        })
    };
    let mut all: Vec<TopSaving> = waiting.iter().filter_map(saving).collect();
    all.sort_by(|a, b| b.saving.amount.cmp(&a.saving.amount).then_with(|| a.tenant.cmp(&b.tenant)));
    Top::of(all, most)
}

fn since(before: &KeptReport, now: &Standing, most: usize) -> Result<Since, ReportFailure> {
    let then: Standing = serde_json::from_value(before.standing.clone())?;
    let (old, new): (BTreeSet<&TenantId>, BTreeSet<&TenantId>) =
        (then.tenants.iter().collect(), now.tenants.iter().collect());
    let (safe, risky): (BTreeSet<&QuotaName>, BTreeSet<&QuotaName>) =
        (then.at_risk.iter().collect(), now.at_risk.iter().collect());
    // Where the currency has changed, the two can't be compared.
    let cost = now.cost.zip(then.cost).and_then(|(now, then)| now.minus(&then).ok());
    Ok(Since {
        report: before.id,
        made_at: before.made_at,
        came: Top::of(new.difference(&old).map(|id| (*id).clone()).collect(), most),
        left: Top::of(old.difference(&new).map(|id| (*id).clone()).collect(), most),
        cost,
        at_risk: Top::of(risky.difference(&safe).map(|name| (*name).clone()).collect(), most),
        relieved: Top::of(safe.difference(&risky).map(|name| (*name).clone()).collect(), most),
    })
}
