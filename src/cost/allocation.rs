//! What quotas have cost in the shape of OpenCost's allocations, which tools for
//! the cost of Kubernetes read (opencost.io, "Allocation API"): a tenant is a
//! namespace, its quotas are what it requests.
//!
//! Of the ten resources OpenCost knows four by name: processor, memory, storage
//! and network. What the others cost stands in `externalCost`. What has no
//! counterpart here (GPUs, load balancers, adjustments, shared costs) is 0.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{Datelike, Days};
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fleet::month_of;
use super::focus::Charge;
use crate::domain::{DomainError, Resource, TimeRange, Timestamp};

/// Bytes of a gigabyte, as quotas count them.
const GIGABYTE: f64 = 1e9;
const MINUTE_MILLIS: f64 = 60_000.0;

/// What allocations are added up by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
pub enum AllocateBy {
    /// Tenant by tenant.
    #[default]
    #[serde(rename = "namespace", alias = "tenant")]
    Tenant,
    /// By the tenants' tiers.
    #[serde(rename = "label:tier")]
    Tier,
    /// By provider and region.
    #[serde(rename = "cluster")]
    Place,
}

/// Where an allocation belongs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, ToSchema)]
pub struct Properties {
    /// Provider and region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its tier.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<&'static str, String>,
}

/// What something has cost over a window, in the currency of the prices. Bytes
/// are those of a window's mean, `…Hours` are sums.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the names are OpenCost's, and say what they are")]
pub struct Allocation {
    pub name: String,
    pub properties: Properties,
    pub window: TimeRange,
    pub start: Timestamp,
    pub end: Timestamp,
    pub minutes: f64,
    pub cpu_cores: f64,
    pub cpu_core_request_average: f64,
    pub cpu_core_usage_average: f64,
    pub cpu_core_hours: f64,
    pub cpu_cost: f64,
    pub cpu_cost_adjustment: f64,
    pub cpu_efficiency: f64,
    pub gpu_count: f64,
    pub gpu_hours: f64,
    pub gpu_cost: f64,
    pub gpu_cost_adjustment: f64,
    pub network_transfer_bytes: f64,
    pub network_receive_bytes: f64,
    pub network_cost: f64,
    pub network_cost_adjustment: f64,
    pub load_balancer_cost: f64,
    pub load_balancer_cost_adjustment: f64,
    pub pv_bytes: f64,
    pub pv_byte_hours: f64,
    pub pv_cost: f64,
    pub pv_cost_adjustment: f64,
    pub ram_bytes: f64,
    pub ram_byte_request_average: f64,
    pub ram_byte_usage_average: f64,
    pub ram_byte_hours: f64,
    pub ram_cost: f64,
    pub ram_cost_adjustment: f64,
    pub ram_efficiency: f64,
    pub external_cost: f64,
    pub shared_cost: f64,
    pub total_cost: f64,
    pub total_efficiency: f64,
}

/// What is summed of one name.
#[derive(Debug, Default)]
struct Sums {
    properties: Properties,
    span: Option<TimeRange>,
    /// Unit-hours of quota, unit-hours of usage, and cost.
    cpu: [f64; 3],
    ram: [f64; 3],
    storage: [f64; 3],
    network: f64,
    other: f64,
}

/// The allocations of a window by name: one set for each of its days, or one for
/// all of it. `usage` gives the mean usage of a charge's quota over its time, in
/// the unit, where it is known.
pub fn allocations(
    charges: &[Charge<'_>],
    window: TimeRange,
    by: AllocateBy,
    daily: bool,
    usage: impl Fn(&Charge<'_>) -> Option<f64>,
) -> Vec<BTreeMap<String, Allocation>> {
    let mut sets: BTreeMap<Timestamp, BTreeMap<String, Sums>> = BTreeMap::new();
    for charge in charges {
        let set = sets.entry(if daily { day_of(charge.period().start) } else { window.start }).or_default();
        let (name, properties) = place(charge, by);
        let sums = set.entry(name).or_insert_with(|| Sums { properties, ..Sums::default() });
        sums.add(charge, usage(charge));
    }
    let named = |set: BTreeMap<String, Sums>| {
        set.into_iter().map(|(name, sums)| (name.clone(), sums.allocation(name, window))).collect()
    };
    sets.into_values().map(named).collect()
}

fn day_of(at: Timestamp) -> Timestamp {
    at.to_utc().map_or(at, |time| Timestamp::midnight(time.date_naive()))
}

fn place(charge: &Charge<'_>, by: AllocateBy) -> (String, Properties) {
    let tenant = charge.tenant();
    let (cluster, tier) = (charge.place(), tenant.tier.to_string());
    let labels = || BTreeMap::from([("tier", tier.clone())]);
    match by {
        AllocateBy::Tenant => {
            let namespace = Some(tenant.id.to_string());
            let name = tenant.id.to_string();
            (name, Properties { cluster: Some(cluster), namespace, labels: labels() })
        }
        AllocateBy::Tier => (tier.clone(), Properties { labels: labels(), ..Properties::default() }),
        AllocateBy::Place => {
            (cluster.clone(), Properties { cluster: Some(cluster), ..Properties::default() })
        }
    }
}

impl Sums {
    fn add(&mut self, charge: &Charge<'_>, usage: Option<f64>) {
        let period = charge.period();
        let span = self.span.get_or_insert(period);
        *span = TimeRange { start: span.start.min(period.start), end: span.end.max(period.end) };
        let cost = charge.cost().to_f64().unwrap_or(f64::MAX);
        let hours = period.end.since(period.start).as_secs_f64() / 3600.0;
        let (held, used) = (charge.quantity().to_f64().unwrap_or(f64::MAX), usage.unwrap_or(0.0) * hours);
        let into = match charge.resource() {
            Resource::CpuCores => &mut self.cpu,
            Resource::MemoryGb => &mut self.ram,
            Resource::StorageGb => &mut self.storage,
            Resource::NetworkBandwidthMbps => {
                self.network += cost;
                return;
            }
            _ => {
                self.other += cost;
                return;
            }
        };
        into.iter_mut().zip([held, used, cost]).for_each(|(sum, one)| *sum += one);
    }

    fn allocation(self, name: String, window: TimeRange) -> Allocation {
        let span = self.span.unwrap_or(window);
        let minutes = (span.end.millis() - span.start.millis()) as f64 / MINUTE_MILLIS;
        let mean = |hours: f64| if minutes > 0.0 { hours * 60.0 / minutes } else { 0.0 };
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let ([cores, used_cores, cpu_cost], [memory, used_memory, ram_cost]) = (self.cpu, self.ram);
        let [storage, _, pv_cost] = self.storage;
        let (cpu_efficiency, ram_efficiency) = (share(used_cores, cores), share(used_memory, memory));
        Allocation {
            name,
            properties: self.properties,
            window,
            start: span.start,
            end: span.end,
            minutes,
            cpu_cores: mean(cores),
            cpu_core_request_average: mean(cores),
            cpu_core_usage_average: mean(used_cores),
            cpu_core_hours: cores,
            cpu_cost,
            cpu_cost_adjustment: 0.0,
            cpu_efficiency,
            gpu_count: 0.0,
            gpu_hours: 0.0,
            gpu_cost: 0.0,
            gpu_cost_adjustment: 0.0,
            network_transfer_bytes: 0.0,
            network_receive_bytes: 0.0,
            network_cost: self.network,
            network_cost_adjustment: 0.0,
            load_balancer_cost: 0.0,
            load_balancer_cost_adjustment: 0.0,
            pv_bytes: mean(storage) * GIGABYTE,
            pv_byte_hours: storage * GIGABYTE,
            pv_cost,
            pv_cost_adjustment: 0.0,
            ram_bytes: mean(memory) * GIGABYTE,
            ram_byte_request_average: mean(memory) * GIGABYTE,
            ram_byte_usage_average: mean(used_memory) * GIGABYTE,
            ram_byte_hours: memory * GIGABYTE,
            ram_cost,
            ram_cost_adjustment: 0.0,
            ram_efficiency,
            external_cost: self.other,
            shared_cost: 0.0,
            total_cost: cpu_cost + ram_cost + pv_cost + self.network + self.other,
            total_efficiency: share(
                cpu_efficiency * cpu_cost + ram_efficiency * ram_cost,
                cpu_cost + ram_cost,
            ),
        }
    }
}

/// Reads a window as OpenCost writes it: `today`, `yesterday`, `week`,
/// `lastweek`, `month`, `lastmonth` (weeks begin on Sunday, all in UTC), `7d`,
/// `24h` or `90m` before now, or two instants with a comma, in RFC 3339 or in
/// seconds since 1970.
///
/// # Errors
/// Where it is none of these.
pub fn window(text: &str, now: Timestamp) -> Result<TimeRange, DomainError> {
    let wanted = "a window; write today, yesterday, week, lastweek, month, lastmonth, 7d, 24h, or two instants \
                  with a comma";
    let bad = || DomainError::BadText { text: text.to_owned(), wanted };
    let today = now.to_utc().ok_or_else(bad)?.date_naive();
    let days_back =
        |days: u64| today.checked_sub_days(Days::new(days)).map(Timestamp::midnight).ok_or_else(bad);
    let since_sunday = u64::from(today.weekday().num_days_from_sunday());
    Ok(match text {
        "today" => TimeRange { start: days_back(0)?, end: now },
        "yesterday" => TimeRange { start: days_back(1)?, end: days_back(0)? },
        "week" => TimeRange { start: days_back(since_sunday)?, end: now },
        "lastweek" => TimeRange { start: days_back(since_sunday + 7)?, end: days_back(since_sunday)? },
        "month" => TimeRange { start: month_of(now).start, end: now },
        "lastmonth" => month_of(month_of(now).start.minus(Duration::from_secs(1))),
        _ => match text.split_once(',') {
            Some((from, to)) => {
                let instant = |text: &str| match text.trim().parse::<i64>() {
                    Ok(seconds) => Ok(Timestamp::from_seconds(seconds)),
                    Err(_) => text.trim().parse().map_err(|_| bad()),
                };
                TimeRange { start: instant(from)?, end: instant(to)? }
            }
            None => {
                let span = humantime::parse_duration(text).map_err(|_| bad())?;
                TimeRange { start: now.minus(span), end: now }
            }
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_as_opencost_writes_them() {
        // A Tuesday.
        let now: Timestamp = "2026-11-24T10:30:00Z".parse().unwrap();
        let read = |text: &str| {
            let range = window(text, now).unwrap();
            (range.start.to_string(), range.end.to_string())
        };
        for (text, start, end) in [
            ("today", "2026-11-24T00:00:00Z", "2026-11-24T10:30:00Z"),
            ("yesterday", "2026-11-23T00:00:00Z", "2026-11-24T00:00:00Z"),
            ("week", "2026-11-22T00:00:00Z", "2026-11-24T10:30:00Z"),
            ("lastweek", "2026-11-15T00:00:00Z", "2026-11-22T00:00:00Z"),
            ("month", "2026-11-01T00:00:00Z", "2026-11-24T10:30:00Z"),
            ("lastmonth", "2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
            ("7d", "2026-11-17T10:30:00Z", "2026-11-24T10:30:00Z"),
            ("90m", "2026-11-24T09:00:00Z", "2026-11-24T10:30:00Z"),
            ("2026-11-01T00:00:00Z,2026-11-03T00:00:00Z", "2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z"),
            ("0,60", "1970-01-01T00:00:00Z", "1970-01-01T00:01:00Z"),
        ] {
            assert_eq!(read(text), (start.to_owned(), end.to_owned()), "{text}");
        }
        for text in ["", "fortnight", "2026-11-01,", "7"] {
            assert!(window(text, now).is_err(), "{text}");
        }
    }
}
