//! What a store takes up after a simulated year, and how long it takes to open:
//! `cargo bench --bench growth [TENANTS] [DAYS] [sled|redb]`.
//!
//! Each day each tenant gets a sample of one resource every 5 minutes, which are
//! added by the hour, kept whole for 30 days and by the hour for 90; a new
//! recommendation, of which those of 30 days are kept; and every second day a
//! change of a quota, which is kept for the year with its two lines in the audit
//! log. The real daemon keeps up to ten resources of a tenant.

use std::error::Error;
use std::io::stdout;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use plimsoll::domain::{Resource, Step, Timestamp};
use plimsoll::ports::{Batch, Expect, History, Order, Store, Table, Write};
use plimsoll::series::{Frame, UsageSeries};
use plimsoll::store::{DiskKind, DiskSettings, DiskStore, ParquetHistory};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const STEP: Step = Step::FIVE_MINUTES;
const HOURS: usize = 24;
const DAY: Duration = Duration::from_secs(86_400);
/// Days that are kept whole, by the hour, and of recommendations.
const FULL: u32 = 30;
const KEEP: u32 = 90;
/// How much usage the daemon reads at its start.
const WINDOW: u32 = 28;
/// Tenants of which one commit is made.
const AT_ONCE: usize = 100;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|one| !one.starts_with('-')).collect();
    let number = |place: usize, default| arguments.get(place).map_or(Ok(default), |one| one.parse::<u32>());
    let (tenants, days) = (number(0, 1000)?, number(1, 365)?);
    let wanted = |kind: &&DiskKind| arguments.get(2).is_none_or(|name| name == kind.name());
    let folder = tempfile::tempdir()?;
    let mut out = stdout().lock();
    usage(&folder.path().join("history"), tenants, days, &mut out)?;
    for kind in DiskKind::ALL.iter().filter(wanted) {
        state(&folder.path().join(kind.name()), *kind, tenants, days, &mut out)?;
    }
    Ok(())
}

fn at(day: u32) -> Timestamp {
    Timestamp::from_seconds(i64::from(day) * 86_400)
}

fn usage(folder: &Path, tenants: u32, days: u32, out: &mut impl std::io::Write) -> Outcome<()> {
    let history = ParquetHistory::open(folder)?;
    let mut most = 0;
    for day in 0..days {
        for hour in 0..HOURS {
            history.append(&slice(tenants, day, hour)?)?;
        }
        let now = at(day + 1);
        history.retain(now.minus(DAY * FULL), now.minus(DAY * KEEP))?;
        most = most.max(size(folder));
        if day % 30 == 29 {
            let (full, all) = (size_of_files(&folder.join("cpu_cores")), size(folder));
            writeln!(
                out,
                "history after {:>3} days: {:>6.1} MB, of which {:.1} whole and {:.1} by the hour",
                day + 1,
                mega(all),
                mega(full),
                mega(all - full)
            )?;
        }
    }
    let began = Instant::now();
    let history = ParquetHistory::open(folder)?;
    let frame = history.load(Resource::CpuCores, STEP, at(days).minus(DAY * WINDOW))?;
    let (took, samples) = (began.elapsed().as_secs_f64(), frame.samples());
    writeln!(
        out,
        "history: {:.1} MB at most; opening it and loading {samples} samples: {took:.2} s",
        mega(most)
    )?;
    // What is live, written once, day by day.
    let anew = tempfile::tempdir()?;
    let compact = ParquetHistory::open(anew.path())?;
    for day in days.saturating_sub(FULL)..days {
        let since = at(day);
        let mut of_day = history.load(Resource::CpuCores, STEP, since)?;
        for series in of_day.series.values_mut() {
            let values: Vec<f64> = series.values.iter().copied().take(288).collect();
            *series = UsageSeries { start: since, step: STEP, values: values.into() };
        }
        compact.append(&of_day)?;
    }
    let (whole, live) = (size_of_files(&folder.join("cpu_cores")), size(anew.path()));
    writeln!(
        out,
        "history: what is whole takes up {:.2} times what it does written at once",
        whole as f64 / live as f64
    )?;
    Ok(())
}

/// An hour of all tenants' usage: a daily rhythm with noise, of four decimals.
fn slice(tenants: u32, day: u32, hour: usize) -> Outcome<Frame> {
    let mut frame = Frame::empty(Resource::CpuCores, STEP);
    let start = Timestamp::from_seconds(i64::from(day) * 86_400 + hour as i64 * 3600);
    for tenant in 0..tenants {
        let values = (0..12_u32).map(|point| {
            let place = u64::from(tenant) * 7919 + u64::from(day) * 288 + hour as u64 * 12 + u64::from(point);
            let noise = (place.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / (1 << 24) as f64;
            let rhythm = (hour as f64 / 24.0 * std::f64::consts::TAU).sin();
            ((4.0 + 2.0 * rhythm + noise) * f64::from(1 + tenant % 9) * 1e4).round() / 1e4
        });
        let series = UsageSeries { start, step: STEP, values: values.collect::<Vec<_>>().into() };
        frame.series.insert(format!("tenant-{tenant}").parse()?, series);
    }
    Ok(frame)
}

fn state(path: &Path, kind: DiskKind, tenants: u32, days: u32, out: &mut impl std::io::Write) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let store = DiskStore::open(path, kind, DiskSettings::default())?;
    let all: Vec<u32> = (0..tenants).collect();
    for day in 0..days {
        for tenants in all.chunks(AT_ONCE) {
            let writes = tenants.iter().flat_map(|tenant| writes_of(*tenant, day)).collect();
            runtime.block_on(store.commit(Batch { writes }))?;
        }
        if day % 90 == 89 {
            writeln!(
                out,
                "{kind} after {:>3} days: {:>6.1} MB",
                day + 1,
                mega(size(&path.join(kind.name())))
            )?;
        }
    }
    let mut live = 0;
    for table in Table::ALL {
        let found = runtime.block_on(store.scan(table, "", None, Order::Upwards, usize::MAX))?;
        live += found.iter().map(|(key, value)| (key.len() + value.bytes.len()) as u64).sum::<u64>();
    }
    let running = size(&path.join(kind.name()));
    let began = Instant::now();
    store.close()?;
    let closing = began.elapsed().as_secs_f64();
    let stopped = size(&path.join(kind.name()));
    let began = Instant::now();
    let store = DiskStore::open(path, kind, DiskSettings::default())?;
    let opening = began.elapsed().as_secs_f64();
    let after = size(&path.join(kind.name()));
    drop(store);
    writeln!(
        out,
        "{kind}: {:.1} MB live; {:.1} MB on disk running ({:.2} times), {:.1} stopped, {:.1} after the start; all of \
         the folder, copy included, {:.1} MB; closing {closing:.2} s, opening {opening:.2} s",
        mega(live),
        mega(running),
        running as f64 / live as f64,
        mega(stopped),
        mega(after),
        mega(size(path)),
    )?;
    Ok(())
}

/// What a day writes of a tenant.
fn writes_of(tenant: u32, day: u32) -> Vec<Write> {
    let put = |table, key: String, bytes: usize| Write::Put {
        table,
        key,
        expect: Expect::Anything,
        bytes: vec![b'a' + (day % 26) as u8; bytes],
    };
    let mut writes = vec![put(Table::Recommendations, format!("{day:05}/{tenant}"), 1200)];
    if let Some(old) = day.checked_sub(FULL) {
        let key = format!("{old:05}/{tenant}");
        writes.push(Write::Delete { table: Table::Recommendations, key, expect: Expect::Anything });
    }
    if (day + tenant).is_multiple_of(2) {
        writes.push(put(Table::Quotas, format!("tenant-{tenant}/cpu_cores"), 300));
        writes.push(put(Table::Changes, format!("tenant-{tenant}/cpu_cores/{day:05}"), 400));
        let line = Write::Append { table: Table::Audit, bytes: vec![b'a' + (day % 26) as u8; 450] };
        writes.extend([line.clone(), line]);
    }
    writes
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let below = entries.filter(|one| one.path().is_dir()).map(|one| size(&one.path())).sum::<u64>();
    below + size_of_files(folder)
}

fn size_of_files(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    // What they take of the disk: redb doubles the length of its file, and fills it later.
    entries
        .filter_map(|one| one.metadata().ok())
        .filter(|one| one.is_file())
        .map(|one| one.blocks() * 512)
        .sum()
}
