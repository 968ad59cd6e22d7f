//! What cycles cost over a large fleet: the daemon's own engine with its store
//! and its history on disk, over a source that makes usage up, so that only the
//! daemon is measured. After the look back each cycle brings one new hour;
//! models are fitted anew meanwhile. With `--serve` the fleet is served at last,
//! for the measuring of the API and the pages.
//!
//!   cargo bench --bench scale -- [--tenants 10000] [--days 28] [--keep 90] [--cycles 6] [--serve]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::f64::consts::TAU;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use async_trait::async_trait;
use ndarray::Array1;
use plimsoll::api::ApiSettings;
use plimsoll::app;
use plimsoll::domain::{Actor, ApplyMode, DomainError, Resource, Step, TenantId, Tier, TimeRange, Timestamp};
use plimsoll::engine::{Compute, CycleReport, Engine, Ids, Parts, Settings, Silent};
use plimsoll::ports::{Clock, Fetched, SourceError, UsageSource};
use plimsoll::registry::{NewTenant, Registry};
use plimsoll::series::{Frame, UsageSeries};
use plimsoll::store::{ParquetHistory, SledSettings, SledStore};
use plimsoll::target::RegistryTarget;
use plimsoll::telemetry::Metrics;

const HOUR: i64 = 3600;
/// Any Monday.
const BEGIN: i64 = 1_767_571_200;
const TOKEN: &str = "plim_for-the-benchmark-only";

/// What the command line says.
struct Asked {
    tenants: usize,
    days: i64,
    keep: i64,
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
            keep: number("--keep", 90)?,
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

/// Makes the usage of each tenant up, the same for the same hour.
struct MadeUp(Vec<TenantId>);

/// Even noise from 0 to 1 that belongs to its place.
fn noise(series: usize, hour: i64) -> f64 {
    let mut state = (series as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (hour as u64);
    for _ in 0..3 {
        state = (state ^ (state >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    (state >> 11) as f64 / (1_u64 << 53) as f64
}

/// A rhythm of days and weeks of its own, noise, and a burst now and then.
fn usage(series: usize, hour: i64) -> f64 {
    let own = |salt: i64| noise(series, -salt);
    let daily = 0.35 * own(1) * (TAU * (hour as f64 / 24.0 + own(2))).sin();
    let weekly = 0.15 * own(3) * (TAU * hour as f64 / 168.0).sin();
    let burst = if noise(series + 1, hour) > 0.995 { 1.0 + own(4) } else { 0.0 };
    let scale = 0.2 + 4.0 * own(5) * own(5);
    scale * (0.6 + daily + weekly + 0.2 * noise(series, hour) + burst)
}

#[async_trait]
impl UsageSource for MadeUp {
    fn resources(&self) -> Vec<Resource> {
        Resource::ALL.to_vec()
    }

    fn step(&self) -> Step {
        Step::HOUR
    }

    async fn fetch(&self, resource: Resource, range: TimeRange) -> Result<Fetched, SourceError> {
        let place = Resource::ALL.iter().position(|one| *one == resource).unwrap_or(0);
        let (from, to) = (range.start.seconds() / HOUR, range.end.seconds() / HOUR);
        let series = self.0.iter().enumerate().map(|(tenant, id)| {
            let values: Array1<f64> = (from..to).map(|hour| usage(tenant * 16 + place, hour)).collect();
            (id.clone(), UsageSeries { start: range.start, step: Step::HOUR, values })
        });
        let frame = Frame { resource, step: Step::HOUR, series: series.collect() };
        Ok(Fetched { frame, refused: Vec::new() })
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
    println!("{} tenants, {series} series, {} days by the hour", asked.tenants, asked.days);
    println!("registered in {:.1} s", begun.elapsed().as_secs_f64());
    for cycle in 0..=asked.cycles {
        let report = engine.cycle(&Silent).await?;
        show(if cycle == 0 { "look back" } else { "one new hour" }, &report, series);
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
    let store = SledStore::open(&folder.join("state"), SledSettings::default())?;
    let days = |count: i64| Duration::from_secs(count.unsigned_abs() * 86_400);
    let settings = Settings {
        backfill: days(asked.days),
        window: days(asked.days),
        keep: days(asked.keep.max(asked.days)),
        // A refit falls into the cycles that are measured.
        refit_every: Duration::from_secs(2 * 3600),
        ..Settings::default()
    };
    let parts = Parts {
        source: Arc::new(MadeUp((0..asked.tenants).map(name).collect::<Result<_, _>>()?)),
        history: Arc::new(ParquetHistory::open(&folder.join("history"))?),
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

/// One line: what each step took, and what the process holds.
fn show(what: &str, report: &CycleReport, series: usize) {
    let all: Duration = report.steps.iter().map(|(_, took)| *took).sum();
    let steps: Vec<String> =
        report.steps.iter().map(|(step, took)| format!("{step} {:.1}", took.as_secs_f64())).collect();
    let held = resident_kib();
    println!(
        "{what:>12}: {:6.1} s ({}); {} proposed; {:.0} MiB held, {:.1} KiB a series",
        all.as_secs_f64(),
        steps.join(", "),
        report.proposed,
        held as f64 / 1024.0,
        held as f64 / series as f64,
    );
}

/// The memory that the process holds, in KiB; 0 where the system does not say.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
