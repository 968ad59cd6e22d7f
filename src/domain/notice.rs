//! What people and machines outside are told: an incident opened, got worse or
//! is over. A notice is written once, in the commit of what it tells of, and
//! then delivered to every receiver that wants it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{DomainError, ReceiverName, ReportNotice, TenantId, Timestamp};

/// What a notice tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// An incident has begun.
    IncidentOpened,
    /// An open incident has got worse.
    IncidentWorsened,
    /// An incident is over.
    IncidentResolved,
    /// More incidents than the alert budget allows, told of together.
    IncidentsSummarised,
    /// The audit log was signed for. Only receivers that name this kind get it.
    AuditCheckpoint,
    /// A report was made; only those that its schedule names get it.
    Report,
    /// Somebody tries out a receiver.
    Test,
}

impl NoticeKind {
    /// All kinds.
    pub const ALL: [NoticeKind; 7] = [
        NoticeKind::IncidentOpened,
        NoticeKind::IncidentWorsened,
        NoticeKind::IncidentResolved,
        NoticeKind::IncidentsSummarised,
        NoticeKind::AuditCheckpoint,
        NoticeKind::Report,
        NoticeKind::Test,
    ];

    /// The name used in configs, files and the API.
    pub fn name(self) -> &'static str {
        match self {
            NoticeKind::IncidentOpened => "incident_opened",
            NoticeKind::IncidentWorsened => "incident_worsened",
            NoticeKind::IncidentResolved => "incident_resolved",
            NoticeKind::IncidentsSummarised => "incidents_summarised",
            NoticeKind::AuditCheckpoint => "audit_checkpoint",
            NoticeKind::Report => "report",
            NoticeKind::Test => "test",
        }
    }

    /// The type of the event on the wire, its parts set apart by dots.
    pub fn event_type(self) -> &'static str {
        match self {
            NoticeKind::IncidentOpened => "plimsoll.incident.opened",
            NoticeKind::IncidentWorsened => "plimsoll.incident.worsened",
            NoticeKind::IncidentResolved => "plimsoll.incident.resolved",
            NoticeKind::IncidentsSummarised => "plimsoll.incidents.summarised",
            NoticeKind::AuditCheckpoint => "plimsoll.audit.checkpoint",
            NoticeKind::Report => "plimsoll.report.made",
            NoticeKind::Test => "plimsoll.test",
        }
    }

    /// Whether receivers that name no kinds get it: not what machines keep
    /// rather than people read.
    pub fn is_for_everybody(self) -> bool {
        self != NoticeKind::AuditCheckpoint
    }

    /// Whether what it tells of goes on until another notice ends it.
    pub fn goes_on(self) -> bool {
        matches!(self, NoticeKind::IncidentOpened | NoticeKind::IncidentWorsened)
    }
}

/// All names, for messages.
pub(super) fn names() -> String {
    NoticeKind::ALL.map(NoticeKind::name).join(", ")
}

impl fmt::Display for NoticeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for NoticeKind {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let found = NoticeKind::ALL.into_iter().find(|kind| kind.name() == text);
        found.ok_or_else(|| DomainError::UnknownNoticeKind(text.to_owned()))
    }
}

/// How much a notice matters, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Somebody should look at it today.
    Warning,
    /// Somebody should look at it now.
    Critical,
}

impl Severity {
    /// All severities, the least first.
    pub const ALL: [Severity; 3] = [Severity::Info, Severity::Warning, Severity::Critical];

    /// The name used in configs, files and the API.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Something that is told. Never changed once written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// Its id, a UUID of version 7: the same on every attempt, for every
    /// receiver.
    pub id: Uuid,
    /// When it happened. For an incident's end, when it ended.
    pub at: Timestamp,
    /// When what it tells of began: for an incident, its opening.
    pub since: Timestamp,
    /// What it tells of.
    pub kind: NoticeKind,
    /// Whose usage; `None` where it concerns no single tenant.
    pub tenant: Option<TenantId>,
    /// How much it matters. An end carries the highest severity that the
    /// incident had, so that whoever was told of it is told of its end.
    pub severity: Severity,
    /// What it is about, such as the incident's id. Notices of one subject
    /// reach a receiver in the order in which they were written.
    pub subject: String,
    /// One line for people.
    pub title: String,
    /// A paragraph for people.
    pub text: String,
    /// What machines may want to know besides.
    #[schema(value_type = Object)]
    pub detail: serde_json::Value,
    /// Where in a trace it was written, as a `traceparent` (W3C Trace Context).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// Only these receivers get it, whatever they want; whoever wants it where
    /// empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_for: Vec<ReceiverName>,
}

impl Notice {
    /// The report that it tells of, if it tells of one.
    pub fn report(&self) -> Option<ReportNotice> {
        let tells = self.kind == NoticeKind::Report;
        tells.then(|| serde_json::from_value(self.detail.clone()).ok()).flatten()
    }

    /// The subject of the summary that told of an incident whose own alerts were
    /// kept back.
    pub fn summarised_in(&self) -> Option<&str> {
        self.detail.get("summarised_in")?.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_by_the_names_that_they_are_written_with() {
        for kind in NoticeKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert!("incident".parse::<NoticeKind>().unwrap_err().to_string().contains("incident_opened"));
        assert!(Severity::Critical > Severity::Warning && Severity::Warning > Severity::Info);
    }
}
