//! The detector that the engine runs: how new a sample is, how rare, and how
//! far from what the season suggests, put together into a score and events.

use super::event::{Event, Evidence};
use super::season::{Residual, Season};
use super::seen::{Seen, signed_root};
use super::tail::Tails;
use super::{Detector, Judgement, Settings};
use crate::domain::{Step, Timestamp};

/// Places for the values, and for each of the two residuals.
const VALUES: usize = 1024;
const RESIDUALS: usize = 768;
/// Samples beyond this are counted as this, so that no sum overflows.
const LARGEST: f64 = 1e100;
/// The part of the range so far that is no anomaly.
const LEAST_OF_RANGE: f64 = 0.008;
/// The combined novelty whose score is one half.
const MIDDLE: f64 = 0.115;
/// What has been said is not said again for so many samples, unless it gets
/// worse.
const REPEAT_AFTER: u32 = 119;
/// Samples that a scale can be taken from; warm-up is never shorter.
const LEAST_WARM_UP: usize = 100;
/// A shift is believed after this time, but at least and at most so many
/// samples.
const SHIFT_HOURS: i64 = 12;
const SHIFT_SAMPLES: (i64, i64) = (36, 288);
/// The score of what has been said is at most this.
const LASTING: f64 = 0.45;

/// See the module's text.
#[derive(Debug, Clone)]
pub struct NoveltyDetector {
    settings: Settings,
    seen: u32,
    season: Season,
    root_season: Season,
    values: Seen,
    residuals: Seen,
    root_residuals: Seen,
    tails: Tails,
    residual_tails: Tails,
    peak: f64,
    peak_at: u32,
    hold: u32,
    event: Event,
}

impl NoveltyDetector {
    /// For a series of the given step.
    pub fn new(settings: Settings, step: Step) -> Self {
        NoveltyDetector {
            settings,
            seen: 0,
            season: Season::new(step),
            root_season: Season::new(step),
            values: Seen::new(VALUES),
            residuals: Seen::new(RESIDUALS),
            root_residuals: Seen::new(RESIDUALS),
            tails: Tails::default(),
            residual_tails: Tails::default(),
            peak: 0.0,
            peak_at: 0,
            hold: hold(step),
            event: Event::default(),
        }
    }

    /// The bytes that one series takes, heap included.
    pub fn bytes(&self) -> usize {
        let sets = [&self.values, &self.residuals, &self.root_residuals];
        size_of::<Self>() + sets.iter().map(|set| set.heap_bytes()).sum::<usize>()
    }

    fn strangeness(&mut self, at: Timestamp, value: f64, residual: Residual) -> f64 {
        let root = self.root_season.judge(at, signed_root(value));
        let of_value = self.values.novelty(value);
        let novelty = of_value.plain
            + of_value.root
            + self.residuals.novelty(residual.distance).plain
            + self.root_residuals.novelty(root.distance).plain;
        let rarity = self.tails.rarity(value).max(self.residual_tails.rarity(residual.distance));
        novelty * (0.3 + rarity).sqrt()
    }

    /// From 0 to 1; what was said within the last [`REPEAT_AFTER`] samples
    /// stays below one half.
    fn score(&mut self, strangeness: f64) -> f64 {
        let score = strangeness / (strangeness + MIDDLE);
        if self.seen - self.peak_at > REPEAT_AFTER {
            self.peak = 0.0;
        }
        if strangeness > self.peak {
            (self.peak, self.peak_at) = (strangeness, self.seen);
            return score;
        }
        score.min(LASTING)
    }
}

/// How many samples a shift must hold.
fn hold(step: Step) -> u32 {
    let samples = SHIFT_HOURS * Step::HOUR.millis() / step.millis();
    u32::try_from(samples.clamp(SHIFT_SAMPLES.0, SHIFT_SAMPLES.1)).unwrap_or(u32::MAX)
}

impl Detector for NoveltyDetector {
    fn judge(&mut self, at: Timestamp, value: f64) -> Judgement {
        let learning = (self.seen as usize) < self.settings.warm_up.max(LEAST_WARM_UP);
        if !value.is_finite() {
            return Judgement { learning, ..Judgement::NO_DATA };
        }
        let value = value.clamp(-LARGEST, LARGEST);
        let residual = self.season.judge(at, value);
        let band = self.settings.threshold * residual.spread
            + self.settings.least_effect * residual.expected.abs()
            + LEAST_OF_RANGE * residual.range;
        let strangeness = self.strangeness(at, value, residual);
        self.seen = self.seen.saturating_add(1);
        let known = Judgement { learning, expected: residual.expected, band, ..Judgement::NO_DATA };
        if learning {
            return known;
        }
        let distance = if band > 0.0 { residual.distance.abs() / band } else { 0.0 };
        let evidence = Evidence { residual: residual.distance, distance, strangeness };
        let outcome = self.event.step(evidence, self.hold);
        if let Some(shift) = outcome.shift {
            self.season.rebase(shift);
        }
        Judgement {
            score: self.score(strangeness),
            is_anomaly: outcome.said.is_some(),
            lasts: outcome.lasts,
            kind: outcome.said,
            ..known
        }
    }
}
