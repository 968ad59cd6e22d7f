//! `plimsoll serve`: the daemon.

use std::path::Path;

use anyhow::Context;

use crate::app::{App, share_out};
use crate::config::Config;
use crate::telemetry;

/// Serves with the config at `path` until a signal.
///
/// # Errors
/// Where the config is refused, or the daemon can't run with it.
pub fn run(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    // Else a burst of short reads starts hundreds of threads that wait, and each
    // keeps memory to give out again.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(share_out(config.store.threads).0)
        .build()
        .context("failed to start the threads")?;
    let entered = runtime.enter();
    telemetry::start_logs(config.log.format, &config.log.level)?;
    drop(entered);
    let outcome = runtime.block_on(async { App::start(config, path).await?.serve().await });
    telemetry::stop_logs();
    // Heavy work that was given up may still run; it is not waited for.
    runtime.shutdown_background();
    outcome
}
