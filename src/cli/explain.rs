//! `plimsoll explain`: why a recommendation says what it says, what the quota
//! would have done in the past beside what others would set, and what would
//! change the answer.

use std::io::Write;
use std::str::FromStr;

use anyhow::Context;
use clap::Args;
use comfy_table::{Cell, CellAlignment, Table as Sheet, presets};
use reqwest::Method;
use serde_json::Value;

use super::BadUsage;
use super::answer::word;
use super::client::Server;
use crate::domain::{
    Backtest, Money, PerMonth, Recommendation, RecommendationId, Resource, Schedule, TenantId, TierFit,
};
use crate::rightsize::words::{at_utc, percent, short};

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Explain {
    /// The recommendation's id, or TENANT/RESOURCE for the newest of a quota
    #[arg(value_name = "ID|TENANT/RESOURCE")]
    which: Which,
    #[command(flatten)]
    server: Server,
}

/// Which recommendation is meant.
#[derive(Debug, Clone)]
enum Which {
    Id(RecommendationId),
    /// The newest one of a quota.
    Of(TenantId, Resource),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let said = |error: &dyn std::fmt::Display| format!("failed to {error}");
        match text.split_once('/') {
            None => text.parse().map(Which::Id).map_err(|_| {
                "give the id of a recommendation, or TENANT/RESOURCE such as acme/cpu_cores".to_owned()
            }),
            Some((tenant, resource)) => Ok(Which::Of(
                tenant.parse().map_err(|error| said(&error))?,
                resource.parse().map_err(|error| said(&error))?,
            )),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Where the daemon can't be reached, or knows no such recommendation.
pub fn run(arguments: &Explain, out: &mut impl Write) -> anyhow::Result<()> {
    let answer = find(arguments)?;
    let state = answer["state"].clone();
    let one: Recommendation = serde_json::from_value(answer)
        .context("failed to read the recommendation; is the daemon of this version?")?;
    explain(&one, &state, out).context("failed to write the explanation")
}

fn find(arguments: &Explain) -> anyhow::Result<Value> {
    const PATH: &str = "/v1/recommendations";
    let get = |path: &str, query: &[(&str, String)]| arguments.server.call(Method::GET, path, query, None);
    match &arguments.which {
        Which::Id(id) => Ok(get(&format!("{PATH}/{id}"), &[])?),
        Which::Of(tenant, resource) => {
            let one = [
                ("tenant", tenant.to_string()),
                ("resource", resource.to_string()),
                ("limit", "1".to_owned()),
            ];
            let mut page = get(PATH, &one)?;
            let newest = page["items"].as_array_mut().and_then(Vec::pop);
            newest.ok_or_else(|| {
                let mend = format!("GET /v1/tenants/{tenant}/assessments says why");
                BadUsage(format!("find a recommendation for {tenant}/{resource}; {mend}")).into()
            })
        }
    }
}

/// Writes the whole explanation.
fn explain(one: &Recommendation, state: &Value, out: &mut impl Write) -> std::io::Result<()> {
    let (evidence, unit) = (&one.evidence, one.resource.unit());
    writeln!(
        out,
        "{} of {} ({}): {} -> {} {unit}, {:+.0} %, {}",
        one.resource,
        one.tenant,
        one.tier,
        one.current,
        one.proposed,
        one.relative_change() * 100.0,
        word(&state["state"])
    )?;
    list("Why", &one.reasons, out)?;
    if evidence.budget > 0.0 {
        writeln!(
            out,
            "\nBudget: {} of the samples may lie above the quota ({}).",
            percent(evidence.budget),
            evidence.budget_because
        )?;
    }
    writeln!(out, "Confidence: {:.2}, {}.", one.confidence, evidence.confidence_because)?;
    writeln!(
        out,
        "Forecast: a peak of {} {unit} at the {} quantile, on {}, over the next {} h ({}).",
        short(evidence.forecast_peak),
        percent(evidence.peak_quantile),
        at_utc(evidence.peak_at),
        evidence.horizon_hours,
        evidence.model
    )?;
    what_if(one, out)?;
    if let Some(backtest) = &evidence.backtest {
        tried(backtest, unit, out)?;
    }
    if let Some(schedule) = &evidence.schedule {
        show_schedule(schedule, unit, out)?;
    }
    if let Some(fit) = &evidence.tier_fit {
        show_fit(fit, out)?;
    }
    list("What would change this", &evidence.would_change, out)?;
    match state["state"].as_str() {
        Some("rejected") => {
            let [by, at, reason] = [&state["by"]["name"], &state["at"], &state["reason"]].map(word);
            writeln!(out, "\nRejected by {by} at {at}: {reason}. The same is not proposed again for a while.")
        }
        Some("proposed") => writeln!(out, "\nIt can be decided until {}.", at_utc(one.expires_at)),
        _ => Ok(()),
    }
}

fn list(title: &str, lines: &[String], out: &mut impl Write) -> std::io::Result<()> {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    lines.iter().try_for_each(|line| writeln!(out, "  - {line}"))
}

/// Today's quota, the proposed one and the others', over the same past.
fn what_if(one: &Recommendation, out: &mut impl Write) -> std::io::Result<()> {
    let evidence = &one.evidence;
    writeln!(
        out,
        "\nEach quota over the past: {} samples from {} to {}, {} gaps",
        evidence.samples,
        at_utc(evidence.history_from),
        at_utc(evidence.history_to),
        percent(evidence.gap_share)
    )?;
    let cost = one.cost.as_ref();
    let mut rows = vec![
        ("today", one.current, evidence.violations_now, evidence.slack_now, cost.map(|cost| &cost.now)),
        (
            "proposed",
            one.proposed,
            evidence.violations_then,
            evidence.slack_then,
            cost.map(|cost| &cost.then),
        ),
    ];
    rows.extend(
        evidence.alternatives.iter().map(|other| {
            (other.name.as_str(), other.limit, other.violations, other.slack, other.cost.as_ref())
        }),
    );
    let mut sheet = Sheet::new();
    sheet.load_preset(presets::NOTHING);
    let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
    let titles =
        [one.resource.unit(), "samples above", "unused", "a month"].map(|title| right(title.to_owned()));
    sheet.set_header(std::iter::once(Cell::new("  quota")).chain(titles));
    for (name, limit, violations, slack, cost) in rows {
        let money = |cost: &Money<PerMonth>| cost.to_string();
        sheet.add_row([
            Cell::new(format!("  {name}")),
            right(short(limit)),
            right(percent(violations)),
            right(format!("{:.0} %", slack * 100.0)),
            right(cost.map_or_else(|| "no price".to_owned(), money)),
        ]);
    }
    writeln!(out, "{sheet}")?;
    let short_lived =
        evidence.backtest.as_ref().filter(|backtest| backtest.holds_hours < 24 && backtest.proven);
    if let Some(backtest) = short_lived {
        writeln!(
            out,
            "  The proposed quota is meant for {} h; beside it stands what such quotas did in the trial.",
            backtest.holds_hours
        )?;
    }
    Ok(())
}

fn tried(backtest: &Backtest, unit: &str, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(
        out,
        "\nTrial: over the last {:.0} days a quota was set every {} h from earlier samples only. {} of the \
         samples lay above it, {:.0} % of it was unused, it was {} {unit} in the mean and changed {:.1} times a day.",
        backtest.days,
        backtest.holds_hours,
        percent(backtest.violations),
        backtest.slack * 100.0,
        short(backtest.mean_limit),
        backtest.changes_per_day
    )
}

fn show_schedule(schedule: &Schedule, unit: &str, out: &mut impl Write) -> std::io::Result<()> {
    let what = match schedule.is_followed {
        true => "The quota follows a schedule with",
        false => "A schedule would do with",
    };
    writeln!(
        out,
        "\n{what} {} {unit} in the mean; made a day ahead, on {} past days {} of the samples lay above it. From \
         {}, hour by hour:",
        short(schedule.mean),
        schedule.days,
        percent(schedule.violations),
        at_utc(schedule.from)
    )?;
    for half in schedule.hours.chunks(12) {
        let hours: Vec<String> = half.iter().map(|hour| short(*hour)).collect();
        writeln!(out, "  {}", hours.join("  "))?;
    }
    Ok(())
}

fn show_fit(fit: &TierFit, out: &mut impl Write) -> std::io::Result<()> {
    list(&format!("The tenant fits {} rather than {}", fit.fits, fit.tier), &fit.because, out)?;
    if let (Some(now), Some(then)) = (&fit.cost_now, &fit.cost_then) {
        writeln!(out, "  The quotas that they start with cost {now} and {then} a month.")?;
    }
    if !fit.not_measured.is_empty() {
        let names: Vec<&str> = fit.not_measured.iter().map(|resource| resource.name()).collect();
        writeln!(out, "  Not measured: {}.", names.join(", "))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Evidence, Resource, Tier, Timestamp};

    fn recommendation() -> Recommendation {
        let at = Timestamp::from_seconds(1_796_000_400);
        Recommendation {
            id: "01a20875-6510-708e-bca9-d1851120e9d1".parse().unwrap(),
            tenant: "acme".parse().unwrap(),
            tier: Tier::Premium,
            resource: Resource::CpuCores,
            parent_generation: 1,
            current: 8.0,
            proposed: 2.1,
            evidence: Evidence { peak_quantile: 0.95, peak_at: at, ..Evidence::default() },
            reasons: vec!["Because.".to_owned()],
            confidence: 0.9,
            cost: None,
            no_cost_because: None,
            trace: None,
            created_at: at,
            expires_at: at,
        }
    }

    fn text(one: &Recommendation) -> String {
        let mut out = Vec::new();
        explain(one, &serde_json::json!({"state": "proposed"}), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_record_of_the_version_before_is_explained_as_far_as_it_goes() {
        let text = text(&recommendation());
        assert!(text.starts_with("cpu_cores of acme (PREMIUM): 8 -> 2.1 cores, -74 %, proposed"), "{text}");
        assert!(text.contains("- Because.") && text.contains("today") && text.contains("no price"), "{text}");
        assert!(!text.contains("Trial") && !text.contains("schedule") && !text.contains("Budget"), "{text}");
    }

    #[test]
    fn all_that_is_known_is_shown() {
        let mut one = recommendation();
        let evidence = &mut one.evidence;
        evidence.budget = 0.005;
        evidence.schedule = Some(Schedule {
            from: evidence.peak_at,
            hours: vec![1.5; 24],
            mean: 1.5,
            violations: 0.001,
            days: 9,
            is_followed: false,
        });
        evidence.tier_fit = Some(TierFit {
            tier: Tier::Premium,
            fits: Tier::Standard,
            because: vec!["It is small.".to_owned()],
            not_measured: vec![Resource::StorageGb],
            cost_now: None,
            cost_then: None,
        });
        evidence.would_change = vec!["Much.".to_owned()];
        let text = text(&one);
        for part in ["Budget: 0.5 %", "1.50  1.50", "fits STANDARD", "Not measured: storage_gb", "- Much."] {
            assert!(text.contains(part), "{part} is missing:\n{text}");
        }
    }
}
