//! Collecting from a source that fails, breaks off or has another clock: what
//! was kept is not asked for again, nothing is skipped, and what is stale is
//! marked and not acted upon.

mod history;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::domain::{ApplyMode, Budgets, Objection, Resource, Step, TimeRange, Timestamp};
use crate::engine::tests::{HOUR, clock, engine_from, pass, register, start, usage_of};
use crate::engine::{Engine, SeriesKey, Settings, Silent};
use crate::ports::hands::Hands;
use crate::ports::{Asked, BrokenOff, Clock, Fetched, SourceError, UsageSource};
use crate::source::FileSource;
use crate::store::MemoryStore;

const CPU: Resource = Resource::CpuCores;

/// What the source does when it is asked.
#[derive(Clone, Copy)]
enum Mood {
    Answers,
    Fails,
    /// Breaks off at an instant.
    Until(Timestamp),
}

/// Usage from a file, with moods and a clock of its own, and a memory of what it
/// answered.
struct Moody {
    usage: FileSource,
    mood: Mutex<Mood>,
    ahead: AtomicI64,
    /// Why it leaves series out of each answer.
    refuses: Mutex<Vec<String>>,
    answered: Mutex<Vec<TimeRange>>,
}

impl Moody {
    fn new() -> Arc<Self> {
        Arc::new(Moody {
            usage: usage_of(&["acme"]),
            mood: Mutex::new(Mood::Answers),
            ahead: AtomicI64::new(0),
            refuses: Mutex::default(),
            answered: Mutex::default(),
        })
    }

    fn is_now(&self, mood: Mood) {
        *self.mood.lock() = mood;
    }

    /// Up to where it has answered, where each range begins where the last one ended.
    fn answered_once_until(&self) -> Timestamp {
        let answered = self.answered.lock();
        for (one, next) in answered.iter().zip(answered.iter().skip(1)) {
            assert_eq!(one.end, next.start, "{answered:?}");
        }
        answered.last().unwrap().end
    }
}

#[async_trait]
impl UsageSource for Moody {
    fn resources(&self) -> Vec<Resource> {
        self.usage.resources()
    }

    fn step(&self) -> Step {
        self.usage.step()
    }

    fn clock_ahead(&self) -> i64 {
        self.ahead.load(Ordering::Relaxed)
    }

    async fn fetch(&self, resource: Resource, range: TimeRange) -> Result<Fetched, SourceError> {
        let mood = *self.mood.lock();
        let gone = || SourceError::Unreachable("it is gone".to_owned());
        let until = match mood {
            Mood::Answers => range.end,
            Mood::Until(until) if until > range.start => until.min(range.end),
            Mood::Until(_) | Mood::Fails => return Err(gone()),
        };
        let known = TimeRange { end: until, ..range };
        self.answered.lock().push(known);
        let broken_off = (until < range.end).then(|| BrokenOff { until, error: gone() });
        let refused = self.refuses.lock().clone();
        Ok(Fetched { broken_off, refused, ..self.usage.fetch(resource, known).await? })
    }
}

fn engine(source: &Arc<Moody>) -> (Arc<Engine>, Arc<Hands>) {
    let clock = clock();
    let store = Arc::new(MemoryStore::default());
    let engine = engine_from(source.clone(), store, &clock, Settings::default(), Budgets::default());
    (engine, clock)
}

fn samples(engine: &Engine) -> usize {
    engine.workspace().frame(CPU).map_or(0, |frame| frame.samples())
}

#[tokio::test]
async fn what_came_before_a_source_broke_off_is_kept_and_gone_on_from() {
    let source = Moody::new();
    let (engine, clock) = engine(&source);
    for hours in [50, 90, 300] {
        let until = start().plus(Duration::from_secs(hours * HOUR));
        source.is_now(Mood::Until(until));
        engine.cycle(&Silent).await.unwrap();
        assert_eq!(engine.workspace().source_problems().len(), 1);
        assert_eq!(source.answered_once_until(), until);
    }
    source.is_now(Mood::Fails);
    engine.cycle(&Silent).await.unwrap();
    source.is_now(Mood::Answers);
    engine.cycle(&Silent).await.unwrap();
    assert!(engine.workspace().source_problems().is_empty());
    assert!(source.answered_once_until() > clock.now().minus(Duration::from_secs(2 * HOUR)));
    assert_eq!(samples(&engine), 21 * 24, "nothing is missing and nothing there twice");
}

#[tokio::test]
async fn what_an_answer_leaves_out_is_told_of_until_one_is_clean() {
    let source = Moody::new();
    let (engine, clock) = engine(&source);
    let reasons = vec!["{job=\"x\"} has no label \"tenant\"".to_owned()];
    *source.refuses.lock() = reasons.clone();
    engine.cycle(&Silent).await.unwrap();
    assert_eq!(engine.workspace().refused(), [(Asked::Usage(CPU), reasons.clone())]);
    let counted = "plimsoll_source_refusals_total{resource=\"cpu_cores\"}";
    assert!(engine.metrics().render().contains(counted), "{}", engine.metrics().render());
    source.is_now(Mood::Fails);
    pass(&engine, &clock, 1).await;
    assert_eq!(engine.workspace().refused(), [(Asked::Usage(CPU), reasons)], "nothing newer is known");
    source.is_now(Mood::Answers);
    source.refuses.lock().clear();
    pass(&engine, &clock, 1).await;
    assert!(engine.workspace().refused().is_empty());
}

#[tokio::test]
async fn what_lies_in_the_future_of_the_source_is_asked_for_later() {
    let source = Moody::new();
    let (engine, clock) = engine(&source);
    clock.put(clock.now().plus(Duration::from_secs(HOUR / 2)));
    source.ahead.store(-50 * 60 * 1000, Ordering::Relaxed);
    engine.cycle(&Silent).await.unwrap();
    let began = start().plus(Duration::from_secs(21 * 24 * HOUR));
    assert_eq!(
        source.answered_once_until(),
        began,
        "the hour that began here half an hour ago is not there yet"
    );
    let problem = engine.clock_problem().unwrap();
    assert_eq!(problem, "the source's clock is 50m behind ours; set both by NTP");
    source.ahead.store(0, Ordering::Relaxed);
    pass(&engine, &clock, 2).await;
    assert_eq!(engine.clock_problem(), None);
    assert_eq!(samples(&engine), 21 * 24 + 3);
    // A date of years ago is nobody's clock: collecting goes on.
    source.ahead.store(-400 * 86_400_000, Ordering::Relaxed);
    pass(&engine, &clock, 2).await;
    assert_eq!(samples(&engine), 21 * 24 + 5);
    assert!(engine.clock_problem().unwrap().contains("behind ours"));
}

#[tokio::test]
async fn stale_usage_is_marked_and_never_applied() {
    let source = Moody::new();
    let (engine, clock) = engine(&source);
    register(&engine, "acme", ApplyMode::Approved, &[(CPU, 16.0)]).await;
    let key = SeriesKey { tenant: "acme".parse().unwrap(), resource: CPU };
    source.is_now(Mood::Until(start().plus(Duration::from_secs(20 * 24 * HOUR))));
    engine.cycle(&Silent).await.unwrap();
    let last = start().plus(Duration::from_secs((20 * 24 - 1) * HOUR));
    source.is_now(Mood::Fails);
    for _ in 0..3 {
        pass(&engine, &clock, 1).await;
        assert_eq!(engine.stale_since(&key), Some(last));
        assert_eq!(engine.stale_resources(), [(CPU, last)]);
        let quota = engine.registry().quota(&key.tenant, CPU).await.unwrap();
        assert_eq!((quota.limit, quota.generation), (16.0, 1), "nothing is applied on stale usage");
    }
    let (waiting, _) = engine.registry().waiting(&key.tenant, CPU).await.unwrap().unwrap();
    assert!(waiting.recommendation.proposed < 16.0);
    let held = engine.workspace().assessment(&key).unwrap().held_back_by.unwrap();
    assert!(held.objections.contains(&Objection::StaleData { last_sample_at: last }), "{held}");
    let row = engine.fleet_tenant(&key.tenant).await.unwrap();
    let quota = row.quotas.iter().find(|quota| quota.resource == CPU).unwrap();
    assert_eq!(quota.stale_since, Some(last));
    source.is_now(Mood::Answers);
    pass(&engine, &clock, 1).await;
    assert_eq!((engine.stale_since(&key), engine.stale_resources()), (None, Vec::new()));
    let held = engine.workspace().assessment(&key).and_then(|said| said.held_back_by);
    let stale = |objection: &Objection| matches!(objection, Objection::StaleData { .. });
    assert!(!held.is_some_and(|verdict| verdict.objections.iter().any(stale)));
}
