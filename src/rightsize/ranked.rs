//! The samples of a trailing window in order of size, kept up to date: what an
//! hour adds is merged in, and quantiles of any part of the window are read off
//! from the top.
//!
//! Sorting or selecting two weeks of samples anew each hour was most of what a
//! walk cost. Samples are kept in single precision; what is too old is skipped when
//! read and dropped once a day.

use serde::{Deserialize, Serialize};

use crate::series::dense;

/// Entries that are looked at together when a place is sought.
const BLOCK: usize = 64;
/// Hours that go by before what is too old is dropped.
const SWEEP: u16 = 24;

/// Samples in falling order, each with the hour that it came in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Ranked {
    /// Hours that a sample counts, at most a year or so.
    kept: u16,
    #[serde(with = "dense")]
    values: Vec<f32>,
    /// The hour of each value, counted round: only differences mean something.
    #[serde(with = "dense")]
    stamps: Vec<u16>,
    now: u16,
}

impl Ranked {
    /// For the samples of the last `kept` hours.
    pub fn new(kept: u16) -> Self {
        Ranked { kept, values: Vec::new(), stamps: Vec::new(), now: 0 }
    }

    /// Adds an hour: its samples, sorted upwards.
    pub fn push(&mut self, samples: &[f32]) {
        self.now = self.now.wrapping_add(1);
        if self.now.is_multiple_of(SWEEP) {
            self.sweep();
        }
        let mut end = self.values.len();
        self.values.resize(end + samples.len(), 0.0);
        self.stamps.resize(end + samples.len(), self.now);
        // From the smallest: what lies below each new value moves once.
        for (after, value) in samples.iter().enumerate() {
            let before = samples.len() - 1 - after;
            let place = self.values[..end].partition_point(|known| known >= value);
            self.values.copy_within(place..end, place + before + 1);
            self.stamps.copy_within(place..end, place + before + 1);
            self.values[place + before] = *value;
            self.stamps[place + before] = self.now;
            end = place;
        }
    }

    fn sweep(&mut self) {
        let mut left = 0;
        for index in 0..self.values.len() {
            self.values[left] = self.values[index];
            self.stamps[left] = self.stamps[index];
            left += usize::from(self.now.wrapping_sub(self.stamps[index]) < self.kept);
        }
        self.values.truncate(left);
        self.stamps.truncate(left);
    }

    /// The values that have so many above them (`places`, rising) among the
    /// samples of the last `hours`; 0 where there are not as many.
    pub fn at_places<const N: usize>(&self, hours: u16, places: [usize; N]) -> [f64; N] {
        let mut found = [0.0; N];
        let (mut next, mut above) = (0, 0);
        for (values, stamps) in self.values.chunks(BLOCK).zip(self.stamps.chunks(BLOCK)) {
            let young = |stamp: &u16| u16::from(self.now.wrapping_sub(*stamp) < hours);
            let mut within = 0;
            for stamp in stamps {
                within += young(stamp);
            }
            let within = usize::from(within);
            while let Some(place) = places.get(next).filter(|place| **place < above + within) {
                let mut count = above;
                let at = stamps.iter().position(|stamp| {
                    count += usize::from(young(stamp));
                    count > *place
                });
                found[next] = at.map_or(0.0, |at| f64::from(values[at]));
                next += 1;
            }
            if next == N {
                break;
            }
            above += within;
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_sorting_the_window_gives() {
        let mut ranked = Ranked::new(50);
        let mut hours: Vec<Vec<f64>> = Vec::new();
        for hour in 0..200_u64 {
            let sample = |i: u64| f64::from((((hour * 7 + i * 13) * 2_654_435_761) % 97) as u32) * 0.1;
            hours.push((0..hour % 4 * 5).map(sample).collect());
            hours[hour as usize].sort_unstable_by(f64::total_cmp);
            let samples: Vec<f32> = hours[hour as usize].iter().map(|sample| *sample as f32).collect();
            ranked.push(&samples);
            for window in [1, 5, 50] {
                let first = hours.len().saturating_sub(window);
                let mut sorted: Vec<f64> = hours[first..].concat();
                sorted.sort_unstable_by(|a, b| b.total_cmp(a));
                let mut places = [0, 1, sorted.len() / 10, sorted.len() / 2 + 1];
                places.sort_unstable();
                let found = ranked.at_places(window as u16, places);
                for (place, found) in places.iter().zip(found) {
                    let right = sorted.get(*place).copied().unwrap_or(0.0);
                    assert!((right - found).abs() < 1e-6, "{hour} {window} {place}: {found} {right}");
                }
            }
        }
        assert!(ranked.values.len() <= 75 * 15, "{}", ranked.values.len());
    }
}
