//! What is not as it should be: a score for each sample, from that sample and
//! earlier ones alone.

mod residual;

pub use residual::{RobustResidual, Settings};

use crate::domain::Timestamp;

/// A detector carries its state from sample to sample; it never looks ahead.
pub trait Detector: Send {
    /// Judges the next sample; `value` is `NaN` for a gap. `at` is the
    /// sample's time, which gives its place in the day and the week.
    fn judge(&mut self, at: Timestamp, value: f64) -> Judgement;
}

/// What a detector says of one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judgement {
    /// How unusual the sample is, 0 to 1; for ranking and plots.
    pub score: f64,
    /// Whether it is an event worth a person's time.
    pub is_anomaly: bool,
    /// Whether the detector still learns, and so stays silent.
    pub learning: bool,
    /// What was expected, in the series' unit; `NaN` while nothing is.
    pub expected: f64,
    /// The width of the usual band to either side of it, in the series' unit.
    pub band: f64,
}

impl Judgement {
    /// What is said of a sample that is not there.
    pub const NO_DATA: Judgement =
        Judgement { score: 0.0, is_anomaly: false, learning: false, expected: f64::NAN, band: f64::NAN };
}
