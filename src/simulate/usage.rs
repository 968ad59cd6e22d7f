//! What a tenant uses of one resource, out of its load.

use super::Settings;
use super::cast::{Character, Role};
use super::random::{Noise, Random};
use crate::domain::Resource;

/// How a resource follows the load.
struct Response {
    /// The share of the quota that a load of 1 takes, at the lowest and highest
    /// of the tenants that are well under their quota.
    takes: (f64, f64),
    /// The part of it that is there without any load.
    idle: f64,
    /// Noise of its own, as a share.
    noise: f64,
    /// The minutes within which it follows.
    lag_minutes: f64,
    /// Whether it comes in whole numbers.
    whole: bool,
}

fn response(resource: Resource) -> Response {
    let (takes, idle, noise, lag_minutes, whole) = match resource {
        Resource::CpuCores => ((0.05, 0.17), 0.15, 0.12, 0.0, false),
        Resource::MemoryGb => ((0.16, 0.42), 0.70, 0.015, 150.0, false),
        // Storage only grows; see `storage`.
        Resource::StorageGb => ((0.12, 0.55), 1.0, 0.0, 0.0, false),
        Resource::NetworkBandwidthMbps => ((0.03, 0.13), 0.05, 0.22, 0.0, false),
        Resource::ConcurrentConnections => ((0.05, 0.18), 0.10, 0.06, 5.0, true),
        Resource::ApiRequestsPerMinute => ((0.05, 0.16), 0.02, 0.08, 0.0, true),
        Resource::MlModelInstances => ((0.12, 0.30), 0.40, 0.0, 180.0, true),
        Resource::AiProcessingUnits => ((0.04, 0.16), 0.05, 0.35, 20.0, false),
        Resource::DatabaseConnections => ((0.10, 0.26), 0.40, 0.05, 10.0, true),
        Resource::CacheSizeMb => ((0.25, 0.65), 0.90, 0.01, 600.0, false),
    };
    Response { takes, idle, noise, lag_minutes, whole }
}

/// The usage at each point of the grid, in the resource's unit, never above
/// the quota. `None` where nothing is known of the resource at all.
pub(super) fn series(
    settings: &Settings,
    role: &Role,
    resource: Resource,
    quota: f64,
    load: &[f64],
    random: &mut Random,
) -> Option<Vec<f64>> {
    if role.character == Character::Partial && resource == Resource::AiProcessingUnits {
        return None;
    }
    let Response { takes: (low, high), whole, .. } = response(resource);
    let takes = quota * random.between(low, high) * fullness(role.character, resource);
    let mut demand = match (resource, role.character) {
        (_, Character::Flat) if stands_still(resource) => vec![takes; load.len()],
        (Resource::StorageGb, _) => storage(takes, load, random),
        _ => following(settings, resource, takes, load, random),
    };
    change_course(role.character, resource, quota, &mut demand);
    for value in &mut demand {
        let used = value.clamp(0.0, quota);
        *value = if whole { used.round() } else { four_digits(used) };
    }
    Some(demand)
}

/// How much fuller than the others a tenant is.
fn fullness(character: Character, resource: Resource) -> f64 {
    match (character, resource) {
        (Character::Pinned, Resource::CpuCores | Resource::ApiRequestsPerMinute) => 12.0,
        (Character::Close, Resource::StorageGb | Resource::MemoryGb | Resource::CacheSizeMb) => 1.7,
        (Character::Close, _) => 2.3,
        (Character::Idle, Resource::StorageGb | Resource::CacheSizeMb) => 0.2,
        (Character::Idle, _) => 0.05,
        _ => 1.0,
    }
}

fn stands_still(resource: Resource) -> bool {
    matches!(resource, Resource::MemoryGb | Resource::CacheSizeMb | Resource::DatabaseConnections)
}

/// Demand that follows the load, late and with noise of its own.
fn following(
    settings: &Settings,
    resource: Resource,
    takes: f64,
    load: &[f64],
    random: &mut Random,
) -> Vec<f64> {
    let Response { idle, noise: share, lag_minutes, .. } = response(resource);
    let minutes = settings.step_minutes();
    let mut noise = Noise::new(random, minutes);
    let catches_up = minutes / (minutes + lag_minutes);
    let mut late = load.first().copied().unwrap_or(0.0);
    load.iter()
        .map(|load| {
            late += catches_up * (load - late);
            let wobble = (1.0 + share * noise.next(random)).max(0.0);
            takes * (idle + (1.0 - idle) * late) * wobble
        })
        .collect()
}

/// Storage fills with what is done, and nothing is ever deleted.
fn storage(takes: f64, load: &[f64], random: &mut Random) -> Vec<f64> {
    let rise = random.between(0.02, 0.30);
    let total: f64 = load.iter().sum::<f64>().max(f64::MIN_POSITIVE);
    let mut done = 0.0;
    load.iter()
        .map(|load| {
            done += load / total;
            takes * (1.0 + rise * done)
        })
        .collect()
}

/// What happens to a tenant on the way.
fn change_course(character: Character, resource: Resource, quota: f64, demand: &mut [f64]) {
    let points = demand.len();
    let share = |index: usize| index as f64 / points as f64;
    for (index, value) in demand.iter_mut().enumerate() {
        match (character, resource) {
            // Three lives: the last one is still filling when the time ends.
            (Character::Leaking, Resource::MemoryGb) => {
                *value += quota * 0.62 * ((share(index) * 2.8) % 1.0);
            }
            (Character::Deployed, Resource::StorageGb | Resource::MlModelInstances) => {}
            (Character::Deployed, _) if share(index) >= 0.6 => *value *= 1.9,
            _ => {}
        }
    }
}

/// Rounded to four significant digits, as an exporter would give it; keeps
/// files small. Powers of ten up to 1e22 are exact, so this is too.
fn four_digits(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 0.0;
    }
    let (mut scale, mut scaled) = (1.0, value);
    while scaled < 1000.0 && scale < 1e9 {
        scale *= 10.0;
        scaled = value * scale;
    }
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_keeps_four_digits() {
        for (value, rounded) in [
            (0.123_456, 0.1235),
            (12.344_9, 12.34),
            (98_765.4, 98_765.0),
            (1234.5, 1235.0),
            (0.000_001_234_56, 0.000_001_235),
            (0.0, 0.0),
            (-1.0, 0.0),
        ] {
            assert_eq!(four_digits(value), rounded);
        }
    }
}
