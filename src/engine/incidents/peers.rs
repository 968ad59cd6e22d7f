//! Who behaves alike: tenants grouped by the shape of their day, so that an
//! incident can say whether it is one tenant's or everybody's.
//!
//! Each tenant's profile is its mean usage in each hour of the day over the
//! last week, divided by its overall mean. The profiles are grouped by k-means
//! (linfa-clustering, k-means++ with a fixed seed) into about the root of half
//! as many groups as there are tenants. Where fewer than eight have a profile,
//! the tenants of the same tier are the peers.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use linfa::DatasetBase;
use linfa::traits::{Fit, Predict};
use linfa_clustering::KMeans;
use ndarray::Array2;

use super::Round;
use crate::domain::{Finding, FindingKind, Incident, Peers, Step, TenantId};
use crate::engine::{Engine, EngineError, SeriesKey};
use crate::series::{Frame, UsageSeries};

/// Peers that are shown by name.
const PEERS_SHOWN: usize = 10;
const HOURS: usize = 24;
/// The least profiles that are grouped, and the most: more say the same.
const LEAST_PROFILES: usize = 8;
const MOST_PROFILES: usize = 2000;
/// The days that make a profile.
const DAYS: i64 = 7;
const LEAST_GROUPS: usize = 2;
const MOST_GROUPS: usize = 8;
const ITERATIONS: u64 = 50;

impl Engine {
    /// Says of each unusual usage that has no peers yet who moved as well.
    pub(super) async fn name_peers(
        &self,
        incident: &mut Incident,
        round: &mut Round,
    ) -> Result<(), EngineError> {
        for finding in incident.findings.iter_mut().filter(|finding| lacks_peers(finding)) {
            let frame = round.frames.iter().find(|frame| Some(frame.resource) == finding.resource);
            let Some(frame) = frame.cloned() else { continue };
            if let Entry::Vacant(place) = round.groups.entry(frame.resource) {
                let of = Arc::clone(&frame);
                place.insert(self.parts.compute.run(move || groups(&of)).await?);
            }
            finding.peers = self.peers(&incident.tenant, &frame, round);
        }
        Ok(())
    }

    fn peers(&self, tenant: &TenantId, frame: &Frame, round: &Round) -> Option<Peers> {
        let (resource, groups) = (frame.resource, round.groups.get(&frame.resource)?);
        let tiers = &round.tiers;
        let (chosen_by, alike): (String, Vec<&TenantId>) = match groups.get(tenant) {
            Some(own) => {
                let alike = groups.iter().filter(|(_, group)| *group == own).map(|(other, _)| other);
                ("tenants whose day has the same shape".to_owned(), alike.collect())
            }
            None => {
                let own = tiers.get(tenant)?;
                let alike = tiers.iter().filter(|(_, tier)| *tier == own).map(|(other, _)| other);
                (format!("tenants of the tier {own}"), alike.collect())
            }
        };
        // Of who is not measured, or is silent, nobody knows whether it moved.
        let (now, settings) = (self.now(), self.settings());
        let is_measured = |other: &TenantId| {
            let last = frame.series.get(other).and_then(UsageSeries::last_sample);
            last.is_some_and(|(at, _)| now.since(at) <= settings.incidents.longest_silence(frame.step))
        };
        let alike: Vec<&TenantId> =
            alike.into_iter().filter(|other| *other != tenant && is_measured(other)).collect();
        let glances = self.workspace.glances.read();
        let rules = settings.incidents.run_rules();
        let moved = |other: &&&TenantId| {
            let key = SeriesKey { tenant: (**other).clone(), resource };
            glances.get(&key).is_some_and(|glance| glance.run(rules).is_some())
        };
        let moved: Vec<TenantId> = alike.iter().filter(moved).map(|other| (*other).clone()).collect();
        (!alike.is_empty()).then(|| Peers {
            chosen_by,
            count: alike.len() as u64,
            also_moved_count: moved.len() as u64,
            also_moved: moved.into_iter().take(PEERS_SHOWN).collect(),
        })
    }
}

/// Whether it is to be said of it who moved as well.
fn lacks_peers(finding: &Finding) -> bool {
    finding.is_open() && finding.kind == FindingKind::UnusualUsage && finding.peers.is_none()
}

/// The group of each tenant that has a profile; empty where they are too few.
fn groups(frame: &Frame) -> BTreeMap<TenantId, usize> {
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
