//! The backtest of one quota, carried on as hours of usage come in.
//!
//! A quota's own past decides what is advised for it. Every policy is tried on
//! each hour ([`Auto`]); at the end of each interval a limit is set, as it would
//! have been set then, and what becomes of it steers how much is dared next
//! ([`Promise`]). The state is made from the history at the start and then fed
//! with what is new, so that a cycle costs what came in; it depends on nothing
//! but the history, so that a restart changes no answer.

use serde::{Deserialize, Serialize};

use super::StandingQuota;
use super::auto::{Ask, Auto, BUDGET_WORTH, Limit};
use super::day_ahead::{DayAhead, Plan};
use super::demand;
use super::hold::Hold;
use super::ledger::Bounds;
use super::past::DAY;
use super::policy::{Family, Peers};
use super::pool::{Others, Pool};
use super::promise::Promise;
use super::schedule::{Followed, PAYS, Reach};
use super::tried::{Trial, Tried};
use crate::domain::{Resource, Step, Timestamp};
use crate::series::UsageSeries;

/// The least hours that the policies must have been tried on before what they
/// say counts: a week, so that each weekday was seen.
const LEAST_HOURS: usize = 7 * DAY;

/// How a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Course {
    /// The share of samples that may lie above a limit, above 0 and below 1.
    pub budget: f64,
    /// For how many hours each limit holds, above 0; a part of a day.
    pub hours: usize,
    /// The most changes a day, above 0.
    pub changes_per_day: f64,
    /// How far the quota may follow a schedule made at midnight; `None` where it
    /// follows none.
    pub schedule: Option<Reach>,
}

/// What the past of a quota advises.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// The limit that is worth a change, or the one that stands; in the
    /// resource's unit.
    pub limit: f64,
    /// The policy that counts most in it.
    pub policy: String,
    /// The factor on that policy's own limit.
    pub margin: f64,
    /// The share of past samples that this policy would have let above it.
    pub violations: f64,
    /// Whether the past says that the budget is held.
    pub proven: bool,
    /// For how many hours the limit is meant to hold.
    pub hours: usize,
    /// Since when this is the answer.
    pub since: Timestamp,
    /// What such limits were worth over the last weeks.
    pub tried: Option<Tried>,
    /// What others would set now.
    pub peers: Vec<(&'static str, f64)>,
    /// A limit for each of the 24 hours to come, and the first of them, where
    /// the past says that it holds.
    pub plan: Option<(Timestamp, Plan)>,
    /// The limits of the schedules that were followed today and yesterday.
    pub followed: Vec<f64>,
    /// Whether the limit is that of a schedule.
    pub is_scheduled: bool,
}

impl Advice {
    /// Whether a limit holds for less than a day, so that it must not be held
    /// against usage of other hours.
    pub fn is_short(&self) -> bool {
        self.is_scheduled || self.hours < DAY
    }

    /// When the limit's time is over.
    pub fn until(&self) -> Timestamp {
        later(self.since, self.hours)
    }
}

/// What was decided for the interval that runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Decided {
    limit: Limit,
    bounds: Bounds,
    since: Timestamp,
}

/// The backtest of one quota.
#[derive(Serialize, Deserialize)]
pub struct Walk {
    course: Course,
    auto: Auto,
    promise: Promise,
    hold: Hold,
    trial: Trial,
    day_ahead: DayAhead,
    peers: Peers,
    decided: Option<Decided>,
    followed: Followed,
    /// The limit of the last hour that was looked at, 0 before the first.
    held: f64,
    /// Whether there were samples since the last look.
    news: bool,
    hours: usize,
    /// The first instant that was not looked at yet, a full hour.
    until: Timestamp,
}

impl std::fmt::Debug for Walk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walk").field("hours", &self.hours).field("until", &self.until).finish_non_exhaustive()
    }
}

impl Walk {
    /// A walk that begins at the first full hour of `usage`.
    pub fn new(usage: &UsageSeries, course: Course) -> Self {
        let samples_a_day = (DAY * samples_an_hour(usage)) as f64;
        let first = usage.start.floor_to(Step::HOUR);
        Walk {
            course,
            auto: Auto::new(&Family::ALL, course.hours),
            promise: Promise::new(course.budget, course.hours, samples_a_day),
            hold: Hold::new(course.changes_per_day),
            trial: Trial::default(),
            day_ahead: DayAhead::default(),
            peers: Peers::default(),
            decided: None,
            followed: Followed::default(),
            held: 0.0,
            news: false,
            hours: 0,
            until: if first < usage.start { later(first, 1) } else { first },
        }
    }

    /// How it goes.
    pub fn course(&self) -> &Course {
        &self.course
    }

    /// The first instant that it has not looked at yet.
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// Looks at the hours that are over since it last did. Samples that `quota`
    /// holds down are taken for more than they show.
    pub fn catch_up(&mut self, usage: &UsageSeries, quota: &StandingQuota, others: Others<'_>) {
        let per_hour = samples_an_hour(usage);
        if self.until < usage.start {
            self.until = later(usage.start.floor_to(Step::HOUR), 1);
        }
        while later(self.until, 1) <= usage.end() {
            let Some(first) = usage.index_of(self.until) else { return };
            let hour = usage.values.iter().skip(first).take(per_hour);
            let mut samples: Vec<f64> = hour.copied().filter(|sample| sample.is_finite()).collect();
            demand::of_hour(&mut samples, self.until, quota);
            self.observe(&samples, others.pool);
            self.until = later(self.until, 1);
            if hour_of(self.until).is_multiple_of(self.course.hours) && self.hours >= LEAST_HOURS {
                self.decide(others.mean);
                self.news = false;
            }
        }
    }

    fn observe(&mut self, samples: &[f64], pool: &Pool) {
        if self.hours == 0 && samples.is_empty() {
            return;
        }
        self.hours += 1;
        self.news |= !samples.is_empty();
        if self.decided.is_some() {
            let limit = self.followed.step_at(self.until).map_or(self.hold.current(), |step| step.limit);
            let above = samples.iter().filter(|sample| **sample > limit * (1.0 + 1e-6)).count();
            self.promise.enter(above, samples.len());
            self.trial.enter(samples, limit, self.held > 0.0 && limit != self.held);
            self.held = limit;
        }
        self.auto.observe(samples, pool.known_at(hour_number(self.until) + 1));
        self.peers.observe(self.auto.past());
        self.day_ahead.observe(self.auto.past(), hour_of(self.until));
    }

    fn decide(&mut self, fleet_mean: f64) {
        let budget = self.course.budget;
        let target = self.promise.target();
        // A gap says nothing: what was decided stays.
        let asked = self.news.then(|| self.auto.limit(&Ask { budget, target, fleet_mean }));
        let Some(limit) = asked.flatten() else { return };
        let stands = self.hold.next(limit.value, self.course.hours);
        let bounds = Bounds { target, price: BUDGET_WORTH * fleet_mean / budget };
        if let Some(reach) = self.course.schedule.as_ref().filter(|_| hour_of(self.until) == 0) {
            let plan = self.day_ahead.plan(self.auto.past(), &bounds).map(|plan| plan.within(reach));
            self.followed.begin_day(self.until, plan.filter(|plan| plan.mean() < PAYS * stands));
        }
        self.decided = Some(Decided { limit, bounds, since: self.until });
    }

    /// What such limits were worth over the last weeks.
    pub fn tried(&self) -> Option<Tried> {
        self.trial.sum()
    }

    /// What the past advises; `None` before a week of it is known.
    pub fn advice(&self, resource: Resource) -> Option<Advice> {
        let Decided { limit, bounds, since } = self.decided.as_ref()?;
        let leading = limit.leading?;
        let for_the_day = Advice {
            limit: self.hold.current(),
            policy: self.auto.name(&leading),
            margin: leading.margin,
            violations: leading.share,
            proven: limit.within,
            hours: self.course.hours,
            since: *since,
            tried: self.tried(),
            peers: self.peers(resource),
            plan: self.day_ahead.plan(self.auto.past(), bounds).map(|plan| (self.until, plan)),
            followed: self.followed.limits().collect(),
            is_scheduled: false,
        };
        Some(self.scheduled(&for_the_day).unwrap_or(for_the_day))
    }

    /// The same advice where a schedule holds in the hour that comes.
    fn scheduled(&self, for_the_day: &Advice) -> Option<Advice> {
        let step = self.followed.step_at(self.until)?;
        let plan = self.followed.plan_at(self.until)?;
        Some(Advice {
            limit: step.limit,
            policy: "schedule".to_owned(),
            margin: 1.0,
            violations: plan.1.violations,
            proven: true,
            hours: step.hours,
            since: step.since,
            plan: Some(plan.clone()),
            is_scheduled: true,
            ..for_the_day.clone()
        })
    }

    /// What the VPA's target and KRR would be.
    fn peers(&self, resource: Resource) -> Vec<(&'static str, f64)> {
        let [vpa_cpu, vpa_memory, krr_cpu, krr_memory] = self.peers.limits(self.auto.past());
        let (vpa, krr) = match resource {
            Resource::MemoryGb => (vpa_memory, krr_memory),
            _ => (vpa_cpu, krr_cpu),
        };
        vec![("VPA target", vpa), ("KRR", krr)]
    }
}

fn samples_an_hour(usage: &UsageSeries) -> usize {
    usage.step.count_in(Step::HOUR.duration()).max(1)
}

fn later(at: Timestamp, hours: usize) -> Timestamp {
    at.plus(Step::HOUR.duration() * u32::try_from(hours).unwrap_or(u32::MAX))
}

/// The number of the hour that an instant lies in, counted from 1970.
pub fn hour_number(at: Timestamp) -> i64 {
    at.millis().div_euclid(Step::HOUR.millis())
}

/// The hour of the day that begins at a full hour, in UTC.
fn hour_of(at: Timestamp) -> usize {
    usize::try_from(hour_number(at).rem_euclid(DAY as i64)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    const FREE: StandingQuota = StandingQuota { limit: f64::INFINITY, since: None, raised: false };

    fn others() -> Others<'static> {
        static NONE: LazyLock<Pool> = LazyLock::new(Pool::default);
        Others { mean: 2.0, pool: &NONE }
    }

    fn usage(days: usize, value: impl Fn(usize) -> f64) -> UsageSeries {
        let values: Vec<f64> = (0..days * 288).map(value).collect();
        UsageSeries { start: Timestamp::from_seconds(0), step: Step::FIVE_MINUTES, values: values.into() }
    }

    fn office(index: usize) -> f64 {
        if (96..216).contains(&(index % 288)) { 4.0 + (index % 7) as f64 * 0.1 } else { 1.0 }
    }

    fn walked(usage: &UsageSeries, hours: usize) -> Walk {
        let mut walk = Walk::new(usage, Course { budget: 0.01, hours, changes_per_day: 8.0, schedule: None });
        walk.catch_up(usage, &FREE, others());
        walk
    }

    /// Written down and read again.
    fn rested(walk: &Walk) -> Walk {
        let bytes = postcard::to_allocvec(walk).unwrap();
        assert!(bytes.len() < 64 * 1024, "{} bytes", bytes.len());
        let read: Walk = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(postcard::to_allocvec(&read).unwrap(), bytes);
        read
    }

    #[test]
    fn carried_on_it_says_what_it_says_made_anew() {
        for hours in [1, 6, 24] {
            let whole = usage(21, office);
            let mut carried = rested(&walked(&usage(15, office), hours));
            carried.catch_up(&whole, &FREE, others());
            let anew = walked(&whole, hours).advice(Resource::CpuCores).unwrap();
            assert_eq!(Some(&anew), carried.advice(Resource::CpuCores).as_ref());
            assert_eq!((anew.hours, anew.since), (hours, whole.end()));
            let tried = anew.tried.unwrap();
            assert!(tried.violations <= 0.01 && tried.days >= 13.0, "{tried:?}");
            assert!(anew.peers.iter().all(|(_, limit)| (3.0..6.0).contains(limit)), "{anew:?}");
            let (from, plan) = anew.plan.unwrap();
            assert_eq!((from, plan.hours.len()), (whole.end(), 24));
            assert!(plan.hours[3] < 2.0 && plan.hours[12] >= 4.5, "{plan:?}");
        }
    }

    #[test]
    fn says_nothing_before_a_week() {
        assert_eq!(walked(&usage(6, office), 24).advice(Resource::CpuCores), None);
    }

    #[test]
    fn usage_held_down_by_its_quota_asks_for_more_than_it_shows() {
        let held = usage(14, |index| office(index).min(3.0));
        let course = Course { budget: 0.01, hours: 24, changes_per_day: 8.0, schedule: None };
        let asked = |limit| {
            let mut walk = Walk::new(&held, course);
            walk.catch_up(&held, &StandingQuota::first(limit), others());
            walk.advice(Resource::CpuCores).unwrap().limit
        };
        assert!(asked(3.0) >= 3.6 && asked(9.0) < 3.6, "{} {}", asked(3.0), asked(9.0));
    }

    #[test]
    fn a_gap_keeps_what_was_decided() {
        let mut walk = walked(&usage(14, office), 24);
        let before = walk.advice(Resource::CpuCores).unwrap();
        let mut gone = usage(40, office);
        gone.values.iter_mut().skip(14 * 288).for_each(|value| *value = f64::NAN);
        walk.catch_up(&gone, &FREE, others());
        assert_eq!(walk.advice(Resource::CpuCores).unwrap().limit, before.limit);
    }
}
