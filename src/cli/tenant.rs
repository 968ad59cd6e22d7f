//! `plimsoll tenant`: the tenants of a running daemon.

use std::io::Write;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::BadUsage;
use super::answer::{self, Output, columns, given, word};
use super::client::{Body, Server};
use super::decision::Why;
use crate::domain::template::Extends;
use crate::domain::{ApplyMode, Cadence, Resource, TenantId, Tier};
use crate::rightsize::words::percent;

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Tenant {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the tenants
    List,
    /// Show one tenant
    Get {
        /// Its id
        id: TenantId,
    },
    /// Register a tenant from a tier or a template
    Create(Box<Create>),
    /// Change a tenant; what is left out stays
    Change(Box<Change>),
    /// Remove a tenant with its quotas
    Remove {
        /// Its id
        id: TenantId,
        /// The version that you saw (`tenant get`); refused where it has changed since
        #[arg(long)]
        if_version: Option<u64>,
        #[command(flatten)]
        why: Why,
        /// The code of your second factor, where the template asks for one
        #[arg(long)]
        code: Option<String>,
    },
    /// Show every setting with where it comes from
    Settings {
        /// Its id
        id: TenantId,
    },
    /// Show what it has used of the amounts that are granted for a day or a month
    Meters {
        /// Its id
        id: TenantId,
    },
    /// Show how what it is promised is kept
    Sla {
        /// Its id
        id: TenantId,
    },
}

const METERS: [(&str, &str); 6] = [
    ("meter", "/meter"),
    ("used", "/used"),
    ("granted", "/limit"),
    ("left", "/left"),
    ("used up", "/used_up"),
    ("until (UTC)", "/until"),
];

const PROMISES: [(&str, &str); 7] = [
    ("promise", "/objective"),
    ("target", "/target"),
    ("good", "/good"),
    ("budget left", "/budget_left"),
    ("burn, 1 h", "/burn/0/rate"),
    ("burn, 6 h", "/burn/1/rate"),
    ("breach", "/breach"),
];

#[derive(Debug, Args)]
struct Create {
    /// The value of its label in Prometheus
    id: TenantId,
    /// The name that people read
    #[arg(long)]
    name: Option<String>,
    /// Its plan; that of the template where one is named
    #[arg(long, required_unless_present = "template")]
    tier: Option<Tier>,
    /// The template: a name, or name@version
    #[arg(long)]
    template: Option<Extends>,
    /// The provider whose prices apply
    #[arg(long)]
    provider: Option<String>,
    /// The region whose prices apply
    #[arg(long)]
    region: Option<String>,
    /// observe, review or approved
    #[arg(long)]
    apply_mode: Option<ApplyMode>,
    /// A quota of its own, such as cpu_cores=12; may be repeated
    #[arg(long = "quota", value_name = "RESOURCE=LIMIT", value_parser = quota)]
    quotas: Vec<(Resource, f64)>,
}

#[derive(Debug, Args)]
struct Change {
    /// Its id
    id: TenantId,
    /// The name that people read
    #[arg(long)]
    name: Option<String>,
    /// Its plan
    #[arg(long)]
    tier: Option<Tier>,
    /// The template whose settings hold: a name, or name@version
    #[arg(long)]
    template: Option<Extends>,
    /// The provider whose prices apply
    #[arg(long)]
    provider: Option<String>,
    /// The region whose prices apply
    #[arg(long)]
    region: Option<String>,
    /// observe, review or approved
    #[arg(long)]
    apply_mode: Option<ApplyMode>,
    /// auto, hourly, six_hourly, daily or day_ahead
    #[arg(long)]
    cadence: Option<Cadence>,
    /// The most changes of a quota a day
    #[arg(long)]
    changes_per_day: Option<f64>,
    /// Why
    #[arg(long, default_value = "")]
    reason: String,
    /// The version that you saw (`tenant get`); refused where it has changed since
    #[arg(long)]
    if_version: Option<u64>,
    /// The code of your second factor, where the template asks for one
    #[arg(long)]
    code: Option<String>,
}

fn quota(text: &str) -> Result<(Resource, f64), BadUsage> {
    let form = || BadUsage(format!("read {text:?}; write it like cpu_cores=12"));
    let (resource, limit) = text.split_once('=').ok_or_else(form)?;
    let resource: Resource = resource.parse().map_err(|error| BadUsage(format!("{error}")))?;
    Ok((resource, limit.parse().map_err(|_| form())?))
}

/// Runs the command.
///
/// # Errors
/// Where the daemon can't be reached or refuses.
pub fn run(arguments: &Tenant, out: &mut impl Write) -> anyhow::Result<()> {
    let Tenant { server, output, what } = arguments;
    let answer = call(server, what)?;
    if output.show(&answer, out)? {
        return Ok(());
    }
    match what {
        What::List => columns(
            &answer,
            &[
                ("id", "/id"),
                ("name", "/name"),
                ("tier", "/tier"),
                ("template", "/template/name"),
                ("mode", "/apply_mode"),
                ("provider", "/provider"),
                ("region", "/region"),
            ],
            out,
        ),
        What::Settings { .. } => {
            let field = |name: &str| word(&answer[name]);
            writeln!(out, "{}, tier {}, template {}", field("tenant"), field("tier"), field("template"))?;
            answer::settings(&answer["items"], out)
        }
        What::Sla { .. } => columns(&in_percent(answer), &PROMISES, out),
        What::Meters { .. } if answer["items"].as_array().is_none_or(Vec::is_empty) => {
            Ok(writeln!(out, "nothing is counted; [metering] of the config says how")?)
        }
        What::Meters { .. } => columns(&answer, &METERS, out),
        What::Remove { id, .. } => Ok(writeln!(out, "{id} is gone")?),
        What::Get { .. } | What::Create(_) | What::Change(_) => answer::fields(&answer, out),
    }
}

/// Promises with their shares in percent: four decimals of 0.99995 would be 1.
fn in_percent(mut answer: Value) -> Value {
    for promise in answer["items"].as_array_mut().into_iter().flatten() {
        for name in ["target", "good", "budget_left"] {
            if let Some(share) = promise[name].as_f64() {
                promise[name] = percent(share).into();
            }
        }
    }
    answer
}

fn call(server: &Server, what: &What) -> anyhow::Result<Value> {
    match what {
        What::List => server.all("/v1/tenants", &[]),
        What::Get { id } => server.call(Method::GET, &format!("/v1/tenants/{id}"), &[], None),
        What::Settings { id } => server.call(Method::GET, &format!("/v1/tenants/{id}/settings"), &[], None),
        What::Meters { id } => server.call(Method::GET, &format!("/v1/tenants/{id}/meters"), &[], None),
        What::Sla { id } => server.call(Method::GET, &format!("/v1/tenants/{id}/sla"), &[], None),
        What::Remove { id, if_version, why, code } => {
            let (path, headers) = (format!("/v1/tenants/{id}"), seen(*if_version, code.as_deref()));
            server.send_body(Method::DELETE, &path, &why.query(), &headers, Body::Nothing)
        }
        What::Create(new) => {
            let quotas: serde_json::Map<String, Value> =
                new.quotas.iter().map(|(resource, limit)| (resource.to_string(), json!(limit))).collect();
            let body = given(json!({
                "id": new.id, "name": new.name, "tier": new.tier, "template": new.template,
                "provider": new.provider, "region": new.region, "apply_mode": new.apply_mode,
                "quotas": quotas,
            }));
            server.call(Method::POST, "/v1/tenants", &[], Some(&body))
        }
        What::Change(change) => {
            let body = given(json!({
                "name": change.name, "tier": change.tier, "template": change.template,
                "provider": change.provider, "region": change.region, "apply_mode": change.apply_mode,
                "cadence": change.cadence, "changes_per_day": change.changes_per_day,
                "reason": change.reason,
            }));
            let headers = seen(change.if_version, change.code.as_deref());
            let path = format!("/v1/tenants/{}", change.id);
            server.send_body(Method::PATCH, &path, &[], &headers, Body::Json(body))
        }
    }
}

/// The headers that say which version was seen, where one was, and who one is.
fn seen(version: Option<u64>, code: Option<&str>) -> Vec<(&'static str, String)> {
    let mut headers = answer::code(code);
    headers.extend(version.map(|number| ("if-match", format!("\"{number}\""))));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_are_shown_in_percent() {
        let state = json!({"objective": {"quota": "cpu_cores"}, "target": 0.99995, "good": 0.998_000_000_000_000_1,
            "budget_left": -1.000_000_000_000_222, "breach": null, "burn": [{"rate": 2.000_000_000_1}, {"rate": null}]});
        let mut out = Vec::new();
        columns(&in_percent(json!({"items": [state, {"objective": "availability"}]})), &PROMISES, &mut out)
            .unwrap();
        let shown = String::from_utf8(out).unwrap();
        let row = shown.lines().find(|line| line.contains("cpu_cores")).unwrap();
        let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(cells, ["quota cpu_cores", "99.995 %", "99.8 %", "-100 %", "2", "-", "-"]);
    }
}
