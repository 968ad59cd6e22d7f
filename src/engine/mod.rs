//! The engine: steps that take no input but the state.
//!
//! Each step looks at what there is, does what is due, and may run twice
//! without harm; after a crash it does the same work again. `collect` brings in
//! usage, `detect` judges it, `learn` forecasts it, `incidents` tells of what is
//! wrong, `recommend` says what each quota should be, and `apply` sees approved changes through. The driver runs
//! them one after another on a timer, or when it is woken.

mod apply;
mod approve;
mod batch;
mod collect;
mod compute;
mod costs;
mod deliver;
mod detect;
mod driver;
mod exports;
mod fleet;
mod forecasts;
mod generation;
mod hourly;
mod ids;
pub mod incidents;
mod learn;
mod lineup;
mod live;
mod metering;
mod pools;
mod progress;
mod rails;
mod recommend;
mod reconcile;
mod refit;
mod reports;
mod resting;
mod rollouts;
mod sizing;
mod sla;
mod staleness;
mod tenants;
#[cfg(test)]
mod tests;
mod workspace;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch};
use tracing::{Instrument, info_span};

pub use apply::ApplyError;
pub use approve::{Asked, Decided};
pub use batch::{BatchOutcome, Chosen, Direction, Word};
pub use compute::{Compute, ComputeError};
pub use costs::CostError;
pub use deliver::{Backoff, Deliverer, DeliverySettings, KnownReceiver, Means, Origin, drive_deliveries};
pub use driver::drive;
pub use fleet::{FleetQuota, FleetTenant, OpenIncident, Sparkline};
pub use ids::Ids;
pub use learn::RollBackError;
use lineup::Lineup;
pub use live::Live;
pub use metering::drive_metering;
pub use progress::{Progress, Silent};
pub use reconcile::{Drift, ReconcileSettings, drive_reconciler};
pub use reports::{ReportFailure, ReportSettings, drive_reports};
pub use rollouts::{RolloutError, RolloutWish, Steer, Take, drive_rollouts};
pub use tenants::{TenantError, WhyRole};
pub use workspace::{
    Assessment, AssessmentKind, DetectionView, ForecastRecord, JudgedSample, SeriesKey, SourceProblem,
    Workspace,
};

use crate::anomaly;
use crate::cost::Prices;
use crate::domain::rollout::RolloutSettings;
use crate::domain::sla::SlaSettings;
use crate::domain::{ApprovalRules, Guardrails, Resource, Step, Tier, Timestamp, Zone};
use crate::ports::{Clock, History, HistoryError, QuotaTarget, Shelf, UsageSource};
use crate::registry::{Registry, RegistryError};
use crate::rightsize;
use crate::series::Frame;
use crate::telemetry::Metrics;

/// Resources whose kept usage is loaded at the same time.
const LOADED_AT_ONCE: usize = 4;

/// What the engine is made of.
pub struct Parts {
    /// Where usage comes from.
    pub source: Arc<dyn UsageSource>,
    /// Where usage is kept for long.
    pub history: Arc<dyn History>,
    /// Where what is known of each series rests.
    pub shelf: Arc<dyn Shelf>,
    /// The state.
    pub registry: Registry,
    /// Where quotas are enforced.
    pub target: Arc<dyn QuotaTarget>,
    /// What quotas cost; `None` where nobody said.
    pub prices: Option<Prices>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub ids: Ids,
    /// Where heavy work runs.
    pub compute: Compute,
    /// How Plimsoll watches itself.
    pub metrics: Arc<Metrics>,
}

/// How the engine is set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The time from one cycle's begin to the next.
    pub every: Duration,
    /// How the target is compared with the registry.
    pub reconcile: ReconcileSettings,
    /// How reports are made, and which again and again.
    pub reports: ReportSettings,
    /// How far back the first collection goes.
    pub backfill: Duration,
    /// The longest range that is fetched, kept and marked as collected at once.
    pub slice: Duration,
    /// How old a sample must be before it is collected.
    pub settle: Duration,
    /// How much usage is held in memory.
    pub window: Duration,
    /// How much usage is kept in files.
    pub keep: Duration,
    /// How much of it as single samples, and not by the hour.
    pub keep_full: Duration,
    /// How long changes of quotas are kept, and so count as savings.
    pub keep_changes: Duration,
    /// How far forecasts look.
    pub horizon: Duration,
    /// By which clock the days and weeks of usage go.
    pub time_zone: Zone,
    /// How often new models are fitted, beside those in use.
    pub refit_every: Duration,
    /// How long new models forecast beside those in use before they are compared.
    pub trial: Duration,
    /// How the detector is set.
    pub detector: anomaly::Settings,
    /// When incidents open, close and are told of.
    pub incidents: incidents::Settings,
    /// How quotas are sized.
    pub rightsizing: rightsize::Settings,
    /// How long a recommendation is of use.
    pub expire_after: Duration,
    /// For how long what was turned down is not proposed again.
    pub reconsider_after: Duration,
    /// How old the last sample may be for a change without a person.
    pub stale_after: Duration,
    /// The limits of a change without a person.
    pub guardrails: Guardrails,
    /// What people's approvals mean.
    pub approval: ApprovalRules,
    /// How rollouts are set.
    pub rollouts: RolloutSettings,
    /// How promises are watched.
    pub sla: SlaSettings,
    /// How often the source is asked how much tenants have used up.
    pub metering_every: Duration,
    /// The tier of tenants that nobody registered; `None` leaves them alone.
    pub discover: Option<Tier>,
    /// The provider of discovered tenants.
    pub provider: String,
    /// The region of discovered tenants.
    pub region: String,
    /// The most tenants that may be discovered into the registry.
    pub max_tenants: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let hours = |n: u64| Duration::from_secs(n * 3600);
        Settings {
            every: Duration::from_secs(300),
            reconcile: ReconcileSettings::default(),
            reports: ReportSettings::default(),
            backfill: hours(28 * 24),
            slice: hours(7 * 24),
            settle: Duration::from_secs(60),
            window: hours(28 * 24),
            keep: hours(90 * 24),
            keep_full: hours(30 * 24),
            keep_changes: hours(365 * 24),
            horizon: hours(7 * 24),
            time_zone: Zone::UTC,
            refit_every: hours(24),
            trial: hours(48),
            detector: anomaly::Settings::default(),
            incidents: incidents::Settings::default(),
            rightsizing: rightsize::Settings::default(),
            expire_after: hours(24),
            reconsider_after: hours(7 * 24),
            stale_after: hours(1),
            guardrails: Guardrails::default(),
            approval: ApprovalRules::default(),
            rollouts: RolloutSettings::default(),
            sla: SlaSettings::default(),
            metering_every: Duration::from_secs(60),
            discover: None,
            provider: "on-premises".to_owned(),
            region: "default".to_owned(),
            max_tenants: 10_000,
        }
    }
}

/// What a cycle did.
#[derive(Debug, Clone, Default)]
pub struct CycleReport {
    /// How long each step took, in the order in which they ran.
    pub steps: Vec<(&'static str, Duration)>,
    /// Samples that came in.
    pub samples: usize,
    /// Forecasts made.
    pub forecasts: usize,
    /// Samples judged.
    pub judged: usize,
    /// Recommendations that wait since this cycle.
    pub proposed: usize,
    /// Quotas changed by the daemon.
    pub applied: usize,
}

/// The parts that stay the same while the engine runs.
struct Kept {
    history: Arc<dyn History>,
    shelf: Arc<dyn Shelf>,
    registry: Registry,
    clock: Arc<dyn Clock>,
    ids: Ids,
    compute: Compute,
    metrics: Arc<Metrics>,
}

/// The engine; shared behind an `Arc`.
pub struct Engine {
    parts: Kept,
    live: watch::Sender<Live>,
    workspace: Workspace,
    /// The fitted models.
    lineups: Mutex<BTreeMap<Resource, Arc<Mutex<Lineup>>>>,
    /// Held by whoever fits new models.
    refits: tokio::sync::Mutex<()>,
    /// Wakes the driver before its time.
    wake: Notify,
    /// What the engine does right now, for shutdown and readiness.
    doing: RwLock<Option<&'static str>>,
    /// Changes that are being carried out by this process right now.
    under_way: Mutex<HashSet<SeriesKey>>,
    /// Held by whoever lets a rollout go on, or acts on one.
    rollouts: tokio::sync::Mutex<()>,
}

/// A failure of the engine; reads well after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The state could not be read or written.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The history could not be read or written.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Heavy work did not end well.
    #[error(transparent)]
    Compute(#[from] ComputeError),
}

impl Engine {
    /// An engine with nothing in memory yet.
    pub fn new(parts: Parts, settings: Settings) -> Self {
        let Parts { source, history, shelf, registry, target, prices, clock, ids, compute, metrics } = parts;
        let workspace = Workspace::new(&shelf);
        let (prices, settings) = (prices.map(Arc::new), Arc::new(settings));
        Engine {
            parts: Kept { history, shelf, registry, clock, ids, compute, metrics },
            live: watch::Sender::new(Live { source, target, prices, settings }),
            workspace,
            lineups: Mutex::default(),
            refits: tokio::sync::Mutex::default(),
            wake: Notify::new(),
            doing: RwLock::new(None),
            under_way: Mutex::default(),
            rollouts: tokio::sync::Mutex::default(),
        }
    }

    /// The id of a notice that is written now.
    pub fn notice_id(&self) -> uuid::Uuid {
        self.parts.ids.notice(self.now())
    }

    /// The state.
    pub fn registry(&self) -> &Registry {
        &self.parts.registry
    }

    /// What is held in memory: usage, forecasts, anomalies, assessments.
    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// How Plimsoll watches itself.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.parts.metrics
    }

    /// The present.
    pub fn now(&self) -> Timestamp {
        self.parts.clock.now()
    }

    /// A new id for what a person writes down.
    pub fn new_id(&self) -> uuid::Uuid {
        self.parts.ids.notice(self.now())
    }

    /// Wakes the driver before its time.
    pub fn wake(&self) {
        self.wake.notify_one();
    }

    /// What the engine does right now.
    pub fn doing(&self) -> Option<&'static str> {
        *self.doing.read()
    }

    /// Brings the kept usage back into memory, has what was lost of it fetched
    /// again, and sees through what a crash has left half done.
    ///
    /// # Errors
    /// Where the history or the state can't be read.
    pub async fn restore(self: &Arc<Self>) -> Result<(), EngineError> {
        let since = self.now().minus(self.settings().window);
        let (resources, step) = (self.source().resources(), self.source().step());
        let loads = resources.into_iter().map(|resource| self.load(resource, step, since));
        let mut loaded = stream::iter(loads).buffered(LOADED_AT_ONCE);
        while let Some(frame) = loaded.try_next().await? {
            self.workspace.extend(frame, since);
        }
        self.finish_open_changes().await
    }

    /// The kept usage of a resource. Where nothing at all is kept of what was
    /// collected, it is collected anew.
    async fn load(
        self: &Arc<Self>,
        resource: Resource,
        step: Step,
        since: Timestamp,
    ) -> Result<Frame, EngineError> {
        let engine = Arc::clone(self);
        let load = move || {
            let history = &engine.parts.history;
            let frame = history.load(resource, step, since)?;
            let holds = !frame.series.is_empty() || history.holds(resource)?;
            Ok::<_, HistoryError>((frame, holds))
        };
        let (frame, holds) = self.parts.compute.run_blocking(load).await??;
        if !holds && self.parts.registry.watermark(resource).await?.is_some() {
            self.parts.registry.forget_watermark(resource).await?;
            // The same is found of a resource of which there never was any usage.
            tracing::info!("the history of {resource} is gone, or was always empty; it is fetched again");
        }
        Ok(frame)
    }

    /// Runs every step once. A failure of one resource's source or history is noted
    /// and does not stop the others.
    ///
    /// # Errors
    /// Where the state can't be read or written.
    pub async fn cycle(self: &Arc<Self>, progress: &dyn Progress) -> Result<CycleReport, EngineError> {
        let mut report = CycleReport::default();
        let _doing = Doing(self);
        let collect = self.collect(progress).instrument(info_span!("collect"));
        report.samples = self.step("collect", collect, &mut report.steps).await?;
        let detect = self.detect(progress).instrument(info_span!("detect"));
        report.judged = self.step("detect", detect, &mut report.steps).await?;
        // What was unusual is known by now, and not learned from.
        let learn = self.learn(progress).instrument(info_span!("learn"));
        report.forecasts = self.step("learn", learn, &mut report.steps).await?;
        let incidents = self.update_incidents().instrument(info_span!("incidents"));
        self.step("incidents", incidents, &mut report.steps).await?;
        let recommend = self.recommend(progress).instrument(info_span!("recommend"));
        report.proposed = self.step("recommend", recommend, &mut report.steps).await?;
        let apply = self.apply_and_measure().instrument(info_span!("apply"));
        report.applied = self.step("apply", apply, &mut report.steps).await?;
        self.parts.metrics.store_bytes(self.registry().health().await.disk_bytes);
        self.parts.metrics.cycle_ended(self.now().as_seconds());
        self.workspace.cycle_ended(self.now());
        Ok(report)
    }

    /// Counts what waits right now, for the metrics.
    pub fn measure_queues(&self) {
        let (running, waiting) = self.parts.compute.load();
        self.parts.metrics.queues(running, waiting, self.registry().waiting_writes());
    }

    /// Runs a step of a cycle, and measures it.
    async fn step<T>(
        &self,
        name: &'static str,
        work: impl Future<Output = Result<T, EngineError>>,
        ended: &mut Vec<(&'static str, Duration)>,
    ) -> Result<T, EngineError> {
        *self.doing.write() = Some(name);
        let begun = tokio::time::Instant::now();
        let outcome = self.parts.metrics.polls().timed(name, work).await?;
        let took = begun.elapsed();
        self.parts.metrics.step_ended(name, took);
        ended.push((name, took));
        Ok(outcome)
    }

    /// The resources that are measured.
    pub fn resources(&self) -> Vec<Resource> {
        self.source().resources()
    }
}

/// Clears what the engine does when a cycle ends, also when it is given up.
struct Doing<'a>(&'a Engine);

impl Drop for Doing<'_> {
    fn drop(&mut self) {
        *self.0.doing.write() = None;
    }
}
