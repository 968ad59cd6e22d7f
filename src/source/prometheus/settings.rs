//! How a Prometheus is asked, and how gently.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use crate::config::{self, Credentials};
use crate::domain::{Meter, Resource, Step};

/// How a Prometheus is asked, and how gently.
#[derive(Debug, Clone)]
pub struct PrometheusSettings {
    /// The base URL, http or https; what comes before `/api/v1`.
    pub url: String,
    /// How Plimsoll shows who it is.
    pub credentials: Credentials,
    /// Headers that go with each query: name and value.
    pub headers: Vec<(String, SecretString)>,
    /// Certificates to trust besides the system's, as PEM.
    pub ca_pem: Option<String>,
    /// How long one query may take, answer included.
    pub time_out: Duration,
    /// How long it may take to be connected.
    pub connect_time_out: Duration,
    /// The distance of two samples, in whole seconds.
    pub step: Step,
    /// The label that names the tenant.
    pub tenant_label: String,
    /// The PromQL expression of each resource that can be asked for.
    pub expressions: BTreeMap<Resource, String>,
    /// PromQL of the availability, with the config's sign for the window in it.
    pub availability: Option<String>,
    /// The same of the latency, with a sign for its seconds as well.
    pub latency: Option<String>,
    /// PromQL of what is used up, with the same sign.
    pub meters: BTreeMap<Meter, String>,
    /// The most samples that one query may return.
    pub max_samples_per_query: usize,
    /// The most bytes that one answer may have.
    pub max_answer_bytes: usize,
    /// The most queries at once, all resources together.
    pub max_queries_at_once: usize,
    /// The most queries a second, all resources together.
    pub max_queries_per_second: usize,
    /// An answer that took longer says that the server is strained.
    pub slow_after: Duration,
    /// The most series of one resource.
    pub max_series: usize,
    /// The most series that are named as refused in one answer.
    pub max_refused_named: usize,
    /// What follows a query that failed.
    pub retry: Retry,
}

/// What follows a query that failed.
#[derive(Debug, Clone)]
pub struct Retry {
    /// How often it is tried again.
    pub retries: usize,
    /// The wait before the first retry; it doubles each time.
    pub first_wait: Duration,
    /// The longest wait before a retry. A server that asks for a longer one is
    /// not asked again.
    pub longest_wait: Duration,
    /// How often a query that asked for too much, or took too long, is halved
    /// before it is asked of fewer tenants.
    pub max_halvings: u32,
    /// The seed of the random part of each wait, so that many daemons do not
    /// come back at once.
    pub jitter_seed: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Retry {
            retries: 4,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(30),
            max_halvings: 11,
            jitter_seed: 0,
        }
    }
}

impl PrometheusSettings {
    /// The defaults for a Prometheus at `url` that is asked `expressions`.
    pub fn new(url: impl Into<String>, expressions: BTreeMap<Resource, String>) -> Self {
        PrometheusSettings {
            url: url.into(),
            credentials: Credentials::None,
            headers: Vec::new(),
            ca_pem: None,
            time_out: Duration::from_secs(30),
            connect_time_out: Duration::from_secs(5),
            step: Step::FIVE_MINUTES,
            tenant_label: "tenant".to_owned(),
            expressions,
            availability: None,
            latency: None,
            meters: BTreeMap::new(),
            max_samples_per_query: 500_000,
            max_answer_bytes: 256 * 1024 * 1024,
            max_queries_at_once: 2,
            max_queries_per_second: 20,
            slow_after: Duration::from_secs(10),
            max_series: 20_000,
            max_refused_named: 20,
            retry: Retry::default(),
        }
    }

    /// What a config says; what it does not name stays at its default.
    pub fn from_config(prometheus: &config::Prometheus, expressions: &config::Expressions) -> Self {
        let defaults = PrometheusSettings::new(prometheus.url.clone(), expressions.clone());
        PrometheusSettings {
            credentials: prometheus.credentials.clone(),
            headers: prometheus.headers.clone(),
            ca_pem: prometheus.ca_pem.clone(),
            time_out: prometheus.time_out,
            connect_time_out: defaults.connect_time_out.min(prometheus.time_out),
            step: prometheus.step,
            tenant_label: prometheus.tenant_label.clone(),
            max_samples_per_query: prometheus.limits.max_samples_per_query,
            max_queries_at_once: prometheus.limits.max_queries_at_once,
            max_queries_per_second: prometheus.limits.max_queries_per_second,
            slow_after: prometheus.limits.slow_after,
            max_series: prometheus.limits.max_series,
            max_answer_bytes: prometheus.limits.max_answer,
            max_refused_named: prometheus.limits.max_refused_named,
            retry: Retry {
                retries: prometheus.retry.retries,
                first_wait: prometheus.retry.first_wait,
                longest_wait: prometheus.retry.longest_wait,
                max_halvings: u32::try_from(prometheus.limits.max_halvings).unwrap_or(u32::MAX),
                ..defaults.retry
            },
            ..defaults
        }
    }

    /// The first setting that can't work, as text after "use".
    pub(super) fn problem(&self) -> Option<String> {
        if self.step.millis() % 1000 != 0 {
            return Some(format!("a step of {} ms; queries are asked in whole seconds", self.step.millis()));
        }
        if self.max_series == 0 || self.max_queries_at_once == 0 || self.max_queries_per_second == 0 {
            let zero = "0 as max_series, max_queries_at_once or max_queries_per_second; allow at least 1";
            return Some(zero.to_owned());
        }
        (self.max_series > self.max_samples_per_query).then(|| {
            format!(
                "max_series = {} with max_samples_per_query = {}; one sample a series must fit",
                self.max_series, self.max_samples_per_query
            )
        })
    }
}
