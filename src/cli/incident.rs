//! `plimsoll incident`: incidents of a running daemon, and times in which
//! nobody is to be alerted.

use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::BadUsage;
use super::answer::{self, Output, columns, given, items, word};
use super::client::{self, Server};
use super::decision::Why;
use crate::domain::{MarkerKind, Resource, TenantId, Timestamp};

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Incident {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List incidents, the newest first
    List(List),
    /// Show one incident with all that explains it
    Get { id: String },
    /// Say that you take care of an incident
    Ack {
        id: String,
        /// What is done about it
        #[arg(long)]
        comment: Option<String>,
    },
    /// Say whether an incident was one
    Feedback {
        id: String,
        /// true or false
        #[arg(action = clap::ArgAction::Set)]
        is_true: bool,
        /// Why
        #[arg(long)]
        comment: Option<String>,
    },
    /// Keep alerts back for a time, list such times, lift one
    #[command(subcommand)]
    Silence(Silence),
    /// Write a deploy or a maintenance down, list them, strike one out
    #[command(subcommand)]
    Marker(Marker),
}

#[derive(Debug, Args)]
struct List {
    /// Those of this tenant
    #[arg(long)]
    tenant: Option<TenantId>,
    /// Those that concern this resource
    #[arg(long)]
    resource: Option<Resource>,
    /// open, acknowledged or resolved
    #[arg(long)]
    state: Option<String>,
    /// unusual_usage, forecast_breach, cost_anomaly, sla_breach, budget_overrun, pinned_at_quota,
    /// rolled_back, meter_used_up or no_data
    #[arg(long)]
    kind: Option<String>,
    /// Those that matter at least so much: info, warning or critical
    #[arg(long)]
    severity: Option<String>,
    /// The most that are listed
    #[arg(long, default_value_t = 50)]
    limit: usize,
    /// Where the last page ended
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Silence {
    /// Keep alerts back from now on
    Add {
        /// Whose alerts; all tenants' where it is left out
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Alerts about which resource; all where it is left out
        #[arg(long)]
        resource: Option<Resource>,
        /// For how long, such as 2h
        #[arg(long = "for", value_parser = humantime::parse_duration)]
        length: Duration,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// List silences that hold now or later
    List,
    /// Lift a silence
    Lift {
        id: String,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Debug, Subcommand)]
enum Marker {
    /// Write a deploy or a maintenance down
    Add {
        /// deploy or maintenance
        kind: MarkerKind,
        /// Whose usage; all tenants' where it is left out
        #[arg(long)]
        tenant: Option<TenantId>,
        /// The first instant, such as 2026-11-23T05:00:00Z; now where it is left out
        #[arg(long)]
        from: Option<Timestamp>,
        /// For how long, such as 2h; a deploy has a length of its own
        #[arg(long = "for", value_parser = humantime::parse_duration)]
        length: Option<Duration>,
        /// What is done
        #[arg(long)]
        text: String,
    },
    /// List markers that hold now or later
    List,
    /// Strike a marker out
    Remove {
        id: String,
        #[command(flatten)]
        why: Why,
    },
}

const SILENCE: [(&str, &str); 6] = [
    ("id", "/id"),
    ("tenant", "/tenant"),
    ("resource", "/resource"),
    ("from", "/from"),
    ("until", "/until"),
    ("reason", "/reason"),
];
const MARKER: [(&str, &str); 6] = [
    ("id", "/id"),
    ("kind", "/kind"),
    ("tenant", "/tenant"),
    ("from", "/from"),
    ("until", "/until"),
    ("text", "/text"),
];

/// Runs the command.
///
/// # Errors
/// Where the daemon can't be reached or refuses.
pub fn run(arguments: &Incident, out: &mut impl Write) -> anyhow::Result<()> {
    let answer = call(arguments)?;
    if arguments.output.show(&answer, out)? {
        return Ok(());
    }
    match &arguments.what {
        What::List(_) => show_list(&answer, out),
        What::Get { .. } | What::Ack { .. } | What::Feedback { .. } => show_one(&answer, out),
        What::Silence(Silence::List) => columns(&answer, &SILENCE, out),
        What::Marker(Marker::List) => columns(&answer, &MARKER, out),
        What::Silence(_) => {
            Ok(writeln!(out, "silence {} until {}", word(&answer["id"]), word(&answer["until"]))?)
        }
        What::Marker(Marker::Remove { id, .. }) => Ok(writeln!(out, "struck out {id}")?),
        What::Marker(Marker::Add { .. }) => {
            Ok(writeln!(out, "marker {} until {}", word(&answer["id"]), word(&answer["until"]))?)
        }
    }
}

fn call(arguments: &Incident) -> anyhow::Result<Value> {
    let server = &arguments.server;
    let active = [("active", "true".to_owned())];
    match &arguments.what {
        What::List(list) => server.call(Method::GET, "/v1/incidents", &list.query(), None),
        What::Get { id } => server.call(Method::GET, &format!("/v1/incidents/{}", checked(id)?), &[], None),
        What::Ack { id, comment } => {
            let path = format!("/v1/incidents/{}/acknowledge", checked(id)?);
            server.call(Method::POST, &path, &[], Some(&json!({ "comment": comment })))
        }
        What::Feedback { id, is_true, comment } => {
            let path = format!("/v1/incidents/{}/feedback", checked(id)?);
            let body = json!({ "is_true": is_true, "comment": comment });
            server.call(Method::POST, &path, &[], Some(&body))
        }
        What::Silence(Silence::List) => server.call(Method::GET, "/v1/silences", &active, None),
        What::Silence(Silence::Lift { id, why }) => {
            server.call(Method::DELETE, &format!("/v1/silences/{}", checked(id)?), &why.query(), None)
        }
        What::Silence(Silence::Add { tenant, resource, length, reason }) => {
            let body = given(json!({
                "tenant": tenant, "resource": resource, "seconds": length.as_secs(), "reason": reason
            }));
            server.call(Method::POST, "/v1/silences", &[], Some(&body))
        }
        What::Marker(Marker::List) => server.call(Method::GET, "/v1/markers", &active, None),
        What::Marker(Marker::Remove { id, why }) => {
            server.call(Method::DELETE, &format!("/v1/markers/{}", checked(id)?), &why.query(), None)
        }
        What::Marker(Marker::Add { kind, tenant, from, length, text }) => {
            let seconds = length.map(|length| length.as_secs());
            let body = given(json!({
                "kind": kind, "tenant": tenant, "from": from, "seconds": seconds, "text": text
            }));
            server.call(Method::POST, "/v1/markers", &[], Some(&body))
        }
    }
}

/// An id goes into a path, so it must be one.
fn checked(id: &str) -> anyhow::Result<uuid::Uuid> {
    Ok(id.parse().map_err(|_| BadUsage(format!("read {id:?} as an id; take one from the list")))?)
}

impl List {
    fn query(&self) -> Vec<(&'static str, String)> {
        client::given([
            ("tenant", self.tenant.as_ref().map(TenantId::to_string)),
            ("resource", self.resource.map(|resource| resource.to_string())),
            ("state", self.state.clone()),
            ("kind", self.kind.clone()),
            ("severity", self.severity.clone()),
            ("limit", Some(self.limit.to_string())),
            ("cursor", self.cursor.clone()),
        ])
    }
}

fn state(incident: &Value) -> &'static str {
    match (incident["resolved_at"].is_null(), incident["acknowledged"].is_null()) {
        (false, _) => "resolved",
        (true, false) => "acknowledged",
        (true, true) => "open",
    }
}

fn show_list(answer: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let mut table = answer::table(&["id", "tenant", "state", "severity", "since", "what"]);
    for incident in items(answer) {
        let what = incident["findings"].as_array().map_or(&[][..], Vec::as_slice);
        let what: Vec<String> = what.iter().map(|finding| word(&finding["text"])).collect();
        table.add_row([
            word(&incident["id"]),
            word(&incident["tenant"]),
            state(incident).to_owned(),
            word(&incident["severity"]),
            word(&incident["opened_at"]),
            what.join(" "),
        ]);
    }
    writeln!(out, "{table}")?;
    if let Some(next) = answer["next"].as_str() {
        writeln!(out, "There are more: --cursor {next}")?;
    }
    Ok(())
}

fn show_one(incident: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let field = |name: &str| word(&incident[name]);
    writeln!(out, "{} of {} is {}, {}", field("id"), field("tenant"), state(incident), field("severity"))?;
    writeln!(out, "since {}, last seen {}", field("opened_at"), field("last_seen_at"))?;
    for finding in incident["findings"].as_array().map_or(&[][..], Vec::as_slice) {
        let field = |name: &str| match finding[name].as_f64() {
            Some(number) if number.fract() != 0.0 => format!("{number:.2}"),
            _ => word(&finding[name]),
        };
        writeln!(out, "\n{}: {}", field("kind"), field("text"))?;
        writeln!(
            out,
            "  actual {} {}, expected {} ({} to {}), {} samples known, confidence {}, found by {}",
            field("actual"),
            field("unit"),
            field("expected"),
            field("lower"),
            field("upper"),
            field("samples"),
            field("confidence"),
            field("detector")
        )?;
        let ended = match finding["ended_at"].as_str() {
            Some(ended) => format!("until {ended}"),
            None => "and it lasts".to_owned(),
        };
        writeln!(out, "  since {}, {ended}", field("since"))?;
        if let Some(foreseen) = finding["foreseen"].as_object() {
            let said = if foreseen["is_exceeded"] == true { "did not expect it" } else { "allowed for it" };
            let upper = foreseen["upper"].as_f64().unwrap_or(f64::NAN);
            writeln!(out, "  the forecast {said}: a peak of at most {upper:.2} in that hour")?;
        }
        let lasts = finding["ended_at"].is_null();
        if let Some(hours) = finding["headroom_hours"].as_f64().filter(|_| lasts) {
            match hours > 0.0 {
                true => writeln!(out, "  the quota is reached in {hours:.1} hours at this rate")?,
                false => writeln!(out, "  the quota is reached")?,
            }
        }
        if let Some(peers) = finding["peers"].as_object() {
            let (moved, count) = (word(&peers["also_moved_count"]), word(&peers["count"]));
            writeln!(out, "  {moved} of {count} {} moved as well", word(&peers["chosen_by"]))?;
        }
    }
    if let Some(acknowledged) = incident["acknowledged"].as_object() {
        let by = word(&acknowledged["by"]["name"]);
        writeln!(out, "\n{by} takes care of it: {}", word(&acknowledged["comment"]))?;
    }
    if let Some(feedback) = incident["feedback"].as_object() {
        let verdict = if feedback["is_true"] == true { "something was wrong" } else { "nothing was wrong" };
        writeln!(
            out,
            "{} says that {verdict}: {}",
            word(&feedback["by"]["name"]),
            word(&feedback["comment"])
        )?;
    }
    Ok(())
}
