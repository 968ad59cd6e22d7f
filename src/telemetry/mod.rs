//! How Plimsoll watches itself: log lines and metrics.

mod logs;
mod metrics;

pub use logs::{LogError, LogFormat, start as start_logs};
pub use metrics::Metrics;
