//! `plimsoll train`: trains the neural model on the past of some files.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use candle_core::Device;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use ndarray::Array1;

use super::BadUsage;
use crate::domain::{Step, Timestamp};
use crate::forecast::neural::training::{Outcome, Plan, Progress, train};
use crate::forecast::neural::{NeuralError, cuda};
use crate::series::table::{self, SampledSeries, TimeKind};
use crate::series::{Aggregate, UsageSeries, resample};

const HOUR_MILLIS: i64 = 3_600_000;

/// What computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Where {
    /// The processor
    Cpu,
    /// The first NVIDIA card; the build must have the feature cuda
    Cuda,
}

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Train {
    /// Files of series, .csv or .parquet with the columns unique_id, ds, y;
    /// integer steps are hours, finer instants are averaged to hours
    #[arg(long, short, num_args = 1.., required = true)]
    input: Vec<PathBuf>,
    /// The weights to write, .safetensors; a checkpoint stands beside it until
    /// training ends, and a later run of the same command goes on from there
    #[arg(long, short)]
    output: PathBuf,
    /// Where all that is random comes from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Steps, at most
    #[arg(long, default_value_t = 8000)]
    steps: usize,
    /// Examples of a step
    #[arg(long, default_value_t = 128)]
    batch: usize,
    /// The highest learning rate
    #[arg(long, default_value_t = 0.001)]
    learning_rate: f64,
    /// Hours at the end of each series that are not looked at
    #[arg(long, default_value_t = 0)]
    hold_back: usize,
    /// Hours before those by which the best weights are chosen
    #[arg(long, default_value_t = 144)]
    validate: usize,
    /// Steps between two looks at these; a checkpoint is written at each
    #[arg(long, default_value_t = 250)]
    look_every: usize,
    /// Looks without a better one after which training ends
    #[arg(long, default_value_t = 12)]
    patience: usize,
    /// What computes
    #[arg(long, value_enum, default_value_t = Where::Cpu)]
    device: Where,
}

/// Runs the command.
///
/// # Errors
/// Where the input can't be read or is too short, the device is not there, or
/// the output can't be written.
pub fn run(arguments: &Train, out: &mut impl Write) -> anyhow::Result<()> {
    let plan = plan(arguments)?;
    let device = match arguments.device {
        Where::Cpu => Device::Cpu,
        Where::Cuda => cuda().map_err(as_usage)?,
    };
    let groups: Vec<Vec<Array1<f64>>> =
        arguments.input.iter().map(|file| hourly_series(file)).collect::<anyhow::Result<_>>()?;
    let bar = ProgressBar::new(plan.steps as u64);
    let style = "{bar:32} {pos} of {len} steps, {elapsed} gone, about {eta} left; {msg}";
    bar.set_style(ProgressStyle::with_template(style).context("failed to draw the progress")?);
    let mut show = |progress: &Progress| {
        bar.set_position(progress.step as u64);
        let held_out = progress.held_out.map_or_else(String::new, |loss| format!(", held out {loss:.4}"));
        let losses = format!("loss {:.4}{held_out}, best {:.4}", progress.loss, progress.best);
        if bar.is_hidden() && progress.step.is_multiple_of(plan.look_every) {
            // Nobody sees a bar in a log. Where the output is closed, nobody is left to tell.
            let _ = writeln!(out, "step {} of {}: {losses}", progress.step, plan.steps);
        }
        bar.set_message(losses);
    };
    let outcome = train(&plan, &groups, &device, &arguments.output, &mut show).map_err(as_usage)?;
    bar.finish_and_clear();
    Ok(tell(&outcome, arguments, out)?)
}

/// What the caller can mend ends with 2.
fn as_usage(error: NeuralError) -> anyhow::Error {
    match error {
        NeuralError::NoDevice(_) | NeuralError::TooLittle(_) | NeuralError::OtherRun(_) => {
            BadUsage(error.to_string()).into()
        }
        other => other.into(),
    }
}

fn plan(arguments: &Train) -> anyhow::Result<Plan> {
    let refuse = |what: &str, mend: &str| Err(BadUsage(format!("train {what}; {mend}")).into());
    if arguments.output.extension().is_none_or(|ending| ending != "safetensors") {
        return refuse("into this output", "give a file that ends in .safetensors");
    }
    if arguments.steps == 0 || arguments.batch == 0 || arguments.look_every == 0 || arguments.patience == 0 {
        return refuse("in no steps", "give --steps, --batch, --look-every and --patience of at least 1");
    }
    if !(arguments.learning_rate > 0.0 && arguments.learning_rate < 1.0) {
        return refuse("at this rate", "give a --learning-rate above 0 and below 1");
    }
    if arguments.validate < 48 {
        return refuse("without a held-out window", "give --validate of at least 48 hours");
    }
    Ok(Plan {
        seed: arguments.seed,
        steps: arguments.steps,
        batch: arguments.batch,
        rate: arguments.learning_rate,
        hold_back: arguments.hold_back,
        validate: arguments.validate,
        look_every: arguments.look_every,
        patience: arguments.patience,
    })
}

/// The series of a file, by the hour.
fn hourly_series(file: &Path) -> anyhow::Result<Vec<Array1<f64>>> {
    let series = table::series(&table::read(file)?)?;
    series.into_iter().map(|one| hourly(one, file)).collect()
}

fn hourly(series: SampledSeries, file: &Path) -> anyhow::Result<Array1<f64>> {
    let timeline = series.timeline;
    if timeline.kind == TimeKind::Steps || timeline.step == HOUR_MILLIS {
        return Ok(series.values);
    }
    let step = Step::from_millis(timeline.step).ok().filter(|_| timeline.step < HOUR_MILLIS);
    let Some(step) = step else {
        let what = format!("train on {}: the series {:?}", file.display(), series.id);
        return Err(BadUsage(format!("{what} is not by the hour or finer; leave it out")).into());
    };
    let fine = UsageSeries { start: Timestamp::from_millis(timeline.first), step, values: series.values };
    Ok(resample(&fine, Step::HOUR, Aggregate::Mean).values)
}

fn tell(outcome: &Outcome, arguments: &Train, out: &mut impl Write) -> std::io::Result<()> {
    let Outcome { loss, best_step, steps, weights, .. } = outcome;
    writeln!(
        out,
        "{weights} weights in {}: held-out loss {loss:.4}, the best of {steps} steps at {best_step}.",
        arguments.output.display()
    )?;
    for (series, loss) in outcome.series.iter().zip(&outcome.losses) {
        writeln!(out, "  a file with {series} series: held-out loss {loss:.4}")?;
    }
    Ok(())
}
