//! Recommendations as a table for people.

use std::collections::BTreeMap;
use std::io::Write;

use comfy_table::TableComponent::{
    HorizontalLines, LeftBorderIntersections, MiddleIntersections, RightBorderIntersections,
};
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use rust_decimal::Decimal;

use crate::domain::Recommendation;
use crate::engine::{AssessmentKind, Engine};

const HEADINGS: [&str; 12] = [
    "tenant",
    "tier",
    "resource",
    "quota now",
    "recommended",
    "forecast peak",
    "when (UTC)",
    "confidence",
    "cost/month now",
    "then",
    "saving",
    "why",
];

/// The columns of numbers, which are set to the right.
const NUMBERS: [usize; 7] = [3, 4, 5, 7, 8, 9, 10];

/// The recommendations that wait, the largest saving first.
///
/// # Errors
/// Where the state can't be read.
pub async fn waiting(engine: &Engine) -> anyhow::Result<Vec<Recommendation>> {
    let found = engine.registry().all_waiting().await?;
    let mut all: Vec<Recommendation> = found.into_iter().map(|record| record.recommendation).collect();
    let saving = |one: &Recommendation| one.cost.as_ref().map_or(Decimal::ZERO, |cost| cost.saving.amount);
    all.sort_by(|a, b| {
        saving(b).cmp(&saving(a)).then_with(|| (&a.tenant, a.resource).cmp(&(&b.tenant, b.resource)))
    });
    Ok(all)
}

/// Writes up to `rows` recommendations (0 for all), and under them the sums
/// and what was said of the other quotas.
///
/// # Errors
/// Where the state can't be read, or the output can't be written.
pub async fn show(engine: &Engine, rows: usize, out: &mut impl Write) -> anyhow::Result<()> {
    let all = waiting(engine).await?;
    let shown = if rows == 0 { all.len() } else { rows.min(all.len()) };
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    // A line under the headings, none between the rows.
    for part in [HorizontalLines, LeftBorderIntersections, RightBorderIntersections, MiddleIntersections] {
        table.remove_style(part);
    }
    table.set_header(HEADINGS);
    for one in raises_and_cuts(&all, shown) {
        table.add_row(row(one).into_iter().enumerate().map(|(column, text)| {
            let alignment =
                if NUMBERS.contains(&column) { CellAlignment::Right } else { CellAlignment::Left };
            Cell::new(text).set_alignment(alignment)
        }));
    }
    writeln!(out, "{table}")?;
    if shown < all.len() {
        writeln!(out, "… and {} more; --rows 0 shows all.", all.len() - shown)?;
    }
    show_sums(&all, out)?;
    show_the_rest(engine, out).await
}

/// Of a long list both ends: the largest savings, and the raises that cost
/// most. A reader who sees only savings would think that quotas only fall.
fn raises_and_cuts(all: &[Recommendation], shown: usize) -> impl Iterator<Item = &Recommendation> {
    let from_end = if shown < all.len() { shown / 3 } else { 0 };
    all[..shown - from_end].iter().chain(&all[all.len() - from_end..])
}

fn row(one: &Recommendation) -> [String; 12] {
    let money = |amount: Option<String>| amount.unwrap_or_else(|| "no price".to_owned());
    let cost = one.cost.as_ref();
    let evidence = &one.evidence;
    [
        one.tenant.to_string(),
        one.tier.to_string(),
        one.resource.to_string(),
        number(one.current),
        number(one.proposed),
        format!("{} at {}", number(evidence.forecast_peak), quantile(evidence.peak_quantile)),
        when(one),
        format!("{:.2}", one.confidence),
        money(cost.map(|cost| cost.now.to_string())),
        money(cost.map(|cost| cost.then.to_string())),
        money(cost.map(|cost| cost.saving.to_string())),
        one.reasons.join(" "),
    ]
}

/// The peak's day and hour.
fn when(one: &Recommendation) -> String {
    let at = one.evidence.peak_at;
    at.to_utc().map_or_else(|| at.to_string(), |time| time.format("%a %d %b %H:%M").to_string())
}

/// A quantile as people write it: q95.
fn quantile(level: f64) -> String {
    format!("q{}", (level * 1000.0).round() / 10.0)
}

/// As many digits as people read: all of a quota's, three of a forecast's.
fn number(value: f64) -> String {
    if value.fract() == 0.0 || value.abs() >= 1000.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn show_sums(all: &[Recommendation], out: &mut impl Write) -> anyhow::Result<()> {
    let costs: Vec<_> = all.iter().filter_map(|one| one.cost.as_ref()).collect();
    let Some(first) = costs.first() else { return Ok(()) };
    let sum = |part: fn(&crate::domain::recommendation::CostChange) -> Decimal| -> Decimal {
        costs.iter().map(|cost| part(cost)).sum()
    };
    let currency = first.now.currency;
    let (now, then) = (sum(|cost| cost.now.amount), sum(|cost| cost.then.amount));
    writeln!(
        out,
        "{} recommendations: {:.2} {currency} a month now, {:.2} then, saving {:.2}.",
        all.len(),
        now.round_dp(2),
        then.round_dp(2),
        (now - then).round_dp(2)
    )?;
    Ok(())
}

/// What was said of the quotas that are not in the table, by reason.
async fn show_the_rest(engine: &Engine, out: &mut impl Write) -> anyhow::Result<()> {
    let mut reasons: BTreeMap<(&'static str, String), Vec<String>> = BTreeMap::new();
    for tenant in engine.registry().all_tenants().await? {
        for (resource, assessment) in engine.workspace().assessments(&tenant.id) {
            let (kind, reason) = match assessment.kind {
                AssessmentKind::Change(_) => continue,
                AssessmentKind::Keep(reason) => ("keep", reason),
                AssessmentKind::Abstain(reason) => ("no answer", reason),
            };
            // The first words tell the reasons apart; figures differ.
            let gist = reason.split([':', ';', '(']).next().unwrap_or_default().trim().to_owned();
            let gist: String = gist.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
            reasons.entry((kind, gist)).or_default().push(format!("{}/{resource}: {reason}", tenant.id));
        }
    }
    for ((kind, _), quotas) in &reasons {
        let first = &quotas[0];
        match quotas.len() {
            1 => writeln!(out, "{kind}: {first}")?,
            more => writeln!(out, "{kind}: {first} ({} more like it)", more - 1)?,
        }
    }
    Ok(())
}
