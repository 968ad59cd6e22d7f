//! Which of the limits that are asked for become a quota: raises at once, cuts
//! only once several looks in a row agree.
//!
//! A raise that comes late is a violation; a cut that comes late costs a little.
//! Churn eats what sharp limits save, so a cut waits until all of the last
//! looks ask for less, and then goes only as low as the highest of them.

use std::collections::VecDeque;

/// Looks in a row that a cut needs.
pub const LOOKS: usize = 3;

/// The last limits that were asked for, and the one that stands.
#[derive(Debug, Clone, Default)]
pub struct Settling {
    asked: VecDeque<f64>,
    stands: f64,
}

impl Settling {
    /// The limit that stands after `wanted` is asked for; differences of up to
    /// `dead_band`, as a share, are left alone.
    pub fn ask(&mut self, wanted: f64, dead_band: f64) -> f64 {
        if self.asked.len() == LOOKS {
            self.asked.pop_front();
        }
        self.asked.push_back(wanted);
        if wanted > self.stands * (1.0 + dead_band) {
            self.stands = wanted;
        } else if self.agreed() < self.stands * (1.0 - dead_band) {
            self.stands = self.agreed();
        }
        self.stands
    }

    /// The limit that stands; 0 before the first.
    pub fn stands(&self) -> f64 {
        self.stands
    }

    /// The highest of the last looks, which a cut may not go below; 0 before the
    /// first.
    pub fn agreed(&self) -> f64 {
        self.asked.iter().copied().fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raises_come_at_once_and_cuts_once_three_looks_agree() {
        let mut settling = Settling::default();
        let mut ask = |wanted| settling.ask(wanted, 0.1);
        assert_eq!([ask(10.0), ask(10.5), ask(12.0)], [10.0, 10.0, 12.0]);
        assert_eq!([ask(5.0), ask(6.0), ask(5.0), ask(11.5)], [12.0, 12.0, 6.0, 11.5]);
        // A look that asks for more begins the count anew.
        assert_eq!([ask(5.0), ask(5.0), ask(5.0)], [11.5, 11.5, 5.0]);
    }
}
