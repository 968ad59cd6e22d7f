//! `auto`: every policy with every margin is tried on the tenant's own past,
//! interval by interval, and a mix of what would have held the budget at the
//! least cost is taken.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ledger::{Bounds, Choice, Entry, Ledger, Sorted};
use super::past::{DAY, KEPT_HOURS, Past};
use super::policy::{Family, Fit, Standing};

/// What using up a whole budget has to save for it to be worth its while, in
/// mean usages of a tenant of the fleet.
pub(super) const BUDGET_WORTH: f64 = 2.0;
/// No limit is set above this many times the peak of two weeks while that peak
/// is no news: a margin that steers itself must not run away.
const CALM_CAP: f64 = 1.05;
/// The same where the last days' peak is above all earlier ones by as much.
const GROWTH_CAP: f64 = 1.3;
/// The days in which a new peak counts as growth.
const GROWTH_DAYS: usize = 3;
/// Violations that a budget has to allow in what is known of two weeks for that
/// past to prove anything.
const PROOF_SO_FAR: f64 = 8.0;
/// The same in two whole weeks: where those allow fewer, time won't mend it.
const PROOF: f64 = 10.0;
/// What lies above the peak of two weeks where nothing is proven, as a share
/// of it.
const UNPROVEN_ROOM: f64 = 2.0;

/// The least that a limit must be, in peaks of two weeks, where `known` samples
/// of those are known and the whole of them has `whole`; `None` where they are
/// enough to prove the budget by counting. A budget of 0.1 % allows four samples
/// in two weeks at 5 minutes, and a peak that was not seen yet breaks it.
pub(super) fn unproven_room(budget: f64, known: f64, whole: f64) -> Option<f64> {
    let unproven = f64::max(1.0 - budget * known / PROOF_SO_FAR, 1.0 - budget * whole / PROOF);
    (unproven > 0.0).then_some(1.0 + UNPROVEN_ROOM * unproven)
}

/// Trials that run side by side where a limit holds for so many hours and more.
const TRIALS: usize = 3;

/// Hours from the begin of one trial to that of the next, where limits hold for
/// `hours`.
pub(super) fn stride(hours: usize) -> usize {
    let stride = hours / TRIALS;
    // Only a part of the interval: else no trial would end where one begins.
    if stride > 1 && hours.is_multiple_of(stride) { stride } else { 1 }
}

/// What a limit is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ask {
    /// The share of samples that may lie above the limit, above 0 and below 1.
    pub budget: f64,
    /// The share to aim at now; [`super::promise::Promise::target`] steers it.
    pub target: f64,
    /// The mean usage of a tenant of the fleet, in the unit of the samples. A
    /// small tenant's budget is not spent to save next to nothing. The
    /// tenant's own mean usage where there is no fleet.
    pub fleet_mean: f64,
}

/// A limit with what it rests on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// The limit, in the unit of the samples.
    pub value: f64,
    /// The policy and margin that counted most; `None` before any interval is
    /// over.
    pub leading: Option<Entry>,
    /// Whether the tenant's past says that the target will be held.
    pub within: bool,
}

/// The choice for one series.
#[derive(Serialize, Deserialize)]
pub struct Auto {
    /// For how many hours each limit holds.
    hours: usize,
    past: Past,
    families: Vec<Standing>,
    /// When what the fleet taught was made.
    taught_at: Option<i64>,
    ledger: Ledger,
    /// What the policies said where the trials that run began, a row a trial.
    said: VecDeque<Vec<f64>>,
    interval: Interval,
}

/// The samples of the hours that a limit holds for.
#[derive(Default, Serialize, Deserialize)]
struct Interval {
    samples: VecDeque<f32>,
    counts: VecDeque<usize>,
    /// Kept for its room.
    #[serde(skip)]
    sorted: Sorted,
}

impl Interval {
    /// Adds an hour and lets go of the one that came `hours` before it.
    fn push(&mut self, samples: &[f32], hours: usize) {
        if self.counts.len() == hours {
            self.samples.drain(..self.counts.pop_front().unwrap_or(0));
        }
        self.counts.push_back(samples.len());
        self.samples.extend(samples);
    }

    fn sorted(&mut self) -> &Sorted {
        self.sorted.fill(self.samples.iter().copied());
        &self.sorted
    }
}

impl Auto {
    /// A choice among the members of `families` for limits that hold for `hours`.
    pub fn new(families: &[Family], hours: usize) -> Self {
        let families: Vec<_> = families.iter().map(|family| family.members()).collect();
        let members = families.iter().map(|family| family.names().len()).sum();
        Auto {
            hours,
            past: Past::default(),
            families,
            taught_at: None,
            ledger: Ledger::new(members),
            said: VecDeque::new(),
            interval: Interval::default(),
        }
    }

    /// Learns from an hour that is over: its samples, gaps left out, and what
    /// the fleet taught until its end, with when that was.
    ///
    /// Intervals are tried from more hours on than those at which a limit is
    /// set: a fortnight of days is too little to choose by.
    pub fn observe(&mut self, samples: &[f64], taught: Option<&(i64, Arc<Fit>)>) {
        self.past.push(samples);
        if let Some((at, fit)) = taught.filter(|(at, _)| self.taught_at != Some(*at)) {
            self.taught_at = Some(*at);
            self.families.iter_mut().for_each(|family| family.heed(fit));
        }
        self.families.iter_mut().for_each(|family| family.observe(&self.past, self.hours));
        self.ledger.fade();
        self.interval.push(self.past.last_hour_sorted(), self.hours);
        if !self.trial_begins() {
            return;
        }
        let stride = self.stride();
        let mut said = Vec::new();
        if self.said.len() * stride == self.hours
            && let Some(limits) = self.said.pop_front()
        {
            self.ledger.record(&limits, self.interval.sorted(), stride);
            said = limits;
            said.clear();
        }
        self.say(&mut said);
        self.said.push_back(said);
    }

    /// Hours from the begin of one trial to that of the next.
    fn stride(&self) -> usize {
        stride(self.hours)
    }

    fn trial_begins(&self) -> bool {
        self.past.hours_seen().is_multiple_of(self.stride())
    }

    /// What the policies say of the hours that come.
    fn say(&self, limits: &mut Vec<f64>) {
        self.families.iter().for_each(|family| family.limits(&self.past, self.hours, limits));
    }

    fn said_now(&self) -> Cow<'_, [f64]> {
        if self.trial_begins()
            && let Some(said) = self.said.back()
        {
            return Cow::Borrowed(said);
        }
        let mut said = Vec::new();
        self.say(&mut said);
        Cow::Owned(said)
    }

    /// The limit for the hours that come. Before any interval is over it is
    /// the peak so far, and `None` where there is no sample.
    pub fn limit(&self, ask: &Ask) -> Option<Limit> {
        if self.past.count(KEPT_HOURS) == 0 {
            return None;
        }
        let peak = self.past.peak(KEPT_HOURS);
        let bounds = Bounds { target: ask.target, price: BUDGET_WORTH * ask.fleet_mean / ask.budget };
        let choice = self.ledger.choose(&bounds);
        let said = self.said_now();
        let (value, within) = match &choice {
            Some(Choice::Within(mix)) => {
                (mix.iter().map(|(entry, weight)| weight * entry.margin * said[entry.policy]).sum(), true)
            }
            Some(Choice::Fewest(entry)) => (peak.max(entry.margin * said[entry.policy]), false),
            None => (peak, false),
        };
        let value = f64::min(value, self.cap() * peak).max(self.floor(ask.budget) * peak);
        Some(Limit { value, leading: choice.map(|choice| choice.leading()), within })
    }

    /// The most that a limit may be, in peaks of two weeks.
    fn cap(&self) -> f64 {
        let earlier = self.past.peak_of_slot(KEPT_HOURS.min(self.past.hours_seen()), self.earlier_hours());
        let growth = if earlier > 0.0 { self.past.peak(KEPT_HOURS) / earlier } else { GROWTH_CAP };
        growth.clamp(CALM_CAP, GROWTH_CAP)
    }

    fn earlier_hours(&self) -> usize {
        KEPT_HOURS.min(self.past.hours_seen()).saturating_sub(GROWTH_DAYS * DAY)
    }

    /// The least that a limit must be, in peaks of two weeks.
    fn floor(&self, budget: f64) -> f64 {
        let known = self.past.count(KEPT_HOURS) as f64;
        let hours = KEPT_HOURS.min(self.past.hours_seen()).max(1);
        unproven_room(budget, known, known * KEPT_HOURS as f64 / hours as f64).unwrap_or(0.0)
    }

    /// What was observed of the last two weeks.
    pub fn past(&self) -> &Past {
        &self.past
    }

    /// The name of an entry's policy.
    pub fn name(&self, entry: &Entry) -> String {
        self.families.iter().flat_map(|family| family.names()).nth(entry.policy).unwrap_or_default()
    }
}
