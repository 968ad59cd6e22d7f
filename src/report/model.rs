//! What a report says, as figures. The engine gathers it once; every format and
//! language is made from it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::cost::{BudgetState, Costs, Savings};
use crate::domain::sla::SlaState;
use crate::domain::{
    ApplyMode, FindingKind, IncidentId, Money, Once, PerMonth, ReportId, Resource, Severity, TenantId, Tier,
    TimeRange, Timestamp,
};

/// The first rows of a longer list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Top<T> {
    /// How many there are.
    pub total: u64,
    /// The first of them.
    pub rows: Vec<T>,
}

impl<T> Top<T> {
    /// The first `most` of a list.
    pub fn of(mut all: Vec<T>, most: usize) -> Self {
        let total = all.len() as u64;
        all.truncate(most);
        Top { total, rows: all }
    }

    /// How many are not shown.
    pub fn rest(&self) -> u64 {
        self.total.saturating_sub(self.rows.len() as u64)
    }
}

/// What a quota could save, and has not yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TopSaving {
    /// Whose quota.
    pub tenant: TenantId,
    /// Its tier.
    pub tier: Tier,
    /// Which quota.
    pub resource: Resource,
    /// The limit that stands, in the resource's unit.
    pub current: f64,
    /// The limit that is recommended.
    pub proposed: f64,
    /// What that saves.
    pub saving: Money<PerMonth>,
    /// How far it can be trusted, 0 to 1.
    pub confidence: f64,
}

/// A quota that is reached, or will be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AtRisk {
    /// Whose quota.
    pub tenant: TenantId,
    /// Its tier.
    pub tier: Tier,
    /// Which quota.
    pub resource: Resource,
    /// The limit, in the resource's unit.
    pub quota: f64,
    /// The last usage that is known.
    pub used: f64,
    /// The largest usage that the forecast expects within its horizon; `null`
    /// where there is no forecast.
    pub expected: Option<f64>,
    /// Hours until it is reached; 0 where it is.
    pub hours: f64,
}

/// A tenant whose demand fits another tier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TierMove {
    /// Which tenant.
    pub tenant: TenantId,
    /// The tier that it is on.
    pub from: Tier,
    /// The tier that its demand fits.
    pub to: Tier,
    /// Why, a sentence each, in English.
    pub because: Vec<String>,
    /// What the quotas that its tier starts with cost.
    pub cost_now: Option<Money<PerMonth>>,
    /// What those of the fitting tier do.
    pub cost_then: Option<Money<PerMonth>>,
}

/// An incident of the time that is reported on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IncidentRow {
    /// Its id.
    pub id: IncidentId,
    /// Whose usage.
    pub tenant: TenantId,
    /// How much it matters.
    pub severity: Severity,
    /// What was found.
    pub kinds: Vec<FindingKind>,
    /// When it began.
    pub opened_at: Timestamp,
    /// When it ended; `null` while it is open.
    pub resolved_at: Option<Timestamp>,
    /// What was found in a sentence, in English.
    pub text: String,
}

/// The incidents of the time that is reported on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Incidents {
    /// How many began in it.
    pub opened: u64,
    /// How many ended in it.
    pub resolved: u64,
    /// How many are open at its end.
    pub open: u64,
    /// How many of those that were open at any time of it had what kind of finding.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub kinds: BTreeMap<FindingKind, u64>,
    /// Those that were open at any time of it, the newest first.
    pub list: Top<IncidentRow>,
}

/// A promise to a tenant with how it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PromiseRow {
    /// To whom.
    pub tenant: TenantId,
    /// Its tier.
    pub tier: Tier,
    /// How it stands.
    pub state: SlaState,
}

/// How many promises of a kind are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PromisesKept {
    /// How many are measured.
    pub measured: u64,
    /// How many of them have error budget left, and don't spend it too fast.
    pub kept: u64,
}

impl PromisesKept {
    /// Counts a promise; one that is not measured is none.
    pub fn count(&mut self, state: &SlaState) {
        if state.good.is_some() {
            self.measured += 1;
            self.kept += u64::from(state.breach.is_none());
        }
    }
}

/// How the promises to all tenants stand, over the time of an error budget that
/// ends where the report was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Promises {
    /// The time over which an error budget may be spent, in seconds.
    pub period_seconds: u64,
    /// That services answer; none is measured where the source is not asked.
    pub availability: PromisesKept,
    /// That they answer in time; likewise, and only where a latency is promised.
    #[serde(default)]
    pub latency: PromisesKept,
    /// That usage stays below quotas.
    pub quotas: PromisesKept,
    /// Those that are broken, burn, or have less than half of their error budget left, the least left first.
    pub list: Top<PromiseRow>,
}

/// How good the forecasts of a resource are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Accuracy {
    /// Which resource.
    pub resource: Resource,
    /// The version of the models.
    pub version: u64,
    /// Whether it was scored on forecasts that were made before what they were of came, and not on a
    /// backtest.
    pub is_live: bool,
    /// How many values it was scored on.
    pub values: u64,
    /// Its loss as a share of that of the last day carried on; below 1 is better than that.
    pub to_seasonal_naive: Option<f64>,
    /// The share of values inside of the interval that should hold 80 of 100.
    pub cover: Option<f64>,
}

/// A change of a quota, with what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AppliedRow {
    /// When.
    pub at: Timestamp,
    /// Whose quota.
    pub tenant: TenantId,
    /// Which quota.
    pub resource: Resource,
    /// The limit before, in the resource's unit.
    pub before: f64,
    /// The limit since.
    pub after: f64,
    /// Whether it follows a recommendation, and is no person's own wish.
    pub recommended: bool,
    /// What it saved within the time that is reported on; negative where it cost more.
    pub realised: Option<Money<Once>>,
    /// The share of samples above the limit before it.
    pub above_before: Option<f64>,
    /// The share of samples above the limit since.
    pub above_since: Option<f64>,
}

/// What the changes of quotas have saved on one day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DaySaving {
    /// The day's begin, in UTC; the first may begin within the day.
    pub day: Timestamp,
    /// What was saved; negative where more was spent.
    pub realised: Money<Once>,
}

/// What was changed, and what that saved or cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AppliedChanges {
    /// How many changes were made in the time that is reported on.
    pub changes: u64,
    /// What all changes that count in it have saved in it; `null` without prices.
    pub savings: Option<Savings>,
    /// The same by day.
    pub by_day: Vec<DaySaving>,
    /// The changes that were made in it, the newest first.
    pub list: Top<AppliedRow>,
}

/// Names one quota.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct QuotaName {
    /// Whose.
    pub tenant: TenantId,
    /// Of what.
    pub resource: Resource,
}

/// What is different from the last report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Since {
    /// The report.
    pub report: ReportId,
    /// When it was made.
    pub made_at: Timestamp,
    /// Tenants that came.
    pub came: Top<TenantId>,
    /// Tenants that left.
    pub left: Top<TenantId>,
    /// By how much the fleet costs more a month; negative for less.
    pub cost: Option<Money<PerMonth>>,
    /// Quotas that are at risk now and were not then.
    pub at_risk: Top<QuotaName>,
    /// Quotas that were at risk then and are not now.
    pub relieved: Top<QuotaName>,
}

/// What is remembered of a report to compare the next one with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Standing {
    /// The tenants that there were.
    pub tenants: Vec<TenantId>,
    /// The quotas that were at risk.
    pub at_risk: Vec<QuotaName>,
    /// What the fleet cost.
    pub cost: Option<Money<PerMonth>>,
}

/// What the fleet costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetMoney {
    /// All tenants together.
    pub fleet: Costs,
    /// Those of each tier.
    #[schema(value_type = BTreeMap<String, Costs>)]
    pub tiers: BTreeMap<Tier, Costs>,
    /// Each budget beside what is spent.
    pub budgets: Vec<BudgetState>,
    /// Quotas without a price, which have no part in these sums.
    pub unpriced: u64,
}

/// A report on the whole fleet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FleetReport {
    /// The time that it reports on.
    pub range: TimeRange,
    /// When it was made.
    pub made_at: Timestamp,
    /// Whether the usage is made up, as in the demo.
    #[serde(default)]
    pub is_simulated: bool,
    /// How many tenants there are.
    pub tenants: u64,
    /// How many recommendations wait for somebody.
    pub waiting: u64,
    /// What the fleet costs; `null` without prices.
    pub money: Option<FleetMoney>,
    /// What could be saved, the most first.
    pub top_savings: Top<TopSaving>,
    /// Quotas that are reached or will be, the soonest first.
    pub at_risk: Top<AtRisk>,
    /// Tenants whose demand fits another tier.
    pub tier_moves: Top<TierMove>,
    /// What went wrong.
    pub incidents: Incidents,
    /// How promises are kept; `null` in reports that an earlier version has made.
    #[serde(default)]
    pub promises: Option<Promises>,
    /// How good the forecasts are.
    pub accuracy: Vec<Accuracy>,
    /// What was changed.
    pub applied: AppliedChanges,
    /// What is different from the last report; `null` for the first.
    pub since: Option<Since>,
}

/// How a tenant's usage went and is expected to go on, hour by hour or coarser.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UsageChart {
    /// The begin of the first step.
    pub start: Timestamp,
    /// The length of a step.
    pub step_hours: u32,
    /// The largest usage of each step, in the resource's unit; `null` for a gap.
    pub usage: Vec<Option<f64>>,
    /// The quota over each step of the usage and of the forecast.
    pub quota: Vec<f64>,
    /// For each step after the usage: the lowest, the middle and the highest quantile.
    pub forecast: Vec<[f64; 3]>,
}

/// What a report says of one quota.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReportedQuota {
    /// Which resource.
    pub resource: Resource,
    /// The limit that stands, in the resource's unit.
    pub limit: f64,
    /// The limit that is recommended, where a recommendation waits.
    pub recommended: Option<f64>,
    /// What that saves; negative where it costs more.
    pub saving: Option<Money<PerMonth>>,
    /// Why it should be another or stay, a sentence each, in English.
    pub reasons: Vec<String>,
    /// How many samples there are in the time that is reported on.
    pub samples: u64,
    /// The mean of them.
    pub mean: Option<f64>,
    /// The largest of them.
    pub peak: Option<f64>,
    /// The share of them above the limit that stands.
    pub above: Option<f64>,
    /// Hours until the limit is reached, where the forecast says so.
    pub hours: Option<f64>,
    /// How it went; `null` where nothing is measured.
    pub chart: Option<UsageChart>,
}

/// How a tenant's own report looks, for tenants that have a look of their own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Brand {
    /// The name in the place of Plimsoll's.
    pub product_name: Option<String>,
    /// Where its logo is.
    pub logo_url: Option<String>,
    /// The colour of headings, as `#rrggbb`.
    pub primary: Option<String>,
    /// The colour of what stands out, as `#rrggbb`.
    pub accent: Option<String>,
}

/// A report on one tenant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TenantReport {
    /// The time that it reports on.
    pub range: TimeRange,
    /// When it was made.
    pub made_at: Timestamp,
    /// Whether the usage is made up, as in the demo.
    #[serde(default)]
    pub is_simulated: bool,
    /// Which tenant.
    pub tenant: TenantId,
    /// The name that people read.
    pub name: String,
    /// Its tier.
    pub tier: Tier,
    /// What may happen to its recommendations.
    pub apply_mode: ApplyMode,
    /// What it costs; `null` without prices.
    pub costs: Option<Costs>,
    /// Its quotas, those that are measured first.
    pub quotas: Vec<ReportedQuota>,
    /// The tier that its demand fits, where that is another.
    pub tier_move: Option<TierMove>,
    /// How each promise to it stands when the report is made: its availability, and each quota that is measured.
    #[serde(default)]
    pub promises: Vec<SlaState>,
    /// What went wrong.
    pub incidents: Incidents,
    /// What was changed.
    pub applied: AppliedChanges,
    /// How its report looks.
    pub brand: Option<Brand>,
}

/// A report of either kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase", tag = "about")]
pub enum Report {
    /// On the whole fleet.
    Fleet(FleetReport),
    /// On one tenant.
    Tenant(TenantReport),
}

impl Report {
    /// The time that it reports on.
    pub fn range(&self) -> TimeRange {
        match self {
            Report::Fleet(report) => report.range,
            Report::Tenant(report) => report.range,
        }
    }

    /// Whose it is; `None` for the fleet's.
    pub fn tenant(&self) -> Option<&TenantId> {
        match self {
            Report::Fleet(_) => None,
            Report::Tenant(report) => Some(&report.tenant),
        }
    }
}
