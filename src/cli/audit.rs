//! `plimsoll audit`: the audit log of a running daemon, and whether it is as
//! it was written.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::BadUsage;
use super::answer::{self, Output};
use super::client::{Server, given};
use crate::domain::TenantId;
use crate::registry::{AuditReport, Cut, Inspection, NumberedAuditEvent};
use crate::security::{Checkpoint, CheckpointError, Verifier, notes};

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Audit {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List lines, the newest first
    List {
        /// Those of this tenant
        #[arg(long)]
        tenant: Option<TenantId>,
        /// The most that are listed
        #[arg(long, default_value_t = 50)]
        limit: usize,
        #[command(flatten)]
        form: Output,
    },
    /// Write all lines to a file, the oldest first
    Export {
        /// jsonl can be verified again, csv is for spreadsheets
        #[arg(long, value_enum, default_value_t = Form::Jsonl)]
        format: Form,
        /// The file; - for standard output
        #[arg(short, long, default_value = "-")]
        output: PathBuf,
    },
    /// Hold the log against itself and against signed checkpoints
    ///
    /// Finds lines that were edited, left out, moved or cut off. Ends with 1
    /// where it finds any, or a checkpoint has no good signature, and with 2
    /// where a file or the key can't be used.
    Verify {
        /// An export as jsonl; without it the running daemon is asked
        #[arg(short, long)]
        input: Option<PathBuf>,
        /// Signed checkpoints that were kept elsewhere, one after the other
        #[arg(long)]
        checkpoints: Option<PathBuf>,
        /// The key that they were signed with, as `plimsoll audit key` shows it
        #[arg(long, requires = "checkpoints")]
        key: Option<String>,
        #[command(flatten)]
        form: Output,
    },
    /// Show the newest signed checkpoint
    Checkpoint {
        #[command(flatten)]
        form: Output,
    },
    /// Show the key that checkpoints are verified with; keep it elsewhere
    Key {
        #[command(flatten)]
        form: Output,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    Jsonl,
    Csv,
}

/// Runs the command; gives whether all is as it was written.
///
/// # Errors
/// Where the daemon can't be reached, or a file can't be used.
pub fn run(arguments: &Audit, out: &mut impl Write) -> anyhow::Result<bool> {
    let server = &arguments.server;
    match &arguments.what {
        What::List { tenant, limit, form } => list(server, tenant.as_ref(), *limit, form, out)?,
        What::Export { format, output } if output == Path::new("-") => export(server, *format, out)?,
        // Elsewhere -o names a form.
        What::Export { output, .. }
            if ["json", "jsonl", "yaml", "csv"].map(Path::new).contains(&&**output) =>
        {
            let what = format!(
                "write to a file named {0}; -o names a file here, --format {0} a form",
                output.display()
            );
            return Err(BadUsage(what).into());
        }
        What::Export { format, output } => {
            let mut file = File::create(output).with_context(|| output.display().to_string())?;
            export(server, *format, &mut file)?;
        }
        What::Checkpoint { form } => {
            let checkpoint = newest(server)?;
            if !form.show(&checkpoint, out)? {
                write!(out, "{}", field(&checkpoint, "note"))?;
            }
        }
        What::Key { form } => {
            let checkpoint = newest(server)?;
            if !form.show(&json!({ "key": checkpoint["key"] }), out)? {
                writeln!(out, "{}", field(&checkpoint, "key"))?;
            }
        }
        What::Verify { input, checkpoints, key, form } => {
            let (report, passed_over) =
                verify(server, input.as_deref(), checkpoints.as_deref(), key.as_deref())?;
            if !form.show(&as_answer(&report, &passed_over), out)? {
                tell(&report, &passed_over, out)?;
            }
            return Ok(report.findings.is_empty());
        }
    }
    Ok(true)
}

fn list(
    server: &Server,
    tenant: Option<&TenantId>,
    limit: usize,
    form: &Output,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let query = given([("limit", Some(limit.to_string())), ("tenant", tenant.map(TenantId::to_string))]);
    let mut page = server.call(Method::GET, "/v1/audit", &query, None)?;
    if form.show(&page, out)? {
        return Ok(());
    }
    let lines: Vec<NumberedAuditEvent> = serde_json::from_value(page["items"].take())?;
    let mut sheet = answer::table(&["line", "when", "who", "what", "on", "why"]);
    for NumberedAuditEvent { number, event, .. } in lines {
        let on =
            event.tenant.iter().map(ToString::to_string).chain(event.resource.map(|one| one.to_string()));
        sheet.add_row([
            number.to_string(),
            event.at.to_string(),
            event.actor.to_string(),
            name(&event.action)?,
            on.collect::<Vec<_>>().join(" "),
            without_id(&event.reason).to_owned(),
        ]);
    }
    writeln!(out, "{sheet}")?;
    Ok(())
}

/// A reason without the id of the incident that it begins with: it says nothing
/// to people, and `--output json` has it.
fn without_id(reason: &str) -> &str {
    let behind = reason.strip_prefix("incident ").and_then(|rest| rest.split_once(": "));
    behind.filter(|(id, _)| id.parse::<uuid::Uuid>().is_ok()).map_or(reason, |(_, why)| why)
}

fn name(action: &impl serde::Serialize) -> anyhow::Result<String> {
    Ok(serde_json::to_value(action)?.as_str().unwrap_or_default().to_owned())
}

/// All lines, the oldest first.
fn each(
    server: &Server,
    mut take: impl FnMut(&NumberedAuditEvent) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let query = [("order", "oldest".to_owned())];
    let last = server.each_page("/v1/audit", &query, |page| {
        page.drain(..).try_for_each(|line| take(&serde_json::from_value(line)?))
    });
    last.map(drop)
}

fn export(server: &Server, form: Form, out: &mut impl Write) -> anyhow::Result<()> {
    match form {
        Form::Jsonl => each(server, |line| Ok(writeln!(out, "{}", serde_json::to_string(line)?)?)),
        Form::Csv => {
            let mut sheet = csv::Writer::from_writer(out);
            sheet.write_record([
                "number",
                "at",
                "actor",
                "action",
                "tenant",
                "resource",
                "before",
                "after",
                "reason",
                "request_id",
                "previous",
                "hash",
            ])?;
            each(server, |line| {
                let event = &line.event;
                let text = |one: Option<String>| one.unwrap_or_default();
                Ok(sheet.write_record([
                    line.number.to_string(),
                    event.at.to_string(),
                    event.actor.to_string(),
                    name(&event.action)?,
                    text(event.tenant.as_ref().map(ToString::to_string)),
                    text(event.resource.map(|one| one.to_string())),
                    event.before.to_string(),
                    event.after.to_string(),
                    event.reason.clone(),
                    text(event.request_id.clone()),
                    line.previous.clone(),
                    line.hash.clone(),
                ])?)
            })?;
            Ok(sheet.flush()?)
        }
    }
}

/// The newest checkpoint.
fn newest(server: &Server) -> anyhow::Result<Value> {
    let mut answer = server.call(Method::GET, "/v1/audit/checkpoints", &[("limit", "1".to_owned())], None)?;
    match answer["items"].get_mut(0) {
        Some(newest) => Ok(newest.take()),
        None => Err(BadUsage("find a checkpoint: none was signed yet".to_owned()).into()),
    }
}

fn field<'a>(checkpoint: &'a Value, name: &str) -> &'a str {
    checkpoint[name].as_str().unwrap_or_default()
}

fn verify(
    server: &Server,
    input: Option<&Path>,
    checkpoints: Option<&Path>,
    key: Option<&str>,
) -> anyhow::Result<(AuditReport, Vec<String>)> {
    // What the daemon gives is read twice, and so kept meanwhile.
    let mut kept = tempfile::NamedTempFile::new()?;
    let input = match input {
        Some(input) => input,
        None => {
            export(server, Form::Jsonl, &mut kept)?;
            kept.path()
        }
    };
    let (signed, passed_over) = match (checkpoints, key) {
        (Some(file), Some(key)) => {
            signed_in(file, &Verifier::parse(key).map_err(|error| BadUsage(error.to_string()))?)?
        }
        (Some(_), None) => {
            return Err(BadUsage("verify checkpoints without the --key that signed them".to_owned()).into());
        }
        (None, _) => (Vec::new(), Vec::new()),
    };
    let mut first = None;
    let mut cut = None;
    read(input, |line| {
        let Some(line) = line else { return Ok(()) };
        let first = *first.get_or_insert(line.number);
        let one = Cut::of(&line.event).filter(|one| one.through + 1 == first);
        cut = cut.take().or(one);
        Ok(())
    })?;
    let mut inspection = Inspection::new(cut.as_ref(), signed);
    read(input, |line| match line {
        Some(line) => Ok(inspection.take(&line)?),
        None => {
            inspection.take_unreadable();
            Ok(())
        }
    })?;
    Ok((inspection.end(), passed_over))
}

/// The checkpoints in a file, each with a good signature, and what is said of
/// those that are cut off: the daemon may have been killed while it wrote one.
/// One is passed over only where a later one signs for more lines.
fn signed_in(file: &Path, verifier: &Verifier) -> anyhow::Result<(Vec<Checkpoint>, Vec<String>)> {
    let named = file.display();
    let bad = |error: &dyn Display| BadUsage(format!("use {named}: {error}"));
    let text = std::fs::read_to_string(file).map_err(|error| bad(&error))?;
    let (mut signed, mut passed_over, mut cut_off) = (Vec::new(), Vec::new(), Vec::new());
    let mut newest = 0;
    for (place, note) in notes(&text).iter().enumerate() {
        let told = |error: &CheckpointError| format!("checkpoint {}: failed to {error}", place + 1);
        match verifier.read(note) {
            Ok(checkpoint) => {
                if checkpoint.size > newest {
                    passed_over.append(&mut cut_off);
                }
                newest = newest.max(checkpoint.size);
                signed.push(checkpoint);
            }
            Err(error @ CheckpointError::CutOff) => cut_off.push(told(&error)),
            Err(error @ CheckpointError::Signature(_)) => return Err(error.into()),
            Err(error) => return Err(bad(&told(&error)).into()),
        }
    }
    if let Some(one) = cut_off.first() {
        return Err(bad(&format!("{one}; remove it, if the daemon was killed while it wrote it")).into());
    }
    if signed.is_empty() {
        return Err(bad(&"it holds no checkpoint").into());
    }
    Ok((signed, passed_over))
}

/// Reads an export line by line; `None` is one that can't be read. Where not
/// even the first can, it is no export.
fn read(
    input: &Path,
    mut take: impl FnMut(Option<NumberedAuditEvent>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let bad = |error: &dyn Display| BadUsage(format!("read {}: {error}", input.display()));
    let file = File::open(input).map_err(|error| bad(&error))?;
    for (index, text) in BufReader::new(file).split(b'\n').enumerate() {
        match serde_json::from_slice(&text.map_err(|error| bad(&error))?) {
            Ok(line) => take(Some(line))?,
            Err(error) if index == 0 => {
                return Err(bad(&format!("{error} in its first line; is it an export as jsonl?")).into());
            }
            Err(_) => take(None)?,
        }
    }
    Ok(())
}

/// A report as machines read it.
fn as_answer(report: &AuditReport, passed_over: &[String]) -> Value {
    let findings: Vec<String> = report.findings.iter().map(ToString::to_string).collect();
    json!({
        "lines": report.lines, "removed_before": report.cut, "checkpoints": report.checkpoints,
        "passed_over": passed_over,
        "is_whole": findings.is_empty(), "findings": findings,
    })
}

fn tell(report: &AuditReport, passed_over: &[String], out: &mut impl Write) -> anyhow::Result<()> {
    for one in passed_over {
        writeln!(out, "{one}; a later one is used")?;
    }
    for finding in &report.findings {
        writeln!(out, "{finding}")?;
    }
    let cut = match report.cut {
        0 => String::new(),
        cut => format!(" behind {cut} that were removed, as the log says"),
    };
    let whole = report.findings.is_empty();
    let verdict = if whole { "whole" } else { "NOT as it was written" };
    writeln!(out, "{} lines{cut}, {} checkpoints: {verdict}", report.lines, report.checkpoints)?;
    if whole && report.checkpoints == 0 {
        writeln!(
            out,
            "without checkpoints that were kept elsewhere nobody can tell whether its end was cut off, or all of \
             it written anew"
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_spared_the_id_of_an_incident() {
        let reason = "incident 01a227af-ea8a-745b-be67-675da2d63c24: CPU rose: much";
        assert_eq!(without_id(reason), "CPU rose: much");
        for other in ["incident at night: all was down", "they asked for it"] {
            assert_eq!(without_id(other), other);
        }
    }
}
