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
mod reload;
mod server;
mod shutdown;
mod systemd;
mod token;
mod witness;
mod work;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpListener;

pub use clock::{ClockFrom, SystemClock};
pub use demo::{Usage, engine_over, serve_once_computed};
pub use outlet::{deliverer_over, demo_receivers, no_receivers};
pub use parts::{Closing, disk_kind, disk_settings, engine_settings, prometheus_source};
pub use prices::{named_book, prices_of};

use crate::api::ApiState;
use crate::config::{Config, StoreKind};
use crate::engine::{
    Deliverer, Engine, drive, drive_deliveries, drive_metering, drive_reconciler, drive_reports,
    drive_rollouts,
};
use crate::ports::Reloads;
use reload::Reloader;
use server::Routes;
use work::WorkThreads;
pub use work::share_out;

/// Everything that a daemon is, ready to serve.
pub struct App {
    engine: Arc<Engine>,
    deliverer: Arc<Deliverer>,
    witness: Option<witness::Witness>,
    closing: Closing,
    listener: TcpListener,
    config: Config,
    file: PathBuf,
}

impl App {
    /// Builds the parts, restores what was kept, and listens. `file` is where the
    /// config was read, and is read again when asked.
    ///
    /// # Errors
    /// Where a part can't be built: the store is taken or broken, the price
    /// book is none, the address is in use.
    pub async fn start(config: Config, file: &Path) -> anyhow::Result<App> {
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
        engine.metrics().config_read(true, engine.now().as_seconds());
        Ok(App { witness, engine, deliverer, closing, listener, config, file: file.to_owned() })
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
        let grace = self.config.server.shutdown_time_limit;
        let (reloads, asked) = Reloads::channel();
        let (engine, deliverer) = (self.engine, self.deliverer);
        let polls = engine.metrics().polls().clone();
        tokio::spawn(polls.clone().measure_delays("polls"));
        let (held, told) = (|| Arc::clone(&engine), || Arc::clone(&deliverer));
        let work = WorkThreads::start(share_out(self.config.store.threads).1)?;
        work.spawn(polls.clone().measure_delays("work"));
        // It times the turns of each of its steps.
        let driver = work.spawn(drive(held(), grace, stop.clone()));
        let deliveries = work.spawn(polls.timed("deliveries", drive_deliveries(told(), grace, stop.clone())));
        let reconciler = work.spawn(polls.timed("reconciler", drive_reconciler(held(), stop.clone())));
        let rollouts = work.spawn(polls.timed("rollouts", drive_rollouts(held(), stop.clone())));
        let metering = work.spawn(polls.timed("metering", drive_metering(held(), stop.clone())));
        let reporter = work.spawn(polls.timed("reports", drive_reports(held(), told(), stop.clone())));
        let witness = self.witness.map(|witness| work.spawn(polls.timed("audit", witness.run(stop.clone()))));
        let metrics = Arc::clone(engine.metrics());
        let settings = parts::api_settings(&self.config);
        let api = ApiState::new(held(), told(), settings);
        let api = api.over(self.closing.keeper()).until(stop.clone()).reloading(reloads).aside(work.handle());
        let routes = Routes::over(api.clone());
        let (file, running) = (self.file, self.config);
        let limits = running.server.connections.clone();
        let reloader = Reloader { file, running, engine, deliverer, api, routes: routes.clone() };
        let reloader = work.spawn(polls.timed("reload", reloader.run(asked, stop.clone())));
        server::serve(self.listener, routes, limits, metrics, grace, stop.clone()).await;
        // A server that ended by itself takes the rest with it.
        stop.cancel();
        driver.await.context("failed to end the engine's driver")?;
        deliveries.await.context("failed to end the deliveries")?;
        reconciler.await.context("failed to end the reconciler")?;
        reporter.await.context("failed to end the reports")?;
        rollouts.await.context("failed to end the rollouts")?;
        metering.await.context("failed to end the metering")?;
        reloader.await.context("failed to end the reloads")?;
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
