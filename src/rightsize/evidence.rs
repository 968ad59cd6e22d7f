//! What a recommendation rests on, and how far it can be trusted.

use super::{Case, DatedForecast, Settings};
use crate::domain::recommendation::{Backtest, WhatIf};
use crate::domain::{Evidence, Step};
use crate::series::{UsageSeries, stats};

/// Days of history from which on its length does not lower the confidence.
const FULL_HISTORY_DAYS: f64 = 14.0;

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
    let (step, forecast_peak) = dated.forecast.peak(settings.peak_quantile).unwrap_or((0, f64::NAN));
    let column = dated.forecast.quantiles.nearest(settings.peak_quantile);
    let (now, then) = (WhatIf::of(&case.usage.values, case.quota), WhatIf::of(&case.usage.values, limit));
    let quantile = |q| stats::quantile_of_sorted(sorted, q).unwrap_or(f64::NAN);
    Evidence {
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
        peak_at: dated.start.plus(Step::HOUR.duration() * u32::try_from(step).unwrap_or(0)),
        peak_quantile: dated.forecast.quantiles.levels()[column],
        margin: settings.margin,
        violations_now: now.violations,
        violations_then: then.violations,
        slack_now: now.slack,
        slack_then: then.slack,
        backtest: case.advice.map(|advice| Backtest {
            policy: advice.policy.clone(),
            margin: advice.margin,
            violations: advice.violations,
            limit: advice.limit,
            proven: advice.proven,
            holds_hours: u32::try_from(advice.holds_hours).unwrap_or(u32::MAX),
        }),
        alternatives: case.advice.map_or_else(Vec::new, |advice| advice.alternatives(case.usage)),
        budget: case.tier.violation_budget(),
    }
}

/// How far the answer can be trusted, 0 to 1: lower with a short history, with
/// gaps, where the forecast's peak is far from the peaks that were seen, and by
/// the share of the past in which the answer would have been too small.
pub(super) fn confidence(evidence: &Evidence) -> f64 {
    let days = evidence.history_to.since(evidence.history_from).as_secs_f64() / 86_400.0;
    let length = (days / FULL_HISTORY_DAYS).clamp(0.0, 1.0).sqrt();
    let known = 1.0 - evidence.gap_share;
    let (seen, expected) = (evidence.usage_max, evidence.forecast_peak);
    let agreement = if seen.max(expected) > 0.0 { seen.min(expected) / seen.max(expected) } else { 1.0 };
    let enough = 1.0 - evidence.violations_then;
    (length * known * agreement.clamp(0.0, 1.0).sqrt() * enough).clamp(0.0, 1.0)
}
