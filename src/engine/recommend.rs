//! Says of every quota what it should be, or why nothing can be said.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rayon::prelude::*;

use super::workspace::{Assessment, AssessmentKind};
use super::{Engine, EngineError, Progress, SeriesKey};
use crate::cost::{self, NoPrice};
use crate::domain::{ApplyMode, Quota, Recommendation, Resource, Tenant};
use crate::forecast::Abstention;
use crate::registry::{Proposed, RegistryError};
use crate::rightsize::{AbstainReason, Case, Outcome, PeakPlusMargin, Proposal, Rule, Walk};
use crate::series::UsageSeries;

/// Tenants that are sized between two looks at the state.
const TENANTS_AT_ONCE: usize = 256;

impl Engine {
    /// Sizes every quota that is measured; gives how many recommendations wait
    /// since now.
    pub(super) async fn recommend(self: &Arc<Self>, progress: &dyn Progress) -> Result<usize, EngineError> {
        self.parts.registry.expire().await?;
        let forget_before = self.now().minus(self.settings.keep);
        self.parts.registry.forget_recommendations_before(forget_before).await?;
        let tenants = self.parts.registry.all_tenants().await?;
        progress.begin("recommend", tenants.len());
        // What a tenant's past advises depends on the fleet's mean, so all
        // backtests are brought up to date before the first quota is sized.
        for chunk in tenants.chunks(TENANTS_AT_ONCE) {
            let cases = self.cases(chunk).await?;
            let engine = Arc::clone(self);
            self.parts.compute.run(move || engine.walk_all(&cases)).await?;
        }
        let fleet_means = Arc::new(self.workspace.fleet_means());
        let mut proposed = 0;
        for chunk in tenants.chunks(TENANTS_AT_ONCE) {
            let cases = self.cases(chunk).await?;
            let (engine, means) = (Arc::clone(self), Arc::clone(&fleet_means));
            let sized = self.parts.compute.run(move || engine.size_all(cases, &means)).await?;
            for (tenant, quota, outcome) in sized {
                proposed += usize::from(self.record(&tenant, &quota, outcome).await?);
            }
            chunk.iter().for_each(|_| progress.advance());
        }
        for name in ["change", "keep", "abstain"] {
            self.parts.metrics.assessed(name, self.workspace.count_assessments(name));
        }
        Ok(proposed)
    }

    /// The quotas of some tenants that are measured.
    async fn cases(&self, tenants: &[Tenant]) -> Result<Vec<(Tenant, Quota)>, EngineError> {
        let measured = self.parts.source.resources();
        let mut cases = Vec::new();
        for tenant in tenants {
            let quotas = self.parts.registry.quotas(&tenant.id).await?.into_iter();
            let measured = quotas.filter(|quota| measured.contains(&quota.resource));
            cases.extend(measured.map(|quota| (tenant.clone(), quota)));
        }
        Ok(cases)
    }

    fn walk_all(&self, cases: &[(Tenant, Quota)]) {
        cases.par_iter().for_each(|(tenant, quota)| {
            let key = SeriesKey { tenant: tenant.id.clone(), resource: quota.resource };
            let frame = self.workspace.frame(quota.resource);
            if let Some(usage) = frame.as_ref().and_then(|frame| frame.series.get(&tenant.id)) {
                self.walk(&key, tenant, usage).lock().catch_up(usage, quota.limit);
            }
        });
    }

    /// The backtest of a quota, begun anew where the tier's promise has changed.
    fn walk(&self, key: &SeriesKey, tenant: &Tenant, usage: &UsageSeries) -> Arc<Mutex<Walk>> {
        let (budget, hours) = (tenant.tier.violation_budget(), self.settings.rightsizing.holds_hours);
        self.workspace.walk(key, |walk| walk.fits(budget, hours), || Walk::new(usage, budget, hours))
    }

    fn size_all(
        &self,
        cases: Vec<(Tenant, Quota)>,
        fleet_means: &BTreeMap<Resource, f64>,
    ) -> Vec<(Tenant, Quota, Outcome)> {
        cases
            .into_par_iter()
            .map(|(tenant, quota)| {
                let outcome = self.size(&tenant, &quota, fleet_means);
                (tenant, quota, outcome)
            })
            .collect()
    }

    fn size(&self, tenant: &Tenant, quota: &Quota, fleet_means: &BTreeMap<Resource, f64>) -> Outcome {
        let key = SeriesKey { tenant: tenant.id.clone(), resource: quota.resource };
        let frame = self.workspace.frame(quota.resource);
        let Some(usage) = frame.as_ref().and_then(|frame| frame.series.get(&tenant.id)) else {
            return Outcome::Abstain(AbstainReason::NoSamples);
        };
        let record = self.workspace.forecast(&key);
        let missing = Abstention::NoSamples;
        let forecast = record.as_ref().map_or(Err(&missing), |record| record.forecast.as_ref());
        let advice = {
            let walk = self.walk(&key, tenant, usage);
            let walk = walk.lock();
            let mean = fleet_means.get(&quota.resource).copied().or_else(|| walk.mean());
            mean.and_then(|mean| walk.advice(quota.resource, mean))
        };
        let case = Case {
            resource: quota.resource,
            tier: tenant.tier,
            quota: quota.limit,
            usage,
            forecast,
            advice: advice.as_ref(),
        };
        let outcome = PeakPlusMargin.decide(&case, &self.settings.rightsizing);
        match outcome {
            Outcome::Change(proposal) if tenant.apply_mode == ApplyMode::Approved => {
                Outcome::Change(Box::new(self.one_step(*proposal, quota, usage)))
            }
            other => other,
        }
    }

    /// The daemon moves in steps that its guardrails allow; a person may go all
    /// the way at once.
    fn one_step(&self, mut proposal: Proposal, quota: &Quota, usage: &UsageSeries) -> Proposal {
        let rails = &self.settings.guardrails;
        let lowest = quota.resource.round_up(quota.limit * (1.0 - rails.largest_step_down));
        let highest = quota.resource.round_up(quota.limit * (1.0 + rails.largest_step_up));
        let step = proposal.limit.clamp(lowest.min(quota.limit), highest.max(quota.limit));
        if step != proposal.limit {
            proposal.reasons.push(format!("A first step towards {}.", proposal.limit));
            proposal.limit = step;
            proposal.evidence = proposal.evidence.with_limit(usage.values.iter(), step);
        }
        proposal
    }

    /// Writes down what was said of a quota; gives whether a new
    /// recommendation waits.
    async fn record(&self, tenant: &Tenant, quota: &Quota, outcome: Outcome) -> Result<bool, EngineError> {
        let key = SeriesKey { tenant: tenant.id.clone(), resource: quota.resource };
        let (kind, is_new) = match outcome {
            Outcome::Change(proposal) => {
                let proposed =
                    self.parts.registry.propose(self.recommendation(tenant, quota, *proposal)).await;
                match proposed {
                    Ok(proposed) => {
                        let is_new = matches!(proposed, Proposed::New(_));
                        (AssessmentKind::Change(proposed.id()), is_new)
                    }
                    // Somebody decided while this was computed: the next cycle
                    // looks again.
                    Err(RegistryError::Store(crate::ports::StoreError::Conflict { .. })) => return Ok(false),
                    Err(error) => return Err(error.into()),
                }
            }
            Outcome::Keep(reason) => (AssessmentKind::Keep(reason.to_string()), false),
            Outcome::Abstain(reason) => (AssessmentKind::Abstain(reason.to_string()), false),
        };
        if !matches!(kind, AssessmentKind::Change(_)) {
            match self.parts.registry.withdraw(&tenant.id, quota.resource).await {
                Ok(()) | Err(RegistryError::Store(crate::ports::StoreError::Conflict { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.workspace.assess(key, Assessment { at: self.now(), kind, held_back_by: None });
        Ok(is_new)
    }

    fn recommendation(&self, tenant: &Tenant, quota: &Quota, proposal: Proposal) -> Recommendation {
        let now = self.now();
        let cost = self.cost_of(tenant, quota.resource, quota.limit, proposal.limit);
        let (cost, no_cost_because) = match cost {
            Ok(cost) => (Some(cost), None),
            Err(reason) => (None, Some(reason.to_string())),
        };
        Recommendation {
            id: self.parts.ids.recommendation(now),
            tenant: tenant.id.clone(),
            tier: tenant.tier,
            resource: quota.resource,
            parent_generation: quota.generation,
            current: quota.limit,
            proposed: proposal.limit,
            evidence: proposal.evidence,
            reasons: proposal.reasons,
            confidence: proposal.confidence,
            cost,
            no_cost_because,
            created_at: now,
            expires_at: now.plus(self.settings.expire_after),
        }
    }

    fn cost_of(
        &self,
        tenant: &Tenant,
        resource: Resource,
        current: f64,
        proposed: f64,
    ) -> Result<crate::domain::recommendation::CostChange, NoPrice> {
        let book = self.parts.prices.as_ref().ok_or(NoPrice::NoBook)?;
        cost::of_change(book, tenant, resource, current, proposed)
    }
}
