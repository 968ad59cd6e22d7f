//! The fleet as people look over it: of each tenant its quotas beside what they
//! are used for, what they cost, and what waits for a decision. All of it is
//! put together from the state and from what the last cycle left in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::sla::held;
use super::workspace::{Assessment, AssessmentKind};
use super::{Engine, EngineError};
use crate::domain::recommendation::WhatIf;
use crate::domain::{
    AppliedChange, ApplyMode, Currency, Incident, IncidentId, Money, PerMonth, Quota, Recommendation,
    RecommendationId, Resource, Severity, Step, Tenant, TenantId, Tier, Timestamp, Violations,
};
use crate::registry::RegistryError;
use crate::series::{Aggregate, UsageSeries, resample};

/// How far a sparkline looks back.
const SPARK_OVER: Duration = Duration::from_secs(7 * 86_400);
/// The distance of a sparkline's points.
const SPARK_STEP: Duration = Duration::from_secs(2 * 3600);

/// A short line of usage: the peaks of the last days.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Sparkline {
    /// The instant of the first value.
    pub start: Timestamp,
    /// The distance of two values, in seconds.
    pub step_seconds: u64,
    /// The largest usage of each step, in the resource's unit; `null` is a gap.
    pub values: Vec<Option<f64>>,
}

/// One quota beside what it is used for.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FleetQuota {
    /// Of what.
    pub resource: Resource,
    /// The resource's unit.
    pub unit: &'static str,
    /// The quota that stands, in the unit.
    pub limit: f64,
    /// Its generation.
    pub generation: u64,
    /// Since when it stands.
    pub changed_at: Timestamp,
    /// The share of samples that may lie above it.
    pub budget: f64,
    /// The last sample, in the unit; `null` where no usage is known.
    pub usage: Option<f64>,
    /// When that was.
    pub usage_at: Option<Timestamp>,
    /// The same, where it is so long ago that the usage is stale, and nothing is applied on it.
    pub stale_since: Option<Timestamp>,
    /// The largest usage that is held in memory, in the unit.
    pub peak: Option<f64>,
    /// The share of the samples held in memory that lay above the quota of their
    /// time; what the quota that stands would have meant is another thing.
    pub violations: Option<f64>,
    /// Mean of (quota - usage) / quota over them, at least 0.
    pub slack: Option<f64>,
    /// What the last cycle said of it: change, keep or abstain.
    pub outcome: Option<&'static str>,
    /// Why it should stay, or why nothing can be said.
    pub reason: Option<String>,
    /// What keeps the daemon from applying it by itself, in words.
    pub held_back_by: Option<String>,
    /// The recommendation that waits for a decision.
    pub recommendation: Option<RecommendationId>,
    /// The quota that it asks for, in the unit.
    pub proposed: Option<f64>,
    /// How far it can be trusted, 0 to 1.
    pub confidence: Option<f64>,
    /// A month of one unit; `null` without a price.
    pub price: Option<Money<PerMonth>>,
    /// A month of the quota that stands.
    pub cost_now: Option<Money<PerMonth>>,
    /// A month of the quota that is asked for; of the one that stands where none is.
    pub cost_recommended: Option<Money<PerMonth>>,
    /// The usage of the last week; `null` in what is not shown.
    pub spark: Option<Sparkline>,
}

/// A tenant's open incident.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct OpenIncident {
    /// Which.
    pub id: IncidentId,
    /// How much it matters.
    pub severity: Severity,
    /// open or acknowledged.
    pub state: &'static str,
    /// Since when.
    pub opened_at: Timestamp,
}

/// One tenant as people look over it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FleetTenant {
    /// Its id.
    pub tenant: TenantId,
    /// The name that people read.
    pub name: String,
    /// Its plan.
    pub tier: Tier,
    /// The region whose prices apply.
    pub region: String,
    /// What may happen to its recommendations.
    pub apply_mode: ApplyMode,
    /// What is wrong with it right now.
    pub incident: Option<OpenIncident>,
    /// A month at the quotas that stand; `null` without prices.
    pub cost_now: Option<Money<PerMonth>>,
    /// A month at the recommended quotas.
    pub cost_recommended: Option<Money<PerMonth>>,
    /// The difference; negative where the recommended cost more.
    pub saving: Option<Money<PerMonth>>,
    /// Recommendations that wait for a decision.
    pub waiting: usize,
    /// The least confidence of them, 0 to 1.
    pub confidence: Option<f64>,
    /// Its quotas; in a page of the fleet only the one that is shown.
    pub quotas: Vec<FleetQuota>,
}

/// What the store says of a quota.
struct KnownQuota {
    quota: Quota,
    /// Its changes within the usage that is held, the oldest first.
    changes: Vec<AppliedChange>,
    assessment: Option<Assessment>,
    waiting: Option<Recommendation>,
}

/// What the store says of a tenant.
struct Known {
    tenant: Tenant,
    incident: Option<OpenIncident>,
    quotas: Vec<KnownQuota>,
}

impl Engine {
    /// Every tenant as people look over it, by id, without sparklines.
    ///
    /// # Errors
    /// Where the state can't be read.
    pub async fn fleet(self: &Arc<Self>) -> Result<Vec<FleetTenant>, EngineError> {
        let mut open = self.parts.registry.open_incidents().await?;
        let mut all = Vec::new();
        for tenant in self.parts.registry.all_tenants().await? {
            let incident = open.remove(&tenant.id).map(|(incident, _)| incident);
            match self.known_of(tenant, incident).await {
                // It was removed meanwhile.
                Err(RegistryError::NoSuchTenant(_)) => {}
                known => all.push(known?),
            }
        }
        let engine = Arc::clone(self);
        let rows = move || all.into_par_iter().map(|known| engine.row(known)).collect();
        Ok(self.parts.compute.run(rows).await?)
    }

    /// One tenant as people look over it, with the sparklines of its quotas.
    ///
    /// # Errors
    /// Where there is no such tenant, or the state can't be read.
    pub async fn fleet_tenant(&self, id: &TenantId) -> Result<FleetTenant, RegistryError> {
        let tenant = self.parts.registry.tenant(id).await?;
        let incident = self.parts.registry.open_incident(id).await?;
        let mut row = self.row(self.known_of(tenant, incident).await?);
        self.draw(&mut row);
        Ok(row)
    }

    /// Gives the quotas of a tenant their sparklines.
    pub fn draw(&self, row: &mut FleetTenant) {
        for quota in &mut row.quotas {
            let frame = self.workspace.frame(quota.resource);
            quota.spark = frame.and_then(|frame| sparkline(frame.series.get(&row.tenant)?));
        }
    }

    async fn known_of(&self, tenant: Tenant, incident: Option<Incident>) -> Result<Known, RegistryError> {
        let mut assessments: BTreeMap<Resource, Assessment> =
            self.workspace.assessments(&tenant.id).into_iter().collect();
        let mut quotas = Vec::new();
        let since = self.now().minus(self.settings().window);
        for quota in self.parts.registry.quotas(&tenant.id).await? {
            let assessment = assessments.remove(&quota.resource);
            let mut waiting = None;
            if let Some(AssessmentKind::Change(id)) = assessment.as_ref().map(|said| &said.kind) {
                waiting = self.parts.registry.still_waiting(*id).await?;
            }
            // Nothing has ever changed a first generation.
            let changes = match quota.generation {
                1 => Vec::new(),
                _ => self.parts.registry.applied_to(&tenant.id, quota.resource, since).await?,
            };
            quotas.push(KnownQuota { quota, changes, assessment, waiting });
        }
        let incident = incident.map(|one| OpenIncident {
            id: one.id,
            severity: one.severity,
            state: one.state(),
            opened_at: one.opened_at,
        });
        Ok(Known { tenant, incident, quotas })
    }

    fn row(&self, known: Known) -> FleetTenant {
        let Known { tenant, incident, quotas } = known;
        let quotas: Vec<FleetQuota> =
            quotas.into_iter().map(|known| self.fleet_quota(&tenant, known)).collect();
        let currency = self.prices().map(|prices| prices.currency());
        let cost_now = sum(currency, quotas.iter().filter_map(|quota| quota.cost_now));
        let cost_recommended = sum(currency, quotas.iter().filter_map(|quota| quota.cost_recommended));
        FleetTenant {
            incident,
            cost_now,
            cost_recommended,
            saving: cost_now.zip(cost_recommended).and_then(|(now, then)| now.minus(&then).ok()),
            waiting: quotas.iter().filter(|quota| quota.recommendation.is_some()).count(),
            confidence: quotas.iter().filter_map(|quota| quota.confidence).min_by(f64::total_cmp),
            quotas,
            tenant: tenant.id,
            name: tenant.name,
            tier: tenant.tier,
            region: tenant.region,
            apply_mode: tenant.apply_mode,
        }
    }

    fn fleet_quota(&self, tenant: &Tenant, known: KnownQuota) -> FleetQuota {
        let KnownQuota { quota, changes, assessment, waiting } = known;
        let frame = self.workspace.frame(quota.resource);
        let usage = frame.as_ref().and_then(|frame| frame.series.get(&tenant.id));
        let known = usage.filter(|usage| usage.samples() > 0);
        let what_if = known.map(|usage| WhatIf::of(usage.values.iter(), quota.limit));
        let last = known.and_then(UsageSeries::last_sample);
        let price = self.prices().and_then(|prices| prices.of(tenant, quota.resource, self.now()).ok());
        let cost = |limit: f64| price.as_ref().and_then(|price| price.per_month(limit).ok());
        let proposed = waiting.as_ref().map(|one| one.proposed);
        FleetQuota {
            resource: quota.resource,
            unit: quota.resource.unit(),
            limit: quota.limit,
            generation: quota.generation,
            changed_at: quota.changed_at,
            budget: self.budget(tenant, quota.resource).share,
            usage: last.map(|(_, value)| value),
            usage_at: last.map(|(at, _)| at),
            stale_since: last.map(|(at, _)| at).filter(|at| self.is_stale(*at)),
            peak: known.map(|usage| usage.values.iter().copied().fold(f64::MIN, f64::max)),
            violations: known.and_then(|usage| violations(usage, &quota, &changes)),
            slack: what_if.map(|what_if| what_if.slack),
            outcome: assessment.as_ref().map(|said| said.kind.name()),
            reason: assessment.as_ref().and_then(|said| match &said.kind {
                AssessmentKind::Keep(reason) | AssessmentKind::Abstain(reason) => Some(reason.clone()),
                AssessmentKind::Change(_) => None,
            }),
            held_back_by: assessment.and_then(|said| said.held_back_by).map(|verdict| verdict.to_string()),
            recommendation: waiting.as_ref().map(|one| one.id),
            proposed,
            confidence: waiting.as_ref().map(|one| one.confidence),
            price: cost(1.0),
            cost_now: cost(quota.limit),
            cost_recommended: cost(proposed.unwrap_or(quota.limit)),
            spark: None,
        }
    }
}

fn sum(
    currency: Option<Currency>,
    amounts: impl Iterator<Item = Money<PerMonth>>,
) -> Option<Money<PerMonth>> {
    Money::sum(currency?, amounts).ok()
}

/// The share of the samples that lie above the quota of their time.
fn violations(usage: &UsageSeries, quota: &Quota, changes: &[AppliedChange]) -> Option<f64> {
    let all = (0..usage.len()).map(|index| held(usage, index, quota, changes));
    all.fold(Violations::default(), Violations::plus).share()
}

fn sparkline(usage: &UsageSeries) -> Option<Sparkline> {
    let mut recent = usage.clone();
    recent.drop_before(usage.end().minus(SPARK_OVER));
    let coarse = resample(&recent, Step::from_duration(SPARK_STEP).ok()?, Aggregate::Max);
    let values = coarse.values.iter().map(|value| value.is_finite().then(|| shortened(*value))).collect();
    Some(Sparkline { start: coarse.start, step_seconds: coarse.step.duration().as_secs(), values })
}

/// To four digits, which is more than a line of some pixels shows.
fn shortened(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_holds_the_peaks_of_the_last_week() {
        let values = (0..20 * 288).map(|index| if index == 20 * 288 - 5 { 9.876_54 } else { 1.0 });
        let usage = UsageSeries {
            start: Timestamp::from_seconds(0),
            step: Step::FIVE_MINUTES,
            values: values.collect(),
        };
        let spark = sparkline(&usage).unwrap();
        assert_eq!((spark.values.len(), spark.step_seconds), (84, 7200));
        assert_eq!(spark.start, Timestamp::from_seconds(13 * 86_400));
        assert_eq!((spark.values[0], spark.values[83]), (Some(1.0), Some(9.877)));
    }
}
