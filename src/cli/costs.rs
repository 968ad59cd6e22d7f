//! `plimsoll costs`: what a running daemon's fleet costs, against its budgets,
//! what the changes of its quotas have saved, and the export for other tools.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use comfy_table::{Cell, CellAlignment, Table as Sheet, presets};
use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::{Map, Value};

use super::answer::items;
use super::client::{Server, given};
use crate::cost::ExportFormat;
use crate::domain::{TenantId, Timestamp};
use crate::rightsize::words::percent;
use crate::series::table;

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Costs {
    #[command(flatten)]
    server: Server,
    /// A row for each of these, under the fleet's
    #[arg(long, default_value = "tier")]
    by: By,
    /// Show what changes of quotas have saved instead
    #[arg(long, group = "over_a_time")]
    savings: bool,
    /// Write what each quota has cost on each day into this file instead, in the form of FOCUS 1.2; .csv or
    /// .parquet, or - for CSV to standard output
    #[arg(long, value_name = "FILE", group = "over_a_time")]
    focus: Option<PathBuf>,
    /// The savings or costs of this tenant
    #[arg(long, requires = "over_a_time")]
    tenant: Option<TenantId>,
    /// What was saved, or cost, from this instant on, such as 2026-11-01
    #[arg(long, requires = "over_a_time")]
    from: Option<Timestamp>,
    /// What was saved, or cost, before this instant
    #[arg(long, requires = "over_a_time")]
    to: Option<Timestamp>,
    /// How to write it
    #[arg(long, visible_alias = "output", default_value = "table")]
    format: Format,
}

/// What has a row of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    Tier,
    Resource,
    Tenant,
}

/// How an answer is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Table,
    Json,
}

/// Runs the command.
///
/// # Errors
/// Where the daemon can't be reached, or has no prices.
pub fn run(arguments: &Costs, out: &mut impl Write) -> anyhow::Result<()> {
    if arguments.savings {
        return savings(arguments, out);
    }
    if let Some(file) = &arguments.focus {
        return focus(arguments, file, out);
    }
    let mut answer = arguments.server.call(Method::GET, "/v1/costs", &[], None)?;
    if arguments.by == By::Tenant {
        answer["items"] = arguments.server.all("/v1/costs/tenants", &[])?["items"].take();
    }
    match arguments.format {
        Format::Json => writeln!(out, "{answer:#}")?,
        Format::Table => show(&answer, arguments.by, out)?,
    }
    Ok(())
}

/// A sheet whose first columns are words and whose others are figures.
pub(super) fn sheet(titles: &[&str], words: usize, rows: impl Iterator<Item = Vec<String>>) -> Sheet {
    let mut sheet = Sheet::new();
    sheet.load_preset(presets::NOTHING);
    let cell = |(column, text): (usize, String)| {
        let side = if column < words { CellAlignment::Left } else { CellAlignment::Right };
        Cell::new(text).set_alignment(side)
    };
    sheet.set_header(titles.iter().map(|title| (*title).to_owned()).enumerate().map(cell));
    for row in rows {
        sheet.add_row(row.into_iter().enumerate().map(cell));
    }
    sheet
}

/// An amount with two decimals.
pub(super) fn amount(money: &Value) -> String {
    let read = |text: &str| text.parse::<Decimal>().ok();
    let amount = money["amount"].as_str().and_then(read);
    amount.map_or_else(|| "-".to_owned(), |amount| format!("{:.2}", amount.round_dp(2)))
}

/// A row for what something costs.
fn row(name: &str, costs: &Value) -> Vec<String> {
    let figures = ["now", "recommended", "idle", "so_far", "month_end", "month_end_recommended"];
    std::iter::once(name.to_owned()).chain(figures.map(|figure| amount(&costs[figure]))).collect()
}

fn show(answer: &Value, by: By, out: &mut impl Write) -> anyhow::Result<()> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let currency = text(&answer["fleet"]["now"]["currency"]);
    let month = text(&answer["month"]["start"]);
    let purchase = text(&answer["purchase"]);
    writeln!(
        out,
        "{} tenants, in {currency}, bought {purchase}; month of {}",
        answer["tenants"],
        month.get(..7).unwrap_or("-")
    )?;
    let nothing = Map::new();
    let named = |part: &Value| -> Vec<Vec<String>> {
        part.as_object().unwrap_or(&nothing).iter().map(|(name, costs)| row(name, costs)).collect()
    };
    let parts = match by {
        By::Tier => named(&answer["tiers"]),
        By::Resource => named(&answer["resources"]),
        By::Tenant => items(answer).iter().map(|one| row(&text(&one["tenant"]), &one["costs"])).collect(),
    };
    let titles = ["", "now/month", "recommended", "idle", "so far", "month's end", "if applied"];
    let rows = std::iter::once(row("fleet", &answer["fleet"])).chain(parts);
    writeln!(out, "{}", sheet(&titles, 1, rows))?;
    for (resource, count) in answer["unpriced"].as_object().unwrap_or(&nothing) {
        writeln!(out, "No price of {resource} for {count} quotas; they count for nothing here.")?;
    }
    let budgets = answer["budgets"].as_array().map_or(&[][..], Vec::as_slice);
    if budgets.is_empty() {
        return Ok(());
    }
    let rows = budgets.iter().map(|budget| {
        let verdict = if budget["exceeded"] == true { "exceeded" } else { "kept" };
        let figures = ["limit", "so_far", "month_end"].map(|figure| amount(&budget[figure]));
        [vec![text(&budget["of"]), verdict.to_owned()], figures.to_vec()].concat()
    });
    writeln!(out, "\n{}", sheet(&["budget of", "", "limit", "so far", "month's end"], 2, rows))?;
    Ok(())
}

/// Tenant and time that are asked of.
fn asked(arguments: &Costs, format: Option<&str>) -> Vec<(&'static str, String)> {
    given([
        ("tenant", arguments.tenant.as_ref().map(TenantId::to_string)),
        ("from", arguments.from.as_ref().map(Timestamp::to_string)),
        ("to", arguments.to.as_ref().map(Timestamp::to_string)),
        ("format", format.map(str::to_owned)),
    ])
}

fn focus(arguments: &Costs, file: &Path, out: &mut impl Write) -> anyhow::Result<()> {
    table::check_table_output(file)?;
    let is_parquet = file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("parquet"));
    let format = if is_parquet { ExportFormat::Parquet } else { ExportFormat::Csv };
    let bytes = arguments.server.bytes("/v1/costs/focus", &asked(arguments, Some(format.name())))?;
    if file.as_os_str() == "-" {
        return Ok(out.write_all(&bytes)?);
    }
    Ok(table::write_bytes(file, &bytes)?)
}

fn savings(arguments: &Costs, out: &mut impl Write) -> anyhow::Result<()> {
    let query = asked(arguments, None);
    let answer = arguments.server.all("/v1/costs/savings", &query)?;
    if arguments.format == Format::Json {
        return Ok(writeln!(out, "{answer:#}")?);
    }
    let total = &answer["total"];
    let rows = items(&answer).iter().map(|one| {
        let word = |key: &str| one[key].as_str().unwrap_or("-").to_owned();
        let limit = |key: &str| one[key].to_string();
        vec![
            word("at"),
            word("tenant"),
            word("resource"),
            limit("before"),
            limit("after"),
            amount(&one["realised"]),
            share(&one["measured"]["before"]),
            share(&one["measured"]["since"]),
        ]
    });
    let titles = ["when", "tenant", "resource", "from", "to", "saved", "above before", "above since"];
    writeln!(out, "{}", sheet(&titles, 3, rows))?;
    writeln!(
        out,
        "{} changes saved {} {} ({} recommended, {} people's own); at this rate {} a month.",
        total["changes"],
        amount(&total["realised"]),
        total["realised"]["currency"].as_str().unwrap_or_default(),
        amount(&total["by_recommendations"]),
        amount(&total["by_people"]),
        amount(&total["rate"])
    )?;
    writeln!(
        out,
        "Samples above the quota: {} before the changes, {} since.",
        share(&total["violations_before"]),
        share(&total["violations_since"])
    )?;
    Ok(())
}

/// The share of samples above a limit.
fn share(violations: &Value) -> String {
    match (violations["above"].as_f64(), violations["samples"].as_f64()) {
        (Some(above), Some(samples)) if samples > 0.0 => percent(above / samples),
        _ => "-".to_owned(),
    }
}
