//! The parts of a recommendation's evidence: what was tried on the quota's own
//! past, what others would set, and what else the past says.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Money, PerMonth, Resource, Tier, Timestamp};

/// What was tried on a quota's own past, hour by hour, each limit set from
/// earlier hours only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Backtest {
    /// The policy that counts most in the answer.
    pub policy: String,
    /// The factor on its limit.
    pub margin: f64,
    /// The share of samples that it alone would have let above its limits.
    pub policy_violations: f64,
    /// What the mix of policies asks for now, before rounding, in the resource's
    /// unit.
    pub limit: f64,
    /// Whether the past says that the budget is held.
    pub proven: bool,
    /// For how many hours each limit holds.
    pub holds_hours: u32,
    /// Until when the present answer holds; then the policies are asked anew.
    pub holds_until: Timestamp,
    /// Over how many days limits were set in this trial; 0 where it has not
    /// begun yet.
    pub days: f64,
    /// The share of samples above the limits of the trial.
    pub violations: f64,
    /// The mean limit of the trial, in the resource's unit.
    pub mean_limit: f64,
    /// The unused share of the limits of the trial.
    pub slack: f64,
    /// Changes of the limit a day in the trial.
    pub changes_per_day: f64,
}

/// A quota that another method would set now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Alternative {
    /// The method.
    pub name: String,
    /// Its quota, in the resource's unit.
    pub limit: f64,
    /// The share of past samples above it.
    pub violations: f64,
    /// Mean of (quota - usage) / quota, at least 0.
    pub slack: f64,
    /// What it costs a month; `None` where there is no price.
    pub cost: Option<Money<PerMonth>>,
}

/// A quota for each hour of the day to come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Schedule {
    /// The first hour.
    pub from: Timestamp,
    /// The 24 quotas, in the resource's unit.
    pub hours: Vec<f64>,
    /// The mean of them.
    pub mean: f64,
    /// The share of past samples above such schedules, each made a day ahead.
    pub violations: f64,
    /// Over how many days that was tried.
    pub days: u32,
    /// Whether the quota follows it, so that the proposed quota is its step.
    #[serde(default)]
    pub is_followed: bool,
}

/// Which tier a tenant's demand fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TierFit {
    /// The tier that it is on.
    pub tier: Tier,
    /// The tier that its demand fits.
    pub fits: Tier,
    /// Why, a sentence each.
    pub because: Vec<String>,
    /// The resources that are not measured, of which nothing is known.
    pub not_measured: Vec<Resource>,
    /// A month of the quotas that its tier starts with; `None` without prices.
    pub cost_now: Option<Money<PerMonth>>,
    /// A month of the quotas that the fitting tier starts with.
    pub cost_then: Option<Money<PerMonth>>,
}
