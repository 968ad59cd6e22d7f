//! `plimsoll models`: the versions of a running daemon's forecasting models.

use std::io::Write;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::BadUsage;
use super::answer::{self, items, word};
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
    show(&ask(arguments)?, out)
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

fn show(answer: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let headings = ["resource", "version", "state", "fitted", "series", "backtest", "live", "cover", "why"];
    let mut table = answer::table(&headings);
    for version in items(answer) {
        let figure = |place: &str| {
            let value = version.pointer(place).and_then(Value::as_f64);
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
        };
        let words = ["resource", "version", "state", "fitted_at", "series"].map(|name| word(&version[name]));
        let figures = ["/backtest/quantile_loss", "/live/quantile_loss", "/live/cover"].map(figure);
        table.add_row(words.into_iter().chain(figures).chain([word(&version["reason"])]));
    }
    Ok(writeln!(out, "{table}")?)
}
