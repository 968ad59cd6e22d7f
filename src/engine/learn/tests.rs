//! Days of operation, an hour at a time.

use std::time::Duration;

use ndarray::Array1;
use parking_lot::RwLock;

use super::*;
use crate::domain::Timestamp;
use crate::engine::{Compute, Ids, Parts, Settings, Silent};
use crate::ports::Clock;
use crate::registry::Registry;
use crate::series::UsageSeries;
use crate::source::FileSource;
use crate::store::{MemoryStore, NoHistory};
use crate::target::RegistryTarget;
use crate::telemetry::Metrics;

const RESOURCE: Resource = Resource::CpuCores;
const HOUR: u64 = 3600;

#[derive(Debug)]
struct Hands(RwLock<Timestamp>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        *self.0.read()
    }
}

fn noise(seed: usize) -> f64 {
    let mixed = (seed as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed ^ (mixed >> 32)) % 100_000) as f64 / 100_000.0
}

fn start() -> Timestamp {
    Timestamp::from_seconds(1_790_000_000).floor_to(Step::HOUR)
}

/// Hourly usage of some tenants over `hours`, `shape` times a level of each
/// tenant's own.
fn frame(tenants: usize, hours: usize, shape: &dyn Fn(usize) -> f64) -> Frame {
    let mut frame = Frame::empty(RESOURCE, Step::HOUR);
    for tenant in 0..tenants {
        let values = Array1::from_shape_fn(hours, |hour| {
            (tenant + 1) as f64 * (shape(hour) + 0.3 * noise(hour * 131 + tenant))
        });
        let series = UsageSeries { start: start(), step: Step::HOUR, values };
        frame.series.insert(format!("tenant-{tenant}").parse().unwrap(), series);
    }
    frame
}

/// An engine over usage of which `known` hours have come.
fn engine(frame: Frame, known: u64) -> (Arc<Engine>, Arc<Hands>) {
    let clock = Arc::new(Hands(RwLock::new(start().plus(Duration::from_secs(known * HOUR + 60)))));
    let hours = |n: u64| Duration::from_secs(n * HOUR);
    let parts = Parts {
        source: Arc::new(FileSource::from_frames(Step::HOUR, vec![frame])),
        history: Arc::new(NoHistory),
        registry: Registry::new(Arc::new(MemoryStore::default()), clock.clone()),
        target: Arc::new(RegistryTarget),
        prices: None,
        clock: clock.clone(),
        ids: Ids::from_seed(1),
        compute: Compute::new(2, 1).unwrap(),
        metrics: Arc::new(Metrics::default()),
    };
    let settings =
        Settings { horizon: hours(48), refit_every: hours(24), trial: hours(36), ..Settings::default() };
    (Arc::new(Engine::new(parts, settings)), clock)
}

/// Lets `hours` pass, with a cycle in each, and waits for what is fitted in the
/// background.
async fn pass(engine: &Arc<Engine>, clock: &Hands, hours: usize) {
    for _ in 0..hours {
        let next = clock.now().plus(Duration::from_secs(HOUR));
        *clock.0.write() = next;
        engine.cycle(&Silent).await.unwrap();
        for _ in 0..2000 {
            let lineup = engine.lineups.lock().get(&RESOURCE).cloned();
            if lineup.is_none_or(|lineup| !lineup.lock().refitting) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn daily(hour: usize) -> f64 {
    5.0 + (hour as f64 * std::f64::consts::TAU / 24.0).sin()
}

#[tokio::test(flavor = "multi_thread")]
async fn forecasts_follow_each_hour_and_name_the_version_that_made_them() {
    let (engine, clock) = engine(frame(10, 24 * 40, &daily), 24 * 25);
    pass(&engine, &clock, 3).await;
    let key = SeriesKey { tenant: "tenant-4".parse().unwrap(), resource: RESOURCE };
    let record = engine.workspace.forecast(&key).unwrap();
    let about = &record.made_by;
    assert_eq!((about.version, about.state, about.series), (1, ModelState::Champion, 10));
    assert_eq!(
        (about.window_from, record.fitted_to),
        (start(), about.window_to.plus(Duration::from_secs(2 * HOUR)))
    );
    let backtest = about.backtest.unwrap();
    assert!(backtest.to_seasonal_naive.unwrap() < 1.0, "{backtest:?}");
    let dated = record.forecast.as_ref().unwrap();
    assert_eq!(dated.start, record.fitted_to);
    let hour = usize::try_from(record.fitted_to.since(start()).as_secs() / HOUR).unwrap();
    for step in 0..48 {
        let expected = 5.0 * (daily(hour + step) + 0.15);
        assert!((dated.forecast.mean[step] / expected - 1.0).abs() < 0.15, "{step}");
    }
    let lineup = engine.lineups.lock().get(&RESOURCE).cloned().unwrap();
    let largest = lineup.lock().champion.largest_state();
    assert!((200..8 * 1024).contains(&largest), "{largest} bytes a series");
    // Nothing new, nothing done.
    assert_eq!(engine.learn(&Silent).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenger_that_wins_takes_over_and_can_be_sent_back() {
    // What the first models learnt, a day's rhythm, ends: then it is half a day.
    let change = 24 * 25;
    let shape = |hour: usize| {
        let period = if hour < change { 24.0 } else { 9.0 };
        5.0 + 2.0 * (hour as f64 * std::f64::consts::TAU / period).sin()
    };
    let (engine, clock) = engine(frame(12, 24 * 60, &shape), change as u64);
    pass(&engine, &clock, 24 * 12).await;
    let versions = engine.registry().models(RESOURCE, 50).await.unwrap();
    let states: Vec<(u64, ModelState)> = versions.iter().map(|one| (one.version, one.state)).collect();
    let champion = versions.iter().find(|one| one.state == ModelState::Champion).unwrap();
    assert!(champion.version > 1, "{states:?}");
    assert!(versions.iter().any(|one| one.version == 1 && one.state == ModelState::Retired), "{states:?}");
    assert!(champion.reason.contains("loss beside version"), "{}", champion.reason);
    let live = engine.workspace.models(RESOURCE)[0].live.unwrap();
    assert!(live.values > 100 && (0.6..0.95).contains(&live.cover.unwrap()), "{live:?}");

    let by = Actor::Person("ann".to_owned());
    let went = engine.roll_back_models(RESOURCE, by.clone(), "it looks odd".to_owned(), None).await.unwrap();
    assert_eq!(went.last().unwrap().state, ModelState::Champion);
    pass(&engine, &clock, 1).await;
    let key = SeriesKey { tenant: "tenant-0".parse().unwrap(), resource: RESOURCE };
    let used = engine.workspace.forecast(&key).unwrap().made_by.version;
    assert_eq!(used, went.last().unwrap().version);
    let audit = engine.registry().audit(None, None, 10).await.unwrap();
    let line = audit.iter().find(|line| line.event.action == AuditAction::ModelRolledBack).unwrap();
    assert_eq!((&line.event.actor, line.event.reason.as_str()), (&by, "it looks odd"));
    assert!(audit.iter().any(|line| line.event.action == AuditAction::ModelReplaced));
    let twice = engine.roll_back_models(RESOURCE, by, "again".to_owned(), None).await;
    assert!(matches!(twice, Err(RollBackError::NothingBefore(RESOURCE))), "{twice:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_that_come_later_are_taken_in() {
    let mut usage = frame(6, 24 * 30, &daily);
    let late = usage.series.get_mut(&"tenant-5".parse().unwrap()).unwrap();
    late.values.iter_mut().take(24 * 25).for_each(|value| *value = f64::NAN);
    late.drop_before(start().plus(Duration::from_secs(24 * 25 * HOUR)));
    let (engine, clock) = engine(usage, 24 * 24);
    let key = SeriesKey { tenant: "tenant-5".parse().unwrap(), resource: RESOURCE };
    pass(&engine, &clock, 20).await;
    assert!(engine.workspace.forecast(&key).is_none());
    pass(&engine, &clock, 10).await;
    let early = engine.workspace.forecast(&key).unwrap();
    assert!(early.forecast.is_err(), "a few hours are too few");
    pass(&engine, &clock, 14).await;
    assert!(engine.workspace.forecast(&key).unwrap().forecast.is_ok());
}
