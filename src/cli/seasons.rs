//! The series of a file, counters as what they grow by, and their seasons.
//!
//! The seasons of a series whose user names none: on a time axis the day and
//! the week, in steps; on integer steps, of which nobody says what they are,
//! those that the values show.

use std::borrow::Cow;
use std::path::Path;

use rayon::prelude::*;

use crate::domain::Zone;
use crate::forecast::Past;
use crate::series::table::{self, SampledSeries, TableError, TimeKind, Timeline};
use crate::series::{WallClock, increases, seasons};

const DAY_MILLIS: i64 = 86_400_000;

/// The series of a file; where they are counters, what they grow by at each step.
pub(super) fn read(input: &Path, counters: bool) -> Result<Vec<SampledSeries>, TableError> {
    let mut series = table::series(&table::read(input)?)?;
    if counters {
        series.par_iter_mut().for_each(|one| one.values = increases(one.values.view()));
    }
    Ok(series)
}

/// The series by the clock on the wall of a zone, where they have times that are
/// no further apart than a day of it.
pub(super) fn by_the_clock(series: &[SampledSeries], zone: Zone) -> Cow<'_, [SampledSeries]> {
    if zone == Zone::UTC {
        return Cow::Borrowed(series);
    }
    let laid = |one: &SampledSeries| match clock(one, zone) {
        Some(clock) => SampledSeries { values: clock.lay(&one.values), ..one.clone() },
        None => one.clone(),
    };
    Cow::Owned(series.par_iter().map(laid).collect())
}

/// Which steps by that clock the next `horizon` values of a series are; `None`
/// where they are the next ones.
pub(super) fn steps_ahead(series: &SampledSeries, zone: Zone, horizon: usize) -> Option<Vec<usize>> {
    let clock = clock(series, zone).filter(|_| zone != Zone::UTC)?;
    Some(clock.ahead(series.values.len(), horizon))
}

fn clock(series: &SampledSeries, zone: Zone) -> Option<WallClock> {
    let Timeline { kind, first, step } = series.timeline;
    (kind == TimeKind::Instants && step < DAY_MILLIS).then_some(WallClock { zone, first, step })
}

/// The seasons of each series: those that are `given`, else its own.
pub(super) fn of_all(series: &[SampledSeries], given: Option<&[usize]>) -> Vec<Vec<usize>> {
    series.par_iter().map(|one| given.map_or_else(|| of(one), <[usize]>::to_vec)).collect()
}

/// The series with their seasons, as the forecasts take them.
pub(super) fn pasts<'a>(series: &'a [SampledSeries], seasons: &'a [Vec<usize>]) -> Vec<Past<'a>> {
    let past =
        |(one, seasons): (&'a SampledSeries, &'a Vec<usize>)| Past { values: one.values.view(), seasons };
    series.iter().zip(seasons).map(past).collect()
}

/// The lengths of the seasons in steps, the shortest first; none if none shows.
fn of(series: &SampledSeries) -> Vec<usize> {
    match series.timeline.kind {
        TimeKind::Instants => calendar(series.timeline.step),
        TimeKind::Steps => seasons(&series.values.to_vec()),
    }
}

/// A day and a week in steps, where a whole number of steps, two or more, makes
/// one.
fn calendar(step_millis: i64) -> Vec<usize> {
    [DAY_MILLIS, 7 * DAY_MILLIS]
        .into_iter()
        .filter(|period| period % step_millis == 0)
        .filter_map(|period| usize::try_from(period / step_millis).ok())
        .filter(|steps| *steps > 1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_give_day_and_week() {
        assert_eq!(calendar(3_600_000), [24, 168]);
        assert_eq!(calendar(300_000), [288, 2016]);
        assert_eq!(calendar(DAY_MILLIS), [7]);
        assert_eq!(calendar(7 * DAY_MILLIS), [] as [usize; 0]);
        assert_eq!(calendar(7_000_001), [] as [usize; 0]);
    }
}
