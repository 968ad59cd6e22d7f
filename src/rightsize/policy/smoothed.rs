//! Exponential smoothing of the hours' peaks, with their spread on top.

use super::{Past, Policy};

/// The decayed mean of the hours' peaks plus a multiple of their decayed
/// standard deviation (West 1979).
#[derive(Debug, Clone)]
pub struct Smoothed {
    half_life_hours: f64,
    deviations: f64,
    weight: f64,
    mean: f64,
    variance: f64,
}

impl Smoothed {
    /// With a half-life in hours, and so many standard deviations on top.
    pub fn new(half_life_hours: f64, deviations: f64) -> Self {
        Smoothed { half_life_hours, deviations, weight: 0.0, mean: 0.0, variance: 0.0 }
    }
}

impl Policy for Smoothed {
    fn name(&self) -> String {
        format!("smoothed {} h + {} sd", self.half_life_hours, self.deviations)
    }

    fn observe(&mut self, past: &Past) {
        if past.count(1) == 0 {
            return;
        }
        self.weight = self.weight * 0.5_f64.powf(1.0 / self.half_life_hours) + 1.0;
        let share = 1.0 / self.weight;
        let surprise = past.peak(1) - self.mean;
        self.mean += share * surprise;
        self.variance = (1.0 - share) * (self.variance + share * surprise * surprise);
    }

    fn limit(&self, _: &Past, _: usize) -> f64 {
        self.mean + self.deviations * self.variance.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_changes_nothing_and_a_level_is_learnt() {
        let (mut past, mut policy) = (Past::default(), Smoothed::new(12.0, 2.0));
        for _ in 0..50 {
            past.push(&[3.0, 4.0]);
            policy.observe(&past);
        }
        past.push(&[]);
        policy.observe(&past);
        assert!((policy.limit(&past, 1) - 4.0).abs() < 1e-9);
    }
}
