//! How Plimsoll watches itself: log lines, errors in them, traces, and metrics.

mod busy;
mod causes;
mod logs;
mod metrics;
mod otlp;
#[cfg(test)]
mod page;
mod polls;
mod process;
mod trace;

pub use causes::causes;
pub use logs::{LogError, LogFormat, set_level as set_log_level, start as start_logs, stop as stop_logs};
pub use metrics::Metrics;
pub use otlp::TraceError;
pub use polls::{LONGEST_POLL, Polls, Timed};
pub use trace::{NoTraceContext, TRACEPARENT, TraceContext, here, link, traced, traceparent, with_trace};
