//! `plimsoll backtest`: what each model would have been worth on a file's past.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use comfy_table::TableComponent::{
    HorizontalLines, LeftBorderIntersections, MiddleIntersections, RightBorderIntersections,
};
use comfy_table::{Cell, CellAlignment, Table as Sheet, presets};

use super::{BadUsage, seasons};
use crate::domain::Zone;
use crate::forecast::Quantiles;
use crate::forecast::backtest::{self, Case, Contender, Plan, Record, Summary};
use crate::series::table::{self, Column, SampledSeries, Table, Texts, TimeKind, Timeline};

/// Forecasts that may be made: a slip in the cuts should not run for days.
const MOST_STEPS: usize = 100_000_000;

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Backtest {
    /// The file to read, .csv or .parquet with the columns unique_id, ds, y or
    /// timestamp, value; - for standard input as CSV
    #[arg(long, short)]
    input: PathBuf,
    /// How many steps to forecast from each origin
    #[arg(long)]
    horizon: usize,
    /// How many origins, a horizon apart, the last one a horizon before the end
    #[arg(long, default_value_t = 3)]
    cuts: usize,
    /// Lengths of the seasons in steps, such as 24,168; without it, a day and a
    /// week where there are times, else what the data show
    #[arg(long, value_delimiter = ',')]
    season: Option<Vec<usize>>,
    /// The series are counters: score forecasts of what they grow by at each step, restarts
    /// not counted as falls
    #[arg(long)]
    counter: bool,
    /// The time zone that the usage follows, such as Europe/Berlin: its days and
    /// weeks go by the clock there, also when that is put forward or back
    #[arg(long, default_value_t)]
    time_zone: Zone,
    /// The quantiles to score
    #[arg(long, default_value_t)]
    quantiles: Quantiles,
    /// Score only these models, by name and separated by commas
    #[arg(long, value_delimiter = ',')]
    models: Option<Vec<String>>,
    /// Also score the combination without these members, one at a time, by name
    /// and separated by commas: what it loses is what they are worth
    #[arg(long, value_delimiter = ',')]
    without: Vec<String>,
    /// Score as if each series began this many steps before what is forecast
    #[arg(long)]
    last: Option<usize>,
    /// Also write a row for each model, series, cut and block, to a file
    /// ending in .csv, .parquet or .json
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Where an argument makes no sense, the input can't be read, or the output
/// can't be written.
pub fn run(arguments: &Backtest, out: &mut impl Write) -> anyhow::Result<()> {
    if let Some(output) = &arguments.output {
        table::check_output(output)?;
    }
    seasons::check_members(&arguments.without)?;
    let mut contenders = chosen(arguments.models.as_deref())?;
    contenders.extend(arguments.without.iter().map(|member| Contender::combination_without(member)));
    let series = seasons::read(&arguments.input, arguments.counter)?;
    let series = seasons::by_the_clock(&series, arguments.time_zone);
    check(arguments, &series)?;
    let seasons = seasons::of_all(&series, arguments.season.as_deref());
    let pasts = seasons::pasts(&series, &seasons);
    let Backtest { horizon, cuts, ref quantiles, .. } = *arguments;
    let plan = Plan { horizon, cuts, last: arguments.last, quantiles: quantiles.clone() };
    let records: Vec<Record> =
        contenders.iter().map(|contender| backtest::run(contender, &pasts, &plan)).collect();
    show(&records, &plan, out)?;
    match &arguments.output {
        Some(output) => {
            table::write(output, &tabulate(&series, &records, horizon)).context("failed to write the scores")
        }
        None => Ok(()),
    }
}

/// The contenders of these names; all without names. The yardstick is always
/// among them.
fn chosen(names: Option<&[String]>) -> Result<Vec<Contender>, BadUsage> {
    let all = Contender::all();
    let Some(names) = names else { return Ok(all) };
    let known: Vec<String> = all.iter().map(|contender| contender.name().to_owned()).collect();
    if let Some(name) = names.iter().find(|name| !known.contains(name)) {
        return Err(BadUsage(format!("score the model {name:?}; there are {}", known.join(", "))));
    }
    let wanted = |name: &str| name == backtest::BASE || names.iter().any(|wanted| wanted == name);
    Ok(all.into_iter().filter(|contender| wanted(contender.name())).collect())
}

fn check(arguments: &Backtest, series: &[SampledSeries]) -> Result<(), BadUsage> {
    let Backtest { horizon, cuts, .. } = *arguments;
    if horizon == 0 || cuts == 0 {
        return Err(BadUsage(format!(
            "score {cuts} cuts of {horizon} steps; give a --horizon and --cuts of at least 1"
        )));
    }
    let steps = series.len().saturating_mul(horizon).saturating_mul(cuts);
    if steps > MOST_STEPS {
        return Err(BadUsage(format!("forecast {steps} steps; at most {MOST_STEPS} can be")));
    }
    let longest = series.iter().map(|one| one.values.len()).max().unwrap_or(0);
    if longest <= horizon.saturating_mul(cuts) {
        return Err(BadUsage(format!(
            "score {cuts} cuts of {horizon} steps: the longest series has {longest}; give fewer or shorter ones"
        )));
    }
    Ok(())
}

fn show(records: &[Record], plan: &Plan, out: &mut impl Write) -> anyhow::Result<()> {
    let Some(base) = records.iter().find(|record| record.name == backtest::BASE) else { return Ok(()) };
    let blocks = backtest::blocks(plan.horizon);
    let mut sheet = Sheet::new();
    sheet.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    // A line under the headings, none between the rows.
    for part in [HorizontalLines, LeftBorderIntersections, RightBorderIntersections, MiddleIntersections] {
        sheet.remove_style(part);
    }
    sheet.set_header([
        "model",
        "steps",
        "MASE",
        "median",
        "wQL",
        "median",
        "to naive",
        "cover",
        "abstained",
        "s/series",
    ]);
    for record in records {
        sheet.add_row(row(record, "all".to_owned(), &record.summary(0..blocks.len(), base), true));
        for (place, block) in blocks.iter().enumerate().filter(|_| blocks.len() > 1) {
            let steps = format!("{} to {}", block.start + 1, block.end);
            sheet.add_row(row(record, steps, &record.summary(place..place + 1, base), false));
        }
    }
    writeln!(out, "{sheet}")?;
    writeln!(
        out,
        "{} series, {} cuts of {} steps, each forecast from what lies before it alone. MASE: mean of the series', in \
         units of the seasonal naive's error in the known part; wQL: over all series together; median: over series; \
         to naive: wQL beside the seasonal naive's on the same cases; cover: of the 10 to 90 % interval.",
        base.cases.len() / plan.cuts,
        plan.cuts,
        plan.horizon
    )?;
    for record in records {
        for (reason, count) in record.abstentions() {
            let often = if count == 1 { "once".to_owned() } else { format!("{count} times") };
            writeln!(out, "{} abstained {often}: {reason}", record.name)?;
        }
    }
    Ok(())
}

fn row(record: &Record, steps: String, summary: &Summary, is_whole: bool) -> Vec<Cell> {
    let figure = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let whole = |text: String| if is_whole { text } else { String::new() };
    let abstained = record.abstentions().values().sum::<usize>();
    let figures = [
        figure(summary.scaled_error),
        figure(summary.median_scaled_error),
        figure(summary.quantile_loss),
        figure(summary.median_quantile_loss),
        figure(summary.against_base),
        summary.cover.map_or_else(|| "-".to_owned(), |cover| format!("{cover:.3}")),
        whole(abstained.to_string()),
        whole(format!("{:.5}", record.seconds_each())),
    ];
    let right = |figure: String| Cell::new(figure).set_alignment(CellAlignment::Right);
    [Cell::new(whole(record.name.clone())), Cell::new(steps)]
        .into_iter()
        .chain(figures.into_iter().map(right))
        .collect()
}

/// The rows of the output, column by column.
#[derive(Default)]
struct Rows {
    models: Texts,
    ids: Texts,
    origins: Vec<i64>,
    first: Vec<i64>,
    last: Vec<i64>,
    figures: [Vec<f64>; 4],
    reasons: Texts,
}

impl Rows {
    fn push(&mut self, record: &Record, series: &SampledSeries, case: &Case, steps: (usize, usize)) {
        self.models.push(&record.name);
        self.ids.push(&series.id);
        self.origins.push(series.timeline.at(case.origin));
        self.first.push(i64::try_from(steps.0).unwrap_or(i64::MAX));
        self.last.push(i64::try_from(steps.1).unwrap_or(i64::MAX));
    }

    fn figures(&mut self, figures: [Option<f64>; 4], reason: &str) {
        for (column, figure) in self.figures.iter_mut().zip(figures) {
            column.push(figure.unwrap_or(f64::NAN));
        }
        self.reasons.push(reason);
    }
}

fn tabulate(series: &[SampledSeries], records: &[Record], horizon: usize) -> Table {
    let mut rows = Rows::default();
    for (record, case) in
        records.iter().flat_map(|record| record.cases.iter().map(move |case| (record, case)))
    {
        let one = &series[case.series];
        match &case.outcome {
            Err(reason) => {
                rows.push(record, one, case, (1, horizon));
                rows.figures([None; 4], &reason.to_string());
            }
            Ok(scores) => {
                for (block, score) in backtest::blocks(horizon).into_iter().zip(scores) {
                    rows.push(record, one, case, (block.start + 1, block.end));
                    let (error, loss) = (score.scaled_error(case.scale), score.quantile_loss());
                    rows.figures([error, loss, score.cover(), Some(f64::from(score.steps))], "");
                }
            }
        }
    }
    let kind = series.first().map_or(TimeKind::Steps, |one| one.timeline.kind);
    let mut table = Table::new();
    table.set("model", Column::Text(rows.models));
    table.set("unique_id", Column::Text(rows.ids));
    table.set("ds", Timeline::column(kind, rows.origins));
    table.set("from_step", Column::Integers(rows.first));
    table.set("to_step", Column::Integers(rows.last));
    for (name, column) in ["mase", "wql", "cover", "scored"].into_iter().zip(rows.figures) {
        table.set(name, Column::Numbers(column));
    }
    table.set("abstained", Column::Text(rows.reasons));
    table
}
