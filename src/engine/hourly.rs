//! What the models see of a usage series: the peak of each hour that is over,
//! without the hours of incidents.

use ndarray::Array1;

use crate::domain::{Step, TimeRange, Timestamp};
use crate::series::{Aggregate, UsageSeries, resample};

/// Samples that must be left.
const LEAST_LEFT: usize = 12;

/// The peaks of whole hours, `NaN` for gaps and masked hours.
#[derive(Debug, Clone)]
pub(super) struct Hourly {
    start: Timestamp,
    /// Shape `[hours]`.
    pub values: Array1<f64>,
}

impl Hourly {
    /// The peaks of the hours that are over: the one that runs says nothing of
    /// its peak yet.
    pub fn of(series: &UsageSeries) -> Self {
        let end = series.end().floor_to(Step::HOUR);
        let hourly = resample(series, Step::HOUR, Aggregate::Max);
        let whole_hours = hourly.index_of(end).unwrap_or(hourly.len());
        let values = hourly.values.iter().take(whole_hours).copied().collect();
        Hourly { start: hourly.start, values }
    }

    /// Hides the hours that `spans` touch, unless next to nothing would be left.
    #[must_use]
    pub fn without(self, spans: &[TimeRange]) -> Self {
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
        if left >= LEAST_LEFT { Hourly { values: masked, ..self } } else { self }
    }

    /// The hours before `end`; `None` where there are none.
    #[must_use]
    pub fn until(self, end: Timestamp) -> Option<Self> {
        let hours = usize::try_from(step_of(end) - step_of(self.start)).unwrap_or(0);
        let values: Array1<f64> = self.values.iter().take(hours).copied().collect();
        (!values.is_empty()).then_some(Hourly { values, ..self })
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
        let hourly = Hourly { start: hours(1000), values };
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
}
