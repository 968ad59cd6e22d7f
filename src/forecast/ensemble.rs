//! The forecast of many series at once: every model tried on the recent past,
//! and their quantiles averaged with weights by what they missed by.
//!
//! Nothing is chosen on what is forecast. A series' last seasons are forecast
//! from before them; the regressions' weights follow from their absolute
//! misses there, and the weights of the regressions' mean, of the two naive
//! forecasts and of the windows from their pinball losses: the softmax of the
//! loss relative to the least one. Averaging quantiles at equal levels keeps
//! them in order (Vincent averaging; Lichtendahl, Grushka-Cockayne and Winkler
//! 2013, Is it better to average probabilities or quantiles?).

use ndarray::{Array1, Array2, ArrayView1};
use rayon::prelude::*;

use super::autoregression::{self, Outlook, Priors, VARIANTS};
use super::history::History;
use super::link::Link;
use super::residuals::Residuals;
use super::windows::{SortedPast, WINDOWS, Window};
use super::{Abstention, Forecast, Quantiles};

/// How strongly the regressions' weights follow their misses.
const REGRESSION_SHARPNESS: f64 = 4.0;
/// How strongly the members' weights follow their losses.
const MEMBER_SHARPNESS: f64 = 7.0;
/// The unit in which losses differ is at least this share of their mean.
const LEAST_UNIT: f64 = 1e-3;
/// How much wider the quantiles are made than the weighted mean has them: the
/// weights are chosen on the same trials that the misses are taken from, and the
/// best in a trial is a little worse afterwards.
const WIDENING: f64 = 1.05;
/// Series that the shared coefficients are learnt from, at most.
const MOST_SHARING: usize = 256;
/// Levels at which members are compared.
const COMPARED_LEVELS: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
/// Origins at which members are compared, one a season.
const COMPARED_ORIGINS: usize = 8;
/// Seasons that are forecast in a trial.
const SEASONS_TRIED: usize = 2;
/// Origins at which the regressions are tried, at most.
const MOST_ORIGINS: usize = 36;

/// Places in a season for which windows are compared.
const PLACES_TRIED: usize = 8;

/// A series to forecast.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    /// Its samples on a regular grid, `NaN` for gaps, shape `[n]`.
    pub values: ArrayView1<'a, f64>,
    /// The lengths of its seasons in steps.
    pub seasons: &'a [usize],
}

/// Forecasts each series for the `horizon` steps after its end, in parallel.
/// What they have in common is learnt from them together, so that series that
/// belong together should be given together.
///
/// # Errors
/// Each series abstains for itself, with the reason.
pub fn forecast_all(
    series: &[Past<'_>],
    horizon: usize,
    quantiles: &Quantiles,
) -> Vec<Result<Forecast, Abstention>> {
    let histories: Vec<Result<History, Abstention>> =
        series.par_iter().map(|past| History::prepare(past.values, past.seasons)).collect();
    let fitting: Vec<&History> = histories.iter().flatten().collect();
    let every = fitting.len().div_ceil(MOST_SHARING).max(1);
    let sample: Vec<(&History, usize)> =
        fitting.iter().step_by(every).map(|history| (*history, Trial::of(history, horizon).start)).collect();
    let priors = Priors::learn(&sample);
    let one = |history: Result<History, Abstention>| Ok(forecast(&history?, &priors, horizon, quantiles));
    histories.into_par_iter().map(one).collect()
}

/// Where and how far the recent past is forecast to compare the models.
struct Trial {
    /// The first origin: regressions know nothing from here on.
    start: usize,
    /// The origins of the regressions, rising.
    origins: Vec<usize>,
    /// Which of them are compared.
    compared: Vec<usize>,
    /// The steps that are forecast.
    horizon: usize,
}

impl Trial {
    fn of(history: &History, horizon: usize) -> Self {
        let known = history.len();
        let season = if history.season > 1 { history.season } else { (known / 12).clamp(1, 24) };
        let horizon = horizon.min(SEASONS_TRIED * season).max(1);
        let length = ((COMPARED_ORIGINS + 1) * season).min(known / 3).max(1);
        let start = known - length;
        let stride = (season / 4).max(length.div_ceil(MOST_ORIGINS)).max(1);
        // Counted from the end, so that the last origins see a whole horizon.
        let origins: Vec<usize> = (1..)
            .map(|back| back * stride)
            .take_while(|back| *back <= length)
            .map(|back| known - back)
            .collect();
        let mut origins: Vec<usize> = origins.into_iter().rev().collect();
        if origins.is_empty() {
            origins.push(start);
        }
        let shortest = season.min(length);
        let compared: Vec<usize> = (0..origins.len())
            .filter(|index| {
                let back = known - origins[*index];
                back >= shortest
                    && (back - shortest).is_multiple_of(season.div_ceil(stride).saturating_mul(stride))
            })
            .collect();
        let compared = if compared.is_empty() { vec![0] } else { compared };
        Trial { start, origins, compared, horizon }
    }
}

/// One member: its quantiles ahead and its mean loss in the trial.
struct Member {
    values: Array2<f64>,
    loss: f64,
}

fn forecast(history: &History, priors: &Priors, horizon: usize, quantiles: &Quantiles) -> Forecast {
    let trial = Trial::of(history, horizon);
    let mut levels = quantiles.levels().to_vec();
    // The median is the point forecast and travels as the last column.
    levels.push(0.5);
    let order = rising(&levels);
    let sorted: Vec<f64> = order.iter().map(|index| levels[*index]).collect();
    let mut members = naive_members(history, &trial, horizon, &sorted);
    members.extend(regression_member(history, &trial, priors, horizon, &sorted));
    members.extend(window_members(history, &trial, horizon, &sorted));
    let losses: Vec<f64> = members.iter().map(|member| member.loss).collect();
    let mut values = Array2::zeros((horizon, sorted.len()));
    for (member, weight) in members.iter().zip(softmax(&losses, MEMBER_SHARPNESS)) {
        values.scaled_add(weight, &member.values);
    }
    finish(history, values, &order, quantiles)
}

/// Widens the quantiles about the median, holds the floor and the order of the
/// quantiles, and takes the median out.
fn finish(history: &History, mut values: Array2<f64>, order: &[usize], quantiles: &Quantiles) -> Forecast {
    let floor = if history.never_negative { 0.0 } else { f64::MIN };
    let median = order.iter().position(|index| *index == order.len() - 1).unwrap_or(0);
    for mut row in values.rows_mut() {
        let (centre, mut least) = (row[median], floor);
        for cell in &mut row {
            let wider = centre + WIDENING * (*cell - centre);
            least = if wider.is_finite() { wider.max(least) } else { least };
            *cell = least;
        }
    }
    let mean = values.column(median).to_owned();
    values.remove_index(ndarray::Axis(1), median);
    Forecast { mean, quantiles: quantiles.clone(), values }
}

fn rising(levels: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..levels.len()).collect();
    order.sort_by(|a, b| levels[*a].total_cmp(&levels[*b]));
    order
}

/// Weights that fall with the loss relative to the least one; they sum to 1.
fn softmax(losses: &[f64], sharpness: f64) -> Vec<f64> {
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

/// The mean loss over the compared origins of quantiles made by `ahead`, which
/// gives shape `[horizon, compared levels]` for the index of an origin.
fn mean_loss(history: &History, trial: &Trial, mut ahead: impl FnMut(usize) -> Array2<f64>) -> f64 {
    let (mut sum, mut steps) = (0.0, 0_u32);
    for index in &trial.compared {
        let values = ahead(*index);
        let truth = history.known[trial.origins[*index]..].iter().take(trial.horizon);
        for (value, row) in truth.zip(values.rows()).filter(|(value, _)| value.is_finite()) {
            sum += pinball(*value, row.iter().copied());
            steps += 1;
        }
    }
    if steps > 0 { sum / f64::from(steps) } else { 0.0 }
}

/// A member of a point forecast: its misses at the other half of the origins
/// give its loss, all of them its quantiles.
fn point_member(
    history: &History,
    trial: &Trial,
    link: Link,
    tried: &Array2<f64>,
    ahead: &Array1<f64>,
    levels: &[f64],
) -> Member {
    let (least, most) = plausible(history);
    let tried = tried.mapv(|value| value.clamp(least, most));
    let ahead = ahead.mapv(|value| value.clamp(least, most));
    let half = trial.origins.len() / 2;
    let residuals =
        |used: &dyn Fn(usize) -> bool| Residuals::of(link, &history.known, &trial.origins, &tried, used);
    let halves = [residuals(&|index| index >= half), residuals(&|index| index < half)];
    let loss = mean_loss(history, trial, |index| {
        let other = &halves[usize::from(index >= half)];
        other.around(&tried.column(index).to_owned(), &COMPARED_LEVELS)
    });
    let mut values = residuals(&|_| true).around(&ahead, levels);
    values.mapv_inplace(|value| value.min(most));
    Member { values, loss }
}

/// Between what a point forecast may lie: as far outside all that was seen as
/// that spans. Where nothing was zero nothing is, as a logarithm needs.
fn plausible(history: &History) -> (f64, f64) {
    let seen = || history.known.iter().copied().filter(|value| value.is_finite());
    let (least, most) = (seen().fold(f64::INFINITY, f64::min), seen().fold(f64::NEG_INFINITY, f64::max));
    let span = most - least;
    (if history.never_negative { least / 4.0 } else { least - span }, most + span)
}

/// The last value and the last season, carried on.
fn naive_members(history: &History, trial: &Trial, horizon: usize, levels: &[f64]) -> Vec<Member> {
    let mut periods = vec![1];
    periods.extend((history.season > 1).then_some(history.season));
    let past = &history.filled;
    let carried = |period: usize, end: usize, step: usize| past[end - period.min(end) + step % period];
    let member = |period: usize| {
        let tried = Array2::from_shape_fn((trial.horizon, trial.origins.len()), |(step, column)| {
            carried(period, trial.origins[column], step)
        });
        let ahead = Array1::from_shape_fn(horizon, |step| carried(period, past.len(), step));
        point_member(history, trial, Link::Level, &tried, &ahead, levels)
    };
    periods.into_iter().map(member).collect()
}

/// The weighted mean of the autoregressions.
fn regression_member(
    history: &History,
    trial: &Trial,
    priors: &Priors,
    horizon: usize,
    levels: &[f64],
) -> Option<Member> {
    let outlooks: Vec<Outlook> = VARIANTS
        .into_iter()
        .flat_map(|variant| {
            autoregression::outlooks(history, variant, priors, &trial.origins, trial.horizon, horizon)
        })
        .collect();
    let misses: Vec<f64> =
        outlooks.iter().map(|outlook| absolute_miss(history, trial, &outlook.tried)).collect();
    let first = outlooks.first()?;
    let (mut tried, mut ahead) = (Array2::zeros(first.tried.dim()), Array1::zeros(horizon));
    for (outlook, weight) in outlooks.iter().zip(softmax(&misses, REGRESSION_SHARPNESS)) {
        tried.scaled_add(weight, &outlook.tried);
        ahead.scaled_add(weight, &outlook.ahead);
    }
    let link = if history.never_negative { Link::log_for(&history.filled) } else { Link::Level };
    Some(point_member(history, trial, link, &tried, &ahead, levels))
}

fn absolute_miss(history: &History, trial: &Trial, tried: &Array2<f64>) -> f64 {
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

fn window_members(history: &History, trial: &Trial, horizon: usize, levels: &[f64]) -> Vec<Member> {
    let past = SortedPast::of(history);
    let stride = (history.season / PLACES_TRIED).max(1);
    let member = |window: Window| {
        let loss = mean_loss(history, trial, |index| {
            window_quantiles(
                &past,
                window,
                trial.origins[index],
                trial.horizon,
                history.season,
                stride,
                &COMPARED_LEVELS,
            )
        });
        Member {
            values: window_quantiles(&past, window, history.len(), horizon, history.season, 1, levels),
            loss,
        }
    };
    WINDOWS.into_iter().map(member).collect()
}

/// A window's quantiles ahead of `end`, shape `[horizon, levels]`.
fn window_quantiles(
    past: &SortedPast,
    window: Window,
    end: usize,
    horizon: usize,
    season: usize,
    stride: usize,
    levels: &[f64],
) -> Array2<f64> {
    let mut values = Array2::zeros((horizon, levels.len()));
    // Without a focus all steps ahead look the same.
    let period = if past.is_focused(window) { season } else { 1 };
    let mut row = vec![0.0; levels.len()];
    for place in (0..period.min(horizon)).step_by(stride) {
        past.quantiles(window, end, place, levels, &mut row);
        let ahead = (place..(place + stride).min(period)).flat_map(|place| (place..horizon).step_by(period));
        for step in ahead {
            values.row_mut(step).assign(&ArrayView1::from(&row));
        }
    }
    values
}

#[cfg(test)]
mod tests;
