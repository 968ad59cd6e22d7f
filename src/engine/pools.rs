//! What a fleet knows together when its quotas are sized: the mean usage of a
//! tenant, and the regressions over all series.
//!
//! The regressions are memory that the history can make again. They are made
//! before the walks, and anew when the next is due.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use crate::domain::{ApplyMode, Cadence, Resource, Step, Tenant};
use crate::rightsize::pool::{EVERY, MOST_SERIES};
use crate::rightsize::{Others, Pool, hour_number};
use crate::series::{Frame, UsageSeries};

/// Over which usage the fleet's mean is taken.
const MEAN_OVER: Duration = Duration::from_secs(7 * 86_400);

/// Regressions by resource and the hours that limits hold for, each with the
/// turn that it was made in.
pub(super) type Pools = BTreeMap<(Resource, usize), (i64, Arc<Pool>)>;

/// What is known of a fleet.
#[derive(Debug, Default)]
pub(super) struct Known {
    means: BTreeMap<Resource, f64>,
    pools: Pools,
    none: Pool,
}

impl Known {
    /// For a series of this resource whose limits hold for `hours`.
    pub fn others(&self, resource: Resource, hours: usize) -> Others<'_> {
        let mean = self.means.get(&resource).copied().unwrap_or(0.0);
        let pool = self.pools.get(&(resource, hours)).map_or(&self.none, |(_, pool)| pool);
        Others { mean, pool }
    }
}

impl Engine {
    /// What the fleet knows, for the cadences that these tenants are walked at.
    pub(super) fn known(&self, tenants: &[Tenant]) -> Known {
        let frames = self.workspace.all_frames();
        let mean = |frame: &Arc<Frame>| Some((frame.resource, fleet_mean(frame)?));
        let means = frames.iter().filter_map(mean).collect();
        let cadences: BTreeSet<usize> = tenants.iter().flat_map(|tenant| self.hours_walked(tenant)).collect();
        let mut pools = std::mem::take(&mut *self.workspace.pools.lock());
        pools.retain(|(_, hours), _| cadences.contains(hours));
        for frame in &frames {
            let Some(end) = frame.series.values().map(UsageSeries::end).max() else { continue };
            let turn = hour_number(end).div_euclid(EVERY);
            for hours in &cadences {
                let key = (frame.resource, *hours);
                if pools.get(&key).is_none_or(|(made, _)| *made != turn) {
                    pools.insert(key, (turn, Arc::new(pool(frame, *hours))));
                }
            }
        }
        self.workspace.pools.lock().clone_from(&pools);
        Known { means, pools, none: Pool::default() }
    }

    /// For how many hours the limits may hold that a tenant's quotas are tried
    /// with. A person can't be asked several times a day, so without approved
    /// mode it is the day; a limit that holds for less than the cool-down would
    /// come too late.
    pub(super) fn hours_walked(&self, tenant: &Tenant) -> Vec<usize> {
        let asked = tenant.cadence.unwrap_or(self.settings().rightsizing.cadence);
        if let Some(hours) = Cadence::hours(asked) {
            return vec![hours];
        }
        let mut all = vec![24];
        if tenant.apply_mode == ApplyMode::Approved {
            let cool_down = self.settings().guardrails.cool_down.as_secs_f64() / 3600.0;
            all.extend([6, 1].into_iter().filter(|hours| *hours as f64 >= cool_down));
        }
        all
    }
}

/// The regressions over the series of a frame that hold most of its past.
fn pool(frame: &Frame, hours: usize) -> Pool {
    let mut series: Vec<&UsageSeries> = frame.series.values().collect();
    series.sort_by_key(|series| series.start);
    series.truncate(MOST_SERIES);
    let Some(first) = series.first().map(|series| hour_number(series.start)) else { return Pool::default() };
    let by_hour: Vec<Vec<Vec<f64>>> = series.into_iter().map(|series| whole_hours(series, first)).collect();
    let fleet: Vec<&[Vec<f64>]> = by_hour.iter().map(Vec::as_slice).collect();
    Pool::of(&fleet, first, hours)
}

/// The samples of each hour that is over, from the hour of number `first` on.
fn whole_hours(series: &UsageSeries, first: i64) -> Vec<Vec<f64>> {
    let over = usize::try_from(hour_number(series.end()) - first).unwrap_or(0);
    let mut hours = vec![Vec::with_capacity(series.step.count_in(Step::HOUR.duration())); over];
    for (index, value) in series.values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
        let hour = usize::try_from(hour_number(series.at(index)) - first).unwrap_or(usize::MAX);
        if let Some(hour) = hours.get_mut(hour) {
            hour.push(*value);
        }
    }
    hours
}

fn fleet_mean(frame: &Frame) -> Option<f64> {
    let means = frame.series.values().filter_map(|series| {
        let skipped = series.len().saturating_sub(series.step.count_in(MEAN_OVER));
        let known = series.values.iter().skip(skipped).filter(|value| value.is_finite());
        let (sum, count) = known.fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        (count > 0.0).then(|| sum / count)
    });
    let (sum, count) = means.fold((0.0, 0.0), |(sum, count), mean| (sum + mean, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn hours_are_counted_from_the_first_and_the_one_that_runs_is_left_out() {
        let start = Timestamp::from_seconds(5 * 3600 + 1800);
        let values: Vec<f64> =
            (0..20).map(|index| if index == 7 { f64::NAN } else { f64::from(index) }).collect();
        let series = UsageSeries { start, step: Step::FIVE_MINUTES, values: values.into() };
        let hours = whole_hours(&series, 4);
        assert_eq!(hours.iter().map(Vec::len).collect::<Vec<_>>(), [0, 6, 11]);
        assert_eq!(hours[2][..2], [6.0, 8.0]);
    }
}
