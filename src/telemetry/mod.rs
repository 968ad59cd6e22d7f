//! How Plimsoll watches itself: log lines, errors in them, and metrics.

mod causes;
mod logs;
mod metrics;

pub use causes::causes;
pub use logs::{LogError, LogFormat, start as start_logs};
pub use metrics::Metrics;
