//! `plimsoll simulate`: a made-up fleet of any size, out of a seed.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;

use super::BadUsage;
use crate::domain::Step;
use crate::series::table;
use crate::simulate::{self, Settings};

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Simulate {
    /// How many tenants
    #[arg(long, default_value_t = Settings::default().tenants)]
    tenants: usize,
    /// How many days before 2026-11-22
    #[arg(long, default_value_t = Settings::default().days)]
    days: u32,
    /// The time between two samples, a part of a day
    #[arg(long, default_value = "5m", value_parser = humantime::parse_duration)]
    step: Duration,
    /// What all chance comes from: the same seed gives the same fleet
    #[arg(long, default_value_t = Settings::default().seed)]
    seed: u64,
    /// The file to write: .parquet, .csv, or OpenMetrics text for promtool as
    /// .om, .openmetrics or .txt; - for standard output as CSV
    #[arg(long, short)]
    output: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Where the settings are impossible, or the output can't be written.
pub fn run(arguments: &Simulate) -> anyhow::Result<()> {
    table::check_fleet_output(&arguments.output)?;
    let Simulate { tenants, days, seed, .. } = *arguments;
    let step = Step::from_duration(arguments.step).map_err(|error| BadUsage(error.to_string()))?;
    let settings = Settings { tenants, days, step, seed };
    settings.check().map_err(|error| BadUsage(error.to_string()))?;
    table::write_fleet(&arguments.output, &simulate::fleet(&settings)).context("failed to write the fleet")
}
