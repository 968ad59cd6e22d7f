//! Config to parts, parts to a running daemon. The only room that names every
//! adapter.

mod clock;
mod connections;
mod demo;
pub mod doctor;
mod outlet;
mod parts;
mod patient;
mod prices;
mod server;
mod shutdown;
mod systemd;
mod token;
mod witness;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;

pub use clock::{ClockFrom, SystemClock};
pub use demo::{Usage, engine_over, serve_once_computed};
pub use outlet::{deliverer_over, no_receivers};
pub use parts::{Closing, disk_kind, disk_settings, engine_settings, prometheus_source};
pub use prices::{named_book, prices_of};

use crate::api::{ApiSettings, ApiState};
use crate::config::{Config, ConnectionLimits, StoreKind};
use crate::engine::{
    Deliverer, Engine, ReconcileSettings, ReportSettings, drive, drive_deliveries, drive_metering,
    drive_reconciler, drive_reports, drive_rollouts,
};

/// Everything that a daemon is, ready to serve.
pub struct App {
    engine: Arc<Engine>,
    reports: ReportSettings,
    deliverer: Arc<Deliverer>,
    witness: Option<witness::Witness>,
    reconcile: ReconcileSettings,
    closing: Closing,
    listener: TcpListener,
    api: ApiSettings,
    limits: ConnectionLimits,
    every: Duration,
    grace: Duration,
}

impl App {
    /// Builds the parts, restores what was kept, and listens.
    ///
    /// # Errors
    /// Where a part can't be built: the store is taken or broken, the price
    /// book is none, the address is in use.
    pub async fn start(config: Config) -> anyhow::Result<App> {
        let listener = listen(config.server.listen_address).await?;
        let (engine, closing) = parts::build(&config).await?;
        let deliverer = deliverer_over(&engine, &outlet::Outlet::of(&config))?;
        token::ensure(engine.registry(), config.server.token.clone()).await?;
        engine.restore().await.context("failed to restore what was kept")?;
        // A log that is forgotten at the end can't be held against what was signed before.
        let witness = match config.store.kind {
            StoreKind::Memory => None,
            StoreKind::Sled | StoreKind::Redb => Some(witness::Witness::of(&config, Arc::clone(&engine))?),
        };
        Ok(App {
            witness,
            engine,
            deliverer,
            reconcile: ReconcileSettings {
                every: config.target.reconcile_every,
                repair: config.target.repair,
                at_once: config.target.max_at_once,
            },
            closing,
            listener,
            reports: parts::report_settings(&config),
            api: parts::api_settings(&config),
            limits: config.server.connections.clone(),
            every: config.cycle.every,
            grace: config.server.shutdown_time_limit,
        })
    }

    /// Serves until SIGTERM or Ctrl-C, then ends what runs and closes the
    /// store. A second signal stops at once.
    ///
    /// # Errors
    /// Where the server or the store fails.
    pub async fn serve(self) -> anyhow::Result<()> {
        let stop = shutdown::on_signal();
        let address = self.listener.local_addr().context("failed to read the address")?;
        tracing::info!(%address, "listening");
        if let Some(manager) = systemd::Manager::of_environment() {
            tokio::spawn(manager.accompany(format!("listening on {address}"), stop.clone()));
        }
        let driver = tokio::spawn(drive(Arc::clone(&self.engine), self.every, self.grace, stop.clone()));
        let deliveries =
            tokio::spawn(drive_deliveries(Arc::clone(&self.deliverer), self.grace, stop.clone()));
        let reconciler =
            tokio::spawn(drive_reconciler(Arc::clone(&self.engine), self.reconcile, stop.clone()));
        let rollouts = tokio::spawn(drive_rollouts(Arc::clone(&self.engine), stop.clone()));
        let metering = tokio::spawn(drive_metering(Arc::clone(&self.engine), stop.clone()));
        let reporter = tokio::spawn(drive_reports(
            Arc::clone(&self.engine),
            Arc::clone(&self.deliverer),
            self.reports,
            stop.clone(),
        ));
        let witness = self.witness.map(|witness| tokio::spawn(witness.run(stop.clone())));
        let metrics = Arc::clone(self.engine.metrics());
        let state = ApiState::new(self.engine, self.deliverer, self.api)
            .over(self.closing.keeper())
            .until(stop.clone());
        server::serve(self.listener, state, self.limits, metrics, self.grace, stop.clone()).await;
        // A server that ended by itself takes the rest with it.
        stop.cancel();
        driver.await.context("failed to end the engine's driver")?;
        deliveries.await.context("failed to end the deliveries")?;
        reconciler.await.context("failed to end the reconciler")?;
        reporter.await.context("failed to end the reports")?;
        rollouts.await.context("failed to end the rollouts")?;
        metering.await.context("failed to end the metering")?;
        if let Some(witness) = witness {
            witness.await.context("failed to sign for the audit log")?;
        }
        self.closing.close().await.context("failed to close the store")?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Listens on an address.
///
/// # Errors
/// Where it is taken, or is none of this machine.
pub async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("failed to listen on {address}; is another daemon running there?"))
}
