//! `plimsoll quota`: what a tenant of a running daemon may use.

use std::io::Write;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::answer::{self, Output, columns};
use super::client::{Body, Server};
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

/// Runs the command.
///
/// # Errors
/// Where the daemon can't be reached or refuses.
pub fn run(arguments: &Quota, out: &mut impl Write) -> anyhow::Result<()> {
    let Quota { server, output, what } = arguments;
    let answer = call(server, what)?;
    if output.show(&answer, out)? {
        return Ok(());
    }
    let all = match what {
        What::List { .. } => answer,
        What::Get { .. } | What::Set { .. } | What::RollBack { .. } => json!({ "items": [answer] }),
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

fn call(server: &Server, what: &What) -> anyhow::Result<Value> {
    match what {
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
