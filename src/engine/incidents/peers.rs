//! Who behaves alike: tenants grouped by the shape of their day, so that an
//! incident can say whether it is one tenant's or everybody's.
//!
//! Each tenant's profile is its mean usage in each hour of the day over the
//! last week, divided by its overall mean. The profiles are grouped by k-means
//! (linfa-clustering, k-means++ with a fixed seed) into about the root of half
//! as many groups as there are tenants. Where fewer than eight have a profile,
//! the tenants of the same tier are the peers.

use std::collections::BTreeMap;

use linfa::DatasetBase;
use linfa::traits::{Fit, Predict};
use linfa_clustering::KMeans;
use ndarray::Array2;

use crate::domain::{Step, TenantId};
use crate::series::Frame;

const HOURS: usize = 24;
/// The least profiles that are grouped, and the most: more say the same.
const LEAST_PROFILES: usize = 8;
const MOST_PROFILES: usize = 2000;
/// The days that make a profile.
const DAYS: i64 = 7;
const LEAST_GROUPS: usize = 2;
const MOST_GROUPS: usize = 8;
const ITERATIONS: u64 = 50;

/// The group of each tenant that has a profile; empty where they are too few.
pub(super) fn groups(frame: &Frame) -> BTreeMap<TenantId, usize> {
    let profiles: Vec<(&TenantId, [f64; HOURS])> = frame
        .series
        .iter()
        .filter_map(|(tenant, series)| Some((tenant, profile(series)?)))
        .take(MOST_PROFILES)
        .collect();
    if profiles.len() < LEAST_PROFILES {
        return BTreeMap::new();
    }
    let wanted = (profiles.len() as f64 / 2.0).sqrt().round() as usize;
    let table = Array2::from_shape_fn((profiles.len(), HOURS), |(tenant, hour)| profiles[tenant].1[hour]);
    let dataset = DatasetBase::from(table);
    let clusters = wanted.clamp(LEAST_GROUPS, MOST_GROUPS);
    let fitted = KMeans::params(clusters).max_n_iterations(ITERATIONS).fit(&dataset);
    let Ok(model) = fitted else { return BTreeMap::new() };
    let groups = model.predict(dataset.records());
    profiles.into_iter().map(|(tenant, _)| tenant.clone()).zip(groups).collect()
}

/// `None` where an hour of the day has no sample, or all is zero.
fn profile(series: &crate::series::UsageSeries) -> Option<[f64; HOURS]> {
    let wanted = usize::try_from(DAYS * 24 * Step::HOUR.millis() / series.step.millis()).ok()?;
    let (mut sums, mut counts) = ([0.0; HOURS], [0_u32; HOURS]);
    for index in series.len().saturating_sub(wanted)..series.len() {
        let value = series.values[index];
        if value.is_finite() {
            let hour = series.at(index).seconds().div_euclid(3600).rem_euclid(24) as usize;
            sums[hour] += value;
            counts[hour] += 1;
        }
    }
    let mean = sums.iter().sum::<f64>() / f64::from(counts.iter().sum::<u32>().max(1));
    if mean <= 0.0 || counts.contains(&0) {
        return None;
    }
    Some(std::array::from_fn(|hour| sums[hour] / f64::from(counts[hour]) / mean))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Resource, Timestamp};
    use crate::series::UsageSeries;

    #[test]
    fn tenants_of_the_day_and_of_the_night_are_told_apart() {
        let mut frame = Frame::empty(Resource::CpuCores, Step::HOUR);
        for tenant in 0..12_u32 {
            let busy = if tenant < 6 { 9..17 } else { 20..24 };
            let size = f64::from(tenant + 1);
            let values = (0..24 * 7).map(|hour| size * if busy.contains(&(hour % 24)) { 10.0 } else { 1.0 });
            let start = Timestamp::from_seconds(0);
            let series = UsageSeries { start, step: Step::HOUR, values: values.collect() };
            frame.series.insert(format!("t{tenant:02}").parse().unwrap(), series);
        }
        let groups: Vec<usize> = groups(&frame).into_values().collect();
        assert_eq!(groups.len(), 12);
        assert!(groups[..6].iter().all(|group| !groups[6..].contains(group)), "{groups:?}");
        frame.series.retain(|tenant, _| tenant.as_str() < "t03");
        assert!(super::groups(&frame).is_empty());
    }
}
