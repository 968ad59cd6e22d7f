//! `plimsoll recommendation`: what waits for a decision at a running daemon.

use std::io::Write;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::answer::{Output, columns, word};
use super::client::{Server, given};
use super::decision::{Approval, Decision};
use crate::domain::{Resource, TenantId};

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Recommendation {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List recommendations, the newest first
    List {
        /// Those of this tenant
        #[arg(long)]
        tenant: Option<TenantId>,
        /// Those of this resource
        #[arg(long)]
        resource: Option<Resource>,
        /// Those in this state, or any
        #[arg(long, default_value = "proposed")]
        state: String,
    },
    /// Show one recommendation; `plimsoll explain` shows its evidence
    Get {
        /// Its id
        id: uuid::Uuid,
    },
    /// Approve a recommendation and change the quota
    Approve(Approval),
    /// Reject a recommendation
    Reject(Decision),
}

const PATH: &str = "/v1/recommendations";

const COLUMNS: [(&str, &str); 9] = [
    ("id", "/id"),
    ("tenant", "/tenant"),
    ("resource", "/resource"),
    ("now", "/current"),
    ("recommended", "/proposed"),
    ("unit", "/unit"),
    ("confidence", "/confidence"),
    ("saving a month", "/cost/saving/amount"),
    ("state", "/state/state"),
];

/// Runs the command.
///
/// # Errors
/// Where the daemon can't be reached or refuses.
pub fn run(arguments: &Recommendation, out: &mut impl Write) -> anyhow::Result<()> {
    let Recommendation { server, output, what } = arguments;
    let answer = call(server, what)?;
    if output.show(&answer, out)? {
        return Ok(());
    }
    match what {
        What::List { .. } => columns(&answer, &COLUMNS, out),
        What::Get { .. } | What::Reject(_) => columns(&json!({ "items": [answer] }), &COLUMNS, out),
        What::Approve(_) if answer["quota"].is_null() => {
            let id = word(&answer["id"]);
            let until = word(&answer["state"]["until"]);
            writeln!(out, "{id} waits for a second, different person until {until}")?;
            Ok(())
        }
        What::Approve(_) => {
            let quota = |name: &str| word(&answer["quota"][name]);
            let tenant = word(&answer["recommendation"]["tenant"]);
            writeln!(
                out,
                "{} of {tenant} is {} {} now, generation {}",
                quota("resource"),
                quota("limit"),
                quota("unit"),
                quota("generation")
            )?;
            Ok(())
        }
    }
}

fn call(server: &Server, what: &What) -> anyhow::Result<Value> {
    match what {
        What::List { tenant, resource, state } => {
            let state = (state != "any").then(|| state.clone());
            let query = given([
                ("tenant", tenant.as_ref().map(TenantId::to_string)),
                ("resource", resource.map(|resource| resource.to_string())),
                ("state", state),
            ]);
            server.all(PATH, &query)
        }
        What::Get { id } => server.call(Method::GET, &format!("{PATH}/{id}"), &[], None),
        What::Approve(approval) => approval.send(server, PATH),
        What::Reject(decision) => decision.send(server, PATH, "reject"),
    }
}
