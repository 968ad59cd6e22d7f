//! Champion and challenger: whose forecasts are used, and when that changes.

use std::time::Duration;

use super::ForecastRecord;
use super::forecasts::Forecasts;
use super::generation::{Ahead, Due, Generation};
use crate::domain::{ModelState, ModelVersion, TenantId, Timestamp};

/// The versions of one resource that are in memory.
pub(super) struct Lineup {
    pub champion: Generation,
    pub challenger: Option<Generation>,
    /// The champion before, to go back to.
    pub previous: Option<Generation>,
    /// When the next challenger is fitted.
    pub next_refit: Timestamp,
    /// Whether one is being fitted right now.
    pub refitting: bool,
}

/// The end of a comparison: the versions as they stand since.
pub(super) struct Decision {
    /// Those whose standing has changed, the one in use last.
    pub versions: Vec<ModelVersion>,
    /// The version that was used before, where that has changed.
    pub replaced: Option<u64>,
    /// In words.
    pub reason: String,
}

impl Lineup {
    pub fn new(champion: Generation, next_refit: Timestamp) -> Self {
        Lineup { champion, challenger: None, previous: None, next_refit, refitting: false }
    }

    /// Carries all versions on; gives what of the champion's forecasts is new to
    /// those that are laid down.
    pub fn update(&mut self, due: &[Due], laid_down: &Forecasts) -> Vec<(TenantId, ForecastRecord)> {
        if let Some(challenger) = &mut self.challenger {
            challenger.update(due, Ahead::Watched);
        }
        self.champion.update(due, Ahead::LaidDown(laid_down))
    }

    /// Forgets series that are measured no more.
    pub fn retain(&mut self, is_measured: impl Fn(&TenantId) -> bool) {
        let others = [&mut self.challenger, &mut self.previous];
        for generation in others.into_iter().flatten().chain([&mut self.champion]) {
            generation.retain(&is_measured);
        }
    }

    /// Lets a newly fitted version forecast beside the champion.
    pub fn challenge(&mut self, mut challenger: Generation) {
        challenger.inherit(&self.champion);
        self.champion.reset_scores();
        self.challenger = Some(challenger);
        self.refitting = false;
    }

    /// Compares, once the challenger has forecast for as long as `trial`. It
    /// wins where it lost less, by more than the standard error over series.
    pub fn decide(&mut self, now: Timestamp, trial: Duration) -> Option<Decision> {
        let challenger = self.challenger.take_if(|one| now.since(one.about.fitted_at) >= trial)?;
        let beside = challenger.loss_beside(&self.champion);
        let (won, reason) = match beside {
            None => (false, "no series had enough hours in common to compare".to_owned()),
            Some((mean, error)) => {
                let figures = format!(
                    "its loss beside version {} was {:+.2} % (standard error {:.2} %) over the series",
                    self.champion.about.version,
                    200.0 * mean,
                    200.0 * error
                );
                (mean + error < 0.0, figures)
            }
        };
        Some(if won { self.promote(challenger, reason) } else { Decision::lost(&challenger, reason) })
    }

    fn promote(&mut self, challenger: Generation, reason: String) -> Decision {
        let mut old = std::mem::replace(&mut self.champion, challenger);
        let retired = standing(
            &old,
            ModelState::Retired,
            format!("replaced by version {}", self.champion.about.version),
        );
        let champion = standing(&self.champion, ModelState::Champion, reason.clone());
        old.stand(retired.clone());
        self.champion.stand(champion.clone());
        self.previous = Some(old);
        Decision { replaced: Some(retired.version), versions: vec![retired, champion], reason }
    }

    /// Goes back to the champion before. A challenger is sent away with the
    /// champion, since it was to be compared with that one. `None` where there
    /// is none to go back to.
    pub fn roll_back(&mut self, reason: &str, next_refit: Timestamp) -> Option<Decision> {
        let previous = self.previous.take()?;
        let rolled_back = std::mem::replace(&mut self.champion, previous);
        self.next_refit = next_refit;
        let mut versions = Vec::new();
        if let Some(challenger) = self.challenger.take() {
            versions.push(standing(&challenger, ModelState::Lost, "sent away by a rollback".to_owned()));
        }
        let champion = standing(&self.champion, ModelState::Champion, reason.to_owned());
        self.champion.stand(champion.clone());
        self.champion.reset_scores();
        let replaced = rolled_back.about.version;
        versions.extend([standing(&rolled_back, ModelState::RolledBack, reason.to_owned()), champion]);
        Some(Decision { versions, replaced: Some(replaced), reason: reason.to_owned() })
    }
}

impl Decision {
    fn lost(challenger: &Generation, reason: String) -> Self {
        let lost = standing(challenger, ModelState::Lost, reason.clone());
        Decision { versions: vec![lost], replaced: None, reason }
    }
}

/// A version as it stands now, with its live score.
pub(super) fn standing(generation: &Generation, state: ModelState, reason: String) -> ModelVersion {
    ModelVersion { state, reason, live: generation.live(), ..(*generation.about).clone() }
}
