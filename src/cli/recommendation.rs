//! `plimsoll recommendation`: what waits for a decision at a running daemon.

use std::io::Write;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::answer::{self, Output, columns, items, word};
use super::client::{Body, Server, given};
use super::decision::{Approval, Decision, awaits_second};
use crate::domain::{Resource, TenantId, Tier};

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
    /// Approve all that wait and are chosen; look at it with --dry-run first
    ApproveAll(Batch),
    /// Reject a recommendation
    Reject(Decision),
}

/// Which are approved together.
#[derive(Debug, Args)]
struct Batch {
    /// Only say what would come of it
    #[arg(long)]
    dry_run: bool,
    /// Of this tenant; may be given again
    #[arg(long)]
    tenant: Vec<TenantId>,
    /// Of tenants of this tier
    #[arg(long)]
    tier: Option<Tier>,
    /// Of this resource
    #[arg(long)]
    resource: Option<Resource>,
    /// Those that lead up, or down
    #[arg(long, value_parser = ["up", "down"])]
    direction: Option<String>,
    /// With at least this confidence, 0 to 1
    #[arg(long, default_value_t = 0.0)]
    least_confidence: f64,
    /// At most so many, the newest first
    #[arg(long)]
    most: Option<usize>,
    /// What you say of it
    #[arg(long)]
    comment: Option<String>,
    /// The code of your second factor, where a template asks for one
    #[arg(long)]
    code: Option<String>,
}

impl Batch {
    fn send(&self, server: &Server) -> anyhow::Result<Value> {
        let body = Body::Json(json!({
            "tenants": self.tenant,
            "tier": self.tier,
            "resource": self.resource,
            "direction": self.direction,
            "least_confidence": self.least_confidence,
            "most": self.most,
            "comment": self.comment,
        }));
        let query = [("dry_run", self.dry_run.to_string())];
        let code = answer::code(self.code.as_deref());
        server.send_body(Method::POST, &format!("{PATH}/approve"), &query, &code, body)
    }
}

const PATH: &str = "/v1/recommendations";

const BATCH: [(&str, &str); 8] = [
    ("id", "/id"),
    ("tenant", "/tenant"),
    ("resource", "/resource"),
    ("now", "/from"),
    ("recommended", "/to"),
    ("saving a month", "/saving"),
    ("outcome", "/outcome"),
    ("why", "/why"),
];

const COLUMNS: [(&str, &str); 9] = [
    ("id", "/id"),
    ("tenant", "/tenant"),
    ("resource", "/resource"),
    ("now", "/current"),
    ("recommended", "/proposed"),
    ("unit", "/unit"),
    ("confidence", "/confidence"),
    ("saving a month", "/cost/saving"),
    ("state", "/state/state"),
];

/// Runs the command; gives whether what it asks for waits for a second person.
///
/// # Errors
/// Where the daemon can't be reached or refuses.
pub fn run(arguments: &Recommendation, out: &mut impl Write) -> anyhow::Result<bool> {
    let Recommendation { server, output, what } = arguments;
    let answer = call(server, what)?;
    let waits = matches!(what, What::Approve(_)) && awaits_second(&answer);
    if !output.show(&answer, out)? {
        show(what, answer, out)?;
    }
    Ok(waits)
}

fn show(what: &What, answer: Value, out: &mut impl Write) -> anyhow::Result<()> {
    match what {
        What::List { .. } => columns(&answer, &COLUMNS, out),
        What::Get { .. } | What::Reject(_) => columns(&json!({ "items": [answer] }), &COLUMNS, out),
        What::ApproveAll(_) => {
            columns(&answer, &BATCH, out)?;
            let saving = match &answer["saving"] {
                Value::Null => String::new(),
                saving => format!(", saving {} a month", word(saving)),
            };
            let done = if answer["dry_run"] == true {
                "would be decided on; nothing was changed"
            } else {
                "decided on"
            };
            writeln!(out, "{} {done}{saving}; {} more wait.", items(&answer).len(), answer["left"])?;
            Ok(())
        }
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
        What::ApproveAll(batch) => batch.send(server),
        What::Reject(decision) => decision.send(server, PATH, "reject"),
    }
}
