//! `plimsoll explain`: why a recommendation says what it says, what the quota
//! would have done in the past beside what others would set, and what would
//! change the answer.

use std::io::Write;

use anyhow::Context;
use clap::Args;
use comfy_table::{Cell, CellAlignment, Table as Sheet, presets};
use reqwest::Method;

use super::client::Server;
use crate::domain::{Recommendation, RecommendationId};

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Explain {
    /// The recommendation's id
    id: RecommendationId,
    #[command(flatten)]
    server: Server,
}

/// Runs the command.
///
/// # Errors
/// Where the daemon can't be reached, or knows no such recommendation.
pub fn run(arguments: &Explain, out: &mut impl Write) -> anyhow::Result<()> {
    let path = format!("/v1/recommendations/{}", arguments.id);
    let answer = arguments.server.call(Method::GET, &path, &[], None)?;
    let state =
        answer["state"]["state"].as_str().or(answer["state"].as_str()).unwrap_or("unknown").to_owned();
    let one: Recommendation = serde_json::from_value(answer)
        .context("failed to read the recommendation; is the daemon of this version?")?;
    write!(out, "{}", explained(&one, &state)).context("failed to write the explanation")
}

/// The whole explanation, in lines.
pub fn explained(one: &Recommendation, state: &str) -> String {
    let unit = one.resource.unit();
    let mut text = format!(
        "{} of {} ({}): {} -> {} {unit}, {state}\n\nWhy\n",
        one.resource, one.tenant, one.tier, one.current, one.proposed
    );
    one.reasons.iter().for_each(|reason| text.push_str(&format!("  {reason}\n")));
    text.push_str(&format!("\nConfidence {:.2}: {}\n", one.confidence, in_words(one.confidence)));
    text.push_str(&format!("\nOver {}\n{}\n", span(one), what_if(one)));
    text.push_str("\nWhat would change this\n");
    changers(one).iter().for_each(|line| text.push_str(&format!("  {line}\n")));
    text
}

fn in_words(confidence: f64) -> &'static str {
    match confidence {
        c if c >= 0.8 => "high; long and whole history, and the forecast agrees with what was seen",
        c if c >= 0.5 => "fair; look at the table before approving",
        _ => "low; short or patchy history, or the forecast leaves what was seen",
    }
}

fn span(one: &Recommendation) -> String {
    let evidence = &one.evidence;
    format!(
        "{} samples from {} to {} (UTC), {:.1} % gaps",
        evidence.samples,
        evidence.history_from,
        evidence.history_to,
        evidence.gap_share * 100.0
    )
}

/// Today's quota, the proposed one and the others', over the same past.
fn what_if(one: &Recommendation) -> Sheet {
    let evidence = &one.evidence;
    let mut sheet = Sheet::new();
    sheet.load_preset(presets::NOTHING);
    sheet.set_header(["  quota", one.resource.unit(), "samples above", "unused"]);
    let ours = [
        ("  today".to_owned(), one.current, evidence.violations_now, evidence.slack_now),
        ("  proposed".to_owned(), one.proposed, evidence.violations_then, evidence.slack_then),
    ];
    let others = evidence.alternatives.iter();
    let others =
        others.map(|other| (format!("  {}", other.name), other.limit, other.violations, other.slack));
    for (name, limit, violations, slack) in ours.into_iter().chain(others) {
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        sheet.add_row([
            Cell::new(name),
            right(format!("{limit:.3}")),
            right(format!("{:.3} %", violations * 100.0)),
            right(format!("{:.0} %", slack * 100.0)),
        ]);
    }
    sheet
}

fn changers(one: &Recommendation) -> Vec<String> {
    let (evidence, unit) = (&one.evidence, one.resource.unit());
    let mut lines = Vec::new();
    if evidence.budget > 0.0 {
        lines.push(format!(
            "More than {} % of samples above {} {unit} raises it; that is the promise of the tier {}.",
            evidence.budget * 100.0,
            one.proposed,
            one.tier
        ));
    }
    lines.push(format!(
        "The forecast expects at most {:.3} {unit} at its {} % quantile, at {}; a peak beyond {} {unit} \
         would be news.",
        evidence.forecast_peak,
        evidence.peak_quantile * 100.0,
        evidence.peak_at,
        evidence.usage_max.max(evidence.forecast_peak)
    ));
    match &evidence.backtest {
        Some(backtest) if !backtest.proven => lines
            .push("No policy held the budget in this past; once one does, the answer may fall.".to_owned()),
        Some(_) => lines.push("Peaks fade from what counts after two weeks.".to_owned()),
        None => lines
            .push("A week of history lets the tenant's own past decide, not the forecast alone.".to_owned()),
    }
    lines.push(format!("It can be decided until {}.", one.expires_at));
    lines
}
