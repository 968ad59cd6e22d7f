//! Ways to set a limit from the past alone, each small and plain. None of them
//! is trusted: `auto` tries them all with margins on the tenant's own past and
//! takes what would have held the budget at the least limit.

mod histogram;
mod recent;
mod seasonal;
mod smoothed;

pub use histogram::{Histogram, confidence};
pub use recent::{Reaction, SharedQuantile, WindowQuantile};
pub use seasonal::Seasonal;
pub use smoothed::Smoothed;

use super::past::{DAY, Past};

/// A way to set limits. It is told of each hour, and answers for the next ones.
pub trait Policy: Send {
    /// Its name in tables and evidence.
    fn name(&self) -> String;

    /// Learns from the hour that `past` ends with.
    fn observe(&mut self, past: &Past) {
        let _ = past;
    }

    /// The limit for the next `hours`, before any margin; 0 where the past has
    /// nothing to say.
    fn limit(&self, past: &Past, hours: usize) -> f64;
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
}

impl Family {
    /// All families.
    pub const ALL: [Family; 5] =
        [Family::Reaction, Family::Window, Family::Histogram, Family::Smoothed, Family::Seasonal];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Family::Reaction => "reaction",
            Family::Window => "window",
            Family::Histogram => "histogram",
            Family::Smoothed => "smoothed",
            Family::Seasonal => "seasonal",
        }
    }

    /// Its members, the shortest memory first.
    pub fn members(self) -> Vec<Box<dyn Policy>> {
        match self {
            Family::Reaction => {
                let hours = [1, 2, 3, 6, 12, DAY, 3 * DAY, 7 * DAY, 14 * DAY].map(Reaction::hours);
                std::iter::once(Reaction::HALF_HOUR).chain(hours).map(boxed).collect()
            }
            Family::Window => [1, 3, 7, 14]
                .into_iter()
                .flat_map(|days| SharedQuantile::of_window(days * DAY))
                .map(boxed)
                .collect(),
            Family::Histogram => [
                Histogram::autopilot(0.99),
                Histogram::autopilot(0.999),
                Histogram::vpa(0.9),
                Histogram::vpa(0.95),
                Histogram::vpa(0.99),
            ]
            .map(boxed)
            .into(),
            Family::Smoothed => [3.0, 12.0, 48.0]
                .into_iter()
                .flat_map(|half_life| [0.0, 1.5].map(|deviations| Smoothed::new(half_life, deviations)))
                .map(boxed)
                .collect(),
            Family::Seasonal => seasonal::family().into_iter().map(boxed).collect(),
        }
    }
}

fn boxed(policy: impl Policy + 'static) -> Box<dyn Policy> {
    Box::new(policy)
}
