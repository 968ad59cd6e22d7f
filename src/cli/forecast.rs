//! `plimsoll forecast`: what comes after each series of a file.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use ndarray::{Array1, Array2};
use rayon::prelude::*;

use super::{BadUsage, seasons};
use crate::domain::{Zone, first_of};
use crate::forecast::{Abstention, Forecast as Prediction, MOST_STEPS, Quantiles, forecast_without};
use crate::series::stats;
use crate::series::table::{self, Column, SampledSeries, Table, Texts, TimeKind, Timeline};

/// Rows that may be written: a slip in the horizon should not fill a disk.
const MOST_ROWS: usize = 100_000_000;

/// A fall to this share of what was is a counter that begins again.
const NEARLY_NOTHING: f64 = 0.1;

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
    /// Hide what the anomaly detector finds from the models, as the daemon does:
    /// else a fault in the past is forecast to come again
    #[arg(long)]
    without_anomalies: bool,
    /// Know only the last so many steps of each series, as if it were new
    #[arg(long)]
    last: Option<usize>,
    /// Leave these members out, by name and separated by commas, to see what they
    /// are worth
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Also write each member's weight and loss in the trial, or why it took no
    /// part, to a file ending in .csv, .parquet or .json
    #[arg(long)]
    members: Option<PathBuf>,
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
    /// Nothing can be said, for this reason.
    Nothing(Abstention),
}

impl Outcome {
    fn prediction(&self) -> Option<&Prediction> {
        match self {
            Outcome::Forecast(prediction) | Outcome::Repeated(prediction, _) => Some(prediction),
            Outcome::Nothing(_) => None,
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
    arguments.members.as_deref().map_or(Ok(()), table::check_output)?;
    seasons::check_members(&arguments.without)?;
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
    let mut series = seasons::read(&arguments.input, arguments.counter)?;
    let counters = if arguments.counter { Vec::new() } else { counters_among(&series) };
    if arguments.without_anomalies {
        seasons::hide_anomalies(&mut series);
    }
    if let Some(last) = arguments.last {
        seasons::keep_last(&mut series, last);
    }
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
    let quantiles = &arguments.quantiles;
    let outcomes: Vec<Outcome> = forecast_without(&arguments.without, &pasts, furthest, quantiles)
        .into_iter()
        .zip(&series)
        .zip(&steps)
        .map(|((forecast, one), steps)| {
            let forecast = forecast.map(|forecast| match steps {
                Some(steps) => forecast.of_steps(steps),
                None => forecast,
            });
            or_repeated(forecast, one, arguments.horizon, quantiles)
        })
        .collect();
    table::write(&arguments.output, &tabulate(&series, &outcomes, quantiles))
        .context("failed to write the forecasts")?;
    if let Some(file) = &arguments.members {
        table::write(file, &members(&series, &outcomes)).context("failed to write the members")?;
    }
    Ok(warnings(&series, &outcomes, &counters))
}

/// The names of series that only rise, but for falls to nearly nothing: most
/// likely counters.
fn counters_among(series: &[SampledSeries]) -> Vec<String> {
    let is_counter = |one: &&SampledSeries| {
        let known: Vec<f64> = one.values.iter().copied().filter(|value| value.is_finite()).collect();
        let (mut rises, mut restarts) = (0, 0);
        for pair in known.windows(2) {
            match pair[1].partial_cmp(&pair[0]) {
                Some(Ordering::Less) if pair[1] > NEARLY_NOTHING * pair[0] => return false,
                Some(Ordering::Less) => restarts += 1,
                Some(Ordering::Greater) => rises += 1,
                _ => {}
            }
        }
        restarts > 0 && 2 * rises > known.len()
    };
    series.iter().filter(is_counter).map(|one| format!("{:?}", one.id)).collect()
}

fn warnings(series: &[SampledSeries], outcomes: &[Outcome], counters: &[String]) -> Vec<String> {
    let mut told = Vec::new();
    if !counters.is_empty() {
        let names = first_of(counters, NAMED);
        told.push(format!(
            "what only rises and begins again is most likely a counter: {names}; --counter forecasts what one \
             grows by"
        ));
    }
    let mut repeated: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (one, outcome) in series.iter().zip(outcomes) {
        match outcome {
            Outcome::Forecast(_) => {}
            Outcome::Repeated(_, reason) => {
                repeated.entry(reason.to_string()).or_default().push(format!("{:?}", one.id));
            }
            Outcome::Nothing(reason) => {
                told.push(format!("the series {:?} has no forecast: {reason}", one.id));
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
) -> Outcome {
    match forecast {
        Ok(forecast) => Outcome::Forecast(forecast),
        Err(reason @ Abstention::TooShort { .. }) => match repeated(series, horizon, quantiles) {
            Some(forecast) => Outcome::Repeated(forecast, reason),
            None => Outcome::Nothing(reason),
        },
        Err(reason) => Outcome::Nothing(reason),
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

/// What became of each member at each series.
fn members(series: &[SampledSeries], outcomes: &[Outcome]) -> Table {
    let (mut ids, mut names, mut reasons) = (Texts::default(), Texts::default(), Texts::default());
    let (mut weights, mut losses) = (Vec::new(), Vec::new());
    for (one, outcome) in series.iter().zip(outcomes) {
        for verdict in outcome.prediction().map_or(&[][..], |prediction| &prediction.members) {
            ids.push(&one.id);
            names.push(verdict.member);
            let share = verdict.outcome.as_ref().ok();
            weights.push(share.map_or(0.0, |share| share.weight));
            losses.push(share.map_or(f64::NAN, |share| share.loss));
            reasons.push(&verdict.outcome.as_ref().err().map_or_else(String::new, ToString::to_string));
        }
    }
    let mut table = Table::new();
    table.set("unique_id", Column::Text(ids));
    table.set("member", Column::Text(names));
    table.set("weight", Column::Numbers(weights));
    table.set("loss", Column::Numbers(losses));
    table.set("abstained", Column::Text(reasons));
    table
}
