//! Carries the changes of a rollout out, and takes them back. What has become of
//! a change is found in the changes that are kept; only what is not there yet is
//! done. A tenant gets its template first, and gives it back last.

use std::collections::BTreeSet;

use super::super::EngineError;
use super::super::apply::ApplyError;
use super::Engine;
use crate::domain::approval::approve;
use crate::domain::policy::judge_for_person;
use crate::domain::rollout::{Outcome, Rollout, RolloutChange};
use crate::domain::{QuotaChange, RecommendationState, TenantId, Timestamp};
use crate::registry::{RegistryError, Remark};

/// What came of the attempt at one change.
pub(super) enum Turn {
    /// It holds since then.
    Made(Timestamp),
    /// It will never hold, for this reason.
    Never(String),
    /// It is tried again.
    Later,
}

impl Engine {
    /// Carries out up to `most` changes of the stage, and says whether more of
    /// them could go on now.
    pub(super) async fn apply_some(&self, rollout: &mut Rollout, most: usize) -> Result<bool, EngineError> {
        self.finish_open_changes().await?;
        if self.move_some(rollout, most).await? {
            return Ok(true);
        }
        rollout.refuse_without_template();
        let unmoved: BTreeSet<TenantId> = rollout.waiting_moves().cloned().collect();
        let mut tried = 0;
        for index in 0..rollout.changes.len() {
            let one = &rollout.changes[index];
            if one.stage != rollout.stage || one.outcome != Outcome::Waiting || unmoved.contains(&one.tenant)
            {
                continue;
            }
            if tried == most {
                return Ok(true);
            }
            tried += 1;
            let change = one.change(rollout.id, &rollout.reason);
            let outcome = match self.turn(rollout, change).await? {
                Turn::Made(at) => Outcome::Applied { at },
                Turn::Never(why) => Outcome::Refused { why },
                Turn::Later => continue,
            };
            rollout.changes[index].outcome = outcome;
        }
        Ok(false)
    }

    /// Takes back up to `most` changes. What was begun and not ended is waited
    /// for; what was never begun stays as it is.
    pub(super) async fn take_some_back(
        &self,
        rollout: &mut Rollout,
        most: usize,
    ) -> Result<bool, EngineError> {
        self.finish_open_changes().await?;
        let mut tried = 0;
        for index in 0..rollout.changes.len() {
            if tried == most {
                return Ok(true);
            }
            if rollout.changes[index].outcome == Outcome::Waiting {
                let change = rollout.changes[index].change(rollout.id, &rollout.reason);
                rollout.changes[index].outcome = match self.settled(rollout, &change).await? {
                    Turn::Made(at) => Outcome::Applied { at },
                    Turn::Never(_) => Outcome::Kept,
                    Turn::Later => continue,
                };
            }
            let one: &RolloutChange = &rollout.changes[index];
            if one.applied_at().is_none() {
                continue;
            }
            tried += 1;
            let reason = format!("the rollout \"{}\" is taken back", rollout.name);
            let outcome = match self.turn(rollout, one.reverse(rollout.id, &reason)).await? {
                Turn::Made(at) => Outcome::RolledBack { at },
                Turn::Never(why) => Outcome::Left { why },
                Turn::Later => continue,
            };
            rollout.changes[index].outcome = outcome;
        }
        self.move_some_back(rollout, most).await
    }

    /// What has become of a change that may have been begun before.
    async fn settled(&self, rollout: &Rollout, change: &QuotaChange) -> Result<Turn, EngineError> {
        let registry = &self.parts.registry;
        let open = registry.open_change(&change.tenant, change.resource).await?;
        if open.is_some_and(|open| open.item().rollout == Some(rollout.id)) {
            return Ok(Turn::Later);
        }
        let made = registry.applied_to(&change.tenant, change.resource, rollout.created_at).await?;
        let ours = made.iter().find(|made| {
            made.rollout == change.rollout
                && made.rolls_back == change.rolls_back
                && made.generation == change.parent_generation + 1
        });
        Ok(match ours {
            Some(made) => Turn::Made(made.at),
            None => Turn::Never("it was not begun".to_owned()),
        })
    }

    /// Makes a change, unless it is made already.
    async fn turn(&self, rollout: &Rollout, mut change: QuotaChange) -> Result<Turn, EngineError> {
        let registry = &self.parts.registry;
        if let done @ (Turn::Made(_) | Turn::Later) = self.settled(rollout, &change).await? {
            return Ok(done);
        }
        let tenant = match registry.tenant(&change.tenant).await {
            Err(error @ RegistryError::NoSuchTenant(_)) => return Ok(Turn::Never(error.to_string())),
            other => other?,
        };
        if tenant.created_at > rollout.created_at {
            return Ok(Turn::Never("the tenant was removed and made anew since".to_owned()));
        }
        let quota = registry.quota(&tenant.id, change.resource).await?;
        if let Some(why) = self.withdrawn(&mut change).await? {
            return Ok(Turn::Never(why));
        }
        let now = self.now();
        let verdict = judge_for_person(&change, tenant.tier, quota.generation, None, now);
        let word = self.word(&tenant, &change, remark_of(rollout), rollout.first.clone());
        let approved = match approve(change, verdict, word) {
            Ok(approved) => approved,
            Err(verdict) => return Ok(Turn::Never(verdict.to_string())),
        };
        match self.make(&approved).await {
            Ok(quota) => Ok(Turn::Made(quota.changed_at)),
            Err(ApplyError::Registry(RegistryError::Refused(verdict))) => {
                Ok(Turn::Never(verdict.to_string()))
            }
            Err(ApplyError::Target(error)) => Ok(Turn::Never(error.to_string())),
            Err(ApplyError::Later(_)) => Ok(Turn::Later),
            Err(error) if error.is_for_another_time() => Ok(Turn::Later),
            Err(ApplyError::Registry(error)) => Err(error.into()),
        }
    }

    /// Why a recommendation's change must not be made any more. One that has
    /// only expired since, or was replaced by one that asks for no more, is made
    /// without it: a person has approved the change with the rollout.
    async fn withdrawn(&self, change: &mut QuotaChange) -> Result<Option<String>, EngineError> {
        let Some(id) = change.recommendation else { return Ok(None) };
        let why = match self.parts.registry.recommendation(id).await.map(|record| record.state) {
            Ok(RecommendationState::Proposed) => return Ok(None),
            Ok(RecommendationState::Rejected { by, reason, .. }) => {
                Some(format!("{by} rejected its recommendation: {reason}"))
            }
            Ok(RecommendationState::Superseded { by: None }) if change.to < change.from => Some(
                "its recommendation was taken back: the quota fits as it is, or nothing can be said of it any more"
                    .to_owned(),
            ),
            Ok(_) | Err(RegistryError::NoSuchRecommendation(_)) => self.newer_asks_for_more(change).await?,
            Err(error) => return Err(error.into()),
        };
        if why.is_none() {
            change.recommendation = None;
        }
        Ok(why)
    }

    /// What a newer recommendation says against a cut.
    async fn newer_asks_for_more(&self, change: &QuotaChange) -> Result<Option<String>, EngineError> {
        let waiting = self.parts.registry.waiting(&change.tenant, change.resource).await?;
        let Some((newer, _)) = waiting.filter(|(newer, _)| newer.state.is_open()) else { return Ok(None) };
        let newer = newer.recommendation;
        let is_of_this = newer.parent_generation == change.parent_generation;
        let asks_for_more = change.to < change.from && newer.proposed > change.to;
        Ok((is_of_this && asks_for_more).then(|| {
            format!(
                "the newer recommendation {} asks for {}, more than the {} of this cut",
                newer.id, newer.proposed, change.to
            )
        }))
    }
}

/// The word of whoever approved the rollout, or takes it back.
pub(super) fn remark_of(rollout: &Rollout) -> Remark {
    let by = rollout.taken_back_by.as_ref().unwrap_or(&rollout.by).clone();
    let comment = Some(format!("the rollout \"{}\": {}", rollout.name, rollout.reason));
    Remark { by, comment, request_id: rollout.request_id.clone() }
}
