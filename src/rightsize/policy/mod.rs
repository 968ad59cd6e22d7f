//! Ways to set a limit from the past alone, each small and plain. None of them
//! is trusted: `auto` tries them all with margins on the tenant's own past and
//! takes what would have held the budget at the least limit.
//!
//! Members of a family look at the past in the same way, so they answer
//! together and share what they find.

mod forecast;
mod histogram;
mod peers;
mod pooled;
mod recent;
mod seasonal;
mod smoothed;

pub use histogram::{Histogram, confidence};
pub use peers::Peers;
pub use pooled::{Fit, Row, Rows};

use std::sync::Arc;

use super::past::{DAY, Past};

/// The members of a family. They are told of each hour, and answer for the
/// next ones.
pub trait Members: Send + Sync {
    /// Their names in tables and evidence.
    fn names(&self) -> Vec<String>;

    /// Learn from the hour that `past` ends with, for limits that hold for
    /// `hours`.
    fn observe(&mut self, past: &Past, hours: usize) {
        let _ = (past, hours);
    }

    /// From now on go by what all series taught.
    fn heed(&mut self, fit: &Arc<Fit>) {
        let _ = fit;
    }

    /// Add each one's limit for the next `hours` to `limits`, before any
    /// margin; 0 where the past has nothing to say.
    fn limits(&self, past: &Past, hours: usize, limits: &mut Vec<f64>);
}

/// A kind of policy, of which several members stand for trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Peaks of the last hours and days.
    Reaction,
    /// Quantiles of trailing windows.
    Window,
    /// Decaying histograms.
    Histogram,
    /// Smoothed hourly peaks.
    Smoothed,
    /// The same hours of earlier days.
    Seasonal,
    /// A forecast with the quantiles of its misses.
    Forecast,
    /// Quantile regression over all series.
    Pooled,
}

impl Family {
    /// All families.
    pub const ALL: [Family; 7] = [
        Family::Reaction,
        Family::Window,
        Family::Histogram,
        Family::Smoothed,
        Family::Seasonal,
        Family::Forecast,
        Family::Pooled,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Family::Reaction => "reaction",
            Family::Window => "window",
            Family::Histogram => "histogram",
            Family::Smoothed => "smoothed",
            Family::Seasonal => "seasonal",
            Family::Forecast => "forecast",
            Family::Pooled => "pooled",
        }
    }

    /// Its members, those of the shortest memory first.
    pub fn members(self) -> Box<dyn Members> {
        match self {
            Family::Reaction => Box::new(recent::Reaction),
            Family::Window => Box::new(recent::Window),
            Family::Histogram => Box::new(histogram::Histograms::default()),
            Family::Smoothed => Box::new(smoothed::Smoothed::default()),
            Family::Seasonal => Box::new(seasonal::Seasonal),
            Family::Forecast => Box::new(forecast::Forecast::default()),
            Family::Pooled => Box::new(pooled::Pooled::default()),
        }
    }
}
