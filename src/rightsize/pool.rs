//! What the series of a fleet teach each other, as it was known at each time.
//!
//! A regression over all series ([`Fit`]) is made anew every few days from the
//! two weeks before, and a walk through the past meets each one at the hour
//! from which on it was known.

use std::sync::Arc;

use rayon::prelude::*;

use super::auto::stride;
use super::past::{DAY, KEPT_HOURS};
use super::policy::{Fit, Row, Rows};

/// The hours from the first sample of all after which the first fits are made.
const FIRST: [i64; 3] = [2 * DAY as i64, 4 * DAY as i64, 7 * DAY as i64];
/// Hours from one fit to the next after these.
const EVERY: i64 = 3 * DAY as i64;

/// Fits, each with the hour from which on it was known, rising.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    fits: Vec<(i64, Arc<Fit>)>,
}

impl Pool {
    /// The fits of a fleet for limits that hold for `hours`: each from the rows
    /// of all series whose interval was over. The hours of the series are
    /// numbered from `first` on.
    pub fn of(fleet: &[&[Vec<f64>]], first: i64, hours: usize) -> Pool {
        let last = first + fleet.iter().map(|series| series.len()).max().unwrap_or(0) as i64;
        let rows: Vec<Vec<Row>> = fleet
            .par_iter()
            .map(|series| {
                let mut rows = Rows::default();
                for (hour, samples) in (first..).zip(*series) {
                    rows.observe(samples, hour, hours, stride(hours));
                }
                rows.over()
            })
            .collect();
        let begin = FIRST.map(|after| first + after);
        let then = (1..).map(|count| begin[2] + count * EVERY);
        let times: Vec<i64> = begin.into_iter().chain(then.take_while(|at| *at <= last)).filter(|at| *at <= last).collect();
        let fit = |at: &i64| {
            let known = |row: &&Row| row.hour + hours as i64 <= *at && row.hour >= *at - KEPT_HOURS as i64;
            let rows: Vec<&Row> = rows.iter().flatten().filter(known).collect();
            Some((*at, Arc::new(Fit::of(&rows)?)))
        };
        Pool { fits: times.par_iter().filter_map(fit).collect() }
    }

    /// The fit that becomes known at this hour.
    pub fn new_at(&self, hour: i64) -> Option<&Arc<Fit>> {
        self.fits.iter().find(|(at, _)| *at == hour).map(|(_, fit)| fit)
    }

    /// The fit that is known at this hour.
    pub fn known_at(&self, hour: i64) -> Option<&Arc<Fit>> {
        self.fits.iter().rev().find(|(at, _)| *at <= hour).map(|(_, fit)| fit)
    }
}
