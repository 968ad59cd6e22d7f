//! What people decide on quotas: they ask for a change, approve one, or take one
//! back. Where a change needs two people the first one's word is kept, and the
//! second one's carries it out.

use tracing::Span;

use super::{ApplyError, Engine};
use crate::domain::approval::{Approval, approve};
use crate::domain::policy::judge_for_person;
use crate::domain::quota::checked_limit;
use crate::domain::{
    ChangeRequest, ChangeRequestId, FirstWord, Money, Objection, Quota, QuotaChange, RecommendationId,
    RecommendationState, RequestState, Resource, Tenant, TenantId, Timestamp, Verdict, WhyTwo,
};
use crate::registry::{RecommendationRecord, RegistryError, Remark};
use crate::telemetry;

/// What came of a person's wish to change a quota.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// The quota stands as wished.
    Applied(Quota),
    /// It waits for a second person.
    AwaitsSecond(ChangeRequest),
}

/// What came of a person's word on a recommendation.
#[derive(Debug, Clone, PartialEq)]
pub enum Decided {
    /// The quota stands as recommended.
    Applied(Quota),
    /// It waits for a second person.
    AwaitsSecond(Box<RecommendationRecord>),
}

/// A change that a person wants, with what it is judged by.
pub(super) struct Wish {
    pub change: QuotaChange,
    pub tenant: Tenant,
    pub quota: Quota,
    pub expires_at: Option<Timestamp>,
    pub first: Option<FirstWord>,
}

/// What came of a wish.
enum Outcome {
    Applied(Quota),
    NeedsSecond(WhyTwo),
}

impl Engine {
    /// Changes a quota because a person asks for it, or lets that wait for a
    /// second person where it needs two.
    ///
    /// # Errors
    /// Where a rule stands against it (the quota has moved on from
    /// `generation`, the tier does not allow it), or it can't be carried out.
    pub async fn request_change(
        &self,
        tenant: &TenantId,
        resource: Resource,
        limit: f64,
        generation: u64,
        remark: Remark,
    ) -> Result<Asked, ApplyError> {
        let to = checked_limit(resource, limit).map_err(RegistryError::from)?;
        let wish = self.wish(tenant, resource, generation, |_| Ok((to, false)), &remark).await?;
        let change = wish.change.clone();
        match self.decide(wish, remark.clone()).await? {
            Outcome::Applied(quota) => Ok(Asked::Applied(quota)),
            Outcome::NeedsSecond(needs_two) => {
                let max_requests = self.settings().approval.max_requests;
                let request = self.new_request(change, needs_two, &remark);
                let registry = &self.parts.registry;
                let asked = registry.ask_for_change(request, max_requests, remark.request_id).await?;
                Ok(Asked::AwaitsSecond(asked))
            }
        }
    }

    /// Takes the last change of a quota back. What was changed to is not
    /// recommended again for a while, and enough rollbacks stop the daemon's own
    /// changes of the tenant's quotas. One person is enough: what it leads back
    /// to has stood before.
    ///
    /// # Errors
    /// Where the quota was never changed, has moved on from `generation`, or the
    /// change can't be carried out.
    pub async fn roll_back_quota(
        &self,
        tenant: &TenantId,
        resource: Resource,
        generation: u64,
        remark: Remark,
    ) -> Result<Quota, ApplyError> {
        let nothing = || RegistryError::NothingToRollBack(tenant.clone(), resource);
        let back = |quota: &Quota| Ok((quota.before.ok_or_else(nothing)?, true));
        let wish = self.wish(tenant, resource, generation, back, &remark).await?;
        match self.decide(wish, remark).await? {
            Outcome::Applied(quota) => Ok(quota),
            Outcome::NeedsSecond(because) => Err(refused(Objection::NeedsTwoPeople { because })),
        }
    }

    /// Approves a recommendation and carries it out, or keeps the word of the
    /// first of two people.
    ///
    /// # Errors
    /// Where it waits no more, a rule stands against it, the same person
    /// approves twice, or it can't be carried out.
    pub async fn approve(&self, id: RecommendationId, remark: Remark) -> Result<Decided, ApplyError> {
        let record = self.parts.registry.recommendation(id).await?;
        // It was made in a cycle, and so in another trace than this word.
        telemetry::link(&Span::current(), record.recommendation.trace.as_deref());
        let wish = self.wish_of(&record).await?;
        match self.decide(wish, remark.clone()).await? {
            Outcome::Applied(quota) => Ok(Decided::Applied(quota)),
            Outcome::NeedsSecond(needs_two) => {
                let wait = self.now().plus(self.settings().approval.second_within);
                let until = wait.min(record.recommendation.expires_at);
                let by = remark.by.clone();
                let kept = self.parts.registry.give_first_word(id, remark, needs_two, until).await?;
                tracing::info!(recommendation = %id, %by, "approved by the first of two people");
                Ok(Decided::AwaitsSecond(Box::new(kept)))
            }
        }
    }

    /// What stands against an approval of a recommendation, if anything does.
    /// Nothing is changed.
    ///
    /// # Errors
    /// Where it waits no more, or the state can't be read.
    pub(super) async fn would_approve(
        &self,
        record: &RecommendationRecord,
        remark: Remark,
    ) -> Result<Option<Verdict>, RegistryError> {
        let wish = self.wish_of(record).await?;
        Ok(self.judged(wish, remark).err())
    }

    /// Approves what another person asked for, and carries it out.
    ///
    /// # Errors
    /// Where it waits no more, the approver is who asked, a rule stands against
    /// it, or it can't be carried out.
    pub async fn approve_request(&self, id: ChangeRequestId, remark: Remark) -> Result<Quota, ApplyError> {
        let request = self.parts.registry.change_request(id).await?;
        if request.state != RequestState::Waiting {
            return Err(RegistryError::RequestDecided { id, state: request.state.name() }.into());
        }
        let wish = Wish {
            change: request.change(),
            tenant: self.parts.registry.tenant(&request.tenant).await?,
            quota: self.parts.registry.quota(&request.tenant, request.resource).await?,
            expires_at: Some(request.expires_at),
            first: Some(request.first_word()),
        };
        match self.decide(wish, remark).await? {
            Outcome::Applied(quota) => Ok(quota),
            Outcome::NeedsSecond(because) => Err(refused(Objection::NeedsTwoPeople { because })),
        }
    }

    /// A person's or the daemon's word on a change, with whether it needs
    /// another's.
    pub(super) fn word(
        &self,
        tenant: &Tenant,
        change: &QuotaChange,
        remark: Remark,
        first: Option<FirstWord>,
    ) -> Approval {
        let Remark { by, comment, request_id } = remark;
        let needs_two = self.needs_two(tenant, change);
        Approval { by, at: self.now(), comment, request_id, needs_two, first }
    }

    /// Why a change needs two people, if it does.
    pub(super) fn needs_two(&self, tenant: &Tenant, change: &QuotaChange) -> Option<WhyTwo> {
        if change.rolls_back {
            return None;
        }
        let (settings, now) = (self.settings(), self.now());
        let rule = &settings.approval.two_people;
        let prices = self.prices();
        let prices = prices.as_deref();
        let difference = prices
            .and_then(|prices| prices.of_change(tenant, change.resource, (change.from, change.to), now).ok());
        // A limit that can't be compared any more allows nobody to decide alone.
        let limit = rule.monthly_cost.zip(prices).map(|(limit, prices)| {
            prices.convert(limit, now).unwrap_or_else(|_| Money::zero(prices.currency()))
        });
        rule.asked_for(tenant.tier, difference.map(|cost| cost.saving), limit)
    }

    async fn wish(
        &self,
        tenant: &TenantId,
        resource: Resource,
        generation: u64,
        limit: impl Fn(&Quota) -> Result<(f64, bool), RegistryError>,
        remark: &Remark,
    ) -> Result<Wish, RegistryError> {
        let quota = self.parts.registry.quota(tenant, resource).await?;
        let (to, rolls_back) = limit(&quota)?;
        let silent = if rolls_back { "rolled back" } else { "asked for over the API" };
        let change = QuotaChange {
            tenant: tenant.clone(),
            resource,
            parent_generation: generation,
            from: quota.limit,
            to,
            recommendation: None,
            rollout: None,
            rolls_back,
            reason: remark.comment.clone().unwrap_or_else(|| silent.to_owned()),
        };
        let tenant = self.parts.registry.tenant(tenant).await?;
        Ok(Wish { change, tenant, quota, expires_at: None, first: None })
    }

    async fn wish_of(&self, record: &RecommendationRecord) -> Result<Wish, RegistryError> {
        let RecommendationRecord { recommendation, state } = record;
        let first = match state {
            RecommendationState::Proposed => None,
            RecommendationState::AwaitsSecond { by, at, comment, until, .. } => {
                let word = FirstWord { by: by.clone(), at: *at, comment: comment.clone(), request: None };
                (*until > self.now()).then_some(word)
            }
            other => {
                let (id, state) = (recommendation.id, other.told());
                return Err(RegistryError::AlreadyDecided { id, state });
            }
        };
        Ok(Wish {
            change: recommendation.change(),
            tenant: self.parts.registry.tenant(&recommendation.tenant).await?,
            quota: self.parts.registry.quota(&recommendation.tenant, recommendation.resource).await?,
            expires_at: Some(recommendation.expires_at),
            first,
        })
    }

    fn judged(&self, wish: Wish, remark: Remark) -> Result<crate::domain::Approved<QuotaChange>, Verdict> {
        let Wish { change, tenant, quota, expires_at, first } = wish;
        let verdict = judge_for_person(&change, tenant.tier, quota.generation, expires_at, self.now());
        let word = self.word(&tenant, &change, remark, first);
        approve(change, verdict, word)
    }

    async fn decide(&self, wish: Wish, remark: Remark) -> Result<Outcome, ApplyError> {
        let approved = match self.judged(wish, remark) {
            Ok(approved) => approved,
            Err(verdict) => {
                return match &verdict.objections[..] {
                    [Objection::NeedsTwoPeople { because }] => Ok(Outcome::NeedsSecond(because.clone())),
                    _ => Err(RegistryError::Refused(verdict).into()),
                };
            }
        };
        self.make(&approved).await.map(Outcome::Applied)
    }

    fn new_request(&self, change: QuotaChange, needs_two: WhyTwo, remark: &Remark) -> ChangeRequest {
        let now = self.now();
        let QuotaChange { tenant, resource, parent_generation, from, to, reason, .. } = change;
        ChangeRequest {
            id: self.parts.ids.request(now),
            tenant,
            resource,
            parent_generation,
            from,
            to,
            by: remark.by.clone(),
            at: now,
            reason,
            needs_two,
            expires_at: now.plus(self.settings().approval.second_within),
            state: RequestState::Waiting,
        }
    }
}

fn refused(objection: Objection) -> ApplyError {
    RegistryError::Refused(Verdict { objections: vec![objection] }).into()
}

#[cfg(test)]
mod tests;
