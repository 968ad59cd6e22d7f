//! Reports that were made on schedule, and when each schedule's was made last.
//! A report, that it was made, and what is told of it are one commit: a crash
//! neither loses one nor makes it twice.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Registry, RegistryError, decode, outbox, put};
use crate::domain::{Notice, ReportId, TenantId, TimeRange, Timestamp};
use crate::ports::{Batch, Expect, Order, Table, Write};

/// Reports whose age is looked at in one go.
const FORGET_CHUNK: usize = 64;

/// A report that is kept. What it says and what the next one is compared with
/// are the report's own business.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptReport {
    /// Its id.
    pub id: ReportId,
    /// The schedule that made it.
    pub schedule: String,
    /// Whose it is; `None` for the fleet's.
    pub tenant: Option<TenantId>,
    /// When it was due.
    pub due_at: Timestamp,
    /// When it was made.
    pub made_at: Timestamp,
    /// The time that it reports on.
    pub range: TimeRange,
    /// What it says.
    pub content: Value,
    /// What the next one is compared with.
    pub standing: Value,
}

/// What is known of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ReportRun {
    /// When it was seen first.
    pub seen_at: Timestamp,
    /// The last time for which its reports were made, when they were due.
    pub last_due: Option<Timestamp>,
}

impl Registry {
    /// What is known of a schedule, with its version.
    pub async fn report_run(&self, schedule: &str) -> Result<Option<(ReportRun, u64)>, RegistryError> {
        Ok(self.read(Table::ReportRuns, schedule).await?)
    }

    /// Writes down that a schedule was seen first.
    pub async fn see_schedule(&self, schedule: &str) -> Result<(), RegistryError> {
        let run = ReportRun { seen_at: self.now(), last_due: None };
        Ok(self.commit(vec![put(Table::ReportRuns, schedule.to_owned(), Expect::Absent, &run)?]).await?)
    }

    /// Keeps the reports of a schedule, writes down that they were made, and
    /// tells of them, together.
    ///
    /// # Errors
    /// A conflict where somebody else made them first.
    pub async fn keep_reports(
        &self,
        schedule: &str,
        (run, version): (ReportRun, u64),
        reports: &[(KeptReport, Option<Notice>)],
    ) -> Result<(), RegistryError> {
        let mut batch = Batch::default();
        let expect = Expect::Version(version);
        batch.writes.push(put(Table::ReportRuns, schedule.to_owned(), expect, &run)?);
        for (report, notice) in reports {
            batch.writes.push(put(Table::Reports, report.id.to_string(), Expect::Absent, report)?);
            if let Some(notice) = notice {
                outbox::enqueue(&mut batch, notice)?;
            }
        }
        Ok(self.store.commit(batch).await?)
    }

    /// One kept report.
    ///
    /// # Errors
    /// Where there is none of this id.
    pub async fn report(&self, id: ReportId) -> Result<KeptReport, RegistryError> {
        let found = self.read(Table::Reports, &id.to_string()).await?;
        found.map(|(report, _)| report).ok_or(RegistryError::NoSuchReport(id))
    }

    /// Up to `limit` kept reports, the newest first, of those older than
    /// `before`.
    pub async fn reports(
        &self,
        before: Option<ReportId>,
        limit: usize,
    ) -> Result<Vec<KeptReport>, RegistryError> {
        self.newest(Table::Reports, before.map(|id| id.to_string()), limit, |key, value| {
            Ok(Some(decode(Table::Reports, key, value)?))
        })
        .await
    }

    /// The newest report on the fleet that is kept.
    pub async fn last_fleet_report(&self) -> Result<Option<KeptReport>, RegistryError> {
        let found = self.newest(Table::Reports, None, 1, |key, value| {
            let report: KeptReport = decode(Table::Reports, key, value)?;
            Ok(report.tenant.is_none().then_some(report))
        });
        Ok(found.await?.pop())
    }

    /// Forgets reports that were made before an instant; gives how many.
    pub async fn forget_reports_before(&self, oldest: Timestamp) -> Result<usize, RegistryError> {
        let mut forgotten = 0;
        loop {
            let found = self.store.scan(Table::Reports, "", None, Order::Upwards, FORGET_CHUNK).await?;
            let mut deletes = Vec::new();
            for (key, value) in &found {
                let report: KeptReport = decode(Table::Reports, key, value)?;
                if report.made_at >= oldest {
                    break;
                }
                let expect = Expect::Version(value.version);
                deletes.push(Write::Delete { table: Table::Reports, key: key.clone(), expect });
            }
            let count = deletes.len();
            forgotten += count;
            if count > 0 {
                self.commit(deletes).await?;
            }
            if count < FORGET_CHUNK {
                return Ok(forgotten);
            }
        }
    }
}
