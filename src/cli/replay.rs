//! `plimsoll replay`: what the limits would have been, on a team's own past.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use comfy_table::{Cell, CellAlignment, Table as Sheet, presets};
use rayon::prelude::*;

use super::BadUsage;
use super::prometheus::Access;
use crate::app;
use crate::domain::{TimeRange, first_of};
use crate::ports::{Clock, UsageSource};
use crate::rightsize::policy::{Family, Peers};
use crate::rightsize::rehearsal;
use crate::rightsize::replay::{self, Hours, Score, Settings};
use crate::rightsize::words::{percent, short};
use crate::series::table::{self, Column, SampledSeries, Table, Texts, TimeKind, Timeline};
use crate::source::PrometheusSource;

const HOUR_MILLIS: i64 = 3_600_000;
/// Hours that a file may span: a wrong year in one row should not ask for
/// more memory than there is.
const MOST_HOURS: i64 = 20 * 366 * 24;

/// Series over the budget that are named under the table.
const NAMED: usize = 5;

/// The command's arguments.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["prometheus", "input"])))]
pub struct Replay {
    /// The base URL of a Prometheus
    #[arg(long, requires = "query")]
    prometheus: Option<String>,
    /// The usage to replay: cpu_cores='max by (tenant) (…)'
    #[arg(long, value_name = "RESOURCE=EXPRESSION", requires = "prometheus")]
    query: Option<String>,
    /// How many days of Prometheus's usage to replay
    #[arg(long, default_value_t = 28, value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
    #[command(flatten)]
    access: Access,
    /// The file to read, .csv or .parquet with the columns unique_id, ds, y or
    /// timestamp, value; - for standard input as CSV
    #[arg(long, short)]
    input: Option<PathBuf>,
    /// For how long each limit holds, in whole hours
    #[arg(long, default_value = "6h", value_parser = humantime::parse_duration)]
    every: Duration,
    /// The time from the first sample of all in which no limit is set
    #[arg(long, default_value = "7d", value_parser = humantime::parse_duration)]
    warmup: Duration,
    /// The share of samples that may lie above the limit
    #[arg(long, default_value_t = 0.01)]
    budget: f64,
    /// auto to choose for each series; daemon for what the daemon would have
    /// proposed, each proposal applied at once; schedule for the same with the
    /// cadence day_ahead, which needs --every 1h; or one of reaction, window,
    /// histogram, smoothed, seasonal, forecast, pooled
    #[arg(long, default_value = "auto", value_parser = policy)]
    policy: Policy,
    /// The most changes of a limit a day, over the days; at most one day's
    /// allowance is saved up, or two changes. With the daemon's rule it bounds
    /// what the policies ask for, and not the raises beyond that
    #[arg(long, default_value_t = 8.0)]
    max_changes_per_day: f64,
    /// The file to write, .csv or .parquet, with unique_id, ds, limit; - for
    /// standard output as CSV. Without it, a table beside VPA and KRR
    #[arg(long, short)]
    output: Option<PathBuf>,
}

/// What sets the limits.
#[derive(Debug, Clone)]
enum Policy {
    /// A choice among these.
    Families(Vec<Family>),
    /// The daemon's whole rule.
    Daemon,
    /// The daemon's whole rule, following a schedule made at midnight.
    Schedule,
}

fn policy(text: &str) -> Result<Policy, String> {
    match text {
        "auto" => return Ok(Policy::Families(Family::ALL.to_vec())),
        "daemon" => return Ok(Policy::Daemon),
        "schedule" => return Ok(Policy::Schedule),
        _ => {}
    }
    let known = Family::ALL.into_iter().find(|family| family.name() == text);
    known.map(|family| Policy::Families(vec![family])).ok_or_else(|| {
        let names: Vec<&str> = Family::ALL.iter().map(|family| family.name()).collect();
        format!("use auto, daemon, schedule, or one of {}", names.join(", "))
    })
}

/// Series with their samples by hour.
struct Fleet {
    ids: Vec<String>,
    hours: Vec<Hours>,
    /// The first instant of the file, in milliseconds.
    origin: i64,
    samples_a_day: f64,
}

/// Runs the command.
///
/// # Errors
/// Where an argument makes no sense, the input can't be read, or the output
/// can't be written.
pub fn run(arguments: &Replay, out: &mut impl Write) -> anyhow::Result<()> {
    if let Some(output) = &arguments.output {
        table::check_output(output)?;
    }
    let (every, warmup) = (whole_hours("every", arguments.every)?, whole_hours("warmup", arguments.warmup)?);
    check(arguments)?;
    let fleet = fleet(&series(arguments)?)?;
    let settings = Settings {
        every,
        warmup,
        budget: arguments.budget,
        changes_per_day: arguments.max_changes_per_day,
        families: match &arguments.policy {
            Policy::Families(families) => families.clone(),
            Policy::Daemon | Policy::Schedule => Family::ALL.to_vec(),
        },
        day_ahead: matches!(arguments.policy, Policy::Schedule),
        samples_a_day: fleet.samples_a_day,
    };
    let known = replay::Fleet::of(&fleet.hours, &settings);
    let limits: Vec<Vec<Option<f64>>> = match arguments.policy {
        Policy::Daemon | Policy::Schedule => rehearsal::limits(&fleet.hours, &settings, &known),
        Policy::Families(_) => {
            fleet.hours.par_iter().map(|series| replay::limits(series, &settings, &known)).collect()
        }
    };
    match &arguments.output {
        Some(output) => {
            table::write(output, &tabulate(&fleet, &limits, &settings)).context("failed to write the limits")
        }
        None => show(&fleet, limits, &settings, out),
    }
}

fn series(arguments: &Replay) -> anyhow::Result<Vec<SampledSeries>> {
    match (&arguments.prometheus, &arguments.input) {
        (Some(url), _) => {
            let runtime = tokio::runtime::Runtime::new().context("failed to start the threads")?;
            runtime.block_on(from_prometheus(url, arguments))
        }
        (None, Some(file)) => Ok(table::usage(&table::read(file)?)?),
        (None, None) => Err(BadUsage("find a source; give --prometheus or --input".to_owned()).into()),
    }
}

/// The usage of each tenant over the last days. Series that can't be used are
/// named on standard error.
async fn from_prometheus(url: &str, arguments: &Replay) -> anyhow::Result<Vec<SampledSeries>> {
    let settings = arguments.access.settings(url, arguments.query.as_slice())?;
    let source = PrometheusSource::new(settings)?;
    let end = app::SystemClock.now();
    let start = end.minus(Duration::from_secs(arguments.days * 86_400));
    let mut all = Vec::new();
    for resource in source.resources() {
        let answer = source.fetch(resource, TimeRange { start, end }).await?;
        answer.refused.iter().for_each(|refused| super::warn(refused));
        all.extend(answer.frame.series.into_iter().map(|(tenant, usage)| SampledSeries {
            id: tenant.to_string(),
            timeline: Timeline {
                kind: TimeKind::Instants,
                first: usage.start.millis(),
                step: usage.step.millis(),
            },
            values: usage.values,
        }));
    }
    if all.is_empty() {
        let label = &arguments.access.tenant_label;
        let mend = format!("check that the expression has an answer and keeps the label {label:?}");
        return Err(BadUsage(format!("find usage of any tenant; {mend}")).into());
    }
    Ok(all)
}

fn whole_hours(name: &str, duration: Duration) -> Result<usize, BadUsage> {
    let seconds = duration.as_secs();
    if seconds == 0 || !seconds.is_multiple_of(3600) || duration.subsec_nanos() > 0 {
        let given = humantime::format_duration(duration);
        return Err(BadUsage(format!("use --{name} {given}; give whole hours, such as 6h")));
    }
    usize::try_from(seconds / 3600).map_err(|error| BadUsage(error.to_string()))
}

fn check(arguments: &Replay) -> Result<(), BadUsage> {
    if !(arguments.budget > 0.0 && arguments.budget < 1.0) {
        let budget = arguments.budget;
        return Err(BadUsage(format!(
            "use --budget {budget}; give a share above 0 and below 1, such as 0.01"
        )));
    }
    let changes = arguments.max_changes_per_day;
    if !(changes.is_finite() && changes > 0.0) {
        return Err(BadUsage(format!("use --max-changes-per-day {changes}; give a number above 0")));
    }
    if matches!(arguments.policy, Policy::Schedule) && arguments.every != Duration::from_secs(3600) {
        return Err(BadUsage(
            "replay a schedule, which has a limit for each hour; give --every 1h".to_owned(),
        ));
    }
    Ok(())
}

/// Puts the samples of each series into the hours since the first of all.
fn fleet(series: &[SampledSeries]) -> anyhow::Result<Fleet> {
    if series.iter().any(|one| one.timeline.kind == TimeKind::Steps) {
        let text = "replay integer steps, which say nothing of hours; use times such as 2026-11-23T05:00:00Z";
        return Err(BadUsage(text.to_owned()).into());
    }
    let (Some(origin), Some(end)) = (
        series.iter().map(|one| one.timeline.first).min(),
        series.iter().map(|one| one.timeline.at(one.values.len().saturating_sub(1))).max(),
    ) else {
        return Err(BadUsage("replay a file without samples".to_owned()).into());
    };
    let count = (end - origin) / HOUR_MILLIS + 1;
    if count > MOST_HOURS {
        return Err(BadUsage(format!("replay {count} hours; at most {MOST_HOURS} can be")).into());
    }
    let hours = series.par_iter().map(|one| hours_of(one, origin, count as usize)).collect();
    let step = series.iter().map(|one| one.timeline.step).min().unwrap_or(HOUR_MILLIS);
    let ids = series.iter().map(|one| one.id.clone()).collect();
    Ok(Fleet { ids, hours, origin, samples_a_day: 24.0 * HOUR_MILLIS as f64 / step as f64 })
}

fn hours_of(series: &SampledSeries, origin: i64, count: usize) -> Hours {
    let mut hours: Hours = vec![Vec::new(); count];
    for (index, value) in series.values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
        let hour = usize::try_from((series.timeline.at(index) - origin) / HOUR_MILLIS).unwrap_or(usize::MAX);
        if let Some(hour) = hours.get_mut(hour) {
            hour.push(*value);
        }
    }
    hours
}

fn tabulate(fleet: &Fleet, limits: &[Vec<Option<f64>>], settings: &Settings) -> Table {
    let (mut ids, mut times, mut values) = (Texts::default(), Vec::new(), Vec::new());
    for (id, limits) in fleet.ids.iter().zip(limits) {
        for (index, limit) in limits.iter().enumerate() {
            let Some(limit) = limit else { continue };
            ids.push(id);
            times.push(fleet.origin + (settings.warmup + index * settings.every) as i64 * HOUR_MILLIS);
            values.push(*limit);
        }
    }
    let mut table = Table::new();
    table.set("unique_id", Column::Text(ids));
    table.set("ds", Timeline::column(TimeKind::Instants, times));
    table.set("limit", Column::Numbers(values));
    table
}

fn show(
    fleet: &Fleet,
    ours: Vec<Vec<Option<f64>>>,
    settings: &Settings,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let over = replay::over_budget(&fleet.hours, &ours, settings);
    let of = |limits: Vec<Vec<Option<f64>>>| {
        replay::score(&fleet.hours.iter().zip(limits).collect::<Vec<_>>(), settings)
    };
    let mut peers = Peers::NAMES.map(|_| Vec::with_capacity(fleet.hours.len()));
    let by_series: Vec<_> = fleet.hours.par_iter().map(|one| replay::peers(one, settings)).collect();
    for limits in by_series {
        peers.iter_mut().zip(limits).for_each(|(peer, limits)| peer.push(limits));
    }
    let hindsight = fleet.hours.par_iter().map(|one| replay::clairvoyant(one, settings)).collect();
    let mut rows = vec![("Plimsoll", of(ours))];
    rows.extend(Peers::NAMES.into_iter().zip(peers.map(of)));
    rows.push(("clairvoyant", of(hindsight)));
    if rows[0].1.series == 0 {
        return Err(BadUsage(
            "score limits: no sample lies after the warm-up with a day of samples before it; \
             give a longer past or a shorter --warmup"
                .to_owned(),
        )
        .into());
    }
    writeln!(out, "{}", sheet(&rows))?;
    explain(&rows, fleet, settings, out)?;
    name_over(&over, fleet, out)
}

fn sheet(rows: &[(&str, Score)]) -> Sheet {
    let mut sheet = Sheet::new();
    sheet.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    sheet.set_header([
        "limits by",
        "violations",
        "within budget",
        "slack",
        "limits / usage",
        "changes a day",
    ]);
    for (name, score) in rows {
        sheet.add_row(row(name, score));
    }
    sheet
}

/// What the table means, and what it comes to.
fn explain(
    rows: &[(&str, Score)],
    fleet: &Fleet,
    settings: &Settings,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let ours = &rows[0].1;
    let days = fleet.hours.first().map_or(0, Vec::len).saturating_sub(settings.warmup) / 24;
    writeln!(
        out,
        "{} series over {days} days after the warm-up; each limit holds for {} h and is set from earlier samples \
         only. Violations: share of samples above the limit; within budget: share of series with at most {} % of \
         them; slack: unused share of the limits; limits / usage: what the fleet pays for each unit that it uses. \
         The clairvoyant knows each peak beforehand: nobody can do better without a violation.",
        ours.series,
        settings.every,
        settings.budget * 100.0
    )?;
    if let Some((allowed, room)) = settings.unproven() {
        writeln!(
            out,
            "A budget of {} allows {} samples in two weeks at this step. So few prove nothing, so each limit is at \
             least {} times the peak of two weeks: you pay for insurance. A larger budget, or samples that lie \
             closer together, needs less.",
            percent(settings.budget),
            short(allowed),
            short(room)
        )?;
    }
    for (name, theirs) in &rows[1..rows.len() - 1] {
        let share = (1.0 - ours.ratio / theirs.ratio) * 100.0;
        let (size, way) = (share.abs(), if share >= 0.0 { "less" } else { "more" });
        writeln!(
            out,
            "Beside {name}: {size:.0} % {way} room in all, {:.0} % of the series within the budget instead of {:.0} %.",
            ours.kept * 100.0,
            theirs.kept * 100.0
        )?;
    }
    Ok(())
}

/// Names the series for which the promise was not kept, the worst first.
fn name_over(over: &[(usize, f64)], fleet: &Fleet, out: &mut impl Write) -> anyhow::Result<()> {
    if over.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = over
        .iter()
        .map(|(place, violations)| format!("{} ({:.2} %)", fleet.ids[*place], violations * 100.0))
        .collect();
    writeln!(out, "Over the budget: {}.", first_of(&named, NAMED))?;
    Ok(())
}

fn row(name: &str, score: &Score) -> Vec<Cell> {
    let figures = [
        format!("{:.3} %", score.violations * 100.0),
        format!("{:.0} %", score.kept * 100.0),
        format!("{:.1} %", score.slack * 100.0),
        format!("{:.2}", score.ratio),
        format!("{:.1}", score.changes),
    ];
    let right = |figure: String| Cell::new(figure).set_alignment(CellAlignment::Right);
    std::iter::once(Cell::new(name)).chain(figures.into_iter().map(right)).collect()
}
