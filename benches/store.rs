//! How many commits a second the stores take, and how long one takes:
//! `cargo bench --bench store [FOLDER]`. Prints a line for each number of
//! writers; each commit is one small put and one entry in the log.

use std::error::Error;
use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll::domain::{Resource, Step, Timestamp};
use plimsoll::ports::{Batch, Expect, History, Store, Table, Write};
use plimsoll::series::{Frame, UsageSeries};
use plimsoll::store::{ParquetHistory, SledSettings, SledStore};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long each number of writers is measured.
const FOR: Duration = Duration::from_secs(5);
/// Bytes of a value.
const VALUE: usize = 300;

fn main() -> Outcome<()> {
    let under = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let folder = tempfile::tempdir_in(under.map_or_else(std::env::temp_dir, PathBuf::from))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut out = stdout().lock();
    writeln!(out, "{:>8} {:>12} {:>10} {:>10} {:>10}", "writers", "commits/s", "p50 ms", "p99 ms", "max ms")?;
    for writers in [1, 8, 64] {
        let path = folder.path().join(writers.to_string());
        let mut times = runtime.block_on(measure(path, writers))?;
        times.sort_unstable();
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
        let rate = times.len() as f64 / FOR.as_secs_f64();
        writeln!(out, "{writers:>8} {rate:>12.0} {:>10.2} {:>10.2} {:>10.2}", at(0.5), at(0.99), at(1.0))?;
    }
    let many = folder.path().join("many");
    runtime.block_on(fill(many.clone()))?;
    let began = Instant::now();
    let store = SledStore::open(&many, SledSettings::default())?;
    writeln!(out, "opening 100,000 values of {VALUE} bytes: {:.2} s", began.elapsed().as_secs_f64())?;
    let began = Instant::now();
    store.close()?;
    writeln!(out, "closing them: {:.2} s", began.elapsed().as_secs_f64())?;
    history(&folder.path().join("history"), &mut out)
}

async fn measure(path: PathBuf, writers: usize) -> Outcome<Vec<Duration>> {
    let store = Arc::new(SledStore::open(&path, SledSettings::default())?);
    let until = Instant::now() + FOR;
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                let mut times = Vec::new();
                while Instant::now() < until {
                    let key = format!("{writer}/{}", times.len() % 100);
                    let bytes = vec![b'v'; VALUE];
                    let put = Write::Put {
                        table: Table::Quotas,
                        key,
                        expect: Expect::Anything,
                        bytes: bytes.clone(),
                    };
                    let append = Write::Append { table: Table::Audit, bytes };
                    let began = Instant::now();
                    store.commit(Batch { writes: vec![put, append] }).await?;
                    times.push(began.elapsed());
                }
                Outcome::Ok(times)
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await??);
    }
    tokio::task::spawn_blocking(move || store.close()).await??;
    Ok(times)
}

async fn fill(path: PathBuf) -> Outcome<()> {
    let store = SledStore::open(&path, SledSettings::default())?;
    for _ in 0..200 {
        let append = Write::Append { table: Table::Audit, bytes: vec![b'v'; VALUE] };
        store.commit(Batch { writes: vec![append; 500] }).await?;
    }
    tokio::task::spawn_blocking(move || store.close()).await??;
    Ok(())
}

/// 200 tenants, 14 days at 5 minutes, in slices of a day.
fn history(path: &std::path::Path, out: &mut impl std::io::Write) -> Outcome<()> {
    let history = ParquetHistory::open(path)?;
    let step = Step::FIVE_MINUTES;
    let began = Instant::now();
    for day in 0..14 {
        let mut frame = Frame::empty(Resource::CpuCores, step);
        for tenant in 0..200 {
            let values = (0..288).map(|n| f64::from(n * 7919 % 1009) + f64::from(tenant)).collect();
            let start = Timestamp::from_seconds(day * 86_400);
            frame.series.insert(format!("tenant-{tenant}").parse()?, UsageSeries { start, step, values });
        }
        history.append(&frame)?;
    }
    writeln!(out, "14 days of 200 series added to the history: {:.2} s", began.elapsed().as_secs_f64())?;
    let began = Instant::now();
    let samples = history.load(Resource::CpuCores, step, Timestamp::from_seconds(0))?.samples();
    writeln!(out, "loading the {samples} samples: {:.2} s", began.elapsed().as_secs_f64())?;
    Ok(())
}
