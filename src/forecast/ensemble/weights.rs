//! What forecasts lose in a trial, by how far ahead, and the weights that follow
//! from it.

use ndarray::{Array2, ArrayView1};

use super::COMPARED_LEVELS;
use super::trial::Trial;
use crate::forecast::history::History;

/// The unit in which losses differ is at least this share of their mean.
const LEAST_UNIT: f64 = 1e-3;
/// The ends of the blocks of steps ahead that have weights of their own: what
/// is best for the next hours is not best for the day after.
const BLOCK_ENDS: [usize; 4] = [3, 12, 24, usize::MAX];
/// The blocks of steps ahead.
pub(super) const BLOCKS: usize = BLOCK_ENDS.len();
/// How much a block's losses give way to those of all steps, for a block is
/// tried on few steps.
const BLOCK_SHRINKAGE: f64 = 0.25;
/// No member counts as worse than this many times the best.
const WORST: f64 = 5.0;
/// How strongly the members' weights follow their losses.
const SHARPNESS: f64 = 3.0;
/// A weight below this is none: it would only blur what others know exactly.
const LEAST_WEIGHT: f64 = 1e-6;
/// How many compared origins of its own weigh as much as the rest of the fleet.
const FLEET_ORIGINS: f64 = 2.0;

/// The block of a step ahead, counted from 0.
pub(super) fn block_of(step: usize) -> usize {
    BLOCK_ENDS.iter().position(|end| step < *end).unwrap_or(0)
}

/// A number for each block of steps ahead.
pub(super) type Blocks = [f64; BLOCKS];

/// A member's mean losses in a trial.
#[derive(Debug, Clone, Copy)]
pub(super) struct Losses {
    /// Over all steps.
    pub total: f64,
    /// By block; the total where none of its steps is known.
    blocks: Blocks,
}

impl Losses {
    /// The losses of quantiles after the compared origins, each of shape
    /// `[horizon, compared levels]`.
    pub fn of(history: &History, trial: &Trial, tried: &[Array2<f64>]) -> Self {
        let mut sums = [(0.0, 0_u32); BLOCKS];
        for (origin, values) in trial.compared_origins().zip(tried) {
            let truth = history.known[origin..].iter().take(trial.horizon);
            for (step, (value, row)) in truth.zip(values.rows()).enumerate() {
                if value.is_finite() {
                    let sum = &mut sums[block_of(step)];
                    *sum = (sum.0 + pinball(*value, row), sum.1 + 1);
                }
            }
        }
        let mean = |sum: f64, steps: u32| if steps > 0 { sum / f64::from(steps) } else { 0.0 };
        let total = mean(sums.iter().map(|sum| sum.0).sum(), sums.iter().map(|sum| sum.1).sum());
        Losses { total, blocks: sums.map(|(sum, steps)| if steps > 0 { mean(sum, steps) } else { total }) }
    }
}

/// Twice the pinball loss, averaged over the compared levels.
fn pinball(value: f64, quantiles: ArrayView1<'_, f64>) -> f64 {
    let losses = COMPARED_LEVELS.iter().zip(quantiles).map(|(level, quantile)| {
        let miss = value - quantile;
        // The larger of 2 level miss and 2 (level - 1) miss.
        miss.abs() + (2.0 * level - 1.0) * miss
    });
    losses.sum::<f64>() / COMPARED_LEVELS.len() as f64
}

/// Each member's losses relative to the least; `None` stays with those that
/// abstain.
pub(super) fn relative(losses: &[Option<Losses>]) -> Vec<Option<Blocks>> {
    let of = |pick: &dyn Fn(&Losses) -> f64| {
        let picked: Vec<f64> = losses.iter().flatten().map(pick).collect();
        let unit = unit(&picked);
        move |value: f64| if unit > 0.0 { value / unit } else { 1.0 }
    };
    let total = of(&|losses| losses.total);
    let mut relative: Vec<Option<Blocks>> = vec![None; losses.len()];
    for block in 0..BLOCKS {
        let within = of(&|losses| losses.blocks[block]);
        for (cell, losses) in relative.iter_mut().zip(losses) {
            let Some(losses) = losses else { continue };
            let own = within(losses.blocks[block]);
            let mixed = own + BLOCK_SHRINKAGE * (total(losses.total) - own);
            cell.get_or_insert([0.0; BLOCKS])[block] = mixed.min(WORST);
        }
    }
    relative
}

/// The least loss, but so that a loss of nothing at all does not rule out every
/// other member.
fn unit(losses: &[f64]) -> f64 {
    let mean = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
    losses.iter().copied().fold(f64::INFINITY, f64::min).max(LEAST_UNIT * mean)
}

/// The members' weights in each block, from a series' own relative losses at
/// so many `origins` and from the `fleet`'s. Those of a block sum to 1.
pub(super) fn weights(own: &[Option<Blocks>], fleet: &[Option<Blocks>], origins: usize) -> Vec<Blocks> {
    let share = FLEET_ORIGINS / (FLEET_ORIGINS + origins as f64);
    let mut weights = vec![[0.0; BLOCKS]; own.len()];
    for block in 0..BLOCKS {
        let mixed: Vec<Option<f64>> = own
            .iter()
            .zip(fleet)
            .map(|(own, fleet)| {
                let own = own.as_ref()?[block];
                Some(fleet.as_ref().map_or(own, |fleet| own + share * (fleet[block] - own)))
            })
            .collect();
        let least = mixed.iter().flatten().copied().fold(f64::INFINITY, f64::min);
        // The best member has 1, so that the least weight is a share of its.
        let raw: Vec<f64> = mixed
            .iter()
            .map(|loss| loss.map_or(0.0, |loss| (-SHARPNESS * (loss - least)).exp()))
            .map(|weight| if weight < LEAST_WEIGHT { 0.0 } else { weight })
            .collect();
        let total: f64 = raw.iter().sum();
        weights
            .iter_mut()
            .zip(raw)
            .for_each(|(weight, raw)| weight[block] = raw / total.max(f64::MIN_POSITIVE));
    }
    weights
}

/// Weights that fall with the miss relative to the least one; they sum to 1.
pub(super) fn softmax(misses: &[f64], sharpness: f64) -> Vec<f64> {
    let (unit, least) = (unit(misses), misses.iter().copied().fold(f64::INFINITY, f64::min));
    let weight = |miss: &f64| if unit > 0.0 { (-sharpness * (miss - least) / unit).exp() } else { 1.0 };
    let weights: Vec<f64> = misses.iter().map(weight).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / total).collect()
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
