//! Says of every quota what it should be, or why nothing can be said.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use rayon::iter::Either;
use rayon::prelude::*;

use super::pools::Known;
use super::sizing::standing;
use super::workspace::{Assessment, AssessmentKind};
use super::{ComputeError, Engine, EngineError, Progress, SeriesKey};
use crate::cost::NoPrice;
use crate::domain::{
    ApplyMode, Evidence, Money, PerMonth, Quota, Recommendation, RecommendationState, Refusal, Resource,
    Tenant, TenantId, Tier, TierFit,
};
use crate::forecast::Abstention;
use crate::ports::StoreError;
use crate::registry::{Before, Proposed, RecommendationRecord, RegistryError, Stands};
use crate::rightsize::tier_fit::{self, Need};
use crate::rightsize::{AbstainReason, Case, KeepReason, Outcome, Proposal, decide, one_step};
use crate::telemetry;

/// Tenants that are sized between two looks at the state.
const TENANTS_AT_ONCE: usize = 256;
/// Answers that are written down at once, so that they share the syncs of the
/// disk.
const RECORDED_AT_ONCE: usize = 64;

/// What is to be written down of a quota.
struct ToWrite {
    /// The place of its tenant.
    tenant: usize,
    quota: Quota,
    what: What,
    needed: Option<f64>,
}

/// A recommendation that was read, with its version.
type Waiting = (RecommendationRecord, u64);

enum What {
    /// A change is proposed, in the place of what waited.
    Propose(Box<Proposal>, Option<Waiting>),
    /// What waited is taken back, since this is said now.
    TakeBack(Waiting, AssessmentKind),
}

impl Engine {
    /// Sizes every quota that is measured; gives how many recommendations wait
    /// since now.
    pub(super) async fn recommend(self: &Arc<Self>, progress: &dyn Progress) -> Result<usize, EngineError> {
        self.parts.registry.expire().await?;
        let forget_before = self.now().minus(self.settings().keep);
        self.parts.registry.forget_recommendations_before(forget_before).await?;
        self.parts.registry.tend_requests(forget_before).await?;
        let tenants = Arc::new(self.parts.registry.all_tenants().await?);
        progress.begin("recommend", tenants.len());
        let (engine, of_all) = (Arc::clone(self), Arc::clone(&tenants));
        let look = move || {
            engine.workspace.retain_sizing(&of_all);
            engine.known(&of_all)
        };
        let known = Arc::new(self.parts.compute.run(look).await?);
        let mut proposed = 0;
        let chunks = (0..tenants.len()).step_by(TENANTS_AT_ONCE);
        let mut all_sized = stream::iter(chunks)
            .map(|first| {
                let (engine, tenants, known) = (Arc::clone(self), Arc::clone(&tenants), Arc::clone(&known));
                let some = first..(first + TENANTS_AT_ONCE).min(tenants.len());
                // Sized while what was said of those before is written down.
                tokio::spawn(async move { engine.sized(tenants, some, known).await })
            })
            .buffered(2);
        while let Some(sized) = all_sized.next().await {
            let (count, to_write) = sized.map_err(|_| ComputeError::Panicked)??;
            let writes = to_write.into_iter().map(|one| self.write_down(&tenants[one.tenant], one));
            let written = stream::iter(writes).buffer_unordered(RECORDED_AT_ONCE);
            let sum = |sum, is_new| async move { Ok(sum + usize::from(is_new)) };
            proposed += written.try_fold(0, sum).await?;
            (0..count).for_each(|_| progress.advance());
        }
        let engine = Arc::clone(self);
        let count = move || {
            for name in ["change", "keep", "abstain"] {
                engine.parts.metrics.assessed(name, engine.workspace.count_assessments(name));
            }
        };
        self.parts.compute.run(count).await?;
        Ok(proposed)
    }

    /// Sizes the quotas of some tenants that are measured; gives how many tenants
    /// there were, and what is to be written down.
    async fn sized(
        self: Arc<Self>,
        tenants: Arc<Vec<Tenant>>,
        some: Range<usize>,
        known: Arc<Known>,
    ) -> Result<(usize, Vec<ToWrite>), EngineError> {
        let mut measured = self.source().resources();
        measured.sort_unstable();
        let ids: Vec<&TenantId> = tenants[some.clone()].iter().map(|tenant| &tenant.id).collect();
        let before = self.parts.registry.before_sizing(&ids, &measured).await?;
        let count = some.len();
        let engine = Arc::clone(&self);
        let size_all = move || {
            let size = |(place, before): (usize, Vec<Before>)| {
                engine.size_tenant(place, &tenants[place], &before, &known)
            };
            let cases: Vec<_> = some.zip(before).collect();
            let sized: Result<Vec<Vec<ToWrite>>, RegistryError> = cases.into_par_iter().map(size).collect();
            sized.map(|all| all.into_iter().flatten().collect())
        };
        Ok((count, self.parts.compute.run(size_all).await??))
    }

    /// Sizes the quotas of a tenant, and notes what is said of them; gives what is
    /// to be written down first.
    fn size_tenant(
        &self,
        place: usize,
        tenant: &Tenant,
        before: &[Before],
        known: &Known,
    ) -> Result<Vec<ToWrite>, RegistryError> {
        let size = |before: &Before| {
            let Some(stands) = before.stands()? else { return Ok(None) };
            let (outcome, need) = self.size(tenant, &stands.quota, known);
            Ok(Some((stands, outcome, need)))
        };
        let sized: Vec<Option<_>> = before.into_par_iter().map(size).collect::<Result<_, RegistryError>>()?;
        let needs: Vec<Need> = sized.iter().flatten().map(|(_, _, need)| *need).collect();
        let fit = self.tier_fit(tenant, &needs);
        self.workspace.put_tier_fit(&tenant.id, fit.clone());
        let mut to_write = Vec::new();
        for (Stands { quota, waiting, refusal }, outcome, need) in sized.into_iter().flatten() {
            let outcome = self.unless_refused(&quota, refusal, outcome);
            match self.what_follows(&quota, waiting, outcome, fit.as_ref()) {
                Either::Left(what) => {
                    to_write.push(ToWrite { tenant: place, quota, what, needed: need.most })
                }
                Either::Right(kind) => self.assess(&tenant.id, quota.resource, kind, need.most),
            }
        }
        Ok(to_write)
    }

    /// What is to be written down, or else what is only noted.
    fn what_follows(
        &self,
        quota: &Quota,
        waiting: Option<Waiting>,
        outcome: Outcome,
        fit: Option<&TierFit>,
    ) -> Either<What, AssessmentKind> {
        let kind = match outcome {
            Outcome::Change(mut proposal) => {
                let known = waiting.as_ref().map(|(known, _)| known);
                let covers = |known: &&RecommendationRecord| {
                    known.covers(proposal.limit, quota.generation, self.now())
                };
                if let Some(known) = known.filter(covers) {
                    return Either::Right(AssessmentKind::Change(known.recommendation.id));
                }
                proposal.evidence.tier_fit = fit.cloned();
                return Either::Left(What::Propose(proposal, waiting));
            }
            Outcome::Keep(reason) => AssessmentKind::Keep(reason.to_string()),
            Outcome::Abstain(reason) => AssessmentKind::Abstain(reason.to_string()),
        };
        match waiting.filter(|(known, _)| known.state == RecommendationState::Proposed) {
            Some(waiting) => Either::Left(What::TakeBack(waiting, kind)),
            None => Either::Right(kind),
        }
    }

    /// What should become of a quota, and what its tenant needs.
    fn size(&self, tenant: &Tenant, quota: &Quota, known: &Known) -> (Outcome, Need) {
        let key = SeriesKey { tenant: tenant.id.clone(), resource: quota.resource };
        let frame = self.workspace.frame(quota.resource);
        let Some(usage) = frame.as_ref().and_then(|frame| frame.series.get(&tenant.id)) else {
            let need =
                Need { resource: quota.resource, most: None, held_at_ceiling: false, span: Duration::ZERO };
            return (Outcome::Abstain(AbstainReason::NoSamples), need);
        };
        let record = self.workspace.forecast(&key);
        let missing = Abstention::NoSamples;
        let forecast = record.as_ref().map_or(Err(&missing), |record| record.forecast.as_ref());
        let walk = self.walk(&key, tenant, quota, usage, known);
        let advice = walk.walk().advice(quota.resource);
        let case = Case {
            resource: quota.resource,
            tier: tenant.tier,
            quota: standing(quota),
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
        (outcome, Need::of(&case, settings))
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
    async fn write_down(&self, tenant: &Tenant, one: ToWrite) -> Result<bool, EngineError> {
        let ToWrite { quota, what, needed, .. } = one;
        let (kind, is_new) = match what {
            What::Propose(proposal, waiting) => {
                // Somebody changed the quota, or took a change back, while this was computed.
                match self.parts.registry.quota(&tenant.id, quota.resource).await {
                    Ok(now) if now.generation == quota.generation => {}
                    Ok(_) | Err(RegistryError::NoSuchQuota(..) | RegistryError::NoSuchTenant(_)) => {
                        return Ok(false);
                    }
                    Err(error) => return Err(error.into()),
                }
                let recommendation = self.recommendation(tenant, &quota, *proposal);
                match self.parts.registry.propose_after(waiting, recommendation).await {
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
                    Err(RegistryError::Store(StoreError::Conflict { .. })) => return Ok(false),
                    Err(error) => return Err(error.into()),
                }
            }
            What::TakeBack((waiting, version), kind) => {
                match self.parts.registry.take_back(&waiting, version).await {
                    Ok(()) | Err(RegistryError::Store(StoreError::Conflict { .. })) => {}
                    Err(error) => return Err(error.into()),
                }
                (kind, false)
            }
        };
        self.assess(&tenant.id, quota.resource, kind, needed);
        Ok(is_new)
    }

    /// Notes what is said of a quota.
    fn assess(&self, tenant: &TenantId, resource: Resource, kind: AssessmentKind, needed: Option<f64>) {
        let key = SeriesKey { tenant: tenant.clone(), resource };
        self.workspace.assess(key, Assessment { at: self.now(), kind, needed, held_back_by: None });
    }

    /// The same outcome, but for a proposal that a person turned down, or rolled
    /// back, a short while ago.
    fn unless_refused(&self, quota: &Quota, refusal: Option<Refusal>, outcome: Outcome) -> Outcome {
        let Outcome::Change(proposal) = &outcome else { return outcome };
        let reconsider_after = self.settings().reconsider_after;
        let until = |refusal: &Refusal| refusal.at.plus(reconsider_after);
        let stands =
            |refusal: &Refusal| refusal.covers(quota.limit, proposal.limit) && self.now() < until(refusal);
        match refusal.filter(stands) {
            Some(refusal) => Outcome::Keep(KeepReason::Refused {
                target: proposal.limit,
                until: until(&refusal),
                by: refusal.by.to_string(),
                reason: refusal.reason,
            }),
            None => outcome,
        }
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
