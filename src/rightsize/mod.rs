//! From usage and forecast to the quota that a tenant should have.
//!
//! Where a quota has a week of past, the policies are tried on it hour by hour
//! and those that would have held the tier's violation budget at the least
//! weight say what it should be ([`Walk`]). A younger one gets the forecast's
//! peak at a high quantile with a margin on it; so does one for which no policy
//! is proven. What holds for a day does not go below what the budget would have
//! needed in the past as a whole. The answer is rounded up,
//! inside the tier's floor and ceiling; small differences are left alone, and
//! where the data can't carry an answer the reason is said.

pub mod auto;
pub mod budget;
pub mod day_ahead;
pub mod demand;
mod evidence;
pub mod hold;
pub mod ledger;
mod needs;
mod packed;
pub mod past;
pub mod policy;
pub mod pool;
pub mod promise;
mod ranked;
pub mod rehearsal;
pub mod replay;
mod rule;
pub mod schedule;
mod steps;
pub mod tier_fit;
mod tried;
mod walk;
pub mod words;

use std::time::Duration;

pub use budget::{Budget, Budgets};
pub use pool::{Others, Pool};
pub use rule::decide;
pub use steps::one_step;
pub use tried::Tried;
pub use walk::{Advice, Course, Walk, hour_number};

use crate::domain::{Cadence, Evidence, Resource, Tier, Timestamp};
use crate::forecast::{Abstention, Forecast};
use crate::series::UsageSeries;

/// How the rule is set.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The quantile of the forecast whose peak counts, 0 to 1.
    pub peak_quantile: f64,
    /// What is added on that peak, as a share of it.
    pub margin: f64,
    /// A difference to the quota, as a share of it, that is left alone.
    pub dead_band: f64,
    /// The least span from the first to the last sample.
    pub least_history: Duration,
    /// The raise of a quota that usage is pinned at, as a share of it.
    pub pinned_step: f64,
    /// How long a quota that was raised must have stood before it may be cut.
    pub rest: Duration,
    /// How often quotas are meant to change, where the tenant says nothing else.
    pub cadence: Cadence,
    /// The most changes of a quota a day, above 0; what cadence is chosen
    /// where it is left open keeps within it.
    pub changes_per_day: f64,
    /// How much history a lower tier is proposed from.
    pub season: Duration,
    /// The share of samples that may lie above a quota.
    pub budgets: Budgets,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            peak_quantile: 0.95,
            margin: 0.15,
            dead_band: 0.10,
            least_history: Duration::from_secs(3 * 86_400),
            pinned_step: 0.5,
            rest: Duration::from_secs(86_400),
            cadence: Cadence::Auto,
            changes_per_day: 4.0,
            season: Duration::from_secs(21 * 86_400),
            budgets: Budgets::default(),
        }
    }
}

/// A forecast with what it was made by and for when.
#[derive(Debug, Clone)]
pub struct DatedForecast {
    /// The model's name.
    pub model: &'static str,
    /// The first hour that it covers; each step is an hour.
    pub start: Timestamp,
    /// The forecast of the hours' peaks.
    pub forecast: Forecast,
}

/// The quota that stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StandingQuota {
    /// The limit, in the resource's unit.
    pub limit: f64,
    /// Since when; `None` where it was never changed.
    pub since: Option<Timestamp>,
    /// Whether that change was a raise.
    pub raised: bool,
}

impl StandingQuota {
    /// One that was never changed.
    pub fn first(limit: f64) -> Self {
        StandingQuota { limit, since: None, raised: false }
    }
}

/// What is known of one quota.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// Which resource.
    pub resource: Resource,
    /// The tenant's tier.
    pub tier: Tier,
    /// The quota that stands.
    pub quota: StandingQuota,
    /// The share of samples that may lie above it.
    pub budget: &'a Budget,
    /// Past usage.
    pub usage: &'a UsageSeries,
    /// The forecast, or why there is none.
    pub forecast: Result<&'a DatedForecast, &'a Abstention>,
    /// What the quota's own past advises, where it is long enough.
    pub advice: Option<&'a Advice>,
}

impl Case<'_> {
    /// Whether the quota that stands is a step of a schedule that is followed.
    /// The guardrails may have rounded it by one step of the resource.
    pub(crate) fn is_on_schedule(&self) -> bool {
        let near = |limit: &f64| {
            (self.within_tier(*limit) - self.quota.limit).abs() <= 1.001 * self.resource.granularity()
        };
        self.advice.is_some_and(|advice| advice.followed.iter().any(near))
    }

    /// A wish in steps of the resource and inside the tier's bounds.
    fn within_tier(&self, wanted: f64) -> f64 {
        let ceiling = self.tier.ceiling(self.resource).unwrap_or(f64::INFINITY);
        self.resource.round_up(wanted).max(self.tier.floor(self.resource)).min(ceiling)
    }
}

/// What the rule says.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The quota should be another.
    Change(Box<Proposal>),
    /// The quota should stay.
    Keep(KeepReason),
    /// There is no answer.
    Abstain(AbstainReason),
}

/// A quota that should be another.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    /// The quota that it should be, in the resource's unit.
    pub limit: f64,
    /// What that rests on.
    pub evidence: Evidence,
    /// Why, a sentence each, the most important first.
    pub reasons: Vec<String>,
    /// How far it can be trusted, 0 to 1.
    pub confidence: f64,
}

/// Why a quota should stay.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KeepReason {
    /// The answer is near enough to what stands.
    #[error("the quota fits: {target} would be best, which is within {:.0} % of it", dead_band * 100.0)]
    WithinDeadBand {
        /// What would be best.
        target: f64,
        /// The difference left alone, as a share.
        dead_band: f64,
    },
    /// Less would do now, but not by all that is asked.
    #[error("{target} would do now, but the next day's forecast asks for more; a cut waits")]
    NotSettled {
        /// What would be best now.
        target: f64,
    },
    /// The room above what was seen insures a budget.
    #[error(
        "{enough} would do for what was seen, but so short a past can't prove so small a budget; the room \
         above it is kept"
    )]
    Insured {
        /// What was seen needs.
        enough: f64,
    },
    /// It was raised a short while ago.
    #[error("it was raised lately and is not cut before {}, so that usage shows what it needs", words::at_utc(*until))]
    Resting {
        /// When it may be cut.
        until: Timestamp,
    },
    /// Somebody said no to it.
    #[error(
        "{target} would be best, but {by} said no to that ({reason}); it is not proposed again before {}",
        words::at_utc(*until)
    )]
    Refused {
        /// What would be best.
        target: f64,
        /// Until when it is not proposed.
        until: Timestamp,
        /// Who said no.
        by: String,
        /// Why.
        reason: String,
    },
    /// No step that the guardrails allow is as large as those of the resource.
    #[error(
        "{target} would be best, but a step that the guardrails allow is less than the quota can change by"
    )]
    StepTooCoarse {
        /// What would be best.
        target: f64,
    },
    /// More is needed than the tier allows.
    #[error("usage is pinned at the quota, which is already at the tier's ceiling; consider a higher tier")]
    PinnedAtCeiling,
    /// The tier's floor stands.
    #[error("usage needs less, but the quota is already at the tier's floor")]
    AtFloor,
    /// The tier's ceiling stands.
    #[error("usage needs {target}, but the quota is already at the tier's ceiling; consider a higher tier")]
    AtCeiling {
        /// What would be best.
        target: f64,
    },
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AbstainReason {
    /// There is no sample, only gaps.
    #[error("no usage was ever seen; check that the expression names this tenant")]
    NoSamples,
    /// The history is too short.
    #[error("only {have_hours} h of history are known and {need_hours} h are needed")]
    TooLittleHistory {
        /// Hours from the first to the last sample.
        have_hours: u64,
        /// Hours that there must be.
        need_hours: u64,
    },
    /// There are too few samples in the history's span.
    #[error("{:.0} % of the history are gaps; check the scrape", gap_share * 100.0)]
    MostlyGaps {
        /// The share of the grid without a sample.
        gap_share: f64,
    },
    /// The usage never moves.
    #[error(
        "usage has stood at {value} for all {hours} h; a flat line says nothing about need, check the exporter"
    )]
    FlatLine {
        /// Where it stands, in the resource's unit.
        value: f64,
        /// For how long, in hours.
        hours: u64,
    },
    /// The forecast abstained.
    #[error("there is no forecast: {0}")]
    NoForecast(Abstention),
}
