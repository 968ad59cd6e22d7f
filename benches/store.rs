//! How many commits a second sled and redb take, and how long one takes:
//! `cargo bench --bench store [FOLDER]`. Prints a line for each number of
//! writers; each commit is one small put and one entry in the log. Then what
//! opening, reading and closing take, and what the values take up on disk.

use std::error::Error;
use std::io::{Write as _, stdout};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll::domain::{Resource, Step, Timestamp};
use plimsoll::ports::{Batch, Expect, History, Order, Store, Table, Write};
use plimsoll::series::{Frame, UsageSeries};
use plimsoll::store::{DiskKind, DiskSettings, DiskStore, ParquetHistory};

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
    writeln!(
        out,
        "{:>6} {:>8} {:>12} {:>10} {:>10} {:>10}",
        "store", "writers", "commits/s", "p50 ms", "p99 ms", "max ms"
    )?;
    for writers in [1, 8, 64] {
        // In turns, so that both see the same machine.
        for kind in DiskKind::ALL {
            let path = folder.path().join(format!("{kind}-{writers}"));
            let mut times = runtime.block_on(measure(path, kind, writers))?;
            times.sort_unstable();
            let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
            let rate = times.len() as f64 / FOR.as_secs_f64();
            let (p50, p99, most) = (at(0.5), at(0.99), at(1.0));
            writeln!(out, "{kind:>6} {writers:>8} {rate:>12.0} {p50:>10.2} {p99:>10.2} {most:>10.2}")?;
        }
    }
    for kind in DiskKind::ALL {
        opening(&folder.path().join(format!("{kind}-many")), kind, &runtime, &mut out)?;
    }
    history(&folder.path().join("history"), &mut out)
}

fn opening(
    path: &Path,
    kind: DiskKind,
    runtime: &tokio::runtime::Runtime,
    out: &mut impl std::io::Write,
) -> Outcome<()> {
    let live = runtime.block_on(fill(path.to_owned(), kind))?;
    let began = Instant::now();
    let store = DiskStore::open(path, kind, DiskSettings::default())?;
    let took = began.elapsed().as_secs_f64();
    writeln!(out, "{kind}: opening 100,000 values of {VALUE} bytes: {took:.2} s")?;
    let mut get = Duration::ZERO;
    for number in (0..100_000).step_by(7) {
        let key = plimsoll::ports::append_key(number + 1);
        let asked = Instant::now();
        runtime.block_on(store.get(Table::Reports, &key))?;
        get += asked.elapsed();
    }
    writeln!(out, "{kind}: one get: {:.1} µs", get.as_secs_f64() * 1e6 / f64::from(100_000 / 7))?;
    let scanned = Instant::now();
    let found = runtime.block_on(store.scan(Table::Reports, "", None, Order::Upwards, usize::MAX))?.len();
    writeln!(out, "{kind}: scanning {found}: {:.2} s", scanned.elapsed().as_secs_f64())?;
    let began = Instant::now();
    store.close()?;
    writeln!(out, "{kind}: closing: {:.2} s", began.elapsed().as_secs_f64())?;
    let values = size(&path.join(kind.name()));
    let ratio = values as f64 / live as f64;
    writeln!(out, "{kind}: {:.1} MB on disk, {ratio:.2} times what is live", values as f64 / 1e6)?;
    Ok(())
}

fn size(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .map(|file| {
            file.metadata().map_or(0, |one| if one.is_dir() { size(&file.path()) } else { one.len() })
        })
        .sum()
}

async fn measure(path: PathBuf, kind: DiskKind, writers: usize) -> Outcome<Vec<Duration>> {
    let store = Arc::new(DiskStore::open(&path, kind, DiskSettings::default())?);
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

/// Gives how many bytes keys and values have.
async fn fill(path: PathBuf, kind: DiskKind) -> Outcome<u64> {
    let store = DiskStore::open(&path, kind, DiskSettings::default())?;
    for _ in 0..200 {
        let append = Write::Append { table: Table::Reports, bytes: vec![b'v'; VALUE] };
        store.commit(Batch { writes: vec![append; 500] }).await?;
    }
    tokio::task::spawn_blocking(move || store.close()).await??;
    Ok(100_000 * (VALUE as u64 + 20))
}

/// 200 tenants, 14 days at 5 minutes, in slices of a day.
fn history(path: &Path, out: &mut impl std::io::Write) -> Outcome<()> {
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
