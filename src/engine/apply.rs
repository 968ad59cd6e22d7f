//! Sees approved changes of quotas through: written down, carried out at the
//! target, finished. Every change goes this one way, whoever asked for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use tracing::field::display;
use tracing::{Instrument, info_span};

use super::rails::Risen;
use super::{Engine, EngineError, SeriesKey};
use crate::domain::approval::approve;
use crate::domain::policy::{Facts, Meanwhile, judge_for_daemon, judge_late};
use crate::domain::{
    Actor, ApplyMode, Approved, Incident, Objection, Quota, QuotaChange, RecommendationState, Resource,
    RolloutId, Tenant, Verdict,
};
use crate::ports::{StoreError, TargetError};
use crate::registry::{ChangeOutcome, RecommendationRecord, RegistryError, Remark};
use crate::telemetry;

/// Why a change did not come about; reads well after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The registry would not have it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// It is written down, and is carried out once the target can be reached.
    #[error("finish the change: {0}; it is written down and will be tried again")]
    Later(TargetError),
    /// The target will not have it.
    #[error(transparent)]
    Target(TargetError),
}

impl ApplyError {
    /// Whether somebody was quicker, or all changes are stopped: it may be asked
    /// for again.
    pub(super) fn is_for_another_time(&self) -> bool {
        let ApplyError::Registry(error) = self else { return false };
        matches!(
            error,
            RegistryError::Busy(..)
                | RegistryError::Paused(_)
                | RegistryError::AlreadyDecided { .. }
                | RegistryError::Store(StoreError::Conflict { .. })
        )
    }
}

/// Marks a change as being carried out by this process, until it is dropped.
pub(super) struct UnderWay<'a>(&'a Engine, SeriesKey);

impl<'a> UnderWay<'a> {
    /// `None` where it is marked already: the one who marked it carries on.
    pub(super) fn mark(engine: &'a Engine, change: &QuotaChange) -> Option<Self> {
        let key = SeriesKey { tenant: change.tenant.clone(), resource: change.resource };
        let is_new = engine.under_way.lock().insert(key.clone());
        // Made only where it is new: dropping one takes the mark away.
        is_new.then(|| UnderWay(engine, key))
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.lock().remove(&self.1);
    }
}

impl Engine {
    /// Begins an approved change, and carries it out.
    pub(super) async fn make(&self, approved: &Approved<QuotaChange>) -> Result<Quota, ApplyError> {
        let change = approved.item();
        // Whoever marked it is at the target with this quota right now.
        let busy = || RegistryError::Busy(change.tenant.clone(), change.resource);
        let _under_way = UnderWay::mark(self, change).ok_or_else(busy)?;
        self.parts.registry.begin_change(approved).await?;
        let QuotaChange { tenant, resource, from, to, .. } = change;
        let recommendation = change.recommendation.map(display);
        let by = display(approved.by());
        tracing::info!(recommendation, %tenant, %resource, from, to, by, "approved");
        self.carry_out(approved).await
    }

    /// Carries a change out that was begun, and ends it.
    async fn carry_out(&self, approved: &Approved<QuotaChange>) -> Result<Quota, ApplyError> {
        let by = match approved.by() {
            Actor::Person(_) => "person",
            Actor::Daemon => "daemon",
        };
        let change = approved.item();
        let target = self.target();
        let span = info_span!(
            "enforce",
            target = target.name(),
            recommendation = change.recommendation.map(display),
            tenant = %change.tenant,
            resource = %change.resource
        );
        let outcome = match target.enforce(change).instrument(span).await {
            Ok(()) => Ok(self.parts.registry.finish_change(approved, &ChangeOutcome::Enforced).await?),
            Err(error @ TargetError::Unreachable { .. }) => Err(ApplyError::Later(error)),
            Err(error @ TargetError::Refused { .. }) => {
                let failed = ChangeOutcome::Failed(error.to_string());
                self.parts.registry.finish_change(approved, &failed).await?;
                Err(ApplyError::Target(error))
            }
        };
        let name = match &outcome {
            Ok(_) => "applied",
            Err(ApplyError::Later(_)) => "later",
            Err(_) => "failed",
        };
        self.parts.metrics.quota_changed(by, name);
        let (recommendation, tenant, resource) =
            (change.recommendation.map(display), &change.tenant, change.resource);
        match &outcome {
            Ok(quota) => {
                let (limit, generation) = (quota.limit, quota.generation);
                tracing::info!(recommendation, %tenant, %resource, limit, generation, by, "applied");
            }
            // Whoever asked for it is told, or says so.
            Err(error) => tracing::debug!(recommendation, %tenant, %resource, by, "failed to {error}"),
        }
        outcome
    }

    /// Ends the changes that a crash, or a target out of reach, has left open.
    /// Where the target says what holds there, it is asked before it is told.
    pub(super) async fn finish_open_changes(&self) -> Result<(), EngineError> {
        for approved in self.parts.registry.open_changes().await? {
            if self.parts.registry.pause().await?.is_some() {
                return Ok(());
            }
            let change = approved.item();
            // Most have ended since the list was read. They are not marked: who asks
            // for the next change in that moment would be told to try again.
            if self.parts.registry.open_change(&change.tenant, change.resource).await?.as_ref()
                != Some(&approved)
            {
                continue;
            }
            // Whoever began it in this process also ends it.
            let Some(_under_way) = UnderWay::mark(self, change) else { continue };
            // It may have ended since the list was read; then telling the
            // target again could undo what came after.
            let open = self.parts.registry.open_change(&change.tenant, change.resource).await?;
            if open.as_ref() != Some(&approved) {
                continue;
            }
            let holds = self.target().read(&change.tenant, change.resource).await;
            let done = matches!(holds, Ok(Some(limit)) if limit == change.to);
            let outcome = if done {
                self.parts.registry.finish_change(&approved, &ChangeOutcome::Enforced).await.map(drop)
            } else if let Some(verdict) = self.too_late(&approved, &holds).await? {
                let why = ChangeOutcome::Failed(format!("it could not be carried out before: {verdict}"));
                self.parts.registry.finish_change(&approved, &why).await.map(drop)
            } else {
                match self.carry_out(&approved).await {
                    Ok(_) => Ok(()),
                    Err(ApplyError::Registry(error)) => Err(error),
                    Err(error) => {
                        tracing::warn!(tenant = %change.tenant, resource = %change.resource, "failed to {error}");
                        continue;
                    }
                }
            };
            outcome?;
            tracing::info!(tenant = %change.tenant, resource = %change.resource, "ended a change that was left open");
        }
        Ok(())
    }

    /// What stands by now against a change that the daemon has begun by itself,
    /// where the target surely does not hold it. One that it may hold is seen
    /// through: it is no longer the daemon's to choose.
    async fn too_late(
        &self,
        approved: &Approved<QuotaChange>,
        holds: &Result<Option<f64>, TargetError>,
    ) -> Result<Option<Verdict>, RegistryError> {
        let change = approved.item();
        let is_free = *approved.by() == Actor::Daemon && !change.rolls_back;
        let holds_another = matches!(holds, Ok(Some(_))) || !self.target().keeps(change.resource);
        if !is_free || !holds_another {
            return Ok(None);
        }
        let tenant = self.parts.registry.tenant(&change.tenant).await?;
        let incident = self.holding_incident(&tenant).await?;
        let key = SeriesKey { tenant: tenant.id.clone(), resource: change.resource };
        let meanwhile = Meanwhile {
            tier: tenant.tier,
            incident_open_since: incident.map(|incident| incident.opened_at),
            stale_since: self.stale_since(&key),
            now: self.now(),
        };
        let verdict = judge_late(change, &meanwhile, &self.settings().guardrails);
        Ok((!verdict.is_clean()).then_some(verdict))
    }

    /// The incident that keeps the daemon from changing a tenant's quotas.
    async fn holding_incident(&self, tenant: &Tenant) -> Result<Option<Incident>, RegistryError> {
        Ok(self.parts.registry.open_incident(&tenant.id).await?.filter(Incident::holds_changes))
    }

    /// Applies what waits, and measures what earlier changes were worth.
    pub(super) async fn apply_and_measure(self: &Arc<Self>) -> Result<usize, EngineError> {
        let applied = self.apply().await?;
        self.measure_changes().await?;
        Ok(applied)
    }

    /// Applies what waits for tenants in approved mode, as far as the
    /// guardrails allow; gives how many quotas changed.
    pub(super) async fn apply(self: &Arc<Self>) -> Result<usize, EngineError> {
        let pause = self.parts.registry.pause().await?;
        self.parts.metrics.paused(pause.is_some());
        if pause.is_some() {
            return Ok(0);
        }
        self.finish_open_changes().await?;
        let mut applied = 0;
        let tenants = self.parts.registry.all_tenants().await?;
        let mut risen = self.risen(&tenants).await?;
        let held = self.quotas_in_rollouts().await?;
        for tenant in tenants.iter().filter(|tenant| tenant.apply_mode == ApplyMode::Approved) {
            for resource in self.source().resources() {
                applied += usize::from(self.apply_one(tenant, resource, &mut risen, &held).await?);
            }
        }
        Ok(applied)
    }

    async fn apply_one(
        &self,
        tenant: &Tenant,
        resource: Resource,
        risen: &mut Risen,
        held: &BTreeMap<SeriesKey, (RolloutId, String)>,
    ) -> Result<bool, EngineError> {
        let Some((waiting, _)) = self.parts.registry.waiting(&tenant.id, resource).await? else {
            return Ok(false);
        };
        if waiting.state != RecommendationState::Proposed {
            return Ok(false);
        }
        let key = SeriesKey { tenant: tenant.id.clone(), resource };
        let quota = self.parts.registry.quota(&tenant.id, resource).await?;
        let change = waiting.recommendation.change();
        let too_dear = self.too_dear(risen, tenant, &change);
        let in_rollout =
            held.get(&key).cloned().map(|(rollout, name)| Objection::InRollout { rollout, name });
        let facts = Facts { too_dear, in_rollout, ..self.facts(tenant, &quota, &waiting, &key).await? };
        let verdict = judge_for_daemon(&change, &facts, &self.settings().guardrails);
        let remark = Remark { by: Actor::Daemon, comment: None, request_id: None };
        let approval = self.word(tenant, &change, remark, None);
        let approved = match approve(change, verdict, approval) {
            Ok(approved) => approved,
            Err(verdict) => {
                let recommendation = waiting.recommendation.id;
                tracing::debug!(%recommendation, tenant = %tenant.id, %resource, %verdict, "held back");
                self.workspace.held_back(&key, Some(verdict));
                return Ok(false);
            }
        };
        let recommendation = display(waiting.recommendation.id);
        let span = info_span!("apply_one", recommendation, tenant = %tenant.id, %resource);
        telemetry::link(&span, waiting.recommendation.trace.as_deref());
        match self.make(&approved).instrument(span).await {
            Ok(_) => {
                self.count_rise(risen, tenant, approved.item());
                Ok(true)
            }
            // A person was quicker.
            Err(ApplyError::Registry(RegistryError::Refused(_))) => Ok(false),
            Err(error) if error.is_for_another_time() => Ok(false),
            Err(ApplyError::Registry(error)) => Err(error.into()),
            Err(error) => {
                tracing::warn!(tenant = %tenant.id, %resource, "failed to {error}");
                Ok(false)
            }
        }
    }

    async fn facts(
        &self,
        tenant: &Tenant,
        quota: &Quota,
        waiting: &RecommendationRecord,
        key: &SeriesKey,
    ) -> Result<Facts, EngineError> {
        let incident = self.holding_incident(tenant).await?;
        let recommendation = &waiting.recommendation;
        Ok(Facts {
            tier: tenant.tier,
            generation: quota.generation,
            last_change_at: (quota.generation > 1 && !recommendation.evidence.is_on_schedule)
                .then_some(quota.changed_at),
            expires_at: recommendation.expires_at,
            confidence: recommendation.confidence,
            incident_open_since: incident.map(|incident| incident.opened_at),
            last_sample_at: self.last_sample_at(key).unwrap_or(recommendation.evidence.history_to),
            stale_after: self.settings().stale_after,
            rollbacks: self.rollbacks(tenant).await?,
            too_dear: None,
            in_rollout: None,
            now: self.now(),
        })
    }
}
