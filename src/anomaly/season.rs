//! What the time of day and the recent level suggest, and how far a sample
//! lies from it.
//!
//! A level, a profile over the hours for working days and one for weekends,
//! and the usual distance. All are updated with clipped residuals (Huber
//! 1964), so that an outlier moves them little; a change that stays is followed
//! within days, or at once where the caller rebases.

use serde::{Deserialize, Serialize};

use super::seen::within_reach;
use crate::domain::{Step, Timestamp};

const DAY_MILLIS: i64 = 86_400_000;
/// Places of a daily profile: one an hour.
const SLOTS: usize = 24;
/// Days in which the level follows a change to two thirds.
const LEVEL_DAYS: f64 = 3.0;
/// The part of a residual that moves its place in the profile, a day.
const PROFILE_RATE: f64 = 0.2;
/// The part of a distance that moves the usual distance, a sample.
const SPREAD_RATE: f64 = 0.005;
/// A residual counts in full up to so many usual distances ...
const CLIP: f64 = 3.0;
/// ... or up to this share of the range so far: a flat series has no distance.
const CLIP_RANGE: f64 = 0.03;

/// See the module's text.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Season {
    samples_per_slot: f64,
    level_rate: f64,
    seen: u32,
    level: f64,
    spread: f64,
    low: f64,
    high: f64,
    /// For working days and for weekends.
    profiles: [Profile; 2],
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Profile {
    offsets: [f64; SLOTS],
    counts: [u32; SLOTS],
}

/// A sample against what was expected of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Residual {
    /// What was expected.
    pub expected: f64,
    /// The sample less that.
    pub distance: f64,
    /// The usual distance, before this sample.
    pub spread: f64,
    /// The range of all samples so far, with this one.
    pub range: f64,
}

impl Season {
    /// For a series of the given step.
    pub fn new(step: Step) -> Self {
        let days = step.millis() as f64 / DAY_MILLIS as f64;
        Season {
            samples_per_slot: (1.0 / (SLOTS as f64 * days)).max(1.0),
            level_rate: (days / LEVEL_DAYS).min(0.2),
            seen: 0,
            level: 0.0,
            spread: 0.0,
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
            profiles: [Profile { offsets: [0.0; SLOTS], counts: [0; SLOTS] }; 2],
        }
    }

    /// Compares a finite `value` with what was expected, and learns from it
    /// where it may: a fault is not to become the expectation.
    pub fn judge(&mut self, at: Timestamp, value: f64, may_learn: bool) -> Residual {
        if self.seen == 0 {
            self.level = value;
        }
        let counted = within_reach(value, self.low, self.high);
        self.low = self.low.min(counted);
        self.high = self.high.max(counted);
        let (kind, slot) = place(at);
        let offset = self.offset(kind, slot);
        let expected = self.level + offset;
        let residual = Residual {
            expected,
            distance: value - expected,
            spread: self.spread,
            range: self.high - self.low,
        };
        if may_learn {
            self.learn(kind, slot, offset, residual);
        }
        residual
    }

    /// Takes a change of level by `distance` as the new state of things.
    pub fn rebase(&mut self, distance: f64) {
        self.level += distance;
    }

    /// A kind of day that was not seen at this hour borrows from the other.
    fn offset(&self, kind: usize, slot: usize) -> f64 {
        let (own, other) = (&self.profiles[kind], &self.profiles[1 - kind]);
        if own.counts[slot] == 0 { other.offsets[slot] } else { own.offsets[slot] }
    }

    fn learn(&mut self, kind: usize, slot: usize, offset: f64, residual: Residual) {
        // Quick at first, so that the level is right long before warm-up ends.
        let early = 1.0 / (f64::from(self.seen) + 1.0);
        let limit =
            if self.seen > 8 { (CLIP * self.spread).max(CLIP_RANGE * residual.range) } else { f64::INFINITY };
        let clipped = residual.distance.clamp(-limit, limit);
        self.level += self.level_rate.max(early.min(0.1)) * clipped;
        let profile = &mut self.profiles[kind];
        profile.counts[slot] = profile.counts[slot].saturating_add(1);
        let days = f64::from(profile.counts[slot]) / self.samples_per_slot;
        profile.offsets[slot] =
            offset + PROFILE_RATE.max(1.0 / (days + 1.0)) / self.samples_per_slot * clipped;
        // A clipped residual still widens the spread, by up to its double, so
        // that a series that has become wilder is followed.
        let distance = residual.distance.abs().min(2.0 * limit);
        self.spread += SPREAD_RATE.max(early) * (distance - self.spread);
        self.seen = self.seen.saturating_add(1);
    }
}

/// The kind of day (0 working day, 1 weekend) and the hour, in UTC.
fn place(at: Timestamp) -> (usize, usize) {
    let slot = at.millis().rem_euclid(DAY_MILLIS) * SLOTS as i64 / DAY_MILLIS;
    // The first of January 1970 was a Thursday, the third day after Monday.
    let weekday = (at.millis().div_euclid(DAY_MILLIS) + 3).rem_euclid(7);
    (usize::from(weekday >= 5), usize::try_from(slot).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_weekends_are_told_apart() {
        // 1970-01-03 was a Saturday.
        assert_eq!(place(Timestamp::from_seconds(2 * 86_400 + 3600)), (1, 1));
        assert_eq!(place(Timestamp::from_seconds(4 * 86_400 - 1)), (1, 23));
        assert_eq!(place(Timestamp::from_seconds(4 * 86_400)), (0, 0));
        assert_eq!(place(Timestamp::from_seconds(-1)), (0, 23));
    }

    #[test]
    fn a_weekly_rhythm_is_learned() {
        let mut season = Season::new(Step::HOUR);
        let value = |hour: i64| {
            let (kind, slot) = place(Timestamp::from_seconds(hour * 3600));
            if kind == 1 { 20.0 } else { 50.0 + slot as f64 }
        };
        let mut last = Vec::new();
        for hour in 0..24 * 7 * 8 {
            let residual = season.judge(Timestamp::from_seconds(hour * 3600), value(hour), true);
            if hour >= 24 * 7 * 7 {
                last.push(residual.distance.abs());
            }
        }
        let mean = last.iter().sum::<f64>() / last.len() as f64;
        assert!(mean < 5.0, "{mean}");
    }
}
