//! An engine over usage that is already there: the demo's fleet, a file, or
//! one look at a Prometheus. The parts are those of the daemon, but the state
//! lives in memory and the clock may stand where the usage ends.

use std::sync::Arc;

use anyhow::Context;

use super::clock::{ClockFrom, SystemClock};
use super::outlet::{deliverer_over, demo_receivers};
use super::server;
use super::shutdown;
use crate::api::{ApiSettings, ApiState};
use crate::config::ConnectionLimits;
use crate::cost::Prices;
use crate::domain::{Actor, Step, Timestamp};
use crate::engine::{Compute, Engine, Ids, Parts, Settings, drive_deliveries, drive_rollouts};
use crate::ports::{Clock, History, UsageSource};
use crate::registry::{NewTenant, Registry};
use crate::series::Frame;
use crate::source::FileSource;
use crate::store::{MemoryShelf, MemoryStore, NoHistory, ParquetHistory};
use crate::target::RegistryTarget;
use crate::telemetry::Metrics;

/// Makes the ids of a demo the same each time.
const SEED: u64 = 7117;

/// Usage that is already there.
pub enum Usage {
    /// Read from a file; the present is where it ends.
    Frames(Step, Vec<Frame>),
    /// Asked of a source; the present is the system's.
    Source(Arc<dyn UsageSource>),
}

/// Builds an engine over usage that is already there, with its tenants
/// registered.
///
/// # Errors
/// Where a tenant can't be registered, or threads can't be started.
pub async fn engine_over(
    usage: Usage,
    tenants: Vec<NewTenant>,
    prices: Option<Prices>,
    settings: Settings,
    history: Option<ParquetHistory>,
) -> anyhow::Result<Arc<Engine>> {
    let (source, clock): (Arc<dyn UsageSource>, Arc<dyn Clock>) = match usage {
        Usage::Frames(step, frames) => {
            let present = end_of(&frames).plus(settings.settle);
            (Arc::new(FileSource::from_frames(step, frames)), Arc::new(ClockFrom::new(present)))
        }
        Usage::Source(source) => (source, Arc::new(SystemClock)),
    };
    let history: Arc<dyn History> = match history {
        Some(history) => Arc::new(history),
        None => Arc::new(NoHistory),
    };
    let parts = Parts {
        source,
        history,
        shelf: Arc::new(MemoryShelf::default()),
        registry: Registry::new(Arc::new(MemoryStore::default()), Arc::clone(&clock)),
        target: Arc::new(RegistryTarget),
        prices,
        clock,
        ids: Ids::from_seed(SEED),
        compute: Compute::new(0, 1)?,
        metrics: Arc::new(Metrics::default()),
    };
    let engine = Arc::new(Engine::new(parts, settings));
    for tenant in tenants {
        let id = tenant.id.clone();
        let created = engine.registry().create_tenant(tenant, Actor::Daemon, None).await;
        created.with_context(|| format!("failed to register {id}"))?;
    }
    Ok(engine)
}

/// The last instant of which there is a value.
fn end_of(frames: &[Frame]) -> Timestamp {
    let ends = frames
        .iter()
        .flat_map(|frame| frame.series.values().map(|series| series.end().minus(frame.step.duration())));
    ends.max().unwrap_or_default()
}

/// Serves an engine's API and page on the address, until a signal. Rollouts that
/// are begun there go on, and notices are sent; no cycle runs, since the usage
/// has ended.
///
/// # Errors
/// Where the address is taken, or the server fails.
pub async fn serve_once_computed(
    engine: Arc<Engine>,
    listener: tokio::net::TcpListener,
    api: ApiSettings,
) -> anyhow::Result<()> {
    let stop = shutdown::on_signal();
    let grace = std::time::Duration::from_secs(1);
    let deliverer = deliverer_over(&engine, &demo_receivers()?)?;
    let rollouts = tokio::spawn(drive_rollouts(Arc::clone(&engine), stop.clone()));
    let deliveries = tokio::spawn(drive_deliveries(Arc::clone(&deliverer), grace, stop.clone()));
    let (limits, metrics) = (ConnectionLimits::default(), Arc::clone(engine.metrics()));
    let state = ApiState::new(engine, deliverer, api).until(stop.clone());
    server::serve(listener, server::Routes::over(state), limits, metrics, grace, stop.clone()).await;
    stop.cancel();
    rollouts.await.context("failed to end the rollouts")?;
    deliveries.await.context("failed to end the deliveries")
}
