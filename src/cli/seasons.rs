//! The series of a file, counters as what they grow by, and their seasons.
//!
//! The seasons of a series whose user names none: on a time axis the day and
//! the week, in steps; on integer steps, of which nobody says what they are,
//! those that the values show.

use std::borrow::Cow;
use std::path::Path;

use ndarray::{Axis, Slice};
use rayon::prelude::*;

use super::BadUsage;
use crate::anomaly::{Detector, NoveltyDetector, Settings};
use crate::domain::{Step, Timestamp, Zone};
use crate::forecast::{Fleet, Past};
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

/// The last so many steps of each series, as if it were new.
pub(super) fn keep_last(series: &mut [SampledSeries], last: usize) {
    for one in series {
        let first = one.values.len().saturating_sub(last);
        one.timeline.first = one.timeline.at(first);
        one.values = one.values.slice_axis(Axis(0), Slice::from(first..)).to_owned();
    }
}

/// Hides what the anomaly detector finds in each series, as the daemon hides it
/// from its models: what is unusual, and what lasts of it, but for a level that
/// has become the usual one.
pub(super) fn hide_anomalies(series: &mut [SampledSeries]) {
    series.par_iter_mut().for_each(|one| {
        let millis = match one.timeline.kind {
            TimeKind::Steps => Step::HOUR.millis(),
            TimeKind::Instants => one.timeline.step,
        };
        let Ok(step) = Step::from_millis(millis) else { return };
        let mut detector = NoveltyDetector::new(Settings::for_step(step), step);
        let (mut hidden, mut run) = (Vec::new(), Vec::new());
        for (place, value) in one.values.iter().enumerate() {
            let at = Timestamp::from_millis((place as i64).saturating_mul(millis));
            let judgement = detector.judge(at, *value);
            if judgement.is_new_level {
                run.clear();
            } else if judgement.is_anomaly || judgement.lasts {
                run.push(place);
            } else {
                hidden.append(&mut run);
            }
        }
        hidden.append(&mut run);
        hidden.into_iter().for_each(|place| one.values[place] = f64::NAN);
    });
}

/// Whether all of these are members of the combination.
///
/// # Errors
/// Names one that is none, and those that there are.
pub(super) fn check_members(names: &[String]) -> Result<(), BadUsage> {
    let known = Fleet::member_names();
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(BadUsage(format!("leave {name:?} out; the members are {}", known.join(", ")))),
    }
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
