//! `plimsoll models`: the versions of a running daemon's forecasting models.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use comfy_table::{Cell, Table as Sheet, presets};
use serde_json::{Value, json};

use super::BadUsage;
use crate::domain::Resource;

/// How long the daemon may take to answer.
const TIME_OUT: Duration = Duration::from_secs(30);

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Models {
    /// The address of the daemon
    #[arg(long, default_value = "http://127.0.0.1:7117")]
    server: String,
    /// The token for its API
    #[arg(long, env = "PLIMSOLL_TOKEN", hide_env_values = true)]
    token: String,
    /// Go back to the models that this resource was forecast with before
    #[arg(long, value_name = "RESOURCE", requires = "reason")]
    roll_back: Option<Resource>,
    /// Why; it stands in the audit log
    #[arg(long)]
    reason: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// Where the daemon can't be reached, or refuses.
pub fn run(arguments: &Models, out: &mut impl Write) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("failed to start the threads")?;
    let answer = runtime.block_on(ask(arguments))?;
    show(answer["items"].as_array().map_or(&[], Vec::as_slice), out)
}

async fn ask(arguments: &Models) -> anyhow::Result<Value> {
    let client = reqwest::Client::builder().timeout(TIME_OUT).build().context("failed to set up a client")?;
    let server = arguments.server.trim_end_matches('/');
    let request = match (arguments.roll_back, &arguments.reason) {
        (Some(resource), Some(reason)) => {
            client.post(format!("{server}/v1/models/{resource}/rollback")).json(&json!({ "reason": reason }))
        }
        (Some(_), None) => return Err(BadUsage("roll back without a --reason".to_owned()).into()),
        (None, _) => client.get(format!("{server}/v1/models")),
    };
    let response = request.bearer_auth(&arguments.token).send().await;
    let response = response.with_context(|| format!("failed to reach the daemon at {server}"))?;
    let status = response.status();
    let answer: Value = response.json().await.context("failed to read the daemon's answer")?;
    if status.is_success() {
        return Ok(answer);
    }
    let detail = answer["detail"].as_str().unwrap_or("it did not say why").to_owned();
    Err(anyhow!("get an answer from the daemon: {status}: {detail}"))
}

fn show(versions: &[Value], out: &mut impl Write) -> anyhow::Result<()> {
    let mut sheet = Sheet::new();
    sheet.load_preset(presets::UTF8_HORIZONTAL_ONLY);
    sheet
        .set_header(["resource", "version", "state", "fitted", "series", "backtest", "live", "cover", "why"]);
    for version in versions {
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Null => "-".to_owned(),
            other => other.to_string(),
        };
        let figure = |value: &Value| value.as_f64().map_or("-".to_owned(), |value| format!("{value:.3}"));
        sheet.add_row([
            Cell::new(text(&version["resource"])),
            Cell::new(text(&version["version"])),
            Cell::new(text(&version["state"])),
            Cell::new(text(&version["fitted_at"])),
            Cell::new(text(&version["series"])),
            Cell::new(figure(&version["backtest"]["quantile_loss"])),
            Cell::new(figure(&version["live"]["quantile_loss"])),
            Cell::new(figure(&version["live"]["cover"])),
            Cell::new(text(&version["reason"])),
        ]);
    }
    writeln!(out, "{sheet}")?;
    Ok(())
}
