//! `plimsoll forecast`: what comes after each series of a file.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use ndarray::{Array1, Array2};
use rayon::prelude::*;

use super::{BadUsage, seasons};
use crate::domain::{Zone, first_of};
use crate::forecast::{Abstention, Forecast as Prediction, MOST_STEPS, Quantiles, forecast_all};
use crate::series::stats;
use crate::series::table::{self, Column, SampledSeries, Table, Texts, TimeKind, Timeline};

/// Rows that may be written: a slip in the horizon should not fill a disk.
const MOST_ROWS: usize = 100_000_000;

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Forecast {
    /// The file to read, .csv or .parquet with the columns unique_id, ds, y or
    /// timestamp, value; - for standard input as CSV
    #[arg(long, short)]
    input: PathBuf,
    /// How many steps to forecast
    #[arg(long)]
    horizon: usize,
    /// Lengths of the seasons in steps, such as 24,168; without it, a day and a
    /// week where there are times, else what spectrum and autocorrelation show
    #[arg(long, value_delimiter = ',')]
    season: Option<Vec<usize>>,
    /// The series are counters: forecast what they grow by at each step, restarts
    /// not counted as falls
    #[arg(long)]
    counter: bool,
    /// The time zone that the usage follows, such as Europe/Berlin: its days and
    /// weeks go by the clock there, also when that is put forward or back
    #[arg(long, default_value_t)]
    time_zone: Zone,
    /// The quantiles to give
    #[arg(long, default_value_t)]
    quantiles: Quantiles,
    /// The file to write, .csv or .parquet; - for standard output as CSV
    #[arg(long, short)]
    output: PathBuf,
}

/// The most series that a warning names.
const NAMED: usize = 3;

/// What became of one series.
enum Outcome {
    Forecast(Prediction),
    /// No model would: what is known is repeated, for this reason.
    Repeated(Prediction, Abstention),
    /// There is no sample.
    Nothing,
}

impl Outcome {
    fn prediction(&self) -> Option<&Prediction> {
        match self {
            Outcome::Forecast(prediction) | Outcome::Repeated(prediction, _) => Some(prediction),
            Outcome::Nothing => None,
        }
    }
}

/// Runs the command. Returns what its user should know of series that no model
/// forecast.
///
/// # Errors
/// Where the input can't be read, or the output can't be written.
pub fn run(arguments: &Forecast) -> anyhow::Result<Vec<String>> {
    table::check_output(&arguments.output)?;
    if arguments.horizon == 0 {
        return Err(BadUsage("forecast 0 steps; give a --horizon of at least 1".to_owned()).into());
    }
    if arguments.horizon > MOST_STEPS {
        let problem = format!(
            "forecast {} steps; at most {MOST_STEPS} can be, so give a shorter --horizon or a coarser series",
            arguments.horizon
        );
        return Err(BadUsage(problem).into());
    }
    let series = seasons::read(&arguments.input, arguments.counter)?;
    if series.len().saturating_mul(arguments.horizon) > MOST_ROWS {
        let rows = format!("{} series times {} steps", series.len(), arguments.horizon);
        return Err(BadUsage(format!("forecast {rows}; at most {MOST_ROWS} rows can be written")).into());
    }
    let seasons = seasons::of_all(&series, arguments.season.as_deref());
    let laid = seasons::by_the_clock(&series, arguments.time_zone);
    let pasts = seasons::pasts(&laid, &seasons);
    let steps: Vec<Option<Vec<usize>>> = series
        .par_iter()
        .map(|one| seasons::steps_ahead(one, arguments.time_zone, arguments.horizon))
        .collect();
    let reach = |steps: &Option<Vec<usize>>| match steps {
        Some(steps) => steps.iter().max().map_or(0, |last| last + 1),
        None => arguments.horizon,
    };
    let furthest = steps.iter().map(reach).max().unwrap_or(arguments.horizon);
    let outcomes: anyhow::Result<Vec<Outcome>> = forecast_all(&pasts, furthest, &arguments.quantiles)
        .into_iter()
        .zip(&series)
        .zip(&steps)
        .map(|((forecast, one), steps)| {
            let forecast = forecast.map(|forecast| match steps {
                Some(steps) => forecast.of_steps(steps),
                None => forecast,
            });
            or_repeated(forecast, one, arguments.horizon, &arguments.quantiles)
        })
        .collect();
    let outcomes = outcomes?;
    table::write(&arguments.output, &tabulate(&series, &outcomes, &arguments.quantiles))
        .context("failed to write the forecasts")?;
    Ok(warnings(&series, &outcomes))
}

fn warnings(series: &[SampledSeries], outcomes: &[Outcome]) -> Vec<String> {
    let mut told = Vec::new();
    let mut repeated: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (one, outcome) in series.iter().zip(outcomes) {
        match outcome {
            Outcome::Forecast(_) => {}
            Outcome::Repeated(_, reason) => {
                repeated.entry(reason.to_string()).or_default().push(format!("{:?}", one.id));
            }
            Outcome::Nothing => {
                told.push(format!("the series {:?} has no sample, so it has no forecast", one.id));
            }
        }
    }
    told.extend(repeated.into_iter().map(|(reason, names)| {
        let names = first_of(&names, NAMED);
        format!("no model forecasts {names}: {reason}; the quantiles of what is known are repeated")
    }));
    told
}

/// The forecast; where the models abstain for want of samples, the median and
/// the quantiles of those that are there, repeated.
fn or_repeated(
    forecast: Result<Prediction, Abstention>,
    series: &SampledSeries,
    horizon: usize,
    quantiles: &Quantiles,
) -> anyhow::Result<Outcome> {
    match forecast {
        Ok(forecast) => Ok(Outcome::Forecast(forecast)),
        Err(Abstention::NoSamples) => Ok(Outcome::Nothing),
        Err(reason @ Abstention::TooShort { .. }) => Ok(match repeated(series, horizon, quantiles) {
            Some(forecast) => Outcome::Repeated(forecast, reason),
            None => Outcome::Nothing,
        }),
        Err(reason) => {
            Err(anyhow::Error::new(reason).context(format!("failed to forecast the series {:?}", series.id)))
        }
    }
}

fn repeated(series: &SampledSeries, horizon: usize, quantiles: &Quantiles) -> Option<Prediction> {
    let sorted = stats::sorted_finite(&series.values);
    let mean = Array1::from_elem(horizon, stats::quantile_of_sorted(&sorted, 0.5)?);
    let row: Option<Vec<f64>> =
        quantiles.levels().iter().map(|level| stats::quantile_of_sorted(&sorted, *level)).collect();
    let row = row?;
    let values = Array2::from_shape_fn((horizon, row.len()), |(_, column)| row[column]);
    Some(Prediction { mean, quantiles: quantiles.clone(), values, members: Vec::new() })
}

fn tabulate(series: &[SampledSeries], outcomes: &[Outcome], quantiles: &Quantiles) -> Table {
    let levels = quantiles.levels();
    let (mut ids, mut times, mut means) = (Texts::default(), Vec::new(), Vec::new());
    let mut columns: Vec<Vec<f64>> = vec![Vec::new(); levels.len()];
    for (one, outcome) in series.iter().zip(outcomes) {
        let Some(forecast) = outcome.prediction() else { continue };
        for (step, mean) in forecast.mean.iter().enumerate() {
            ids.push(&one.id);
            times.push(one.timeline.at(one.values.len() + step));
            means.push(*mean);
        }
        let values = forecast.values.columns();
        columns.iter_mut().zip(values).for_each(|(column, values)| column.extend(values));
    }
    let kind = series.first().map_or(TimeKind::Steps, |one| one.timeline.kind);
    let mut table = Table::new();
    table.set("unique_id", Column::Text(ids));
    table.set("ds", Timeline::column(kind, times));
    table.set("mean", Column::Numbers(means));
    for (level, column) in levels.iter().zip(columns) {
        table.set(&format!("q{level}"), Column::Numbers(column));
    }
    table
}
