//! `plimsoll notify`: tries receivers out, and looks after the notices that
//! they did not take. It asks the running daemon over its API.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::BadUsage;

/// How long the daemon may take to answer.
const TIME_OUT: Duration = Duration::from_secs(60);

/// The arguments.
#[derive(Debug, Args)]
pub struct Notify {
    #[command(subcommand)]
    action: Action,
    /// The address of the daemon
    #[arg(long, env = "PLIMSOLL_SERVER", default_value = "http://127.0.0.1:7117", global = true)]
    server: String,
    /// The token for its API
    #[arg(long, env = "PLIMSOLL_TOKEN", hide_env_values = true, global = true)]
    token: Option<String>,
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

/// Runs one of them.
///
/// # Errors
/// Where the daemon can't be asked, or refuses.
pub fn run(arguments: &Notify, out: &mut impl Write) -> anyhow::Result<()> {
    let daemon = Daemon::of(arguments)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("failed to start the threads")?.block_on(act(&arguments.action, &daemon, out))
}

async fn act(action: &Action, daemon: &Daemon, out: &mut impl Write) -> anyhow::Result<()> {
    match action {
        Action::Test { receiver } => {
            let outcome = daemon.call(Method::POST, &format!("/v1/receivers/{receiver}/test")).await?;
            if outcome["taken"] != true {
                bail!("{receiver}: failed to {}", text(&outcome["error"]));
            }
            writeln!(out, "{receiver} has taken the test")?;
        }
        Action::Enable { receiver } => {
            daemon.call(Method::POST, &format!("/v1/receivers/{receiver}/enable")).await?;
            writeln!(out, "{receiver} is sent to again")?;
        }
        Action::SendAgain { receiver, number } => {
            let path = format!("/v1/dead-letters/{receiver}/{number}/send-again");
            let delivery = daemon.call(Method::POST, &path).await?;
            writeln!(out, "{} is on its way to {receiver} again", text(&delivery["notice"]["id"]))?;
        }
        Action::Receivers => {
            let receivers = daemon.all("/v1/receivers?limit=500").await?;
            writeln!(out, "{}", receivers_table(&receivers))?;
        }
        Action::DeadLetters { receiver } => {
            let only = receiver.as_ref().map(|name| format!("&receiver={name}")).unwrap_or_default();
            let dead = daemon.all(&format!("/v1/dead-letters?limit=500{only}")).await?;
            writeln!(out, "{}", dead_letters_table(&dead))?;
        }
    }
    Ok(())
}

fn receivers_table(receivers: &[Value]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["name", "kind", "url", "from", "state"]);
    for one in receivers {
        let state = match one["disabled"]["reason"].as_str() {
            Some(reason) => format!("disabled: {reason}"),
            None => "enabled".to_owned(),
        };
        let cells = ["name", "kind", "url", "origin"].map(|key| text(&one[key]));
        table.add_row(cells.into_iter().chain([state]));
    }
    table
}

fn dead_letters_table(dead: &[Value]) -> Table {
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["receiver", "number", "given up", "kind", "title", "because"]);
    for one in dead {
        let notice = &one["notice"];
        table.add_row([
            text(&one["receiver"]),
            one["number"].to_string(),
            text(&one["given_up_at"]),
            text(&notice["kind"]),
            text(&notice["title"]),
            text(&one["last_error"]),
        ]);
    }
    table
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The running daemon's API.
struct Daemon {
    url: String,
    token: SecretString,
    http: reqwest::Client,
}

impl Daemon {
    fn of(arguments: &Notify) -> anyhow::Result<Self> {
        let missing =
            || BadUsage("find the API's token; give it as PLIMSOLL_TOKEN or with --token".to_owned());
        let token = arguments.token.clone().map(SecretString::from).ok_or_else(missing)?;
        let http =
            reqwest::Client::builder().timeout(TIME_OUT).build().context("failed to set up a client")?;
        let url = arguments.server.trim_end_matches('/').to_owned();
        Ok(Daemon { url, token, http })
    }

    async fn call(&self, method: Method, path: &str) -> anyhow::Result<Value> {
        let request = self.http.request(method, format!("{}{path}", self.url));
        let response = request.bearer_auth(self.token.expose_secret()).send().await;
        let response = response.with_context(|| format!("failed to reach the daemon at {}", self.url))?;
        let (status, body): (StatusCode, Value) =
            (response.status(), response.json().await.unwrap_or_default());
        if status.is_success() {
            return Ok(body);
        }
        let detail = body["detail"].as_str().map_or_else(|| status.to_string(), str::to_owned);
        bail!("have the daemon do it: {detail}")
    }

    /// All entries of a list.
    async fn all(&self, path: &str) -> anyhow::Result<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.call(Method::GET, &format!("{path}{cursor}")).await?;
            items.extend(page["items"].as_array().into_iter().flatten().cloned());
            let Some(next) = page["next"].as_str() else { return Ok(items) };
            cursor = format!("&cursor={next}");
        }
    }
}
