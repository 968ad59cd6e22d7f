//! `plimsoll demo`: a simulated fleet through one whole cycle, then the API
//! and the page over what came of it.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use parking_lot::Mutex;

use super::fleet::registered;
use super::table;
use crate::api::ApiSettings;
use crate::app::{self, Usage};
use crate::cost::{PriceBook, Prices};
use crate::engine::{CycleReport, Engine, Progress, ReportSettings, Settings};
use crate::security::Token;
use crate::series::table as files;
use crate::simulate;
use crate::store::ParquetHistory;

/// Whose prices the demo uses: the one provider that has a price of each
/// resource in the books that come along.
const PROVIDER: &str = "on-premises";
const REGION: &str = "default";

/// The demo's arguments.
#[derive(Debug, Args)]
pub struct Demo {
    /// Exit after the table instead of serving.
    #[arg(long)]
    once: bool,
    /// The folder of the simulated fleet; it is made there if it is missing.
    #[arg(long, default_value = "data")]
    data: PathBuf,
    /// Where to serve.
    #[arg(long = "web.listen-address", default_value = "127.0.0.1:7117")]
    listen_address: SocketAddr,
    /// Rows of the table, 0 for all.
    #[arg(long, default_value_t = 30)]
    rows: usize,
}

/// Runs the demo.
///
/// # Errors
/// Where the fleet can't be made or read, or the address is taken.
pub fn run(arguments: &Demo, out: &mut impl Write) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("failed to start the threads")?;
    let outcome = runtime.block_on(demo(arguments, out));
    runtime.shutdown_background();
    outcome
}

async fn demo(arguments: &Demo, out: &mut impl Write) -> anyhow::Result<()> {
    // Before the work, so that a taken address is said at once.
    let listener = match arguments.once {
        true => None,
        false => Some(app::listen(arguments.listen_address).await?),
    };
    let fleet_file = arguments.data.join("fleet.parquet");
    let mut steps = Vec::new();
    timed(&mut steps, "simulate", || make_fleet(&fleet_file, out))?;
    let fleet = timed(&mut steps, "read", || {
        files::read_fleet(&fleet_file).context("failed to read the simulated fleet")
    })?;
    let history_folder = tempfile::tempdir().context("failed to make a folder for the history")?;
    let history = ParquetHistory::open(history_folder.path())?;
    let prices = Prices::listed(PriceBook::shipped()?);
    let usage = Usage::Frames(fleet.step, fleet.frames);
    let tenants = registered(fleet.tenants, PROVIDER, REGION);
    let settings = Settings::default();
    let engine = app::engine_over(usage, tenants, Some(prices), settings, Some(history)).await?;
    let report = engine.cycle(&Bar::default()).await?;
    steps.extend(report.steps.iter().copied());
    table::show(&engine, arguments.rows, out).await?;
    show_report(&report, &steps, out)?;
    let Some(listener) = listener else { return Ok(()) };
    serve(&engine, listener, out).await
}

/// Makes the fleet's file, unless it is there.
fn make_fleet(file: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    if file.exists() {
        return Ok(());
    }
    let settings = simulate::Settings::default();
    writeln!(
        out,
        "Simulating {} tenants over {} days into {} (seed {}).",
        settings.tenants,
        settings.days,
        file.display(),
        settings.seed
    )?;
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("failed to make {}", folder.display()))?;
    files::write_fleet(file, &simulate::fleet(&settings)).context("failed to write the simulated fleet")
}

fn timed<T>(
    steps: &mut Vec<(&'static str, Duration)>,
    name: &'static str,
    work: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    let made = work()?;
    steps.push((name, begun.elapsed()));
    Ok(made)
}

fn show_report(
    report: &CycleReport,
    steps: &[(&'static str, Duration)],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    writeln!(
        out,
        "\nThe usage is simulated. {} samples collected, {} forecasts made, {} samples judged.",
        report.samples, report.forecasts, report.judged
    )?;
    let took: Vec<String> =
        steps.iter().map(|(name, took)| format!("{name} {:.2} s", took.as_secs_f64())).collect();
    writeln!(out, "Time: {}.", took.join(", "))?;
    Ok(())
}

async fn serve(
    engine: &std::sync::Arc<Engine>,
    listener: tokio::net::TcpListener,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let token = Token::generate()?;
    engine.registry().add_token(&token.hash(), "demo").await?;
    let address = listener.local_addr()?;
    writeln!(out, "\nThe page: http://{address}/#token={}", token.reveal())?;
    writeln!(
        out,
        "The API:  curl -H 'Authorization: Bearer {}' http://{address}/v1/recommendations",
        token.reveal()
    )?;
    writeln!(
        out,
        "Why:      PLIMSOLL_TOKEN={} plimsoll explain TENANT/RESOURCE --server http://{address}",
        token.reveal()
    )?;
    writeln!(out, "Ctrl-C ends it.")?;
    out.flush()?;
    let reports = ReportSettings { is_simulated: true, ..ReportSettings::default() };
    let settings = ApiSettings { simulated: true, reports, ..ApiSettings::default() };
    app::serve_once_computed(engine.clone(), listener, settings).await
}

/// A bar on the terminal for each step.
#[derive(Default)]
struct Bar(Mutex<Option<ProgressBar>>);

impl Progress for Bar {
    fn begin(&self, step: &'static str, things: usize) {
        let bar = ProgressBar::new(things as u64).with_message(step);
        let style = ProgressStyle::with_template("{msg:>10} [{bar:40}] {pos}/{len} {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> "));
        if let Some(done) = self.0.lock().replace(bar) {
            done.finish();
        }
    }

    fn advance(&self) {
        if let Some(bar) = self.0.lock().as_ref() {
            bar.inc(1);
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(done) = self.0.lock().take() {
            done.finish();
        }
    }
}
