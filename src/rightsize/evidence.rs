//! What a recommendation rests on, and how far it can be trusted.

use super::needs::peak;
use super::schedule::PAYS;
use super::words::{percent, would_change};
use super::{Advice, Case, DatedForecast, Settings};
use crate::domain::recommendation::WhatIf;
use crate::domain::{Alternative, Backtest, Evidence, Schedule};
use crate::series::{UsageSeries, stats};

/// Days of history from which on its length does not lower the confidence.
const FULL_HISTORY_DAYS: f64 = 14.0;
/// What is left of the confidence where no policy held the budget.
const UNPROVEN: f64 = 0.85;

/// The share of the grid without a sample.
pub(super) fn gap_share(usage: &UsageSeries) -> f64 {
    1.0 - usage.samples() as f64 / usage.len().max(1) as f64
}

/// Gathers the evidence for moving the quota to `limit`; `sorted` are the
/// samples, sorted upwards.
pub(super) fn gather(
    case: &Case<'_>,
    dated: &DatedForecast,
    settings: &Settings,
    sorted: &[f64],
    limit: f64,
) -> Evidence {
    let (forecast_peak, peak_at, peak_quantile) = peak(dated, settings);
    let (now, then) = (WhatIf::of(&case.usage.values, case.quota.limit), then(case, limit));
    let quantile = |q| stats::quantile_of_sorted(sorted, q).unwrap_or(f64::NAN);
    let mut evidence = Evidence {
        history_from: case.usage.start,
        history_to: case.usage.last_sample().map_or(case.usage.start, |(at, _)| at),
        samples: sorted.len() as u64,
        gap_share: gap_share(case.usage),
        usage_median: quantile(0.5),
        usage_p95: quantile(0.95),
        usage_max: quantile(1.0),
        model: dated.model.to_owned(),
        horizon_hours: u32::try_from(dated.forecast.mean.len()).unwrap_or(u32::MAX),
        forecast_peak,
        peak_at,
        peak_quantile,
        margin: settings.margin,
        violations_now: now.violations,
        violations_then: then.violations,
        slack_now: now.slack,
        slack_then: then.slack,
        budget: case.budget.share,
        budget_because: case.budget.because.clone(),
        backtest: case.advice.map(backtest),
        alternatives: case.advice.map_or_else(Vec::new, |advice| alternatives(case, advice)),
        schedule: case.advice.and_then(|advice| schedule(case, advice, limit)),
        is_on_schedule: case.is_on_schedule(),
        ..Evidence::default()
    };
    evidence.would_change = would_change(case, settings, &evidence, limit);
    evidence
}

/// What the proposed quota would have done. One that is meant for some hours
/// only is not held against usage of other hours; what such limits did in the
/// trial stands for it.
fn then(case: &Case<'_>, limit: f64) -> WhatIf {
    let short = case.advice.filter(|advice| advice.proven && advice.is_short());
    match short.and_then(|advice| advice.tried) {
        Some(tried) => WhatIf { violations: tried.violations, slack: tried.slack },
        None => WhatIf::of(&case.usage.values, limit),
    }
}

fn backtest(advice: &Advice) -> Backtest {
    let tried = advice.tried.unwrap_or_default();
    Backtest {
        policy: advice.policy.clone(),
        margin: advice.margin,
        policy_violations: advice.violations,
        limit: advice.limit,
        proven: advice.proven,
        holds_hours: u32::try_from(advice.hours).unwrap_or(u32::MAX),
        holds_until: advice.until(),
        days: tried.days,
        violations: tried.violations,
        mean_limit: tried.mean,
        slack: tried.slack,
        changes_per_day: tried.changes,
    }
}

/// The peers' quotas over the same past.
fn alternatives(case: &Case<'_>, advice: &Advice) -> Vec<Alternative> {
    let judged = |(name, limit): &(&'static str, f64)| {
        let WhatIf { violations, slack } = WhatIf::of(&case.usage.values, *limit);
        Alternative { name: (*name).to_owned(), limit: *limit, violations, slack, cost: None }
    };
    advice.peers.iter().filter(|(_, limit)| *limit > 0.0).map(judged).collect()
}

/// The day's plan in steps of the resource and inside the tier's bounds, where
/// it is followed or saves something beside one quota for the whole day.
fn schedule(case: &Case<'_>, advice: &Advice, limit: f64) -> Option<Schedule> {
    let (from, plan) = advice.plan.as_ref()?;
    let hours: Vec<f64> = plan.hours.iter().map(|hour| case.within_tier(*hour)).collect();
    let mean = hours.iter().sum::<f64>() / hours.len().max(1) as f64;
    (advice.is_scheduled || mean < PAYS * limit).then(|| Schedule {
        from: *from,
        mean,
        hours,
        violations: plan.violations,
        days: u32::try_from(plan.days).unwrap_or(u32::MAX),
        is_followed: advice.is_scheduled,
    })
}

/// How far the answer can be trusted, 0 to 1, and why: lower with a short
/// history, with gaps, where the forecast's peak is far from the peaks that
/// were seen, where no policy held the budget, and by the share of the past in
/// which the answer would have been too small.
pub(super) fn confidence(evidence: &Evidence) -> (f64, String) {
    let days = evidence.history_to.since(evidence.history_from).as_secs_f64() / 86_400.0;
    let (seen, expected) = (evidence.usage_max, evidence.forecast_peak);
    let agreement = if seen.max(expected) > 0.0 { seen.min(expected) / seen.max(expected) } else { 1.0 };
    let unproven = evidence.backtest.as_ref().is_some_and(|backtest| !backtest.proven);
    let parts = [
        ((days / FULL_HISTORY_DAYS).clamp(0.0, 1.0).sqrt(), format!("{days:.0} days of history are known")),
        (1.0 - evidence.gap_share, format!("{} of the history are gaps", percent(evidence.gap_share))),
        (
            agreement.clamp(0.0, 1.0).sqrt(),
            format!("the forecast's peak is {:.2} times the highest usage seen", expected / seen.max(1e-9)),
        ),
        (
            1.0 - evidence.violations_then,
            format!("{} of the past lie above it", percent(evidence.violations_then)),
        ),
        (if unproven { UNPROVEN } else { 1.0 }, "no policy held the budget on this past".to_owned()),
    ];
    let product: f64 = parts.iter().map(|(part, _)| part).product();
    let value = product.clamp(0.0, 1.0);
    let mut lowering: Vec<_> = parts.iter().filter(|(part, _)| *part < 0.97).collect();
    lowering.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let word = match value {
        value if value >= 0.85 => "high",
        value if value >= 0.6 => "fair",
        _ => "low",
    };
    let because = match lowering.is_empty() {
        true => "a long history without gaps, and a forecast that agrees with it".to_owned(),
        false => {
            let why: Vec<&str> = lowering.iter().map(|(_, why)| why.as_str()).collect();
            format!("lowered since {}", why.join("; "))
        }
    };
    (value, format!("{word}: {because}"))
}
