//! Links: the scales on which a linear model may see a series.

use ndarray::{ArrayView1, ArrayViewMut1};
use serde::{Deserialize, Serialize};

/// The share of the median that is added before the logarithm of a series that
/// comes near zero.
const OFFSET_SHARE: f64 = 0.1;
/// Where the smallest value is above this share of the median, the logarithm
/// needs no offset.
const NEAR_ZERO: f64 = 0.02;

/// A monotone scale with its way back.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) enum Link {
    /// The values themselves.
    Level,
    /// Square roots, for values that are never negative.
    Root,
    /// The logarithm of the value plus an offset, for values never negative.
    Log {
        /// What is added before the logarithm.
        offset: f64,
    },
}

impl Link {
    /// The logarithm that suits values sorted upwards, none of them negative.
    pub fn log_for(sorted: &[f64]) -> Self {
        let positive = &sorted[sorted.partition_point(|value| *value <= 0.0)..];
        let (Some(median), Some(least)) = (positive.get(positive.len() / 2).copied(), sorted.first()) else {
            return Link::Log { offset: 1.0 };
        };
        let offset = if *least > NEAR_ZERO * median { 0.0 } else { OFFSET_SHARE * median };
        Link::Log { offset }
    }

    /// From the level to the scale.
    pub fn apply(self, value: f64) -> f64 {
        match self {
            Link::Level => value,
            Link::Root => value.max(0.0).sqrt(),
            Link::Log { offset } => (value.max(0.0) + offset).max(f64::MIN_POSITIVE).ln(),
        }
    }

    /// From the scale back to the level.
    pub fn invert(self, value: f64) -> f64 {
        match self {
            Link::Level => value,
            Link::Root => value.max(0.0) * value.max(0.0),
            Link::Log { offset } => (value.min(300.0).exp() - offset).max(0.0),
        }
    }

    /// The move by `by` on the scale, as [`shift`](Self::shift) takes it: a factor where the
    /// scale is a logarithm.
    pub fn step(self, by: f64) -> f64 {
        if matches!(self, Link::Log { .. }) { by.min(300.0).exp() } else { by }
    }

    /// Where the level `from` comes to lie by each of `steps`, put into `to`.
    pub fn shift(self, from: f64, steps: ArrayView1<'_, f64>, to: ArrayViewMut1<'_, f64>) {
        let moves = to.into_iter().zip(steps);
        match self {
            Link::Level => moves.for_each(|(to, by)| *to = from + by),
            Link::Root => {
                let from = from.max(0.0).sqrt();
                moves.for_each(|(to, by)| *to = (from + by).max(0.0).powi(2));
            }
            Link::Log { offset } => {
                let from = (from.max(0.0) + offset).max(f64::MIN_POSITIVE);
                moves.for_each(|(to, by)| *to = (from * by - offset).max(0.0));
            }
        }
    }
}
