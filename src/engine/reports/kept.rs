//! Makes the reports of a schedule, keeps them, and writes a kept one down for
//! those who get it as a file.

use std::time::Duration;

use super::super::Engine;
use super::{ReportFailure, ReportSettings};
use crate::domain::{
    Notice, NoticeKind, ReportId, ReportNotice, ReportSchedule, ReportTenants, Severity, TenantId, Timestamp,
};
use crate::ports::Enclosure;
use crate::registry::{KeptReport, Registry, RegistryError, ReportRun};
use crate::report::{self, Report};

/// The file of a kept report; what keeps it from being one in words.
pub(in super::super) async fn enclosure(
    registry: &Registry,
    notice: &ReportNotice,
) -> Result<Result<Enclosure, String>, RegistryError> {
    let kept = match registry.report(notice.report).await {
        Ok(kept) => kept,
        Err(RegistryError::NoSuchReport(_)) => {
            return Ok(Err("the report is kept no more; see reports.keep".to_owned()));
        }
        Err(error) => return Err(error),
    };
    Ok(written(kept, notice).map_err(|error| format!("can't {error}")))
}

fn written(kept: KeptReport, notice: &ReportNotice) -> Result<Enclosure, ReportFailure> {
    let report: Report = serde_json::from_value(kept.content)?;
    let bytes = report::render(&report, notice.format, notice.language)?;
    Ok(Enclosure { name: notice.file_name(), media_type: notice.format.media_type(), bytes })
}

impl Engine {
    /// Makes the reports of a schedule that are due and were not made, once
    /// however many times were missed. Gives when they were due.
    pub(super) async fn make_due(
        &self,
        schedule: &ReportSchedule,
        settings: &ReportSettings,
    ) -> Result<Option<Timestamp>, ReportFailure> {
        let (registry, now) = (&self.parts.registry, self.now());
        let Some((run, version)) = registry.report_run(&schedule.name).await? else {
            registry.see_schedule(&schedule.name).await?;
            return Ok(None);
        };
        let after = run.last_due.unwrap_or(run.seen_at);
        let Some(due) = schedule.timetable.latest(after, now) else { return Ok(None) };
        // From where the last one ended; the first one goes back as far as one
        // usually does.
        let before = || schedule.timetable.before(due).unwrap_or(due.minus(settings.period));
        let range = (Some(run.last_due.unwrap_or_else(before)), Some(due));
        let mut made = Vec::new();
        if schedule.fleet {
            let (report, standing) = self.fleet_report_standing(range, settings).await?;
            made.push(self.kept(schedule, due, Report::Fleet(report), serde_json::to_value(standing)?)?);
        }
        for id in self.scheduled_tenants(schedule, settings.max_tenants).await? {
            match self.tenant_report(&id, range, settings).await {
                Ok(report) => {
                    made.push(self.kept(schedule, due, Report::Tenant(report), serde_json::Value::Null)?);
                }
                Err(ReportFailure::Registry(RegistryError::NoSuchTenant(id))) => {
                    tracing::warn!(schedule = schedule.name, tenant = %id, "there is no such tenant to report on");
                }
                Err(error) => return Err(error),
            }
        }
        let run = ReportRun { last_due: Some(due), ..run };
        registry.keep_reports(&schedule.name, (run, version), &made).await?;
        tracing::info!(schedule = schedule.name, reports = made.len(), %due, "made reports");
        Ok(Some(due))
    }

    async fn scheduled_tenants(
        &self,
        schedule: &ReportSchedule,
        most: usize,
    ) -> Result<Vec<TenantId>, ReportFailure> {
        let mut ids = match &schedule.tenants {
            ReportTenants::These(ids) => ids.clone(),
            ReportTenants::All => {
                let tenants = self.parts.registry.all_tenants().await?;
                tenants.into_iter().map(|tenant| tenant.id).collect()
            }
        };
        if ids.len() > most {
            let (schedule, tenants) = (schedule.name.as_str(), ids.len());
            tracing::warn!(
                schedule,
                tenants,
                most,
                "more tenants than reports.max_tenants; the rest get no report"
            );
            ids.truncate(most);
        }
        Ok(ids)
    }

    fn kept(
        &self,
        schedule: &ReportSchedule,
        due_at: Timestamp,
        report: Report,
        standing: serde_json::Value,
    ) -> Result<(KeptReport, Option<Notice>), ReportFailure> {
        let now = self.now();
        let id = ReportId(self.parts.ids.notice(now));
        let kept = KeptReport {
            id,
            schedule: schedule.name.clone(),
            tenant: report.tenant().cloned(),
            due_at,
            made_at: now,
            range: report.range(),
            content: serde_json::to_value(&report)?,
            standing,
        };
        if schedule.deliver_to.is_empty() {
            return Ok((kept, None));
        }
        let (title, summary) = report::in_short(&report, schedule.language);
        let path =
            format!("/v1/reports/{id}?format={}&language={}", schedule.format, schedule.language.code());
        let detail = ReportNotice {
            report: id,
            schedule: schedule.name.clone(),
            tenant: kept.tenant.clone(),
            due_at,
            format: schedule.format,
            language: schedule.language,
            path,
        };
        let day = report::Figures(schedule.language).day(due_at);
        let notice = Notice {
            id: self.parts.ids.notice(now),
            at: now,
            since: kept.range.start,
            kind: NoticeKind::Report,
            tenant: kept.tenant.clone(),
            severity: Severity::Info,
            subject: format!("report/{id}"),
            title: format!("{title}, {day}"),
            text: summary.join("\n"),
            detail: serde_json::to_value(detail)?,
            trace: crate::telemetry::traceparent(),
            only_for: schedule.deliver_to.clone(),
        };
        Ok((kept, Some(notice)))
    }

    /// Forgets reports that are older than they are kept.
    pub(super) async fn forget_reports(&self, keep: Duration) -> Result<(), ReportFailure> {
        let forgotten = self.parts.registry.forget_reports_before(self.now().minus(keep)).await?;
        if forgotten > 0 {
            tracing::info!(forgotten, "forgot old reports");
        }
        Ok(())
    }
}
