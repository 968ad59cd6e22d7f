//! The members' quantiles put together: those of the mixture of their
//! distributions, the linear opinion pool (Stone 1961; Gneiting and Ranjan
//! 2013, Combining predictive distributions).
//!
//! Members that disagree make a mixture wider, as they should; the mean of
//! their quantiles hides it. On every set that was tried the mixture lost less.

use std::ops::Range;

use ndarray::{Array2, ArrayViewMut1};

use super::weights::{Blocks, block_of};
use crate::series::stats::Order;

/// A member that weighs less than this share in a block is left out of it.
const LEAST_SHARE: f64 = 0.01;

/// Whether a weight counts beside all others of its block, which are `total`
/// together.
fn is_heavy(weight: f64, total: f64) -> bool {
    weight > 0.0 && weight >= LEAST_SHARE * total
}

/// How many of so many steps a part is looked at, where all weigh `totals`.
pub(super) fn steps_wanted(weights: &Blocks, totals: &Blocks, steps: usize) -> usize {
    let counts = |step: &usize| is_heavy(weights[block_of(*step)], totals[block_of(*step)]);
    (0..steps).rev().find(counts).map_or(0, |last| last + 1)
}

/// The quantiles of the mixture of `parts`, each of shape `[horizon, levels]`
/// with its weights, or shorter where it does not count later; shape `[horizon,
/// levels]` of the longest. A step at which no part weighs anything stays 0.
pub(super) fn mix(parts: &[(&Array2<f64>, &Blocks)], levels: &[f64]) -> Array2<f64> {
    let horizon = parts.iter().map(|(values, _)| values.nrows()).max().unwrap_or(0);
    let mut mixed = Array2::zeros((horizon, levels.len()));
    let Some(mut climb) = Climb::new(parts, levels) else { return mixed };
    let mut heavy = Vec::with_capacity(parts.len());
    for (step, mut row) in mixed.rows_mut().into_iter().enumerate() {
        let block = block_of(step);
        let total: f64 = parts.iter().map(|(_, weights)| weights[block]).sum();
        heavy.clear();
        heavy.extend(
            parts
                .iter()
                .filter(|(values, weights)| step < values.nrows() && is_heavy(weights[block], total))
                .filter_map(|(values, weights)| Some((weights[block], values.row(step).to_slice()?))),
        );
        match heavy.as_slice() {
            [(_, only)] => row.iter_mut().zip(*only).for_each(|(cell, value)| *cell = *value),
            several => climb.up(several, row),
        }
    }
    mixed
}

/// Quantiles nearer than this share of the whole range count as one: the slope
/// between them would be so steep that nothing is left of the others' in the sum.
const NEAR: f64 = 1e-9;

/// The way up through the quantiles of all members at one step. Between two of
/// a member's quantiles its distribution is even; what lies beyond the outer
/// ones counts as lying there. So what lies below a place grows along straight
/// lines, which bend and jump at the quantiles only.
#[derive(Debug)]
struct Climb<'a> {
    levels: &'a [f64],
    lowest: f64,
    highest: f64,
    near: f64,
    /// The members' weights at the last step.
    weights: Vec<f64>,
    /// All quantiles, member after member.
    values: Vec<f64>,
    /// What a member's line does at each.
    corners: Vec<Corner>,
    /// The order of all quantiles.
    order: Order,
}

/// What the line of a member does at a quantile.
#[derive(Debug, Default, Clone, Copy)]
struct Corner {
    /// How much lies on it.
    jump: f64,
    /// How much steeper it goes on after it.
    bend: f64,
}

impl<'a> Climb<'a> {
    /// `None` without levels.
    fn new(parts: &[(&Array2<f64>, &Blocks)], levels: &'a [f64]) -> Option<Self> {
        let (lowest, highest) = (*levels.first()?, *levels.last()?);
        let rows = parts.iter().flat_map(|(values, _)| values.rows());
        let (least, most) = rows.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), row| {
            (least.min(row[0]), most.max(row[levels.len() - 1]))
        });
        Some(Climb {
            levels,
            lowest,
            highest,
            near: NEAR * (most - least),
            weights: Vec::new(),
            values: Vec::new(),
            corners: Vec::new(),
            order: Order::default(),
        })
    }

    /// Looks where the mixture of `parts`, weights with quantiles, reaches each
    /// of the levels.
    fn up(&mut self, parts: &[(f64, &[f64])], mut found: ArrayViewMut1<'_, f64>) {
        self.look_at(parts);
        self.order.put(&self.values, self.levels.len());
        let total: f64 = self.weights.iter().sum();
        let Some(mut last) = self.order.places().next().map(|place| self.values[place]) else { return };
        let (mut reached, mut slope) = (0.0, 0.0);
        let mut wanted = self.levels.iter().map(|level| level * total).zip(&mut found);
        let mut next = wanted.next();
        for place in self.order.places() {
            let corner = self.corners[place];
            let value = self.values[place].max(last);
            let below = reached + slope * (value - last);
            let up_to = below + corner.jump;
            while let Some((level, cell)) = next.take_if(|(level, _)| *level <= up_to) {
                let rise = below - reached;
                let part = if rise > 0.0 { ((level - reached) / rise).clamp(0.0, 1.0) } else { 1.0 };
                *cell = last + (value - last) * part;
                next = wanted.next();
            }
            if next.is_none() {
                return;
            }
            slope += corner.bend;
            (last, reached) = (value, up_to);
        }
        next.into_iter().chain(wanted).for_each(|(_, cell)| *cell = last);
    }

    /// Makes out where each member's line jumps and bends. Many a member says of
    /// a step what it said of the one before.
    fn look_at(&mut self, parts: &[(f64, &[f64])]) {
        let width = self.levels.len();
        if self.weights.len() != parts.len() {
            self.weights = vec![f64::NAN; parts.len()];
            self.values.resize(parts.len() * width, 0.0);
            self.corners.resize(parts.len() * width, Corner::default());
        }
        for (member, (weight, quantiles)) in parts.iter().enumerate() {
            let places = member * width..(member + 1) * width;
            let values = &mut self.values[places.clone()];
            if self.weights[member] == *weight && values == *quantiles {
                continue;
            }
            self.weights[member] = *weight;
            values.copy_from_slice(quantiles);
            self.bend(*weight, quantiles, places);
        }
    }

    /// Makes out where the line of one member jumps and bends. Below its first
    /// quantile lies nothing, on its last all that is left.
    fn bend(&mut self, weight: f64, quantiles: &[f64], places: Range<usize>) {
        let (mut jump, mut slope) = (weight * self.lowest, 0.0);
        let corners = &mut self.corners[places];
        let neighbours = quantiles.windows(2).zip(self.levels.windows(2));
        for (corner, (quantiles, levels)) in corners.iter_mut().zip(neighbours) {
            let distance = quantiles[1] - quantiles[0];
            let rise = weight * (levels[1] - levels[0]);
            let is_far = distance > self.near;
            let steeper = if is_far { rise / distance } else { 0.0 };
            *corner = Corner { jump, bend: steeper - slope };
            (jump, slope) = (if is_far { 0.0 } else { rise }, steeper);
        }
        if let Some(corner) = corners.last_mut() {
            *corner = Corner { jump: jump + weight * (1.0 - self.highest), bend: -slope };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn the_mixture_is_wide_where_members_disagree() {
        let levels = [0.1, 0.5, 0.9];
        let (low, high) = (array![[0.0, 1.0, 2.0]], array![[10.0, 11.0, 12.0]]);
        let half = [0.5; 4];
        let mixed = mix(&[(&low, &half), (&high, &half)], &levels);
        // A fifth of the lower one lies below its level 0.2, at 0.25.
        assert!((mixed[[0, 0]] - 0.25).abs() < 1e-9 && (mixed[[0, 2]] - 11.75).abs() < 1e-9, "{mixed}");
        assert!(mixed[[0, 1]] >= 2.0 && mixed[[0, 1]] <= 10.0, "{mixed}");
        let same = mix(&[(&low, &half), (&low, &[0.2; 4])], &levels);
        assert!(same.iter().zip(&low).all(|(found, wanted)| (found - wanted).abs() < 1e-9), "{same}");
        assert_eq!(mix(&[(&low, &half), (&high, &[1e-4; 4])], &levels), low);
    }

    #[test]
    fn it_is_what_the_members_distributions_add_up_to() {
        let levels = [0.1, 0.3, 0.5, 0.8, 0.99];
        let mut state = 7_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let mut member = |scale: f64| {
            Array2::from_shape_fn((30, levels.len()), |_| scale * random()).rows().into_iter().fold(
                Array2::zeros((0, levels.len())),
                |mut all, row| {
                    let mut row = row.to_vec();
                    row.sort_by(f64::total_cmp);
                    all.push_row(ndarray::ArrayView1::from(&row)).unwrap();
                    all
                },
            )
        };
        // The last one's quantiles lie as near beside each other as numbers can.
        let members = [member(1.0), member(5.0), member(20.0), member(1e-15).mapv(|value| value + 3.0)];
        let weights = [[0.4; 4], [0.3; 4], [0.2; 4], [0.1; 4]];
        let parts: Vec<_> = members.iter().zip(&weights).collect();
        let mixed = mix(&parts, &levels);
        let below = |values: ndarray::ArrayView1<'_, f64>, at: f64| {
            let passed = values.iter().filter(|value| **value <= at).count();
            match passed {
                0 => 0.0,
                passed if passed == levels.len() => 1.0,
                passed => {
                    let (from, to) = (values[passed - 1], values[passed]);
                    levels[passed - 1] + (levels[passed] - levels[passed - 1]) * (at - from) / (to - from)
                }
            }
        };
        for (step, row) in mixed.rows().into_iter().enumerate() {
            for (found, level) in row.iter().zip(levels) {
                let at = |place: f64| -> f64 {
                    parts.iter().map(|(values, weights)| weights[0] * below(values.row(step), place)).sum()
                };
                let (under, over) = (at(found - 1e-6), at(found + 1e-6));
                assert!(
                    under <= level + 1e-9 && level - 1e-9 <= over,
                    "{step}: {found} is not at {level}: {under} to {over}"
                );
            }
        }
    }

    #[test]
    fn what_a_part_says_where_it_weighs_nothing_is_not_needed() {
        let steps = 30;
        let row = |base: f64| Array2::from_shape_fn((steps, 3), |(step, level)| base + (step * level) as f64);
        let (soon, later) = (row(1.0), row(5.0));
        let weights = [[0.7, 0.4, 0.001, 0.0], [0.3, 0.6, 0.999, 1.0]];
        let totals = [1.0; 4];
        let wanted = weights.map(|one| steps_wanted(&one, &totals, steps));
        assert_eq!(wanted, [12, 30]);
        assert_eq!(steps_wanted(&[0.0; 4], &totals, steps), 0);
        let levels = [0.1, 0.5, 0.9];
        let short = soon.slice_axis(ndarray::Axis(0), (..wanted[0]).into()).to_owned();
        let whole = mix(&[(&soon, &weights[0]), (&later, &weights[1])], &levels);
        assert_eq!(mix(&[(&short, &weights[0]), (&later, &weights[1])], &levels), whole);
    }

    #[test]
    fn what_is_certain_stays_certain() {
        let certain = array![[3.0, 3.0, 3.0]];
        let wide = array![[1.0, 3.0, 5.0]];
        let mixed = mix(&[(&certain, &[0.8; 4]), (&wide, &[0.2; 4])], &[0.1, 0.5, 0.9]);
        assert!((mixed[[0, 0]] - 3.0).abs() < 1e-9 && (mixed[[0, 2]] - 3.0).abs() < 1e-9, "{mixed}");
        assert_eq!(mix(&[], &[0.5]).nrows(), 0);
    }
}
