//! Gathers the report on one tenant.

use std::time::Duration;

use super::super::{AssessmentKind, Engine, SeriesKey};
use super::parts::{key_of, tier_move};
use super::{ReportFailure, ReportSettings, range_of};
use crate::domain::applied::limit_at;
use crate::domain::{Quota, Tenant, TenantId, Tier, TimeRange, Timestamp, Violations};
use crate::report::model::{Brand, ReportedQuota, TenantReport, UsageChart};
use crate::rightsize::DatedForecast;
use crate::series::UsageSeries;

/// The most steps of a chart's usage.
const STEPS: usize = 200;
/// The finest step of a chart.
const HOUR: Duration = Duration::from_secs(3600);

impl Engine {
    /// The report on one tenant over a range, which is a period long and ends
    /// now where nobody says.
    ///
    /// # Errors
    /// Where there is no such tenant, the range is none, or the state can't be
    /// read.
    pub async fn tenant_report(
        &self,
        id: &TenantId,
        range: (Option<Timestamp>, Option<Timestamp>),
        settings: &ReportSettings,
    ) -> Result<TenantReport, ReportFailure> {
        let now = self.now();
        let range = range_of(range, now, settings.period)?;
        let tenant = self.parts.registry.tenant(id).await?;
        let costs = match self.prices() {
            Some(_) => self.costs_of(std::slice::from_ref(&tenant)).await?.pop(),
            None => None,
        };
        let mut quotas = Vec::new();
        for quota in self.parts.registry.quotas(id).await? {
            quotas.push(self.quota_view(&tenant, &quota, range, now).await?);
        }
        quotas.sort_by_key(|quota| quota.chart.is_none());
        Ok(TenantReport {
            range,
            made_at: now,
            is_simulated: settings.is_simulated,
            name: tenant.name.clone(),
            tier: tenant.tier,
            apply_mode: tenant.apply_mode,
            costs: costs.map(|costs| costs.costs),
            quotas,
            tier_move: self.workspace.tier_fit(id).map(|fit| tier_move(id, fit)),
            promises: self.all_promises(&tenant).await?,
            incidents: self.incidents_in(Some(id), range, settings.max_rows).await?,
            applied: self.applied_in(Some(id), range, settings.max_rows).await?,
            brand: self.brand(&tenant).await?,
            tenant: tenant.id,
        })
    }

    async fn quota_view(
        &self,
        tenant: &Tenant,
        quota: &Quota,
        range: TimeRange,
        now: Timestamp,
    ) -> Result<ReportedQuota, ReportFailure> {
        let key = key_of(&tenant.id, quota.resource);
        let (mut recommended, mut saving, mut reasons) = (None, None, Vec::new());
        match self.workspace.assessment(&key).map(|said| said.kind) {
            Some(AssessmentKind::Change(id)) => {
                if let Some(waiting) = self.parts.registry.still_waiting(id).await? {
                    recommended = Some(waiting.proposed);
                    saving = waiting.cost.map(|cost| cost.saving);
                    reasons = waiting.reasons;
                }
            }
            Some(AssessmentKind::Keep(why) | AssessmentKind::Abstain(why)) => reasons = vec![sentence(&why)],
            None => {}
        }
        let usage = self.workspace.usage(&key);
        let seen = usage.as_ref().map(|usage| seen(usage, range, quota.limit)).unwrap_or_default();
        let chart = match &usage {
            Some(usage) => self.chart(&key, usage, quota, range).await?,
            None => None,
        };
        Ok(ReportedQuota {
            resource: quota.resource,
            limit: quota.limit,
            recommended,
            saving,
            reasons,
            samples: seen.violations.samples,
            mean: seen.mean,
            peak: seen.peak,
            above: seen.violations.share(),
            hours: self.risk(&key, quota, now).map(|risk| risk.hours),
            chart,
        })
    }

    /// The usage of a range, the quota over it, and the forecast where the range
    /// reaches up to it.
    async fn chart(
        &self,
        key: &SeriesKey,
        usage: &UsageSeries,
        quota: &Quota,
        range: TimeRange,
    ) -> Result<Option<UsageChart>, ReportFailure> {
        let start = range.start.max(usage.at(0)).floor_to(crate::domain::Step::HOUR);
        let end = range.end.min(usage.end());
        if end <= start {
            return Ok(None);
        }
        let hours = usize::try_from(end.since(start).as_secs().div_ceil(3600)).unwrap_or(usize::MAX);
        let step_hours = hours.div_ceil(STEPS).max(1);
        let step = HOUR * u32::try_from(step_hours).unwrap_or(u32::MAX);
        let steps = hours.div_ceil(step_hours);
        let mut values: Vec<Option<f64>> = vec![None; steps];
        for (index, value) in usage.values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            let at = usage.at(index);
            if (start..end).contains(&at) {
                let place = usize::try_from(at.since(start).as_millis() / step.as_millis()).unwrap_or(steps);
                if let Some(cell) = values.get_mut(place) {
                    *cell = Some(cell.map_or(*value, |known| known.max(*value)));
                }
            }
        }
        // A range that ended long ago is not followed by today's forecast.
        let record = self.workspace.forecast(key).filter(|_| range.end.plus(2 * step) >= usage.end());
        let dated = record.as_ref().and_then(|record| record.forecast.as_ref().ok());
        let forecast = dated.map_or_else(Vec::new, |dated| coarse(dated, step_hours));
        let changes = self.parts.registry.applied_to(&key.tenant, key.resource, start).await?;
        let quota = (0..steps + forecast.len())
            .map(|index| {
                let at = start.plus(step * u32::try_from(index).unwrap_or(u32::MAX));
                limit_at(quota.limit, &changes, at)
            })
            .collect();
        let step_hours = u32::try_from(step_hours).unwrap_or(u32::MAX);
        Ok(Some(UsageChart { start, step_hours, usage: values, quota, forecast }))
    }

    /// The look of a tenant of the tier WHITE_LABEL, as its template says.
    async fn brand(&self, tenant: &Tenant) -> Result<Option<Brand>, ReportFailure> {
        let Some(template) = tenant.template.as_ref().filter(|_| tenant.tier == Tier::WhiteLabel) else {
            return Ok(None);
        };
        let registry = &self.parts.registry;
        let record = registry.template_version(&template.name, template.version).await?;
        let branding = registry.resolved(&record).await?.settings.branding;
        Ok(branding.map(|branding| Brand {
            product_name: branding.product_name,
            logo_url: branding.logo_url.map(String::from),
            primary: branding.primary_color.map(String::from),
            accent: branding.accent_color.map(String::from),
        }))
    }
}

#[derive(Default)]
struct Seen {
    violations: Violations,
    mean: Option<f64>,
    peak: Option<f64>,
}

/// What the samples of a range say.
fn seen(usage: &UsageSeries, range: TimeRange, limit: f64) -> Seen {
    let within = |(index, _): &(usize, &f64)| (range.start..range.end).contains(&usage.at(*index));
    let values = || usage.values.iter().enumerate().filter(within).map(|(_, value)| *value);
    let finite = || values().filter(|value| value.is_finite());
    let violations = Violations::count(values(), limit);
    let mean = (violations.samples > 0).then(|| finite().sum::<f64>() / violations.samples as f64);
    Seen { violations, mean, peak: finite().reduce(f64::max) }
}

/// A forecast in steps of so many hours: the largest value of each quantile.
fn coarse(dated: &DatedForecast, step_hours: usize) -> Vec<[f64; 3]> {
    let values = &dated.forecast.values;
    let middle = dated.forecast.quantiles.nearest(0.5);
    let columns = [0, middle, values.ncols().saturating_sub(1)];
    (0..values.nrows())
        .step_by(step_hours)
        .map(|first| {
            let rows = first..(first + step_hours).min(values.nrows());
            columns
                .map(|column| rows.clone().map(|row| values[[row, column]]).fold(f64::NEG_INFINITY, f64::max))
        })
        .collect()
}

/// A remark as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().collect::<String>()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_range_counts() {
        let usage = UsageSeries {
            start: Timestamp::from_seconds(0),
            step: crate::domain::Step::HOUR,
            values: vec![9.0, 1.0, f64::NAN, 3.0, 9.0].into(),
        };
        let range =
            TimeRange { start: Timestamp::from_seconds(3600), end: Timestamp::from_seconds(4 * 3600) };
        let found = seen(&usage, range, 2.0);
        assert_eq!((found.mean, found.peak), (Some(2.0), Some(3.0)));
        assert_eq!((found.violations.samples, found.violations.above), (2, 1));
        assert_eq!(sentence("the quota fits"), "The quota fits.");
    }
}
