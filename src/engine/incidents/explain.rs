//! What an incident shows of the usage around it.

use super::super::ForecastRecord;
use super::super::workspace::Detection;
use crate::domain::{Chart, Foreseen, Step, Timestamp};
use crate::series::UsageSeries;

/// The rate of usage is that of the last hours.
const RATE_HOURS: i64 = 6;
/// Beyond this many hours nobody waits for the quota.
const LONGEST_HEADROOM: f64 = 10_000.0;

/// The latest samples with the band in which they were expected.
pub(super) fn chart(detection: &Detection, step: Step) -> Chart {
    let samples = &detection.recent;
    let band = |sign: f64| {
        samples.iter().map(|sample| short(sample.judgement.expected + sign * sample.judgement.band)).collect()
    };
    Chart {
        start: samples.front().map(|sample| sample.at).unwrap_or_default(),
        step_seconds: step.duration().as_secs_f64(),
        values: samples.iter().map(|sample| short(sample.value)).collect(),
        lower: band(-1.0),
        upper: band(1.0),
    }
}

/// Five digits are enough for a chart, and keep the record small.
fn short(value: f64) -> Option<f64> {
    value.is_finite().then(|| format!("{value:.4e}").parse().unwrap_or(value))
}

/// What the forecast had said of the hour of `since`; `None` where it knew that
/// hour already, or does not reach it.
pub(super) fn foreseen(record: &ForecastRecord, detection: &Detection, since: Timestamp) -> Option<Foreseen> {
    let dated = record.forecast.as_ref().ok()?;
    let hour = since.floor_to(Step::HOUR);
    if hour < dated.start {
        return None;
    }
    let index = Step::HOUR.count_in(hour.since(dated.start));
    if index >= dated.forecast.values.nrows() {
        return None;
    }
    let row = dated.forecast.values.row(index);
    let upper = *row.last()?;
    let end = hour.plus(Step::HOUR.duration());
    let in_hour = detection.recent.iter().filter(|sample| sample.at >= hour && sample.at < end);
    Some(Foreseen {
        hour,
        known_until: record.fitted_to,
        lower: *row.first()?,
        median: row[dated.forecast.quantiles.nearest(0.5)],
        upper,
        is_exceeded: in_hour.map(|sample| sample.value).fold(f64::NEG_INFINITY, f64::max) > upper,
    })
}

/// Hours until usage reaches the quota at the rate of the last hours (least
/// squares); `None` where it does not rise, or not within reach.
pub(super) fn headroom_hours(usage: &UsageSeries, quota: f64) -> Option<f64> {
    let count = usize::try_from(RATE_HOURS * Step::HOUR.millis() / usage.step.millis()).ok()?.max(2);
    let hours = usage.step.duration().as_secs_f64() / 3600.0;
    let from = usage.len().saturating_sub(count);
    let points: Vec<(f64, f64)> = (from..usage.len())
        .map(|index| ((index - from) as f64 * hours, usage.values[index]))
        .filter(|(_, value)| value.is_finite())
        .collect();
    let (_, last) = *points.last()?;
    if last >= quota {
        return Some(0.0);
    }
    let n = points.len() as f64;
    let (mean_x, mean_y) =
        (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let above = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>();
    let below = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum::<f64>();
    let rate = above / below;
    let left = (quota - last) / rate;
    (rate > 0.0 && left.is_finite() && left <= LONGEST_HEADROOM).then_some(left)
}

/// As many digits as people read.
pub(super) fn number(value: f64) -> String {
    if value.abs() >= 1000.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn usage(value: impl Fn(f64) -> f64) -> UsageSeries {
        let values = (0..100).map(|index| value(f64::from(index) / 12.0)).collect();
        UsageSeries { start: Timestamp::from_seconds(0), step: Step::FIVE_MINUTES, values }
    }

    #[test]
    fn headroom_follows_the_rate() {
        let rising = usage(|hours| hours);
        let left = headroom_hours(&rising, 20.0).unwrap();
        assert!((left - (20.0 - 99.0 / 12.0)).abs() < 1e-6, "{left}");
        assert_eq!(headroom_hours(&rising, 1.0), Some(0.0));
        assert_eq!(headroom_hours(&usage(|hours| 9.0 - hours), 20.0), None);
        assert_eq!(headroom_hours(&usage(|_| f64::NAN), 20.0), None);
    }
}
