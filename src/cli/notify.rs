//! `plimsoll notify`: tries receivers out, and looks after the notices that
//! they did not take. It asks the running daemon over its API.

use std::io::Write;

use anyhow::bail;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use super::answer::{self, columns, items, word};
use super::client::{Server, given};

/// The arguments.
#[derive(Debug, Args)]
pub struct Notify {
    #[command(flatten)]
    server: Server,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Send a test to a receiver
    Test {
        /// The receiver's name
        receiver: String,
    },
    /// List the receivers
    Receivers,
    /// List the notices that were given up
    DeadLetters {
        /// Only those of this receiver
        receiver: Option<String>,
    },
    /// Send a notice again that was given up
    SendAgain {
        /// The receiver's name
        receiver: String,
        /// The notice's number, as `dead-letters` shows it
        number: u64,
    },
    /// Send to a receiver again that was disabled
    Enable {
        /// The receiver's name
        receiver: String,
    },
}

const DEAD_LETTERS: [(&str, &str); 6] = [
    ("receiver", "/receiver"),
    ("number", "/number"),
    ("given up", "/given_up_at"),
    ("kind", "/notice/kind"),
    ("title", "/notice/title"),
    ("because", "/last_error"),
];

/// Runs one of them.
///
/// # Errors
/// Where the daemon can't be asked, or refuses.
pub fn run(arguments: &Notify, out: &mut impl Write) -> anyhow::Result<()> {
    let Notify { server, action } = arguments;
    let post = |path: String| server.call(Method::POST, &path, &[], None);
    match action {
        Action::Test { receiver } => {
            let outcome = post(format!("/v1/receivers/{receiver}/test"))?;
            if outcome["taken"] != true {
                bail!("failed to have {receiver} take the test: could not {}", word(&outcome["error"]));
            }
            writeln!(out, "{receiver} has taken the test")?;
        }
        Action::Enable { receiver } => {
            post(format!("/v1/receivers/{receiver}/enable"))?;
            writeln!(out, "{receiver} is sent to again")?;
        }
        Action::SendAgain { receiver, number } => {
            let delivery = post(format!("/v1/dead-letters/{receiver}/{number}/send-again"))?;
            writeln!(out, "{} is on its way to {receiver} again", word(&delivery["notice"]["id"]))?;
        }
        Action::Receivers => show_receivers(&server.all("/v1/receivers", &[])?, out)?,
        Action::DeadLetters { receiver } => {
            let query = given([("receiver", receiver.clone())]);
            columns(&server.all("/v1/dead-letters", &query)?, &DEAD_LETTERS, out)?;
        }
    }
    Ok(())
}

fn show_receivers(answer: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let mut table = answer::table(&["name", "kind", "url", "from", "state"]);
    for one in items(answer) {
        let state = match one["disabled"]["reason"].as_str() {
            Some(reason) => format!("disabled: {reason}"),
            None => "enabled".to_owned(),
        };
        let words = ["name", "kind", "url", "origin"].map(|name| word(&one[name]));
        table.add_row(words.into_iter().chain([state]));
    }
    Ok(writeln!(out, "{table}")?)
}
