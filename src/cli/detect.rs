//! `plimsoll detect`: a score for each row of a file.
//!
//! The rows come back as they were, in their order, with two columns more. A
//! row is judged in the file's order, from itself and the rows above it alone:
//! the first rows of a file get the same scores as in the whole file.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::BadUsage;
use crate::anomaly::{Detector, Judgement, NoveltyDetector, Settings};
use crate::domain::{Step, Timestamp};
use crate::series::table::{self, Column, Samples, Table, TimeKind};

/// The columns that are added.
const SCORE: &str = "anomaly_score";
const FLAG: &str = "is_anomaly";

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Detect {
    /// The file to read, .csv or .parquet with the columns unique_id, ds, y or
    /// timestamp, value; - for standard input as CSV
    #[arg(long, short)]
    input: PathBuf,
    /// The file to write, .csv, .parquet or .json; - for standard output as CSV
    #[arg(long, short)]
    output: PathBuf,
}

/// Runs the command; gives a warning where rows are out of order.
///
/// # Errors
/// Where the input can't be read, or the output can't be written.
pub fn run(arguments: &Detect) -> anyhow::Result<Option<String>> {
    table::check_output(&arguments.output)?;
    let mut table = table::read(&arguments.input)?;
    let samples = Samples::of(&table)?;
    if let Some(taken) = [SCORE, FLAG].into_iter().find(|name| table.column(name).is_some()) {
        return Err(BadUsage(format!("add the column {taken}: the input has one already; rename it")).into());
    }
    let judgements = judge(&samples);
    type_text(&mut table, &samples, &arguments.output);
    table.set(SCORE, Column::Numbers(judgements.iter().map(|judgement| judgement.score).collect()));
    table.set(
        FLAG,
        Column::Integers(judgements.iter().map(|judgement| judgement.is_anomaly.into()).collect()),
    );
    table::write(&arguments.output, &table).context("failed to write the scores")?;
    Ok(disorder(&samples))
}

fn judge(samples: &Samples) -> Vec<Judgement> {
    let mut watches = vec![Watch::default(); samples.ids.len()];
    let rows = samples.series.iter().zip(&samples.at).zip(&samples.values);
    rows.map(|((series, at), value)| watches[*series].judge(instant(samples.kind, *at), *value)).collect()
}

/// Rows are judged in the file's order, whatever their times; a file that was
/// not meant to be out of order should not pass in silence.
fn disorder(samples: &Samples) -> Option<String> {
    let mut last = vec![None; samples.ids.len()];
    let mut late = Vec::new();
    for (row, (series, at)) in samples.series.iter().zip(&samples.at).enumerate() {
        if last[*series].replace(*at).is_some_and(|before| before >= *at) {
            late.push(row + 1);
        }
    }
    let first = late.first()?;
    Some(format!(
        "{} of {} rows are not later than the row before of their series, the first is row {first}; \
         they were judged in the file's order, so sort the file if that is not meant",
        late.len(),
        samples.at.len()
    ))
}

/// An integer step is taken as an hour.
fn instant(kind: TimeKind, at: i64) -> Timestamp {
    match kind {
        TimeKind::Steps => Timestamp::from_millis(at.saturating_mul(Step::HOUR.millis())),
        TimeKind::Instants => Timestamp::from_millis(at),
    }
}

/// A detector that learns the step of its series on the way.
#[derive(Clone)]
struct Watch {
    detector: NoveltyDetector,
    /// What was judged while the step was not known; empty ever after.
    before: Vec<(Timestamp, f64)>,
    knows_step: bool,
}

impl Default for Watch {
    fn default() -> Self {
        let detector = NoveltyDetector::new(Settings::for_step(Step::HOUR), Step::HOUR);
        Watch { detector, before: Vec::new(), knows_step: false }
    }
}

impl Watch {
    fn judge(&mut self, at: Timestamp, value: f64) -> Judgement {
        if !self.knows_step {
            self.learn_step(at);
            self.before.push((at, value));
        }
        self.detector.judge(at, value)
    }

    /// The step is the distance to the first row, of the first row that is
    /// later than it. What was judged before is judged again, so that the state
    /// is as if the step had been known.
    fn learn_step(&mut self, at: Timestamp) {
        let Some((first, _)) = self.before.first() else { return };
        let distance = at.millis().saturating_sub(first.millis());
        if let Ok(step) = Step::from_millis(distance) {
            self.detector = NoveltyDetector::new(Settings::for_step(step), step);
            for (at, value) in std::mem::take(&mut self.before) {
                self.detector.judge(at, value);
            }
            self.knows_step = true;
        }
    }
}

/// Times and values that were read as text are written to Parquet as what they
/// are; CSV gets them back exactly as they were.
fn type_text(table: &mut Table, samples: &Samples, output: &std::path::Path) {
    let Some((time, value)) = Samples::columns(table) else { return };
    let parquet = output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"));
    for (name, typed) in [(time, samples.times()), (value, Column::Numbers(samples.values.clone()))] {
        if parquet && matches!(table.column(name), Some(Column::Text(_))) {
            table.set(name, typed);
        }
    }
}
