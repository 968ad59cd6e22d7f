//! Which of the limits that are asked for become a quota: raises at once, cuts
//! only where that is settled.
//!
//! A raise that comes late is a violation; a cut that comes late costs a little,
//! and churn eats what sharp limits save. Where a quota holds for a day, and a
//! person may have to say yes to each change, a cut waits until all of the last
//! looks ask for less, and then goes only as low as the highest of them. Where
//! it holds for hours, the allowance of changes decides, as in a replay
//! ([`Hold`]).

use std::collections::VecDeque;

use super::Course;
use super::hold::Hold;
use super::past::DAY;

/// Looks in a row that a cut of a quota for days needs.
pub const LOOKS: usize = 3;

/// What settles a limit, and the one that stands.
#[derive(Debug, Clone)]
pub enum Settling {
    /// For quotas that hold for a day.
    ByLooks(Looks),
    /// For quotas that hold for some hours.
    ByAllowance(Hold, usize),
}

impl Settling {
    /// For limits that are set on this course.
    pub fn new(course: &Course) -> Self {
        match course.hours {
            DAY.. => Settling::ByLooks(Looks { dead_band: course.dead_band, ..Looks::default() }),
            hours => Settling::ByAllowance(Hold::new(course.changes_per_day), hours),
        }
    }

    /// The limit that stands after `wanted` is asked for.
    pub fn ask(&mut self, wanted: f64) -> f64 {
        match self {
            Settling::ByLooks(looks) => looks.ask(wanted),
            Settling::ByAllowance(hold, hours) => hold.next(wanted, *hours),
        }
    }

    /// The limit that stands; 0 before the first.
    pub fn stands(&self) -> f64 {
        match self {
            Settling::ByLooks(looks) => looks.stands,
            Settling::ByAllowance(hold, _) => hold.current(),
        }
    }

    /// What a raise is for, where `wanted` was asked for last: more than the
    /// allowance lets stand is not asked of anybody.
    pub fn raised_to(&self, wanted: f64) -> f64 {
        match self {
            Settling::ByLooks(_) => wanted,
            Settling::ByAllowance(hold, _) => hold.current(),
        }
    }

    /// What a cut may not go below; 0 before the first.
    pub fn agreed(&self) -> f64 {
        match self {
            Settling::ByLooks(looks) => looks.agreed(),
            Settling::ByAllowance(hold, _) => hold.current(),
        }
    }
}

/// The last limits that were asked for, and the one that stands.
#[derive(Debug, Clone, Default)]
pub struct Looks {
    asked: VecDeque<f64>,
    stands: f64,
    /// Differences that are left alone, as a share.
    dead_band: f64,
}

impl Looks {
    fn ask(&mut self, wanted: f64) -> f64 {
        if self.asked.len() == LOOKS {
            self.asked.pop_front();
        }
        self.asked.push_back(wanted);
        if wanted > self.stands * (1.0 + self.dead_band) {
            self.stands = wanted;
        } else if self.agreed() < self.stands * (1.0 - self.dead_band) {
            self.stands = self.agreed();
        }
        self.stands
    }

    /// The highest of the last looks.
    fn agreed(&self) -> f64 {
        self.asked.iter().copied().fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(hours: usize) -> Settling {
        Settling::new(&Course { budget: 0.01, hours, dead_band: 0.1, changes_per_day: 4.0 })
    }

    #[test]
    fn hours_go_by_their_allowance() {
        let mut settling = of(1);
        let asked = [10.0, 2.0, 3.0, 4.0, 5.0].map(|wanted| settling.ask(wanted));
        assert_eq!(asked, [10.0, 2.0, 3.0, 4.0, 4.0], "four changes a day");
        assert_eq!((settling.agreed(), settling.raised_to(9.0)), (4.0, 4.0));
    }

    #[test]
    fn raises_come_at_once_and_cuts_once_three_looks_agree() {
        let mut settling = of(24);
        let mut ask = |wanted| settling.ask(wanted);
        assert_eq!([ask(10.0), ask(10.5), ask(12.0)], [10.0, 10.0, 12.0]);
        assert_eq!([ask(5.0), ask(6.0), ask(5.0), ask(11.5)], [12.0, 12.0, 6.0, 11.5]);
        // A look that asks for more begins the count anew.
        assert_eq!([ask(5.0), ask(5.0), ask(5.0)], [11.5, 11.5, 5.0]);
    }
}
