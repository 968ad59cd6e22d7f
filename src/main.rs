//! Parses the command line and hands over.

use std::process::ExitCode;

use clap::Parser;
use plimsoll::cli::{self, Cli};
use tikv_jemallocator::Jemalloc;

/// Usage comes and goes in large pieces on many threads. The system's allocator
/// keeps half as much again of it (docs/benchmarks.md).
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    cli::run(Cli::parse())
}
