//! A day's plan made into a schedule that a quota can follow: few steps, and
//! none so deep that the guardrails would not let the next one lead back up.
//!
//! A schedule is made once, at midnight (UTC), and is then followed without
//! looking again, so that its owner knows a day before what will change when.
//! Where there is none for a day, the limit for the whole day holds.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::day_ahead::Plan;
use super::past::DAY;
use crate::domain::{Step, Timestamp};

/// A schedule is worth following where its mean is below this share of the
/// limit for the whole day.
pub const PAYS: f64 = 0.9;

/// How far a schedule may go.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Reach {
    /// The most changes a day, above 0.
    pub most_changes: usize,
    /// The lowest step, as a share of the highest, 0 to 1.
    pub lowest: f64,
}

/// The step of a schedule that holds at some hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stair {
    /// The limit, in the unit of the samples.
    pub limit: f64,
    /// Since when it holds.
    pub since: Timestamp,
    /// For how many hours.
    pub hours: usize,
}

/// What is followed today, and what was yesterday.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Followed {
    today: Option<(Timestamp, Plan)>,
    before: Vec<f64>,
}

impl Followed {
    /// Begins a day, with the plan for it if there is one.
    pub fn begin_day(&mut self, from: Timestamp, plan: Option<Plan>) {
        self.before = self.today.take().map_or_else(Vec::new, |(_, plan)| plan.hours);
        self.today = plan.map(|plan| (from, plan));
    }

    /// The plan that is followed at `hour`, with its first hour.
    pub fn plan_at(&self, hour: Timestamp) -> Option<&(Timestamp, Plan)> {
        self.today.as_ref().filter(|(from, plan)| place(*from, hour) < plan.hours.len())
    }

    /// The step that holds in the hour that begins at `hour`.
    pub fn step_at(&self, hour: Timestamp) -> Option<Stair> {
        let (from, plan) = self.plan_at(hour)?;
        let place = place(*from, hour);
        let limit = *plan.hours.get(place)?;
        let first = plan.hours[..place].iter().rposition(|other| *other != limit).map_or(0, |last| last + 1);
        let length = plan.hours[first..].iter().take_while(|other| **other == limit).count();
        let since = from.plus(Step::HOUR.duration() * u32::try_from(first).unwrap_or(u32::MAX));
        Some(Stair { limit, since, hours: length })
    }

    /// The limits of today's and of yesterday's schedule.
    pub fn limits(&self) -> impl Iterator<Item = f64> {
        let today = self.today.iter().flat_map(|(_, plan)| plan.hours.iter());
        today.chain(&self.before).copied()
    }
}

/// Which hour of the day that begins at `from` begins at `hour`.
fn place(from: Timestamp, hour: Timestamp) -> usize {
    let gone: Duration = hour.since(from);
    usize::try_from(gone.as_secs() / 3600).unwrap_or(usize::MAX)
}

impl Plan {
    /// The same plan in as few steps as `reach` asks for, at the least mean; no
    /// hour gets less than before.
    #[must_use]
    pub fn within(mut self, reach: &Reach) -> Plan {
        let highest = self.hours.iter().copied().fold(0.0, f64::max);
        let lifted: Vec<f64> = self.hours.iter().map(|hour| hour.max(reach.lowest * highest)).collect();
        self.hours = in_steps(&lifted, reach.most_changes.clamp(1, DAY));
        self
    }

    /// The mean of its hours.
    pub fn mean(&self) -> f64 {
        self.hours.iter().sum::<f64>() / self.hours.len().max(1) as f64
    }
}

/// The lightest staircase of at most `most` steps that lies nowhere below
/// `hours`: dynamic programming over where the last step begins.
fn in_steps(hours: &[f64], most: usize) -> Vec<f64> {
    let count = hours.len();
    // The weight of the lightest staircase over the first so many hours, and
    // where its last step begins; one row for each number of steps.
    let mut rows: Vec<Vec<(f64, usize)>> = vec![vec![(f64::INFINITY, 0); count + 1]; most + 1];
    rows[0][0].0 = 0.0;
    for steps in 1..=most {
        rows[steps][0].0 = 0.0;
        for end in 1..=count {
            let mut highest = 0.0_f64;
            for begin in (0..end).rev() {
                highest = highest.max(hours[begin]);
                let weight = rows[steps - 1][begin].0 + highest * (end - begin) as f64;
                if weight < rows[steps][end].0 {
                    rows[steps][end] = (weight, begin);
                }
            }
        }
    }
    let mut stairs = vec![0.0; count];
    let (mut end, mut steps) = (count, most);
    while end > 0 && steps > 0 {
        let begin = rows[steps][end].1;
        let highest = hours[begin..end].iter().copied().fold(0.0, f64::max);
        stairs[begin..end].fill(highest);
        (end, steps) = (begin, steps - 1);
    }
    stairs
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIDNIGHT: Timestamp = Timestamp::from_seconds(20_000 * 86_400);

    fn at(hour: u32) -> Timestamp {
        MIDNIGHT.plus(Step::HOUR.duration() * hour)
    }

    fn plan(hours: Vec<f64>) -> Plan {
        Plan { hours, violations: 0.0, days: 7 }
    }

    fn changes(hours: &[f64]) -> usize {
        hours.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    #[test]
    fn an_office_day_needs_three_steps() {
        let office =
            (0..24).map(|hour| if (8..18).contains(&hour) { 10.0 } else { 2.0 + 0.01 * f64::from(hour) });
        let stairs = plan(office.collect()).within(&Reach { most_changes: 3, lowest: 0.0 }).hours;
        assert_eq!(changes(&stairs), 2);
        assert_eq!((stairs[0], stairs[7], stairs[8], stairs[17], stairs[18]), (2.07, 2.07, 10.0, 10.0, 2.23));
        let shallow = plan(stairs).within(&Reach { most_changes: 3, lowest: 0.7 }).hours;
        assert_eq!((shallow[0], shallow[12], shallow[23]), (7.0, 10.0, 7.0));
    }

    #[test]
    fn a_day_is_followed_and_then_over() {
        let mut followed = Followed::default();
        assert_eq!(followed.step_at(MIDNIGHT), None);
        followed.begin_day(MIDNIGHT, Some(plan([vec![2.0; 8], vec![10.0; 10], vec![2.0; 6]].concat())));
        assert_eq!(followed.step_at(at(9)), Some(Stair { limit: 10.0, since: at(8), hours: 10 }));
        assert_eq!(followed.step_at(at(23)), Some(Stair { limit: 2.0, since: at(18), hours: 6 }));
        assert_eq!(followed.step_at(at(24)), None);
        followed.begin_day(at(24), None);
        assert_eq!((followed.step_at(at(24)), followed.limits().count()), (None, 24));
        followed.begin_day(at(48), None);
        assert_eq!(followed.limits().count(), 0);
    }

    proptest! {
        #[test]
        fn stairs_lie_above_the_plan_in_no_more_steps_than_allowed(
            hours in prop::collection::vec(0.1..100.0_f64, 24),
            most in 1..=24_usize,
        ) {
            let stairs = in_steps(&hours, most);
            prop_assert!(stairs.iter().zip(&hours).all(|(stair, hour)| stair >= hour));
            prop_assert!(changes(&stairs) < most);
            if most == 24 {
                prop_assert_eq!(&stairs, &hours);
            } else {
                let finer = in_steps(&hours, most + 1);
                prop_assert!(finer.iter().sum::<f64>() <= stairs.iter().sum::<f64>() + 1e-9);
            }
        }
    }
}
