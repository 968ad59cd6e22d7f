//! Season: what happened at this time of day comes again.
//!
//! These pay only for tenants with a rhythm; the gate is the tenant's own
//! backtest, which simply does not choose them elsewhere.

use super::{DAY, Past, Policy};

/// How the same hours of earlier days are made into a limit.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Form {
    /// The largest of the last days.
    Max { days: usize },
    /// The mean of the last days' peaks.
    Mean { days: usize },
    /// The same hours a week ago.
    LastWeek,
    /// The largest of the last three days and of the last hours.
    OrRecent { hours: usize },
    /// Half way between a week's mean and the last hours' peak.
    WithRecent { hours: usize },
    /// The last three hours' peak, moved as the usual day moves from these
    /// hours to the next.
    Ratio,
}

/// A limit from the same hours of earlier days.
#[derive(Debug, Clone, Copy)]
pub struct Seasonal {
    form: Form,
    /// Hours on either side that are looked at as well.
    around: usize,
}

/// All members that are worth a trial.
pub(super) fn family() -> Vec<Seasonal> {
    let days = [Form::Max { days: 1 }, Form::Max { days: 3 }, Form::Max { days: 7 }];
    let means = [Form::Mean { days: 3 }, Form::Mean { days: 7 }, Form::LastWeek];
    let mut all: Vec<Seasonal> = days
        .iter()
        .chain(&means)
        .flat_map(|form| [0, 1].map(|around| Seasonal { form: *form, around }))
        .collect();
    for hours in [1, 3, 6] {
        all.push(Seasonal { form: Form::OrRecent { hours }, around: 1 });
        all.push(Seasonal { form: Form::WithRecent { hours }, around: 1 });
    }
    all.push(Seasonal { form: Form::Ratio, around: 1 });
    all
}

impl Seasonal {
    /// The peak of the next `hours`' place `days` ago.
    fn slot(&self, past: &Past, hours: usize, days: usize) -> f64 {
        past.peak_of_slot(days * DAY + self.around, hours + 2 * self.around)
    }

    fn max(&self, past: &Past, hours: usize, days: usize) -> f64 {
        (1..=days).map(|day| self.slot(past, hours, day)).fold(0.0, f64::max)
    }

    /// Over the days that there are: a day before the first sample is no idle
    /// day.
    fn mean(&self, past: &Past, hours: usize, days: usize) -> f64 {
        let days = days.min(past.hours_seen().div_ceil(DAY)).max(1);
        (1..=days).map(|day| self.slot(past, hours, day)).sum::<f64>() / days as f64
    }
}

/// How far the ratio of two times of day is believed.
const MOST_RATIO: f64 = 3.0;

impl Policy for Seasonal {
    fn name(&self) -> String {
        let what = match self.form {
            Form::Max { days } => format!("peak of {days} days"),
            Form::Mean { days } => format!("mean of {days} days"),
            Form::LastWeek => "last week".to_owned(),
            Form::OrRecent { hours } => format!("peak of 3 days or {hours} h"),
            Form::WithRecent { hours } => format!("mean of 7 days and {hours} h"),
            Form::Ratio => "usual change on 3 h".to_owned(),
        };
        format!("same hours ±{}: {what}", self.around)
    }

    fn limit(&self, past: &Past, hours: usize) -> f64 {
        match self.form {
            Form::Max { days } => self.max(past, hours, days),
            Form::Mean { days } => self.mean(past, hours, days),
            Form::LastWeek => self.slot(past, hours, 7),
            Form::OrRecent { hours: recent } => self.max(past, hours, 3).max(past.peak(recent)),
            Form::WithRecent { hours: recent } => 0.5 * (self.mean(past, hours, 7) + past.peak(recent)),
            Form::Ratio => {
                let before: f64 = (1..=7).map(|day| past.peak_of_slot(day * DAY + 3, 3)).sum::<f64>() / 7.0;
                if before <= 0.0 {
                    return 0.0;
                }
                let ratio = self.mean(past, hours, 7) / before;
                past.peak(3) * ratio.clamp(1.0 / MOST_RATIO, MOST_RATIO)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_hour_of_the_day_comes_again() {
        let mut past = Past::default();
        (0..8 * DAY).for_each(|hour| past.push(&[1.0 + (hour % DAY) as f64]));
        let of = |form, around| Seasonal { form, around }.limit(&past, 2);
        assert_eq!(of(Form::Max { days: 3 }, 0), 2.0);
        assert_eq!(of(Form::Mean { days: 7 }, 0), 2.0);
        assert_eq!(of(Form::LastWeek, 1), 24.0);
        assert_eq!(of(Form::OrRecent { hours: 1 }, 0), 24.0);
        // From the evening's 24 down to the night, as far as it is believed.
        assert_eq!(of(Form::Ratio, 0), 8.0);
    }
}
