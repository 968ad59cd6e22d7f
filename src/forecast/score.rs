//! How good a forecast was, once the values it was for are known.
//!
//! The measures are those of the literature: the mean absolute scaled error
//! (Hyndman and Koehler 2006), the weighted quantile loss (pinball losses over
//! all levels, divided by the sum of what came) and the share of values inside
//! the 10 to 90 % interval.

use std::ops::Range;

use ndarray::ArrayView1;

use super::Forecast;

/// A scale below this is none: a constant series has no naive error.
const LEAST_SCALE: f64 = 1e-9;

/// Sums over scored steps; two scores can be put together.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Score {
    /// Steps with a known value.
    pub steps: u32,
    /// The sum of the absolute misses of the point forecast.
    pub missed: f64,
    /// The sum of the pinball losses, twice their mean over the levels.
    pub pinball: f64,
    /// The sum of the absolute values that came.
    pub truth: f64,
    /// Values that lay between the quantiles nearest to 10 and 90 %.
    pub covered: u32,
}

impl Score {
    /// Scores the `steps` of a forecast against `truth`, both counted from the
    /// forecast's first step; `NaN` in `truth` is a gap and not counted.
    pub fn of(forecast: &Forecast, truth: ArrayView1<'_, f64>, steps: Range<usize>) -> Self {
        let levels = forecast.quantiles.levels();
        let (low, high) = (forecast.quantiles.nearest(0.1), forecast.quantiles.nearest(0.9));
        let mut score = Score::default();
        for step in steps.start..steps.end.min(truth.len()).min(forecast.mean.len()) {
            let (value, row) = (truth[step], forecast.values.row(step));
            if !value.is_finite() {
                continue;
            }
            let losses = levels.iter().zip(&row).map(|(level, quantile)| {
                let miss = value - quantile;
                2.0 * (level * miss).max((level - 1.0) * miss)
            });
            score.pinball += losses.sum::<f64>() / levels.len() as f64;
            score.missed += (value - forecast.mean[step]).abs();
            score.truth += value.abs();
            score.covered += u32::from(row[low] <= value && value <= row[high]);
            score.steps += 1;
        }
        score
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Score) -> Score {
        Score {
            steps: self.steps + other.steps,
            missed: self.missed + other.missed,
            pinball: self.pinball + other.pinball,
            truth: self.truth + other.truth,
            covered: self.covered + other.covered,
        }
    }

    /// The mean absolute miss, in units of `scale`. `None` without a step, or
    /// where the scale is nothing.
    pub fn scaled_error(&self, scale: f64) -> Option<f64> {
        (self.steps > 0 && scale > LEAST_SCALE).then(|| self.missed / f64::from(self.steps) / scale)
    }

    /// The weighted quantile loss. `None` where nothing but zeros came.
    pub fn quantile_loss(&self) -> Option<f64> {
        (self.truth > 0.0).then(|| self.pinball / self.truth)
    }

    /// The share of values inside the interval. `None` without a step.
    pub fn cover(&self) -> Option<f64> {
        (self.steps > 0).then(|| f64::from(self.covered) / f64::from(self.steps))
    }
}

/// The mean absolute change from a season to the next, over the steps of which
/// both are known; 0 without any.
pub fn naive_scale(known: ArrayView1<'_, f64>, season: usize) -> f64 {
    let (mut sum, mut count) = (0.0, 0_u32);
    for (early, late) in known.iter().zip(known.iter().skip(season.max(1))) {
        let change = (late - early).abs();
        if change.is_finite() {
            sum += change;
            count += 1;
        }
    }
    sum / f64::from(count.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::Quantiles;
    use ndarray::{Array1, array};

    #[test]
    fn the_measures_are_those_of_a_hand_calculation() {
        let forecast = Forecast {
            mean: array![2.0, 2.0, 2.0],
            quantiles: "0.1,0.9".parse::<Quantiles>().unwrap(),
            values: array![[1.0, 3.0], [1.0, 3.0], [1.0, 3.0]],
            members: Vec::new(),
        };
        let truth = array![2.0, f64::NAN, 5.0];
        let score = Score::of(&forecast, truth.view(), 0..3);
        assert_eq!((score.steps, score.covered, score.missed, score.truth), (2, 1, 3.0, 7.0));
        // 2: (2 · 0.1 · 1 + 2 · 0.1 · 1) / 2; 5: (2 · 0.1 · 4 + 2 · 0.9 · 2) / 2.
        assert!((score.pinball - (0.2 + 2.2)).abs() < 1e-12, "{score:?}");
        assert_eq!(score.scaled_error(0.5), Some(3.0));
        assert_eq!(score.cover(), Some(0.5));
        let halves = Score::of(&forecast, truth.view(), 0..1).and(Score::of(&forecast, truth.view(), 1..9));
        assert_eq!(halves, score);
        assert_eq!((Score::default().quantile_loss(), score.scaled_error(0.0)), (None, None));
    }

    #[test]
    fn the_scale_leaves_gaps_out() {
        let known: Array1<f64> = array![1.0, 2.0, f64::NAN, 4.0, 1.0];
        assert_eq!(naive_scale(known.view(), 2), 2.0);
        assert_eq!(naive_scale(known.view(), 1), 2.0);
        assert_eq!(naive_scale(known.view(), 9), 0.0);
    }
}
