//! The seasons of a series whose user names none.
//!
//! On a time axis they are the day and the week, in steps. On integer steps
//! nobody says what a step is: of the lags that a day or a week has on the
//! usual grids (5, 10, 15 and 30 minutes, an hour, a day) and of a year of
//! months, the one with the highest autocorrelation is taken, if it stands out;
//! of several that are about as high the shortest.

use crate::series::stats;
use crate::series::table::{SampledSeries, TimeKind};

const DAY_MILLIS: i64 = 86_400_000;
/// What a day, a week or a year may be in steps, the shortest first.
const LAGS: [usize; 12] = [7, 12, 24, 48, 96, 144, 168, 288, 336, 672, 1008, 2016];
/// The least autocorrelation of a season.
const LEAST: f64 = 0.3;
/// The least difference that counts. A season must be that much above the lags
/// a quarter shorter and longer: a drifting series is like itself at every lag.
const STANDS_OUT: f64 = 0.1;

/// The lengths of the seasons in steps, the shortest first; none if none shows.
pub(super) fn of(series: &SampledSeries) -> Vec<usize> {
    match series.timeline.kind {
        TimeKind::Instants => calendar(series.timeline.step),
        TimeKind::Steps => {
            let values: Vec<f64> = detrended(series.values.iter().copied().collect());
            let shown: Vec<(usize, f64)> =
                LAGS.into_iter().filter_map(|lag| Some((lag, strength(&values, lag)?))).collect();
            let best = shown.iter().map(|(_, strength)| *strength).fold(0.0, f64::max);
            // Every multiple of a season is a season too.
            let shortest = shown.into_iter().find(|(_, strength)| *strength >= best - STANDS_OUT);
            shortest.map(|(lag, _)| lag).into_iter().collect()
        }
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

/// The autocorrelation at a lag that shows as a season.
fn strength(values: &[f64], lag: usize) -> Option<f64> {
    let here = autocorrelation(values, lag)?;
    let beside = [lag - lag / 4, lag + lag / 4].map(|lag| autocorrelation(values, lag).unwrap_or(-1.0));
    (here > LEAST && beside.iter().all(|near| here > near + STANDS_OUT)).then_some(here)
}

/// Over the pairs that are both there; `None` where the lag does not fit twice.
fn autocorrelation(values: &[f64], lag: usize) -> Option<f64> {
    if values.len() < 2 * lag {
        return None;
    }
    let power = stats::mean(&values.iter().map(|value| value * value).collect::<Vec<_>>())?;
    let products: Vec<f64> = values.iter().zip(&values[lag..]).map(|(early, late)| early * late).collect();
    (power > 0.0).then_some(stats::mean(&products)? / power)
}

/// Without its straight line of least squares; gaps stay gaps.
fn detrended(mut values: Vec<f64>) -> Vec<f64> {
    let known = || values.iter().enumerate().filter(|(_, value)| value.is_finite());
    let count = known().count().max(1) as f64;
    let middle = known().map(|(place, _)| place as f64).sum::<f64>() / count;
    let mean = known().map(|(_, value)| value).sum::<f64>() / count;
    let rise: f64 = known().map(|(place, value)| (place as f64 - middle) * (value - mean)).sum();
    let run: f64 = known().map(|(place, _)| (place as f64 - middle).powi(2)).sum();
    let slope = if run > 0.0 { rise / run } else { 0.0 };
    for (place, value) in values.iter_mut().enumerate() {
        *value -= mean + slope * (place as f64 - middle);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::table::Timeline;

    fn steps(values: Vec<f64>) -> SampledSeries {
        let timeline = Timeline { kind: TimeKind::Steps, first: 1, step: 1 };
        SampledSeries { id: "a".to_owned(), timeline, values: values.into() }
    }

    fn noise(place: usize) -> f64 {
        // Two rounds of multiply and shift: one round alone has rhythms of its own.
        let mixed = (place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 32)) % 1000) as f64 / 1000.0
    }

    #[test]
    fn times_give_day_and_week() {
        assert_eq!(calendar(3_600_000), [24, 168]);
        assert_eq!(calendar(300_000), [288, 2016]);
        assert_eq!(calendar(DAY_MILLIS), [7]);
        assert_eq!(calendar(7 * DAY_MILLIS), [] as [usize; 0]);
        assert_eq!(calendar(7_000_001), [] as [usize; 0]);
    }

    #[test]
    fn steps_give_the_season_that_shows() {
        let wave = |length: usize| {
            move |place: usize| (place as f64 * std::f64::consts::TAU / length as f64).sin() + noise(place)
        };
        assert_eq!(of(&steps((0..500).map(wave(24)).collect())), [24]);
        assert_eq!(of(&steps((0..70).map(wave(7)).collect())), [7]);
        assert_eq!(of(&steps((0..500).map(noise).collect())), [] as [usize; 0]);
        assert_eq!(of(&steps((0..500).map(|place| place as f64).collect())), [] as [usize; 0]);
        assert_eq!(of(&steps(vec![1.0; 100])), [] as [usize; 0]);
        assert_eq!(of(&steps(vec![f64::NAN; 100])), [] as [usize; 0]);
        let mut walk = 0.0;
        let walk = (0..2000).map(|place| {
            walk += noise(place) - 0.5;
            walk
        });
        assert_eq!(of(&steps(walk.collect())), [] as [usize; 0]);
    }

    #[test]
    fn a_week_beats_a_day_where_days_differ() {
        let busy = |place: usize| if (place / 24) % 7 < 5 { 10.0 } else { 1.0 };
        let day = |place: usize| busy(place) * (1.0 + (place % 24) as f64) + noise(place);
        assert_eq!(of(&steps((0..24 * 28).map(day).collect())), [168]);
    }
}
