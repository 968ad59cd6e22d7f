//! `plimsoll models`: the versions of a running daemon's forecasting models.

use std::io::Write;

use clap::Args;
use comfy_table::{Cell, Table as Sheet, presets};
use reqwest::Method;
use serde_json::{Value, json};

use super::BadUsage;
use super::client::Server;
use crate::domain::Resource;

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Models {
    #[command(flatten)]
    server: Server,
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
    let answer = ask(arguments)?;
    show(answer["items"].as_array().map_or(&[], Vec::as_slice), out)
}

fn ask(arguments: &Models) -> anyhow::Result<Value> {
    match (arguments.roll_back, &arguments.reason) {
        (Some(resource), Some(reason)) => {
            let path = format!("/v1/models/{resource}/rollback");
            arguments.server.call(Method::POST, &path, &[], Some(&json!({ "reason": reason })))
        }
        (Some(_), None) => Err(BadUsage("roll back without a --reason".to_owned()).into()),
        (None, _) => arguments.server.call(Method::GET, "/v1/models", &[], None),
    }
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
