//! Reports: what a fleet or a tenant cost, saved and needs, as one file that
//! people read or machines do. Everything here is pure: the engine gathers the
//! figures, this room writes them down.

mod charts;
mod document;
mod figures;
mod fleet;
mod html;
mod markdown;
pub mod model;
mod parts;
mod promises;
mod rows;
mod tenant;
pub mod words;

pub use figures::Figures;
pub use model::{FleetReport, Report, TenantReport};

use crate::domain::{Language, ReportFormat};
use document::Document;
use html::Medium;

/// A report could not be written; reads well after "failed to".
#[derive(Debug, thiserror::Error)]
#[error("write the report: {0}")]
pub struct ReportError(#[from] std::io::Error);

/// Writes a report.
///
/// # Errors
/// Where the figures make no table.
pub fn render(report: &Report, format: ReportFormat, language: Language) -> Result<Vec<u8>, ReportError> {
    Ok(match format {
        ReportFormat::Html => html::write(&laid_out(report, language), Medium::Screen).into_bytes(),
        ReportFormat::PdfReady => html::write(&laid_out(report, language), Medium::Sheets).into_bytes(),
        ReportFormat::Markdown => markdown::write(&laid_out(report, language)).into_bytes(),
        ReportFormat::Csv => crate::series::table::to_csv(&rows::table(report))?,
        ReportFormat::Parquet => crate::series::table::to_parquet(&rows::table(report))?,
        ReportFormat::Json => {
            let mut text = serde_json::to_vec_pretty(report).map_err(std::io::Error::from)?;
            text.push(b'\n');
            text
        }
    })
}

/// The title of a report, and its summary in plain sentences.
pub fn in_short(report: &Report, language: Language) -> (String, Vec<String>) {
    let figures = Figures(language);
    match report {
        Report::Fleet(report) => (fleet::title(figures), fleet::summary(report, figures)),
        Report::Tenant(report) => (tenant::title(report, figures), tenant::summary(report, figures)),
    }
}

fn laid_out(report: &Report, language: Language) -> Document {
    match report {
        Report::Fleet(report) => fleet::document(report, language),
        Report::Tenant(report) => tenant::document(report, language),
    }
}

#[cfg(test)]
mod tests;
