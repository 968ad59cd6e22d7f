//! A small engine for tests: one tenant, weeks of usage, a clock that is set by
//! hand, prices, everything in memory.

mod year;

use std::sync::Arc;
use std::time::Duration;

use super::{Compute, Engine, Ids, Parts, Settings, Silent};
use crate::cost::{PriceBook, Prices, Settings as PriceSettings};
use crate::domain::{Actor, ApplyMode, Budgets, Resource, Step, Tier, Timestamp};
use crate::ports::hands::Hands;
use crate::ports::{Clock, Store, UsageSource};
use crate::registry::{NewTenant, Registry, Remark};
use crate::series::{Frame, UsageSeries};
use crate::source::FileSource;
use crate::store::{MemoryShelf, MemoryStore, NoHistory};
use crate::target::RegistryTarget;
use crate::telemetry::Metrics;

pub const HOUR: u64 = 3600;
const BOOK: &str = "currency = \"USD\"\nprovider = \"x\"\n[[price]]\nregion = \"*\"\n\
    resource = \"cpu_cores\"\non_demand = \"0.5\"\nsource = \"s\"\nlooked_up = \"2026-01-01\"\n";

pub fn start() -> Timestamp {
    "2026-09-14".parse().unwrap()
}

/// A clock three weeks after the usage began.
pub fn clock() -> Arc<Hands> {
    Arc::new(Hands::at(start().plus(Duration::from_secs(21 * 24 * HOUR))))
}

/// An engine over a store. The usage of `acme` is about 2 cores, and 5 at noon;
/// a core costs 365 USD a month.
pub fn engine_over(
    store: Arc<dyn Store>,
    clock: &Arc<Hands>,
    settings: Settings,
    budgets: Budgets,
) -> Arc<Engine> {
    engine_from(Arc::new(usage_of(&["acme"])), store, clock, settings, budgets)
}

/// That usage, of each of these tenants.
pub fn usage_of(tenants: &[&str]) -> FileSource {
    let usage = |hour: usize| if hour % 24 == 12 { 5.0 } else { 2.0 + 0.1 * (hour % 7) as f64 };
    let series = UsageSeries { start: start(), step: Step::HOUR, values: (0..24 * 60).map(usage).collect() };
    let mut frame = Frame::empty(Resource::CpuCores, Step::HOUR);
    frame.series.extend(tenants.iter().map(|id| (id.parse().unwrap(), series.clone())));
    FileSource::from_frames(Step::HOUR, vec![frame])
}

/// An engine over a source and a store; a core costs 365 USD a month.
pub fn engine_from(
    source: Arc<dyn UsageSource>,
    store: Arc<dyn Store>,
    clock: &Arc<Hands>,
    settings: Settings,
    budgets: Budgets,
) -> Arc<Engine> {
    let priced = PriceSettings { budgets, ..PriceSettings::default() };
    let parts = Parts {
        source,
        history: Arc::new(NoHistory),
        shelf: Arc::new(MemoryShelf::default()),
        registry: Registry::new(store, clock.clone()),
        target: Arc::new(RegistryTarget),
        prices: Some(Prices::new(PriceBook::from_toml(BOOK).unwrap(), priced, clock.now()).unwrap()),
        clock: clock.clone(),
        ids: Ids::from_seed(1),
        compute: Compute::new(2, 1).unwrap(),
        metrics: Arc::new(Metrics::default()),
    };
    Arc::new(Engine::new(parts, settings))
}

/// Registers a tenant of the tier PREMIUM.
pub async fn register(engine: &Engine, id: &str, apply_mode: ApplyMode, quotas: &[(Resource, f64)]) {
    let tenant = NewTenant {
        id: id.parse().unwrap(),
        name: None,
        template: None,
        tier: Tier::Premium,
        provider: "x".to_owned(),
        region: "y".to_owned(),
        apply_mode,
        quotas: quotas.iter().copied().collect(),
    };
    engine.registry().create_tenant(tenant, Actor::Daemon, None).await.unwrap();
}

/// An engine with `acme`, everything in memory.
pub async fn engine(
    settings: Settings,
    budgets: Budgets,
    apply_mode: ApplyMode,
    quotas: &[(Resource, f64)],
) -> (Arc<Engine>, Arc<Hands>) {
    let clock = clock();
    let engine = engine_over(Arc::new(MemoryStore::default()), &clock, settings, budgets);
    register(&engine, "acme", apply_mode, quotas).await;
    (engine, clock)
}

/// Lets hours pass, and then runs a cycle.
pub async fn pass(engine: &Arc<Engine>, clock: &Hands, hours: u64) {
    let next = clock.now().plus(Duration::from_secs(hours * HOUR));
    clock.put(next);
    engine.cycle(&Silent).await.unwrap();
}

pub fn me() -> Remark {
    Remark { by: Actor::Person("me".to_owned()), comment: None, request_id: None }
}

/// Waits until so many heavy works run and wait.
async fn until_load(engine: &Engine, load: (usize, usize)) {
    let reached = async {
        while engine.parts.compute.load() != load {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached).await.expect("the load is never reached");
}

/// Two numbers of the same kind are easily told as each other: one work runs
/// here, and two wait for its place.
#[tokio::test(flavor = "multi_thread")]
async fn what_runs_and_waits_for_the_pool_is_in_the_metrics() {
    let (engine, _) = engine(Settings::default(), Budgets::default(), ApplyMode::Observe, &[]).await;
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let held = Arc::clone(&engine);
    let first = async move {
        held.parts
            .compute
            .run(move || {
                let _ = gone.recv();
            })
            .await
    };
    let mut works = vec![tokio::spawn(first)];
    until_load(&engine, (1, 0)).await;
    for _ in 0..2 {
        let held = Arc::clone(&engine);
        works.push(tokio::spawn(async move { held.parts.compute.run(|| ()).await }));
    }
    until_load(&engine, (1, 2)).await;
    engine.measure_queues();
    let text = engine.metrics().render();
    for line in ["plimsoll_compute_running 1", "plimsoll_compute_waiting 2", "plimsoll_store_waiting 0"] {
        assert!(text.lines().any(|shown| shown == line), "{line}: {text}");
    }
    go.send(()).unwrap();
    for work in works {
        work.await.unwrap().unwrap();
    }
}
