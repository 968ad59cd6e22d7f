//! The robust residual: how far a sample lies from what the time of day and
//! the recent level suggest, in units of the usual distance.
//!
//! Level, daily profile and spread are updated with clipped residuals (Huber
//! 1964), so that an outlier moves them little; a change that stays is
//! followed within hours. A sample is an anomaly where the distance is large
//! both against the usual spread and against the level itself.

use super::{Detector, Judgement};
use crate::domain::{Step, Timestamp};

const DAY_MILLIS: i64 = 86_400_000;
/// Places of the daily profile: one an hour.
const SLOTS: usize = 24;

/// How the detector is set. The defaults are first guesses and not tuned on
/// any labelled data.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Samples during which it only learns.
    pub warm_up: usize,
    /// The distance from which on a sample is an anomaly, in spreads.
    pub threshold: f64,
    /// The least distance, as a share of the level.
    pub least_effect: f64,
    /// The part of a residual that moves the level, a sample.
    pub level_rate: f64,
    /// The part of a residual that moves its place in the daily profile, a day.
    pub profile_rate: f64,
    /// The part of a residual that moves the spread, a sample.
    pub spread_rate: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            warm_up: 288,
            threshold: 8.0,
            least_effect: 0.25,
            level_rate: 0.01,
            profile_rate: 0.2,
            spread_rate: 0.01,
        }
    }
}

/// See the module's text. Its state is under 500 bytes.
#[derive(Debug, Clone)]
pub struct RobustResidual {
    settings: Settings,
    samples_per_slot: f64,
    seen: usize,
    level: f64,
    profile: [f64; SLOTS],
    spread: f64,
}

impl RobustResidual {
    /// For a series of the given step.
    pub fn new(settings: Settings, step: Step) -> Self {
        let slot_millis = DAY_MILLIS / SLOTS as i64;
        RobustResidual {
            settings,
            samples_per_slot: (slot_millis as f64 / step.millis() as f64).max(1.0),
            seen: 0,
            level: 0.0,
            profile: [0.0; SLOTS],
            spread: 0.0,
        }
    }

    fn slot(at: Timestamp) -> usize {
        let of_day = at.millis().rem_euclid(DAY_MILLIS);
        usize::try_from(of_day * SLOTS as i64 / DAY_MILLIS).unwrap_or(0)
    }

    fn learn(&mut self, slot: usize, residual: f64) {
        // Quick at first, so that the level is right long before warm-up ends.
        let early = 1.0 / (self.seen as f64 + 1.0);
        let limit = if self.seen < 8 { f64::INFINITY } else { 3.0 * self.spread.max(f64::MIN_POSITIVE) };
        let clipped = residual.clamp(-limit, limit);
        self.level += self.settings.level_rate.max(early) * clipped;
        self.profile[slot] += self.settings.profile_rate / self.samples_per_slot * clipped;
        let spread_rate = self.settings.spread_rate.max(early);
        // A clipped residual still widens the spread, by up to its double, so
        // that a series that has become wilder is followed.
        let distance = residual.abs().min(2.0 * limit);
        self.spread += spread_rate * (distance - self.spread);
        self.seen += 1;
    }
}

impl Detector for RobustResidual {
    fn judge(&mut self, at: Timestamp, value: f64) -> Judgement {
        if !value.is_finite() {
            return Judgement { learning: self.seen < self.settings.warm_up, ..Judgement::NO_DATA };
        }
        if self.seen == 0 {
            self.level = value;
        }
        let slot = Self::slot(at);
        let expected = self.level + self.profile[slot];
        let residual = value - expected;
        let learning = self.seen < self.settings.warm_up;
        // A level of nothing has no share; the spread then decides alone.
        let least = self.settings.least_effect * expected.abs();
        let band = (self.settings.threshold * self.spread).max(least);
        let distance = if band > 0.0 {
            residual.abs() / band
        } else if residual == 0.0 {
            0.0
        } else {
            2.0
        };
        let is_anomaly = !learning && distance > 1.0;
        // At the edge of the band the score is 0.5, far outside it nears 1.
        let score = if learning { 0.0 } else { distance * distance / (1.0 + distance * distance) };
        self.learn(slot, residual);
        Judgement { score, is_anomaly, learning, expected, band }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(values: impl Iterator<Item = f64>) -> Vec<Judgement> {
        let mut detector = RobustResidual::new(Settings::default(), Step::FIVE_MINUTES);
        values
            .enumerate()
            .map(|(index, value)| detector.judge(Timestamp::from_seconds(300 * index as i64), value))
            .collect()
    }

    fn daily(index: usize) -> f64 {
        let noise = ((index.wrapping_mul(2_654_435_761)) >> 7) % 100;
        100.0 + 30.0 * (index as f64 * std::f64::consts::TAU / 288.0).sin() + noise as f64 / 20.0
    }

    #[test]
    fn a_spike_is_found_and_a_rhythm_is_not() {
        let spike_at = 288 * 10 + 77;
        let found = run((0..288 * 12).map(|i| if i == spike_at { 400.0 } else { daily(i) }));
        let events: Vec<usize> = (0..found.len()).filter(|i| found[*i].is_anomaly).collect();
        assert_eq!(events, [spike_at]);
        assert!(found[spike_at].score > 0.8);
    }

    #[test]
    fn it_is_silent_while_it_learns_and_about_gaps() {
        let found = run((0..288).map(|i| if i % 50 == 3 { 1e6 } else { 1.0 }));
        assert!(found.iter().all(|j| j.learning && !j.is_anomaly && j.score == 0.0));
        let found = run((0..600).map(|i| if i > 400 { f64::NAN } else { 1.0 }));
        assert!(found[401..].iter().all(|j| !j.is_anomaly && j.score == 0.0));
    }

    #[test]
    fn earlier_judgements_do_not_depend_on_later_samples() {
        let whole = run((0..2000).map(daily));
        let part = run((0..1000).map(daily));
        assert_eq!(
            whole[..1000].iter().map(|j| j.score).collect::<Vec<_>>(),
            part.iter().map(|j| j.score).collect::<Vec<_>>()
        );
    }
}
