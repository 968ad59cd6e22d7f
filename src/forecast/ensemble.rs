//! The forecast of many series at once: every member tried on the recent past,
//! and what they say mixed with weights by what they lost.
//!
//! Nothing is chosen on what is forecast. A series' last seasons are forecast
//! from before them; the members' weights follow from their pinball losses
//! there: the softmax of the loss relative to the least one. The quantiles are
//! those of the mixture of the members' distributions (`mixture.rs`).

mod learned;
pub(super) mod member;
mod mixture;
mod naive;
mod pool;
mod regressions;
pub(super) mod trial;
mod weights;

pub use self::learned::{Fleet, Learned};

use ndarray::{Array1, Array2, ArrayView1};
use rayon::prelude::*;

use self::member::{Case, Fitted, Member, Outlook};
use self::mixture::mix;
use self::pool::Pool;
use self::trial::Trial;
use self::weights::{Blocks, Losses, block_of};
use super::history::History;
use super::link::Link;
use super::residuals::{Offsets, Residuals};
use super::{Abstention, Forecast, Quantiles, Share, Verdict};

/// Series that members learn from together, at most.
const MOST_SHARING: usize = 128;
/// Of these, about as many are tried first; a member that weighs nothing there
/// is not tried on the others.
const FIRST_TRIED: usize = 40;
/// Steps that can be forecast, at most: five weeks of minutes.
pub const MOST_STEPS: usize = 50_000;
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

/// The same without some members, to see what each of them is worth; their names
/// are those of [`Fleet::member_names`].
///
/// # Errors
/// As [`forecast_all`].
pub fn forecast_without(
    left_out: &[String],
    series: &[Past<'_>],
    horizon: usize,
    quantiles: &Quantiles,
) -> Vec<Result<Forecast, Abstention>> {
    let mut members = member::all();
    members.retain(|member| !left_out.iter().any(|name| name == member.name()));
    forecast_by(&members, series, horizon, quantiles)
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
    let (ensemble, sample) = Ensemble::learn(members, &cases);
    // What the ensemble was learnt from has been tried already.
    let mut known = sample.into_iter().peekable();
    let cases: Vec<_> = cases
        .into_iter()
        .enumerate()
        .map(|(place, case)| (case, known.next_if(|(tried, _)| *tried == place).map(|(_, tried)| tried)))
        .collect();
    let one = |(case, tried): (Result<Case<'_>, Abstention>, Option<Vec<Tried>>)| {
        let case = case?;
        let tried = tried.unwrap_or_else(|| ensemble.attempt(&case));
        ensemble.combine(&case, &tried, &asked, quantiles)
    };
    cases.into_par_iter().map(one).collect()
}

/// A series made ready, with its trial.
type Prepared = Result<(History, Trial), Abstention>;

fn prepare_all(series: &[Past<'_>], horizon: usize) -> Vec<Prepared> {
    let prepare = |past: &Past<'_>| {
        if horizon > MOST_STEPS {
            return Err(Abstention::TooFar { wanted: horizon, most: MOST_STEPS });
        }
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

/// What a member did in a trial, or why it abstained.
type Tried = Result<Weighed, Abstention>;

/// The members that have seen a fleet, and what its trials say of them.
struct Ensemble {
    members: Vec<Named>,
    pool: Pool,
}

impl Ensemble {
    /// Learns from a sample of the series. Gives also what the members did
    /// there, with the place of each series.
    fn learn(
        members: &[Box<dyn Member>],
        cases: &[Result<Case<'_>, Abstention>],
    ) -> (Self, Vec<(usize, Vec<Tried>)>) {
        let fitting: Vec<(usize, &Case<'_>)> = cases
            .iter()
            .enumerate()
            .filter_map(|(place, case)| case.as_ref().ok().map(|case| (place, case)))
            .collect();
        let every = fitting.len().div_ceil(MOST_SHARING).max(1);
        let (places, sample): (Vec<usize>, Vec<Case<'_>>) =
            fitting.into_iter().step_by(every).map(|(place, case)| (place, case.clone())).unzip();
        let sure = members.iter().map(|member| member.sure_weight()).collect();
        let members: Vec<Named> = members.iter().map(|member| (member.name(), member.fit(&sample))).collect();
        let every = sample.len() / FIRST_TRIED;
        let is_first = |place: usize| every < 2 || place.is_multiple_of(every);
        let whole = |(place, case): (usize, &Case<'_>)| {
            is_first(place).then(|| members.iter().map(|(_, member)| attempt(&**member, case)).collect())
        };
        let first: Vec<Option<Vec<Tried>>> = sample.par_iter().enumerate().map(whole).collect();
        let pairs: Vec<_> =
            sample.iter().zip(&first).filter_map(|(case, tried)| Some((case, tried.as_ref()?))).collect();
        let pool = Pool::learn(&pairs, sure);
        let ensemble = Ensemble { members, pool };
        let rest =
            |(case, tried): (&Case<'_>, Option<Vec<Tried>>)| tried.unwrap_or_else(|| ensemble.attempt(case));
        let tried: Vec<Vec<Tried>> = sample.par_iter().zip(first).map(rest).collect();
        let pairs: Vec<_> = sample.iter().zip(&tried).collect();
        let Ensemble { members, pool } = ensemble;
        let pool = if every < 2 { pool } else { pool.relearn(&pairs) };
        let pool = pool.calibrated(&pairs);
        (Ensemble { members, pool }, places.into_iter().zip(tried).collect())
    }

    /// What the members do in the trial, but for those that the fleet gives no weight.
    fn attempt(&self, case: &Case<'_>) -> Vec<Tried> {
        let one = |(place, (_, member)): (usize, &Named)| {
            if self.pool.is_idle(place, case) { Err(Abstention::Idle) } else { attempt(&**member, case) }
        };
        self.members.iter().enumerate().map(one).collect()
    }

    /// The mixture of what the members say.
    fn combine(
        &self,
        case: &Case<'_>,
        tried: &[Tried],
        asked: &Asked,
        quantiles: &Quantiles,
    ) -> Result<Forecast, Abstention> {
        if tried.iter().all(Result::is_err)
            && let Some(Err(reason)) = tried.first()
        {
            return Err(reason.clone());
        }
        let weights = self.pool.weights(case, tried);
        let parts = tried.iter().zip(&weights);
        let parts: Vec<_> =
            parts.filter_map(|(tried, weights)| Some((&tried.as_ref().ok()?.values, weights))).collect();
        let mut values = mix(&parts, &asked.levels);
        let verdict = |((named, tried), weights): ((&Named, &Tried), &Blocks)| {
            let outcome = tried
                .as_ref()
                .map_err(Abstention::clone)
                .map(|member| Share { weight: share(weights, case.horizon), loss: member.losses.total });
            Verdict { member: named.0, outcome }
        };
        let verdicts = self.members.iter().zip(tried).zip(&weights).map(verdict).collect();
        widen(&mut values, asked.median, self.pool.widening(case));
        Ok(finish(case.history, values, asked.median, quantiles, verdicts))
    }
}

fn attempt(member: &dyn Fitted, case: &Case<'_>) -> Tried {
    Ok(weigh(case, member.outlook(case)?))
}

/// The mean weight over the steps.
fn share(weights: &Blocks, horizon: usize) -> f64 {
    (0..horizon).map(|step| weights[block_of(step)]).sum::<f64>() / horizon.max(1) as f64
}

/// Moves the quantiles away from the median.
fn widen(values: &mut Array2<f64>, median: usize, factor: f64) {
    for mut row in values.rows_mut() {
        let centre = row[median];
        row.iter_mut().for_each(|cell| *cell = centre + factor * (*cell - centre));
    }
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

/// What a member says in quantiles, and what it lost in the trial.
struct Weighed {
    /// After the compared origins, each of shape `[trial.horizon, 9]`.
    tried: Vec<Array2<f64>>,
    /// After the end, shape `[horizon, levels]`.
    values: Array2<f64>,
    losses: Losses,
    /// How `values` follow from its point forecast, where it makes one.
    offsets: Option<Offsets>,
}

fn weigh(case: &Case<'_>, outlook: Outlook) -> Weighed {
    match outlook {
        Outlook::Points { link, tried, ahead } => weigh_points(case, link, &tried, &ahead),
        Outlook::Quantiles { tried, ahead } => {
            let losses = Losses::of(case.history, case.trial, &tried);
            Weighed { tried, values: ahead, losses, offsets: None }
        }
    }
}

/// The misses of a point forecast at the other half of the origins give its
/// loss, all of them its quantiles.
fn weigh_points(case: &Case<'_>, link: Link, tried: &Array2<f64>, ahead: &Array1<f64>) -> Weighed {
    let (history, trial) = (case.history, case.trial);
    let (least, most) = plausible(history);
    let tried = tried.mapv(|value| value.clamp(least, most));
    let linked = tried.mapv(|value| link.apply(value));
    let truth: Vec<f64> = history
        .known
        .iter()
        .enumerate()
        .map(
            |(step, value)| {
                if step >= trial.start && value.is_finite() { link.apply(*value) } else { f64::NAN }
            },
        )
        .collect();
    let (half, origins) = (trial.origins.len() / 2, &trial.origins);
    let residuals = |used| Residuals::of(link, &truth, origins, &linked, used);
    let (first, second) = (residuals(0..half), residuals(half..origins.len()));
    let others = [second.offsets(&COMPARED_LEVELS), first.offsets(&COMPARED_LEVELS)];
    let compared: Vec<Array2<f64>> = trial
        .compared
        .iter()
        .map(|index| others[usize::from(*index >= half)].around(tried.column(*index).iter().copied()))
        .collect();
    let offsets = first.and(second).offsets(case.levels);
    let values = about(&offsets, ahead, history);
    let losses = Losses::of(history, trial, &compared);
    Weighed { tried: compared, values, losses, offsets: Some(offsets) }
}

/// The quantiles about a point forecast that is held to what is plausible.
fn about(offsets: &Offsets, ahead: &Array1<f64>, history: &History) -> Array2<f64> {
    let (least, most) = plausible(history);
    let mut values = offsets.around(ahead.iter().map(|value| value.clamp(least, most)));
    values.mapv_inplace(|value| value.min(most));
    values
}

/// Holds the floor and the order of the quantiles, and takes the median out.
fn finish(
    history: &History,
    mut values: Array2<f64>,
    median: usize,
    quantiles: &Quantiles,
    members: Vec<Verdict>,
) -> Forecast {
    let floor = if history.never_negative { 0.0 } else { f64::MIN };
    for mut row in values.rows_mut() {
        let mut least = floor;
        for cell in &mut row {
            least = if cell.is_finite() { cell.max(least) } else { least };
            *cell = least;
        }
    }
    let mean = values.column(median).to_owned();
    values.remove_index(ndarray::Axis(1), median);
    Forecast { mean, quantiles: quantiles.clone(), values, members }
}

/// Between what a point forecast may lie: as far outside all that was seen as
/// that spans. Where nothing was zero nothing is, as a logarithm needs.
pub(super) fn plausible(history: &History) -> (f64, f64) {
    let seen = |end: Option<&(f64, usize)>| end.map_or(0.0, |(value, _)| *value);
    let (least, most) = (seen(history.sorted.first()), seen(history.sorted.last()));
    let span = most - least;
    (if history.never_negative { least / 4.0 } else { least - span }, most + span)
}

#[cfg(test)]
mod tests;
