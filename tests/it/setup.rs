//! Usage and configs that several tests share.

use std::f64::consts::TAU;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::rig::{free_address, openmetrics};

/// A bearer token for tests.
pub const TOKEN: &str = "plim_a-token-for-tests-only";
/// Seconds between two samples.
const STEP: i64 = 300;

/// The address of a Prometheus that is not there.
pub fn nowhere() -> String {
    format!("http://{}", free_address())
}

/// Days of CPU usage of one tenant up to now, with a daily rhythm that peaks
/// at `peak` cores, as the metric `tenant_cpu_cores`.
pub fn daily_usage(tenant: &str, days: i64, peak: f64) -> String {
    daily_usage_until(tenant, days, peak, 0)
}

/// The same up to some hours ago.
pub fn daily_usage_until(tenant: &str, days: i64, peak: f64, hours_ago: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let last = now / STEP * STEP - hours_ago * 3600;
    let samples = (0..days * 86_400 / STEP).rev().map(|age| {
        let at = last - age * STEP;
        let noise = (at / STEP * 7919 % 100) as f64 / 1000.0;
        let of_day = (at % 86_400) as f64 / 86_400.0;
        (at, peak * (0.6 + 0.35 * (TAU * of_day).sin() + noise / 2.0))
    });
    openmetrics([("tenant_cpu_cores", "gauge", vec![(format!("tenant=\"{tenant}\""), samples.collect())])])
}

/// A config over the usage at `prometheus`, with `more` sections behind it.
pub fn config_for(prometheus: &str, more: &str) -> String {
    format!(
        r#"
[server]
listen_address = "{address}"
token = "{TOKEN}"
[store]
path = "data"
[prometheus]
url = "{prometheus}"
settle = "0s"
retries = 1
first_retry_wait = "50ms"
[resources.cpu_cores]
expression = "max by (tenant) (tenant_cpu_cores)"
[cycle]
every = "1s"
[costs]
{more}
"#,
        address = free_address()
    )
}
