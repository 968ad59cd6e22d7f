//! What is not as it should be: a score for each sample and few events, from
//! that sample and earlier ones alone.
//!
//! Each series has its own detector with a bounded state. How new and how rare
//! a sample is gives the score; a sample is an event where it also lies outside
//! the band that the season suggests. The method, its sources and what it
//! scores on labelled data stand in `docs/anomaly.md`.

mod detector;
mod event;
mod season;
mod seen;
mod signs;
mod tail;

pub use detector::NoveltyDetector;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{Step, Timestamp};

/// A detector carries its state from sample to sample; it never looks ahead.
pub trait Detector: Send {
    /// Judges the next sample; `value` is `NaN` for a gap. `at` is the
    /// sample's time, which gives its place in the day and the week.
    fn judge(&mut self, at: Timestamp, value: f64) -> Judgement;
}

/// What a detector says of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// How unusual the sample is, 0 to 1; for ranking and plots.
    pub score: f64,
    /// Whether it opens an event worth a person's time, or makes it worse.
    pub is_anomaly: bool,
    /// Whether the sample belongs to an event, its own or an earlier one's that
    /// still lasts.
    pub lasts: bool,
    /// What is said of the sample; all but a counter's reset are events.
    pub kind: Option<Kind>,
    /// Whether a series that used to move has stood still for long.
    pub is_flat: bool,
    /// Whether the detector still learns, and so stays silent.
    pub learning: bool,
    /// Whether a shift has held long enough with this sample: its level is
    /// what is expected from now on.
    pub is_new_level: bool,
    /// What was expected, in the series' unit; `NaN` while nothing is.
    pub expected: f64,
    /// The width of the usual band to either side of it, in the series' unit.
    pub band: f64,
}

impl Judgement {
    /// What is said of a sample that is not there.
    pub const NO_DATA: Judgement = Judgement {
        score: 0.0,
        is_anomaly: false,
        lasts: false,
        kind: None,
        is_flat: false,
        learning: false,
        is_new_level: false,
        expected: f64::NAN,
        band: f64::NAN,
    };
}

/// The kinds of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Far above what was expected.
    High,
    /// Far below what was expected.
    Low,
    /// Inside the usual band, but nothing like it was seen before.
    Unseen,
    /// A series that used to move stands still.
    FlatLine,
    /// A counter began again; this is no event.
    CounterReset,
}

/// How the detector is set.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Samples during which it only learns; at least 100 whatever is set, which
    /// a scale takes.
    pub warm_up: usize,
    /// The distance from which on a sample is out of its band, in spreads ...
    pub threshold: f64,
    /// ... and what is added to it, as a share of what was expected.
    pub least_effect: f64,
}

impl Settings {
    /// The defaults for a series of the given step: a day of warm-up.
    pub fn for_step(step: Step) -> Self {
        Settings { warm_up: step.count_in(Duration::from_secs(86_400)), ..Settings::default() }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Settings { warm_up: 288, threshold: 8.0, least_effect: 0.25 }
    }
}
