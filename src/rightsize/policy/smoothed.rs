//! Exponential smoothing of the hours' peaks, with their spread on top.

use serde::{Deserialize, Serialize};

use super::{Members, Past};

/// Half-lives in hours.
const HALF_LIVES: [f64; 3] = [3.0, 12.0, 48.0];
/// Standard deviations on top of the mean.
const DEVIATIONS: [f64; 2] = [0.0, 1.5];

/// The decayed mean of the hours' peaks plus a multiple of their decayed
/// standard deviation (West 1979).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Smoothed {
    levels: [Level; HALF_LIVES.len()],
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Level {
    /// What an hour leaves of a weight.
    factor: f64,
    weight: f64,
    mean: f64,
    variance: f64,
}

impl Default for Smoothed {
    fn default() -> Self {
        let level = |half_life: f64| {
            let factor = 0.5_f64.powf(1.0 / half_life);
            Level { factor, weight: 0.0, mean: 0.0, variance: 0.0 }
        };
        Smoothed { levels: HALF_LIVES.map(level) }
    }
}

impl Level {
    fn observe(&mut self, peak: f64) {
        self.weight = self.weight * self.factor + 1.0;
        let share = 1.0 / self.weight;
        let surprise = peak - self.mean;
        self.mean += share * surprise;
        self.variance = (1.0 - share) * (self.variance + share * surprise * surprise);
    }
}

impl Members for Smoothed {
    fn names(&self) -> Vec<String> {
        let of = |half_life| DEVIATIONS.map(|deviations| format!("smoothed {half_life} h + {deviations} sd"));
        HALF_LIVES.into_iter().flat_map(of).collect()
    }

    fn observe(&mut self, past: &Past, _: usize) {
        if past.count(1) > 0 {
            self.levels.iter_mut().for_each(|level| level.observe(past.peak(1)));
        }
    }

    fn limits(&self, _: &Past, _: usize, limits: &mut Vec<f64>) {
        for level in &self.levels {
            let deviation = level.variance.sqrt();
            limits.extend(DEVIATIONS.map(|deviations| level.mean + deviations * deviation));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_changes_nothing_and_a_level_is_learnt() {
        let (mut past, mut smoothed) = (Past::default(), Smoothed::default());
        for _ in 0..50 {
            past.push(&[3.0, 4.0]);
            smoothed.observe(&past, 1);
        }
        past.push(&[]);
        smoothed.observe(&past, 1);
        let mut limits = Vec::new();
        smoothed.limits(&past, 1, &mut limits);
        assert_eq!(limits.len(), smoothed.names().len());
        assert!(limits.iter().all(|limit| (limit - 4.0).abs() < 1e-9), "{limits:?}");
    }
}
