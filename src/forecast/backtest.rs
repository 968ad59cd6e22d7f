//! What each model would have been worth on the known past: rolling origins.
//!
//! The last `cuts` horizons of each series are forecast one after another, each
//! from what lies before it alone, by every contender, and scored by blocks of
//! steps ahead. All series are cut together, since models may learn from all of
//! them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, Instant};

use ndarray::{ArrayView1, Slice};
use rayon::prelude::*;

use super::ensemble::member::{self, Member};
use super::ensemble::{forecast_by, forecast_without};
use super::score::{Score, naive_scale};
use super::{Abstention, Forecast, Past, Quantiles, forecast_all, seasonal_naive};
use crate::series::stats;

/// The ends of the blocks of steps ahead that are told apart.
const BLOCK_ENDS: [usize; 5] = [6, 24, 48, 168, usize::MAX];

/// The name of the contender that all must beat.
pub const BASE: &str = "seasonal naive";

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Steps that are forecast from each origin.
    pub horizon: usize,
    /// Origins, a horizon apart, the last one a horizon before the end.
    pub cuts: usize,
    /// Steps that are known of each series, as if it were new; `None` for all that
    /// lie before the origin.
    pub last: Option<usize>,
    /// The levels.
    pub quantiles: Quantiles,
}

/// Forecasts many series together: the answer of each, or why there is none.
type ForecastTogether =
    dyn Fn(&[Past<'_>], usize, &Quantiles) -> Vec<Result<Forecast, Abstention>> + Send + Sync;

/// The name of all models together.
pub const COMBINATION: &str = "combination";

/// One that is scored.
pub struct Contender {
    name: String,
    forecast: Box<ForecastTogether>,
}

impl Contender {
    /// All models together, as `plimsoll forecast` and the daemon use them.
    pub fn combination() -> Self {
        Contender { name: COMBINATION.to_owned(), forecast: Box::new(forecast_all) }
    }

    /// The same without one member: what is lost is what it is worth.
    pub fn combination_without(member: &str) -> Self {
        let left_out = [member.to_owned()];
        let forecast = move |series: &[Past<'_>], horizon: usize, quantiles: &Quantiles| {
            forecast_without(&left_out, series, horizon, quantiles)
        };
        Contender { name: format!("{COMBINATION} without {member}"), forecast: Box::new(forecast) }
    }

    /// The last season carried on: the yardstick that all must beat.
    pub fn base() -> Self {
        let forecast = |series: &[Past<'_>], horizon: usize, quantiles: &Quantiles| {
            series.par_iter().map(|past| seasonal_naive(past, horizon, quantiles)).collect()
        };
        Contender { name: BASE.to_owned(), forecast: Box::new(forecast) }
    }

    /// One member of the combination, alone.
    fn alone(member: Box<dyn Member>) -> Self {
        let name = member.name().to_owned();
        let members = [member];
        let forecast = move |series: &[Past<'_>], horizon: usize, quantiles: &Quantiles| {
            forecast_by(&members, series, horizon, quantiles)
        };
        Contender { name, forecast: Box::new(forecast) }
    }

    /// The combination, the yardstick, and each member alone.
    pub fn all() -> Vec<Contender> {
        let members = member::all().into_iter().map(Contender::alone);
        [Contender::combination(), Contender::base()].into_iter().chain(members).collect()
    }

    /// Its name in tables.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// What became of one series at one cut.
#[derive(Debug, Clone)]
pub struct Case {
    /// The place of the series in what was given.
    pub series: usize,
    /// Steps that were known.
    pub origin: usize,
    /// The naive error in the known part: the unit of the scaled error.
    pub scale: f64,
    /// The score of each block, or why there is no forecast.
    pub outcome: Result<Vec<Score>, Abstention>,
}

/// What became of one contender.
#[derive(Debug, Clone)]
pub struct Record {
    /// Who.
    pub name: String,
    /// A case for each series and cut.
    pub cases: Vec<Case>,
    /// How long all its forecasts took.
    pub took: Duration,
}

/// The blocks of steps ahead of a horizon, counted from 0.
pub fn blocks(horizon: usize) -> Vec<Range<usize>> {
    let starts = std::iter::once(0).chain(BLOCK_ENDS);
    let blocks = starts.zip(BLOCK_ENDS).map(|(start, end)| start..end.min(horizon));
    blocks.filter(|block| !block.is_empty()).collect()
}

/// Runs one contender over all cuts.
pub fn run(contender: &Contender, series: &[Past<'_>], plan: &Plan) -> Record {
    let (mut cases, mut took) = (Vec::with_capacity(series.len() * plan.cuts), Duration::ZERO);
    for cut in (1..=plan.cuts).rev() {
        let origin = |past: &Past<'_>| past.values.len().saturating_sub(cut * plan.horizon);
        let known: Vec<Past<'_>> = series.iter().map(|past| before(past, origin(past), plan.last)).collect();
        let begun = Instant::now();
        let forecasts = (contender.forecast)(&known, plan.horizon, &plan.quantiles);
        took += begun.elapsed();
        let scored = forecasts.into_iter().zip(&known).zip(series).enumerate();
        cases.extend(scored.map(|(index, ((forecast, known), whole))| {
            let origin = origin(whole);
            let truth = whole.values.slice_axis(ndarray::Axis(0), Slice::from(origin..));
            case((index, origin), known, forecast, truth, plan.horizon)
        }));
    }
    Record { name: contender.name.clone(), cases, took }
}

/// What is known of a series at an origin, of that the `last` steps.
fn before<'a>(past: &Past<'a>, origin: usize, last: Option<usize>) -> Past<'a> {
    let (known, _) = past.values.split_at(ndarray::Axis(0), origin);
    let first = last.map_or(0, |last| origin.saturating_sub(last));
    let (_, values) = known.split_at(ndarray::Axis(0), first);
    Past { values, seasons: past.seasons }
}

fn case(
    (series, origin): (usize, usize),
    known: &Past<'_>,
    forecast: Result<Forecast, Abstention>,
    truth: ArrayView1<'_, f64>,
    horizon: usize,
) -> Case {
    let fits = |season: &&usize| **season > 1 && known.values.len() >= 2 * **season;
    let season = known.seasons.iter().filter(fits).min().copied().unwrap_or(1);
    let scores = |forecast: Forecast| {
        blocks(horizon).into_iter().map(|block| Score::of(&forecast, truth, block)).collect()
    };
    Case { series, origin, scale: naive_scale(known.values, season), outcome: forecast.map(scores) }
}

/// The figures of one contender over one range of blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The mean of the series' scaled errors.
    pub scaled_error: Option<f64>,
    /// Their median.
    pub median_scaled_error: Option<f64>,
    /// The quantile loss over all series together: large ones weigh more.
    pub quantile_loss: Option<f64>,
    /// The median of the series' own.
    pub median_quantile_loss: Option<f64>,
    /// The quantile loss as a share of `base`'s, over the cases that both
    /// forecast.
    pub against_base: Option<f64>,
    /// The share of values inside the interval.
    pub cover: Option<f64>,
}

impl Record {
    /// Sums up the blocks at `places`, beside the record of a simple model.
    pub fn summary(&self, places: Range<usize>, base: &Record) -> Summary {
        let score = |case: &Case| {
            let scores = case.outcome.as_ref().ok()?;
            Some(scores[places.clone()].iter().fold(Score::default(), |sum, score| sum.and(*score)))
        };
        let scored: Vec<(&Case, Score)> =
            self.cases.iter().filter_map(|case| Some((case, score(case)?))).collect();
        let pooled = scored.iter().fold(Score::default(), |sum, (_, score)| sum.and(*score));
        let errors =
            scored.iter().filter_map(|(case, score)| score.scaled_error(case.scale)).collect::<Vec<_>>();
        let losses = scored.iter().filter_map(|(_, score)| score.quantile_loss()).collect::<Vec<_>>();
        let both = self
            .cases
            .iter()
            .zip(&base.cases)
            .filter_map(|(ours, theirs)| Some((score(ours)?, score(theirs)?)));
        let (ours, theirs) =
            both.fold((0.0, 0.0), |sums, (ours, theirs)| (sums.0 + ours.pinball, sums.1 + theirs.pinball));
        Summary {
            scaled_error: stats::mean(&errors),
            median_scaled_error: stats::median(&errors),
            quantile_loss: pooled.quantile_loss(),
            median_quantile_loss: stats::median(&losses),
            against_base: (theirs > 0.0).then(|| ours / theirs),
            cover: pooled.cover(),
        }
    }

    /// The reasons why cases have no forecast, each with how many.
    pub fn abstentions(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for reason in self.cases.iter().filter_map(|case| case.outcome.as_ref().err()) {
            *counts.entry(reason.to_string()).or_default() += 1;
        }
        counts
    }

    /// The mean time of a forecast, in seconds.
    pub fn seconds_each(&self) -> f64 {
        self.took.as_secs_f64() / self.cases.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(horizon: usize, cuts: usize) -> Plan {
        Plan { horizon, cuts, last: None, quantiles: Quantiles::default() }
    }

    #[test]
    fn blocks_cover_the_horizon_once() {
        assert_eq!(blocks(48), [0..6, 6..24, 24..48]);
        assert_eq!(blocks(3).len(), 1);
        assert_eq!(blocks(200), [0..6, 6..24, 24..48, 48..168, 168..200]);
    }

    #[test]
    fn the_future_is_never_seen() {
        // The last cut's truth is moved far away: no forecast may follow it.
        let mut values: Vec<f64> = (0..200).map(|hour| f64::from(hour % 24)).collect();
        let plan = plan(24, 2);
        let score = |values: &[f64]| {
            let past = Past { values: ArrayView1::from(values), seasons: &[24] };
            run(&Contender::base(), &[past], &plan)
        };
        let before = score(&values);
        values[176..].iter_mut().for_each(|value| *value += 1e6);
        let after = score(&values);
        assert_eq!((before.cases[0].origin, before.cases[1].origin), (152, 176));
        assert_eq!(before.cases[0].outcome, after.cases[0].outcome);
        assert_eq!(before.summary(0..2, &before).scaled_error, None, "a perfect rhythm has no naive error");
        let missed = after.cases[1].outcome.as_ref().unwrap().iter().map(|score| score.missed).sum::<f64>();
        assert!((missed - 24e6).abs() < 1.0, "{missed}");
    }

    #[test]
    fn a_series_that_is_too_short_abstains_and_the_others_are_scored() {
        let noisy: Vec<f64> =
            (0..150_u32).map(|hour| f64::from(hour.wrapping_mul(2_654_435_761) >> 20)).collect();
        let short = [1.0; 30];
        let series = [noisy.as_slice(), &short]
            .map(|values| Past { values: ArrayView1::from(values), seasons: &[24] });
        let record = run(&Contender::combination(), &series, &plan(24, 1));
        let base = run(&Contender::base(), &series, &plan(24, 1));
        assert_eq!(record.abstentions().values().sum::<usize>(), 1);
        let summary = record.summary(0..2, &base);
        assert!(summary.quantile_loss.unwrap() > 0.0);
        assert!(summary.against_base.unwrap() > 0.0);
        assert_eq!(record.summary(0..2, &record).against_base, Some(1.0));
    }
}
