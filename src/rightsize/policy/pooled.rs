//! Quantile regression over all series together: how the usage that comes
//! follows from the last hours and days is much the same for many tenants, and
//! a tenant's own weeks are too few to learn it from.
//!
//! Logarithms of the past's peaks, each beside the series' own mean peak, are
//! weighed so that a given share of the intervals lies below (Koenker and
//! Bassett 1978). The weights are fitted to intervals that were over before they are
//! used, by weighted least squares whose weights approach the pinball loss
//! (Schlossmacher 1973), and now and then anew.

use std::sync::Arc;

use linfa_linalg::cholesky::SolveCInplace;
use ndarray::{Array1, Array2, ArrayView1, Axis};
use serde::{Deserialize, Serialize};

use super::{DAY, Members, Past};
use crate::rightsize::past::KEPT_HOURS;

/// What a prediction is made from.
const FEATURES: usize = 15;
/// The shares of intervals that lie below the members, rising.
const LEVELS: [f64; 3] = [0.6, 0.85, 0.97];
/// The share of an interval's samples that the predicted one is above.
const OF_INTERVAL: f64 = 0.985;
/// How far from the mean peak values count, in logarithms.
const FAR: f64 = 4.0;
/// The most rows of a fit.
const ROWS: usize = 20_000;
/// The least rows of a fit.
const LEAST_ROWS: usize = 300;
/// Rounds of least squares, and the smallest miss that weights are taken from.
const ROUNDS: usize = 25;
const SMALLEST_MISS: f64 = 0.01;
/// What is held against weights that move from the start, as a share of the
/// equations' mean diagonal.
const PENALTY: f64 = 1e-3;
/// The feature that a limit is until something is learnt: the last day's peak.
const START: usize = 5;

/// What a fleet taught: weights of the features for each member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    weights: [[f64; FEATURES]; LEVELS.len()],
}

impl Default for Fit {
    fn default() -> Self {
        let mut weights = [0.0; FEATURES];
        weights[START] = 1.0;
        Fit { weights: [weights; LEVELS.len()] }
    }
}

/// An interval of one series that is over: what was known before, and how much
/// it needed.
#[derive(Debug, Clone)]
pub struct Row {
    /// The number of the interval's first hour.
    pub hour: i64,
    features: [f32; FEATURES],
    target: f32,
}

/// The rows of one series, made hour by hour.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    past: Past,
    /// Those whose interval is not over, with the scale of each.
    open: Vec<(Row, f64)>,
    over: Vec<Row>,
}

impl Rows {
    /// Takes in the hour of this number; gaps are left out. A row begins after
    /// each hour whose successor's number is a multiple of `stride`.
    pub fn observe(&mut self, samples: &[f64], hour: i64, hours: usize, stride: usize) {
        if self.past.hours_seen() == 0 && samples.is_empty() {
            return;
        }
        self.past.push(samples);
        let next = hour + 1;
        let past = &self.past;
        self.over.extend(self.open.extract_if(.., |(row, _)| next - row.hour >= hours as i64).filter_map(
            |(row, scale)| {
                let [needed] = past.quantiles(hours, [OF_INTERVAL]);
                let target = logarithm(needed, scale) as f32;
                (past.count(hours) > 0).then_some(Row { target, ..row })
            },
        ));
        if next.rem_euclid(stride as i64) == 0
            && let Some((scale, features)) = features(past, hours)
        {
            let features = features.map(|feature| feature as f32);
            self.open.push((Row { hour: next, features, target: 0.0 }, scale));
        }
    }

    /// The rows whose interval is over.
    pub fn over(self) -> Vec<Row> {
        self.over
    }
}

fn logarithm(value: f64, scale: f64) -> f64 {
    (value.max(f64::MIN_POSITIVE) / scale).ln().clamp(-FAR, FAR)
}

/// The series' scale and the features for the next `hours`; `None` where the
/// past is idle.
fn features(past: &Past, hours: usize) -> Option<(f64, [f64; FEATURES])> {
    let (scale, spread) = past.mean_peak(KEPT_HOURS);
    if scale <= 0.0 {
        return None;
    }
    let hour = past.last_hour();
    let half_hour = hour[hour.len() / 2..].iter().copied().fold(0.0, f64::max);
    let [one, three, six, day, days, week] = past.peaks([1, 3, 6, DAY, 3 * DAY, 7 * DAY]);
    let [most_of_day] = past.quantiles(DAY, [0.95]);
    let slots: [f64; 7] = std::array::from_fn(|ago| past.peak_of_slot((ago + 1) * DAY, hours));
    let known = past.hours_seen().div_ceil(DAY).clamp(1, 7);
    let usual = slots[..known].iter().sum::<f64>() / known as f64;
    let yesterday = if slots[0] > 0.0 { slots[0] } else { day };
    let last_week = if slots[6] > 0.0 { slots[6] } else { usual };
    let of = |value| logarithm(value, scale);
    let features = [
        1.0,
        of(half_hour),
        of(one),
        of(three),
        of(six),
        of(day),
        of(days),
        of(week),
        of(most_of_day),
        of(past.last_mean()),
        of(yesterday),
        of(usual),
        of(slots[..3].iter().copied().fold(0.0, f64::max).max(usual)),
        of(last_week),
        (spread / scale).min(FAR),
    ];
    Some((scale, features))
}

impl Fit {
    /// Learns from rows, of which every so many are taken where there are too
    /// many; `None` where there are too few.
    pub fn of(rows: &[&Row]) -> Option<Fit> {
        if rows.len() < LEAST_ROWS {
            return None;
        }
        let rows: Vec<&Row> = rows.iter().copied().step_by(rows.len().div_ceil(ROWS)).collect();
        let features = Array2::from_shape_fn((rows.len(), FEATURES), |(row, place)| {
            f64::from(rows[row].features[place])
        });
        let targets: Array1<f64> = rows.iter().map(|row| f64::from(row.target)).collect();
        let mut fit = Fit::default();
        for (weights, level) in fit.weights.iter_mut().zip(LEVELS) {
            *weights = regress(&features, &targets, level, weights)?;
        }
        Some(fit)
    }
}

/// The weights with the least pinball loss of targets, shape `[n]`, by features,
/// shape `[n, FEATURES]`, found from `start`.
fn regress(
    features: &Array2<f64>,
    targets: &Array1<f64>,
    level: f64,
    start: &[f64; FEATURES],
) -> Option<[f64; FEATURES]> {
    let start = ArrayView1::from(start);
    // What is left beside the start, which is what is penalised.
    let beside = targets - &features.dot(&start);
    let mut weights = start.to_owned();
    let mut weighed = features.clone();
    for round in 0..ROUNDS {
        let smallest = SMALLEST_MISS * f64::max(1.0, 10.0 - round as f64);
        let weight = |miss: f64| {
            let side = if miss > 0.0 { level } else { 1.0 - level };
            side / miss.abs().max(smallest)
        };
        let weight = (targets - &features.dot(&weights)).mapv_into(weight).insert_axis(Axis(1));
        weighed.assign(features);
        weighed *= &weight;
        weights = solve(features.t().dot(&weighed), beside.dot(&weighed))? + start;
    }
    let weights: [f64; FEATURES] = weights.to_vec().try_into().ok()?;
    weights.iter().all(|weight| weight.is_finite()).then_some(weights)
}

fn solve(mut gram: Array2<f64>, moment: Array1<f64>) -> Option<Array1<f64>> {
    let unit = gram.diag().mean()?;
    gram.diag_mut().mapv_inplace(|value| value + PENALTY * unit);
    let moment = moment.insert_axis(Axis(1));
    Some(gram.solvec_into(moment).ok()?.column(0).to_owned())
}

fn dot(features: &[f64; FEATURES], weights: &[f64; FEATURES]) -> f64 {
    features.iter().zip(weights).map(|(feature, weight)| feature * weight).sum()
}

/// The members: what the fleet taught, for one series.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Pooled {
    #[serde(with = "crate::rightsize::packed::shared")]
    fit: Option<Arc<Fit>>,
}

impl Members for Pooled {
    fn names(&self) -> Vec<String> {
        LEVELS.map(|level| format!("all series' p{}", level * 100.0)).to_vec()
    }

    fn heed(&mut self, fit: &Arc<Fit>) {
        self.fit = Some(Arc::clone(fit));
    }

    fn limits(&self, past: &Past, hours: usize, limits: &mut Vec<f64>) {
        let Some(fit) = &self.fit else {
            return limits.extend([past.peak(DAY); LEVELS.len()]);
        };
        let Some((scale, features)) = features(past, hours) else {
            return limits.extend([0.0; LEVELS.len()]);
        };
        limits.extend(fit.weights.iter().map(|weights| scale * dot(&features, weights).min(FAR).exp()));
    }
}
