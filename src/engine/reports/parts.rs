//! What both kinds of report are gathered from.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::{Engine, SeriesKey};
use super::ReportFailure;
use crate::cost;
use crate::domain::{
    AppliedChange, FindingKind, Incident, Quota, Resource, TenantId, TierFit, TimeRange, Timestamp,
    Violations,
};
use crate::registry::IncidentFilter;
use crate::report::model::{AppliedChanges, AppliedRow, DaySaving, IncidentRow, Incidents, TierMove, Top};
use crate::series::UsageSeries;

/// The share of a quota from which on usage stands at it.
const AT_QUOTA: f64 = 0.98;
/// A day.
const DAY: Duration = Duration::from_secs(86_400);
/// The most days that are shown one by one.
const MOST_DAYS: usize = 92;

/// How soon a quota is reached.
pub struct Risk {
    /// Hours until then; 0 where it is reached.
    pub hours: f64,
    /// The last usage that is known.
    pub used: f64,
    /// The largest usage that is expected.
    pub expected: Option<f64>,
}

impl Engine {
    /// How soon a quota is reached; `None` where it is not, as far as the
    /// forecast looks. It is the rule by which an incident says that a quota
    /// will be crossed, over the whole horizon.
    pub(super) fn risk(&self, key: &SeriesKey, quota: &Quota, now: Timestamp) -> Option<Risk> {
        let frame = self.workspace.frame(key.resource)?;
        let usage: &UsageSeries = frame.series.get(&key.tenant)?;
        let (_, used) = usage.last_sample()?;
        let record = self.workspace.forecast(key);
        let dated = record.as_ref().and_then(|record| record.forecast.as_ref().ok());
        let peaks = dated.map(|dated| {
            let column = dated.forecast.quantiles.nearest(self.settings().incidents.breach_quantile);
            let hour = |step: usize| dated.start.plus(Duration::from_secs(3600 * step as u64));
            let values = dated.forecast.values.column(column);
            (0..values.len()).map(|step| (hour(step), values[step])).collect::<Vec<_>>()
        });
        let peaks = peaks.unwrap_or_default();
        let expected = peaks.iter().map(|(_, peak)| *peak).reduce(f64::max);
        if used >= AT_QUOTA * quota.limit {
            return Some(Risk { hours: 0.0, used, expected });
        }
        let coming = peaks.iter().filter(|(at, _)| at.plus(Duration::from_secs(3600)) > now);
        let (at, _) = coming.clone().find(|(_, peak)| *peak >= quota.limit)?;
        Some(Risk { hours: at.since(now).as_secs_f64() / 3600.0, used, expected })
    }

    /// The incidents that were open at any time of a range.
    pub(super) async fn incidents_in(
        &self,
        tenant: Option<&TenantId>,
        range: TimeRange,
        most: usize,
    ) -> Result<Incidents, ReportFailure> {
        let filter = IncidentFilter { tenant: tenant.cloned(), ..IncidentFilter::default() };
        let mut all = self.parts.registry.incidents(&filter, None, usize::MAX).await?;
        let ended = |incident: &Incident| incident.resolved_at.filter(|at| *at < range.end);
        all.retain(|incident| {
            incident.opened_at < range.end && ended(incident).is_none_or(|at| at >= range.start)
        });
        all.sort_by_key(|incident| std::cmp::Reverse(incident.opened_at));
        let mut kinds: BTreeMap<FindingKind, u64> = BTreeMap::new();
        for incident in &all {
            kinds_of(incident).into_iter().for_each(|kind| *kinds.entry(kind).or_default() += 1);
        }
        let opened = all.iter().filter(|incident| incident.opened_at >= range.start).count() as u64;
        let resolved = all.iter().filter(|incident| ended(incident).is_some()).count() as u64;
        let open = all.len() as u64 - resolved;
        let rows = all.iter().map(|incident| IncidentRow {
            id: incident.id,
            tenant: incident.tenant.clone(),
            severity: incident.severity,
            kinds: kinds_of(incident),
            opened_at: incident.opened_at,
            resolved_at: ended(incident),
            text: incident.findings.first().map(|finding| finding.text.clone()).unwrap_or_default(),
        });
        let list = Top::of(rows.collect(), most);
        Ok(Incidents { opened, resolved, open, kinds, list })
    }

    /// What was changed within a range, and what all changes that count in it
    /// have saved in it.
    pub(super) async fn applied_in(
        &self,
        tenant: Option<&TenantId>,
        range: TimeRange,
        most: usize,
    ) -> Result<AppliedChanges, ReportFailure> {
        let (savings, counted) = match self.prices() {
            Some(_) => {
                let (savings, changes) = self.savings(tenant, range).await?;
                (Some(savings), changes)
            }
            None => (None, self.parts.registry.applied(tenant).await?),
        };
        let mut by_day = Vec::new();
        if let Some(prices) = self.prices() {
            for day in days_of(range) {
                let realised =
                    cost::savings(&prices, &counted, day).map_err(crate::engine::CostError::from)?.realised;
                by_day.push(DaySaving { day: day.start, realised: realised.rounded() });
            }
        }
        let mut made: Vec<AppliedChange> =
            counted.into_iter().filter(|change| (range.start..range.end).contains(&change.at)).collect();
        made.sort_by_key(|change| std::cmp::Reverse(change.position()));
        let changes = made.len() as u64;
        let rows = made.iter().map(|change| self.applied_row(change, range)).collect();
        Ok(AppliedChanges { changes, savings, by_day, list: Top::of(rows, most) })
    }

    fn applied_row(&self, change: &AppliedChange, range: TimeRange) -> AppliedRow {
        let share =
            |pick: fn(&crate::domain::Measured) -> Violations| change.measured.as_ref().map(pick)?.share();
        AppliedRow {
            at: change.at,
            tenant: change.tenant.clone(),
            resource: change.resource,
            before: change.before,
            after: change.after,
            recommended: change.recommendation.is_some(),
            realised: self.prices().and_then(|prices| cost::of_change(&prices, change, range).realised),
            above_before: share(|measured| measured.before),
            above_since: share(|measured| measured.since),
        }
    }
}

/// The kinds of an incident's findings, each once.
fn kinds_of(incident: &Incident) -> Vec<FindingKind> {
    let mut kinds: Vec<FindingKind> = incident.findings.iter().map(|finding| finding.kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

/// The days of a range, cut where it begins and ends; none where there are too
/// many to be shown.
fn days_of(range: TimeRange) -> Vec<TimeRange> {
    let mut days = Vec::new();
    let mut start = range.start;
    while start < range.end && days.len() <= MOST_DAYS {
        let midnight = start.to_utc().map(|time| Timestamp::midnight(time.date_naive()));
        let end = midnight.map_or(range.end, |midnight| midnight.plus(DAY)).min(range.end);
        days.push(TimeRange { start, end });
        start = end;
    }
    if days.len() > MOST_DAYS { Vec::new() } else { days }
}

/// A tenant whose demand fits another tier.
pub fn tier_move(tenant: &TenantId, fit: TierFit) -> TierMove {
    TierMove {
        tenant: tenant.clone(),
        from: fit.tier,
        to: fit.fits,
        because: fit.because,
        cost_now: fit.cost_now,
        cost_then: fit.cost_then,
    }
}

/// One quota's place in the memory.
pub fn key_of(tenant: &TenantId, resource: Resource) -> SeriesKey {
    SeriesKey { tenant: tenant.clone(), resource }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_midnight() {
        let range = TimeRange {
            start: "2026-11-21T18:00:00Z".parse().unwrap(),
            end: "2026-11-23T06:00:00Z".parse().unwrap(),
        };
        let days: Vec<String> = days_of(range).iter().map(|day| day.start.to_string()).collect();
        assert_eq!(days, ["2026-11-21T18:00:00Z", "2026-11-22T00:00:00Z", "2026-11-23T00:00:00Z"]);
        assert!(days_of(TimeRange { start: Timestamp::from_seconds(0), ..range }).is_empty());
    }
}
