//! What the limits of a walk through the past were worth, day by day.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// The days that are remembered.
const DAYS: usize = 28;

/// The sums of one day.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
struct Day {
    hours: usize,
    samples: f64,
    violations: f64,
    limits: f64,
    slack: f64,
    changes: f64,
}

/// The sums of the last days.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Trial {
    days: VecDeque<Day>,
}

/// What limits were worth over the last days.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Tried {
    /// Over how many days.
    pub days: f64,
    /// How many samples there were.
    pub samples: f64,
    /// The share of samples above the limits.
    pub violations: f64,
    /// The mean limit, in the unit of the samples.
    pub mean: f64,
    /// The unused share of the limits.
    pub slack: f64,
    /// Changes of the limit a day.
    pub changes: f64,
}

impl Trial {
    /// Enters an hour's samples, the limit that held, and whether it was new.
    pub fn enter(&mut self, samples: &[f64], limit: f64, is_new: bool) {
        if self.days.back().is_none_or(|day| day.hours == 24) {
            if self.days.len() == DAYS {
                self.days.pop_front();
            }
            self.days.push_back(Day::default());
        }
        let Some(day) = self.days.back_mut() else { return };
        day.hours += 1;
        day.changes += f64::from(u8::from(is_new));
        day.samples += samples.len() as f64;
        day.limits += limit * samples.len() as f64;
        for sample in samples {
            day.violations += f64::from(u8::from(*sample > limit * (1.0 + 1e-6)));
            day.slack += (limit - sample).max(0.0);
        }
    }

    /// What it comes to; `None` before any sample.
    pub fn sum(&self) -> Option<Tried> {
        let sum = |part: fn(&Day) -> f64| self.days.iter().map(part).sum::<f64>();
        let (samples, limits) = (sum(|day| day.samples), sum(|day| day.limits));
        let days = sum(|day| day.hours as f64) / 24.0;
        (samples > 0.0).then(|| Tried {
            days,
            samples,
            violations: sum(|day| day.violations) / samples,
            mean: limits / samples,
            slack: sum(|day| day.slack) / limits.max(f64::MIN_POSITIVE),
            changes: sum(|day| day.changes) / days,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_the_last_days_and_forgets_the_rest() {
        let mut trial = Trial::default();
        assert_eq!(trial.sum(), None);
        (0..24).for_each(|hour| trial.enter(&[1.0, 3.0], 2.0, hour == 0));
        let tried = trial.sum().unwrap();
        assert_eq!((tried.days, tried.samples, tried.violations, tried.mean), (1.0, 48.0, 0.5, 2.0));
        assert_eq!((tried.slack, tried.changes), (0.25, 1.0));
        (0..DAYS * 24).for_each(|_| trial.enter(&[1.0], 4.0, false));
        let later = trial.sum().unwrap();
        assert_eq!((later.days, later.violations, later.mean), (DAYS as f64, 0.0, 4.0));
    }
}
