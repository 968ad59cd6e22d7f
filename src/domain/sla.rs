//! What a tenant is promised, how much of the promise is used up, and how fast.
//!
//! A promise is a share of good time or good requests, such as 99.9 %. What is
//! left of 100 % is its error budget, which may be spent over a period. The burn
//! rate is how many times as fast as that it is being spent: at 1 the budget
//! lasts exactly the period. Alerts follow *The Site Reliability Workbook*
//! (Beyer et al., 2018), chapter 5, "multiwindow, multi-burn-rate alerts": a
//! long window says that it matters, a short one that it still goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Resource, Severity};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// The share of answers that a promise of latency speaks of: it is one of the
/// 99th percentile.
pub const LATENCY_SHARE: f64 = 0.99;
/// A promise of 100 % leaves no budget to divide by; this stands for it.
const LEAST_BUDGET: f64 = 1e-9;

/// What is promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// That the tenant's service answers.
    Availability,
    /// That it answers 99 of 100 requests in time.
    Latency,
    /// That demand stays below this quota.
    Quota(Resource),
}

/// One speed at which a budget must not be spent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BurnLimit {
    /// The window that says that it matters.
    pub long: Duration,
    /// The window that says that it goes on.
    pub short: Duration,
    /// Times as fast as the budget lasts.
    pub rate: f64,
    /// How much it matters.
    pub severity: Severity,
}

/// How promises are watched.
#[derive(Debug, Clone, PartialEq)]
pub struct SlaSettings {
    /// The time over which a budget may be spent.
    pub period: Duration,
    /// Fast and slow.
    pub limits: [BurnLimit; 2],
    /// How often the source is asked for the availability and the latency.
    pub every: Duration,
    /// The most different latencies that the source is asked for.
    pub max_latencies: usize,
}

impl Default for SlaSettings {
    fn default() -> Self {
        let fast = BurnLimit { long: HOUR, short: 5 * MINUTE, rate: 14.4, severity: Severity::Critical };
        let slow = BurnLimit { long: 6 * HOUR, short: 30 * MINUTE, rate: 6.0, severity: Severity::Warning };
        SlaSettings { period: 28 * 24 * HOUR, limits: [fast, slow], every: 5 * MINUTE, max_latencies: 8 }
    }
}

impl SlaSettings {
    /// The windows that are measured, the shortest first.
    pub fn windows(&self) -> Vec<Duration> {
        let mut all: Vec<Duration> = self.limits.iter().flat_map(|limit| [limit.long, limit.short]).collect();
        all.push(self.period);
        all.sort_unstable();
        all.dedup();
        all
    }
}

/// The share of what was good over windows that end now, 0 to 1; a window
/// without samples is left out.
pub type GoodShares = BTreeMap<Duration, f64>;

/// How fast a budget is spent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BurnRate {
    /// The window, in seconds.
    pub window_seconds: u64,
    /// Times as fast as the budget lasts; `null` without samples.
    pub rate: Option<f64>,
    /// Above which it counts as too fast.
    pub limit: f64,
}

/// Why a promise is in danger, or broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Breach {
    /// More was bad than the whole period allows.
    UsedUp,
    /// It will be soon: the fast limit is exceeded.
    BurnsFast,
    /// It will be before the period's end: the slow limit is exceeded.
    BurnsSlowly,
}

impl Breach {
    /// The name that the API uses.
    pub fn name(self) -> &'static str {
        match self {
            Breach::UsedUp => "used_up",
            Breach::BurnsFast => "burns_fast",
            Breach::BurnsSlowly => "burns_slowly",
        }
    }
}

/// How one promise stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SlaState {
    /// What is promised.
    pub objective: Objective,
    /// The share that is promised to be good, 0 to 1.
    pub target: f64,
    /// The time over which the budget may be spent, in seconds.
    pub period_seconds: u64,
    /// The share of the period that was good; `null` without samples.
    pub good: Option<f64>,
    /// The share of the budget that is left, 1 where nothing is spent and
    /// negative where more is than there was; `null` without samples.
    pub budget_left: Option<f64>,
    /// How fast it is being spent, over each long window.
    pub burn: Vec<BurnRate>,
    /// What is wrong with it; `null` where nothing is.
    pub breach: Option<Breach>,
}

/// Judges one promise by what was measured of it.
pub fn judge(objective: Objective, target: f64, good: &GoodShares, settings: &SlaSettings) -> SlaState {
    let budget = (1.0 - target).max(LEAST_BUDGET);
    let rate = |window: Duration| good.get(&window).map(|good| (1.0 - good).max(0.0) / budget);
    let exceeds = |limit: &BurnLimit| {
        let above = |window| rate(window).is_some_and(|rate| rate > limit.rate);
        above(limit.long) && above(limit.short)
    };
    let spent = rate(settings.period);
    let [fast, slow] = &settings.limits;
    let burning = exceeds(fast).then_some(Breach::BurnsFast);
    let burning = burning.or_else(|| exceeds(slow).then_some(Breach::BurnsSlowly));
    let used_up = spent.filter(|spent| *spent > 1.0).map(|_| Breach::UsedUp);
    let burn = |limit: &BurnLimit| BurnRate {
        window_seconds: limit.long.as_secs(),
        rate: rate(limit.long),
        limit: limit.rate,
    };
    SlaState {
        objective,
        target,
        period_seconds: settings.period.as_secs(),
        good: good.get(&settings.period).copied(),
        budget_left: spent.map(|spent| 1.0 - spent),
        burn: settings.limits.iter().map(burn).collect(),
        breach: burning.or(used_up),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(target: f64, bad: [f64; 5]) -> SlaState {
        let settings = SlaSettings::default();
        let good = settings.windows().into_iter().zip(bad.map(|bad| 1.0 - bad)).collect();
        judge(Objective::Availability, target, &good, &settings)
    }

    #[test]
    fn a_budget_burns_as_fast_as_the_workbook_says() {
        // Windows: 5 min, 30 min, 1 h, 6 h, 28 days.
        let calm = state(0.999, [0.0, 0.0, 0.0005, 0.0005, 0.0005]);
        assert_eq!(calm.breach, None);
        assert!((calm.budget_left.unwrap() - 0.5).abs() < 1e-9);
        assert!((calm.burn[0].rate.unwrap() - 0.5).abs() < 1e-9);
        let fast = state(0.999, [0.02, 0.02, 0.0145, 0.004, 0.0005]);
        assert_eq!(fast.breach, Some(Breach::BurnsFast));
        let slow = state(0.999, [0.0, 0.007, 0.007, 0.0061, 0.0005]);
        assert_eq!(slow.breach, Some(Breach::BurnsSlowly));
    }

    #[test]
    fn what_is_over_is_no_alert_but_a_budget_that_is_used_up_is() {
        let over = state(0.999, [0.0, 0.0, 0.03, 0.005, 0.0009]);
        assert_eq!(over.breach, None);
        let used_up = state(0.999, [0.0, 0.0, 0.0, 0.0, 0.002]);
        assert_eq!(used_up.breach, Some(Breach::UsedUp));
        assert!((used_up.budget_left.unwrap() + 1.0).abs() < 1e-9);
    }

    #[test]
    fn without_samples_nothing_is_said() {
        let unknown = judge(Objective::Availability, 1.0, &GoodShares::new(), &SlaSettings::default());
        assert_eq!((unknown.good, unknown.budget_left, unknown.breach), (None, None, None));
        let perfect = state(1.0, [0.0; 5]);
        assert_eq!((perfect.budget_left, perfect.breach), (Some(1.0), None));
    }
}
