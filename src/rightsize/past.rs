//! What a policy may look at: the samples of the hours that are over.
//!
//! Only the last two weeks are kept, so that the state of a series is bounded
//! and a policy can't see further back than its peers do. The hour that comes
//! is not in here: whatever is computed from a [`Past`] is causal.

use std::collections::VecDeque;

/// Hours of a day.
pub const DAY: usize = 24;
/// Hours that are kept.
pub const KEPT_HOURS: usize = 14 * DAY;

/// The samples of one series, hour by hour, the last of them just over.
#[derive(Debug, Clone, Default)]
pub struct Past {
    hours: VecDeque<Box<[f64]>>,
    /// The largest sample of each hour, 0 where it has none.
    peaks: VecDeque<f64>,
    seen: usize,
}

impl Past {
    /// Adds an hour: its samples, gaps left out.
    pub fn push(&mut self, samples: &[f64]) {
        if self.hours.len() == KEPT_HOURS {
            self.hours.pop_front();
            self.peaks.pop_front();
        }
        self.peaks.push_back(samples.iter().copied().fold(0.0, f64::max));
        self.hours.push_back(samples.into());
        self.seen += 1;
    }

    /// How many hours were ever added.
    pub fn hours_seen(&self) -> usize {
        self.seen
    }

    /// The samples of the last hour.
    pub fn last_hour(&self) -> &[f64] {
        self.hours.back().map_or(&[], |hour| hour)
    }

    /// The largest sample of the last `hours`; 0 where there is none.
    pub fn peak(&self, hours: usize) -> f64 {
        self.peaks.iter().rev().take(hours).copied().fold(0.0, f64::max)
    }

    /// The largest sample of the `hours` that begin `ago` hours back; 0 where
    /// there is none or they are not over yet.
    pub fn peak_of_slot(&self, ago: usize, hours: usize) -> f64 {
        let Some(first) = self.peaks.len().checked_sub(ago) else { return 0.0 };
        self.peaks.range(first..(first + hours).min(self.peaks.len())).copied().fold(0.0, f64::max)
    }

    /// The samples of the last `hours`, the oldest first.
    pub fn samples(&self, hours: usize) -> impl Iterator<Item = f64> {
        let first = self.hours.len().saturating_sub(hours);
        self.hours.range(first..).flat_map(|hour| hour.iter().copied())
    }

    /// How many samples the last `hours` have.
    pub fn count(&self, hours: usize) -> usize {
        let first = self.hours.len().saturating_sub(hours);
        self.hours.range(first..).map(|hour| hour.len()).sum()
    }
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
        assert_eq!(past.peak_of_slot(24, 1), 3.13);
        assert_eq!(past.peak_of_slot(2, 24), 3.35);
        assert_eq!(past.peak_of_slot(KEPT_HOURS + 1, 1), 0.0);
        assert_eq!(past.samples(2).collect::<Vec<_>>(), [3.35, 1.0]);
    }
}
