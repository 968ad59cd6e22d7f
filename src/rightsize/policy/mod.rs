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

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

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
    pub fn members(self) -> Standing {
        match self {
            Family::Reaction => Standing::Reaction(recent::Reaction),
            Family::Window => Standing::Window(recent::Window),
            Family::Histogram => Standing::Histogram(histogram::Histograms::default()),
            Family::Smoothed => Standing::Smoothed(smoothed::Smoothed::default()),
            Family::Seasonal => Standing::Seasonal(seasonal::Seasonal),
            Family::Forecast => Standing::Forecast(Box::default()),
            Family::Pooled => Standing::Pooled(pooled::Pooled::default()),
        }
    }
}

/// The members of a family that stand for trial on one series, with what they
/// have learnt.
#[derive(Serialize, Deserialize)]
pub enum Standing {
    /// Of [`Family::Reaction`].
    Reaction(recent::Reaction),
    /// Of [`Family::Window`].
    Window(recent::Window),
    /// Of [`Family::Histogram`].
    Histogram(histogram::Histograms),
    /// Of [`Family::Smoothed`].
    Smoothed(smoothed::Smoothed),
    /// Of [`Family::Seasonal`].
    Seasonal(seasonal::Seasonal),
    /// Of [`Family::Forecast`].
    Forecast(Box<forecast::Forecast>),
    /// Of [`Family::Pooled`].
    Pooled(pooled::Pooled),
}

impl Deref for Standing {
    type Target = dyn Members + 'static;

    fn deref(&self) -> &(dyn Members + 'static) {
        match self {
            Standing::Reaction(members) => members,
            Standing::Window(members) => members,
            Standing::Histogram(members) => members,
            Standing::Smoothed(members) => members,
            Standing::Seasonal(members) => members,
            Standing::Forecast(members) => &**members,
            Standing::Pooled(members) => members,
        }
    }
}

impl DerefMut for Standing {
    fn deref_mut(&mut self) -> &mut (dyn Members + 'static) {
        match self {
            Standing::Reaction(members) => members,
            Standing::Window(members) => members,
            Standing::Histogram(members) => members,
            Standing::Smoothed(members) => members,
            Standing::Seasonal(members) => members,
            Standing::Forecast(members) => &mut **members,
            Standing::Pooled(members) => members,
        }
    }
}
