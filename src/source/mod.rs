//! Where usage comes from: a Prometheus, or frames that were read from a file.
//!
//! Both answer on one grid with gaps left as gaps, so that the rest of the
//! house can't tell them apart.

mod file;
mod prometheus;

pub use file::FileSource;
pub use prometheus::{PrometheusSettings, PrometheusSource, Retry};
