//! Series on the clock on the wall. Who works from eight to six does so by it,
//! and twice a year it jumps an hour against UTC: on it a day is always as many
//! steps long, and last week's nine o'clock is today's.
//!
//! The hour that is skipped in spring is a gap there; of the hour that comes
//! twice in autumn the larger value counts.

use ndarray::Array1;

use crate::domain::{Timestamp, Zone};

/// How far ahead an offset is tried; two changes do not come closer.
const DAY_MILLIS: i64 = 86_400_000;

/// A regular grid of instants beside a clock on the wall.
#[derive(Debug, Clone, Copy)]
pub struct WallClock {
    /// Whose clock.
    pub zone: Zone,
    /// The first instant, in milliseconds since 1970.
    pub first: i64,
    /// The distance of two values in milliseconds, above zero.
    pub step: i64,
}

impl WallClock {
    /// How many steps by the clock the first `count` instants take.
    pub fn steps(&self, count: usize) -> usize {
        end_of(&self.places(count))
    }

    /// The values by the clock; as they are where it never jumps among them.
    pub fn lay(&self, values: &Array1<f64>) -> Array1<f64> {
        let places = self.places(values.len());
        let mut laid = Array1::from_elem(end_of(&places), f64::NAN);
        for (place, value) in places.into_iter().zip(values) {
            if laid[place].is_nan() || *value > laid[place] {
                laid[place] = *value;
            }
        }
        laid
    }

    /// Which of the steps after the end, by the clock, each of the `horizon`
    /// instants after `known` values is. A step that comes a second time is the
    /// first after the end, where it was known already.
    pub fn ahead(&self, known: usize, horizon: usize) -> Vec<usize> {
        let places = self.places(known + horizon);
        let (before, after) = places.split_at(known);
        let end = end_of(before);
        after.iter().map(|place| place.saturating_sub(end)).collect()
    }

    /// The place of each of `count` instants by the clock, from the first on.
    fn places(&self, count: usize) -> Vec<usize> {
        let mut offset = self.offset(self.first);
        let begin = self.first + offset;
        let mut sure_until = self.first;
        let place = |index: usize| {
            let at = self.first.saturating_add(self.step.saturating_mul(index as i64));
            // Looking an offset up is dear: a day that ends with the same one has no jump in it.
            if at >= sure_until {
                offset = self.offset(at);
                let next = at.saturating_add(DAY_MILLIS);
                sure_until = if self.offset(next) == offset { next } else { at };
            }
            usize::try_from((at.saturating_add(offset) - begin).div_euclid(self.step)).unwrap_or(0)
        };
        (0..count).map(place).collect()
    }

    fn offset(&self, at: i64) -> i64 {
        self.zone.ahead_of_utc(Timestamp::from_millis(at))
    }
}

/// The first place after some.
fn end_of(places: &[usize]) -> usize {
    places.iter().max().map_or(0, |last| last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    fn berlin(first: &str) -> WallClock {
        let first: Timestamp = first.parse().unwrap();
        WallClock { zone: "Europe/Berlin".parse().unwrap(), first: first.millis(), step: HOUR }
    }

    fn numbers(count: usize) -> Array1<f64> {
        (0..count).map(|number| number as f64).collect()
    }

    #[test]
    fn the_hour_that_spring_skips_is_a_gap() {
        // The clock goes from 02:00 to 03:00 at 01:00 UTC.
        let clock = berlin("2026-03-28T23:00:00Z");
        let laid = clock.lay(&numbers(5));
        assert_eq!(laid.len(), 6);
        assert!(laid[2].is_nan());
        assert_eq!([laid[0], laid[1], laid[3], laid[5]], [0.0, 1.0, 2.0, 4.0]);
        assert_eq!(clock.ahead(1, 4), [0, 2, 3, 4]);
        assert_eq!(clock.ahead(2, 2), [1, 2], "the hour that is skipped is no step ahead");
    }

    #[test]
    fn the_hour_that_autumn_repeats_is_one() {
        // The clock goes from 03:00 to 02:00 at 01:00 UTC.
        let clock = berlin("2026-10-24T23:00:00Z");
        assert_eq!(clock.lay(&numbers(5)).to_vec(), [0.0, 2.0, 3.0, 4.0]);
        assert_eq!(clock.ahead(2, 3), [0, 0, 1], "it was known already, and the next is forecast");
        let falling: Array1<f64> = [5.0, 4.0, 3.0, f64::NAN].into_iter().collect();
        let laid = clock.lay(&falling);
        assert_eq!((laid[0], laid[1]), (5.0, 4.0), "the larger one");
    }

    #[test]
    fn elsewhere_nothing_is_moved() {
        let values = numbers(24 * 40);
        for (zone, first) in [("UTC", "2026-03-01T00:00:00Z"), ("Asia/Kolkata", "2026-03-01T00:00:00Z")] {
            let clock = WallClock { zone: zone.parse().unwrap(), ..berlin(first) };
            assert_eq!(clock.lay(&values), values, "{zone}");
            assert_eq!(clock.ahead(10, 3), [0, 1, 2]);
        }
        let five = WallClock { step: HOUR / 12, ..berlin("2026-10-25T00:30:00Z") };
        assert_eq!(five.lay(&numbers(40)).len(), 28, "half an hour that came before is its first step");
        assert_eq!(berlin("2026-03-01T00:00:00Z").lay(&Array1::default(0)).len(), 0);
    }
}
