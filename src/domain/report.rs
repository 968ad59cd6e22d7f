//! What a report is about, how it is written and in which language.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ReceiverName, ReportId, TenantId, Timestamp, Timetable};

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReportFormat {
    /// One file with its charts that any browser shows and prints.
    #[default]
    Html,
    /// The same laid out on white sheets with page numbers, for a browser that
    /// prints it into a PDF.
    PdfReady,
    /// For wikis and chats.
    Markdown,
    /// A row a figure.
    Csv,
    /// All that is known, as the API has it.
    Json,
    /// The rows of the CSV, with their types.
    Parquet,
}

impl ReportFormat {
    /// All formats.
    pub const ALL: [ReportFormat; 6] = [
        ReportFormat::Html,
        ReportFormat::PdfReady,
        ReportFormat::Markdown,
        ReportFormat::Csv,
        ReportFormat::Json,
        ReportFormat::Parquet,
    ];

    /// The name used in configs and the API.
    pub fn name(self) -> &'static str {
        match self {
            ReportFormat::Html => "html",
            ReportFormat::PdfReady => "pdf-ready",
            ReportFormat::Markdown => "markdown",
            ReportFormat::Csv => "csv",
            ReportFormat::Json => "json",
            ReportFormat::Parquet => "parquet",
        }
    }

    /// How a file of it ends.
    pub fn ending(self) -> &'static str {
        match self {
            ReportFormat::Markdown => "md",
            ReportFormat::PdfReady => "html",
            other => other.name(),
        }
    }

    /// The type of its content on the wire.
    pub fn media_type(self) -> &'static str {
        match self {
            ReportFormat::Html | ReportFormat::PdfReady => "text/html; charset=utf-8",
            ReportFormat::Markdown => "text/markdown; charset=utf-8",
            ReportFormat::Csv => "text/csv; charset=utf-8",
            ReportFormat::Json => "application/json",
            ReportFormat::Parquet => "application/vnd.apache.parquet",
        }
    }
}

impl fmt::Display for ReportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The language that people read a report in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub enum Language {
    /// English.
    #[default]
    #[serde(rename = "en")]
    English,
    /// German.
    #[serde(rename = "de")]
    German,
}

impl Language {
    /// All languages.
    pub const ALL: [Language; 2] = [Language::English, Language::German];

    /// Its code of ISO 639-1.
    pub fn code(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::German => "de",
        }
    }
}

/// A report that a notice tells of; it stands in the notice's detail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReportNotice {
    /// The kept report.
    pub report: ReportId,
    /// The schedule that made it.
    pub schedule: String,
    /// Whose report; `None` for the fleet's.
    pub tenant: Option<TenantId>,
    /// When it was due.
    pub due_at: Timestamp,
    /// How it is written for those who get it as a file.
    pub format: ReportFormat,
    /// In which language.
    pub language: Language,
    /// Where it can be read, below the daemon's address.
    pub path: String,
}

impl ReportNotice {
    /// What a file of it is called: the same on each attempt.
    pub fn file_name(&self) -> String {
        let about = self.tenant.as_ref().map_or("fleet", TenantId::as_str);
        let at = self.due_at.to_utc().map(|time| time.format("%Y-%m-%dT%H%MZ").to_string());
        let at = at.unwrap_or_else(|| self.due_at.millis().to_string());
        format!("{}-{about}-{at}.{}", self.schedule, self.format.ending())
    }
}

/// A report that is made again and again.
#[derive(Debug, Clone)]
pub struct ReportSchedule {
    /// Its name.
    pub name: String,
    /// When it is due.
    pub timetable: Timetable,
    /// How it is written for those who get it as a file.
    pub format: ReportFormat,
    /// In which language.
    pub language: Language,
    /// Whether one on the fleet is made.
    pub fleet: bool,
    /// The tenants of which one is made.
    pub tenants: ReportTenants,
    /// Who gets it.
    pub deliver_to: Vec<ReceiverName>,
}

/// Of which tenants a report is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportTenants {
    /// Of each.
    All,
    /// Of these.
    These(Vec<TenantId>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_on_the_wire() {
        for format in ReportFormat::ALL {
            assert_eq!(serde_json::to_value(format).unwrap(), format.name());
        }
        for language in Language::ALL {
            assert_eq!(serde_json::to_value(language).unwrap(), language.code());
        }
    }

    #[test]
    fn a_file_says_what_it_is_of() {
        let notice = ReportNotice {
            report: ReportId(uuid::Uuid::nil()),
            schedule: "weekly".to_owned(),
            tenant: Some("acme".parse().unwrap()),
            due_at: "2026-11-23T06:00:00Z".parse().unwrap(),
            format: ReportFormat::Markdown,
            language: Language::German,
            path: String::new(),
        };
        assert_eq!(notice.file_name(), "weekly-acme-2026-11-23T0600Z.md");
        assert!(ReportNotice { tenant: None, ..notice }.file_name().starts_with("weekly-fleet-"));
    }
}
