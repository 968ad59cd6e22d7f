//! What the trials of many series say together: which members are good in this
//! fleet, and how much wider than the members' mean the quantiles have to be.
//! A series with a long history needs little of it, a new tenant nearly all.

use rayon::prelude::*;

use super::COMPARED_LEVELS;
use super::member::Case;
use super::mixture::mix;
use super::weights::{BLOCKS, Blocks, Losses, relative, weights};
use super::{Tried, share};
use crate::series::stats;

/// The widening where nothing is known of the fleet: the weights are chosen on
/// the trials that the misses are taken from, and the best in a trial is a
/// little worse afterwards.
const WIDENING: f64 = 1.05;
/// How many series say as much about the widening as that first guess.
const GUESS_SERIES: f64 = 8.0;
/// Series from which the widening is learnt, at most.
const MOST_WIDENED: usize = 64;
/// The least and the most that quantiles are widened by.
const LIMITS: (f64, f64) = (0.8, 20.0);
/// The share of samples between the first and the last of the compared levels.
const COVER: f64 = 0.8;
/// Compared origins from which a history counts as long.
const LONG_ORIGINS: usize = 3;
/// A member that loses more than this many times the least in the trial has no sure weight.
const FAILED: f64 = 4.0;
/// A miss of more widths than this says no more than this.
const MOST_WIDTHS: f64 = 1e3;

/// Long histories on which all members must have been tried before any is left out.
const LEAST_TRIED: usize = 32;
/// A member that weighs less than this on average is left out of the other series.
const IDLE_MEAN: f64 = 0.025;
/// And on each of the tried ones less than this.
const IDLE_MOST: f64 = 0.25;

/// What the fleet says.
pub(super) struct Pool {
    /// Each member's mean relative losses; `None` where it always abstained.
    pub relative: Vec<Option<Blocks>>,
    /// The share of the weight that each member has in any case.
    sure: Vec<f64>,
    /// For young and for long histories.
    widenings: [f64; 2],
    /// Which members need not be asked about further long histories.
    idle: Vec<bool>,
}

impl Pool {
    /// Learns from what the members did in the trials of some series; each has
    /// its `sure` share of the weight.
    pub fn learn(sample: &[(&Case<'_>, &Vec<Tried>)], sure: Vec<f64>) -> Self {
        let mut sums = vec![([0.0; BLOCKS], 0_u32); sure.len()];
        for (_, tried) in sample {
            for (sum, blocks) in sums.iter_mut().zip(relative(&losses(tried))) {
                let Some(blocks) = blocks else { continue };
                sum.0.iter_mut().zip(blocks).for_each(|(sum, value)| *sum += value);
                sum.1 += 1;
            }
        }
        let mean =
            |(blocks, count): (Blocks, u32)| (count > 0).then(|| blocks.map(|sum| sum / f64::from(count)));
        let relative = sums.into_iter().map(mean).collect();
        let idle = vec![false; sure.len()];
        let mut pool = Pool { relative, sure, widenings: [WIDENING; 2], idle };
        pool.idle = pool.learn_idle(sample);
        pool
    }

    /// Learns how much wider the quantiles have to be.
    pub fn calibrated(mut self, sample: &[(&Case<'_>, &Vec<Tried>)]) -> Self {
        self.widenings = [false, true].map(|long| self.learn_widening(sample, long));
        self
    }

    /// Learns again from more of the same series.
    pub fn relearn(self, sample: &[(&Case<'_>, &Vec<Tried>)]) -> Self {
        let idle = self.idle;
        Pool { idle, ..Pool::learn(sample, self.sure) }
    }

    /// Whether a member need not be asked about a series.
    pub fn is_idle(&self, member: usize, case: &Case<'_>) -> bool {
        is_long(case) && self.idle[member]
    }

    /// The members that weighed next to nothing on all long histories: trying
    /// them on the others costs time and moves no forecast.
    fn learn_idle(&self, sample: &[(&Case<'_>, &Vec<Tried>)]) -> Vec<bool> {
        let long = sample.iter().filter(|(case, _)| is_long(case));
        let shares: Vec<Vec<f64>> = long
            .map(|(case, tried)| {
                let weights = self.weights(case, tried);
                weights.iter().map(|blocks| share(blocks, case.horizon)).collect()
            })
            .collect();
        if shares.len() < LEAST_TRIED {
            return vec![false; self.sure.len()];
        }
        (0..self.sure.len())
            .map(|member| {
                let of_member = || shares.iter().map(|shares| shares[member]);
                let mean = of_member().sum::<f64>() / shares.len() as f64;
                mean < IDLE_MEAN && of_member().all(|share| share < IDLE_MOST)
            })
            .collect()
    }

    /// The weight of each member of a series in each block.
    pub fn weights(&self, case: &Case<'_>, tried: &[Tried]) -> Vec<Blocks> {
        let own = relative(&losses(tried));
        let mut weights = weights(&own, &self.relative, case.trial.compared.len());
        let sure = |(share, own): (&f64, &Option<Blocks>)| {
            let failed = own.is_none_or(|losses| losses.iter().sum::<f64>() > FAILED * BLOCKS as f64);
            if failed { 0.0 } else { *share }
        };
        let sure: Vec<f64> = self.sure.iter().zip(&own).map(sure).collect();
        let rest = 1.0 - sure.iter().sum::<f64>();
        for (blocks, sure) in weights.iter_mut().zip(sure) {
            blocks.iter_mut().for_each(|weight| *weight = sure + rest * *weight);
        }
        weights
    }

    /// How much wider the quantiles have to be.
    pub fn widening(&self, case: &Case<'_>) -> f64 {
        self.widenings[usize::from(is_long(case))]
    }

    /// The widening that would have covered the right share in the trials
    /// (conformal calibration of the combination, pooled over the fleet; Romano,
    /// Patterson and Candes 2019, Conformalized quantile regression), drawn
    /// towards the first guess.
    fn learn_widening(&self, sample: &[(&Case<'_>, &Vec<Tried>)], long: bool) -> f64 {
        let alike: Vec<_> = sample.iter().filter(|(case, _)| is_long(case) == long).collect();
        let every = alike.len().div_ceil(MOST_WIDENED).max(1);
        let widths = alike.par_iter().step_by(every).map(|(case, tried)| self.needed_widths(case, tried));
        let widths: Vec<Vec<f64>> = widths.collect();
        let (series, widths) = (widths.len() as f64, widths.concat());
        let sorted = stats::sorted_finite(&widths);
        let Some(needed) = stats::quantile_of_sorted(&sorted, COVER) else { return WIDENING };
        let needed = needed.clamp(LIMITS.0, LIMITS.1);
        ((GUESS_SERIES * WIDENING.ln() + series * needed.ln()) / (GUESS_SERIES + series)).exp()
    }

    /// How far each sample of a trial lay from the median, in widths of the
    /// quantiles on its side.
    fn needed_widths(&self, case: &Case<'_>, tried: &[Tried]) -> Vec<f64> {
        let (weights, mut widths) = (self.weights(case, tried), Vec::new());
        for (index, origin) in case.trial.compared_origins().enumerate() {
            let parts = tried.iter().zip(&weights);
            let parts: Vec<_> = parts
                .filter_map(|(tried, weights)| Some((&tried.as_ref().ok()?.tried[index], weights)))
                .collect();
            let values = mix(&parts, &COMPARED_LEVELS);
            let truth = case.history.known[origin..].iter().zip(values.rows());
            widths.extend(truth.filter(|(value, _)| value.is_finite()).map(|(value, row)| {
                let (low, median, high) =
                    (row[0], row[COMPARED_LEVELS.len() / 2], row[COMPARED_LEVELS.len() - 1]);
                needed_width(*value, low, median, high)
            }));
        }
        widths
    }
}

fn needed_width(value: f64, low: f64, median: f64, high: f64) -> f64 {
    let (miss, width) = ((value - median).abs(), if value >= median { high - median } else { median - low });
    // What differs by rounding alone is no miss.
    if miss <= 1e-9 * median.abs() { 0.0 } else { (miss / width.max(f64::MIN_POSITIVE)).min(MOST_WIDTHS) }
}

fn is_long(case: &Case<'_>) -> bool {
    case.trial.compared.len() >= LONG_ORIGINS
}

fn losses(tried: &[Tried]) -> Vec<Option<Losses>> {
    tried.iter().map(|tried| tried.as_ref().ok().map(|tried| tried.losses)).collect()
}
