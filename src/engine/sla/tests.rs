//! Promises that are watched while the source answers, and while it doesn't.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::domain::applied::tests::change;
use crate::domain::template::{AssignedTemplate, Resolved};
use crate::domain::{ApplyMode, Budgets, Resource, Step, Tier, TimeRange};
use crate::engine::tests::{HOUR, engine, engine_from, pass, register, usage_of};
use crate::engine::{Settings, tests::clock};
use crate::ports::{Clock, Fetched, UsageSource};
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
    /// Why it leaves series out of each answer.
    refuses: Mutex<Vec<String>>,
}

impl Wavering {
    fn new() -> Arc<Self> {
        Arc::new(Wavering {
            usage: usage_of(&["acme"]),
            is_silent: AtomicBool::new(false),
            is_good: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            refuses: Mutex::default(),
        })
    }
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

    async fn availability(&self, _window: Duration, _at: Timestamp) -> Result<Measured, SourceError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match self.is_silent.load(Ordering::Relaxed) {
            true => Err(SourceError::Unreachable("it is down".to_owned())),
            false => {
                let good = if self.is_good.load(Ordering::Relaxed) { 1.0 } else { 0.9 };
                let by_tenant = BTreeMap::from([("acme".parse().unwrap(), good)]);
                Ok(Measured { by_tenant, refused: self.refuses.lock().clone() })
            }
        }
    }

    fn knows_latency(&self) -> bool {
        true
    }

    async fn latency(
        &self,
        _within_ms: f64,
        _window: Duration,
        _at: Timestamp,
    ) -> Result<Measured, SourceError> {
        Ok(Measured { refused: self.refuses.lock().clone(), ..Measured::default() })
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
    let source = Wavering::new();
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

#[test]
fn each_reason_of_several_windows_is_told_once() {
    let reasons = |some: &[&str]| some.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    let answer = |good: f64, some: &[&str]| Measured {
        by_tenant: BTreeMap::from([("acme".parse().unwrap(), good)]),
        refused: reasons(some),
    };
    let windows = [Duration::from_secs(60), Duration::from_secs(3600)];
    let answers = vec![answer(1.0, &["one", "two"]), answer(0.9, &["two", "three"])];
    let mut said = Said::of(&windows, answers);
    let shares = GoodShares::from([(windows[0], 1.0), (windows[1], 0.9)]);
    assert_eq!(said.good, BTreeMap::from([("acme".parse().unwrap(), shares)]));
    assert_eq!(said.refused, ["one", "two", "three"]);
    said.refuse(reasons(&["three", "four"]));
    assert_eq!(said.refused, ["one", "two", "three", "four"]);
}

#[tokio::test]
async fn what_answers_leave_out_is_told_of_until_they_are_clean() {
    let (source, store, clock) = (Wavering::new(), Arc::new(MemoryStore::default()), clock());
    let settings = Settings::default();
    let every = settings.sla.every;
    let engine = engine_from(source.clone(), store, &clock, settings, Budgets::default());
    register(&engine, "acme", ApplyMode::Review, &[(Resource::CpuCores, 16.0)]).await;
    let acme = engine.registry().tenant(&"acme".parse().unwrap()).await.unwrap();
    let template = Resolved::of_tier(Tier::Premium).assigned("gold".parse().unwrap(), 1);
    let within = |ms: f64| Tenant {
        template: Some(AssignedTemplate { latency_p99_ms: Some(ms), ..template.clone() }),
        ..acme.clone()
    };
    // Two latencies over five windows are one question.
    let tenants = [within(250.0), within(1000.0)];
    let ask = async || {
        clock.put(clock.now().plus(every));
        engine.ask_how_services_are(&tenants).await;
        engine.workspace().refused()
    };
    let counted = |asked: &str, count: usize| {
        let line = format!("plimsoll_source_refusals_total{{resource=\"{asked}\"}} {count}");
        engine.metrics().render().lines().any(|shown| shown == line)
    };
    let reasons = vec!["{job=\"x\"} has no label \"tenant\"".to_owned()];
    let both = [(Asked::Availability, reasons.clone()), (Asked::Latency, reasons.clone())];
    *source.refuses.lock() = reasons;
    assert_eq!(ask().await, both);
    assert!(counted("availability", 1) && counted("latency", 1), "{}", engine.metrics().render());

    source.is_silent.store(true, Ordering::Relaxed);
    assert_eq!(ask().await, both, "nothing newer is known of the availability");
    assert!(counted("availability", 1) && counted("latency", 2), "{}", engine.metrics().render());

    source.is_silent.store(false, Ordering::Relaxed);
    source.refuses.lock().clear();
    assert!(ask().await.is_empty());
}
