//! An immutable record that says what a quota should be, with what it rests on.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Actor, Alternative, Backtest, Money, PerMonth, QuotaChange, RecommendationId, Resource, Schedule,
    TenantId, Tier, TierFit, Timestamp, WhyTwo,
};

/// What the recommendation rests on, so that a reader can check it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// The first usage sample looked at.
    pub history_from: Timestamp,
    /// The last usage sample looked at.
    pub history_to: Timestamp,
    /// How many samples there were.
    pub samples: u64,
    /// The share of the grid without a sample, 0 to 1.
    pub gap_share: f64,
    /// The median of the usage, in the resource's unit.
    pub usage_median: f64,
    /// The 95th percentile of the usage, in the resource's unit.
    pub usage_p95: f64,
    /// The largest usage seen, in the resource's unit.
    pub usage_max: f64,
    /// The model that made the forecast.
    pub model: String,
    /// How far the forecast looks, in hours.
    pub horizon_hours: u32,
    /// The largest value of the forecast at `peak_quantile`, in the resource's unit.
    pub forecast_peak: f64,
    /// When that peak is expected.
    pub peak_at: Timestamp,
    /// The quantile of the forecast that the peak is taken from, 0 to 1.
    pub peak_quantile: f64,
    /// What was added on the peak, as a share of it.
    pub margin: f64,
    /// The share of past samples above the quota that stands.
    pub violations_now: f64,
    /// The share of past samples that would have been above the proposed quota.
    pub violations_then: f64,
    /// Mean of (quota - usage) / quota with the quota that stands, at least 0.
    pub slack_now: f64,
    /// The same with the proposed quota.
    pub slack_then: f64,
    /// The share of samples that may lie above the quota; 0 where a record is
    /// from before that was noted.
    #[serde(default)]
    pub budget: f64,
    /// Where that share comes from.
    #[serde(default)]
    pub budget_because: String,
    /// What was tried on this quota's own past; `None` where that is too short.
    #[serde(default)]
    pub backtest: Option<Backtest>,
    /// What others would set, over the same past.
    #[serde(default)]
    pub alternatives: Vec<Alternative>,
    /// A quota for each hour of the day to come, where the past says that this
    /// pays and holds.
    #[serde(default)]
    pub schedule: Option<Schedule>,
    /// Whether the quota that stands is a step of a schedule that is followed,
    /// so that the next one need not wait for the cool-down.
    #[serde(default)]
    pub is_on_schedule: bool,
    /// Which tier the tenant's demand fits, where that is another than its own.
    #[serde(default)]
    pub tier_fit: Option<TierFit>,
    /// What the confidence rests on, in words.
    #[serde(default)]
    pub confidence_because: String,
    /// What would change the answer, a sentence each.
    #[serde(default)]
    pub would_change: Vec<String>,
}

/// What a quota would have done over past usage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WhatIf {
    /// The share of samples above it.
    pub violations: f64,
    /// Mean of (quota - usage) / quota, at least 0.
    pub slack: f64,
}

impl WhatIf {
    /// Holds a quota against past samples; gaps don't count.
    pub fn of<'a>(usage: impl IntoIterator<Item = &'a f64>, quota: f64) -> Self {
        let (mut samples, mut above, mut slack) = (0.0, 0.0, 0.0);
        for value in usage.into_iter().filter(|value| value.is_finite()) {
            samples += 1.0;
            above += f64::from(*value > quota * (1.0 + 1e-6));
            slack += ((quota - value) / quota).max(0.0);
        }
        let samples = f64::max(samples, 1.0);
        WhatIf { violations: above / samples, slack: slack / samples }
    }
}

impl Evidence {
    /// The same evidence for another proposed limit.
    pub fn with_limit<'a>(self, usage: impl IntoIterator<Item = &'a f64>, limit: f64) -> Self {
        let then = WhatIf::of(usage, limit);
        Evidence { violations_then: then.violations, slack_then: then.slack, ..self }
    }
}

/// What a quota costs now, and what it would cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CostChange {
    /// A month at the quota that stands.
    pub now: Money<PerMonth>,
    /// A month at the proposed quota.
    pub then: Money<PerMonth>,
    /// `now - then`; negative where the change costs more.
    pub saving: Money<PerMonth>,
}

/// A proposed quota with its evidence. Never changed once written; what
/// becomes of it is kept beside it as a [`RecommendationState`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Recommendation {
    /// Its id.
    pub id: RecommendationId,
    /// Whose quota.
    pub tenant: TenantId,
    /// The tenant's tier when it was made.
    pub tier: Tier,
    /// Which quota.
    pub resource: Resource,
    /// The quota's generation that it starts from.
    pub parent_generation: u64,
    /// The quota that stands, in the resource's unit.
    pub current: f64,
    /// The quota that is proposed, in the resource's unit.
    pub proposed: f64,
    /// What it rests on.
    pub evidence: Evidence,
    /// Why, a sentence each, the most important first.
    pub reasons: Vec<String>,
    /// How far it can be trusted, 0 to 1.
    pub confidence: f64,
    /// What it costs and saves; `None` where there is no price.
    pub cost: Option<CostChange>,
    /// Why there is no cost, where there is none.
    pub no_cost_because: Option<String>,
    /// Where in a trace it was made, as a `traceparent` (W3C Trace Context).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops being of use.
    pub expires_at: Timestamp,
}

impl Recommendation {
    /// `proposed / current - 1`: 0.25 is a quarter more.
    pub fn relative_change(&self) -> f64 {
        self.proposed / self.current - 1.0
    }

    /// The change of the quota that it asks for.
    pub fn change(&self) -> QuotaChange {
        QuotaChange {
            tenant: self.tenant.clone(),
            resource: self.resource,
            parent_generation: self.parent_generation,
            from: self.current,
            to: self.proposed,
            recommendation: Some(self.id),
            rollout: None,
            rolls_back: false,
            reason: self.reasons.join(" "),
        }
    }
}

/// What has become of a recommendation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RecommendationState {
    /// Waits for a person, or for the guardrails.
    Proposed,
    /// Approved by one person, and waits for a second, different one.
    AwaitsSecond {
        /// Who approved it.
        by: Actor,
        /// When.
        at: Timestamp,
        /// What they said.
        comment: Option<String>,
        /// Why it needs two people.
        needs_two: WhyTwo,
        /// How long their word counts.
        until: Timestamp,
    },
    /// Approved, and on its way to the target.
    Approved {
        /// Who approved it.
        by: Actor,
        /// When.
        at: Timestamp,
    },
    /// The quota stands as proposed.
    Applied {
        /// When.
        at: Timestamp,
        /// The quota's generation since then.
        generation: u64,
    },
    /// A person said no.
    Rejected {
        /// Who.
        by: Actor,
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// A newer recommendation took its place.
    Superseded {
        /// The newer one; `None` where none is needed any more.
        by: Option<RecommendationId>,
    },
    /// The quota was changed by something else first.
    Stale {
        /// The generation found.
        found_generation: u64,
    },
    /// Nobody decided in time.
    Expired,
}

impl RecommendationState {
    /// What has become of it, in words that fit behind "it is already".
    pub fn told(&self) -> String {
        match self {
            RecommendationState::Superseded { by: Some(newer) } => format!("superseded by {newer}"),
            RecommendationState::Superseded { by: None } => {
                "superseded: nothing is to be changed any more".to_owned()
            }
            RecommendationState::Stale { found_generation } => {
                format!("stale: the quota has moved on to generation {found_generation}")
            }
            other => other.name().to_owned(),
        }
    }

    /// The name used in filters and tables.
    pub fn name(&self) -> &'static str {
        match self {
            RecommendationState::Proposed => "proposed",
            RecommendationState::AwaitsSecond { .. } => "awaits_second",
            RecommendationState::Approved { .. } => "approved",
            RecommendationState::Applied { .. } => "applied",
            RecommendationState::Rejected { .. } => "rejected",
            RecommendationState::Superseded { .. } => "superseded",
            RecommendationState::Stale { .. } => "stale",
            RecommendationState::Expired => "expired",
        }
    }

    /// All names, for checks of filters.
    pub const NAMES: [&'static str; 8] =
        ["proposed", "awaits_second", "approved", "applied", "rejected", "superseded", "stale", "expired"];

    /// Whether people can still decide on it.
    pub fn is_open(&self) -> bool {
        matches!(self, RecommendationState::Proposed | RecommendationState::AwaitsSecond { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the version before backtests wrote it.
    const OLD: &str = r#"{"id":"01a20875-6510-708e-bca9-d1851120e9d1","tenant":"acme","tier":"PREMIUM",
        "resource":"cpu_cores","parent_generation":1,"current":8.0,"proposed":2.4,"evidence":{
        "history_from":"2026-11-09T12:55:00Z","history_to":"2026-11-23T12:50:00Z","samples":4032,
        "gap_share":0.0,"usage_median":1.25,"usage_p95":1.94,"usage_max":2.0,"model":"ensemble",
        "horizon_hours":168,"forecast_peak":2.03,"peak_at":"2026-11-30T05:00:00Z","peak_quantile":0.95,
        "margin":0.15,"violations_now":0.0,"violations_then":0.0,"slack_now":0.84,"slack_then":0.4},
        "reasons":["Forecast peak 2.03 cores in 160 h at the 95 % quantile, plus 15 %."],
        "confidence":0.99,"cost":null,"no_cost_because":"no price book is configured; set prices.file",
        "created_at":"2026-11-23T12:50:41Z","expires_at":"2026-11-24T12:50:41Z"}"#;

    #[test]
    fn records_of_the_version_before_are_read() {
        let old: Recommendation = serde_json::from_str(OLD).unwrap();
        assert_eq!((old.proposed, old.evidence.budget, &old.evidence.backtest), (2.4, 0.0, &None));
        let again: Recommendation = serde_json::from_str(&serde_json::to_string(&old).unwrap()).unwrap();
        assert_eq!(old, again);
    }
}
