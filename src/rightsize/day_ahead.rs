//! A day of limits ahead, one an hour, for platforms that can follow a
//! schedule: 24 changes that are known a day before are one decision.
//!
//! At each midnight (UTC) the same hours of earlier days say what each hour of
//! the coming day may need; the day shows what that was worth, and the margins
//! that would have held the budget are carried over. A schedule is only given
//! where this backtest says that it holds.

use serde::{Deserialize, Serialize};

use super::ledger::{Bounds, Choice, Ledger, Sorted};
use super::past::{DAY, KEPT_HOURS, Past};

/// Days that must have been tried before a schedule is given.
const LEAST_DAYS: usize = 7;
/// No hour is set above this many times the peak of two weeks.
const CAP: f64 = 1.3;
/// Hours on either side that are looked at as well.
const AROUND: usize = 1;

/// How the same hours of earlier days are made into a limit: each over the
/// last days, as the largest of their peaks or the mean of them.
const WAYS: [(usize, bool); 6] = [(1, true), (3, true), (7, true), (14, true), (3, false), (7, false)];

/// The backtest of schedules.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DayAhead {
    ledger: Ledger,
    /// What was said at the last midnight: a row an hour of that day.
    said: Vec<[f64; WAYS.len()]>,
    days: usize,
}

/// A day of limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The limits of the 24 hours that come, in the unit of the samples.
    pub hours: Vec<f64>,
    /// The share of past samples that would have lain above such limits.
    pub violations: f64,
    /// The days that this was tried on.
    pub days: usize,
}

impl Default for DayAhead {
    fn default() -> Self {
        DayAhead { ledger: Ledger::new(WAYS.len()), said: Vec::new(), days: 0 }
    }
}

impl DayAhead {
    /// Learns from the hour that `past` ends with; `hour_of_day` is its own, 0
    /// to 23. At the end of a day the next one is planned.
    pub fn observe(&mut self, past: &Past, hour_of_day: usize) {
        self.ledger.fade();
        if let Some(limits) = self.said.get(hour_of_day) {
            let mut samples = Sorted::default();
            samples.fill(past.last_hour_sorted().iter().copied());
            self.ledger.record(limits, &samples, 1);
        }
        if hour_of_day + 1 == DAY && past.hours_seen() >= DAY {
            self.days += usize::from(!self.said.is_empty());
            self.said = (0..DAY).map(|ahead| said(past, ahead)).collect();
        }
    }

    /// The 24 hours that follow on `past`; `None` where the backtest does not
    /// say that they hold the bounds.
    pub fn plan(&self, past: &Past, bounds: &Bounds) -> Option<Plan> {
        if self.days < LEAST_DAYS {
            return None;
        }
        let Choice::Within(mix) = self.ledger.choose(bounds)? else { return None };
        let cap = CAP * past.peak(KEPT_HOURS);
        let of_hour = |ahead| {
            let said = said(past, ahead);
            let limit: f64 =
                mix.iter().map(|(entry, weight)| weight * entry.margin * said[entry.policy]).sum();
            limit.min(cap)
        };
        let violations = mix.iter().map(|(entry, weight)| weight * entry.share).sum();
        Some(Plan { hours: (0..DAY).map(of_hour).collect(), violations, days: self.days })
    }
}

/// What each way says of the hour that begins `ahead` hours after the past.
fn said(past: &Past, ahead: usize) -> [f64; WAYS.len()] {
    let known = past.hours_seen().div_ceil(DAY).max(1);
    WAYS.map(|(days, largest)| {
        let peaks = (1..=days.min(known)).map(|day| slot(past, day * DAY, ahead));
        if largest { peaks.fold(0.0, f64::max) } else { peaks.sum::<f64>() / days.min(known) as f64 }
    })
}

/// The peak around the hour that lies `ago` hours before the one `ahead`; the
/// part of it that has not come yet is left out.
fn slot(past: &Past, ago: usize, ahead: usize) -> f64 {
    let first = (ago + AROUND).saturating_sub(ahead);
    past.peak_of_slot(first, (1 + 2 * AROUND).min(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(days: usize, value: impl Fn(usize) -> f64) -> (DayAhead, Past) {
        let (mut ahead, mut past) = (DayAhead::default(), Past::default());
        for hour in 0..days * DAY {
            past.push(&[value(hour); 12]);
            ahead.observe(&past, hour % DAY);
        }
        (ahead, past)
    }

    const BOUNDS: Bounds = Bounds { target: 0.01, price: 0.0 };

    #[test]
    fn a_rhythm_is_planned_hour_by_hour() {
        let office = |hour: usize| if (8..18).contains(&(hour % DAY)) { 10.0 } else { 2.0 };
        let (ahead, past) = learnt(15, office);
        let plan = ahead.plan(&past, &BOUNDS).unwrap();
        assert_eq!(plan.hours.len(), DAY);
        assert!(plan.violations <= 0.01, "{plan:?}");
        for (hour, limit) in plan.hours.iter().enumerate() {
            assert!(*limit >= office(hour) && *limit <= 13.0, "{hour}: {limit}");
        }
        assert!(plan.hours[2] < 3.0 && plan.hours[12] >= 10.0, "{plan:?}");
    }

    #[test]
    fn what_has_no_rhythm_or_no_past_gets_no_plan() {
        let (ahead, past) = learnt(5, |_| 1.0);
        assert_eq!(ahead.plan(&past, &BOUNDS), None);
        // Every day is far above all days before.
        let (ahead, past) = learnt(15, |hour| 10.0_f64.powi((hour / DAY) as i32));
        assert_eq!(ahead.plan(&past, &BOUNDS), None);
    }
}
