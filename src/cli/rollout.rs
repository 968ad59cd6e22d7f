//! `plimsoll rollout`: many changes of quotas as one, at a running daemon.

use std::io::Write;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::BadUsage;
use super::answer::{self, Output, columns, word};
use super::client::{Body, Server};
use super::decision::{Decision, awaits_second};
use crate::domain::template::Extends;
use crate::domain::{Resource, TenantId, Tier};

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Rollout {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Begin a rollout: of the recommendations that wait, of limits that you name, or of a template
    Create(Box<Create>),
    /// List rollouts, the newest first
    List,
    /// Show one rollout with its changes and what was seen of it
    Get {
        /// Its id
        id: uuid::Uuid,
    },
    /// Approve a rollout that needs two people, as the second one
    Approve(Decision),
    /// Halt a rollout where it is
    Pause(Decision),
    /// Let a rollout go on that was halted, or that has seen nothing of its stage
    Resume(Decision),
    /// Switch to what a blue-green rollout has prepared
    Switch(Decision),
    /// End a rollout that is watched, or an A/B test; what was changed stays
    Finish(Decision),
    /// Take a rollout back
    RollBack(Decision),
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Kind {
    AllAtOnce,
    Rolling,
    Canary,
    BlueGreen,
    AbTest,
}

#[derive(Debug, Args)]
struct Create {
    /// Its name
    name: String,
    /// Why
    #[arg(long)]
    reason: String,
    /// In which stages
    #[arg(long, value_enum, default_value = "canary")]
    strategy: Kind,
    /// Tenants a stage, with the strategy rolling
    #[arg(long, default_value_t = 10)]
    batch: usize,
    /// The share of the tenants that goes first, with the strategy canary
    #[arg(long, default_value_t = 0.1)]
    share: f64,
    /// How long each stage is watched; left out, what the daemon's config says
    #[arg(long, value_parser = humantime::parse_duration)]
    watch: Option<Duration>,
    /// Of recommendations: only those of tenants of this tier
    #[arg(long)]
    tier: Option<Tier>,
    /// Of recommendations: only those of this resource
    #[arg(long)]
    resource: Option<Resource>,
    /// Of recommendations: only those of this tenant; may be repeated
    #[arg(long = "tenant")]
    tenants: Vec<TenantId>,
    /// Of recommendations: what the other half of an A/B test gets, such as KRR
    #[arg(long)]
    alternative: Option<String>,
    /// A limit such as acme/cpu_cores=4 in place of recommendations; may be repeated
    #[arg(long = "set", value_name = "TENANT/RESOURCE=LIMIT", conflicts_with = "template")]
    limits: Vec<String>,
    /// A template in place of recommendations, for the tenants that have another version: name, or name@version
    #[arg(long)]
    template: Option<Extends>,
    /// Of a template: also change quotas and tiers that were right-sized or set since
    #[arg(long, requires = "template")]
    overwrite: bool,
    /// Only say what would be changed when
    #[arg(long)]
    dry_run: bool,
    /// The code of your second factor, where a template asks for one
    #[arg(long)]
    code: Option<String>,
}

const PATH: &str = "/v1/rollouts";

const COLUMNS: [(&str, &str); 6] = [
    ("id", "/id"),
    ("name", "/name"),
    ("strategy", "/strategy/kind"),
    ("state", "/state/kind"),
    ("stage", "/stage"),
    ("since (UTC)", "/since"),
];

const CHANGES: [(&str, &str); 7] = [
    ("stage", "/stage"),
    ("half", "/arm"),
    ("tenant", "/tenant"),
    ("resource", "/resource"),
    ("from", "/from"),
    ("to", "/to"),
    ("outcome", "/outcome/kind"),
];

const MOVES: [(&str, &str); 6] = [
    ("stage", "/stage"),
    ("half", "/half"),
    ("tenant", "/tenant"),
    ("from", "/from"),
    ("to", "/to"),
    ("outcome", "/outcome"),
];

/// Runs the command; gives whether what it asks for waits for a second person.
///
/// # Errors
/// Where the daemon can't be reached or refuses.
pub fn run(arguments: &Rollout, out: &mut impl Write) -> anyhow::Result<bool> {
    let Rollout { server, output, what } = arguments;
    let answer = call(server, what)?;
    let waits = matches!(what, What::Create(create) if !create.dry_run) && awaits_second(&answer);
    if !output.show(&answer, out)? {
        show(what, answer, out)?;
    }
    Ok(waits)
}

fn show(what: &What, answer: Value, out: &mut impl Write) -> anyhow::Result<()> {
    if matches!(what, What::List) {
        return columns(&answer, &COLUMNS, out);
    }
    columns(&json!({ "items": [answer] }), &COLUMNS, out)?;
    if let Some(why) = answer.pointer("/state/why") {
        let what = if answer["state"]["kind"] == "unseen" { "not seen" } else { "taken back" };
        writeln!(out, "{what}: {}", word(why))?;
    }
    show_moves(&answer["template"], out)?;
    writeln!(out)?;
    columns(&json!({ "items": answer["changes"] }), &CHANGES, out)?;
    for change in answer["changes"].as_array().into_iter().flatten() {
        if let Some(why) = change.pointer("/outcome/why") {
            writeln!(out, "{} of {}: {}", word(&change["resource"]), word(&change["tenant"]), word(why))?;
        }
    }
    show_watched(&answer["watched"], out)?;
    show_comparison(&answer["comparison"], out)
}

/// The tenants that get a template, each with its tier.
fn show_moves(template: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let Some(moves) = template["moves"].as_array().filter(|moves| !moves.is_empty()) else { return Ok(()) };
    let at = |one: &Value| format!("{}@{}", word(&one["name"]), one["version"]);
    let row = |one: &Value| {
        json!({
            "stage": one["stage"], "half": one["arm"], "tenant": one["tenant"],
            "from": format!("{} {}", at(&one["from"]), word(&one["from_tier"])),
            "to": format!("{} {}", at(&template["to"]), word(&one["to_tier"])),
            "outcome": one["outcome"]["kind"],
        })
    };
    writeln!(out)?;
    columns(&json!({ "items": moves.iter().map(row).collect::<Vec<_>>() }), &MOVES, out)?;
    for one in moves {
        let tenant = word(&one["tenant"]);
        if let Some(why) = one.pointer("/outcome/why") {
            writeln!(out, "the template of {tenant}: {}", word(why))?;
        }
        if !one["tier_left_out"].is_null() {
            let (own, left) = (word(&one["to_tier"]), word(&one["tier_left_out"]));
            writeln!(
                out,
                "{tenant} stays {own}, which was set since; --overwrite gives it the template's {left}"
            )?;
        }
    }
    Ok(())
}

fn show_watched(watched: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    if watched.is_null() {
        return Ok(());
    }
    writeln!(
        out,
        "\nat the quota: {} of {} samples since, {} of {} in the same time before; findings {} since, {} before",
        watched["since"]["above"],
        watched["since"]["samples"],
        watched["before"]["above"],
        watched["before"]["samples"],
        watched["incidents_since"],
        watched["incidents_before"]
    )?;
    if let Some(lately) = watched.get("lately").filter(|lately| !lately.is_null()) {
        let (since, before) = (&lately["since"], &lately["before"]);
        let minutes = lately["seconds"].as_u64().unwrap_or_default() / 60;
        writeln!(
            out,
            "in the last {minutes} min: {} of {}, {} of {} before",
            since["above"], since["samples"], before["above"], before["samples"]
        )?;
    }
    Ok(())
}

fn show_comparison(comparison: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let rows: Vec<Value> = ["violations", "slack", "cost", "incidents"]
        .into_iter()
        .filter(|name| comparison.get(name).is_some_and(|figure| !figure.is_null()))
        .map(|name| json!({ "figure": name, "of": comparison[name] }))
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    let headings = [
        ("figure", "/figure"),
        ("A", "/of/a/mean"),
        ("B", "/of/b/mean"),
        ("B - A", "/of/difference/mean"),
        ("from (95 %)", "/of/difference/low"),
        ("to", "/of/difference/high"),
    ];
    columns(&json!({ "items": rows }), &headings, out)
}

fn call(server: &Server, what: &What) -> anyhow::Result<Value> {
    let act = |name: &str, one: &Decision| one.send(server, PATH, name);
    match what {
        What::Create(create) => begin(server, create),
        What::List => server.all(PATH, &[]),
        What::Get { id } => server.call(Method::GET, &format!("{PATH}/{id}"), &[], None),
        What::Approve(one) => act("approve", one),
        What::Pause(one) => act("pause", one),
        What::Resume(one) => act("resume", one),
        What::Switch(one) => act("switch", one),
        What::Finish(one) => act("finish", one),
        What::RollBack(one) => act("roll-back", one),
    }
}

fn begin(server: &Server, create: &Create) -> anyhow::Result<Value> {
    let strategy = match create.strategy {
        Kind::AllAtOnce => json!({ "kind": "all_at_once" }),
        Kind::Rolling => json!({ "kind": "rolling", "batch": create.batch }),
        Kind::Canary => json!({ "kind": "canary", "share": create.share }),
        Kind::BlueGreen => json!({ "kind": "blue_green" }),
        Kind::AbTest => json!({ "kind": "ab_test" }),
    };
    let body = json!({
        "name": create.name,
        "reason": create.reason,
        "strategy": strategy,
        "take": take(create)?,
        "watch_seconds": create.watch.map(|watch| watch.as_secs()),
    });
    let query = if create.dry_run { vec![("dry_run", "true".to_owned())] } else { Vec::new() };
    let headers = answer::code(create.code.as_deref());
    server.send_body(Method::POST, PATH, &query, &headers, Body::Json(body))
}

fn take(create: &Create) -> anyhow::Result<Value> {
    if let Some(template) = &create.template {
        return Ok(
            json!({ "kind": "template", "template": template.to_string(), "overwrite": create.overwrite }),
        );
    }
    if create.limits.is_empty() {
        return Ok(json!({
            "kind": "recommendations",
            "tier": create.tier,
            "resource": create.resource,
            "tenants": create.tenants,
            "alternative": create.alternative,
        }));
    }
    let changes: Vec<Value> = create.limits.iter().map(|text| limit(text)).collect::<Result<_, _>>()?;
    Ok(json!({ "kind": "changes", "changes": changes }))
}

/// Reads `acme/cpu_cores=4`.
fn limit(text: &str) -> Result<Value, BadUsage> {
    let bad = || BadUsage(format!("read --set {text}; write it like acme/cpu_cores=4"));
    let (place, limit) = text.split_once('=').ok_or_else(bad)?;
    let (tenant, resource) = place.split_once('/').ok_or_else(bad)?;
    let tenant: TenantId = tenant.parse().map_err(|_| bad())?;
    let resource: Resource = resource.parse().map_err(|_| bad())?;
    let limit: f64 = limit.parse().map_err(|_| bad())?;
    Ok(json!({ "tenant": tenant, "resource": resource, "limit": limit }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_as_they_are_written() {
        let read = limit("acme/cpu_cores=4.5").unwrap();
        assert_eq!(read, json!({ "tenant": "acme", "resource": "cpu_cores", "limit": 4.5 }));
        for bad in ["acme", "acme/cpu_cores", "acme=4", "acme/cores=4", "acme/cpu_cores=many"] {
            assert!(limit(bad).unwrap_err().to_string().contains(bad), "{bad}");
        }
    }
}
