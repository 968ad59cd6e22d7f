//! Amounts that are used up, over a restart, a source that is silent, and the
//! end of their period.

use async_trait::async_trait;
use parking_lot::Mutex;

use super::*;
use crate::domain::{ApplyMode, Budgets, Resource, Step};
use crate::engine::Settings;
use crate::engine::tests::{clock, engine_from, pass, register, usage_of};
use crate::ports::{Fetched, Measured, SourceError, UsageSource};
use crate::source::FileSource;
use crate::store::MemoryStore;

/// Counts requests of acme as it is told to; `None` is down.
struct Counting {
    usage: FileSource,
    used: Mutex<Option<f64>>,
    windows: Mutex<Vec<Duration>>,
    meters: Mutex<Vec<Meter>>,
    /// Why it leaves series out of each answer.
    refuses: Mutex<Vec<String>>,
}

impl Counting {
    fn new(used: f64) -> Arc<Self> {
        Arc::new(Counting {
            usage: usage_of(&["acme"]),
            used: Mutex::new(Some(used)),
            windows: Mutex::default(),
            meters: Mutex::new(vec![Meter::InferenceRequests]),
            refuses: Mutex::default(),
        })
    }
}

#[async_trait]
impl UsageSource for Counting {
    fn resources(&self) -> Vec<Resource> {
        self.usage.resources()
    }

    fn step(&self) -> Step {
        self.usage.step()
    }

    async fn fetch(&self, resource: Resource, range: TimeRange) -> Result<Fetched, SourceError> {
        self.usage.fetch(resource, range).await
    }

    fn meters(&self) -> Vec<Meter> {
        self.meters.lock().clone()
    }

    async fn metered(
        &self,
        _meter: Meter,
        window: Duration,
        _at: Timestamp,
    ) -> Result<Measured, SourceError> {
        self.windows.lock().push(window);
        let used = self.used.lock().ok_or_else(|| SourceError::Unreachable("it is down".to_owned()))?;
        let by_tenant = BTreeMap::from([("acme".parse().unwrap(), used)]);
        Ok(Measured { by_tenant, refused: self.refuses.lock().clone() })
    }
}

async fn state(engine: &Engine) -> MeterState {
    let tenant = engine.registry().tenant(&"acme".parse().unwrap()).await.unwrap();
    engine.meter_states(&tenant).remove(0)
}

/// Whether the tenant's incident says that all is used up.
async fn is_told(engine: &Engine) -> bool {
    let incident = engine.registry().open_incident(&"acme".parse().unwrap()).await.unwrap();
    incident.is_some_and(|one| one.open_findings().any(|one| one.kind == FindingKind::MeterUsedUp))
}

#[tokio::test]
async fn what_is_used_up_is_told_until_all_is_granted_anew() {
    let (store, clock) = (Arc::new(MemoryStore::default()), clock());
    let source = Counting::new(60_000.0);
    let new = || engine_from(source.clone(), store.clone(), &clock, Settings::default(), Budgets::default());
    let engine = new();
    // PREMIUM grants 100,000 requests a day.
    register(&engine, "acme", ApplyMode::Review, &[(Resource::CpuCores, 8.0)]).await;
    engine.ask_meters().await;
    assert!(source.windows.lock().is_empty(), "the day has just begun");
    assert_eq!(state(&engine).await.used, None);
    pass(&engine, &clock, 2).await;
    engine.ask_meters().await;
    assert_eq!(source.windows.lock().as_slice(), [Duration::from_secs(7200)]);
    let some = state(&engine).await;
    assert_eq!(
        (some.limit, some.used, some.left, some.used_up),
        (100_000.0, Some(60_000.0), Some(40_000.0), false)
    );
    pass(&engine, &clock, 1).await;
    assert!(!is_told(&engine).await);

    *source.used.lock() = Some(120_000.0);
    engine.ask_meters().await;
    pass(&engine, &clock, 1).await;
    assert!(is_told(&engine).await && state(&engine).await.used_up);
    let acme: TenantId = "acme".parse().unwrap();
    let incident = engine.registry().open_incident(&acme).await.unwrap().unwrap();
    let text = &incident.open_findings().find(|one| one.kind == FindingKind::MeterUsedUp).unwrap().text;
    assert!(text.contains("All inference requests of the day are used up: 120000 of 100000"), "{text}");

    // What was heard stands while the source is down, and what is open stays so over a restart.
    *source.used.lock() = None;
    engine.ask_meters().await;
    assert_eq!(state(&engine).await.used, Some(120_000.0));
    let engine = new();
    engine.ask_meters().await;
    pass(&engine, &clock, 1).await;
    assert!(is_told(&engine).await && state(&engine).await.used.is_none());

    *source.used.lock() = Some(120_000.0);
    engine.ask_meters().await;
    pass(&engine, &clock, 19).await;
    assert_eq!(state(&engine).await.used, None, "another day");
    pass(&engine, &clock, 1).await;
    assert!(!is_told(&engine).await);
}

#[tokio::test]
async fn what_is_left_out_of_a_meter_is_told_of_until_it_is_clean_or_no_longer_counted() {
    let (source, store, clock) = (Counting::new(1.0), Arc::new(MemoryStore::default()), clock());
    let engine = engine_from(source.clone(), store, &clock, Settings::default(), Budgets::default());
    let reasons = vec!["{job=\"x\"} has no label \"tenant\"".to_owned()];
    let told = [(Asked::Metered(Meter::InferenceRequests), reasons.clone())];
    *source.refuses.lock() = reasons.clone();
    pass(&engine, &clock, 2).await;
    engine.ask_meters().await;
    assert_eq!(engine.workspace().refused(), told);
    let counted = "plimsoll_source_refusals_total{resource=\"inference_requests\"} 1";
    let shown = engine.metrics().render();
    assert!(shown.lines().any(|line| line == counted), "{shown}");

    *source.used.lock() = None;
    engine.ask_meters().await;
    assert_eq!(engine.workspace().refused(), told, "nothing newer is known");
    *source.used.lock() = Some(1.0);
    source.refuses.lock().clear();
    engine.ask_meters().await;
    assert!(engine.workspace().refused().is_empty());

    *source.refuses.lock() = reasons;
    engine.ask_meters().await;
    pass(&engine, &clock, 1).await;
    assert_eq!(engine.workspace().refused(), told, "a cycle keeps what is still counted");
    source.meters.lock().clear();
    pass(&engine, &clock, 1).await;
    assert!(engine.workspace().refused().is_empty());
}
