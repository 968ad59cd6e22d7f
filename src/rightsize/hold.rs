//! Which changes are worth making: raises at once, cuts only when they pay and
//! the day's allowance of changes lets them.
//!
//! The allowance fills evenly and at most a day's worth is saved up, or two
//! changes where a day has fewer: over many days the number of changes a day
//! holds, within one it may be twice that. A cut is made only where a change is
//! left for the raise that may have to follow.

use serde::{Deserialize, Serialize};

/// The most that a limit may lie above what is asked for while the allowance
/// is whole, as a share of it.
const CUT_BELOW: f64 = 0.97;
/// How much larger a cut has to be where the allowance is nearly used up.
const SCARCITY: f64 = 0.4;
/// The changes that are there before a cut takes one: its own, and the one of
/// the raise that may have to follow.
const CUT_AND_RAISE: f64 = 2.0;
/// A difference that is no change.
const SAME: f64 = 0.01;

/// The limit that stands, with an allowance of changes that fills evenly.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hold {
    current: f64,
    /// The changes that are left.
    allowance: f64,
    per_day: f64,
}

impl Hold {
    /// With at most so many changes a day.
    pub fn new(per_day: f64) -> Self {
        Hold { current: 0.0, allowance: whole(per_day), per_day }
    }

    /// The limit that stands; 0 before the first.
    pub fn current(&self) -> f64 {
        self.current
    }

    /// The limit for the next `hours` where `wanted` is asked for.
    pub fn next(&mut self, wanted: f64, hours: usize) -> f64 {
        let whole = whole(self.per_day);
        self.allowance = (self.allowance + self.per_day * hours as f64 / 24.0).min(whole);
        let scarcity = 1.0 - self.allowance / whole;
        let raise = wanted > self.current * (1.0 + SAME) && self.allowance >= 1.0;
        let cut =
            wanted < self.current * (CUT_BELOW - SCARCITY * scarcity) && self.allowance >= CUT_AND_RAISE;
        if raise || cut {
            self.allowance -= 1.0;
            self.current = wanted;
        }
        self.current
    }
}

/// The most changes that are saved up.
fn whole(per_day: f64) -> f64 {
    per_day.max(CUT_AND_RAISE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raises_at_once_and_cuts_when_it_pays() {
        let mut hold = Hold::new(8.0);
        assert_eq!(hold.next(10.0, 1), 10.0);
        assert_eq!(hold.next(9.8, 1), 10.0);
        assert_eq!(hold.next(10.5, 1), 10.5);
        assert_eq!(hold.next(4.0, 1), 4.0);
    }

    #[test]
    fn a_cut_leaves_a_change_for_the_raise_however_few_there_are() {
        for per_day in [0.1, 0.5, 1.0] {
            let mut hold = Hold::new(per_day);
            assert_eq!(hold.next(10.0, 24), 10.0);
            let mut waited = 0;
            while hold.next(2.0, 24) > 2.0 {
                waited += 1;
                assert!(waited < 12, "{per_day} a day");
            }
            assert_eq!(hold.next(10.0, 24), 10.0, "{per_day} a day: back at once");
        }
    }

    #[test]
    fn never_changes_more_often_than_allowed() {
        let mut hold = Hold::new(8.0);
        let (mut changes, mut before) = (0, 0.0);
        for hour in 0..240 {
            let limit = hold.next(if hour % 2 == 0 { 1.0 } else { 9.0 }, 1);
            changes += u32::from(limit != before);
            before = limit;
        }
        assert!((70..=88).contains(&changes), "{changes}");
    }
}
