//! Changes of quotas, in two phases: an approved change is written down as an
//! intent, then carried out at the target, then finished or given up. An
//! intent that a crash leaves behind is found and seen through.

use super::applied::put_applied;
use super::pause::unless_paused;
use super::recommendations::RecommendationRecord;
use super::refusals::put_refusal;
use super::{Registry, RegistryError, append_audit, decode, put, resource_key};
use crate::domain::{
    AppliedChange, Approved, AuditAction, AuditEvent, FirstWord, Objection, Quota, QuotaChange,
    RecommendationState, Refusal, Resource, Tenant, TenantId, Timestamp, Verdict,
};
use crate::ports::{Expect, Order, StoreError, Table, Write};

/// What became of a change at its target.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It holds there.
    Enforced,
    /// It can't hold there, for this reason.
    Failed(String),
}

impl Registry {
    /// Writes an approved change down, before anything is done about it.
    ///
    /// # Errors
    /// Where all changes are stopped, another change of the same quota is on its
    /// way, the quota has moved on, or its recommendation waits no more.
    pub async fn begin_change(&self, approved: &Approved<QuotaChange>) -> Result<(), RegistryError> {
        let change = approved.item();
        let key = resource_key(&change.tenant, change.resource);
        let (quota, quota_version) = self.quota_with_version(&change.tenant, change.resource).await?;
        if quota.generation != change.parent_generation {
            return Err(RegistryError::Refused(moved(change, quota.generation)));
        }
        // The quota is written as it stands, for the sake of the expectation:
        // another change may have begun and ended since it was read, and then
        // the absence of an intent would prove nothing.
        let mut writes = vec![
            // The first that stands against the batch is told of.
            unless_paused(),
            put(Table::Quotas, key.clone(), Expect::Version(quota_version), &quota)?,
            put(Table::Intents, key, Expect::Absent, approved)?,
        ];
        if let Some(id) = change.recommendation {
            let (record, version) = self.recommendation_with_version(id).await?;
            if !record.state.is_open() {
                return Err(RegistryError::AlreadyDecided { id, state: record.state.told() });
            }
            // The word of a rollout was given of the whole of it, and stands in the rollout.
            let needs_word = change.rollout.is_none();
            if approved.first().is_some_and(|first| needs_word && !is_word_of(&record.state, first)) {
                // The first person's word has lapsed, or is another's by now.
                return Err(RegistryError::Busy(change.tenant.clone(), change.resource));
            }
            let state = RecommendationState::Approved { by: approved.by().clone(), at: approved.at() };
            writes.push(write_state(&record, version, state)?);
            writes.push(append_audit(&event(
                approved,
                AuditAction::RecommendationApproved,
                serde_json::json!(quota.limit),
                serde_json::json!(change.to),
                approved.comment().map_or_else(|| change.reason.clone(), str::to_owned),
                approved.at(),
            ))?);
        }
        if let Some(id) = approved.first().and_then(|first| first.request) {
            writes.extend(self.begin_request(id, approved, quota.limit).await?);
        }
        match self.commit(writes).await {
            Err(StoreError::Conflict { table: Table::Pause, .. }) => match self.pause().await? {
                Some(pause) => Err(RegistryError::Paused(pause)),
                // Somebody resumed since.
                None => Err(RegistryError::Busy(change.tenant.clone(), change.resource)),
            },
            Err(StoreError::Conflict { .. }) => {
                let now = self.quota(&change.tenant, change.resource).await?.generation;
                Err(if now == change.parent_generation {
                    RegistryError::Busy(change.tenant.clone(), change.resource)
                } else {
                    RegistryError::Refused(moved(change, now))
                })
            }
            other => Ok(other?),
        }
    }

    /// Ends a change that was begun, and gives the quota that stands. Ending it
    /// a second time changes nothing.
    pub async fn finish_change(
        &self,
        approved: &Approved<QuotaChange>,
        outcome: &Outcome,
    ) -> Result<Quota, RegistryError> {
        let change = approved.item();
        let key = resource_key(&change.tenant, change.resource);
        let (quota, quota_version) = self.quota_with_version(&change.tenant, change.resource).await?;
        let Some((intent, version)) = self.read::<Approved<QuotaChange>>(Table::Intents, &key).await? else {
            return Ok(quota);
        };
        if intent != *approved {
            return Ok(quota);
        }
        let now = self.now();
        let mut writes =
            vec![Write::Delete { table: Table::Intents, key: key.clone(), expect: Expect::Version(version) }];
        let after = match outcome {
            Outcome::Enforced => Quota {
                resource: change.resource,
                limit: change.to,
                generation: quota.generation + 1,
                changed_at: now,
                before: Some(quota.limit),
            },
            Outcome::Failed(_) => quota.clone(),
        };
        let (action, reason) = match outcome {
            Outcome::Enforced => {
                let tenant = self.tenant(&change.tenant).await?;
                writes.push(put(Table::Quotas, key, Expect::Version(quota_version), &after)?);
                if change.rolls_back {
                    let refusal = rolled_back(approved, &quota, now);
                    writes.push(put_refusal(&change.tenant, change.resource, &refusal)?);
                }
                writes.push(put_applied(Expect::Anything, &applied(approved, &tenant, &quota, &after))?);
                (AuditAction::QuotaChanged, change.reason.clone())
            }
            Outcome::Failed(why) => (AuditAction::ChangeFailed, why.clone()),
        };
        if let Some(id) = change.recommendation {
            let state = match outcome {
                Outcome::Enforced => RecommendationState::Applied { at: now, generation: after.generation },
                Outcome::Failed(_) => RecommendationState::Proposed,
            };
            self.write_decision(id, state, &mut writes).await?;
        }
        if let Some(id) = approved.first().and_then(|first| first.request) {
            writes.push(self.end_request(id, approved, outcome, after.generation).await?);
        }
        let (before, since) = (quota_json(&quota), quota_json(&after));
        writes.push(append_audit(&event(approved, action, before, since, reason, now))?);
        self.commit(writes).await?;
        Ok(after)
    }

    /// The changes that were begun and not yet ended.
    pub async fn open_changes(&self) -> Result<Vec<Approved<QuotaChange>>, RegistryError> {
        let found = self.store.scan(Table::Intents, "", None, Order::Upwards, usize::MAX).await?;
        found.iter().map(|(key, value)| Ok(decode(Table::Intents, key, value)?)).collect()
    }

    /// The change of a quota that was begun and not yet ended.
    pub async fn open_change(
        &self,
        tenant: &TenantId,
        resource: Resource,
    ) -> Result<Option<Approved<QuotaChange>>, RegistryError> {
        let found = self.read(Table::Intents, &resource_key(tenant, resource)).await?;
        Ok(found.map(|(approved, _)| approved))
    }

    async fn write_decision(
        &self,
        id: crate::domain::RecommendationId,
        state: RecommendationState,
        writes: &mut Vec<Write>,
    ) -> Result<(), RegistryError> {
        let (record, version) = self.recommendation_with_version(id).await?;
        let key = resource_key(&record.recommendation.tenant, record.recommendation.resource);
        if matches!(state, RecommendationState::Applied { .. }) {
            writes.push(Write::Delete { table: Table::Waiting, key, expect: Expect::Anything });
        }
        writes.push(write_state(&record, version, state)?);
        Ok(())
    }
}

fn is_word_of(state: &RecommendationState, first: &FirstWord) -> bool {
    matches!(state, RecommendationState::AwaitsSecond { by, at, .. } if *by == first.by && *at == first.at)
}

/// What is not to be proposed again, since it was rolled back.
fn rolled_back(approved: &Approved<QuotaChange>, before: &Quota, at: Timestamp) -> Refusal {
    let change = approved.item();
    Refusal {
        current: change.to,
        refused: before.limit,
        by: approved.by().clone(),
        at,
        reason: change.reason.clone(),
    }
}

fn applied(
    approved: &Approved<QuotaChange>,
    tenant: &Tenant,
    before: &Quota,
    after: &Quota,
) -> AppliedChange {
    AppliedChange {
        tenant: tenant.id.clone(),
        provider: tenant.provider.clone(),
        region: tenant.region.clone(),
        resource: after.resource,
        generation: after.generation,
        at: after.changed_at,
        before: before.limit,
        after: after.limit,
        recommendation: approved.item().recommendation,
        rollout: approved.item().rollout,
        rolls_back: approved.item().rolls_back,
        by: approved.by().clone(),
        left_at: None,
        measured: None,
    }
}

fn moved(change: &QuotaChange, found: u64) -> Verdict {
    Verdict { objections: vec![Objection::QuotaMoved { expected: change.parent_generation, found }] }
}

fn quota_json(quota: &Quota) -> serde_json::Value {
    serde_json::json!({"limit": quota.limit, "generation": quota.generation})
}

fn write_state(
    record: &RecommendationRecord,
    version: u64,
    state: RecommendationState,
) -> Result<Write, StoreError> {
    let key = record.recommendation.id.to_string();
    let changed = RecommendationRecord { recommendation: record.recommendation.clone(), state };
    put(Table::Recommendations, key, Expect::Version(version), &changed)
}

pub(super) fn event(
    approved: &Approved<QuotaChange>,
    action: AuditAction,
    before: serde_json::Value,
    after: serde_json::Value,
    reason: String,
    at: Timestamp,
) -> AuditEvent {
    AuditEvent {
        at,
        actor: approved.by().clone(),
        action,
        tenant: Some(approved.item().tenant.clone()),
        resource: Some(approved.item().resource),
        before,
        after,
        reason,
        request_id: approved.request_id().map(str::to_owned),
    }
}
