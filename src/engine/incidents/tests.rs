//! Days of an engine whose usage goes wrong, over state in memory.

mod holding;
mod learning;
mod telling;

use std::sync::Arc;
use std::time::Duration;

use crate::domain::{
    Actor, ApplyMode, Incident, Notice, NoticeKind, Resource, Step, TenantId, Tier, Timestamp,
};
use crate::engine::{Compute, Engine, Ids, Parts, SeriesKey, Settings, Silent};
use crate::ports::hands::Hands;
use crate::ports::{Order, Store, Table};
use crate::registry::{IncidentFilter, NewTenant, Registry, Remark};
use crate::series::{Frame, UsageSeries};
use crate::source::FileSource;
use crate::store::{MemoryShelf, MemoryStore, NoHistory};
use crate::target::RegistryTarget;
use crate::telemetry::Metrics;

const CPU: Resource = Resource::CpuCores;
/// What is judged from then on: the detector has seen three days.
const WARM: f64 = 72.0;

/// An engine at work.
struct Rig {
    engine: Arc<Engine>,
    clock: Arc<Hands>,
    store: Arc<MemoryStore>,
}

/// Hours since a Monday's midnight (UTC).
fn at(hour: f64) -> Timestamp {
    Timestamp::from_seconds(1_789_948_800 + (hour * 3600.0).round() as i64)
}

fn noise(index: usize) -> f64 {
    ((index.wrapping_mul(2_654_435_761)) >> 7) as f64 % 100.0 / 100.0
}

/// About two, with some noise.
fn usual(hour: f64) -> f64 {
    2.0 + 0.3 * noise((hour * 12.0).round() as usize)
}

fn id(tenant: &str) -> TenantId {
    tenant.parse().unwrap()
}

fn key(tenant: &str) -> SeriesKey {
    SeriesKey { tenant: id(tenant), resource: CPU }
}

fn ann() -> Remark {
    Remark { by: Actor::Person("ann".to_owned()), comment: Some("seen".to_owned()), request_id: None }
}

impl Rig {
    /// Over `hours` of usage by these tenants, who are all registered.
    async fn new(
        tenants: &[&str],
        resources: &[Resource],
        (step, hours): (Step, usize),
        settings: Settings,
        usage: impl Fn(&str, Resource, f64) -> f64,
    ) -> Rig {
        let clock = Arc::new(Hands::at(at(0.0)));
        let store = Arc::new(MemoryStore::default());
        let frame = |resource: &Resource| {
            let mut frame = Frame::empty(*resource, step);
            let steps = hours * usize::try_from(Step::HOUR.millis() / step.millis()).unwrap();
            for tenant in tenants {
                let hour = |index: usize| index as f64 * hours as f64 / steps as f64;
                let values = (0..steps).map(|index| usage(tenant, *resource, hour(index))).collect();
                frame.series.insert(id(tenant), UsageSeries { start: at(0.0), step, values });
            }
            frame
        };
        let parts = Parts {
            source: Arc::new(FileSource::from_frames(step, resources.iter().map(frame).collect())),
            history: Arc::new(NoHistory),
            shelf: Arc::new(MemoryShelf::default()),
            registry: Registry::new(store.clone(), clock.clone()),
            target: Arc::new(RegistryTarget),
            prices: None,
            clock: clock.clone(),
            ids: Ids::from_seed(1),
            compute: Compute::new(1, 1).unwrap(),
            metrics: Arc::new(Metrics::default()),
        };
        let rig = Rig { engine: Arc::new(Engine::new(parts, settings)), clock, store };
        for tenant in tenants {
            rig.register(tenant).await;
        }
        rig
    }

    /// The same after a restart: what is in memory is made again from the usage.
    fn started_again(&self) -> Rig {
        let old = &self.engine;
        let parts = Parts {
            source: old.source(),
            history: Arc::new(NoHistory),
            shelf: Arc::new(MemoryShelf::default()),
            registry: Registry::new(self.store.clone(), self.clock.clone()),
            target: Arc::new(RegistryTarget),
            prices: None,
            clock: self.clock.clone(),
            ids: Ids::from_seed(2),
            compute: Compute::new(1, 1).unwrap(),
            metrics: Arc::new(Metrics::default()),
        };
        let engine = Arc::new(Engine::new(parts, (*old.settings()).clone()));
        for frame in old.workspace.all_frames() {
            engine.workspace.extend((*frame).clone(), at(0.0));
        }
        Rig { engine, clock: self.clock.clone(), store: self.store.clone() }
    }

    /// Over eight days of five-minute CPU usage.
    async fn of_cpu(tenants: &[&str], settings: Settings, usage: impl Fn(&str, f64) -> f64) -> Rig {
        let steps = (Step::FIVE_MINUTES, 192);
        Rig::new(tenants, &[CPU], steps, settings, |tenant, _, hour| usage(tenant, hour)).await
    }

    async fn register(&self, tenant: &str) {
        let new = NewTenant {
            id: id(tenant),
            name: None,
            tier: Tier::Premium,
            provider: "aws".to_owned(),
            region: "eu".to_owned(),
            apply_mode: ApplyMode::Approved,
            quotas: Default::default(),
            template: None,
        };
        self.engine.registry().create_tenant(new, Actor::Daemon, None).await.unwrap();
    }

    /// Moves the clock there, and looks at what came.
    async fn go_to(&self, hour: f64) {
        self.clock.put(at(hour));
        self.engine.collect(&Silent).await.unwrap();
        self.engine.detect(&Silent).await.unwrap();
        self.engine.update_incidents().await.unwrap();
    }

    /// Looks each half hour.
    async fn go_through(&self, from: f64, to: f64) {
        for half_hours in 0..=((to - from) * 2.0).round() as i32 {
            self.go_to(from + 0.5 * f64::from(half_hours)).await;
        }
    }

    /// The incidents of a tenant, the newest first.
    async fn incidents(&self, tenant: &str) -> Vec<Incident> {
        let filter = IncidentFilter { tenant: Some(id(tenant)), ..IncidentFilter::default() };
        self.engine.registry().incidents(&filter, None, 100).await.unwrap()
    }

    /// All that was told, the oldest first.
    async fn notices(&self) -> Vec<Notice> {
        let found = self.store.scan(Table::Notices, "", None, Order::Upwards, usize::MAX).await.unwrap();
        found.iter().map(|(_, value)| serde_json::from_slice(&value.bytes).unwrap()).collect()
    }

    async fn told(&self) -> Vec<NoticeKind> {
        self.notices().await.iter().map(|notice| notice.kind).collect()
    }

    /// What is expected of a tenant's CPU, and how many samples that rests on.
    fn expected(&self, tenant: &str) -> (f64, u32) {
        let detection = self.engine.workspace.detections.get(&key(tenant)).unwrap();
        let expected = detection.last.map_or(f64::NAN, |last| last.judgement.expected);
        (expected, detection.detector.samples())
    }

    /// What the models see of a tenant's CPU in these hours.
    async fn learnable(&self, tenant: &str, hours: std::ops::Range<i64>) -> Vec<bool> {
        let frame = self.engine.workspace.frame(CPU).unwrap();
        let due = self.engine.due(&frame, vec![id(tenant)]).await.unwrap();
        let count = usize::try_from(hours.end - hours.start).unwrap();
        let values = due[0].1.since(at(hours.start as f64));
        values.take(count).map(|(_, value)| value.is_finite()).collect()
    }
}

/// Settings that differ in those of incidents.
fn settings(change: impl FnOnce(&mut super::Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings.incidents);
    settings.incidents.least_open = Duration::from_secs(60);
    settings
}
