//! `plimsoll pause` and `plimsoll resume`: the switch that stops all changes of
//! quotas at a running daemon.

use std::io::Write;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::answer::{Output, word};
use super::client::{Body, Server};
use super::decision::Why;

const PATH: &str = "/v1/pause";

/// The arguments of `plimsoll pause`.
#[derive(Debug, Args)]
pub struct Pause {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    output: Output,
    /// Why; everybody whose change is refused is told. Without it, only say whether changes are stopped
    #[arg(long)]
    reason: Option<String>,
}

/// The arguments of `plimsoll resume`.
#[derive(Debug, Args)]
pub struct Resume {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    output: Output,
    #[command(flatten)]
    why: Why,
}

/// Stops all changes, or says whether they are stopped.
///
/// # Errors
/// Where the daemon can't be reached or refuses.
pub fn run(arguments: &Pause, out: &mut impl Write) -> anyhow::Result<()> {
    let answer = match &arguments.reason {
        Some(reason) => {
            let body = Body::Json(json!({ "reason": reason }));
            arguments.server.send_body(Method::PUT, PATH, &[], &[], body)?
        }
        None => arguments.server.call(Method::GET, PATH, &[], None)?,
    };
    say(&answer, &arguments.output, out)
}

/// Lets changes be made again.
///
/// # Errors
/// Where the daemon can't be reached or refuses.
pub fn resume(arguments: &Resume, out: &mut impl Write) -> anyhow::Result<()> {
    arguments.server.call(Method::DELETE, PATH, &arguments.why.query(), None)?;
    say(&json!({ "paused": null }), &arguments.output, out)
}

fn say(answer: &Value, output: &Output, out: &mut impl Write) -> anyhow::Result<()> {
    if output.show(answer, out)? {
        return Ok(());
    }
    let pause = &answer["paused"];
    if pause.is_null() {
        writeln!(out, "changes are made")?;
        return Ok(());
    }
    let (by, at, reason) = (word(&pause["by"]["name"]), word(&pause["at"]), word(&pause["reason"]));
    writeln!(out, "all changes are stopped by {by} since {at}: {reason}")?;
    Ok(())
}
