//! From a config to the parts of an engine.

use std::sync::Arc;

use anyhow::Context;

use super::clock::SystemClock;
use super::prices::prices_of;
use crate::anomaly;
use crate::api::{AccessSettings, ApiSettings, SessionSettings};
use crate::config::{self, Config, StoreKind, TargetPlace};
use crate::cost::Prices;
use crate::domain::{Step, Timestamp};
use crate::engine::{Compute, Engine, Ids, Parts, ReconcileSettings, ReportSettings, Settings, incidents};
use crate::ports::{Clock, History, Keeper, QuotaTarget, Shelf, Store};
use crate::registry::{AnswerLimits, Registry, TemplateLimits};
use crate::rightsize;
use crate::source::{PrometheusSettings, PrometheusSource};
use crate::store::{
    DiskKeeper, DiskKind, DiskSettings, DiskStore, FileShelf, MemoryShelf, MemoryStore, NoHistory,
    ParquetHistory,
};
use crate::target::{
    CallbackSettings, CallbackTarget, FileFormat, FileTarget, KubernetesSettings, KubernetesTarget,
    RegistryTarget,
};
use crate::telemetry::Metrics;

/// Heavy works that may wait for the pool at once.
const COMPUTE_QUEUE: usize = 8;

/// What must be closed in order at the end.
pub struct Closing(Option<DiskKeeper>);

impl Closing {
    /// All that is kept, as one; `None` where it is kept in memory.
    pub fn keeper(&self) -> Option<Arc<dyn Keeper>> {
        let keeper = self.0.clone()?;
        Some(Arc::new(keeper))
    }

    /// Writes down what is still under way, and lets the store go.
    ///
    /// # Errors
    /// Where the last writes can't be made durable.
    pub async fn close(self) -> anyhow::Result<()> {
        let Some(keeper) = self.0 else { return Ok(()) };
        tokio::task::spawn_blocking(move || keeper.close()).await??;
        Ok(())
    }
}

/// Builds the engine of a daemon.
///
/// # Errors
/// Where a part can't be built.
pub async fn build(config: &Config) -> anyhow::Result<(Arc<Engine>, Closing)> {
    let source = Arc::new(prometheus_source(config)?);
    let (store, history, closing) = open_stores(config).await?;
    let clock = Arc::new(SystemClock);
    let prices = prices(config, clock.now())?;
    let parts = Parts {
        source,
        history,
        shelf: shelf(config)?,
        registry: Registry::new(store, clock.clone()),
        target: target(&config.target.place).await?,
        prices,
        clock,
        ids: Ids::from_seed(rand::random()),
        compute: Compute::new(config.forecast.threads, COMPUTE_QUEUE)?,
        metrics: Arc::new(Metrics::default()),
    };
    Ok((Arc::new(Engine::new(parts, engine_settings(config))), closing))
}

/// What quotas cost by a config.
///
/// # Errors
/// Where its book can't be used, or an amount of the config can't be compared.
pub(super) fn prices(config: &Config, now: Timestamp) -> anyhow::Result<Option<Prices>> {
    let prices = config.costs.as_ref().map(|costs| prices_of(costs, now)).transpose()?;
    if let Some((prices, limit)) = prices.as_ref().zip(config.approval.two_people.monthly_cost) {
        let compared = prices.convert(limit, now);
        compared.context("failed to use approval.two_person_monthly_cost")?;
    }
    Ok(prices)
}

pub(super) async fn target(place: &TargetPlace) -> anyhow::Result<Arc<dyn QuotaTarget>> {
    Ok(match place {
        TargetPlace::Registry => Arc::new(RegistryTarget),
        TargetPlace::File { folder, as_json } => {
            let format = if *as_json { FileFormat::Json } else { FileFormat::Yaml };
            let target = FileTarget::new(folder, format);
            Arc::new(target.with_context(|| format!("failed to use the folder {}", folder.display()))?)
        }
        TargetPlace::Http { url, secret, time_limit, read_back } => {
            let (url, secret) = (url.clone(), secret.clone());
            let (time_limit, read_back) = (*time_limit, *read_back);
            Arc::new(CallbackTarget::new(CallbackSettings { url, secret, time_limit, read_back })?)
        }
        TargetPlace::Kubernetes { cluster, time_limit } => {
            let cluster = cluster.clone();
            let settings = KubernetesSettings {
                kubeconfig: cluster.kubeconfig,
                context: cluster.context,
                namespace: cluster.namespace,
                names: cluster.names,
                below_usage: cluster.below_usage,
                time_limit: *time_limit,
            };
            Arc::new(KubernetesTarget::new(settings).await?)
        }
    })
}

/// Where what is known of each series rests: beside the state.
fn shelf(config: &Config) -> anyhow::Result<Arc<dyn Shelf>> {
    Ok(match config.store.kind {
        StoreKind::Memory => Arc::new(MemoryShelf::default()),
        _ => Arc::new(FileShelf::create(&config.store.path)?),
    })
}

/// What a config keeps the state in; `None` for memory.
pub fn disk_kind(config: &Config) -> Option<DiskKind> {
    match config.store.kind {
        StoreKind::Sled => Some(DiskKind::Sled),
        StoreKind::Redb => Some(DiskKind::Redb),
        StoreKind::Memory => None,
    }
}

/// How a config sets the state on disk.
pub fn disk_settings(config: &Config) -> DiskSettings {
    DiskSettings {
        queue_length: config.store.queue_length,
        group_size: config.store.group_size,
        probe_interval: config.store.probe_interval,
        compact_ratio: config.store.compact_ratio,
        cache_bytes: u64::try_from(config.store.cache).unwrap_or(u64::MAX),
        ..DiskSettings::default()
    }
}

/// The state and the history, and how they are closed.
///
/// # Errors
/// Where they are in use, broken, or can't be written to.
pub(super) async fn open_stores(
    config: &Config,
) -> anyhow::Result<(Arc<dyn Store>, Arc<dyn History>, Closing)> {
    let Some(kind) = disk_kind(config) else {
        return Ok((Arc::new(MemoryStore::default()), Arc::new(NoHistory), Closing(None)));
    };
    let (state, samples) = (config.store.state_path(), config.store.history_path());
    let settings = disk_settings(config);
    let opened = tokio::task::spawn_blocking(move || {
        let store = DiskStore::open(&state, kind, settings)?;
        let history = ParquetHistory::open(&samples)?;
        anyhow::Ok((store, history))
    });
    let (store, history) = opened.await?.context("failed to open the store")?;
    let (store, history) = (Arc::new(store), Arc::new(history));
    let keeper = DiskKeeper::new(Arc::clone(&store), Arc::clone(&history));
    Ok((store, history, Closing(Some(keeper))))
}

/// The Prometheus that a config names.
///
/// # Errors
/// Where a client can't be built from it.
pub fn prometheus_source(config: &Config) -> anyhow::Result<PrometheusSource> {
    let mut settings = PrometheusSettings::from_config(&config.prometheus, &config.resources);
    settings.availability = config.sla.availability.clone();
    settings.latency = config.sla.latency.clone();
    settings.meters = config.metering.expressions.clone();
    // Else all daemons would wait alike, and come back together.
    settings.retry.jitter_seed = rand::random();
    PrometheusSource::new(settings).context("failed to set up the client for Prometheus")
}

/// How a config sets the API.
pub fn api_settings(config: &Config) -> ApiSettings {
    ApiSettings {
        max_body: config.server.max_body,
        request_time_out: config.server.request_time_out,
        max_page: config.server.max_page,
        max_points: config.server.max_points,
        max_waiting: config.server.max_waiting,
        longest_wait: config.server.longest_wait,
        access: access_settings(config),
        templates: TemplateLimits { most: config.templates.max_templates, depth: config.templates.max_depth },
        reports: report_settings(config),
        deploy_quiet: config.incidents.deploy_quiet,
        longest_quiet: config.incidents.longest_quiet,
        ..ApiSettings::default()
    }
}

/// How a config has reports made.
pub fn report_settings(config: &Config) -> ReportSettings {
    let config::Reports { max_rows, period, keep, max_tenants, check_every, schedules } =
        config.reports.clone();
    ReportSettings { max_rows, period, keep, max_tenants, check_every, schedules, is_simulated: false }
}

fn access_settings(config: &Config) -> AccessSettings {
    let access = &config.access;
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    AccessSettings {
        new_tokens_per_minute: number(access.new_tokens_per_minute),
        requests_per_second: number(access.requests_per_second),
        trusted_proxies: access.trusted_proxies.clone(),
        token_life: access.token_life,
        longest_token_life: access.longest_token_life,
        sessions: SessionSettings {
            life: access.session_life,
            idle: access.session_idle,
            most: access.max_sessions,
        },
        answers: AnswerLimits {
            life: access.idempotency_life,
            most: access.max_idempotency_keys,
            bytes: access.max_idempotency_bytes,
        },
    }
}

/// How a config sets the engine.
pub fn engine_settings(config: &Config) -> Settings {
    Settings {
        every: config.cycle.every,
        reconcile: ReconcileSettings {
            every: config.target.reconcile_every,
            repair: config.target.repair,
            at_once: config.target.max_at_once,
        },
        reports: report_settings(config),
        backfill: config.prometheus.backfill,
        slice: config.prometheus.slice,
        settle: config.prometheus.settle,
        window: config.history.window,
        keep: config.history.keep,
        // What the models see is never thinned out.
        keep_full: config.history.keep_full.max(config.history.window),
        keep_changes: config.history.keep_changes,
        horizon: config.forecast.horizon,
        time_zone: config.forecast.time_zone,
        refit_every: config.forecast.refit_every,
        trial: config.forecast.trial,
        detector: detector_settings(config, config.prometheus.step),
        incidents: incident_settings(config),
        rightsizing: rightsize::Settings {
            peak_quantile: config.rightsizing.peak_quantile,
            margin: config.rightsizing.margin,
            dead_band: config.rightsizing.dead_band,
            least_history: config.rightsizing.least_history,
            pinned_step: config.rightsizing.pinned_step,
            rest: config.rightsizing.rest,
            cadence: config.rightsizing.cadence,
            changes_per_day: config.rightsizing.changes_per_day,
            season: config.rightsizing.season,
            budgets: rightsize::Budgets {
                shares: config.rightsizing.budgets,
                unserved: config.rightsizing.unserved.clone(),
            },
        },
        expire_after: config.rightsizing.expire_after,
        stale_after: config.rightsizing.stale_after,
        reconsider_after: config.rightsizing.reconsider_after,
        guardrails: config.guardrails.clone(),
        approval: config.approval.clone(),
        rollouts: config.rollouts.clone(),
        sla: config.sla.settings.clone(),
        metering_every: config.metering.every,
        discover: config.tenants.discover,
        provider: config.tenants.provider.clone(),
        region: config.tenants.region.clone(),
        max_tenants: config.tenants.max_tenants,
    }
}

fn incident_settings(config: &Config) -> incidents::Settings {
    let (anomaly, set) = (&config.anomaly, &config.incidents);
    incidents::Settings {
        open_after: anomaly.open_after,
        open_distance: anomaly.open_distance,
        close_after: anomaly.close_after,
        close_distance: anomaly.close_distance,
        ignore_drops: anomaly.ignore_drops.clone(),
        ignore_rises: anomaly.ignore_rises.clone(),
        longest_hold: anomaly.longest_hold,
        least_open: set.least_open,
        join_within: set.join_within,
        worse_by: set.worse_by,
        alerts_per_day: set.alerts_per_day,
        no_data_after: set.findings.no_data_after,
        no_data_forget: set.findings.no_data_forget,
        pinned_for: set.findings.pinned_for,
        breach_quantile: set.findings.breach_quantile,
        breach_within: set.findings.breach_within,
        critical_within: set.findings.critical_within,
        spend_change: set.findings.spend_change,
    }
}

fn detector_settings(config: &Config, step: Step) -> anomaly::Settings {
    anomaly::Settings {
        warm_up: step.count_in(config.anomaly.warm_up),
        threshold: config.anomaly.threshold,
        least_effect: config.anomaly.least_effect,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_configs_defaults_are_those_of_the_parts() {
        let text =
            "[prometheus]\nurl = \"http://127.0.0.1:9090\"\n[resources.cpu_cores]\nexpression = \"up\"\n";
        let config = Config::from_text(text, Path::new("plimsoll.toml"), &|_| None).unwrap();
        assert_eq!(format!("{:?}", engine_settings(&config)), format!("{:?}", Settings::default()));
        assert_eq!(format!("{:?}", api_settings(&config)), format!("{:?}", ApiSettings::default()));
    }
}
