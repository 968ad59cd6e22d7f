//! Demand is what a tenant would use without its quota. Usage at the quota is
//! only a lower bound of it, so a tenant that touches its quota often needs
//! more than its usage shows. What is learnt from is demand, not usage: else a
//! quota that was cut too far would prove itself right.

use std::time::Duration;

use super::StandingQuota;
use crate::domain::{Step, Timestamp};
use crate::series::UsageSeries;

/// How near to the quota a sample touches it, as a share of the quota.
const TOUCHES_FROM: f64 = 0.99;
/// Up to where a sample can be held down by the quota; what lies higher shows
/// that the quota holds nothing down.
const TOUCHES_TO: f64 = 1.01;
/// The share of the last day's samples that makes a tenant pinned.
const PINNED_SHARE: f64 = 0.05;
/// How far back is looked.
const LOOK_BACK: Duration = Duration::from_secs(86_400);
/// One in so many of an hour's samples at the quota makes them lower bounds.
const ONE_IN: usize = 4;
/// What a sample that is held down is taken for, and how far above a sample
/// that was a surprise the guard lifts the quota.
pub const HEADROOM: f64 = 1.2;

/// The share of the last day's samples that touch the quota, where it is
/// large enough to say that the usage is pinned there. What was before the
/// quota's last change says nothing of the quota that stands.
pub(super) fn pinned_share(usage: &UsageSeries, quota: &StandingQuota) -> Option<f64> {
    let since = usage.end().minus(LOOK_BACK).max(quota.since.unwrap_or_default());
    let (mut samples, mut touching) = (0_u32, 0_u32);
    for value in since_instant(usage, since) {
        samples += 1;
        touching += u32::from(value >= TOUCHES_FROM * quota.limit);
    }
    let share = f64::from(touching) / f64::from(samples.max(1));
    // Right after a change there are few samples, and one of them is no proof.
    let of_a_day = f64::from(touching) / usage.step.count_in(LOOK_BACK).max(1) as f64;
    let known = share >= PINNED_SHARE && (of_a_day >= PINNED_SHARE || quota.since.is_none());
    known.then_some(share)
}

/// The samples of an hour as demand: where many of them are held down by the
/// quota, each of those is taken for [`HEADROOM`] times the quota.
pub(super) fn of_hour(samples: &mut [f64], hour: Timestamp, quota: &StandingQuota) {
    if quota.since.is_some_and(|since| hour < since) {
        return;
    }
    let touches = |sample: f64| (TOUCHES_FROM..TOUCHES_TO).contains(&(sample / quota.limit));
    let touching = samples.iter().filter(|sample| touches(**sample)).count();
    if touching > 0 && touching * ONE_IN >= samples.len() {
        samples
            .iter_mut()
            .filter(|sample| touches(**sample))
            .for_each(|sample| *sample = HEADROOM * quota.limit);
    }
}

/// The samples of a usage series as demand, sorted upwards.
pub fn sorted(usage: &UsageSeries, quota: &StandingQuota) -> Vec<f64> {
    let an_hour = Step::HOUR.duration();
    let mut all: Vec<f64> = Vec::with_capacity(usage.len());
    let mut index = 0;
    while index < usage.len() {
        let (at, hour) = (usage.at(index), usage.at(index).floor_to(Step::HOUR));
        let length = usage.step.count_in(hour.plus(an_hour).since(at)).max(1);
        let begin = all.len();
        let samples = usage.values.iter().skip(index).take(length).copied();
        all.extend(samples.filter(|sample| sample.is_finite()));
        of_hour(&mut all[begin..], hour, quota);
        index += length;
    }
    all.sort_unstable_by(f64::total_cmp);
    all
}

/// Where the guard lifts a quota to: usage since `from` has lain above `limit`
/// more often than `budget` allows for the `hours` that the limit was meant
/// for, and more than once. `None` where there is no such surprise.
pub(super) fn guard(
    usage: &UsageSeries,
    from: Timestamp,
    hours: usize,
    limit: f64,
    budget: f64,
) -> Option<f64> {
    let mut above: Vec<f64> =
        since_instant(usage, from).filter(|value| *value > limit * (1.0 + 1e-6)).collect();
    let samples = usage.step.count_in(Step::HOUR.duration()).max(1) * hours;
    let allowed = (budget * samples as f64).max(1.0);
    above.sort_unstable_by(f64::total_cmp);
    above.last().filter(|_| above.len() as f64 > allowed).map(|highest| HEADROOM * highest)
}

fn since_instant(usage: &UsageSeries, from: Timestamp) -> impl Iterator<Item = f64> + '_ {
    let skipped = usage.step.count_in(from.since(usage.start));
    let values = usage.values.iter().skip(skipped);
    values.copied().filter(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(values: Vec<f64>) -> UsageSeries {
        UsageSeries { start: Timestamp::from_seconds(0), step: Step::FIVE_MINUTES, values: values.into() }
    }

    fn always(limit: f64) -> StandingQuota {
        StandingQuota::first(limit)
    }

    #[test]
    fn only_the_last_day_counts() {
        let mut values = vec![2.0; 288];
        values.extend(vec![1.0; 288]);
        let mut usage = usage(values);
        assert_eq!(pinned_share(&usage, &always(2.0)), None);
        usage.values.iter_mut().rev().take(29).for_each(|value| *value = 1.99);
        assert!(pinned_share(&usage, &always(2.0)).is_some_and(|share| (0.1..0.11).contains(&share)));
    }

    #[test]
    fn what_was_before_the_last_change_says_nothing() {
        let usage = usage([vec![2.0; 276], vec![1.5; 12]].concat());
        let since = Some(usage.at(276));
        assert_eq!(pinned_share(&usage, &StandingQuota { since, ..always(1.9) }), None);
        assert_eq!(
            pinned_share(&usage, &StandingQuota { since, ..always(1.5) }),
            None,
            "an hour is too short"
        );
    }

    #[test]
    fn held_down_samples_are_lower_bounds() {
        let hour = Timestamp::from_seconds(3600);
        let demand = |samples: &[f64], quota: &StandingQuota| {
            let mut samples = samples.to_vec();
            of_hour(&mut samples, hour, quota);
            samples
        };
        assert_eq!(demand(&[1.0, 2.0, 1.99, 1.0], &always(2.0)), [1.0, 2.4, 2.4, 1.0]);
        assert_eq!(demand(&[1.0, 1.0, 1.0, 1.0, 2.0], &always(2.0)), [1.0, 1.0, 1.0, 1.0, 2.0]);
        assert_eq!(demand(&[3.0, 3.0], &always(2.0)), [3.0, 3.0], "nothing holds it down");
        let later = StandingQuota { since: Some(Timestamp::from_seconds(7200)), ..always(2.0) };
        assert_eq!(demand(&[2.0, 2.0], &later), [2.0, 2.0]);
    }

    #[test]
    fn all_samples_are_taken_hour_by_hour() {
        let start = Timestamp::from_seconds(3000);
        let values = vec![1.0, 2.0, f64::NAN, 2.0, 2.0, 1.0];
        let usage = UsageSeries { start, step: Step::FIVE_MINUTES, values: values.into() };
        assert_eq!(sorted(&usage, &always(2.0)), [1.0, 1.0, 2.4, 2.4, 2.4]);
        let hourly = UsageSeries { start, step: Step::HOUR, values: vec![3.0, 1.0, 2.0].into() };
        assert_eq!(sorted(&hourly, &always(5.0)), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn the_guard_answers_more_than_the_budget_of_the_interval() {
        let spike = |length: usize| {
            let values = (0..288).map(|i| if i >= 200 && i < 200 + length { 5.0 } else { 1.0 }).collect();
            let usage = usage(values);
            guard(&usage, usage.start, 24, 2.0, 0.01)
        };
        assert_eq!(spike(2), None);
        assert_eq!(spike(3), Some(6.0));
        let usage = usage(vec![5.0; 288]);
        assert_eq!(guard(&usage, usage.end(), 24, 2.0, 0.01), None);
    }
}
