//! The forecast of many series at once: every member tried on the recent past,
//! and their quantiles averaged with weights by what they lost.
//!
//! Nothing is chosen on what is forecast. A series' last seasons are forecast
//! from before them; the members' weights follow from their pinball losses
//! there: the softmax of the loss relative to the least one. Averaging quantiles
//! at equal levels keeps them in order (Vincent averaging; Lichtendahl,
//! Grushka-Cockayne and Winkler 2013, Is it better to average probabilities or
//! quantiles?).

mod learned;
pub(super) mod member;
mod naive;
mod regressions;
pub(super) mod trial;
mod weights;

pub use self::learned::{Fleet, Learned};

use ndarray::{Array1, Array2, ArrayView1};
use rayon::prelude::*;

use self::member::{Case, Fitted, Member, Outlook};
use self::trial::Trial;
use self::weights::{mean_loss, softmax};
use super::history::History;
use super::link::Link;
use super::residuals::{Offsets, Residuals};
use super::{Abstention, Forecast, Quantiles, Share, Verdict};

/// How strongly the members' weights follow their losses.
const MEMBER_SHARPNESS: f64 = 7.0;
/// How much wider the quantiles are made than the weighted mean has them: the
/// weights are chosen on the same trials that the misses are taken from, and the
/// best in a trial is a little worse afterwards.
const WIDENING: f64 = 1.05;
/// Series that members learn from together, at most.
const MOST_SHARING: usize = 256;
/// Levels at which members are compared.
pub(super) const COMPARED_LEVELS: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

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
    forecast_by(&member::all(), series, horizon, quantiles)
}

/// The same with some members only. A series on which all of them abstain has
/// no forecast.
pub(super) fn forecast_by(
    members: &[Box<dyn Member>],
    series: &[Past<'_>],
    horizon: usize,
    quantiles: &Quantiles,
) -> Vec<Result<Forecast, Abstention>> {
    let prepared = prepare_all(series, horizon);
    let asked = Asked::of(quantiles);
    let cases = cases(&prepared, horizon, &asked);
    let members = fit(members, &cases);
    let one = |case: Result<Case<'_>, Abstention>| {
        let case = case?;
        let outlooks = members.iter().map(|(_, member)| Ok(weigh(&case, member.outlook(&case)?)));
        combine(&case, &members, outlooks.collect(), &asked, quantiles)
    };
    cases.into_par_iter().map(one).collect()
}

/// A series made ready, with its trial.
type Prepared = Result<(History, Trial), Abstention>;

fn prepare_all(series: &[Past<'_>], horizon: usize) -> Vec<Prepared> {
    let prepare = |past: &Past<'_>| {
        let history = History::prepare(past.values, past.seasons)?;
        let trial = Trial::of(&history, horizon);
        Ok((history, trial))
    };
    series.par_iter().map(prepare).collect()
}

fn cases<'a>(
    prepared: &'a [Prepared],
    horizon: usize,
    asked: &'a Asked,
) -> Vec<Result<Case<'a>, Abstention>> {
    let case = |prepared: &'a Prepared| match prepared {
        Ok((history, trial)) => Ok(Case { history, trial, horizon, levels: &asked.levels }),
        Err(reason) => Err(reason.clone()),
    };
    prepared.iter().map(case).collect()
}

/// A fitted member with its name.
type Named = (&'static str, Box<dyn Fitted>);

/// Lets every member learn from a sample of the series.
fn fit(members: &[Box<dyn Member>], cases: &[Result<Case<'_>, Abstention>]) -> Vec<Named> {
    let fitting: Vec<&Case<'_>> = cases.iter().flatten().collect();
    let every = fitting.len().div_ceil(MOST_SHARING).max(1);
    let sample: Vec<Case<'_>> = fitting.into_iter().step_by(every).cloned().collect();
    members.iter().map(|member| (member.name(), member.fit(&sample))).collect()
}

/// The levels that are asked for, rising, with the median among them.
struct Asked {
    levels: Vec<f64>,
    /// The column of the median, which is the point forecast.
    median: usize,
}

impl Asked {
    fn of(quantiles: &Quantiles) -> Self {
        // The median travels as a column of its own, even where it is asked for.
        let median = quantiles.levels().partition_point(|level| *level <= 0.5);
        let mut levels = quantiles.levels().to_vec();
        levels.insert(median, 0.5);
        Asked { levels, median }
    }
}

/// What a member says in quantiles, and its mean loss in the trial.
struct Weighed {
    values: Array2<f64>,
    loss: f64,
    /// How `values` follow from its point forecast, where it makes one.
    offsets: Option<Offsets>,
}

fn combine(
    case: &Case<'_>,
    members: &[Named],
    outlooks: Vec<Result<Weighed, Abstention>>,
    asked: &Asked,
    quantiles: &Quantiles,
) -> Result<Forecast, Abstention> {
    if outlooks.iter().all(Result::is_err)
        && let Some(Err(reason)) = outlooks.first()
    {
        return Err(reason.clone());
    }
    let losses: Vec<f64> = outlooks.iter().flatten().map(|member| member.loss).collect();
    let mut weights = softmax(&losses, MEMBER_SHARPNESS).into_iter();
    let mut values = Array2::zeros((case.horizon, asked.levels.len()));
    let mut verdicts = Vec::with_capacity(members.len());
    for ((name, _), outlook) in members.iter().zip(outlooks) {
        let outcome = outlook.map(|member| {
            let weight = weights.next().unwrap_or(0.0);
            values.scaled_add(weight, &member.values);
            Share { weight, loss: member.loss }
        });
        verdicts.push(Verdict { member: name, outcome });
    }
    Ok(finish(case.history, values, asked.median, quantiles, verdicts))
}

fn weigh(case: &Case<'_>, outlook: Outlook) -> Weighed {
    match outlook {
        Outlook::Points { link, tried, ahead } => weigh_points(case, link, &tried, &ahead),
        Outlook::Quantiles { tried, ahead } => {
            Weighed { loss: mean_loss(case.history, case.trial, &tried), values: ahead, offsets: None }
        }
    }
}

/// The misses of a point forecast at the other half of the origins give its
/// loss, all of them its quantiles.
fn weigh_points(case: &Case<'_>, link: Link, tried: &Array2<f64>, ahead: &Array1<f64>) -> Weighed {
    let (history, trial) = (case.history, case.trial);
    let (least, most) = plausible(history);
    let tried = tried.mapv(|value| value.clamp(least, most));
    let half = trial.origins.len() / 2;
    let residuals =
        |used: &dyn Fn(usize) -> bool| Residuals::of(link, &history.known, &trial.origins, &tried, used);
    let halves = [residuals(&|index| index >= half), residuals(&|index| index < half)];
    let compared: Vec<Array2<f64>> = trial
        .compared
        .iter()
        .map(|index| {
            halves[usize::from(*index >= half)].around(&tried.column(*index).to_owned(), &COMPARED_LEVELS)
        })
        .collect();
    let offsets = residuals(&|_| true).offsets(case.levels);
    let values = about(&offsets, ahead, history);
    Weighed { values, loss: mean_loss(history, trial, &compared), offsets: Some(offsets) }
}

/// The quantiles about a point forecast that is held to what is plausible.
fn about(offsets: &Offsets, ahead: &Array1<f64>, history: &History) -> Array2<f64> {
    let (least, most) = plausible(history);
    let mut values = offsets.around(&ahead.mapv(|value| value.clamp(least, most)));
    values.mapv_inplace(|value| value.min(most));
    values
}

/// Widens the quantiles about the median, holds the floor and the order of the
/// quantiles, and takes the median out.
fn finish(
    history: &History,
    mut values: Array2<f64>,
    median: usize,
    quantiles: &Quantiles,
    members: Vec<Verdict>,
) -> Forecast {
    let floor = if history.never_negative { 0.0 } else { f64::MIN };
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
    Forecast { mean, quantiles: quantiles.clone(), values, members }
}

/// Between what a point forecast may lie: as far outside all that was seen as
/// that spans. Where nothing was zero nothing is, as a logarithm needs.
fn plausible(history: &History) -> (f64, f64) {
    let seen = || history.known.iter().copied().filter(|value| value.is_finite());
    let (least, most) = (seen().fold(f64::INFINITY, f64::min), seen().fold(f64::NEG_INFINITY, f64::max));
    let span = most - least;
    (if history.never_negative { least / 4.0 } else { least - span }, most + span)
}

#[cfg(test)]
mod tests;
