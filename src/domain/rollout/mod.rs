//! Changes of many quotas as one: in stages, watched, and taken back where they
//! do harm.
//!
//! A rollout's plan is data: which quota is changed in which stage, from which
//! generation. Carrying it out makes no choices. What has become of each change
//! is read from the quota itself, so that a crash between two steps loses
//! nothing: the same step sees what stands, and goes on from there.

mod compare;
mod plan;
mod settings;
mod template;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use compare::{ArmFigures, Compared, Comparison, Interval};
pub use plan::Wish;
pub use settings::RolloutSettings;
pub use template::{TemplateAndTier, TemplateChange, TenantMove};
pub use watch::{TenantWatched, WatchLimits, Watched};

use super::{Actor, FirstWord, QuotaChange, RecommendationId, Resource, RolloutId, TenantId, Timestamp};

/// In which stages the quotas are changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Strategy {
    /// All in one stage.
    AllAtOnce,
    /// So many tenants a stage, each stage watched.
    Rolling {
        /// Tenants a stage.
        #[schema(minimum = 1)]
        batch: usize,
    },
    /// A share of the tenants first, watched, and then the rest.
    Canary {
        /// The share of the tenants that goes first, above 0 and below 1.
        #[schema(exclusive_minimum = 0.0, exclusive_maximum = 1.0)]
        share: f64,
    },
    /// All prepared beside what stands, switched when somebody says so, and
    /// switched back as one.
    BlueGreen,
    /// Half of the tenants get one limit, half the other; compared at the end,
    /// and decided by a person.
    AbTest,
}

impl Strategy {
    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::AllAtOnce => "all_at_once",
            Strategy::Rolling { .. } => "rolling",
            Strategy::Canary { .. } => "canary",
            Strategy::BlueGreen => "blue_green",
            Strategy::AbTest => "ab_test",
        }
    }
}

/// The half of an A/B test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arm {
    /// What the change asks for.
    A,
    /// Its alternative.
    B,
}

/// One change of the plan, and what has become of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RolloutChange {
    /// Whose quota.
    pub tenant: TenantId,
    /// Which quota.
    pub resource: Resource,
    /// In which stage, from 0 on.
    pub stage: usize,
    /// The half, of an A/B test.
    pub arm: Option<Arm>,
    /// The limit before, in the resource's unit.
    pub from: f64,
    /// The limit wished for.
    pub to: f64,
    /// The generation that it begins from.
    pub generation: u64,
    /// The recommendation that asks for it.
    pub recommendation: Option<RecommendationId>,
    /// What has become of it.
    pub outcome: Outcome,
}

/// What has become of one change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Outcome {
    /// Its turn has not come, or it is on its way.
    Waiting,
    /// All stays as it is: it is of the half that is compared with.
    Kept,
    /// The new limit holds, or the tenant has the template.
    Applied {
        /// Since when.
        at: Timestamp,
    },
    /// It can't be carried out; what stood before holds.
    Refused {
        /// Why.
        why: String,
    },
    /// What stood before holds again.
    RolledBack {
        /// Since when.
        at: Timestamp,
    },
    /// It was to be taken back and could not be: what stands is another's.
    Left {
        /// Why.
        why: String,
    },
}

impl Outcome {
    /// Whether what it is of is the rollout's until that is over.
    pub fn is_held(&self) -> bool {
        matches!(self, Outcome::Waiting | Outcome::Kept | Outcome::Applied { .. })
    }

    /// Since when the new state holds, where it does.
    pub fn applied_at(&self) -> Option<Timestamp> {
        match self {
            Outcome::Applied { at } => Some(*at),
            _ => None,
        }
    }
}

impl RolloutChange {
    /// The change itself, of the rollout `id`, for `reason`.
    pub fn change(&self, id: RolloutId, reason: &str) -> QuotaChange {
        QuotaChange {
            tenant: self.tenant.clone(),
            resource: self.resource,
            parent_generation: self.generation,
            from: self.from,
            to: self.to,
            recommendation: self.recommendation,
            rollout: Some(id),
            rolls_back: false,
            reason: reason.to_owned(),
        }
    }

    /// The change that takes it back.
    pub fn reverse(&self, id: RolloutId, reason: &str) -> QuotaChange {
        QuotaChange {
            parent_generation: self.generation + 1,
            from: self.to,
            to: self.from,
            recommendation: None,
            rolls_back: true,
            ..self.change(id, reason)
        }
    }

    /// Whether the quota is the rollout's until that is over.
    pub fn is_held(&self) -> bool {
        self.outcome.is_held()
    }

    /// Since when the new limit holds, where it does.
    pub fn applied_at(&self) -> Option<Timestamp> {
        self.outcome.applied_at()
    }
}

/// Where a rollout stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum RolloutState {
    /// It waits for a second person to approve it.
    AwaitsSecond,
    /// It waits for somebody to switch.
    Prepared,
    /// The changes of the stage are carried out.
    Applying,
    /// The stage holds and is watched.
    Watching,
    /// Its watch is over and has seen nothing; it waits for somebody to choose,
    /// or for samples.
    Unseen {
        /// What was not seen.
        why: String,
    },
    /// It was watched to its end, and waits for somebody to choose.
    Undecided,
    /// What was changed is taken back.
    RollingBack {
        /// Why.
        why: String,
    },
    /// What was changed is as it was before.
    RolledBack {
        /// Why.
        why: String,
    },
    /// It is over, and what was changed stays.
    Done,
}

impl RolloutState {
    /// The name used in the API.
    pub fn name(&self) -> &'static str {
        match self {
            RolloutState::AwaitsSecond => "awaits_second",
            RolloutState::Prepared => "prepared",
            RolloutState::Applying => "applying",
            RolloutState::Watching => "watching",
            RolloutState::Unseen { .. } => "unseen",
            RolloutState::Undecided => "undecided",
            RolloutState::RollingBack { .. } => "rolling_back",
            RolloutState::RolledBack { .. } => "rolled_back",
            RolloutState::Done => "done",
        }
    }

    /// The names of the states in which it is not over.
    pub const OPEN: [&'static str; 7] =
        ["awaits_second", "prepared", "applying", "watching", "unseen", "undecided", "rolling_back"];

    /// Whether what was changed so far is watched, and taken back where it does
    /// harm.
    pub fn is_under_watch(&self) -> bool {
        matches!(
            self,
            RolloutState::Applying
                | RolloutState::Watching
                | RolloutState::Unseen { .. }
                | RolloutState::Undecided
        )
    }

    /// Whether nothing more will happen.
    pub fn is_over(&self) -> bool {
        matches!(self, RolloutState::RolledBack { .. } | RolloutState::Done)
    }
}

/// Many changes as one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rollout {
    /// Its id.
    pub id: RolloutId,
    /// Its name, for people.
    pub name: String,
    /// Why.
    pub reason: String,
    /// In which stages.
    pub strategy: Strategy,
    /// How long each stage is watched, in seconds.
    pub watch_seconds: u64,
    /// How much longer samples are waited for where none came, in seconds.
    #[serde(default)]
    pub wait_seconds: u64,
    /// What may happen meanwhile.
    pub limits: WatchLimits,
    /// The plan, and what has become of it.
    pub changes: Vec<RolloutChange>,
    /// The template that its tenants get with their quotas; `null` where it is
    /// on quotas only.
    pub template: Option<TemplateChange>,
    /// Who approved it: who asked for it, or the second person.
    pub by: Actor,
    /// The word of who asked for it, where it needs two people.
    #[serde(default)]
    pub first: Option<FirstWord>,
    /// The request that carried that.
    pub request_id: Option<String>,
    /// When.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: RolloutState,
    /// The stage that it is at, from 0 on.
    pub stage: usize,
    /// Since when it stands there.
    pub since: Timestamp,
    /// Who has halted it; `null` while it goes on.
    pub paused_by: Option<Actor>,
    /// Who takes it back; `null` while nobody does.
    #[serde(default)]
    pub taken_back_by: Option<Actor>,
    /// What was seen of it when it ended or was taken back; `null` before.
    #[serde(default)]
    pub evidence: Option<Box<Evidence>>,
}

/// What was seen of a rollout, kept when it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// Of the changed quotas.
    pub watched: Watched,
    /// The halves of an A/B test beside each other; `null` for other rollouts.
    pub comparison: Option<Comparison>,
}

impl Rollout {
    /// Whether nothing more is to be seen of it: it is over, or being taken
    /// back.
    pub fn has_been_seen(&self) -> bool {
        self.state.is_over() || matches!(self.state, RolloutState::RollingBack { .. })
    }

    /// Where it begins once it is approved.
    pub fn beginning(&self) -> RolloutState {
        match self.strategy {
            Strategy::BlueGreen => RolloutState::Prepared,
            _ => RolloutState::Applying,
        }
    }

    /// The tenants that get its template.
    pub fn moves(&self) -> &[TenantMove] {
        self.template.as_ref().map_or(&[], |template| &template.moves)
    }

    /// The tenants that wait for its template.
    pub fn waiting_moves(&self) -> impl Iterator<Item = &TenantId> {
        let waiting = self.moves().iter().filter(|one| one.outcome == Outcome::Waiting);
        waiting.map(|one| &one.tenant)
    }

    /// Refuses the quotas of tenants that don't get its template.
    pub fn refuse_without_template(&mut self) {
        let refused: BTreeMap<TenantId, String> = self
            .moves()
            .iter()
            .filter_map(|one| match &one.outcome {
                Outcome::Refused { why } => Some((one.tenant.clone(), why.clone())),
                _ => None,
            })
            .collect();
        for change in self.changes.iter_mut().filter(|change| change.outcome == Outcome::Waiting) {
            if let Some(why) = refused.get(&change.tenant) {
                change.outcome =
                    Outcome::Refused { why: format!("the tenant does not get the template: {why}") };
            }
        }
    }

    /// All tenants that it concerns.
    pub fn tenants(&self) -> BTreeSet<&TenantId> {
        let of_moves = self.moves().iter().map(|one| &one.tenant);
        self.changes.iter().map(|change| &change.tenant).chain(of_moves).collect()
    }

    /// What has become of all of it, each with its stage.
    fn outcomes(&self) -> impl Iterator<Item = (usize, &Outcome)> {
        let of_moves = self.moves().iter().map(|one| (one.stage, &one.outcome));
        self.changes.iter().map(|change| (change.stage, &change.outcome)).chain(of_moves)
    }

    fn outcomes_mut(&mut self) -> impl Iterator<Item = &mut Outcome> {
        let moves = self.template.iter_mut().flat_map(|template| &mut template.moves);
        let of_moves = moves.map(|one| &mut one.outcome);
        self.changes.iter_mut().map(|change| &mut change.outcome).chain(of_moves)
    }

    /// Whether anything of it is still to be done.
    pub fn has_waiting(&self) -> bool {
        self.outcomes().any(|(_, outcome)| *outcome == Outcome::Waiting)
    }

    /// The last stage.
    pub fn last_stage(&self) -> usize {
        self.outcomes().map(|(stage, _)| stage).max().unwrap_or(0)
    }

    /// Whether the present stage has stood for so many seconds.
    fn has_stood(&self, seconds: u64, now: Timestamp) -> bool {
        now.since(self.since) >= Duration::from_secs(seconds)
    }

    /// Lets what has not been begun stay as it is.
    pub fn leave_the_rest(&mut self) {
        self.outcomes_mut()
            .filter(|outcome| **outcome == Outcome::Waiting)
            .for_each(|outcome| *outcome = Outcome::Kept);
    }

    /// Moves on to another state.
    pub fn enter(&mut self, state: RolloutState, now: Timestamp) {
        self.state = state;
        self.since = now;
    }

    /// Ends it where the second person has not come: nothing was begun.
    pub fn lapse(&mut self, now: Timestamp) {
        self.leave_the_rest();
        let why = "no second person approved it in time".to_owned();
        self.enter(RolloutState::RolledBack { why }, now);
    }

    /// Begins to take it back.
    pub fn take_back(&mut self, why: String, by: Actor, now: Timestamp) {
        self.taken_back_by = Some(by);
        self.enter(RolloutState::RollingBack { why }, now);
    }

    /// Whether more is to follow a first stage of which nothing holds. Where it
    /// changes quotas, those count.
    fn has_proven_nothing(&self) -> bool {
        let quotas: Vec<&RolloutChange> = self.changes.iter().filter(|change| change.stage == 0).collect();
        let holds = match quotas.is_empty() {
            true => self.moves().iter().any(|one| one.stage == 0 && one.applied_at().is_some()),
            false => quotas.iter().any(|change| change.applied_at().is_some()),
        };
        self.stage == 0 && self.last_stage() > 0 && !holds
    }

    /// Where it goes once nothing of the stage waits any more, the stage was
    /// watched, or harm is seen: one step, and none where it stays.
    pub fn step(&mut self, watched: &Watched, now: Timestamp) {
        // Stages that came before stay under watch until the end.
        if self.state.is_under_watch()
            && let Some(why) = watched.harm(&self.limits)
        {
            return self.take_back(why, Actor::Daemon, now);
        }
        match self.state {
            RolloutState::Applying => self.step_from_applying(now),
            RolloutState::Watching => self.step_from_watching(watched, now),
            RolloutState::Unseen { .. } => {
                if watched.unseen(self.stage).is_none() {
                    self.enter(RolloutState::Watching, now);
                }
            }
            RolloutState::RollingBack { ref why } => {
                // What was begun is ended first, so that nothing is left between.
                let is_done = |(_, outcome): (usize, &Outcome)| {
                    *outcome != Outcome::Waiting && outcome.applied_at().is_none()
                };
                if self.outcomes().all(is_done) {
                    let why = why.clone();
                    self.enter(RolloutState::RolledBack { why }, now);
                }
            }
            RolloutState::Undecided
            | RolloutState::AwaitsSecond
            | RolloutState::Prepared
            | RolloutState::RolledBack { .. }
            | RolloutState::Done => {}
        }
    }

    fn step_from_applying(&mut self, now: Timestamp) {
        let waits = |(stage, outcome): (usize, &Outcome)| stage == self.stage && *outcome == Outcome::Waiting;
        if self.outcomes().any(waits) {
            return;
        }
        if self.has_proven_nothing() {
            let why = "none of the first stage's changes could be made".to_owned();
            self.take_back(why, Actor::Daemon, now);
        } else {
            self.enter(RolloutState::Watching, now);
        }
    }

    /// A stage of which nothing was seen is not called watched, unless it was to
    /// be watched for no time at all.
    fn step_from_watching(&mut self, watched: &Watched, now: Timestamp) {
        if !self.has_stood(self.watch_seconds, now) {
            return;
        }
        match watched.unseen(self.stage).filter(|_| self.watch_seconds > 0) {
            None => self.leave_stage(now),
            Some(why) if self.has_stood(self.watch_seconds.saturating_add(self.wait_seconds), now) => {
                self.enter(RolloutState::Unseen { why }, now);
            }
            Some(_) => {}
        }
    }

    /// Goes on to the next stage, or to the end.
    pub fn leave_stage(&mut self, now: Timestamp) {
        if self.stage < self.last_stage() {
            self.stage += 1;
            self.enter(RolloutState::Applying, now);
        } else if self.strategy == Strategy::AbTest {
            self.enter(RolloutState::Undecided, now);
        } else {
            self.enter(RolloutState::Done, now);
        }
    }
}

#[cfg(test)]
mod tests;
