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
/// Fits after these are made at hours whose number is a multiple of this.
pub const EVERY: i64 = 3 * DAY as i64;
/// The most series that are learnt from, those that began first: more teach
/// next to nothing new.
pub const MOST_SERIES: usize = 256;

/// Fits, each with the hour from which on it was known, rising.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    fits: Vec<(i64, Arc<Fit>)>,
}

/// What a series knows of the others at an hour.
#[derive(Debug, Clone, Copy)]
pub struct Others<'a> {
    /// The mean usage of a tenant of the fleet, in the unit of the samples.
    pub mean: f64,
    /// What they teach.
    pub pool: &'a Pool,
}

impl Pool {
    /// The fits of a fleet for limits that hold for `hours`: each from the rows
    /// of all series whose interval was over. The hours of the series are
    /// numbered from `first` on.
    pub fn of(fleet: &[&[Vec<f64>]], first: i64, hours: usize) -> Pool {
        let begin = |series: &[Vec<f64>]| series.iter().position(|hour| !hour.is_empty());
        let mut begun: Vec<(usize, &[Vec<f64>])> =
            fleet.iter().filter_map(|series| Some((begin(series)?, *series))).collect();
        begun.sort_by_key(|(hour, _)| *hour);
        begun.truncate(MOST_SERIES);
        let last = first + begun.iter().map(|(_, series)| series.len()).max().unwrap_or(0) as i64;
        let rows: Vec<Row> = begun.par_iter().flat_map(|(_, series)| rows(series, first, hours)).collect();
        let fit = |at: i64| {
            let known = |row: &&Row| row.hour + hours as i64 <= at && row.hour >= at - KEPT_HOURS as i64;
            let rows: Vec<&Row> = rows.iter().filter(known).collect();
            Some((at, Arc::new(Fit::of(&rows)?)))
        };
        Pool { fits: times(first, last).into_par_iter().filter_map(fit).collect() }
    }

    /// The fit that was known at the hour of this number, and since when.
    pub fn known_at(&self, hour: i64) -> Option<&(i64, Arc<Fit>)> {
        let later = self.fits.partition_point(|(at, _)| *at <= hour);
        self.fits.get(later.checked_sub(1)?)
    }
}

fn rows(series: &[Vec<f64>], first: i64, hours: usize) -> Vec<Row> {
    let mut rows = Rows::default();
    for (hour, samples) in (first..).zip(series) {
        rows.observe(samples, hour, hours, stride(hours));
    }
    rows.over()
}

/// When fits are made.
fn times(first: i64, last: i64) -> Vec<i64> {
    let week = first + FIRST[2];
    let then = (week.div_euclid(EVERY) + 1..).map(|count| count * EVERY);
    let all = FIRST.map(|after| first + after).into_iter().chain(then);
    all.take_while(|at| *at <= last).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(seed: usize, hours: usize) -> Vec<Vec<f64>> {
        let noise = |hour: usize| ((hour * 31 + seed) * 2_654_435_761 % 1000) as f64 / 1000.0;
        let level = |hour: usize| if (8..18).contains(&(hour % DAY)) { 10.0 } else { 2.0 };
        (0..hours)
            .map(|hour| vec![level(hour) * (1.0 + seed as f64) * (0.9 + 0.2 * noise(hour)); 12])
            .collect()
    }

    #[test]
    fn each_fit_rests_on_what_was_over() {
        let whole: Vec<_> = (0..8).map(|seed| series(seed, 15 * DAY)).collect();
        let cut: Vec<_> = whole.iter().map(|series| series[..9 * DAY].to_vec()).collect();
        let of = |fleet: &[Vec<Vec<f64>>]| {
            let parts: Vec<&[Vec<f64>]> = fleet.iter().map(Vec::as_slice).collect();
            Pool::of(&parts, 100, 6)
        };
        let (whole, cut) = (of(&whole), of(&cut));
        let times = |pool: &Pool| pool.fits.iter().map(|(at, _)| *at).collect::<Vec<_>>();
        assert_eq!(times(&whole), [196, 268, 288, 360, 432]);
        assert_eq!(times(&cut), [196, 268, 288]);
        assert_eq!(whole.fits[..3], cut.fits[..]);
        assert!(whole.known_at(195).is_none());
        assert_eq!(whole.known_at(300).map(|(at, _)| *at), Some(288));
    }
}
