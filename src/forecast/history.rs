//! A history made ready for the models: without the part before its first
//! sample, with the seasons that it can show, and with gaps filled for those
//! models that need every step.

use ndarray::ArrayView1;

use super::Abstention;
use super::link::Link;
use crate::series::stats::Order;

/// Samples without which no forecast is made.
const LEAST_SAMPLES: usize = 12;
/// Longest seasons that are looked back at; what is older says little.
const SEASONS_KEPT: usize = 8;
/// Steps that are kept at least, however short the seasons are.
const LEAST_KEPT: usize = 1000;

/// What the models see of a series.
#[derive(Debug, Clone)]
pub(super) struct History {
    /// The samples, `NaN` for gaps; the first is a sample.
    pub known: Vec<f64>,
    /// The same with the gaps filled.
    pub filled: Vec<f64>,
    /// The samples with their steps, the smallest value first.
    pub sorted: Vec<(f64, usize)>,
    /// The logarithm that suits them; the values themselves where some are negative.
    pub log: Link,
    /// The shortest season in steps; 1 where the history shows none twice.
    pub season: usize,
    /// The longest season in steps, where it is another one.
    pub long_season: Option<usize>,
    /// Whether no sample lies below zero: then no forecast does either.
    pub never_negative: bool,
}

impl History {
    /// Prepares `values`, of shape `[n]` with anything not finite as a gap.
    ///
    /// # Errors
    /// Abstains where there are too few samples, or one is too large.
    pub fn prepare(values: ArrayView1<'_, f64>, seasons: &[usize]) -> Result<Self, Abstention> {
        let samples = values.iter().filter(|value| value.is_finite()).count();
        if samples == 0 {
            return Err(Abstention::NoSamples);
        }
        if samples < LEAST_SAMPLES {
            return Err(Abstention::TooShort { have: samples, need: LEAST_SAMPLES });
        }
        let longest = seasons.iter().copied().max().unwrap_or(1);
        let kept = LEAST_KEPT.max(SEASONS_KEPT.saturating_mul(longest));
        let recent = values.iter().skip(values.len().saturating_sub(kept));
        // Where the whole recent part is a gap, the older samples are all there is.
        let has_samples = recent.clone().filter(|value| value.is_finite()).count() >= LEAST_SAMPLES;
        let skipped = if has_samples { values.len().saturating_sub(kept) } else { 0 };
        let first = values.iter().skip(skipped).position(|value| value.is_finite()).unwrap_or(0);
        let kept = values.iter().skip(skipped + first);
        if let Some(value) = kept.clone().find(|value| value.is_finite() && value.abs() > LARGEST) {
            return Err(Abstention::TooLarge { value: *value, most: LARGEST });
        }
        let or_gap = |value: &f64| if value.is_finite() { *value } else { f64::NAN };
        let known: Vec<f64> = kept.map(or_gap).collect();
        let mut fitting: Vec<usize> =
            seasons.iter().copied().filter(|season| *season > 1 && known.len() >= 2 * season).collect();
        fitting.sort_unstable();
        let sorted = sorted(&known);
        let never_negative = sorted.first().is_none_or(|(least, _)| *least >= 0.0);
        let values: Vec<f64> = sorted.iter().map(|(value, _)| *value).collect();
        let season = fitting.first().copied().unwrap_or(1);
        Ok(History {
            filled: filled(&known, season),
            log: if never_negative { Link::log_for(&values) } else { Link::Level },
            sorted,
            season,
            long_season: fitting.last().copied().filter(|longest| *longest > season),
            never_negative,
            known,
        })
    }

    /// The samples before `end`, the smallest first.
    pub fn sorted_before(&self, end: usize) -> Vec<f64> {
        self.sorted.iter().filter(|(_, step)| *step < end).map(|(value, _)| *value).collect()
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.known.len()
    }
}

/// How far from zero a sample may lie, so that squares can still be added up.
const LARGEST: f64 = 1e100;

fn sorted(known: &[f64]) -> Vec<(f64, usize)> {
    let mut order = Order::default();
    order.put(known, known.len());
    let samples = order.places().map(|step| (known[step], step));
    samples.filter(|(value, _)| value.is_finite()).collect()
}

/// Fills each gap with the value a season before, or else the last one.
pub(super) fn filled(known: &[f64], season: usize) -> Vec<f64> {
    let mut filled: Vec<f64> = Vec::with_capacity(known.len());
    for (step, value) in known.iter().enumerate() {
        let before = if season > 1 { step.checked_sub(season) } else { step.checked_sub(1) };
        let before = before.or_else(|| step.checked_sub(1)).and_then(|step| filled.get(step)).copied();
        filled.push(if value.is_finite() { *value } else { before.unwrap_or(0.0) });
    }
    filled
}
