//! What a store takes up after a simulated year, and how long it takes to open:
//! `cargo bench --bench growth [TENANTS] [DAYS] [sled|redb]`.
//!
//! The history: each day each tenant gets a sample of one resource every 5
//! minutes, which are added by the hour, kept whole for 30 days and by the hour
//! for 90. The real daemon keeps up to ten resources of a tenant.
//!
//! The state: the daemon's own registry over the store, with a clock that is set
//! by hand. Each day each tenant gets a recommendation for one quota in the place
//! of what waits, and every second day it is approved and carried out, with its
//! two lines in the audit log. Once a day the registry forgets what a cycle of the
//! daemon forgets, after the daemon's own times: the bench removes nothing by
//! itself. So what is kept at the half and at the end shows what that bounds
//! (recommendations; changes only in more than a year) and what it does not: the
//! audit log, of which the daemon removes only what is ten years old.

use std::error::Error;
use std::io::stdout;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt, TryStreamExt};
use plimsoll::domain::approval::{Approval, approve};
use plimsoll::domain::policy::judge_for_person;
use plimsoll::domain::recommendation::CostChange;
use plimsoll::domain::{
    Actor, Alternative, ApplyMode, Backtest, Evidence, Measured, Money, PerMonth, Quota, Recommendation,
    Resource, Schedule, Step, Tenant, Tier, Timestamp, Violations,
};
use plimsoll::engine::{Ids, Settings};
use plimsoll::ports::{Clock, History, Order, Store, Table};
use plimsoll::registry::{ChangeOutcome, NewTenant, Proposed, Registry};
use plimsoll::series::{Frame, UsageSeries};
use plimsoll::store::{DiskKind, DiskSettings, DiskStore, ParquetHistory};
use tikv_jemallocator::Jemalloc;

/// The daemon's.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const STEP: Step = Step::FIVE_MINUTES;
const HOURS: usize = 24;
const DAY: Duration = Duration::from_secs(86_400);
/// Days of usage that are kept whole, and by the hour.
const FULL: u32 = 30;
const KEEP: u32 = 90;
/// How much usage the daemon reads at its start.
const WINDOW: u32 = 28;
/// The quota of each tenant that is sized and changed.
const SIZED: Resource = Resource::CpuCores;
/// Tenants that are looked after at the same time, as many as the daemon does:
/// commits that wait together share a sync of the disk.
const AT_ONCE: usize = 64;
/// Values that are read at once where all are counted.
const PAGE: usize = 1_024;

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
    let store = Arc::new(DiskStore::open(path, kind, DiskSettings::default())?);
    let fleet = runtime.block_on(Fleet::create(store.clone(), tenants))?;
    for day in 0..days {
        runtime.block_on(fleet.live(day))?;
        let lived = day + 1;
        if day % 90 == 89 {
            let (on_disk, held) = (mega(size(&path.join(kind.name()))), mega(handed_out()?));
            writeln!(out, "{kind} after {lived:>3} days: {on_disk:>6.1} MB; the process holds {held:.0} MB")?;
        }
        if lived == days / 2 || lived == days {
            let count = |table| runtime.block_on(held(&store, table));
            writeln!(
                out,
                "{kind} after {lived:>3} days: {} recommendations, {} changes and {} lines of the audit log kept",
                count(Table::Recommendations)?.values,
                count(Table::Changes)?.values,
                count(Table::Audit)?.values,
            )?;
        }
    }
    let mut live = 0;
    for table in Table::ALL {
        live += runtime.block_on(held(&store, table))?.bytes;
    }
    drop(fleet);
    closed_and_opened(path, kind, &store, live, out)
}

/// Closes a store of so many live bytes and opens it again; says what it takes
/// up, and how long both took.
fn closed_and_opened(
    path: &Path,
    kind: DiskKind,
    store: &DiskStore,
    live: u64,
    out: &mut impl std::io::Write,
) -> Outcome<()> {
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

/// Bytes of memory that the program and the caches of its threads hold.
fn handed_out() -> Outcome<u64> {
    let refreshed =
        tikv_jemalloc_ctl::epoch::advance().and_then(|_| tikv_jemalloc_ctl::stats::allocated::read());
    Ok(refreshed.map_err(|error| error.to_string())? as u64)
}

/// What a table holds.
#[derive(Default)]
struct Held {
    values: usize,
    bytes: u64,
}

/// Counts page by page: a year's recommendations are too many to hold at once.
async fn held(store: &DiskStore, table: Table) -> Outcome<Held> {
    let (mut held, mut after) = (Held::default(), None::<String>);
    loop {
        let page = store.scan(table, "", after.as_deref(), Order::Upwards, PAGE).await?;
        held.values += page.len();
        held.bytes += page.iter().map(|(key, value)| (key.len() + value.bytes.len()) as u64).sum::<u64>();
        match page.last() {
            Some((key, _)) if page.len() == PAGE => after = Some(key.clone()),
            _ => return Ok(held),
        }
    }
}

/// The present, in seconds.
#[derive(Debug)]
struct Present(AtomicI64);

impl Clock for Present {
    fn now(&self) -> Timestamp {
        Timestamp::from_seconds(self.0.load(Ordering::Relaxed))
    }
}

/// The tenants, and what the daemon does to their state.
struct Fleet {
    registry: Registry,
    clock: Arc<Present>,
    ids: Ids,
    /// The daemon's, as they are where nobody sets them otherwise.
    settings: Settings,
    tenants: Vec<Tenant>,
}

impl Fleet {
    async fn create(store: Arc<dyn Store>, tenants: u32) -> Outcome<Self> {
        let clock = Arc::new(Present(AtomicI64::new(0)));
        let (registry, settings) = (Registry::new(store, clock.clone()), Settings::default());
        let new = (0..tenants).map(|number| created(&registry, &settings, number));
        let tenants: Vec<Tenant> = stream::iter(new).buffered(AT_ONCE).try_collect().await?;
        Ok(Fleet { registry, clock, ids: Ids::from_seed(1), settings, tenants })
    }

    /// Lives through what a day brings to the state. Each day begins a second
    /// earlier than the one before, because what waits since then expires after
    /// a day, and is to be superseded and not to have expired.
    async fn live(&self, day: u32) -> Outcome<()> {
        let now = at(day).minus(Duration::from_secs(u64::from(day)));
        self.clock.0.store(now.seconds(), Ordering::Relaxed);
        let all = self.tenants.iter().zip(0..).map(|(tenant, number)| self.size(tenant, number, day));
        stream::iter(all).buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        self.forget().await
    }

    /// Proposes a quota, and every second day sees the change through.
    async fn size(&self, tenant: &Tenant, number: u32, day: u32) -> Outcome<()> {
        let quota = self.registry.quota(&tenant.id, SIZED).await?;
        let waiting = self.registry.waiting(&tenant.id, SIZED).await?;
        let new = self.recommendation(tenant, &quota, (number, limit(number, day)))?;
        if let Proposed::Known(id) = self.registry.propose_after(waiting, new.clone()).await? {
            return Err(format!("{id} says the same as what is proposed on day {day}").into());
        }
        // Not of all tenants on the same day.
        if (day + number).is_multiple_of(2) {
            self.measure(tenant).await?;
            self.change(tenant, &quota, &new).await?;
        }
        Ok(())
    }

    /// Writes down what usage did since the last change, as the daemon does before
    /// the next one.
    async fn measure(&self, tenant: &Tenant) -> Outcome<()> {
        let now = self.registry.now();
        let known = self.registry.applied_to(&tenant.id, SIZED, now.minus(self.settings.window)).await?;
        if let Some(last) = known.last() {
            let of_two_days = |above| Violations { samples: 576, above };
            let measured = Measured { before: of_two_days(4), since: of_two_days(1), until: now };
            self.registry.measured(last, measured).await?;
        }
        Ok(())
    }

    /// Has a person approve a recommendation, and carries it out.
    async fn change(&self, tenant: &Tenant, quota: &Quota, of: &Recommendation) -> Outcome<()> {
        let (change, now) = (of.change(), self.registry.now());
        let verdict = judge_for_person(&change, tenant.tier, quota.generation, Some(of.expires_at), now);
        let word = Approval {
            by: Actor::Person("operator".to_owned()),
            at: now,
            comment: None,
            request_id: Some(self.ids.notice(now).to_string()),
            needs_two: None,
            first: None,
        };
        let approved = approve(change, verdict, word).map_err(|verdict| verdict.to_string())?;
        self.registry.begin_change(&approved).await?;
        self.registry.finish_change(&approved, &ChangeOutcome::Enforced).await?;
        Ok(())
    }

    /// Forgets what the daemon forgets in a cycle, or once a day.
    async fn forget(&self) -> Outcome<()> {
        let (registry, now) = (&self.registry, self.registry.now());
        let oldest = now.minus(self.settings.keep);
        registry.expire().await?;
        registry.forget_recommendations_before(oldest).await?;
        registry.tend_requests(oldest).await?;
        registry.forget_applied_before(now.minus(self.settings.keep_changes)).await?;
        registry.forget_rollouts_before(oldest).await?;
        registry.forget_incidents_before(oldest).await?;
        registry.forget_quiet_before(oldest).await?;
        Ok(())
    }

    fn recommendation(
        &self,
        tenant: &Tenant,
        quota: &Quota,
        (number, proposed): (u32, f64),
    ) -> Outcome<Recommendation> {
        let now = self.registry.now();
        let (cost_now, cost_then) = (a_month(quota.limit)?, a_month(proposed)?);
        Ok(Recommendation {
            id: self.ids.recommendation(now),
            tenant: tenant.id.clone(),
            tier: tenant.tier,
            resource: SIZED,
            parent_generation: quota.generation,
            current: quota.limit,
            proposed,
            evidence: evidence(now, now.minus(self.settings.window), (number, proposed))?,
            reasons: vec![format!(
                "Tried on this tenant's own past, \"{POLICY}\" times 1.57 led the mix that holds the budget of \
                 0.5 % (alone it would have had 0.241 % of the samples above it): {proposed:.2} cores until {}.",
                now.plus(DAY)
            )],
            confidence: 0.8 + 0.1 / proposed,
            cost: Some(CostChange { now: cost_now, then: cost_then, saving: cost_now.minus(&cost_then)? }),
            no_cost_because: None,
            // Each cycle of the daemon is a trace.
            trace: Some(format!("00-{}-00f067aa0ba902b7-00", self.ids.notice(now).simple())),
            created_at: now,
            expires_at: now.plus(self.settings.expire_after),
        })
    }
}

async fn created(registry: &Registry, settings: &Settings, number: u32) -> Outcome<Tenant> {
    let new = NewTenant {
        id: format!("tenant-{number}").parse()?,
        name: None,
        tier: Tier::Premium,
        provider: settings.provider.clone(),
        region: settings.region.clone(),
        apply_mode: ApplyMode::Review,
        template: None,
        quotas: Default::default(),
    };
    Ok(registry.create_tenant(new, Actor::Daemon, None).await?)
}

/// What is proposed on a day, inside the bounds of the tier. It is never near what
/// was proposed on the two days before, else it would be no new proposal.
fn limit(number: u32, day: u32) -> f64 {
    let shares = [1.0, 1.15, 0.9, 1.25, 1.05];
    SIZED.round_up(f64::from(4 + number % 9) * shares[day as usize % shares.len()])
}

/// What so many cores cost.
fn a_month(cores: f64) -> Outcome<Money<PerMonth>> {
    let of_one: Money<PerMonth> = "23.36EUR/month".parse()?;
    Ok(of_one.times(cores)?.rounded())
}

const POLICY: &str = "all series' p60";

/// What a recommendation of the daemon holds where a proven policy decides:
/// figures of as many digits, sentences as long, and a schedule for some tenants.
fn evidence(now: Timestamp, since: Timestamp, (number, proposed): (u32, f64)) -> Outcome<Evidence> {
    let (most, until) = (proposed / 1.234, now.plus(DAY));
    let (peak, peak_at) = (most * 0.871, now.plus(DAY * 3));
    Ok(Evidence {
        history_from: since,
        history_to: now,
        samples: 8_036,
        gap_share: 28.0 / 8_064.0,
        usage_median: most * 0.413,
        usage_p95: most * 0.787,
        usage_max: most,
        model: "ensemble".to_owned(),
        horizon_hours: 168,
        forecast_peak: peak,
        peak_at,
        peak_quantile: 0.95,
        margin: 0.15,
        violations_now: 31.0 / 8_036.0,
        violations_then: 17.0 / 8_036.0,
        slack_now: 1.0 - 3.3 / (proposed + 1.0),
        slack_then: 1.0 - 3.3 / proposed,
        budget: 0.005,
        budget_because: "the promise of the tier PREMIUM".to_owned(),
        backtest: Some(backtest(proposed, until)),
        alternatives: vec![other("VPA target", most * 0.905)?, other("KRR", most * 0.826)?],
        schedule: number.is_multiple_of(3).then(|| schedule(now, proposed)),
        confidence_because: "fair: lowered since the forecast's peak is 0.87 times the highest usage seen"
            .to_owned(),
        would_change: vec![
            format!(
                "Up at once: more than 0.5 % of the samples above {proposed:.2} cores before the interval ends."
            ),
            "Down: a look that asks for so much less that it is worth one of the changes allowed a day; peaks \
             are forgotten after two weeks."
                .to_owned(),
            format!(
                "The forecast's peak of {peak:.2} cores on {peak_at}, at its 95 % quantile, is close below \
                 this quota: if it comes, the quota is raised."
            ),
        ],
        ..Evidence::default()
    })
}

fn backtest(proposed: f64, until: Timestamp) -> Backtest {
    Backtest {
        policy: POLICY.to_owned(),
        margin: 1.57,
        policy_violations: 7.0 / 2_903.0,
        limit: proposed * 0.9937,
        proven: true,
        holds_hours: 24,
        holds_until: until,
        days: 13.0 + 1.0 / 3.0,
        violations: 11.0 / 3_840.0,
        mean_limit: proposed * 0.9713,
        slack: 1.0 - 3.3 / proposed,
        changes_per_day: 3.0 / 7.0,
    }
}

/// A quota that another method would set.
fn other(name: &str, limit: f64) -> Outcome<Alternative> {
    let (violations, slack) = (59.0 / 8_036.0, 1.0 - 2.3 / limit);
    Ok(Alternative { name: name.to_owned(), limit, violations, slack, cost: Some(a_month(limit)?) })
}

fn schedule(now: Timestamp, proposed: f64) -> Schedule {
    let of_hour = |hour: u32| SIZED.round_up(proposed * (0.5 + 0.4 * f64::from(hour.abs_diff(12)) / 12.0));
    let hours: Vec<f64> = (0..24).map(of_hour).collect();
    let mean = hours.iter().sum::<f64>() / hours.len() as f64;
    Schedule { from: now.plus(DAY), hours, mean, violations: 13.0 / 4_032.0, days: 14, is_followed: false }
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
