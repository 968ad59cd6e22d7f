//! The promise of a violation budget, kept by steering.
//!
//! A backtest is only as good as its past. The share of violations that was
//! really had is fed back: who has spent more than planned is held to less,
//! until the promise stands again, whatever the model got wrong (the idea of
//! adaptive conformal inference, Gibbs and Candès 2021).

use serde::{Deserialize, Serialize};

/// The days of samples at the planned share that stand at the beginning, so
/// that the first violation is no disaster.
const PRIOR_DAYS: f64 = 3.0;
/// How hard a share above the plan is answered.
const GAIN: f64 = 1.0;

/// The account of one series' violations.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Promise {
    planned: f64,
    prior: f64,
    spent: f64,
    seen: f64,
}

impl Promise {
    /// For a budget (a share of the samples), with limits that hold for
    /// `hours`, at so many samples a day.
    ///
    /// Less than the budget is planned for: a limit that holds for a day is
    /// corrected 24 times less often than one that holds for an hour.
    pub fn new(budget: f64, hours: usize, samples_a_day: f64) -> Self {
        let planned = budget * if hours >= 12 { 0.65 } else { 0.8 };
        Promise { planned, prior: PRIOR_DAYS * samples_a_day, spent: 0.0, seen: 0.0 }
    }

    /// Enters an interval that is over.
    pub fn enter(&mut self, violations: usize, samples: usize) {
        self.spent += violations as f64;
        self.seen += samples as f64;
    }

    /// The share of violations to aim at now.
    pub fn target(&self) -> f64 {
        let share = (self.spent + self.planned * self.prior) / (self.seen + self.prior);
        (self.planned + GAIN * (self.planned - share)).clamp(0.0, 2.0 * self.planned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overspending_is_answered_and_forgiven() {
        let mut promise = Promise::new(0.01, 1, 288.0);
        assert!((promise.target() - 0.008).abs() < 1e-12);
        promise.enter(12, 12);
        assert!(promise.target() < 0.005);
        promise.enter(0, 20 * 288);
        assert!(promise.target() > 0.008);
    }
}
