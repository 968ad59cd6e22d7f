//! `plimsoll quota`: what a tenant of a running daemon may use.

use std::io::Write;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::answer::{self, Output, columns};
use super::client::{Body, Server, given};
use super::decision::{Approval, Decision, awaits_second};
use crate::domain::{Resource, TenantId};

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Quota {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the quotas of a tenant
    List {
        /// The tenant
        tenant: TenantId,
    },
    /// Show one quota
    Get {
        /// The tenant
        tenant: TenantId,
        /// The resource
        resource: Resource,
    },
    /// Change one quota
    Set {
        /// The tenant
        tenant: TenantId,
        /// The resource
        resource: Resource,
        /// The limit, in the resource's unit
        limit: f64,
        /// The generation that was seen; whichever stands where it is left out
        #[arg(long)]
        generation: Option<u64>,
        /// Why
        #[arg(long)]
        reason: Option<String>,
        /// The code of your second factor, where the template asks for one
        #[arg(long)]
        code: Option<String>,
    },
    /// List the changes that were asked for and a second person must approve
    Requests {
        /// Those of this tenant
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Those in this state, or any
        #[arg(long, default_value = "waiting")]
        state: String,
    },
    /// Approve a change that another person asked for
    Approve(Approval),
    /// Reject a change that was asked for, or take it back
    Reject(Decision),
    /// Take the last change of a quota back
    RollBack {
        /// The tenant
        tenant: TenantId,
        /// The resource
        resource: Resource,
        /// What is wrong with it
        #[arg(long)]
        reason: String,
        /// The generation that was seen; whichever stands where it is left out
        #[arg(long)]
        generation: Option<u64>,
        /// The code of your second factor, where the template asks for one
        #[arg(long)]
        code: Option<String>,
    },
}

/// Runs the command; gives whether what it asks for waits for a second person.
///
/// # Errors
/// Where the daemon can't be reached or refuses.
pub fn run(arguments: &Quota, out: &mut impl Write) -> anyhow::Result<bool> {
    let Quota { server, output, what } = arguments;
    let answer = call(server, what)?;
    let waits = matches!(what, What::Set { .. }) && awaits_second(&answer);
    if !output.show(&answer, out)? {
        show(what, answer, out)?;
    }
    Ok(waits)
}

fn show(what: &What, answer: Value, out: &mut impl Write) -> anyhow::Result<()> {
    if !answer["parent_generation"].is_null() || matches!(what, What::Requests { .. }) {
        return requests(answer, what, out);
    }
    let all = match what {
        What::List { .. } => answer,
        _ => json!({ "items": [answer] }),
    };
    let headings = [
        ("resource", "/resource"),
        ("limit", "/limit"),
        ("unit", "/unit"),
        ("generation", "/generation"),
        ("changed at (UTC)", "/changed_at"),
    ];
    columns(&all, &headings, out)
}

/// Where changes are that wait for a second person.
const REQUESTED: &str = "/v1/change-requests";

const REQUESTS: [(&str, &str); 10] = [
    ("id", "/id"),
    ("tenant", "/tenant"),
    ("resource", "/resource"),
    ("from", "/from"),
    ("to", "/to"),
    ("unit", "/unit"),
    ("asked by", "/by/name"),
    ("reason", "/reason"),
    ("until (UTC)", "/expires_at"),
    ("state", "/state/state"),
];

/// Changes that were asked for; one that was just asked for with what it waits
/// for.
fn requests(answer: Value, what: &What, out: &mut impl Write) -> anyhow::Result<()> {
    if let What::Set { .. } = what {
        let id = answer["id"].as_str().unwrap_or_default();
        writeln!(out, "it waits for a second person: plimsoll quota approve {id}")?;
    }
    let all = if answer["items"].is_array() { answer } else { json!({ "items": [answer] }) };
    columns(&all, &REQUESTS, out)
}

fn call(server: &Server, what: &What) -> anyhow::Result<Value> {
    match what {
        What::Requests { tenant, state } => {
            let state = (state != "any").then(|| state.clone());
            let query = given([("tenant", tenant.as_ref().map(TenantId::to_string)), ("state", state)]);
            server.all(REQUESTED, &query)
        }
        What::Approve(approval) => approval.send(server, REQUESTED),
        What::Reject(decision) => decision.send(server, REQUESTED, "reject"),
        What::List { tenant } => server.call(Method::GET, &format!("/v1/tenants/{tenant}/quotas"), &[], None),
        What::Get { tenant, resource } => {
            server.call(Method::GET, &format!("/v1/tenants/{tenant}/quotas/{resource}"), &[], None)
        }
        What::Set { tenant, resource, limit, generation, reason, code } => {
            let body = Body::Json(json!({ "limit": limit, "reason": reason }));
            let path = format!("/v1/tenants/{tenant}/quotas/{resource}");
            server.send_body(Method::PUT, &path, &[], &seen(*generation, code.as_deref()), body)
        }
        What::RollBack { tenant, resource, reason, generation, code } => {
            let body = Body::Json(json!({ "reason": reason }));
            let path = format!("/v1/tenants/{tenant}/quotas/{resource}/roll-back");
            server.send_body(Method::POST, &path, &[], &seen(*generation, code.as_deref()), body)
        }
    }
}

/// The headers that say which generation was seen, and who one is.
fn seen(generation: Option<u64>, code: Option<&str>) -> Vec<(&'static str, String)> {
    let tag = generation.map_or_else(|| "*".to_owned(), |number| format!("\"{number}\""));
    let mut headers = answer::code(code);
    headers.push(("if-match", tag));
    headers
}
