//! `plimsoll report`: a report of a running daemon on its fleet or on one tenant,
//! made now, or one that is kept from a schedule.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use clap::builder::PossibleValuesParser;
use reqwest::Method;

use super::answer::columns;
use super::client::{Server, given};
use crate::domain::{Language, ReportFormat, ReportId, TenantId, Timestamp};
use crate::series::table;

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Report {
    #[command(flatten)]
    server: Server,
    /// Report on this tenant, and not on the fleet
    #[arg(long)]
    tenant: Option<TenantId>,
    /// Report on what was from this instant on, such as 2026-11-01
    #[arg(long)]
    from: Option<Timestamp>,
    /// Report on what was before this instant
    #[arg(long)]
    to: Option<Timestamp>,
    /// List the reports that are kept, and make none
    #[arg(long, conflicts_with_all = ["tenant", "from", "to", "kept"])]
    list: bool,
    /// Read the kept report of this id, and make none
    #[arg(long, value_name = "ID", conflicts_with_all = ["tenant", "from", "to"])]
    kept: Option<ReportId>,
    /// How it is written
    #[arg(long, default_value = "html", value_parser = PossibleValuesParser::new(ReportFormat::ALL.map(ReportFormat::name)))]
    format: String,
    /// In which language
    #[arg(long, default_value = "en", value_parser = PossibleValuesParser::new(Language::ALL.map(Language::code)))]
    language: String,
    /// The file to write; standard output for -
    #[arg(long, short, default_value = "-")]
    output: PathBuf,
}

/// Runs the command.
///
/// # Errors
/// Where the daemon can't be reached or refuses, or the file can't be written.
pub fn run(arguments: &Report, out: &mut impl Write) -> anyhow::Result<()> {
    if arguments.list {
        return list(&arguments.server, out);
    }
    let path = match (&arguments.kept, &arguments.tenant) {
        (Some(id), _) => format!("/v1/reports/{id}"),
        (None, Some(tenant)) => format!("/v1/reports/tenants/{tenant}"),
        (None, None) => "/v1/reports/fleet".to_owned(),
    };
    let query = given([
        ("format", Some(arguments.format.clone())),
        ("language", Some(arguments.language.clone())),
        ("from", arguments.from.as_ref().map(Timestamp::to_string)),
        ("to", arguments.to.as_ref().map(Timestamp::to_string)),
    ]);
    let bytes = arguments.server.bytes(&path, &query)?;
    if arguments.output.as_os_str() == "-" {
        return Ok(out.write_all(&bytes)?);
    }
    Ok(table::write_bytes(&arguments.output, &bytes)?)
}

fn list(server: &Server, out: &mut impl Write) -> anyhow::Result<()> {
    let answer = server.call(Method::GET, "/v1/reports", &[], None)?;
    let shown = [
        ("id", "/id"),
        ("schedule", "/schedule"),
        ("tenant", "/tenant"),
        ("due", "/due_at"),
        ("from", "/range/start"),
        ("to", "/range/end"),
    ];
    columns(&answer, &shown, out)
}
