//! `auto`: every policy with every margin is tried on the tenant's own past,
//! interval by interval, and what would have held the budget at the least
//! limit is taken.

use std::collections::VecDeque;

use super::ledger::{Entry, Ledger};
use super::past::{KEPT_HOURS, Past};
use super::policy::{Family, Policy};

/// No limit is set above this many times the peak of two weeks: a margin that
/// steers itself must not run away.
const MOST_ABOVE_PEAK: f64 = 1.3;

/// The choice for one series.
pub struct Auto {
    /// For how many hours each limit holds.
    hours: usize,
    past: Past,
    policies: Vec<Box<dyn Policy>>,
    ledger: Ledger,
    /// What the policies said for intervals that are not over, a row an hour.
    open: VecDeque<Vec<f64>>,
}

impl Auto {
    /// A choice among the members of `families` for limits that hold for `hours`.
    pub fn new(families: &[Family], hours: usize) -> Self {
        let policies: Vec<_> = families.iter().flat_map(|family| family.members()).collect();
        let ledger = Ledger::new(policies.len());
        Auto { hours, past: Past::default(), policies, ledger, open: VecDeque::new() }
    }

    /// Learns from an hour that is over: its samples, gaps left out.
    ///
    /// Intervals are tried from every hour on, not only from those at which a
    /// limit is set: a fortnight of days is too little to choose by.
    pub fn observe(&mut self, samples: &[f64]) {
        self.past.push(samples);
        self.policies.iter_mut().for_each(|policy| policy.observe(&self.past));
        self.ledger.fade();
        if self.open.len() == self.hours
            && let Some(limits) = self.open.pop_front()
        {
            let mut interval: Vec<f64> = self.past.samples(self.hours).collect();
            interval.sort_unstable_by(f64::total_cmp);
            self.ledger.record(&limits, &interval);
        }
        self.open
            .push_back(self.policies.iter().map(|policy| policy.limit(&self.past, self.hours)).collect());
    }

    /// The limit for the hours that come, with what it rests on: the entry
    /// that is cheapest at `target` violations. Before any interval is over it
    /// is the peak so far, and `None` where there is no sample.
    pub fn limit(&self, target: f64) -> Option<(f64, Option<Entry>)> {
        let peak = self.past.peak(KEPT_HOURS);
        if self.past.count(KEPT_HOURS) == 0 {
            return None;
        }
        let entry = self.ledger.choose(target);
        let Some((entry, said)) = entry.and_then(|entry| Some((entry, self.open.back()?[entry.policy])))
        else {
            return Some((peak, None));
        };
        let limit = if entry.within { said * entry.margin } else { (said * entry.margin).max(peak) };
        Some((limit.min(MOST_ABOVE_PEAK * peak), Some(entry)))
    }

    /// The name of an entry's policy.
    pub fn name(&self, entry: &Entry) -> String {
        self.policies[entry.policy].name()
    }
}
