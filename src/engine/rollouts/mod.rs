//! Rollouts: many changes as one, in stages, watched, and taken back where they
//! do harm.
//!
//! Each change goes the one way of all changes: judged, approved, begun, carried
//! out, ended. Nothing here remembers what was done: what has become of a change
//! is read from the changes that are kept, so that after a crash the same step
//! sees what stands and goes on from there.

mod alone;
mod carry;
mod driver;
mod moves;
mod watch;
mod wishes;

use std::collections::BTreeMap;
use std::time::Duration;

pub use driver::drive_rollouts;
pub use wishes::Take;

use super::{Engine, EngineError, SeriesKey};
use crate::domain::policy::judge_for_person;
use crate::domain::rollout::{
    Evidence, Outcome, Rollout, RolloutState, Strategy, TemplateChange, WatchLimits, Watched, Wish,
};
use crate::domain::{Actor, AuditAction, FirstWord, RolloutId, Tenant, TenantId, Tier};
use crate::ports::StoreError;
use crate::registry::{RegistryError, Remark};

/// Changes that are carried out before somebody else may act on the rollout.
const AT_ONCE: usize = 32;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct RolloutWish {
    /// Its name, for people.
    pub name: String,
    /// Why.
    pub reason: String,
    /// In which stages.
    pub strategy: Strategy,
    /// How long each stage is watched; `None` for what the config says.
    pub watch: Option<Duration>,
    /// What may happen meanwhile; `None` for what the config says.
    pub limits: Option<WatchLimits>,
    /// The quotas that should change.
    pub wishes: Vec<Wish>,
    /// The template that the tenants get with them.
    pub template: Option<TemplateChange>,
}

/// What a person does with a rollout.
#[derive(Debug, Clone, PartialEq)]
pub enum Steer {
    /// Approve it as the second person.
    Approve,
    /// Halt it where it is.
    Pause,
    /// Let it go on, also where nothing was seen of its stage.
    Resume,
    /// Switch what was prepared.
    Switch,
    /// End it; what was changed stays.
    Finish,
    /// Take it back, for this reason.
    RollBack(String),
}

/// Why a rollout does not begin or go on; reads well after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum RolloutError {
    /// There is nothing to change.
    #[error(
        "plan the rollout: no quota would change, and no tenant would get another template; widen what it takes"
    )]
    Empty,
    /// There is too much to change.
    #[error(
        "plan the rollout: it has {0} changes, of quotas or of tenants' templates, and rollouts.max_changes allows {1}; \
         narrow what it takes"
    )]
    TooLarge(usize, usize),
    /// Too many go on.
    #[error("begin the rollout: {0} are not over, as many as rollouts.max_open allows")]
    TooMany(usize),
    /// All of it is in others.
    #[error("begin the rollout: {0}, and nothing else would change")]
    Taken(String),
    /// A rule stands against all of it.
    #[error("begin the rollout: {0}, and nothing else would change")]
    Refused(String),
    /// A share or a batch that can't be.
    #[error("plan the rollout: {0}")]
    BadStrategy(&'static str),
    /// One person is not two.
    #[error("approve the rollout {0}: you have asked for it, and it needs a second person")]
    SamePersonTwice(RolloutId),
    /// That can't be done with it now.
    #[error("{what} the rollout {id}: it is {state}")]
    NotNow {
        /// What was asked for.
        what: &'static str,
        /// Which.
        id: RolloutId,
        /// Where it stands.
        state: &'static str,
    },
    /// The state can't be read or written.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Engine {
    /// Plans a rollout, and begins nothing. What a rule stands against is
    /// refused in the plan already.
    ///
    /// # Errors
    /// Where nothing would change, or too much.
    pub async fn plan_rollout(&self, wish: RolloutWish, remark: &Remark) -> Result<Rollout, RolloutError> {
        check(wish.strategy)?;
        let (now, all_settings) = (self.now(), self.settings());
        let settings = &all_settings.rollouts;
        let id = self.parts.ids.rollout(now);
        let mut template = wish.template;
        let moves = template.as_mut().map(|template| std::mem::take(&mut template.moves)).unwrap_or_default();
        let (changes, moves) = Rollout::plan(&wish.name, wish.strategy, wish.wishes, moves);
        let size = changes.len().max(moves.len());
        if size > settings.max_changes {
            return Err(RolloutError::TooLarge(size, settings.max_changes));
        }
        if let Some(template) = &mut template {
            template.moves = moves;
        }
        let mut rollout = Rollout {
            id,
            name: wish.name,
            reason: wish.reason,
            strategy: wish.strategy,
            watch_seconds: wish.watch.unwrap_or(settings.watch).as_secs(),
            wait_seconds: settings.wait_for_samples.as_secs(),
            limits: wish.limits.unwrap_or(settings.limits),
            changes,
            template,
            by: remark.by.clone(),
            request_id: remark.request_id.clone(),
            created_at: now,
            first: None,
            state: RolloutState::AwaitsSecond,
            stage: 0,
            since: now,
            paused_by: None,
            taken_back_by: None,
            evidence: None,
        };
        let tiers: BTreeMap<TenantId, Tier> =
            rollout.moves().iter().map(|one| (one.tenant.clone(), one.to_tier)).collect();
        let mut needs_two = false;
        for index in 0..rollout.changes.len() {
            let change = rollout.changes[index].change(id, &rollout.reason);
            let before = self.parts.registry.tenant(&change.tenant).await?;
            let tier = tiers.get(&change.tenant).copied().unwrap_or(before.tier);
            let verdict = judge_for_person(&change, tier, change.parent_generation, None, now);
            needs_two |= self.needs_two(&before, &change).is_some();
            needs_two |= self.needs_two(&Tenant { tier, ..before }, &change).is_some();
            let one = &mut rollout.changes[index];
            if one.outcome == Outcome::Waiting && !verdict.is_clean() {
                one.outcome = Outcome::Refused { why: verdict.to_string() };
            }
        }
        if !needs_two {
            rollout.state = rollout.beginning();
        }
        self.leave_taken(&mut rollout).await?;
        Ok(rollout)
    }

    /// Begins a rollout that was planned.
    ///
    /// # Errors
    /// Where too many go on, or the state can't be written.
    pub async fn begin_rollout(&self, mut rollout: Rollout, remark: Remark) -> Result<Rollout, RolloutError> {
        let id = rollout.id;
        {
            let _alone = self.rollouts.lock().await;
            let open = self.parts.registry.open_rollouts().await?.len();
            if open >= self.settings().rollouts.max_open {
                return Err(RolloutError::TooMany(open));
            }
            self.leave_taken(&mut rollout).await?;
            let remark = Remark { comment: Some(rollout.reason.clone()), ..remark };
            self.parts
                .registry
                .write_rollout(&rollout, None, Some((AuditAction::RolloutBegun, "", remark)))
                .await?;
        }
        self.advance_rollout(id).await?;
        Ok(self.parts.registry.rollout(id).await?.0)
    }

    /// Does with a rollout what a person asks for.
    ///
    /// # Errors
    /// Where there is none of this id, or that can't be done with it now.
    pub async fn steer_rollout(
        &self,
        id: RolloutId,
        steer: Steer,
        remark: Remark,
    ) -> Result<Rollout, RolloutError> {
        {
            let _alone = self.rollouts.lock().await;
            let (mut rollout, version) = self.parts.registry.rollout(id).await?;
            let (before, stood) = (rollout.state.name(), rollout.clone());
            let action = self.steer(&mut rollout, &steer, &remark)?;
            self.keep_evidence(&stood, &mut rollout).await?;
            self.parts
                .registry
                .write_rollout(&rollout, Some(version), Some((action, before, remark)))
                .await?;
        }
        self.advance_rollout(id).await?;
        Ok(self.parts.registry.rollout(id).await?.0)
    }

    /// Keeps what was seen of a rollout that has just ended or is taken back:
    /// later its quotas are others, and the usage is forgotten.
    async fn keep_evidence(&self, before: &Rollout, rollout: &mut Rollout) -> Result<(), EngineError> {
        if rollout.has_been_seen() && rollout.evidence.is_none() {
            rollout.evidence = Some(Box::new(self.evidence(before).await?));
        }
        Ok(())
    }

    /// What was seen of a rollout: now, or when it ended.
    ///
    /// # Errors
    /// Where the state can't be read.
    pub async fn evidence(&self, rollout: &Rollout) -> Result<Evidence, EngineError> {
        match &rollout.evidence {
            Some(kept) => Ok((**kept).clone()),
            None => {
                let watched = self.watched(rollout).await?;
                Ok(Evidence { watched, comparison: self.compare_rollout(rollout).await? })
            }
        }
    }

    fn steer(
        &self,
        rollout: &mut Rollout,
        steer: &Steer,
        remark: &Remark,
    ) -> Result<AuditAction, RolloutError> {
        let now = self.now();
        let (id, state) = (rollout.id, rollout.state.name());
        let not_now = |what| RolloutError::NotNow { what, id, state };
        let goes_on = !rollout.state.is_over() && !matches!(rollout.state, RolloutState::RollingBack { .. });
        match steer {
            Steer::Approve if rollout.state == RolloutState::AwaitsSecond && !self.has_lapsed(rollout) => {
                if rollout.by == remark.by {
                    return Err(RolloutError::SamePersonTwice(id));
                }
                rollout.first = Some(FirstWord {
                    by: rollout.by.clone(),
                    at: rollout.created_at,
                    comment: Some(rollout.reason.clone()),
                    request: None,
                });
                rollout.by = remark.by.clone();
                rollout.enter(rollout.beginning(), now);
            }
            Steer::Pause if goes_on && rollout.paused_by.is_none() => {
                rollout.paused_by = Some(remark.by.clone());
                return Ok(AuditAction::RolloutPaused);
            }
            Steer::Resume if rollout.paused_by.is_some() => {
                rollout.paused_by = None;
                // What passed while it was halted was not watched.
                rollout.since = now;
                return Ok(AuditAction::RolloutResumed);
            }
            Steer::Resume if matches!(rollout.state, RolloutState::Unseen { .. }) => {
                rollout.leave_stage(now);
                return Ok(AuditAction::RolloutResumed);
            }
            Steer::Switch if rollout.state == RolloutState::Prepared => {
                rollout.enter(RolloutState::Applying, now);
            }
            Steer::Finish
                if matches!(
                    rollout.state,
                    RolloutState::Watching | RolloutState::Unseen { .. } | RolloutState::Undecided
                ) =>
            {
                rollout.leave_the_rest();
                rollout.enter(RolloutState::Done, now);
            }
            Steer::RollBack(why) if goes_on || rollout.state == RolloutState::Done => {
                rollout.paused_by = None;
                rollout.take_back(why.clone(), remark.by.clone(), now);
            }
            Steer::Approve => return Err(not_now("approve")),
            Steer::Pause => return Err(not_now("pause")),
            Steer::Resume => return Err(not_now("resume")),
            Steer::Switch => return Err(not_now("switch")),
            Steer::Finish => return Err(not_now("finish")),
            Steer::RollBack(_) => return Err(not_now("roll back")),
        }
        Ok(AuditAction::RolloutMoved)
    }

    /// Lets every rollout go on as far as it can now.
    pub(crate) async fn advance_rollouts(&self) -> Result<(), EngineError> {
        for id in self.parts.registry.open_rollouts().await? {
            self.advance_rollout(id).await?;
        }
        let mut counts = BTreeMap::from(RolloutState::OPEN.map(|state| (state, 0)));
        for id in self.parts.registry.open_rollouts().await? {
            let (rollout, _) = self.parts.registry.rollout(id).await?;
            *counts.entry(rollout.state.name()).or_default() += 1;
        }
        for (state, count) in counts {
            self.parts.metrics.open_rollouts(state, count);
        }
        Ok(())
    }

    /// Whether the first person's word counts no more.
    fn has_lapsed(&self, rollout: &Rollout) -> bool {
        let waited = self.now().since(rollout.since);
        rollout.state == RolloutState::AwaitsSecond && waited >= self.settings().approval.second_within
    }

    async fn advance_rollout(&self, id: RolloutId) -> Result<(), EngineError> {
        while self.advance_once(id).await? {}
        Ok(())
    }

    /// Goes one step, and says whether there may be another one now.
    async fn advance_once(&self, id: RolloutId) -> Result<bool, EngineError> {
        let _alone = self.rollouts.lock().await;
        let (mut rollout, version) = match self.parts.registry.rollout(id).await {
            Err(RegistryError::NoSuchRollout(_)) => return Ok(false),
            other => other?,
        };
        if rollout.state.is_over() || rollout.paused_by.is_some() {
            return Ok(false);
        }
        let before = rollout.clone();
        let under_watch = rollout.state.is_under_watch();
        let watched = if under_watch { self.watched(&rollout).await? } else { Watched::default() };
        let is_calm = watched.harm(&rollout.limits).is_none();
        let more = match rollout.state {
            RolloutState::Applying if is_calm => self.apply_some(&mut rollout, AT_ONCE).await?,
            RolloutState::RollingBack { .. } => self.take_some_back(&mut rollout, AT_ONCE).await?,
            _ => false,
        };
        if self.has_lapsed(&rollout) {
            rollout.lapse(self.now());
        }
        rollout.step(&watched, self.now());
        self.keep_evidence(&before, &mut rollout).await?;
        if rollout == before {
            return Ok(false);
        }
        let moved = rollout.state != before.state || rollout.stage != before.stage;
        let done = moved.then(|| {
            let comment = match &rollout.state {
                RolloutState::RollingBack { why }
                | RolloutState::RolledBack { why }
                | RolloutState::Unseen { why } => Some(why.clone()),
                _ => None,
            };
            let remark = Remark { by: Actor::Daemon, comment, request_id: None };
            (AuditAction::RolloutMoved, before.state.name(), remark)
        });
        match self.parts.registry.write_rollout(&rollout, Some(version), done).await {
            // Another daemon on the same state was quicker.
            Err(RegistryError::Store(StoreError::Conflict { .. })) => return Ok(false),
            other => other?,
        }
        if moved {
            tracing::info!(rollout = %id, state = rollout.state.name(), stage = rollout.stage, "a rollout went on");
        }
        Ok(moved || more)
    }
}

fn check(strategy: Strategy) -> Result<(), RolloutError> {
    match strategy {
        Strategy::Rolling { batch: 0 } => Err(RolloutError::BadStrategy("a batch has at least one tenant")),
        Strategy::Canary { share } if !(share > 0.0 && share < 1.0) => {
            Err(RolloutError::BadStrategy("the share of a canary lies between 0 and 1"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
