//! A fleet of tenants out of a seed: what `plimsoll simulate` writes and the
//! demo runs on. It is simulated, and everything made of it says so.
//!
//! The same seed gives the same bytes on every machine. Each tenant and each
//! of its resources draws from a stream of its own, so that the first N
//! tenants of a larger fleet are the fleet of N.
//!
//! The shapes follow what was measured on public series at 5 minutes; no data
//! of theirs is in here. Of the CPU and memory of 11 pools of a compute cluster
//! (22 days), nearest to tenants: the daily curve carries 24 to 52 % of the
//! variance, the level of the day 7 to 13 %; what is left is like itself by
//! 0.73 after 5 minutes, 0.42 after 15, 0.22 after an hour and 0 after 6 hours;
//! the quietest weekday has a third of the busiest one's load; 5 to 17 times a
//! day usage is above twice its median, for 3 samples in the middle case. Of
//! the 7 production series of Crane: web traffic whose daily curve carries up
//! to 90 %, and weekends at three quarters. Of the 200 virtual machines of the
//! Bitbrains data centre: bursts of one to three samples with a heavy tail (tail
//! index about 5 in the middle case, 2.5 in the worst quarter), single missing
//! samples (0.2 %), and many machines that do next to nothing.
//!
//! The CPU of the fleet that the defaults give measures, in the same way and
//! from quartile to quartile: daily curve 47 to 63 %, level of the day 5 to
//! 15 %, likeness 0.74, 0.53, 0.26 and 0, quietest weekday 0.42 to 0.78 of the
//! busiest, 6 to 9 times a day above twice the median. It is more regular than
//! the pools, and its bursts are tamer: a quota cuts them off.

mod cast;
mod load;
mod random;
mod usage;

use std::collections::BTreeMap;

use ndarray::Array1;
use rayon::prelude::*;

use crate::domain::{DomainError, Resource, Step, TenantId, Timestamp};
use crate::series::{Frame, UsageSeries};
use cast::{Character, Role};
use random::Random;

pub use crate::series::table::{Fleet, FleetTenant};

/// Where every fleet ends: 2026-11-22T00:00:00Z, not included.
pub const END: Timestamp = Timestamp::from_seconds(1_795_305_600);

const DAY_MILLIS: i64 = 86_400_000;
/// Samples that a fleet may have; more would not fit into memory.
const MOST_SAMPLES: u128 = 250_000_000;
/// For how long before the end a new tenant is there.
const NEW_MILLIS: i64 = 9 * 3_600_000;

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// How many tenants.
    pub tenants: usize,
    /// How many days before [`END`].
    pub days: u32,
    /// The distance of two samples.
    pub step: Step,
    /// What all chance comes from.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { tenants: 24, days: 28, step: Step::FIVE_MINUTES, seed: 7117 }
    }
}

/// Settings that can't be used; reads well after "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSettings {
    /// Nothing to simulate.
    #[error("simulate {tenants} tenants over {days} days; both must be at least 1")]
    Nothing {
        /// How many tenants.
        tenants: usize,
        /// How many days.
        days: u32,
    },
    /// The step is not a part of a day.
    #[error("simulate steps of {0} ms; a day must be a whole number of them, and one at least a second")]
    Step(i64),
    /// Too much.
    #[error("simulate {0} samples; at most {MOST_SAMPLES} fit, so take fewer tenants, days or steps")]
    TooMany(u128),
}

impl Settings {
    /// Checks that they can be simulated.
    ///
    /// # Errors
    /// Names what is impossible, and the limit.
    pub fn check(&self) -> Result<(), BadSettings> {
        let step = self.step.millis();
        if self.tenants == 0 || self.days == 0 {
            return Err(BadSettings::Nothing { tenants: self.tenants, days: self.days });
        }
        if step < 1000 || DAY_MILLIS % step != 0 {
            return Err(BadSettings::Step(step));
        }
        let a_day = (DAY_MILLIS / step).unsigned_abs();
        let samples = 10 * self.tenants as u128 * u128::from(self.days) * u128::from(a_day);
        if samples > MOST_SAMPLES { Err(BadSettings::TooMany(samples)) } else { Ok(()) }
    }

    fn points(&self) -> usize {
        usize::try_from(i64::from(self.days) * DAY_MILLIS / self.step.millis()).unwrap_or(0)
    }

    fn at(&self, index: usize) -> Timestamp {
        let start = END.millis() - i64::from(self.days) * DAY_MILLIS;
        Timestamp::from_millis(start + index as i64 * self.step.millis())
    }

    fn step_minutes(&self) -> f64 {
        self.step.millis() as f64 / 60_000.0
    }
}

/// Simulates a fleet. Settings that were not checked may ask for more than
/// there is memory.
pub fn fleet(settings: &Settings) -> Fleet {
    let made: Vec<_> =
        (0..settings.tenants).into_par_iter().filter_map(|i| tenant(settings, i).ok()).collect();
    let mut frames = Resource::ALL.map(|resource| Frame::empty(resource, settings.step));
    let mut tenants = Vec::with_capacity(made.len());
    for (tenant, usage) in made {
        for (frame, series) in frames.iter_mut().zip(usage) {
            if let Some(series) = series {
                frame.series.insert(tenant.id.clone(), series);
            }
        }
        tenants.push(tenant);
    }
    Fleet { step: settings.step, tenants, frames: frames.into() }
}

type Usage = [Option<UsageSeries>; 10];

fn tenant(settings: &Settings, index: usize) -> Result<(FleetTenant, Usage), DomainError> {
    let role = Role::of(index);
    let (id, name): (TenantId, String) = role.names(index)?;
    let quotas: BTreeMap<Resource, f64> =
        Resource::ALL.into_iter().map(|resource| (resource, role.tier.default_quota(resource))).collect();
    // Stream 0 is the load, 1 the gaps, the resources come after them.
    let load = load::curve(settings, &role, &mut Random::new(settings.seed, index, 0));
    let known = known(settings, &role, &mut Random::new(settings.seed, index, 1));
    let mut part = 2;
    let usage = Resource::ALL.map(|resource| {
        let mut random = Random::new(settings.seed, index, part);
        part += 1;
        let quota = role.tier.default_quota(resource);
        let mut values = usage::series(settings, &role, resource, quota, &load, &mut random)?;
        values.iter_mut().zip(&known).filter(|(_, known)| !**known).for_each(|(value, _)| *value = f64::NAN);
        let first = known.iter().position(|known| *known)?;
        let values = Array1::from_vec(values.split_off(first));
        Some(UsageSeries { start: settings.at(first), step: settings.step, values })
    });
    Ok((FleetTenant { id, name, tier: role.tier, apply_mode: role.apply_mode, quotas }, usage))
}

/// At which points of the grid there are samples: a scrape that fails takes all
/// resources of a tenant with it.
fn known(settings: &Settings, role: &Role, random: &mut Random) -> Vec<bool> {
    let minutes = settings.step_minutes();
    // The chance that a gap begins, and the minutes that it lasts on average.
    let (begins, lasts) = match role.character {
        Character::Gappy => (minutes / 1800.0, 240.0),
        _ => (0.002, 1.0),
    };
    let ends = minutes / (minutes + lasts);
    let from = match role.character {
        Character::New => END.millis() - NEW_MILLIS,
        _ => i64::MIN,
    };
    let mut gap = false;
    (0..settings.points())
        .map(|index| {
            gap = if gap { !random.chance(ends) } else { random.chance(begins) };
            !gap && settings.at(index).millis() >= from
        })
        .collect()
}

#[cfg(test)]
mod tests;
