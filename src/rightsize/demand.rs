//! Demand is what a tenant would use without its quota. Usage at the quota is
//! only a lower bound of it, so a tenant that touches its quota often needs
//! more than its usage shows.

use std::time::Duration;

use crate::series::UsageSeries;

/// How near to the quota a sample touches it, as a share of the quota.
const TOUCHES_FROM: f64 = 0.99;
/// The share of the last day's samples that makes a tenant pinned.
const PINNED_SHARE: f64 = 0.05;
/// How far back is looked.
const LOOK_BACK: Duration = Duration::from_secs(86_400);

/// The share of the last day's samples that touch the quota, where it is
/// large enough to say that the usage is pinned there.
pub(super) fn pinned_share(usage: &UsageSeries, quota: f64) -> Option<f64> {
    let since = usage.end().minus(LOOK_BACK);
    let recent = (0..usage.len()).filter(|index| usage.at(*index) >= since).map(|index| usage.values[index]);
    let (mut samples, mut touching) = (0_u32, 0_u32);
    for value in recent.filter(|value| value.is_finite()) {
        samples += 1;
        touching += u32::from(value >= TOUCHES_FROM * quota);
    }
    let share = f64::from(touching) / f64::from(samples.max(1));
    (share >= PINNED_SHARE).then_some(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Step, Timestamp};

    #[test]
    fn only_the_last_day_counts() {
        let mut values = vec![2.0; 288];
        values.extend(vec![1.0; 288]);
        let mut usage = UsageSeries {
            start: Timestamp::from_seconds(0),
            step: Step::FIVE_MINUTES,
            values: values.into(),
        };
        assert_eq!(pinned_share(&usage, 2.0), None);
        usage.values.iter_mut().rev().take(29).for_each(|value| *value = 1.99);
        assert!(pinned_share(&usage, 2.0).is_some_and(|share| (0.1..0.11).contains(&share)));
    }
}
