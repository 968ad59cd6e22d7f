//! `plimsoll doctor`: tries what a config names, and says what to mend.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use serde_json::json;

use super::ConfigFile;
use super::answer::Output;
use crate::app::doctor::{Checked, Health, examine};
use crate::config::Config;

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Doctor {
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    output: Output,
}

/// Runs the command; says whether a daemon could do its work.
///
/// # Errors
/// Where the config can't be used, or the answer can't be written.
pub fn run(arguments: &Doctor, out: &mut impl Write) -> anyhow::Result<bool> {
    let config = Config::load(&arguments.config.file)?;
    let runtime = tokio::runtime::Runtime::new().context("failed to start the threads")?;
    let all = runtime.block_on(examine(&config));
    let works = all.iter().all(|one| one.health != Health::Bad);
    if !arguments.output.show(&json!({"works": works, "items": all}), out)? {
        show(&all, out)?;
    }
    Ok(works)
}

fn show(all: &[Checked], out: &mut impl Write) -> std::io::Result<()> {
    let width = all.iter().map(|one| one.part.len()).max().unwrap_or(0);
    for one in all {
        let mark = match one.health {
            Health::Good => "good    ",
            Health::Doubtful => "doubtful",
            Health::Bad => "bad     ",
        };
        writeln!(out, "{mark}  {:width$}  {}", one.part, one.found)?;
        if let Some(mend) = &one.mend {
            writeln!(out, "{:10}{:width$}  mend: {mend}", "", "")?;
        }
    }
    let count = |health| all.iter().filter(|one| one.health == health).count();
    writeln!(
        out,
        "{} bad, {} doubtful, {} good.",
        count(Health::Bad),
        count(Health::Doubtful),
        count(Health::Good)
    )
}
