//! What the models see of a usage series: the peak of each hour that is over,
//! without the hours of incidents.

use ndarray::Array1;

use super::generation::SEASONS;
use crate::domain::{Step, TimeRange, Timestamp, Zone};
use crate::forecast::{Forecast, Past};
use crate::series::{Aggregate, UsageSeries, WallClock, resample};

/// Samples that must be left.
const LEAST_LEFT: usize = 12;

/// The peaks of whole hours, `NaN` for gaps and masked hours.
#[derive(Debug, Clone)]
pub(super) struct Hourly {
    start: Timestamp,
    zone: Zone,
    /// By UTC, shape `[hours]`.
    values: Array1<f64>,
    /// By the clock of the zone; `None` where it is UTC.
    laid: Option<Array1<f64>>,
}

impl Hourly {
    /// The peaks of the hours that are over: the one that runs says nothing of
    /// its peak yet. The models see them by the clock of `zone`.
    pub fn of(series: &UsageSeries, zone: Zone) -> Self {
        let end = series.end().floor_to(Step::HOUR);
        let hourly = resample(series, Step::HOUR, Aggregate::Max);
        let whole_hours = hourly.index_of(end).unwrap_or(hourly.len());
        let values = hourly.values.iter().take(whole_hours).copied().collect();
        Hourly::new(hourly.start, zone, values)
    }

    fn new(start: Timestamp, zone: Zone, values: Array1<f64>) -> Self {
        let laid = (zone != Zone::UTC).then(|| clock(start, zone).lay(&values));
        Hourly { start, zone, values, laid }
    }

    /// Hides the hours that `spans` touch, unless next to nothing would be left.
    #[must_use]
    pub fn without(self, spans: &[TimeRange]) -> Self {
        if spans.is_empty() {
            return self;
        }
        let mut masked = self.values.clone();
        for span in spans {
            let from = span.start.floor_to(Step::HOUR);
            for (index, value) in masked.iter_mut().enumerate() {
                let at = hour(self.start, index);
                if from <= at && at < span.end {
                    *value = f64::NAN;
                }
            }
        }
        let left = masked.iter().filter(|value| value.is_finite()).count();
        if left >= LEAST_LEFT { Hourly::new(self.start, self.zone, masked) } else { self }
    }

    /// The hours before `end`; `None` where there are none.
    #[must_use]
    pub fn until(self, end: Timestamp) -> Option<Self> {
        let hours = usize::try_from(step_of(end) - step_of(self.start)).unwrap_or(0);
        let values: Array1<f64> = self.values.iter().take(hours).copied().collect();
        (!values.is_empty()).then(|| Hourly::new(self.start, self.zone, values))
    }

    /// What the models see, shape `[hours by the clock]`.
    pub fn past(&self) -> Past<'_> {
        Past { values: self.laid.as_ref().unwrap_or(&self.values).view(), seasons: &SEASONS }
    }

    /// How many of the models' hours came since `instant`.
    pub fn fresh_since(&self, instant: Timestamp) -> usize {
        let hours = Step::HOUR.count_in(self.end().since(instant));
        match &self.laid {
            None => hours,
            Some(laid) => {
                let before = self.values.len().saturating_sub(hours);
                laid.len().saturating_sub(clock(self.start, self.zone).steps(before))
            }
        }
    }

    /// A forecast of the models, by UTC: as many hours as it has, but for those
    /// that the clock skips meanwhile.
    pub fn by_utc(&self, forecast: Forecast) -> Forecast {
        if self.laid.is_none() {
            return forecast;
        }
        let ahead = clock(self.start, self.zone).ahead(self.values.len(), forecast.mean.len());
        let steps: Vec<usize> = ahead.into_iter().filter(|step| *step < forecast.mean.len()).collect();
        forecast.of_steps(&steps)
    }

    /// The first instant after the last hour.
    pub fn end(&self) -> Timestamp {
        hour(self.start, self.values.len())
    }

    /// The first instant.
    pub fn start(&self) -> Timestamp {
        self.start
    }

    /// The number of the hour at [`end`](Self::end), counted from 1970.
    pub fn end_step(&self) -> i64 {
        step_of(self.end())
    }

    /// The hours from `instant` on, each with its number.
    pub fn since(&self, instant: Timestamp) -> impl Iterator<Item = (i64, f64)> + '_ {
        let first = step_of(self.start);
        let skipped = usize::try_from(step_of(instant) - first).unwrap_or(0);
        let hours = self.values.iter().enumerate().skip(skipped);
        hours.map(move |(index, value)| (first + index as i64, *value))
    }

    /// Whether no hour lies below zero.
    pub fn never_negative(&self) -> bool {
        self.values.iter().all(|value| value.is_nan() || *value >= 0.0)
    }
}

fn clock(start: Timestamp, zone: Zone) -> WallClock {
    WallClock { zone, first: start.millis(), step: Step::HOUR.millis() }
}

fn hour(start: Timestamp, index: usize) -> Timestamp {
    let hours = i64::try_from(index).unwrap_or(i64::MAX);
    Timestamp::from_millis(start.millis().saturating_add(hours.saturating_mul(Step::HOUR.millis())))
}

fn step_of(at: Timestamp) -> i64 {
    at.millis().div_euclid(Step::HOUR.millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(n: i64) -> Timestamp {
        Timestamp::from_seconds(n * 3600)
    }

    #[test]
    fn spans_are_hidden_while_something_is_left() {
        let values = Array1::from_elem(100, 1.0);
        let hourly = Hourly::new(hours(1000), Zone::UTC, values);
        let hidden = |start: i64, end: i64| {
            let masked = hourly.clone().without(&[TimeRange { start: hours(start), end: hours(end) }]);
            masked.values.iter().filter(|value| value.is_nan()).count()
        };
        assert_eq!(hidden(1010, 1015), 5);
        assert_eq!(hidden(1010, 1080), 70);
        assert_eq!(hidden(1000, 1099), 0, "one hour is no past");
        assert_eq!(hidden(900, 910), 0);
        assert_eq!(hourly.since(hours(1098)).collect::<Vec<_>>(), [(1098, 1.0), (1099, 1.0)]);
        assert_eq!((hourly.end(), hourly.end_step()), (hours(1100), 1100));
        assert_eq!(hourly.clone().until(hours(1040)).map(|part| part.end()), Some(hours(1040)));
        assert_eq!(hourly.clone().until(hours(2000)).map(|all| all.end()), Some(hours(1100)));
        assert!(hourly.until(hours(1000)).is_none());
    }

    #[test]
    fn models_see_the_clock_on_the_wall_and_forecasts_are_by_utc() {
        // In Berlin the clock goes from 02:00 to 03:00 at 01:00 UTC.
        let start: Timestamp = "2026-03-27T23:00:00Z".parse().unwrap();
        let hourly = |count: usize| {
            let values = (0..count).map(|hour| hour as f64).collect();
            Hourly::new(start, "Europe/Berlin".parse().unwrap(), values)
        };
        let after = hourly(50);
        assert_eq!((after.past().values.len(), after.values.len()), (51, 50));
        assert!(after.past().values[26].is_nan() && after.past().values[27] == 26.0);
        let spring: Timestamp = "2026-03-29T01:00:00Z".parse().unwrap();
        assert_eq!(after.fresh_since(spring), 25, "the gap is a step to the models");
        let quantiles = crate::forecast::Quantiles::default();
        let values = ndarray::Array2::from_shape_fn((6, quantiles.levels().len()), |(step, _)| step as f64);
        let mean = (0..6).map(f64::from).collect();
        let forecast = hourly(24).by_utc(Forecast { mean, quantiles, values, members: Vec::new() });
        assert_eq!(forecast.mean.to_vec(), [0.0, 1.0, 3.0, 4.0, 5.0], "02:00 is never");
        assert_eq!(forecast.values.column(0).to_vec(), forecast.mean.to_vec());
    }
}
