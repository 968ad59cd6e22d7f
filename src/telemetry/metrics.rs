//! Plimsoll's own metrics, in the form that Prometheus scrapes.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::text::{encode, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::polls::Polls;
use super::process::Process;

type Labels = Vec<(&'static str, String)>;
type Histograms = Family<Labels, Histogram, fn() -> Histogram>;
type FloatGauge = Gauge<f64, AtomicU64>;

/// All metrics; cheap to share behind an `Arc`.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// What is not Plimsoll's alone has no prefix.
    process: Registry,
    steps: Histograms,
    cycles: Counter,
    last_cycle: FloatGauge,
    source_failures: Family<Labels, Counter>,
    source_refusals: Family<Labels, Counter>,
    clock_ahead: FloatGauge,
    samples: Family<Labels, Counter>,
    series: Family<Labels, Gauge>,
    unknown_tenants: Gauge,
    drifted: Gauge,
    paused: Gauge,
    outcomes: Family<Labels, Gauge>,
    open_incidents: Gauge,
    open_rollouts: Family<Labels, Gauge>,
    forecast_loss: Family<Labels, FloatGauge>,
    forecast_cover: Family<Labels, FloatGauge>,
    model_version: Family<Labels, Gauge>,
    incidents: Family<Labels, Counter>,
    alerts: Family<Labels, Counter>,
    feedback: Family<Labels, Counter>,
    quota_changes: Family<Labels, Counter>,
    requests: Family<Labels, Counter>,
    idempotency_keys: Family<Labels, Counter>,
    request_durations: Histograms,
    connections: Gauge,
    connections_refused: Counter,
    store_bytes: Gauge,
    history_failing: Gauge,
    outbox_waiting: Gauge,
    outbox_oldest: FloatGauge,
    deliveries: Family<Labels, Counter>,
    compute_running: Gauge,
    compute_waiting: Gauge,
    store_waiting: Gauge,
    newest_samples: Family<Labels, FloatGauge>,
    stale_series: Family<Labels, Gauge>,
    polls: Polls,
    config_successful: Gauge,
    config_success_at: FloatGauge,
    odd_samples: Family<Labels, Counter>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("plimsoll");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version that runs", build);
        let metrics = Metrics {
            steps: Histograms::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 4.0, 10))),
            cycles: Counter::default(),
            last_cycle: FloatGauge::default(),
            source_failures: Family::default(),
            source_refusals: Family::default(),
            clock_ahead: FloatGauge::default(),
            samples: Family::default(),
            series: Family::default(),
            unknown_tenants: Gauge::default(),
            drifted: Gauge::default(),
            paused: Gauge::default(),
            outcomes: Family::default(),
            open_incidents: Gauge::default(),
            open_rollouts: Family::default(),
            forecast_loss: Family::default(),
            forecast_cover: Family::default(),
            model_version: Family::default(),
            incidents: Family::default(),
            alerts: Family::default(),
            feedback: Family::default(),
            quota_changes: Family::default(),
            requests: Family::default(),
            idempotency_keys: Family::default(),
            request_durations: Histograms::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.0001, 4.0, 10))
            }),
            connections: Gauge::default(),
            connections_refused: Counter::default(),
            store_bytes: Gauge::default(),
            history_failing: Gauge::default(),
            outbox_waiting: Gauge::default(),
            outbox_oldest: FloatGauge::default(),
            deliveries: Family::default(),
            compute_running: Gauge::default(),
            compute_waiting: Gauge::default(),
            store_waiting: Gauge::default(),
            newest_samples: Family::default(),
            stale_series: Family::default(),
            polls: Polls::default(),
            config_successful: Gauge::default(),
            config_success_at: FloatGauge::default(),
            odd_samples: Family::default(),
            registry: Registry::default(),
            process: Registry::default(),
        };
        metrics.register_cycles(&mut registry);
        metrics.register_usage(&mut registry);
        metrics.register_incidents(&mut registry);
        metrics.register_forecasts(&mut registry);
        metrics.register_requests(&mut registry);
        registry.register_with_unit(
            "store_size",
            "Size of the state on disk",
            Unit::Bytes,
            metrics.store_bytes.clone(),
        );
        metrics.register_outbox(&mut registry);
        metrics.register_config(&mut registry);
        metrics.register_queues(&mut registry);
        metrics.polls.register(&mut registry);
        let mut process = Registry::default();
        process.register_collector(Box::new(Process));
        Metrics { registry, process, ..metrics }
    }
}

impl Metrics {
    fn register_cycles(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "step_duration",
            "Time that a step of a cycle took",
            Unit::Seconds,
            self.steps.clone(),
        );
        registry.register("cycles", "Cycles that ran", self.cycles.clone());
        registry.register_with_unit(
            "last_cycle_timestamp",
            "When the last cycle ended, in seconds since 1970",
            Unit::Seconds,
            self.last_cycle.clone(),
        );
    }

    fn register_requests(&self, registry: &mut Registry) {
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register(
            "idempotency_keys",
            "Writes with an Idempotency-Key by what was known of it",
            self.idempotency_keys.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "Time to answer a request",
            Unit::Seconds,
            self.request_durations.clone(),
        );
        registry.register(
            "http_connections",
            "Open connections to the API when the last one came",
            self.connections.clone(),
        );
        registry.register(
            "http_connections_refused",
            "Connections that found every place taken and busy",
            self.connections_refused.clone(),
        );
    }

    fn register_usage(&self, registry: &mut Registry) {
        registry.register("source_failures", "Fetches of usage that failed", self.source_failures.clone());
        registry.register(
            "source_refusals",
            "Reasons for which series were left out of the source's answers",
            self.source_refusals.clone(),
        );
        registry.register_with_unit(
            "source_clock_ahead",
            "How far the clock of the source of usage is ahead of the daemon's",
            Unit::Seconds,
            self.clock_ahead.clone(),
        );
        registry.register(
            "history_failing",
            "Whether something of the history of usage can't be written or read",
            self.history_failing.clone(),
        );
        registry.register("samples_collected", "Usage samples collected", self.samples.clone());
        registry.register("series", "Usage series held", self.series.clone());
        registry.register_with_unit(
            "newest_sample_timestamp",
            "When the newest sample held was taken, in seconds since 1970",
            Unit::Seconds,
            self.newest_samples.clone(),
        );
        registry.register(
            "stale_series",
            "Usage series whose last sample is older than rightsizing.stale_after",
            self.stale_series.clone(),
        );
        registry.register(
            "unknown_tenants",
            "Tenants in the usage that nobody registered",
            self.unknown_tenants.clone(),
        );
        registry.register(
            "drifted_quotas",
            "Quotas that the target enforced as others than the registry's when last compared",
            self.drifted.clone(),
        );
        registry.register("changes_paused", "Whether all changes of quotas are stopped", self.paused.clone());
        registry.register("assessments", "Quotas by what the last cycle said of them", self.outcomes.clone());
        registry.register(
            "quota_changes",
            "Quota changes by who asked and what became of them",
            self.quota_changes.clone(),
        );
        registry.register(
            "source_odd_samples",
            "Samples of the source's answers that were not finite (left out) or out of order (put in order)",
            self.odd_samples.clone(),
        );
    }

    fn register_forecasts(&self, registry: &mut Registry) {
        registry.register(
            "forecast_quantile_loss",
            "Pinball loss of the live forecasts, as a share of what came",
            self.forecast_loss.clone(),
        );
        registry.register(
            "forecast_cover",
            "Share of values inside the live forecasts' interval from 10 to 90 %",
            self.forecast_cover.clone(),
        );
        registry.register(
            "forecast_model_version",
            "The version of the models whose forecasts are used",
            self.model_version.clone(),
        );
    }

    fn register_outbox(&self, registry: &mut Registry) {
        registry.register("outbox_waiting", "Notices on their way to receivers", self.outbox_waiting.clone());
        registry.register_with_unit(
            "outbox_oldest_age",
            "Age of the oldest notice that is on its way",
            Unit::Seconds,
            self.outbox_oldest.clone(),
        );
        registry.register(
            "deliveries",
            "Attempts to deliver a notice, by the receiver's kind and what came of them",
            self.deliveries.clone(),
        );
    }

    fn register_queues(&self, registry: &mut Registry) {
        registry.register("compute_running", "Heavy works that run", self.compute_running.clone());
        registry.register(
            "compute_waiting",
            "Heavy works that wait for a place to run",
            self.compute_waiting.clone(),
        );
        registry.register("store_waiting", "Writes that wait to be made durable", self.store_waiting.clone());
    }

    fn register_config(&self, registry: &mut Registry) {
        registry.register(
            "config_last_reload_successful",
            "Whether the config was taken when it was read last",
            self.config_successful.clone(),
        );
        registry.register_with_unit(
            "config_last_reload_success_timestamp",
            "When a config was taken last, in seconds since 1970",
            Unit::Seconds,
            self.config_success_at.clone(),
        );
    }

    fn register_incidents(&self, registry: &mut Registry) {
        registry.register(
            "open_rollouts",
            "Rollouts that are not over, by state",
            self.open_rollouts.clone(),
        );
        registry.register("open_incidents", "Incidents that are open", self.open_incidents.clone());
        registry.register("incidents", "Changes of incidents by what became of them", self.incidents.clone());
        registry.register(
            "incident_alerts",
            "Changes of incidents worth an alert, by whether one was sent",
            self.alerts.clone(),
        );
        registry.register(
            "incident_feedback",
            "What people said of incidents, by whether they were ones; a word that is changed counts again",
            self.feedback.clone(),
        );
    }

    /// An incident opened, got worse or was resolved.
    pub fn incident_changed(&self, change: &'static str, severity: &'static str, was_told: bool) {
        let labels = vec![("change", change.to_owned()), ("severity", severity.to_owned())];
        self.incidents.get_or_create(&labels).inc();
        self.alerts.get_or_create(&vec![("sent", was_told.to_string())]).inc();
    }

    /// A person said whether an incident was one.
    pub fn incident_judged(&self, is_true: bool) {
        self.feedback.get_or_create(&vec![("verdict", is_true.to_string())]).inc();
    }

    /// All metrics as text, in the OpenMetrics form.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a string can't fail.
        let _ = encode_registry(&mut text, &self.process).and_then(|()| encode(&mut text, &self.registry));
        text
    }

    /// A step of a cycle has ended.
    pub fn step_ended(&self, step: &'static str, took: Duration) {
        self.steps.get_or_create(&vec![("step", step.to_owned())]).observe(took.as_secs_f64());
    }

    /// A cycle has ended, at this many seconds since 1970.
    pub fn cycle_ended(&self, at_seconds: f64) {
        self.cycles.inc();
        self.last_cycle.set(at_seconds);
    }

    /// A fetch of usage failed.
    pub fn source_failed(&self, resource: &str) {
        self.source_failures.get_or_create(&vec![("resource", resource.to_owned())]).inc();
    }

    /// So many reasons left series out of an answer. What was asked for stands where
    /// usage has its resource, so that there is one label for all.
    pub fn left_out(&self, asked: &str, reasons: usize) {
        let labels = vec![("resource", asked.to_owned())];
        self.source_refusals.get_or_create(&labels).inc_by(reasons as u64);
    }

    /// The source's clock is ahead of ours by this many seconds.
    pub fn clock_ahead(&self, seconds: f64) {
        self.clock_ahead.set(seconds);
    }

    /// Usage was collected.
    pub fn collected(&self, resource: &str, samples: usize, series_held: usize) {
        let labels = vec![("resource", resource.to_owned())];
        // A rate is known from the first failure on only where there was a 0 before.
        drop(self.source_failures.get_or_create(&labels));
        self.samples.get_or_create(&labels).inc_by(samples as u64);
        self.series.get_or_create(&labels).set(i64::try_from(series_held).unwrap_or(i64::MAX));
    }

    /// How fresh the usage held of a resource is; the time in seconds since 1970.
    pub fn freshness(&self, resource: &str, newest_seconds: Option<f64>, stale: usize) {
        let labels = vec![("resource", resource.to_owned())];
        if let Some(seconds) = newest_seconds {
            self.newest_samples.get_or_create(&labels).set(seconds);
        }
        self.stale_series.get_or_create(&labels).set(i64::try_from(stale).unwrap_or(i64::MAX));
    }

    /// A resource is not measured any more.
    pub fn not_measured(&self, resource: &str) {
        let labels = vec![("resource", resource.to_owned())];
        self.series.remove(&labels);
        self.newest_samples.remove(&labels);
        self.stale_series.remove(&labels);
        self.forecast_loss.remove(&labels);
        self.forecast_cover.remove(&labels);
        self.model_version.remove(&labels);
    }

    /// How much heavy work runs and waits, and how many writes of the store wait.
    pub fn queues(&self, running: usize, waiting: usize, writes: usize) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.compute_running.set(number(running));
        self.compute_waiting.set(number(waiting));
        self.store_waiting.set(number(writes));
    }

    /// How long tasks keep the async threads busy.
    pub fn polls(&self) -> &Polls {
        &self.polls
    }

    /// Quotas differ at the target.
    pub fn drifted(&self, count: usize) {
        self.drifted.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Whether all changes are stopped.
    pub fn paused(&self, is_paused: bool) {
        self.paused.set(i64::from(is_paused));
    }

    /// How many tenants of the usage nobody registered.
    pub fn unknown_tenants(&self, count: usize) {
        self.unknown_tenants.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// How many quotas the last cycle said this of.
    pub fn assessed(&self, outcome: &'static str, count: usize) {
        let labels = vec![("outcome", outcome.to_owned())];
        self.outcomes.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// How many rollouts that are not over stand in a state.
    pub fn open_rollouts(&self, state: &'static str, count: usize) {
        let labels = vec![("state", state.to_owned())];
        self.open_rollouts.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// How many incidents are open.
    pub fn open_incidents(&self, count: usize) {
        self.open_incidents.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// The models of this version forecast a resource, and this is what that has
    /// been worth; nothing is shown of what is not known of them.
    pub fn forecasting(&self, resource: &str, version: u64, loss: Option<f64>, cover: Option<f64>) {
        let labels = vec![("resource", resource.to_owned())];
        self.model_version.get_or_create(&labels).set(i64::try_from(version).unwrap_or(i64::MAX));
        for (family, known) in [(&self.forecast_loss, loss), (&self.forecast_cover, cover)] {
            match known {
                Some(value) => {
                    family.get_or_create(&labels).set(value);
                }
                // The models before may have been scored, and these are not yet.
                None => {
                    family.remove(&labels);
                }
            }
        }
    }

    /// A change of a quota has ended.
    pub fn quota_changed(&self, by: &'static str, outcome: &'static str) {
        let labels = vec![("by", by.to_owned()), ("outcome", outcome.to_owned())];
        self.quota_changes.get_or_create(&labels).inc();
    }

    /// A write came with an Idempotency-Key that is new, repeated, in flight or
    /// another request's.
    pub fn idempotency_key(&self, known: &'static str) {
        self.idempotency_keys.get_or_create(&vec![("known", known.to_owned())]).inc();
    }

    /// A request was answered. `route` is the pattern, never the path, so that
    /// the number of series stays bounded.
    pub fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let route = ("route", route.to_owned());
        let labels = vec![("method", method.to_owned()), route.clone(), ("status", status.to_string())];
        self.requests.get_or_create(&labels).inc();
        self.request_durations.get_or_create(&vec![route]).observe(took.as_secs_f64());
    }

    /// So many connections are open.
    pub fn connections(&self, open: usize) {
        self.connections.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// A connection found no place.
    pub fn connection_refused(&self) {
        self.connections_refused.inc();
    }

    /// How many notices are on their way, and how old the oldest is.
    pub fn outbox(&self, waiting: usize, oldest: Duration) {
        self.outbox_waiting.set(i64::try_from(waiting).unwrap_or(i64::MAX));
        self.outbox_oldest.set(oldest.as_secs_f64());
    }

    /// An attempt to deliver a notice has ended.
    pub fn delivered(&self, kind: &'static str, outcome: &'static str) {
        let labels = vec![("kind", kind.to_owned()), ("outcome", outcome.to_owned())];
        self.deliveries.get_or_create(&labels).inc();
    }

    /// The config was read, and taken or not, at this many seconds since 1970.
    pub fn config_read(&self, is_taken: bool, at_seconds: f64) {
        self.config_successful.set(i64::from(is_taken));
        if is_taken {
            self.config_success_at.set(at_seconds);
        }
    }

    /// Of the usage that a source answered, so many samples were no finite numbers,
    /// and so many came out of order.
    pub fn odd_samples(&self, resource: &str, not_finite: usize, out_of_order: usize) {
        for (oddity, count) in [("not_finite", not_finite), ("out_of_order", out_of_order)] {
            let labels = vec![("resource", resource.to_owned()), ("oddity", oddity.to_owned())];
            self.odd_samples.get_or_create(&labels).inc_by(count as u64);
        }
    }

    /// Whether something of the history can't be written or read.
    pub fn history_failing(&self, is_failing: bool) {
        self.history_failing.set(i64::from(is_failing));
    }

    /// How large the state is on disk.
    pub fn store_bytes(&self, bytes: u64) {
        self.store_bytes.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_shown() {
        let metrics = Metrics::default();
        metrics.collected("cpu_cores", 7, 3);
        metrics.answered("GET", "/v1/tenants", 200, Duration::from_millis(1));
        let text = metrics.render();
        assert!(text.contains("plimsoll_build_info{version="), "{text}");
        assert!(text.contains("plimsoll_samples_collected_total{resource=\"cpu_cores\"} 7"), "{text}");
        assert!(text.contains("plimsoll_http_request_duration_seconds_count"), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
