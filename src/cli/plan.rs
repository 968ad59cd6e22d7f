//! `plimsoll plan`: how a budget is best spent on the quotas of a running
//! daemon's fleet.

use std::io::Write;

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::client::Server;
use super::costs::{Format, amount, sheet};
use crate::domain::{Money, PerMonth};
use crate::rightsize::words::{percent, short};

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Plan {
    #[command(flatten)]
    server: Server,
    /// What may be spent in a month, such as 10000EUR/month
    #[arg(long, value_parser = budget)]
    budget: String,
    /// Rows of the table, 0 for all
    #[arg(long, default_value_t = 30)]
    rows: usize,
    /// How to write it
    #[arg(long, visible_alias = "output", default_value = "table")]
    format: Format,
}

/// Checks a budget before anybody is asked.
fn budget(text: &str) -> Result<String, String> {
    let read = text.parse::<Money<PerMonth>>();
    read.map(|_| text.to_owned()).map_err(|error| format!("failed to {error}"))
}

/// Runs the command.
///
/// # Errors
/// Where the daemon can't be reached, has no prices, or the budget is too small.
pub fn run(arguments: &Plan, out: &mut impl Write) -> anyhow::Result<()> {
    let query = [("budget", arguments.budget.clone())];
    let plan = arguments.server.call(Method::GET, "/v1/costs/plan", &query, None)?;
    match arguments.format {
        Format::Json => writeln!(out, "{plan:#}")?,
        Format::Table => show(&plan, arguments.rows, out)?,
    }
    Ok(())
}

fn show(plan: &Value, rows: usize, out: &mut impl Write) -> anyhow::Result<()> {
    let figure = |value: &Value| value.as_f64().map_or_else(|| "-".to_owned(), short);
    let share = |value: &Value| value.as_f64().map_or_else(|| "-".to_owned(), percent);
    let quotas = plan["quotas"].as_array().map_or(&[][..], Vec::as_slice);
    let shown = if rows == 0 { quotas.len() } else { rows.min(quotas.len()) };
    let row = |one: &Value| {
        let word = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
        vec![
            word("tenant"),
            word("tier"),
            word("resource"),
            one["now"].to_string(),
            one["planned"].to_string(),
            amount(&one["cost_now"]),
            amount(&one["cost"]),
            share(&one["promise"]),
            share(&one["violations_now"]),
            share(&one["violations"]),
        ]
    };
    let titles =
        ["tenant", "tier", "resource", "now", "plan", "cost now", "then", "promised", "expected now", "then"];
    writeln!(out, "{}", sheet(&titles, 3, quotas.iter().take(shown).map(row)))?;
    if shown < quotas.len() {
        writeln!(out, "… and {} more; --rows 0 shows all.", quotas.len() - shown)?;
    }
    let currency = plan["cost"]["currency"].as_str().unwrap_or_default();
    writeln!(
        out,
        "\n{} of {} {currency} a month are spent, {} are left; the quotas cost {} now, {} at the least.",
        amount(&plan["cost"]),
        amount(&plan["budget"]),
        amount(&plan["unspent"]),
        amount(&plan["cost_now"]),
        amount(&plan["floor"])
    )?;
    writeln!(
        out,
        "Expected: {} hours a month above the quotas, {} now; in units of what the tiers promise {}, {} now.",
        figure(&plan["hours_above"]),
        figure(&plan["hours_above_now"]),
        figure(&plan["harm"]),
        figure(&plan["harm_now"])
    )?;
    writeln!(out, "No plan of this budget can have less than {} of these.", figure(&plan["harm_at_least"]))?;
    if plan["fixed"]["quotas"] != 0 {
        let (count, cost) = (&plan["fixed"]["quotas"], amount(&plan["fixed"]["cost"]));
        writeln!(out, "{count} quotas without usage stay as they are, for {cost}.")?;
    }
    if plan["unpriced"] != 0 {
        writeln!(out, "{} quotas have no price and are left out.", plan["unpriced"])?;
    }
    Ok(())
}
