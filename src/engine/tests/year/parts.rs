//! What a simulated fleet is made of: usage that is made up, a source, a target,
//! a receiver and a history that fail when they are told to, and that remember
//! what they were asked.

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ndarray::Array1;
use parking_lot::Mutex;

use crate::domain::{Notice, QuotaChange, Receiver, Resource, Step, TenantId, Tier, TimeRange, Timestamp};
use crate::engine::SeriesKey;
use crate::ports::hands::Hands;
use crate::ports::{
    Clock, DeliveryError, Fetched, History, HistoryError, Notifier, QuotaTarget, SourceError, TargetError,
    Telling, UsageSource,
};
use crate::security::AddressError;
use crate::series::{Frame, UsageSeries};

pub const RESOURCES: [Resource; 2] = [Resource::CpuCores, Resource::MemoryGb];
const HOUR: i64 = 3600;

/// Even noise from 0 to 1 that belongs to its place.
fn noise(place: u64, hour: i64) -> f64 {
    let mut state = place.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ hour.unsigned_abs();
    for _ in 0..3 {
        state = (state ^ (state >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    (state >> 11) as f64 / (1_u64 << 53) as f64
}

/// A tenant's usage of a resource in an hour: a rhythm of days and weeks of its
/// own, slow growth, bursts, and now and then a day on which all goes wrong or
/// nothing comes. NaN is a gap.
fn usage(seed: u64, number: u64, resource: Resource, tier: Tier, hour: i64) -> f64 {
    let place = seed ^ (number * 64 + resource as u64).wrapping_mul(0x517c_c1b7_2722_0a95);
    let own = |salt: u64| noise(place ^ salt, 1);
    let day = hour.div_euclid(24);
    let odd = noise(place, day + 7_000_000);
    let in_spell = (hour.rem_euclid(24) as f64 / 24.0 - own(6)).abs() < 0.2;
    let daily = 0.35 * own(1) * (TAU * (hour as f64 / 24.0 + own(2))).sin();
    let weekly = 0.15 * own(3) * (TAU * hour as f64 / 168.0).sin();
    let growth = 1.0 + 0.6 * own(4) * (day - 20_000) as f64 / 400.0;
    let spell = match odd {
        odd if odd > 0.985 && in_spell => 2.5,
        odd if odd < 0.005 => return f64::NAN,
        odd if odd < 0.012 && in_spell => 0.05,
        _ => 1.0,
    };
    let share = 0.08 + 0.4 * own(5) * own(5);
    let value = tier.default_quota(resource) * share * growth.max(0.1) * spell;
    value * (0.7 + daily + weekly + 0.15 * noise(place, hour))
}

/// What is wrong with the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceTrouble {
    None,
    Down,
    /// Only one of the resources is answered for.
    Half,
    /// Some series are left out.
    Partial,
    /// Values of no sense among the others.
    Garbage,
}

/// A source that makes usage up, the same for the same hour.
#[derive(Debug)]
pub struct Source {
    seed: u64,
    pub tenants: Mutex<BTreeMap<TenantId, (u64, Tier)>>,
    pub trouble: Mutex<SourceTrouble>,
    /// The last sample that each series was answered with.
    pub answered: Mutex<BTreeMap<SeriesKey, Timestamp>>,
}

impl Source {
    pub fn new(seed: u64) -> Self {
        let trouble = Mutex::new(SourceTrouble::None);
        Source { seed, tenants: Mutex::default(), trouble, answered: Mutex::default() }
    }

    fn value(&self, number: u64, resource: Resource, tier: Tier, hour: i64) -> f64 {
        let value = usage(self.seed, number, resource, tier, hour);
        match *self.trouble.lock() {
            SourceTrouble::Garbage => match noise(number, hour) {
                chance if chance < 0.05 => f64::NAN,
                chance if chance < 0.06 => value * 1e6,
                chance if chance < 0.07 => 0.0,
                _ => value,
            },
            SourceTrouble::Partial if noise(number ^ 99, hour.div_euclid(6)) < 0.4 => f64::NAN,
            _ => value,
        }
    }
}

#[async_trait]
impl UsageSource for Source {
    fn resources(&self) -> Vec<Resource> {
        RESOURCES.to_vec()
    }

    fn step(&self) -> Step {
        Step::HOUR
    }

    async fn fetch(&self, resource: Resource, range: TimeRange) -> Result<Fetched, SourceError> {
        let trouble = *self.trouble.lock();
        let half = trouble == SourceTrouble::Half && resource == RESOURCES[1];
        if trouble == SourceTrouble::Down || half {
            return Err(SourceError::Unreachable("the simulation says so".to_owned()));
        }
        let (from, to) = (range.start.seconds() / HOUR, range.end.seconds() / HOUR);
        let mut frame = Frame::empty(resource, Step::HOUR);
        for (tenant, (number, tier)) in self.tenants.lock().iter() {
            // Each tenant uses one of the two.
            if resource != RESOURCES[(*number % 2) as usize] {
                continue;
            }
            let values: Array1<f64> =
                (from..to).map(|hour| self.value(*number, resource, *tier, hour)).collect();
            let last = values.iter().rposition(|value| value.is_finite());
            let Some(last) = last else { continue };
            let at = Timestamp::from_seconds((from + last as i64) * HOUR);
            self.answered.lock().insert(SeriesKey { tenant: tenant.clone(), resource }, at);
            let series = UsageSeries { start: range.start, step: Step::HOUR, values };
            frame.series.insert(tenant.clone(), series);
        }
        Ok(Fetched::whole(frame))
    }
}

/// What is wrong with the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetTrouble {
    None,
    Down,
    /// It does as it is told, and its answer is lost.
    Mute,
    /// It takes no change.
    Stubborn,
}

/// A target that holds quotas of its own.
#[derive(Debug)]
pub struct Target {
    clock: Arc<Hands>,
    /// What holds, and since when.
    pub holds: Mutex<BTreeMap<SeriesKey, (f64, Timestamp)>>,
    pub trouble: Mutex<TargetTrouble>,
}

impl Target {
    pub fn new(clock: Arc<Hands>) -> Self {
        Target { clock, holds: Mutex::default(), trouble: Mutex::new(TargetTrouble::None) }
    }
}

const TARGET: &str = "the simulated target";

fn unreachable() -> TargetError {
    TargetError::Unreachable { target: TARGET, message: "the simulation says so".to_owned() }
}

#[async_trait]
impl QuotaTarget for Target {
    fn name(&self) -> &'static str {
        TARGET
    }

    fn keeps(&self, _resource: Resource) -> bool {
        true
    }

    async fn enforce(&self, change: &QuotaChange) -> Result<(), TargetError> {
        let trouble = *self.trouble.lock();
        let key = SeriesKey { tenant: change.tenant.clone(), resource: change.resource };
        match trouble {
            TargetTrouble::Down => return Err(unreachable()),
            TargetTrouble::Stubborn => {
                return Err(TargetError::Refused { target: TARGET, message: "no".to_owned() });
            }
            TargetTrouble::None | TargetTrouble::Mute => {
                let mut holds = self.holds.lock();
                let is_there = holds.get(&key).is_some_and(|(limit, _)| *limit == change.to);
                if !is_there {
                    holds.insert(key, (change.to, self.clock.now()));
                }
            }
        }
        if trouble == TargetTrouble::Mute { Err(unreachable()) } else { Ok(()) }
    }

    async fn read(&self, tenant: &TenantId, resource: Resource) -> Result<Option<f64>, TargetError> {
        match *self.trouble.lock() {
            TargetTrouble::Down | TargetTrouble::Mute => Err(unreachable()),
            _ => Ok(self
                .holds
                .lock()
                .get(&SeriesKey { tenant: tenant.clone(), resource })
                .map(|(limit, _)| *limit)),
        }
    }
}

/// What is wrong with the receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiverTrouble {
    None,
    Down,
    /// They ask to be left alone.
    Busy,
    /// They take what comes, and their answer is lost.
    Mute,
}

/// Receivers that remember what they took, in order.
#[derive(Debug)]
pub struct Receivers {
    pub took: Mutex<Vec<(String, Notice)>>,
    pub trouble: Mutex<ReceiverTrouble>,
}

impl Default for Receivers {
    fn default() -> Self {
        Receivers { took: Mutex::default(), trouble: Mutex::new(ReceiverTrouble::None) }
    }
}

#[async_trait]
impl Notifier for Receivers {
    fn check_address(&self, _receiver: &Receiver) -> Result<(), AddressError> {
        Ok(())
    }

    async fn deliver(
        &self,
        receiver: &Receiver,
        telling: Telling<'_>,
        _now: Timestamp,
    ) -> Result<(), DeliveryError> {
        let failed = |retry_after| {
            Err(DeliveryError::Failed { message: "the simulation says so".to_owned(), retry_after })
        };
        let take = || self.took.lock().push((receiver.name.to_string(), telling.notice.clone()));
        match *self.trouble.lock() {
            ReceiverTrouble::None => take(),
            ReceiverTrouble::Down => return failed(None),
            ReceiverTrouble::Busy => return failed(Some(Duration::from_secs(7200))),
            ReceiverTrouble::Mute => {
                take();
                return failed(None);
            }
        }
        Ok(())
    }

    fn takes_files(&self, _receiver: &Receiver) -> bool {
        false
    }

    async fn renew(
        &self,
        _receiver: &Receiver,
        _going_on: &[Notice],
        _now: Timestamp,
    ) -> Result<(), DeliveryError> {
        Ok(())
    }

    fn holds_state(&self, receiver: &Receiver) -> bool {
        receiver.kind.is_alertmanager()
    }
}

/// A history in memory, whose disk may be full.
#[derive(Debug, Default)]
pub struct Kept {
    frames: Mutex<BTreeMap<Resource, Frame>>,
    pub is_full: Mutex<bool>,
}

impl History for Kept {
    fn append(&self, frame: &Frame) -> Result<(), HistoryError> {
        if *self.is_full.lock() {
            let (path, message) = ("simulated".to_owned(), "the disk is full".to_owned());
            return Err(HistoryError::File { path, message });
        }
        let mut frames = self.frames.lock();
        let kept = frames.entry(frame.resource).or_insert_with(|| Frame::empty(frame.resource, frame.step));
        kept.extend(frame.clone());
        Ok(())
    }

    fn load(&self, resource: Resource, step: Step, since: Timestamp) -> Result<Frame, HistoryError> {
        let kept = self.frames.lock().get(&resource).cloned();
        let mut frame = kept.unwrap_or_else(|| Frame::empty(resource, step));
        frame.drop_before(since);
        Ok(frame)
    }

    fn retain(&self, _full_since: Timestamp, since: Timestamp) -> Result<(), HistoryError> {
        self.frames.lock().values_mut().for_each(|frame| frame.drop_before(since));
        Ok(())
    }

    fn holds(&self, resource: Resource) -> Result<bool, HistoryError> {
        Ok(self.frames.lock().get(&resource).is_some_and(|frame| !frame.series.is_empty()))
    }
}
