//! Promises that are watched while the source answers, and while it doesn't.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;

use super::*;
use crate::domain::applied::tests::change;
use crate::domain::template::{AssignedTemplate, Resolved};
use crate::domain::{ApplyMode, Budgets, Resource, Step, Tier, TimeRange};
use crate::engine::tests::{HOUR, engine, engine_from, pass, register, usage_of};
use crate::engine::{Settings, tests::clock};
use crate::ports::{Fetched, UsageSource};
use crate::source::FileSource;
use crate::store::MemoryStore;

#[test]
fn each_sample_is_held_against_the_quota_of_its_time() {
    let start = Timestamp::from_seconds(0);
    let usage = UsageSeries { start, step: Step::HOUR, values: vec![5.0, 5.0, 5.0, f64::NAN, 5.0].into() };
    let resource = Resource::CpuCores;
    let quota = Quota { resource, limit: 4.0, generation: 2, changed_at: start, before: Some(8.0) };
    let changes = [change(start.plus(Duration::from_secs(2 * 3600)), 8.0, 4.0)];
    let hours = |n: u64| Duration::from_secs(n * 3600);
    let windows = [hours(1), hours(10)];
    let shares = |changes: &[AppliedChange]| below(&usage, &quota, changes, &windows);
    assert_eq!(shares(&changes), GoodShares::from([(hours(1), 0.0), (hours(10), 0.5)]));
    assert_eq!(shares(&[]), GoodShares::from([(hours(1), 0.0), (hours(10), 0.0)]));
}

/// A tenth of everything is bad, as far as the source can be reached.
struct Wavering {
    usage: FileSource,
    is_silent: AtomicBool,
    is_good: AtomicBool,
    asked: AtomicUsize,
}

#[async_trait]
impl UsageSource for Wavering {
    fn resources(&self) -> Vec<Resource> {
        self.usage.resources()
    }

    fn step(&self) -> Step {
        self.usage.step()
    }

    async fn fetch(&self, resource: Resource, range: TimeRange) -> Result<Fetched, SourceError> {
        self.usage.fetch(resource, range).await
    }

    fn knows_availability(&self) -> bool {
        true
    }

    async fn availability(
        &self,
        _window: Duration,
        _at: Timestamp,
    ) -> Result<BTreeMap<TenantId, f64>, SourceError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.is_silent.load(Ordering::Relaxed) {
            true => Err(SourceError::Unreachable("it is down".to_owned())),
            false => {
                let good = if self.is_good.load(Ordering::Relaxed) { 1.0 } else { 0.9 };
                Ok(BTreeMap::from([("acme".parse().unwrap(), good)]))
            }
        }
    }
}

#[tokio::test]
async fn the_latencies_of_the_most_tenants_are_asked_for() {
    let (engine, _) = engine(Settings::default(), Budgets::default(), ApplyMode::Review, &[]).await;
    let acme = engine.registry().tenant(&"acme".parse().unwrap()).await.unwrap();
    let template = Resolved::of_tier(Tier::Premium).assigned("gold".parse().unwrap(), 1);
    let tenant = |id: &str, latency_p99_ms| Tenant {
        id: id.parse().unwrap(),
        template: Some(AssignedTemplate { latency_p99_ms, ..template.clone() }),
        ..acme.clone()
    };
    let promised =
        [("a", Some(250.0)), ("b", None), ("c", Some(100.0)), ("d", Some(250.0)), ("e", Some(50.0))];
    let tenants: Vec<Tenant> = promised.into_iter().map(|(id, within)| tenant(id, within)).collect();
    let (asked, left) = latencies(&tenants, 2);
    let asked: Vec<(f64, String)> =
        asked.iter().map(|(within, whose)| (*within, format!("{whose:?}"))).collect();
    assert_eq!(asked.iter().map(|(within, _)| *within).collect::<Vec<_>>(), [250.0, 50.0]);
    assert!(asked[0].1.contains("\"a\"") && asked[0].1.contains("\"d\""), "{asked:?}");
    assert_eq!(left, 1);
}

#[tokio::test]
async fn a_breach_stays_while_the_source_is_silent_and_it_is_not_asked_more_often() {
    let usage = usage_of(&["acme"]);
    let source = Arc::new(Wavering {
        usage,
        is_silent: AtomicBool::new(false),
        is_good: AtomicBool::new(false),
        asked: AtomicUsize::new(0),
    });
    let mut settings = Settings::default();
    settings.sla.every = Duration::from_secs(2 * HOUR);
    let (store, clock) = (Arc::new(MemoryStore::default()), clock());
    let engine = engine_from(source.clone(), store.clone(), &clock, settings.clone(), Budgets::default());
    register(&engine, "acme", ApplyMode::Review, &[(Resource::CpuCores, 16.0)]).await;
    let acme = engine.registry().tenant(&"acme".parse().unwrap()).await.unwrap();
    let seen = || source.asked.load(Ordering::Relaxed);
    let shown = async || {
        let all = engine.promises(&acme).await.unwrap();
        all.iter().any(|one| one.objective == Objective::Availability)
    };
    let told = async |engine: &Engine| {
        let open = engine.registry().open_incident(&acme.id).await.unwrap();
        open.is_some_and(|open| {
            open.findings.iter().any(|one| one.kind == FindingKind::SlaBreach && one.is_open())
        })
    };
    pass(&engine, &clock, 1).await;
    let windows = engine.settings().sla.windows().len();
    assert_eq!((seen(), shown().await, told(&engine).await), (windows, true, true));

    source.is_silent.store(true, Ordering::Relaxed);
    for _ in 0..4 {
        pass(&engine, &clock, 1).await;
    }
    assert_eq!(seen(), windows + 2, "after two hours and after four, each until it fails");
    assert!(shown().await, "it is still fresh enough");
    for _ in 0..4 {
        pass(&engine, &clock, 1).await;
    }
    assert!(!shown().await, "nobody knows what it is now");
    assert!(told(&engine).await, "what can't be seen is not over");

    let restarted = engine_from(source.clone(), store, &clock, settings, Budgets::default());
    pass(&restarted, &clock, 1).await;
    assert!(told(&restarted).await, "nor does a restart end it");
    source.is_silent.store(false, Ordering::Relaxed);
    source.is_good.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        pass(&restarted, &clock, 1).await;
    }
    assert!(!told(&restarted).await, "an answer ends it");
}
