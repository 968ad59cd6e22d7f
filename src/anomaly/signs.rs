//! Signs that the measurement broke rather than the usage: a flat line, and a
//! counter that began again.

use serde::{Deserialize, Serialize};

/// A run of equal values is a flat line from so many samples on ...
const LEAST_RUN: u32 = 36;
/// ... and from so many times the longest run before it.
const LONGER: u32 = 4;
/// Rises, without more than one fall in fifty, that make a counter.
const COUNTER_RISES: u32 = 100;
const RISES_PER_FALL: u32 = 50;
/// A counter that begins again stands below this share of where it was.
const RESET: f64 = 0.1;

/// What a sample shows of its measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// A series that used to move has stood still for long; said once.
    FlatLine,
    /// A counter began again.
    Reset,
}

/// The state of one series' signs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Signs {
    last: Option<f64>,
    run: u32,
    longest: u32,
    rises: u32,
    falls: u32,
}

impl Signs {
    /// Looks at the next finite sample.
    pub fn step(&mut self, value: f64) -> Option<Sign> {
        let last = self.last.replace(value)?;
        if value == last {
            self.run += 1;
            // The run is said as it reaches the length, and not again.
            let length = LEAST_RUN.max(LONGER.saturating_mul(self.longest));
            let moved = self.rises + self.falls >= COUNTER_RISES;
            return (moved && self.run == length).then_some(Sign::FlatLine);
        }
        self.longest = self.longest.max(self.run);
        self.run = 0;
        if value > last {
            self.rises = self.rises.saturating_add(1);
            return None;
        }
        let is_counter = self.rises >= COUNTER_RISES.max(self.falls.saturating_mul(RISES_PER_FALL));
        self.falls = self.falls.saturating_add(1);
        (is_counter && value >= 0.0 && value < RESET * last).then_some(Sign::Reset)
    }

    /// Whether the series stands still for longer than is usual.
    pub fn is_flat(&self) -> bool {
        self.run >= LEAST_RUN.max(LONGER.saturating_mul(self.longest))
            && self.rises + self.falls >= COUNTER_RISES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_line_is_said_once() {
        let mut signs = Signs::default();
        let values = (0..500).map(|i| f64::from(i % 17)).chain(std::iter::repeat_n(3.0, 500));
        let said: Vec<usize> = values.enumerate().filter_map(|(i, v)| signs.step(v).map(|_| i)).collect();
        assert_eq!(said, [500 + LEAST_RUN as usize]);
        assert!(signs.is_flat());
        signs.step(4.0);
        assert!(!signs.is_flat());
    }

    #[test]
    fn a_series_that_often_stands_still_is_no_flat_line() {
        let mut signs = Signs::default();
        assert!((0..20_000).all(|i| signs.step(f64::from(i / 30 % 5)).is_none()));
    }

    #[test]
    fn a_counter_may_begin_again_and_a_gauge_may_not() {
        let mut counter = Signs::default();
        let found: Vec<Option<Sign>> = (0..1000).map(|i| counter.step(f64::from(i % 400) * 7.0)).collect();
        assert_eq!(found.iter().flatten().count(), 2);
        assert_eq!(found[400], Some(Sign::Reset));
        let mut gauge = Signs::default();
        assert!((0..1000).all(|i| gauge.step(f64::from((i % 40 - 20_i32).abs())).is_none()));
    }
}
