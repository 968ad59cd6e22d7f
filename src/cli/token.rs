//! `plimsoll token`: who may call a running daemon.

use std::io::Write;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::BadUsage;
use super::answer::{Output, columns, items, word};
use super::client::Server;
use super::decision::Why;
use crate::domain::{Role, TenantId};

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Token {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a token; it is shown this once
    Create {
        /// The name that stands in the audit log
        name: String,
        /// viewer, operator, approver or admin
        #[arg(long)]
        role: Role,
        /// Only for this tenant; may be repeated
        #[arg(long = "tenant")]
        tenants: Vec<TenantId>,
        /// How long it lets its bearer in, such as 90d
        #[arg(long)]
        expires_in: Option<String>,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// List the tokens
    List,
    /// Let a token's bearer in no more
    Revoke {
        /// Its id or, where only one has it, its name
        token: String,
        #[command(flatten)]
        why: Why,
    },
    /// Show what your own token may do
    Show,
    /// Set up a second factor for your own token
    Enroll,
    /// Confirm it with the code that your authenticator shows
    Confirm {
        /// The six digits
        code: String,
    },
    /// Take away the second factor of somebody who has lost it
    ResetFactor {
        /// The token's id or, where only one has it, its name
        token: String,
        #[command(flatten)]
        why: Why,
    },
}

/// Runs the command.
///
/// # Errors
/// Where the daemon can't be reached or refuses.
pub fn run(arguments: &Token, out: &mut impl Write) -> anyhow::Result<()> {
    let Token { server, output, what } = arguments;
    let answer = call(server, what)?;
    if output.show(&answer, out)? {
        return Ok(());
    }
    let field = |name: &str| word(&answer[name]);
    match what {
        What::List => columns(
            &answer,
            &[
                ("id", "/id"),
                ("name", "/name"),
                ("role", "/role"),
                ("tenants", "/tenants"),
                ("expires", "/expires_at"),
                ("revoked", "/revoked_at"),
                ("second factor", "/second_factor"),
            ],
            out,
        )?,
        What::Create { .. } => writeln!(
            out,
            "{} ({}) until {}; the token is shown this once:\n\n    {}\n",
            field("name"),
            field("role"),
            field("expires_at"),
            field("token")
        )?,
        What::Revoke { .. } => writeln!(out, "{} lets nobody in any more", field("name"))?,
        What::ResetFactor { .. } => writeln!(out, "{} has no second factor any more", field("name"))?,
        What::Show => writeln!(out, "{} ({}) for {}", field("name"), field("role"), whom(&answer))?,
        What::Enroll => writeln!(
            out,
            "Add this to your authenticator, it is shown this once, and confirm it with a code:\n\n    {}\n    {}\n",
            field("secret"),
            field("url")
        )?,
        What::Confirm { .. } => writeln!(out, "the second factor counts from now on")?,
    }
    Ok(())
}

fn whom(answer: &Value) -> String {
    match answer["tenants"].as_array() {
        Some(tenants) if !tenants.is_empty() => tenants.iter().map(word).collect::<Vec<_>>().join(", "),
        _ => "all tenants".to_owned(),
    }
}

fn call(server: &Server, what: &What) -> anyhow::Result<Value> {
    match what {
        What::List => server.all("/v1/tokens", &[]),
        What::Show => server.call(Method::GET, "/v1/token", &[], None),
        What::Enroll => server.call(Method::POST, "/v1/token/second-factor", &[], None),
        What::Confirm { code } => {
            server.call(Method::POST, "/v1/token/second-factor/confirm", &[], Some(&json!({ "code": code })))
        }
        What::Create { name, role, tenants, expires_in, reason } => {
            let body = json!({"name": name, "role": role, "tenants": tenants, "expires_in": expires_in,
                "reason": reason});
            server.call(Method::POST, "/v1/tokens", &[], Some(&body))
        }
        What::Revoke { token, why } => {
            let path = format!("/v1/tokens/{}", id_of(server, token)?);
            server.call(Method::DELETE, &path, &why.query(), None)
        }
        What::ResetFactor { token, why } => {
            let path = format!("/v1/tokens/{}/second-factor", id_of(server, token)?);
            server.call(Method::DELETE, &path, &why.query(), None)
        }
    }
}

/// The id of a token that is named by its id, or by its name where one token
/// only has it that still lets somebody in.
fn id_of(server: &Server, token: &str) -> anyhow::Result<String> {
    let all = server.all("/v1/tokens", &[])?;
    let all = items(&all);
    if let Some(found) = all.iter().find(|one| one["id"] == token) {
        return Ok(word(&found["id"]));
    }
    let named: Vec<&Value> =
        all.iter().filter(|one| one["name"] == token && one["revoked_at"].is_null()).collect();
    match named[..] {
        [one] => Ok(word(&one["id"])),
        [] => Err(BadUsage(format!("find a token {token:?}; plimsoll token list shows all")).into()),
        _ => Err(BadUsage(format!("tell the {} tokens {token:?} apart; give an id", named.len())).into()),
    }
}
