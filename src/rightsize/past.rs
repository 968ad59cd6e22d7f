//! What a policy may look at: the samples of the hours that are over.
//!
//! Only the last two weeks are kept, so that the state of a series is bounded
//! and a policy can't see further back than its peers do. The hour that comes
//! is not in here: whatever is computed from a [`Past`] is causal.

use std::collections::VecDeque;

use super::ranked::Ranked;

/// Hours of a day.
pub const DAY: usize = 24;
/// Hours that are kept.
pub const KEPT_HOURS: usize = 14 * DAY;

/// What is kept of the samples of one series, the last hour just over.
#[derive(Debug, Clone)]
pub struct Past {
    last_hour: Vec<f64>,
    /// How many samples each hour has.
    counts: VecDeque<u32>,
    /// The largest sample of each hour, 0 where it has none.
    peaks: VecDeque<f64>,
    ranked: Ranked,
    seen: usize,
}

impl Default for Past {
    fn default() -> Self {
        Past {
            last_hour: Vec::new(),
            counts: VecDeque::new(),
            peaks: VecDeque::new(),
            ranked: Ranked::new(KEPT_HOURS as u16),
            seen: 0,
        }
    }
}

impl Past {
    /// Adds an hour: its samples, gaps left out.
    pub fn push(&mut self, samples: &[f64]) {
        if self.peaks.len() == KEPT_HOURS {
            self.counts.pop_front();
            self.peaks.pop_front();
        }
        self.peaks.push_back(samples.iter().copied().fold(0.0, f64::max));
        self.counts.push_back(u32::try_from(samples.len()).unwrap_or(u32::MAX));
        self.ranked.push(samples);
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

    /// The largest sample of the last `hours`; 0 where there is none.
    pub fn peak(&self, hours: usize) -> f64 {
        highest(self.peaks.range(self.peaks.len().saturating_sub(hours)..))
    }

    /// The largest samples of so many last hours each, rising; 0 where there is
    /// none.
    pub fn peaks<const N: usize>(&self, hours: [usize; N]) -> [f64; N] {
        let mut end = self.peaks.len();
        let mut most = 0.0;
        hours.map(|hours| {
            let first = self.peaks.len().saturating_sub(hours);
            most = f64::max(most, highest(self.peaks.range(first..end)));
            end = first;
            most
        })
    }

    /// The largest sample of the `hours` that begin `ago` hours back; 0 where
    /// there is none or they are not over yet.
    pub fn peak_of_slot(&self, ago: usize, hours: usize) -> f64 {
        let Some(first) = self.peaks.len().checked_sub(ago) else { return 0.0 };
        highest(self.peaks.range(first..(first + hours).min(self.peaks.len())))
    }

    /// Quantiles (`levels`, falling, 0 to 1) of the samples of the last
    /// `hours`: the nearest sample, no less; 0 where there is none.
    pub fn quantiles<const N: usize>(&self, hours: usize, levels: [f64; N]) -> [f64; N] {
        let hours = hours.min(KEPT_HOURS);
        let Some(last) = self.count(hours).checked_sub(1) else { return [0.0; N] };
        let places = levels.map(|level| last - ((level * last as f64).round() as usize).min(last));
        self.ranked.from_top(hours as u16, places)
    }

    /// How many samples the last `hours` have.
    pub fn count(&self, hours: usize) -> usize {
        let first = self.counts.len().saturating_sub(hours);
        self.counts.range(first..).map(|count| *count as usize).sum()
    }
}

fn highest<'a>(peaks: impl Iterator<Item = &'a f64>) -> f64 {
    // No NaN ever comes in, and a plain comparison is several times faster
    // than one that looks for it.
    peaks.fold(0.0, |most, peak| if *peak > most { *peak } else { most })
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
