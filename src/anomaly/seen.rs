//! The values that a series has shown, for the question how new a value is.
//!
//! Novelty is the distance to the nearest value seen before, as a share of the
//! range so far. It needs no shape of distribution, knows several modes and
//! fills itself in: what has happened often is never news. Values closer
//! together than a small part of the range stand for one another, so that the
//! memory stays small whatever the series does; a value that was not seen
//! again for [`WINDOW`] samples is forgotten.

use serde::{Deserialize, Serialize};

use crate::series::dense;

/// Samples after which a value that was not seen again is forgotten.
pub(super) const WINDOW: u32 = 4000;
/// Samples after which an end of the range that was not reached again is given
/// up.
const RANGE_WINDOW: u32 = 4 * WINDOW;
/// Values closer than this share of the range stand for one another.
const GRAIN: f64 = 1.0 / 1024.0;
/// The least range, as a share of the value itself: a series that was flat
/// until now has no range to measure by.
const LEAST_RANGE: f64 = 0.02;

/// More than so many ranges away is not told apart, and one sample widens the
/// range by no more: a single wrong one, as of a counter that wrapped, would
/// else make all that follows look small.
const MOST: f64 = 10.0;

/// So many values at the most can be taken back.
const FRESH: usize = 24;

/// A sorted set of values with the sample that last showed each.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Seen {
    #[serde(with = "dense")]
    values: Vec<f64>,
    #[serde(with = "dense")]
    last: Vec<u32>,
    capacity: usize,
    now: u32,
    low: Extreme,
    high: Extreme,
    /// Values that came in since [`Seen::trust`], the first [`FRESH`] of them.
    fresh: Vec<f64>,
}

/// An end of the range, and the sample that last showed it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Extreme {
    value: f64,
    last: u32,
}

/// How new a value is, on two scales.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Novelty {
    /// On the value's own scale.
    pub plain: f64,
    /// On the scale of square roots, where a burst weighs less and a small
    /// value more (the scale that evens out the noise of counts).
    pub root: f64,
}

impl Seen {
    /// An empty set that holds at most `capacity` values.
    pub fn new(capacity: usize) -> Self {
        Seen {
            values: Vec::new(),
            last: Vec::new(),
            capacity,
            now: 0,
            low: Extreme { value: f64::INFINITY, last: 0 },
            high: Extreme { value: f64::NEG_INFINITY, last: 0 },
            fresh: Vec::new(),
        }
    }

    /// The bytes on the heap.
    pub fn heap_bytes(&self) -> usize {
        (self.values.capacity() + self.fresh.capacity()) * size_of::<f64>()
            + self.last.capacity() * size_of::<u32>()
    }

    /// The range so far; zero before the first value.
    fn range(&self) -> f64 {
        (self.high.value - self.low.value).max(0.0)
    }

    /// The same of the values' roots.
    fn root_range(&self) -> f64 {
        (signed_root(self.high.value) - signed_root(self.low.value)).max(0.0)
    }

    /// How new `value` is; then it is remembered. `value` must be finite.
    pub fn novelty(&mut self, value: f64) -> Novelty {
        let place = self.drop_stale_around(value);
        let below = place.checked_sub(1).map(|index| self.values[index]);
        let above = self.values.get(place).copied();
        let novelty = self.measure(value, below, above);
        self.remember(value, place);
        novelty
    }

    /// How new `value` is, without remembering it. `value` must be finite.
    pub fn glance(&self, value: f64) -> Novelty {
        let place = self.values.partition_point(|known| *known < value);
        let below = (0..place).rev().find(|index| !self.is_stale(*index)).map(|index| self.values[index]);
        let above = (place..self.values.len()).find(|index| !self.is_stale(*index));
        self.measure(value, below, above.map(|index| self.values[index]))
    }

    /// What came until now belongs to the series.
    pub fn trust(&mut self) {
        self.fresh.clear();
    }

    /// What came since the last [`Seen::trust`] does not: it is forgotten, but
    /// for what stood before and came again, and for the range.
    pub fn distrust(&mut self) {
        for value in std::mem::take(&mut self.fresh) {
            if let Some(index) = self.values.iter().position(|known| *known == value) {
                self.remove(index);
            }
        }
    }

    fn measure(&self, value: f64, below: Option<f64>, above: Option<f64>) -> Novelty {
        let (plain, root) = distances(value, below, above);
        if plain == 0.0 || !plain.is_finite() {
            return Novelty::default();
        }
        // With few values seen, everything is far from them.
        let known = f64::from(self.now.min(WINDOW)) / f64::from(WINDOW);
        let young = if known < 1.0 { known.powf(0.125) } else { 1.0 };
        let range = self.range().max(LEAST_RANGE * value.abs()).max(f64::MIN_POSITIVE);
        let root_range = self.root_range().max(LEAST_RANGE * signed_root(value).abs());
        Novelty {
            plain: young * (plain / range).min(MOST),
            root: young * (root / root_range.max(f64::MIN_POSITIVE)).min(MOST),
        }
    }

    /// Where `value` belongs, once the neighbours that are long gone are out.
    fn drop_stale_around(&mut self, value: f64) -> usize {
        let mut place = self.values.partition_point(|known| *known < value);
        while place < self.values.len() && self.is_stale(place) {
            self.remove(place);
        }
        while place > 0 && self.is_stale(place - 1) {
            place -= 1;
            self.remove(place);
        }
        place
    }

    fn is_stale(&self, index: usize) -> bool {
        self.now - self.last[index] > WINDOW
    }

    fn remove(&mut self, index: usize) {
        self.values.remove(index);
        self.last.remove(index);
    }

    fn remember(&mut self, value: f64, place: usize) {
        self.now = self.now.saturating_add(1);
        self.widen(value);
        let grains = self.grains(1.0);
        for index in [place.wrapping_sub(1), place] {
            if self.values.get(index).is_some_and(|known| grains.hold(*known, value)) {
                self.last[index] = self.now;
                return;
            }
        }
        self.make_room();
        if self.fresh.len() < FRESH {
            if self.fresh.capacity() == 0 {
                self.fresh.reserve_exact(FRESH);
            }
            self.fresh.push(value);
        }
        self.values.insert(place, value);
        self.last.insert(place, self.now);
        if self.values.len() == self.capacity {
            self.thin_out();
        }
    }

    /// Doubles the places up to the capacity, so that a quiet series stays small
    /// and a wild one takes no more than it may.
    fn make_room(&mut self) {
        let length = self.values.len();
        if length == self.values.capacity() {
            let more = length.max(32).min(self.capacity - length);
            self.values.reserve_exact(more);
            self.last.reserve_exact(more);
        }
    }

    /// The range outlives the values, so that one quiet season does not make
    /// the next one news; an end that was not reached for long is given up.
    fn widen(&mut self, value: f64) {
        let (now, low, high) = (self.now, self.low, self.high);
        let end = |value| Extreme { value: within_reach(value, low.value, high.value), last: now };
        if value <= low.value || now - low.last > RANGE_WINDOW {
            self.low = end(self.values.first().map_or(value, |known| known.min(value)));
        }
        if value >= high.value || now - high.last > RANGE_WINDOW {
            self.high = end(self.values.last().map_or(value, |known| known.max(value)));
        }
    }

    fn grains(&self, width: f64) -> Grains {
        Grains { plain: width * GRAIN * self.range(), root: width * GRAIN * self.root_range() }
    }

    /// Forgets what is long gone, and joins close neighbours until a quarter
    /// of the places is free.
    fn thin_out(&mut self) {
        let mut width = 1.0;
        while self.values.len() > self.capacity / 4 * 3 {
            let grains = self.grains(width);
            let mut kept: usize = 0;
            for index in 0..self.values.len() {
                let (value, last) = (self.values[index], self.last[index]);
                if self.now - last > WINDOW {
                    continue;
                }
                match kept.checked_sub(1) {
                    Some(before) if grains.hold(self.values[before], value) => {
                        self.last[before] = self.last[before].max(last);
                    }
                    _ => {
                        (self.values[kept], self.last[kept]) = (value, last);
                        kept += 1;
                    }
                }
            }
            self.values.truncate(kept);
            self.last.truncate(kept);
            width *= 1.5;
        }
    }
}

/// How close two values must lie on both scales to stand for one another.
struct Grains {
    plain: f64,
    root: f64,
}

impl Grains {
    fn hold(&self, one: f64, other: f64) -> bool {
        (one - other).abs() <= self.plain && (signed_root(one) - signed_root(other)).abs() <= self.root
    }
}

/// What of `value` counts for a range from `low` to `high`.
pub(super) fn within_reach(value: f64, low: f64, high: f64) -> f64 {
    let reach = MOST * (high - low);
    if reach > 0.0 { value.clamp(low - reach, high + reach) } else { value }
}

/// The square root with the value's sign.
pub(super) fn signed_root(value: f64) -> f64 {
    value.abs().sqrt().copysign(value)
}

fn distances(value: f64, below: Option<f64>, above: Option<f64>) -> (f64, f64) {
    let root = signed_root(value);
    let to = |known: Option<f64>| {
        known.map_or((f64::INFINITY, f64::INFINITY), |known| {
            ((value - known).abs(), (root - signed_root(known)).abs())
        })
    };
    let (below, above) = (to(below), to(above));
    (below.0.min(above.0), below.1.min(above.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_no_news_and_a_gap_between_modes_is() {
        let mut seen = Seen::new(256);
        for index in 0..3000 {
            seen.novelty(if index % 2 == 0 { 10.0 } else { 90.0 } + f64::from(index % 50) / 10.0);
        }
        assert_eq!(seen.novelty(12.0).plain, 0.0);
        let between = seen.novelty(50.0);
        assert!(between.plain > 0.35, "{between:?}");
        assert!(seen.novelty(50.0).plain < 0.001, "the second time is no news");
        assert!(seen.novelty(190.0).plain > 1.0);
    }

    #[test]
    fn it_forgets_after_the_window_and_stays_small() {
        let mut seen = Seen::new(256);
        seen.novelty(0.0);
        seen.novelty(500.0);
        for index in 0..WINDOW + 10 {
            seen.novelty(f64::from(index % 997) / 10.0);
        }
        assert!(seen.novelty(500.0).plain > 0.7, "forgotten, so new again");
        for index in 0..100_000_u32 {
            seen.novelty(f64::from(index.wrapping_mul(2_654_435_761) >> 8).powf(1.3));
        }
        assert!(seen.values.len() < 256);
        assert!(seen.values.is_sorted());
        assert_eq!(seen.heap_bytes(), 256 * 12 + FRESH * 8);
    }

    #[test]
    fn the_joining_of_neighbours_costs_little_precision() {
        let (mut fine, mut all) = (Seen::new(1024), Vec::new());
        let mut x = 0.5_f64;
        for _ in 0..3000 {
            x = 3.999 * x * (1.0 - x);
            let value = x * x * 100.0;
            let exact = all.iter().map(|known: &f64| (known - value).abs()).fold(f64::INFINITY, f64::min);
            let young = (all.len() as f64 / f64::from(WINDOW)).powf(0.25);
            let found = fine.novelty(value).plain;
            if all.len() > 100 {
                assert!((found - young * exact / 100.0).abs() < 0.003, "{found} {exact}");
            }
            all.push(value);
        }
    }
}
