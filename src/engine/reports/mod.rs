//! Reports: gathers the figures of one from the state and the memory, and makes
//! those that are on schedule.

mod driver;
mod fleet;
mod kept;
mod parts;
mod tenant;

use std::time::Duration;

pub use driver::drive_reports;
pub(super) use kept::enclosure;

use super::{CostError, EngineError};
use crate::domain::{ReportSchedule, TimeRange, Timestamp};
use crate::registry::RegistryError;
use crate::report::ReportError;

/// How reports are made.
#[derive(Debug, Clone)]
pub struct ReportSettings {
    /// The most rows of a list.
    pub max_rows: usize,
    /// The time that a report is on where nobody says.
    pub period: Duration,
    /// How long those that were made on schedule are kept.
    pub keep: Duration,
    /// The most tenants' reports of a schedule.
    pub max_tenants: usize,
    /// How often it is looked whether one is due.
    pub check_every: Duration,
    /// Those that are made again and again.
    pub schedules: Vec<ReportSchedule>,
    /// Whether the usage is made up, which each report then says.
    pub is_simulated: bool,
}

impl Default for ReportSettings {
    fn default() -> Self {
        let days = |n: u64| Duration::from_secs(n * 86_400);
        ReportSettings {
            max_rows: 20,
            period: days(7),
            keep: days(400),
            max_tenants: 1_000,
            check_every: Duration::from_secs(30),
            schedules: Vec::new(),
            is_simulated: false,
        }
    }
}

/// Why there is no report; reads well after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum ReportFailure {
    /// The time to report on has no end after its begin, or lies ahead.
    #[error("report on {} to {}: it must begin before it ends and before now", .0.start, .0.end)]
    Range(TimeRange),
    /// The costs can't be reckoned.
    #[error(transparent)]
    Cost(#[from] CostError),
    /// The state can't be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The report can't be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A kept report is none.
    #[error("read a kept report: {0}")]
    Kept(#[from] serde_json::Error),
}

/// The time that a report is on: up to now where nobody says, and a period long.
fn range_of(
    range: (Option<Timestamp>, Option<Timestamp>),
    now: Timestamp,
    period: Duration,
) -> Result<TimeRange, ReportFailure> {
    let end = range.1.unwrap_or(now).min(now);
    let range = TimeRange { start: range.0.unwrap_or(end.minus(period)), end };
    if range.is_empty() { Err(ReportFailure::Range(range)) } else { Ok(range) }
}
