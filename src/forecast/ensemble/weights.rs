//! What forecasts lose in a trial, and the weights that follow from it.

use ndarray::Array2;

use super::COMPARED_LEVELS;
use super::trial::Trial;
use crate::forecast::history::History;

/// The unit in which losses differ is at least this share of their mean.
const LEAST_UNIT: f64 = 1e-3;

/// Weights that fall with the loss relative to the least one; they sum to 1.
pub(super) fn softmax(losses: &[f64], sharpness: f64) -> Vec<f64> {
    let mean = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    // A loss of nothing at all should not rule out every other member.
    let unit = least.max(LEAST_UNIT * mean);
    let weight = |loss: &f64| if unit > 0.0 { (-sharpness * (loss - least) / unit).exp() } else { 1.0 };
    let weights: Vec<f64> = losses.iter().map(weight).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
}

/// Twice the pinball loss, averaged over the compared levels.
fn pinball(value: f64, quantiles: impl Iterator<Item = f64>) -> f64 {
    let losses = COMPARED_LEVELS.iter().zip(quantiles).map(|(level, quantile)| {
        let miss = value - quantile;
        2.0 * (level * miss).max((level - 1.0) * miss)
    });
    losses.sum::<f64>() / COMPARED_LEVELS.len() as f64
}

/// The mean loss of quantiles after the compared origins, each of shape
/// `[horizon, compared levels]`.
pub(super) fn mean_loss(history: &History, trial: &Trial, tried: &[Array2<f64>]) -> f64 {
    let (mut sum, mut steps) = (0.0, 0_u32);
    for (origin, values) in trial.compared_origins().zip(tried) {
        let truth = history.known[origin..].iter().take(trial.horizon);
        for (value, row) in truth.zip(values.rows()).filter(|(value, _)| value.is_finite()) {
            sum += pinball(*value, row.iter().copied());
            steps += 1;
        }
    }
    if steps > 0 { sum / f64::from(steps) } else { 0.0 }
}

/// The mean absolute miss of point forecasts, shape `[horizon, origins]`.
pub(super) fn absolute_miss(history: &History, trial: &Trial, tried: &Array2<f64>) -> f64 {
    let (mut sum, mut steps) = (0.0, 0_u32);
    for (column, origin) in trial.origins.iter().enumerate() {
        let truth = history.known[*origin..].iter().zip(tried.column(column));
        for (value, found) in truth.filter(|(value, _)| value.is_finite()) {
            sum += (value - found).abs();
            steps += 1;
        }
    }
    sum / f64::from(steps.max(1))
}
