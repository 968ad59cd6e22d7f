//! What a policy may look at: the samples of the hours that are over.
//!
//! Only the last two weeks are kept, so that the state of a series is bounded
//! and a policy can't see further back than its peers do. The hour that comes
//! is not in here: whatever is computed from a [`Past`] is causal.

use serde::{Deserialize, Serialize};

use super::ranked::Ranked;
use crate::series::dense;

/// Hours of a day.
pub const DAY: usize = 24;
/// Hours that are kept.
pub const KEPT_HOURS: usize = 14 * DAY;
/// Hours that go by before what is too old is dropped from a row, so that the
/// row stays in one piece.
const SPARE: usize = 2 * DAY;

/// What is kept of the samples of one series, the last hour just over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Past {
    #[serde(with = "dense")]
    last_hour: Vec<f64>,
    /// Its samples in single precision, sorted upwards.
    #[serde(with = "dense")]
    sorted: Vec<f32>,
    /// The largest sample of each hour, 0 where it has none; the last
    /// [`KEPT_HOURS`] count.
    #[serde(with = "dense")]
    peaks: Vec<f64>,
    /// How many samples there were until the end of each hour, and before the
    /// first.
    #[serde(with = "dense")]
    totals: Vec<u64>,
    ranked: Ranked,
    seen: usize,
}

impl Default for Past {
    fn default() -> Self {
        Past {
            last_hour: Vec::new(),
            sorted: Vec::new(),
            peaks: Vec::new(),
            totals: vec![0],
            ranked: Ranked::new(KEPT_HOURS as u16),
            seen: 0,
        }
    }
}

impl Past {
    /// Adds an hour: its samples, gaps left out.
    pub fn push(&mut self, samples: &[f64]) {
        if self.peaks.len() == KEPT_HOURS + SPARE {
            self.peaks.drain(..=SPARE);
            self.totals.drain(..=SPARE);
        }
        self.peaks.push(highest(samples));
        self.totals.push(self.totals.last().unwrap_or(&0) + samples.len() as u64);
        self.sorted.clear();
        self.sorted.extend(samples.iter().map(|sample| *sample as f32));
        self.sorted.sort_unstable_by(f32::total_cmp);
        self.ranked.push(&self.sorted);
        self.last_hour.clear();
        self.last_hour.extend_from_slice(samples);
        self.seen += 1;
    }

    /// How many hours were ever added.
    pub fn hours_seen(&self) -> usize {
        self.seen
    }

    /// The samples of the last hour.
    pub fn last_hour(&self) -> &[f64] {
        &self.last_hour
    }

    /// The same in single precision, sorted upwards.
    pub fn last_hour_sorted(&self) -> &[f32] {
        &self.sorted
    }

    /// The peaks of the hours that count.
    fn kept(&self) -> &[f64] {
        last(&self.peaks, KEPT_HOURS)
    }

    /// The mean of the last hour's samples; 0 where there is none.
    pub fn last_mean(&self) -> f64 {
        self.last_hour.iter().sum::<f64>() / self.last_hour.len().max(1) as f64
    }

    /// The mean and the standard deviation of the peaks of the last `hours`,
    /// idle hours and gaps left out; 0 where there is none.
    pub fn mean_peak(&self, hours: usize) -> (f64, f64) {
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for peak in last(self.kept(), hours) {
            count += f64::from(u8::from(*peak > 0.0));
            sum += peak;
            squares += peak * peak;
        }
        let count = f64::max(count, 1.0);
        let mean = sum / count;
        (mean, (squares / count - mean * mean).max(0.0).sqrt())
    }

    /// The largest sample of the last `hours`; 0 where there is none.
    pub fn peak(&self, hours: usize) -> f64 {
        highest(last(self.kept(), hours))
    }

    /// The largest samples of so many last hours each, rising; 0 where there is
    /// none.
    pub fn peaks<const N: usize>(&self, hours: [usize; N]) -> [f64; N] {
        let (mut older, mut most) = (self.kept(), 0.0);
        hours.map(|hours| {
            let first = self.kept().len().saturating_sub(hours).min(older.len());
            let (rest, part) = older.split_at(first);
            older = rest;
            most = f64::max(most, highest(part));
            most
        })
    }

    /// The largest sample of the `hours` that begin `ago` hours back; 0 where
    /// there is none or they are not over yet.
    pub fn peak_of_slot(&self, ago: usize, hours: usize) -> f64 {
        let kept = self.kept();
        let Some(first) = kept.len().checked_sub(ago) else { return 0.0 };
        highest(&kept[first..(first + hours).min(kept.len())])
    }

    /// Quantiles (`levels`, falling, 0 to 1) of the samples of the last
    /// `hours`: the nearest sample, no less; 0 where there is none.
    pub fn quantiles<const N: usize>(&self, hours: usize, levels: [f64; N]) -> [f64; N] {
        let hours = hours.min(KEPT_HOURS);
        let Some(last) = self.count(hours).checked_sub(1) else { return [0.0; N] };
        let places = levels.map(|level| last - ((level * last as f64).round() as usize).min(last));
        self.ranked.at_places(hours as u16, places)
    }

    /// How many samples the last `hours` have, as far as they are kept.
    pub fn count(&self, hours: usize) -> usize {
        let totals = last(&self.totals, hours.min(KEPT_HOURS) + 1);
        let count = totals.last().zip(totals.first()).map_or(0, |(end, begin)| end - begin);
        usize::try_from(count).unwrap_or(usize::MAX)
    }
}

/// The last `count` of a row.
fn last<T>(row: &[T], count: usize) -> &[T] {
    &row[row.len().saturating_sub(count)..]
}

/// Samples that are looked at together.
const LANES: usize = 8;

/// The largest of samples that are never NaN; 0 where there is none. Several
/// side by side: one after the other, each would wait for the one before.
fn highest(samples: &[f64]) -> f64 {
    let (chunks, rest) = samples.as_chunks::<LANES>();
    let mut side = [0.0; LANES];
    for chunk in chunks {
        for (most, sample) in side.iter_mut().zip(chunk) {
            *most = larger(*most, *sample);
        }
    }
    let mut most = 0.0;
    if !chunks.is_empty() {
        side.iter().for_each(|one| most = larger(most, *one));
    }
    rest.iter().for_each(|one| most = larger(most, *one));
    most
}

#[inline(always)]
fn larger(most: f64, sample: f64) -> f64 {
    if sample > most { sample } else { most }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_back_over_gaps_and_forgets_after_two_weeks() {
        let mut past = Past::default();
        past.push(&[9.0]);
        (0..KEPT_HOURS).for_each(|hour| past.push(&[hour as f64 / 100.0, 1.0]));
        assert_eq!((past.peak(1), past.peak(KEPT_HOURS + 9)), (3.35, 3.35));
        past.push(&[]);
        assert_eq!((past.peak(1), past.peak(2), past.count(2)), (0.0, 3.35, 2));
        assert_eq!(past.peaks([1, 2, KEPT_HOURS]), [0.0, 3.35, 3.35]);
        assert_eq!(past.peak_of_slot(24, 1), 3.13);
        assert_eq!(past.peak_of_slot(2, 24), 3.35);
        assert_eq!(past.peak_of_slot(KEPT_HOURS + 1, 1), 0.0);
        assert!(past.last_hour().is_empty());
    }

    #[test]
    fn quantiles_of_the_window() {
        let mut past = Past::default();
        assert_eq!(past.quantiles(2, [0.9, 0.5]), [0.0, 0.0]);
        past.push(&[100.0]);
        past.push(&[50.0, 1.0]);
        past.push(&[9.0, 2.0, 3.0, 4.0]);
        assert_eq!(past.quantiles(2, [1.0, 0.5, 0.0]), [50.0, 4.0, 1.0]);
        assert_eq!(past.quantiles(1, [1.0]), [9.0]);
    }
}
