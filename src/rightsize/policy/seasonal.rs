//! Season: what happened at this time of day comes again.
//!
//! These pay only for tenants with a rhythm; the gate is the tenant's own
//! backtest, which simply does not choose them elsewhere.

use serde::{Deserialize, Serialize};

use super::{DAY, Members, Past};

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

/// The members, each with the hours on either side that it looks at as well.
const MEMBERS: [(Form, usize); 19] = [
    (Form::Max { days: 1 }, 0),
    (Form::Max { days: 1 }, 1),
    (Form::Max { days: 3 }, 0),
    (Form::Max { days: 3 }, 1),
    (Form::Max { days: 7 }, 0),
    (Form::Max { days: 7 }, 1),
    (Form::Mean { days: 3 }, 0),
    (Form::Mean { days: 3 }, 1),
    (Form::Mean { days: 7 }, 0),
    (Form::Mean { days: 7 }, 1),
    (Form::LastWeek, 0),
    (Form::LastWeek, 1),
    (Form::OrRecent { hours: 1 }, 1),
    (Form::WithRecent { hours: 1 }, 1),
    (Form::OrRecent { hours: 3 }, 1),
    (Form::WithRecent { hours: 3 }, 1),
    (Form::OrRecent { hours: 6 }, 1),
    (Form::WithRecent { hours: 6 }, 1),
    (Form::Ratio, 1),
];

/// Days that are looked back on.
const DAYS: usize = 7;
/// How far the ratio of two times of day is believed.
const MOST_RATIO: f64 = 3.0;

/// Limits from the same hours of earlier days.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Seasonal;

/// The peaks of one time of day.
struct Slots {
    /// That of so many days ago less one.
    peaks: [f64; DAYS],
    /// The days that there are: a day before the first sample is no idle day.
    known: usize,
}

impl Slots {
    /// Those of the next `hours`, and so many `around` them.
    fn next(past: &Past, hours: usize, around: usize) -> Slots {
        Slots::of(past, |day| past.peak_of_slot(day * DAY + around, hours + 2 * around))
    }

    fn of(past: &Past, peak: impl Fn(usize) -> f64) -> Slots {
        let peaks = std::array::from_fn(|before| peak(before + 1));
        Slots { peaks, known: past.hours_seen().div_ceil(DAY).max(1) }
    }

    fn max(&self, days: usize) -> f64 {
        self.peaks[..days].iter().copied().fold(0.0, f64::max)
    }

    fn mean(&self, days: usize) -> f64 {
        let days = days.min(self.known);
        self.peaks[..days].iter().sum::<f64>() / days as f64
    }
}

impl Form {
    fn limit(self, slots: &Slots, before: &Slots, past: &Past) -> f64 {
        match self {
            Form::Max { days } => slots.max(days),
            Form::Mean { days } => slots.mean(days),
            Form::LastWeek => slots.peaks[DAYS - 1],
            Form::OrRecent { hours } => slots.max(3).max(past.peak(hours)),
            Form::WithRecent { hours } => 0.5 * (slots.mean(DAYS) + past.peak(hours)),
            Form::Ratio => {
                let before: f64 = before.peaks.iter().sum::<f64>() / DAYS as f64;
                if before <= 0.0 {
                    return 0.0;
                }
                past.peak(3) * (slots.mean(DAYS) / before).clamp(1.0 / MOST_RATIO, MOST_RATIO)
            }
        }
    }
}

impl Members for Seasonal {
    fn names(&self) -> Vec<String> {
        let name = |(form, around): (Form, usize)| {
            let what = match form {
                Form::Max { days } => format!("peak of {days} days"),
                Form::Mean { days } => format!("mean of {days} days"),
                Form::LastWeek => "last week".to_owned(),
                Form::OrRecent { hours } => format!("peak of 3 days or {hours} h"),
                Form::WithRecent { hours } => format!("mean of 7 days and {hours} h"),
                Form::Ratio => "usual change on 3 h".to_owned(),
            };
            format!("same hours ±{around}: {what}")
        };
        MEMBERS.into_iter().map(name).collect()
    }

    fn limits(&self, past: &Past, hours: usize, limits: &mut Vec<f64>) {
        let slots = [0, 1].map(|around| Slots::next(past, hours, around));
        let before = Slots::of(past, |day| past.peak_of_slot(day * DAY + 3, 3));
        limits.extend(MEMBERS.into_iter().map(|(form, around)| form.limit(&slots[around], &before, past)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_hour_of_the_day_comes_again() {
        let mut past = Past::default();
        (0..8 * DAY).for_each(|hour| past.push(&[1.0 + (hour % DAY) as f64]));
        let mut limits = Vec::new();
        Seasonal.limits(&past, 2, &mut limits);
        assert_eq!(limits.len(), Seasonal.names().len());
        let of = |form, around| limits[MEMBERS.iter().position(|member| *member == (form, around)).unwrap()];
        assert_eq!(of(Form::Max { days: 3 }, 0), 2.0);
        assert_eq!(of(Form::Mean { days: 7 }, 0), 2.0);
        assert_eq!(of(Form::LastWeek, 1), 24.0);
        assert_eq!(of(Form::OrRecent { hours: 1 }, 1), 24.0);
        // From around midnight on to the night, as far as it is believed.
        (0..2).for_each(|hour| past.push(&[1.0 + hour as f64]));
        limits.clear();
        Seasonal.limits(&past, 2, &mut limits);
        assert_eq!(limits.last(), Some(&8.0));
    }
}
