//! What cycles cost over a large fleet: the daemon's own engine with its store
//! and its history on disk, over a source that makes usage up, so that only the
//! daemon is measured. After the look back each cycle brings one new hour;
//! models are fitted anew between two of them. With `--serve` the fleet is served at last,
//! for the measuring of the API and the pages.
//!
//! `--days` of usage are there at the start and kept in the history, of which
//! `--window` days are looked at; `--step` is in minutes.
//!
//!   cargo bench --profile release --bench scale -- [--tenants 10000] [--days 28] [--window 28] [--keep 90] \
//!     [--step 60] [--cycles 6] [--serve]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::f64::consts::TAU;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use async_trait::async_trait;
use ndarray::Array1;
use parking_lot::Mutex;
use plimsoll::api::ApiSettings;
use plimsoll::app;
use plimsoll::domain::{Actor, ApplyMode, DomainError, Resource, Step, TenantId, Tier, TimeRange, Timestamp};
use plimsoll::engine::{Compute, CycleReport, Engine, Ids, Parts, Progress, Settings};
use plimsoll::ports::{Clock, Fetched, SourceError, UsageSource};
use plimsoll::registry::{NewTenant, Registry};
use plimsoll::series::{Frame, UsageSeries};
use plimsoll::store::{DiskKind, DiskSettings, DiskStore, FileShelf, ParquetHistory};
use plimsoll::target::RegistryTarget;
use plimsoll::telemetry::Metrics;
use tikv_jemallocator::Jemalloc;

/// The daemon's.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

const HOUR: i64 = 3600;
/// Any Monday.
const BEGIN: i64 = 1_767_571_200;
const TOKEN: &str = "plim_for-the-benchmark-only";

/// What the command line says.
struct Asked {
    tenants: usize,
    days: i64,
    window: i64,
    keep: i64,
    step: i64,
    cycles: usize,
    serve: bool,
}

impl Asked {
    fn read() -> anyhow::Result<Asked> {
        let words: Vec<String> = std::env::args().collect();
        let number = |name: &str, default: i64| {
            let value = words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
            match value {
                Some(value) => value.parse().with_context(|| format!("{name} takes a whole number")),
                None => Ok(default),
            }
        };
        let asked = Asked {
            tenants: number("--tenants", 10_000)?.unsigned_abs() as usize,
            days: number("--days", 28)?,
            window: number("--window", 28)?,
            keep: number("--keep", 90)?,
            step: number("--step", 60)?.clamp(1, 60),
            cycles: number("--cycles", 6)?.unsigned_abs() as usize,
            serve: words.iter().any(|word| word == "--serve"),
        };
        Ok(asked)
    }
}

#[derive(Debug)]
struct Moved(AtomicI64);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::Relaxed))
    }
}

/// Makes the usage of each tenant up, the same for the same instant.
struct MadeUp {
    tenants: Vec<TenantId>,
    step: Step,
}

/// Even noise from 0 to 1 that belongs to its place.
fn noise(series: usize, place: i64) -> f64 {
    let mut state = (series as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (place as u64);
    for _ in 0..3 {
        state = (state ^ (state >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    (state >> 11) as f64 / (1_u64 << 53) as f64
}

/// A rhythm of days and weeks of its own, noise, and a burst now and then.
fn usage(series: usize, at: Timestamp) -> f64 {
    let (place, hour) = (at.seconds() / 60, at.seconds() as f64 / HOUR as f64);
    let own = |salt: i64| noise(series, -salt);
    let daily = 0.35 * own(1) * (TAU * (hour / 24.0 + own(2))).sin();
    let weekly = 0.15 * own(3) * (TAU * hour / 168.0).sin();
    let burst = if noise(series + 1, place) > 0.995 { 1.0 + own(4) } else { 0.0 };
    let scale = 0.2 + 4.0 * own(5) * own(5);
    scale * (0.6 + daily + weekly + 0.2 * noise(series, place) + burst)
}

#[async_trait]
impl UsageSource for MadeUp {
    fn resources(&self) -> Vec<Resource> {
        Resource::ALL.to_vec()
    }

    fn step(&self) -> Step {
        self.step
    }

    async fn fetch(&self, resource: Resource, range: TimeRange) -> Result<Fetched, SourceError> {
        let place = Resource::ALL.iter().position(|one| *one == resource).unwrap_or(0);
        let step = self.step;
        let series = self.tenants.iter().enumerate().map(|(tenant, id)| {
            let mut series = UsageSeries::empty(range.start, step);
            let values: Array1<f64> =
                (0..range.points(step)).map(|index| usage(tenant * 16 + place, series.at(index))).collect();
            series.values = values;
            (id.clone(), series)
        });
        let frame = Frame { resource, step, series: series.collect() };
        Ok(Fetched::whole(frame))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let asked = Asked::read()?;
    let folder = tempfile::tempdir()?;
    let clock = Arc::new(Moved(AtomicI64::new(BEGIN + asked.days * 24 * HOUR + 120)));
    let engine = engine(&asked, folder.path(), clock.clone())?;
    let ids: Vec<TenantId> = (0..asked.tenants).map(name).collect::<Result<_, _>>()?;
    let begun = Instant::now();
    for id in ids {
        let tenant = NewTenant {
            id,
            name: None,
            tier: Tier::Premium,
            provider: "aws".to_owned(),
            region: "eu-central-1".to_owned(),
            apply_mode: ApplyMode::Review,
            template: None,
            quotas: Default::default(),
        };
        engine.registry().create_tenant(tenant, Actor::Daemon, None).await?;
    }
    let series = asked.tenants * Resource::ALL.len();
    println!(
        "{} tenants, {series} series, {} days of which {} are looked at, a sample each {} min",
        asked.tenants, asked.days, asked.window, asked.step
    );
    println!("registered in {:.1} s", begun.elapsed().as_secs_f64());
    for cycle in 0..=asked.cycles {
        let watched = Watched::default();
        let report = engine.cycle(&watched).await?;
        show(if cycle == 0 { "look back" } else { "one new hour" }, &report, series, &watched);
        wait_for_refit(&engine).await;
        clock.0.fetch_add(HOUR, Ordering::Relaxed);
    }
    if asked.serve {
        engine.registry().add_token(&plimsoll::security::hash(TOKEN), "bench").await?;
        let listener = app::listen("127.0.0.1:0".parse()?).await?;
        let address = listener.local_addr()?;
        println!("serving http://{address}/#token={TOKEN} until Ctrl-C");
        app::serve_once_computed(engine, listener, ApiSettings::default()).await?;
    }
    Ok(())
}

fn name(number: usize) -> Result<TenantId, DomainError> {
    format!("tenant-{number:05}").parse()
}

fn engine(asked: &Asked, folder: &std::path::Path, clock: Arc<Moved>) -> anyhow::Result<Arc<Engine>> {
    let store = DiskStore::open(&folder.join("state"), DiskKind::Redb, DiskSettings::default())?;
    let days = |count: i64| Duration::from_secs(count.unsigned_abs() * 86_400);
    let settings = Settings {
        backfill: days(asked.days),
        window: days(asked.window),
        keep: days(asked.keep.max(asked.days)),
        // One refit falls among the cycles that are measured.
        refit_every: Duration::from_secs(2 * 3600),
        ..Settings::default()
    };
    let parts = Parts {
        source: Arc::new(MadeUp {
            tenants: (0..asked.tenants).map(name).collect::<Result<_, _>>()?,
            step: Step::from_millis(asked.step * 60_000)?,
        }),
        history: Arc::new(ParquetHistory::open(&folder.join("history"))?),
        shelf: Arc::new(FileShelf::create(folder)?),
        registry: Registry::new(Arc::new(store), clock.clone()),
        target: Arc::new(RegistryTarget),
        prices: None,
        clock,
        ids: Ids::from_seed(1),
        compute: Compute::new(0, 8)?,
        metrics: Arc::new(Metrics::default()),
    };
    Ok(Arc::new(Engine::new(parts, settings)))
}

/// Waits until new models are fitted, so that a cycle is measured by itself.
async fn wait_for_refit(engine: &Engine) {
    let (begun, before) = (Instant::now(), processor_seconds());
    let mut waited = false;
    while engine.is_refitting() {
        waited = true;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if waited {
        let (took, used) = (begun.elapsed().as_secs_f64(), processor_seconds() - before);
        println!("  full refit: {took:6.1} s, {used:.1} s of processor");
    }
}

/// The processor time of the process when each step of a cycle began.
#[derive(Debug, Default)]
struct Watched(Mutex<Vec<(&'static str, f64)>>);

impl Progress for Watched {
    fn begin(&self, step: &'static str, _things: usize) {
        self.0.lock().push((step, processor_seconds()));
    }

    fn advance(&self) {}
}

impl Watched {
    /// The processor time of all steps, and of each; the last one ends now.
    fn used(&self) -> (f64, Vec<(&'static str, f64)>) {
        let begun = self.0.lock().clone();
        let now = processor_seconds();
        let ends = begun.iter().skip(1).map(|(_, end)| *end).chain([now]);
        let used = begun.iter().zip(ends).map(|((step, begin), end)| (*step, end - begin)).collect();
        (begun.first().map_or(0.0, |(_, begin)| now - begin), used)
    }
}

/// One line: what each step took, how many cores it kept busy, and what the
/// process holds.
fn show(what: &str, report: &CycleReport, series: usize, watched: &Watched) {
    let all: Duration = report.steps.iter().map(|(_, took)| *took).sum();
    let (used, by_step) = watched.used();
    let cores = |step: &str, took: Duration| {
        let used: f64 = by_step.iter().filter(|(name, _)| *name == step).map(|(_, used)| used).sum();
        used / took.as_secs_f64().max(1e-3)
    };
    let step = |(step, took): &(&str, Duration)| {
        format!("{step} {:.1} x {:.1}", took.as_secs_f64(), cores(step, *took))
    };
    let steps: Vec<String> = report.steps.iter().map(step).collect();
    let (held, most) = (status_kib("VmRSS:"), status_kib("VmHWM:"));
    println!(
        "{what:>12}: {:6.1} s, {used:.1} s of processor ({}); {} proposed; {:.0} MiB held, {:.1} KiB a series, \
         {:.0} MiB at most",
        all.as_secs_f64(),
        steps.join(", "),
        report.proposed,
        held as f64 / 1024.0,
        held as f64 / series as f64,
        most as f64 / 1024.0,
    );
}

/// The processor time of the process so far; 0 where the system does not say.
/// What is fitted in the background counts where it falls.
fn processor_seconds() -> f64 {
    let status = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = status.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    // User and system time, in hundredths of a second.
    (ticks(11) + ticks(12)) / 100.0
}

/// A figure of the process's memory in KiB; 0 where the system does not say.
fn status_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
