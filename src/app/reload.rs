//! Reads the config again when asked, by SIGHUP or over the API: all of it, or,
//! where anything in it can't be used, nothing. All parts are built first, and
//! only then put in the places of those before.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::outlet::{Outlet, means};
use super::server::Routes;
use super::{parts, prometheus_source, token};
use crate::api::ApiState;
use crate::config::{Changes, Config};
use crate::domain::Actor;
use crate::engine::{Deliverer, Engine, Live, Means};
use crate::ports::{ReloadAnswer, ReloadAsked, ReloadRefused, Reloaded};
use crate::registry::Remark;
use crate::telemetry;

/// What is changed when the config is.
pub struct Reloader {
    pub file: PathBuf,
    pub running: Config,
    pub engine: Arc<Engine>,
    pub deliverer: Arc<Deliverer>,
    pub api: ApiState,
    pub routes: Routes,
}

/// Everything that a config is made into, before any of it counts.
struct Built {
    config: Config,
    changes: Changes,
    live: Live,
    means: Means,
}

impl Reloader {
    /// Reads the config on each SIGHUP and for each caller, until `stop`.
    pub async fn run(mut self, mut asked: mpsc::Receiver<ReloadAsked>, stop: CancellationToken) {
        let mut hangup = signal(SignalKind::hangup())
            .inspect_err(|error| tracing::error!("failed to listen for SIGHUP: {error}"))
            .ok();
        loop {
            let answer = tokio::select! {
                () = stop.cancelled() => return,
                Some(answer) = asked.recv() => Some(answer),
                () = next(&mut hangup) => None,
            };
            let outcome = self.reload().await;
            match answer {
                // Whoever went away is not told; the log is.
                Some(answer) => drop(answer.send(outcome)),
                None => self.write_down(outcome).await,
            }
        }
    }

    async fn reload(&mut self) -> ReloadAnswer {
        let built = self.build().await;
        self.engine.metrics().config_read(built.is_ok(), self.engine.now().as_seconds());
        match built {
            Ok(built) => Ok(self.take(built)),
            Err(problems) => {
                let refused = ReloadRefused { problems };
                tracing::error!("failed to {refused}");
                Err(refused)
            }
        }
    }

    /// Everything that can fail.
    async fn build(&self) -> Result<Built, Vec<String>> {
        let file = self.file.clone();
        let read = tokio::task::spawn_blocking(move || Config::load(&file)).await;
        let wanted = read.map_err(|error| vec![error.to_string()])?.map_err(|problems| problems.lines())?;
        let changes = self.running.changes_to(&wanted);
        let config = wanted.while_running(&self.running);
        let (live, means) = self.parts(&config).await.map_err(|error| vec![format!("{error:#}")])?;
        Ok(Built { config, changes, live, means })
    }

    async fn parts(&self, config: &Config) -> anyhow::Result<(Live, Means)> {
        let live = Live {
            source: Arc::new(prometheus_source(config)?),
            prices: parts::prices(config, self.engine.now())?.map(Arc::new),
            target: parts::target(&config.target.place).await?,
            settings: Arc::new(parts::engine_settings(config)),
        };
        let means = means(&Outlet::of(config))?;
        token::ensure(self.engine.registry(), config.server.token.clone()).await?;
        Ok((live, means))
    }

    /// Nothing here can fail.
    fn take(&mut self, built: Built) -> Reloaded {
        let Built { config, changes, live, means } = built;
        telemetry::set_log_level(&config.log.level);
        self.engine.change(live);
        self.deliverer.change(means);
        self.routes.serve_instead(self.api.with(parts::api_settings(&config)));
        self.running = config;
        let Changes { taken, at_start: needs_restart } = changes;
        tracing::info!(taken = taken.join(", "), "the config was read again");
        if !needs_restart.is_empty() {
            let keys = needs_restart.join(", ");
            tracing::warn!(keys, "these keys were changed, and count from the next start on");
        }
        Reloaded { taken, needs_restart }
    }

    async fn write_down(&self, outcome: ReloadAnswer) {
        let Ok(reloaded) = outcome else { return };
        let remark = Remark { by: Actor::Daemon, comment: Some("SIGHUP".to_owned()), request_id: None };
        if let Err(error) = self.engine.registry().config_reloaded(&reloaded, remark).await {
            tracing::error!("failed to {error}");
        }
    }
}

/// Waits for the signal; for ever where it can't be heard.
async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
