//! How long a fetch of 2,000 series over 14 days at 5 minutes takes from a real
//! Prometheus, beside a plain `curl` of the same ranges to /dev/null; how often
//! Prometheus was asked, by its own count; and how long whole cycles of the engine
//! take over the same usage.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement ends where it can't go on")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

#[path = "../tests/it/rig/mod.rs"]
mod rig;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use plimsoll::domain::{Resource, Tier, TimeRange, Timestamp};
use plimsoll::engine::{Compute, Engine, Ids, Parts, Settings, Silent};
use plimsoll::ports::{Clock, UsageSource};
use plimsoll::registry::Registry;
use plimsoll::series::stats;
use plimsoll::source::{PrometheusSettings, PrometheusSource};
use plimsoll::store::{DiskKind, DiskSettings, DiskStore, FileShelf, ParquetHistory};
use plimsoll::target::RegistryTarget;
use tempfile::TempDir;

const SERIES: usize = 2_000;
const POINTS: i64 = 14 * 288;
const STEP: i64 = 300;
const START: i64 = 1_750_000_200;
const ROUNDS: usize = 5;
/// First cycles, each of a daemon of its own.
const FIRST_CYCLES: usize = 3;
const QUERY: &str = "usage";

fn main() {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(measure());
}

async fn measure() {
    let folder = TempDir::new().unwrap();
    let samples = folder.path().join("samples.txt");
    let begin = Instant::now();
    write_samples(&samples).unwrap();
    let prometheus = rig::Prometheus::start_with_file(&samples).await;
    println!("data: {SERIES} series x {POINTS} points, made in {:.0} s", begin.elapsed().as_secs_f64());

    let settings = PrometheusSettings::new(
        prometheus.url.clone(),
        BTreeMap::from([(Resource::CpuCores, QUERY.to_owned())]),
    );
    let urls = urls(&prometheus.url, settings.max_samples_per_query / SERIES);
    println!("{} ranges, {} queries at once", urls.len(), settings.max_queries_at_once);
    let source = PrometheusSource::new(settings).unwrap();
    // The first round warms the caches and does not count.
    let (mut fetches, mut one_by_one, mut by_two) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let times = (fetch(&source).await, curl(&urls, 1), curl(&urls, 2));
        println!(
            "round {round}: fetch {:.2} s, curl {:.2} s, curl by two {:.2} s",
            times.0, times.1, times.2
        );
        if round > 0 {
            fetches.push(times.0);
            one_by_one.push(times.1);
            by_two.push(times.2);
        }
    }
    show_load(&source, &prometheus.url).await;
    let [fetch, one, two] = [fetches, one_by_one, by_two].map(|times| stats::median(&times).unwrap());
    println!("medians: fetch {fetch:.2} s, curl {one:.2} s, curl by two {two:.2} s");
    println!("ratios: {:.2} of curl, {:.2} of curl by two", fetch / one, fetch / two);
    let mut collects = Vec::new();
    for _ in 0..FIRST_CYCLES {
        collects.push(cycles(&prometheus.url).await);
    }
    let collect = stats::median(&collects).unwrap();
    println!("the first cycle's collect, with what is written down: {:.2} of curl", collect / one);
}

/// How often one fetch asks Prometheus, by its own count.
async fn show_load(source: &PrometheusSource, url: &str) {
    let before = range_queries(url).await;
    let seconds = fetch(source).await;
    let queries = range_queries(url).await - before;
    let samples = SERIES as f64 * POINTS as f64 / queries;
    println!("load: {queries} range queries, {:.1} a second, {samples:.0} samples each", queries / seconds);
}

/// How many range queries Prometheus has answered.
async fn range_queries(url: &str) -> f64 {
    let page = reqwest::get(format!("{url}/metrics")).await.unwrap().text().await.unwrap();
    let is_range = |line: &&str| {
        line.starts_with("prometheus_http_requests_total{") && line.contains("\"/api/v1/query_range\"")
    };
    let lines = page.lines().filter(is_range);
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

/// The end of the usage, where the engine's present stands; then an hour on.
#[derive(Debug)]
struct Present(AtomicI64);

impl Clock for Present {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::Relaxed))
    }
}

/// Whole cycles of the engine over the same usage: the first, and one an hour
/// later, which fetches only what is new. Gives the seconds that the first took
/// to collect.
async fn cycles(url: &str) -> f64 {
    let expressions = BTreeMap::from([(Resource::CpuCores, QUERY.to_owned())]);
    let last_hour = 3600;
    let clock = Arc::new(Present(AtomicI64::new(START + POINTS * STEP - last_hour)));
    let (state, history) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = DiskStore::open(state.path(), DiskKind::Redb, DiskSettings::default()).unwrap();
    let parts = Parts {
        source: Arc::new(PrometheusSource::new(PrometheusSettings::new(url, expressions)).unwrap()),
        history: Arc::new(ParquetHistory::open(history.path()).unwrap()),
        shelf: Arc::new(FileShelf::create(history.path()).unwrap()),
        registry: Registry::new(Arc::new(store), clock.clone()),
        target: Arc::new(RegistryTarget),
        prices: None,
        clock: clock.clone(),
        ids: Ids::from_seed(1),
        compute: Compute::new(0, 8).unwrap(),
        metrics: Arc::default(),
    };
    let settings = Settings { discover: Some(Tier::EnterprisePlus), ..Settings::default() };
    let engine = Arc::new(Engine::new(parts, settings));
    let mut collects = Vec::new();
    for name in ["first cycle", "cycle an hour later"] {
        let begin = Instant::now();
        let report = engine.cycle(&Silent).await.unwrap();
        let collect = report.steps.iter().find(|(step, _)| *step == "collect");
        collects.extend(collect.map(|(_, took)| took.as_secs_f64()));
        let steps: Vec<String> =
            report.steps.iter().map(|(step, took)| format!("{step} {:.2}", took.as_secs_f64())).collect();
        println!(
            "{name}: {:.2} s for {} samples ({})",
            begin.elapsed().as_secs_f64(),
            report.samples,
            steps.join(", ")
        );
        clock.0.fetch_add(last_hour, Ordering::Relaxed);
    }
    collects[0]
}

async fn fetch(source: &PrometheusSource) -> f64 {
    let range = TimeRange {
        start: Timestamp::from_seconds(START),
        end: Timestamp::from_seconds(START + POINTS * STEP),
    };
    let begin = Instant::now();
    let fetched = source.fetch(Resource::CpuCores, range).await.unwrap();
    let seconds = begin.elapsed().as_secs_f64();
    assert_eq!(fetched.frame.samples(), SERIES * POINTS as usize);
    seconds
}

/// The ranges that a fetch splits into: as few as can be, of about one size.
fn urls(base: &str, most: usize) -> Vec<String> {
    let points = POINTS as usize;
    let size = points.div_ceil(points.div_ceil(most));
    (0..POINTS)
        .step_by(size)
        .map(|from| {
            let (start, last) = (START + from * STEP, (from + size as i64).min(POINTS) - 1);
            let end = START + last * STEP;
            format!("{base}/api/v1/query_range?query={QUERY}&start={start}&end={end}&step={STEP}")
        })
        .collect()
}

fn curl(urls: &[String], at_once: usize) -> f64 {
    let mut command = Command::new("curl");
    command.args(["--silent", "--fail"]).stderr(Stdio::null());
    if at_once > 1 {
        command.args(["--parallel", "--parallel-immediate", "--parallel-max", &at_once.to_string()]);
    }
    for url in urls {
        command.args(["--output", "/dev/null", url]);
    }
    let begin = Instant::now();
    assert!(command.status().expect("curl is missing").success());
    begin.elapsed().as_secs_f64()
}

fn write_samples(path: &Path) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    writeln!(file, "# TYPE {QUERY} gauge")?;
    for series in 0..SERIES {
        for point in 0..POINTS {
            // Digits as real usage has them: a text of about 17 characters.
            let value = 2.0 + (point as f64 / 45.0 + series as f64).sin();
            writeln!(file, "{QUERY}{{tenant=\"t{series}\"}} {value} {}", START + point * STEP)?;
        }
    }
    writeln!(file, "# EOF")?;
    file.flush()
}
