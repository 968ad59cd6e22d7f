//! Tests of the fleet: that it repeats, and that its cast plays its parts.

use super::*;
use crate::domain::Tier;
use crate::series::stats;

fn small(tenants: usize, seed: u64) -> Fleet {
    fleet(&Settings { tenants, days: 14, seed, ..Settings::default() })
}

/// Everything of a series, bit for bit.
fn bits(fleet: &Fleet, tenant: &FleetTenant) -> Vec<(i64, Vec<u64>)> {
    let of = |frame: &Frame| {
        let series = frame.series.get(&tenant.id)?;
        Some((series.start.millis(), series.values.iter().map(|value| value.to_bits()).collect()))
    };
    fleet.frames.iter().filter_map(of).collect()
}

fn usage<'a>(fleet: &'a Fleet, tenant: &str, resource: Resource) -> &'a UsageSeries {
    let frame = fleet.frames.iter().find(|frame| frame.resource == resource).unwrap();
    &frame.series[&tenant.parse().unwrap()]
}

fn quantile(series: &UsageSeries, q: f64) -> f64 {
    stats::quantile_of_sorted(&stats::sorted_finite(&series.values), q).unwrap()
}

#[test]
fn the_same_seed_repeats_and_fewer_tenants_are_the_first_ones() {
    let (whole, again, part, other) = (small(26, 1), small(26, 1), small(25, 1), small(26, 2));
    for (index, tenant) in whole.tenants.iter().enumerate() {
        assert_eq!(bits(&whole, tenant), bits(&again, &again.tenants[index]));
        assert!(bits(&whole, tenant) != bits(&other, &other.tenants[index]), "{}", tenant.id);
    }
    for (tenant, first) in whole.tenants.iter().zip(&part.tenants) {
        assert_eq!(tenant, first);
        assert_eq!(bits(&whole, tenant), bits(&part, tenant));
    }
    assert_eq!(whole.tenants[24].id.as_str(), "harbour-books-2");
}

#[test]
fn all_tiers_and_resources_are_there_and_nothing_is_above_its_quota() {
    let fleet = small(24, 7117);
    for tier in Tier::ALL {
        assert!(fleet.tenants.iter().any(|tenant| tenant.tier == tier), "{tier}");
    }
    let mut medians = Vec::new();
    for frame in &fleet.frames {
        assert!(frame.series.len() >= 23, "{}", frame.resource);
        for tenant in &fleet.tenants {
            let Some(series) = frame.series.get(&tenant.id) else { continue };
            assert_eq!(series.end(), END);
            let quota = tenant.quotas[&frame.resource];
            assert!(series.values.iter().all(|value| value.is_nan() || (0.0..=quota).contains(value)));
            medians.push(quantile(series, 0.5) / quota);
        }
    }
    let median = stats::median(&medians).unwrap();
    assert!((0.05..0.35).contains(&median), "most tenants are well under their quota, found {median}");
}

#[test]
fn the_cast_plays_its_parts() {
    let fleet = small(24, 7117);
    let cpu = |tenant| usage(&fleet, tenant, Resource::CpuCores);
    let pinned = cpu("quay-analytics");
    let at_quota = pinned.values.iter().filter(|value| **value == 8.0).count();
    assert!(at_quota * 4 > pinned.len(), "{at_quota} of {}", pinned.len());
    assert!(quantile(cpu("little-anchor"), 0.9) < 0.05);
    let gaps = |tenant| 1.0 - cpu(tenant).samples() as f64 / cpu(tenant).len() as f64;
    assert!((0.05..0.3).contains(&gaps("saltmarsh-labs")), "{}", gaps("saltmarsh-labs"));
    assert!(gaps("harbour-books") < 0.01);
    assert!(cpu("first-mate").len() <= 9 * 12);
    let flat = usage(&fleet, "ballast-storage", Resource::MemoryGb);
    assert_eq!(quantile(flat, 0.0), quantile(flat, 1.0));
    let ai = fleet.frames.iter().find(|frame| frame.resource == Resource::AiProcessingUnits).unwrap();
    assert!(!ai.series.contains_key(&"beacon-health".parse().unwrap()));

    let median_of = |series: &UsageSeries, days: std::ops::Range<usize>| {
        stats::median(series.values.iter().skip(days.start * 288).take(days.len() * 288)).unwrap()
    };
    let deployed = cpu("gull-games");
    assert!(median_of(deployed, 9..14) > 1.5 * median_of(deployed, 1..8));
    let grown = cpu("meridian-media");
    assert!(median_of(grown, 11..14) > 1.5 * median_of(grown, 0..3));
    let leak = usage(&fleet, "lantern-school", Resource::MemoryGb);
    assert!(leak.values[4 * 288] > leak.values[288] + 0.3, "the first life fills");
    assert!(leak.values[6 * 288] < leak.values[4 * 288], "then it is restarted");
    let stored = &usage(&fleet, "northstar-bank", Resource::StorageGb).values;
    let stored = stats::sorted_finite(stored).len() == stored.len()
        || stored.iter().filter(|value| value.is_finite()).is_sorted_by(|a, b| a <= b);
    assert!(stored, "storage only grows");
}

#[test]
fn days_have_a_rhythm_and_resources_go_together() {
    let fleet = small(24, 7117);
    let cpu = &usage(&fleet, "harbour-books", Resource::CpuCores).values;
    let requests = &usage(&fleet, "harbour-books", Resource::ApiRequestsPerMinute).values;
    let alike = |left: Vec<f64>, right: Vec<f64>| {
        let pairs: Vec<(f64, f64)> =
            left.into_iter().zip(right).filter(|(a, b)| a.is_finite() && b.is_finite()).collect();
        let count = pairs.len() as f64;
        let mean =
            (pairs.iter().map(|p| p.0).sum::<f64>() / count, pairs.iter().map(|p| p.1).sum::<f64>() / count);
        let product =
            |f: fn((f64, f64)) -> f64| pairs.iter().map(|p| f((p.0 - mean.0, p.1 - mean.1))).sum::<f64>();
        product(|(a, b)| a * b) / (product(|(a, _)| a * a) * product(|(_, b)| b * b)).sqrt()
    };
    let week = 7 * 288;
    assert!(alike(cpu.to_vec(), requests.to_vec()) > 0.8);
    assert!(alike(cpu.to_vec(), cpu.iter().skip(week).copied().collect()) > 0.5);
    for step in [Step::HOUR, Step::from_millis(60_000).unwrap()] {
        let fleet = super::fleet(&Settings { tenants: 1, days: 2, step, ..Settings::default() });
        assert_eq!(fleet.frames[0].series.values().next().unwrap().step, step);
    }
}

#[test]
fn impossible_settings_are_refused() {
    let good = Settings::default();
    assert_eq!(good.check(), Ok(()));
    assert_eq!(END.to_string(), "2026-11-22T00:00:00Z");
    for bad in [
        Settings { tenants: 0, ..good },
        Settings { days: 0, ..good },
        Settings { step: Step::from_millis(7 * 60_000).unwrap(), ..good },
        Settings { step: Step::from_millis(100).unwrap(), ..good },
        Settings { tenants: usize::MAX, days: u32::MAX, ..good },
        Settings { step: Step::from_millis(2 * DAY_MILLIS).unwrap(), ..good },
    ] {
        assert!(bad.check().is_err(), "{bad:?}");
    }
}
