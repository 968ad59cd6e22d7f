//! Links: the scales on which a linear model may see a series.

/// The share of the median that is added before the logarithm of a series that
/// comes near zero.
const OFFSET_SHARE: f64 = 0.1;
/// Where the smallest value is above this share of the median, the logarithm
/// needs no offset.
const NEAR_ZERO: f64 = 0.02;

/// A monotone scale with its way back.
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// The logarithm that suits `values`, none of them negative, in any order.
    pub fn log_for(values: &[f64]) -> Self {
        let mut positive: Vec<f64> = values.iter().copied().filter(|value| *value > 0.0).collect();
        let middle = positive.len() / 2;
        if positive.is_empty() {
            return Link::Log { offset: 1.0 };
        }
        let median = *positive.select_nth_unstable_by(middle, f64::total_cmp).1;
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let offset = if least > NEAR_ZERO * median { 0.0 } else { OFFSET_SHARE * median };
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
}
