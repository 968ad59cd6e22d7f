//! Says of every quota what it should be, or why nothing can be said.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use rayon::prelude::*;

use super::pools::Known;
use super::sizing::standing;
use super::workspace::{Assessment, AssessmentKind};
use super::{ComputeError, Engine, EngineError, Progress, SeriesKey};
use crate::cost::NoPrice;
use crate::domain::{
    ApplyMode, Evidence, Money, PerMonth, Quota, Recommendation, Refusal, Resource, Tenant, Tier, TierFit,
};
use crate::forecast::Abstention;
use crate::registry::{Proposed, RegistryError};
use crate::rightsize::tier_fit::{self, Need};
use crate::rightsize::{AbstainReason, Case, KeepReason, Outcome, Proposal, decide, one_step};
use crate::telemetry;

/// Tenants that are sized between two looks at the state.
const TENANTS_AT_ONCE: usize = 256;
/// Answers that are written down at once, so that they share the syncs of the
/// disk.
const RECORDED_AT_ONCE: usize = 64;

/// What was said of one quota.
struct Answer {
    quota: Quota,
    outcome: Outcome,
    need: Need,
}

impl Engine {
    /// Sizes every quota that is measured; gives how many recommendations wait
    /// since now.
    pub(super) async fn recommend(self: &Arc<Self>, progress: &dyn Progress) -> Result<usize, EngineError> {
        self.parts.registry.expire().await?;
        let forget_before = self.now().minus(self.settings().keep);
        self.parts.registry.forget_recommendations_before(forget_before).await?;
        self.parts.registry.tend_requests(forget_before).await?;
        let tenants = self.parts.registry.all_tenants().await?;
        self.workspace.retain_sizing(&tenants);
        progress.begin("recommend", tenants.len());
        let tenants = Arc::new(tenants);
        let (engine, of_all) = (Arc::clone(self), Arc::clone(&tenants));
        let known = Arc::new(self.parts.compute.run(move || engine.known(&of_all)).await?);
        let mut proposed = 0;
        let chunks = tenants.chunks(TENANTS_AT_ONCE).map(<[Tenant]>::to_vec);
        let mut all_sized = stream::iter(chunks)
            .map(|chunk| {
                let (engine, known) = (Arc::clone(self), Arc::clone(&known));
                // Sized while what was said of those before is written down.
                tokio::spawn(async move { engine.sized(chunk, known).await })
            })
            .buffered(2);
        while let Some(sized) = all_sized.next().await {
            let mut sized = sized.map_err(|_| ComputeError::Panicked)??;
            let mut records = Vec::new();
            for (tenant, answers) in &mut sized {
                let needs: Vec<Need> = answers.iter().map(|answer| answer.need).collect();
                let fit = self.tier_fit(tenant, &needs);
                self.workspace.put_tier_fit(&tenant.id, fit.clone());
                for Answer { quota, mut outcome, need } in answers.drain(..) {
                    if let Outcome::Change(proposal) = &mut outcome {
                        proposal.evidence.tier_fit.clone_from(&fit);
                    }
                    records.push(self.record(tenant, quota, outcome, need.most));
                }
                progress.advance();
            }
            let recorded = stream::iter(records).buffer_unordered(RECORDED_AT_ONCE);
            let count = |count, is_new| async move { Ok(count + usize::from(is_new)) };
            proposed += recorded.try_fold(0, count).await?;
        }
        for name in ["change", "keep", "abstain"] {
            self.parts.metrics.assessed(name, self.workspace.count_assessments(name));
        }
        Ok(proposed)
    }

    /// What is said of the quotas of some tenants that are measured.
    async fn sized(
        self: Arc<Self>,
        tenants: Vec<Tenant>,
        known: Arc<Known>,
    ) -> Result<Vec<(Tenant, Vec<Answer>)>, EngineError> {
        let measured = self.source().resources();
        let mut cases = Vec::new();
        for tenant in tenants {
            let mut quotas = self.parts.registry.quotas(&tenant.id).await?;
            quotas.retain(|quota| measured.contains(&quota.resource));
            cases.push((tenant, quotas));
        }
        let engine = Arc::clone(&self);
        Ok(self.parts.compute.run(move || engine.size_all(cases, &known)).await?)
    }

    fn size_all(&self, cases: Vec<(Tenant, Vec<Quota>)>, known: &Known) -> Vec<(Tenant, Vec<Answer>)> {
        let size = |(tenant, quotas): (Tenant, Vec<Quota>)| {
            let answers = quotas.into_par_iter().map(|quota| self.size(&tenant, quota, known)).collect();
            (tenant, answers)
        };
        cases.into_par_iter().map(size).collect()
    }

    fn size(&self, tenant: &Tenant, quota: Quota, known: &Known) -> Answer {
        let key = SeriesKey { tenant: tenant.id.clone(), resource: quota.resource };
        let frame = self.workspace.frame(quota.resource);
        let Some(usage) = frame.as_ref().and_then(|frame| frame.series.get(&tenant.id)) else {
            let need =
                Need { resource: quota.resource, most: None, held_at_ceiling: false, span: Duration::ZERO };
            return Answer { quota, outcome: Outcome::Abstain(AbstainReason::NoSamples), need };
        };
        let record = self.workspace.forecast(&key);
        let missing = Abstention::NoSamples;
        let forecast = record.as_ref().map_or(Err(&missing), |record| record.forecast.as_ref());
        let walk = self.walk(&key, tenant, &quota, usage, known);
        let advice = walk.walk().advice(quota.resource);
        let case = Case {
            resource: quota.resource,
            tier: tenant.tier,
            quota: standing(&quota),
            budget: &self.budget(tenant, quota.resource),
            usage,
            forecast,
            advice: advice.as_ref(),
        };
        let all_settings = self.settings();
        let settings = &all_settings.rightsizing;
        let outcome = match decide(&case, settings) {
            Outcome::Change(proposal) if tenant.apply_mode == ApplyMode::Approved => {
                let rails = &all_settings.guardrails;
                one_step(*proposal, quota.resource, quota.limit, usage, rails)
            }
            other => other,
        };
        let need = Need::of(&case, settings);
        Answer { quota, outcome, need }
    }

    /// Which tier the tenant's demand fits, with what both cost, where that is
    /// another than its own.
    fn tier_fit(&self, tenant: &Tenant, needs: &[Need]) -> Option<TierFit> {
        let season = self.settings().rightsizing.season;
        let (fits, because) = tier_fit::fit(tenant.tier, needs, season)?;
        let measured = |resource: &Resource| needs.iter().any(|need| need.resource == *resource);
        Some(TierFit {
            tier: tenant.tier,
            fits,
            because,
            not_measured: Resource::ALL.into_iter().filter(|resource| !measured(resource)).collect(),
            cost_now: self.cost_of_tier(tenant, tenant.tier),
            cost_then: self.cost_of_tier(tenant, fits),
        })
    }

    /// A month of the quotas that a tier starts with, as far as they have a
    /// price where the tenant is.
    fn cost_of_tier(&self, tenant: &Tenant, tier: Tier) -> Option<Money<PerMonth>> {
        let (prices, now) = (self.prices()?, self.now());
        let cost = |resource| prices.per_month(tenant, resource, tier.default_quota(resource), now).ok();
        let mut costs = Resource::ALL.into_iter().filter_map(cost);
        let first = costs.next()?;
        costs.try_fold(first, |sum, cost| sum.plus(&cost).ok())
    }

    /// Writes down what was said of a quota; gives whether a new
    /// recommendation waits.
    async fn record(
        &self,
        tenant: &Tenant,
        quota: Quota,
        outcome: Outcome,
        needed: Option<f64>,
    ) -> Result<bool, EngineError> {
        let key = SeriesKey { tenant: tenant.id.clone(), resource: quota.resource };
        let outcome = self.unless_refused(&quota, &key, outcome).await?;
        let (kind, is_new) = match outcome {
            Outcome::Change(proposal) => {
                let proposed =
                    self.parts.registry.propose(self.recommendation(tenant, &quota, *proposal)).await;
                match proposed {
                    Ok(proposed) => {
                        let is_new = matches!(proposed, Proposed::New(_));
                        if is_new {
                            let (recommendation, resource) = (proposed.id(), quota.resource);
                            tracing::debug!(%recommendation, tenant = %tenant.id, %resource, "proposed");
                        }
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
        self.workspace.assess(key, Assessment { at: self.now(), kind, needed, held_back_by: None });
        Ok(is_new)
    }

    /// The same outcome, but for a proposal that a person turned down, or rolled
    /// back, a short while ago.
    async fn unless_refused(
        &self,
        quota: &Quota,
        key: &SeriesKey,
        outcome: Outcome,
    ) -> Result<Outcome, EngineError> {
        let Outcome::Change(proposal) = &outcome else { return Ok(outcome) };
        let refusal = self.parts.registry.refusal(&key.tenant, key.resource).await?;
        let reconsider_after = self.settings().reconsider_after;
        let until = |refusal: &Refusal| refusal.at.plus(reconsider_after);
        let stands =
            |refusal: &Refusal| refusal.covers(quota.limit, proposal.limit) && self.now() < until(refusal);
        Ok(match refusal.filter(stands) {
            Some(refusal) => Outcome::Keep(KeepReason::Refused {
                target: proposal.limit,
                until: until(&refusal),
                by: refusal.by.to_string(),
                reason: refusal.reason,
            }),
            None => outcome,
        })
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
            evidence: self.with_costs(tenant, quota.resource, proposal.evidence),
            reasons: proposal.reasons,
            confidence: proposal.confidence,
            cost,
            no_cost_because,
            trace: telemetry::traceparent(),
            created_at: now,
            expires_at: now.plus(self.settings().expire_after),
        }
    }

    /// The same evidence with what the alternatives cost.
    fn with_costs(&self, tenant: &Tenant, resource: Resource, mut evidence: Evidence) -> Evidence {
        if let Some(prices) = &self.prices() {
            for other in &mut evidence.alternatives {
                other.cost = prices.per_month(tenant, resource, other.limit, self.now()).ok();
            }
        }
        evidence
    }

    fn cost_of(
        &self,
        tenant: &Tenant,
        resource: Resource,
        current: f64,
        proposed: f64,
    ) -> Result<crate::domain::recommendation::CostChange, NoPrice> {
        let prices = self.prices().ok_or(NoPrice::NoBook)?;
        prices.of_change(tenant, resource, (current, proposed), self.now())
    }
}
