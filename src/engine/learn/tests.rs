//! Days of operation, an hour at a time.

use std::time::Duration;

use ndarray::Array1;

use super::*;
use crate::anomaly;
use crate::domain::Timestamp;
use crate::engine::{Compute, Ids, Parts, Settings, Silent};
use crate::ports::hands::Hands;
use crate::ports::{Clock, History};
use crate::registry::Registry;
use crate::series::UsageSeries;
use crate::source::FileSource;
use crate::store::{MemoryShelf, MemoryStore, NoHistory, ParquetHistory};
use crate::target::RegistryTarget;
use crate::telemetry::Metrics;

const RESOURCE: Resource = Resource::CpuCores;
const HOUR: u64 = 3600;

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
    let clock = Arc::new(Hands::at(start().plus(Duration::from_secs(known * HOUR + 60))));
    (started(frame, &clock, Arc::new(MemoryStore::default()), Arc::new(NoHistory)), clock)
}

/// The same, over a state that may be another's before.
fn started(
    frame: Frame,
    clock: &Arc<Hands>,
    store: Arc<MemoryStore>,
    history: Arc<dyn History>,
) -> Arc<Engine> {
    let hours = |n: u64| Duration::from_secs(n * HOUR);
    let parts = Parts {
        source: Arc::new(FileSource::from_frames(Step::HOUR, vec![frame])),
        history,
        shelf: Arc::new(MemoryShelf::default()),
        registry: Registry::new(store, clock.clone()),
        target: Arc::new(RegistryTarget),
        prices: None,
        clock: clock.clone(),
        ids: Ids::from_seed(1),
        compute: Compute::new(2, 1).unwrap(),
        metrics: Arc::new(Metrics::default()),
    };
    // What is judged unusual is not learned from; here nothing is judged.
    let detector = anomaly::Settings { warm_up: usize::MAX, ..anomaly::Settings::default() };
    let (horizon, refit_every, trial) = (hours(48), hours(24), hours(36));
    let settings = Settings { horizon, refit_every, trial, detector, ..Settings::default() };
    Arc::new(Engine::new(parts, settings))
}

/// Lets `hours` pass, with a cycle in each, and waits for what is fitted in the
/// background.
async fn pass(engine: &Arc<Engine>, clock: &Hands, hours: usize) {
    for _ in 0..hours {
        let next = clock.now().plus(Duration::from_secs(HOUR));
        clock.put(next);
        engine.cycle(&Silent).await.unwrap();
        for _ in 0..2000 {
            if !engine.is_refitting() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn says(by: &Actor, why: &str) -> Remark {
    Remark { by: by.clone(), comment: Some(why.to_owned()), request_id: None }
}

/// What a line of the metrics says of the resource.
fn shown(engine: &Engine, name: &str) -> Option<f64> {
    let begin = format!("plimsoll_{name}{{resource=\"{}\"}} ", RESOURCE.name());
    engine.metrics().render().lines().find_map(|line| line.strip_prefix(&begin)?.parse().ok())
}

/// The metrics tell of the models in use, and of no others before them.
fn assert_shows_its_champion(engine: &Engine) {
    let champion = engine.workspace.models(RESOURCE)[0].clone();
    let live = champion.live;
    assert_eq!(shown(engine, "forecast_quantile_loss"), live.as_ref().and_then(|live| live.quantile_loss));
    assert_eq!(shown(engine, "forecast_cover"), live.as_ref().and_then(|live| live.cover));
    assert_eq!(shown(engine, "forecast_model_version"), Some(champion.version as f64));
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
    let weights: f64 = about.members.iter().map(|one| one.weight).sum();
    assert!((0.8..=1.0 + 1e-9).contains(&weights), "{:?}", about.members);
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

/// The hour at which the rhythm of [`changing`] changes.
const CHANGE: usize = 24 * 25;

/// What the first models learn, a day's rhythm, ends.
fn changing(hour: usize) -> f64 {
    let period = if hour < CHANGE { 24.0 } else { 9.0 };
    5.0 + 2.0 * (hour as f64 * std::f64::consts::TAU / period).sin()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_challenger_that_wins_takes_over_and_can_be_sent_back() {
    let (engine, clock) = engine(frame(12, 24 * 60, &changing), CHANGE as u64);
    pass(&engine, &clock, 24 * 12).await;
    let versions = engine.registry().models(RESOURCE, 50).await.unwrap();
    let states: Vec<(u64, ModelState)> = versions.iter().map(|one| (one.version, one.state)).collect();
    let champion = versions.iter().find(|one| one.state == ModelState::Champion).unwrap();
    assert!(champion.version > 1, "{states:?}");
    assert!(versions.iter().any(|one| one.version == 1 && one.state == ModelState::Retired), "{states:?}");
    assert!(champion.reason.contains("loss beside version"), "{}", champion.reason);
    let in_use = engine.workspace.models(RESOURCE)[0].clone();
    let live = in_use.live.unwrap();
    assert!(live.values > 100 && (0.6..0.95).contains(&live.cover.unwrap()), "{live:?}");
    assert!(live.quantile_loss.is_some_and(|loss| loss > 0.0), "{live:?}");
    assert_shows_its_champion(&engine);

    let by = Actor::Person("ann".to_owned());
    let went = engine.roll_back_models(RESOURCE, says(&by, "it looks odd")).await.unwrap();
    assert_eq!(went.last().unwrap().state, ModelState::Champion);
    assert_shows_its_champion(&engine);
    pass(&engine, &clock, 1).await;
    let key = SeriesKey { tenant: "tenant-0".parse().unwrap(), resource: RESOURCE };
    let used = engine.workspace.forecast(&key).unwrap().made_by.version;
    assert_eq!(used, went.last().unwrap().version);
    let audit = engine.registry().audit(None, None, 10).await.unwrap();
    let line = audit.iter().find(|line| line.event.action == AuditAction::ModelRolledBack).unwrap();
    assert_eq!((&line.event.actor, line.event.reason.as_str()), (&by, "it looks odd"));
    assert!(audit.iter().any(|line| line.event.action == AuditAction::ModelReplaced));
    // And on, until there is nothing older.
    let mut window_to = went.last().unwrap().window_to;
    let last = loop {
        match engine.roll_back_models(RESOURCE, says(&by, "again")).await {
            Ok(older) => {
                assert!(older.last().unwrap().window_to < window_to, "{older:?}");
                window_to = older.last().unwrap().window_to;
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(last, RollBackError::NothingBefore(RESOURCE)), "{last:?}");
    assert_eq!(window_to, versions.iter().map(|one| one.window_to).min().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_went_back_to_is_fitted_again_after_a_restart() {
    let usage = frame(12, 24 * 60, &changing);
    let clock = Arc::new(Hands::at(start().plus(Duration::from_secs(CHANGE as u64 * HOUR + 60))));
    let store = Arc::new(MemoryStore::default());
    let folder = tempfile::tempdir().unwrap();
    let history = Arc::new(ParquetHistory::open(folder.path()).unwrap());
    let run = || started(usage.clone(), &clock, Arc::clone(&store), Arc::clone(&history) as _);
    let champion = |engine: &Arc<Engine>| engine.workspace.models(RESOURCE)[0].clone();

    let before = run();
    pass(&before, &clock, 1).await;
    let first = champion(&before);
    pass(&before, &clock, 24 * 5).await;
    // Fitted to all that is known, it stands in the first one's place.
    let after = run();
    after.restore().await.unwrap();
    pass(&after, &clock, 1).await;
    let newest = champion(&after);
    assert!(newest.window_to > first.window_to, "{newest:?}");

    let by = Actor::Person("ann".to_owned());
    let went = after.roll_back_models(RESOURCE, says(&by, "it looks odd")).await.unwrap();
    let back = went.last().unwrap();
    assert!(back.state == ModelState::Champion && back.window_to < newest.window_to, "{went:?}");
    assert!(champion(&after).live.is_none_or(|live| live.cover.is_none()), "fitted just now");
    assert_shows_its_champion(&after);
    pass(&after, &clock, 1).await;
    assert_eq!(champion(&after).version, back.version);

    let again = run();
    again.restore().await.unwrap();
    pass(&again, &clock, 1).await;
    let kept = champion(&again);
    assert_eq!((kept.window_to, kept.series), (back.window_to, 12), "{kept:?}");
    assert!(kept.reason.contains("went back to"), "{}", kept.reason);
    let key = SeriesKey { tenant: "tenant-0".parse().unwrap(), resource: RESOURCE };
    let record = again.workspace.forecast(&key).unwrap();
    assert!(record.fitted_to >= clock.now().floor_to(Step::HOUR), "it forecasts from now on");
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
