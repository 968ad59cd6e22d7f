//! The backtest of one quota, carried on as hours of usage come in.
//!
//! A quota's own past decides what is advised for it: every policy is tried on
//! each hour ([`Auto`]), and the violations that the standing quota really had
//! steer how much is dared ([`Promise`]). The state is made from the history at
//! the start, and then fed with what is new, so that a cycle costs what came in.

use super::auto::{Ask, Auto, Limit};
use super::past::{KEPT_HOURS, Past};
use super::policy::{Family, Histogram, Policy, Reaction, WindowQuantile};
use super::promise::Promise;
use crate::domain::recommendation::{Alternative, WhatIf};
use crate::domain::{Resource, Step, Timestamp};
use crate::series::UsageSeries;

/// The share of an hour's usage that still counts in the mean an hour later:
/// half after a week.
const MEAN_FADES: f64 = 0.995_882_5;

/// The least hours that the policies must have been tried on before what they
/// say counts: a week, so that each weekday was seen.
const LEAST_HOURS: usize = 7 * 24;

/// What the past of a quota advises.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// The limit, in the resource's unit.
    pub limit: f64,
    /// The policy that counts most in it.
    pub policy: String,
    /// The factor on that policy's own limit.
    pub margin: f64,
    /// The share of past samples that this policy would have let above it.
    pub violations: f64,
    /// Whether the past shows that the budget is held.
    pub proven: bool,
    /// For how many hours the limit is meant to hold.
    pub holds_hours: usize,
    /// What others would set now.
    pub peers: Vec<(&'static str, f64)>,
}

impl Advice {
    /// What each of the peers' quotas would have done over past usage.
    pub fn alternatives(&self, usage: &UsageSeries) -> Vec<Alternative> {
        let judged = |(name, limit): &(&'static str, f64)| {
            let WhatIf { violations, slack } = WhatIf::of(&usage.values, *limit);
            Alternative { name: (*name).to_owned(), limit: *limit, violations, slack }
        };
        self.peers.iter().filter(|(_, limit)| *limit > 0.0).map(judged).collect()
    }
}

/// The backtest of one quota.
pub struct Walk {
    auto: Auto,
    promise: Promise,
    vpa: Histogram,
    past: Past,
    hours: usize,
    holds_hours: usize,
    budget: f64,
    /// The first instant that was not looked at yet.
    until: Timestamp,
    sum: f64,
    count: f64,
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk").field("hours", &self.hours).field("until", &self.until).finish_non_exhaustive()
    }
}

impl Walk {
    /// A walk that begins at the first full hour of the last two weeks of `usage`, for limits that
    /// hold for `holds_hours` and let at most the share `budget` of the samples
    /// above them.
    pub fn new(usage: &UsageSeries, budget: f64, holds_hours: usize) -> Self {
        let samples_a_day = 24.0 * samples_an_hour(usage) as f64;
        // Policies see two weeks and what they did before fades: to walk further
        // back would cost much and change little.
        let two_weeks = Step::HOUR.duration() * KEPT_HOURS as u32;
        let from = usage.start.max(usage.end().minus(two_weeks));
        let first = from.floor_to(Step::HOUR);
        let until = if first < from { first.plus(Step::HOUR.duration()) } else { first };
        Walk {
            auto: Auto::new(&Family::ALL, holds_hours),
            promise: Promise::new(budget, holds_hours, samples_a_day),
            vpa: Histogram::vpa(0.9),
            past: Past::default(),
            hours: 0,
            holds_hours,
            budget,
            until,
            sum: 0.0,
            count: 0.0,
        }
    }

    /// Whether it was made for this budget and these limits.
    pub fn fits(&self, budget: f64, holds_hours: usize) -> bool {
        self.budget == budget && self.holds_hours == holds_hours
    }

    /// Looks at the hours that are over since it last did; `quota` is what
    /// stands, which only counts for hours that come after the first look.
    pub fn catch_up(&mut self, usage: &UsageSeries, quota: f64) {
        let per_hour = samples_an_hour(usage);
        let begun = self.hours > 0;
        self.until = self.until.max(usage.start);
        while self.until.plus(Step::HOUR.duration()) <= usage.end() {
            let Some(first) = usage.index_of(self.until) else { return };
            let hour = usage.values.iter().skip(first).take(per_hour);
            let samples: Vec<f64> = hour.copied().filter(|sample| sample.is_finite()).collect();
            self.observe(&samples, begun.then_some(quota));
            self.until = self.until.plus(Step::HOUR.duration());
        }
    }

    fn observe(&mut self, samples: &[f64], quota: Option<f64>) {
        if self.hours == 0 && samples.is_empty() {
            return;
        }
        self.hours += 1;
        self.sum = self.sum * MEAN_FADES + samples.iter().sum::<f64>();
        self.count = self.count * MEAN_FADES + samples.len() as f64;
        if let Some(quota) = quota {
            let above = samples.iter().filter(|sample| **sample > quota * (1.0 + 1e-6)).count();
            self.promise.enter(above, samples.len());
        }
        self.auto.observe(samples);
        self.past.push(samples);
        self.vpa.observe(&self.past);
    }

    /// The mean usage, recent hours more; `None` before any sample.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    /// What the past advises; `None` before a week of it is known.
    pub fn advice(&self, resource: Resource, fleet_mean: f64) -> Option<Advice> {
        if self.hours < LEAST_HOURS {
            return None;
        }
        let ask = Ask { budget: self.budget, target: self.promise.target(), fleet_mean };
        let Limit { value, leading, within } = self.auto.limit(&ask)?;
        let leading = leading?;
        Some(Advice {
            limit: value,
            policy: self.auto.name(&leading),
            margin: leading.margin,
            violations: leading.share,
            proven: within,
            holds_hours: self.holds_hours,
            peers: self.peers(resource),
        })
    }

    /// What the VPA's target and KRR would be.
    fn peers(&self, resource: Resource) -> Vec<(&'static str, f64)> {
        let krr = match resource {
            Resource::MemoryGb => Reaction::hours(KEPT_HOURS).limit(&self.past, self.holds_hours) * 1.15,
            _ => {
                let window = WindowQuantile { hours: KEPT_HOURS, quantile: 0.95 };
                window.limit(&self.past, self.holds_hours)
            }
        };
        vec![("VPA target", self.vpa.limit(&self.past, self.holds_hours) * 1.15), ("KRR", krr)]
    }
}

fn samples_an_hour(usage: &UsageSeries) -> usize {
    let step = usage.step.millis().max(1);
    usize::try_from(Step::HOUR.millis() / step).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(days: usize, value: impl Fn(usize) -> f64) -> UsageSeries {
        let values: Vec<f64> = (0..days * 288).map(value).collect();
        UsageSeries { start: Timestamp::from_seconds(0), step: Step::FIVE_MINUTES, values: values.into() }
    }

    fn office(index: usize) -> f64 {
        if (96..216).contains(&(index % 288)) { 4.0 + (index % 7) as f64 * 0.1 } else { 1.0 }
    }

    #[test]
    fn carried_on_it_says_what_it_says_made_anew() {
        let whole = usage(21, office);
        let mut half = usage(15, office);
        let (mut anew, mut carried) = (Walk::new(&whole, 0.01, 24), Walk::new(&half, 0.01, 24));
        carried.catch_up(&half, f64::INFINITY);
        half = whole.clone();
        carried.catch_up(&half, f64::INFINITY);
        anew.catch_up(&whole, f64::INFINITY);
        let (one, other) =
            (anew.advice(Resource::CpuCores, 2.0).unwrap(), carried.advice(Resource::CpuCores, 2.0).unwrap());
        assert_eq!(one.policy, other.policy);
        // The violations of the hours that came after the first look count.
        assert!((one.limit / other.limit - 1.0).abs() < 0.1, "{one:?} {other:?}");
        assert!((4.0..5.5).contains(&one.limit), "{one:?}");
        assert!(one.peers.iter().all(|(_, limit)| (3.0..6.0).contains(limit)), "{one:?}");
    }

    #[test]
    fn says_nothing_before_a_week() {
        let mut walk = Walk::new(&usage(6, office), 0.01, 24);
        walk.catch_up(&usage(6, office), 8.0);
        assert_eq!(walk.advice(Resource::CpuCores, 2.0), None);
    }

    #[test]
    fn a_tenant_above_its_quota_is_dared_less_with() {
        let spiky = |index: usize| office(index) * if index.is_multiple_of(97) { 1.6 } else { 1.0 };
        let (first, whole) = (usage(14, spiky), usage(21, spiky));
        let limit = |quota: f64| {
            let mut walk = Walk::new(&first, 0.02, 1);
            walk.catch_up(&first, quota);
            walk.catch_up(&whole, quota);
            walk.advice(Resource::CpuCores, 2.0).unwrap().limit
        };
        assert!(limit(3.0) >= limit(20.0), "{} {}", limit(3.0), limit(20.0));
    }
}
