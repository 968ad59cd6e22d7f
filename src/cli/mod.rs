//! The commands, a file each. They write to what they are given, so that
//! tests can read it; only this file knows the real standard output.
//!
//! A command that fails gives one line on standard error, and nothing of its
//! output is left behind. The process ends with 2 where the command line or
//! the input is at fault, with 1 for anything else, and with 3 where what was
//! asked for waits for a second person.

mod answer;
mod audit;
pub mod backtest;
pub mod check_config;
pub mod client;
mod costs;
mod decision;
mod demo;
pub mod detect;
mod doctor;
pub mod explain;
mod fleet;
pub mod forecast;
mod incident;
mod models;
mod notify;
mod pause;
mod plan;
mod prometheus;
mod quota;
mod recommend;
mod recommendation;
pub mod replay;
mod report;
mod rollout;
mod seasons;
mod serve;
pub mod simulate;
mod store;
mod table;
mod template;
mod tenant;
mod token;
pub mod train;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::config::ConfigProblems;
use crate::series::table::TableError;

/// The whole command line.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What can be asked for.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon
    Serve(ConfigFile),
    /// Run a simulated fleet through one whole cycle, and show what comes of it
    Demo(demo::Demo),
    /// Recommend quotas once, from a Prometheus or a file
    Recommend(recommend::Recommend),
    /// Say why a recommendation says what it says
    Explain(explain::Explain),
    /// Show what a daemon's fleet costs, or what changes of its quotas have saved
    Costs(costs::Costs),
    /// Make a report on a daemon's fleet or a tenant, or read one that is kept
    Report(report::Report),
    /// Plan how a budget is best spent on the quotas of a daemon's fleet
    Plan(plan::Plan),
    /// Forecast each series of a file
    Forecast(forecast::Forecast),
    /// Score each forecasting model on the past of a file
    Backtest(backtest::Backtest),
    /// Train the neural forecasting model on the past of some files
    Train(train::Train),
    /// Show the versions of a daemon's forecasting models, or go back to those before
    Models(models::Models),
    /// Score each row of a file by how unusual it is
    Detect(detect::Detect),
    /// List incidents of a running daemon, take care of them, keep alerts back
    Incident(incident::Incident),
    /// List, register, change and remove tenants of a running daemon
    Tenant(tenant::Tenant),
    /// List quotas of a running daemon, and change them
    Quota(quota::Quota),
    /// List recommendations of a running daemon, and decide on them
    Recommendation(recommendation::Recommendation),
    /// Give out tokens of a running daemon, revoke them, set up a second factor
    Token(token::Token),
    /// List, make, change, compare, export and import templates of a running daemon
    Template(template::Template),
    /// Set limits through past usage, to see what they would have been worth
    Replay(replay::Replay),
    /// Make up a fleet of tenants with their usage, out of a seed
    Simulate(simulate::Simulate),
    /// Try receivers out, and look after the notices that they did not take
    Notify(notify::Notify),
    /// Read the audit log, export it, verify that nobody changed it
    Audit(audit::Audit),
    /// Check, repair, copy and bring back all that is kept
    Store(store::Store),
    /// Stop all changes of quotas at a running daemon, or say whether they are stopped
    Pause(pause::Pause),
    /// Change many quotas as one: in stages, watched, taken back where it does harm
    Rollout(rollout::Rollout),
    /// Let changes of quotas be made again
    Resume(pause::Resume),
    /// Write completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
    /// Say whether a config can be used, and what it means
    CheckConfig(ConfigFile),
    /// Try what a config names: Prometheus, store, target, receivers; say what to mend
    Doctor(doctor::Doctor),
}

/// Where the config is.
#[derive(Debug, Args)]
struct ConfigFile {
    /// The config file
    #[arg(long = "config.file", default_value = "config/plimsoll.toml")]
    file: PathBuf,
}

/// An argument that can't be used; the process ends with 2. Reads well after
/// "failed to".
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BadUsage(pub String);

const DONE: u8 = 0;
const FAILED: u8 = 1;
const BAD_INPUT: u8 = 2;
const WAITS: u8 = 3;

/// Runs one command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let outcome = dispatch(cli.command, &mut std::io::stdout());
    let code = outcome.unwrap_or_else(|error| {
        // Nobody is left to read why; yet it did not get to its end.
        if is_closed_pipe(&error) {
            return FAILED;
        }
        let text = format!("{error:#}");
        // The house's errors are written to fit after these words.
        let failed = if text.starts_with("failed to") { "" } else { "failed to " };
        warn(&format!("{failed}{text}"));
        exit_code(&error)
    });
    ExitCode::from(code)
}

/// Whether whoever reads the output has seen enough, as `head` has.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    error.downcast_ref().is_some_and(closed)
}

fn dispatch(command: Command, out: &mut impl Write) -> anyhow::Result<u8> {
    match command {
        Command::Serve(arguments) => serve::run(&arguments.file)?,
        Command::Demo(arguments) => demo::run(&arguments, out)?,
        Command::Recommend(arguments) => recommend::run(&arguments, out)?,
        Command::Explain(arguments) => explain::run(&arguments, out)?,
        Command::Plan(arguments) => plan::run(&arguments, out)?,
        Command::Costs(arguments) => costs::run(&arguments, out)?,
        Command::Report(arguments) => report::run(&arguments, out)?,
        Command::Forecast(arguments) => {
            for warning in forecast::run(&arguments)? {
                warn(&warning);
            }
        }
        Command::Backtest(arguments) => backtest::run(&arguments, out)?,
        Command::Train(arguments) => train::run(&arguments, out)?,
        Command::Models(arguments) => models::run(&arguments, out)?,
        Command::Incident(arguments) => incident::run(&arguments, out)?,
        Command::Detect(arguments) => {
            if let Some(disorder) = detect::run(&arguments)? {
                warn(&disorder);
            }
        }
        Command::Tenant(arguments) => tenant::run(&arguments, out)?,
        Command::Quota(arguments) => {
            let waits = quota::run(&arguments, out)?;
            return Ok(if waits { WAITS } else { DONE });
        }
        Command::Recommendation(arguments) => {
            let waits = recommendation::run(&arguments, out)?;
            return Ok(if waits { WAITS } else { DONE });
        }
        Command::Token(arguments) => token::run(&arguments, out)?,
        Command::Rollout(arguments) => {
            let waits = rollout::run(&arguments, out)?;
            return Ok(if waits { WAITS } else { DONE });
        }
        Command::Pause(arguments) => pause::run(&arguments, out)?,
        Command::Resume(arguments) => pause::resume(&arguments, out)?,
        Command::Completions { shell } => {
            // It panics where it can't write, so it writes to memory.
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "plimsoll", &mut text);
            out.write_all(&text)?;
        }
        Command::Template(arguments) => template::run(&arguments, out)?,
        Command::Replay(arguments) => replay::run(&arguments, out)?,
        Command::Simulate(arguments) => simulate::run(&arguments)?,
        Command::Notify(arguments) => notify::run(&arguments, out)?,
        Command::Audit(arguments) => {
            let whole = audit::run(&arguments, out)?;
            return Ok(if whole { DONE } else { FAILED });
        }
        Command::Store(arguments) => {
            let whole = store::run(&arguments, out)?;
            return Ok(if whole { DONE } else { FAILED });
        }
        Command::CheckConfig(arguments) => {
            let valid = check_config::run(&arguments.file, out)?;
            return Ok(if valid { DONE } else { BAD_INPUT });
        }
        Command::Doctor(arguments) => {
            let works = doctor::run(&arguments, out)?;
            return Ok(if works { DONE } else { FAILED });
        }
    }
    Ok(DONE)
}

/// A line on standard error. Where that is closed, nobody is left to tell.
fn warn(text: &str) {
    let _ = writeln!(std::io::stderr(), "plimsoll: {text}");
}

/// 2 where the command line or the input is at fault, else 1.
fn exit_code(error: &anyhow::Error) -> u8 {
    let theirs = error.chain().any(|cause| {
        cause.is::<BadUsage>()
            || cause.is::<ConfigProblems>()
            || cause.downcast_ref::<client::ClientError>().is_some_and(client::ClientError::is_bad_input)
            || cause.downcast_ref::<TableError>().is_some_and(TableError::is_bad_input)
    });
    if theirs { BAD_INPUT } else { FAILED }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_closed_pipe_is_one() {
        let error = |kind: std::io::ErrorKind| anyhow::Error::from(std::io::Error::from(kind));
        assert!(is_closed_pipe(&error(std::io::ErrorKind::BrokenPipe)));
        assert!(!is_closed_pipe(&error(std::io::ErrorKind::StorageFull)));
        assert!(!is_closed_pipe(&BadUsage("say so".to_owned()).into()));
    }
}
