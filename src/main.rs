//! Parses the command line and hands over.

use std::process::ExitCode;

use clap::Parser;
use plimsoll::cli::{self, Cli};

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
