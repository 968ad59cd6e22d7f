//! What must hold between keys of different sections.

use std::time::Duration;

use super::Config;
use super::reader::Reader;
use super::reports::check_receivers;
use super::units::show_duration;

/// A key and its value, for a message.
type Named<'k> = (&'k str, Duration);

pub(super) fn check(config: &Config, reader: &mut Reader<'_>) {
    let Config { prometheus, history, rightsizing, cycle, .. } = config;
    let keep = ("history.keep", history.keep);
    let window = ("history.window", history.window);
    at_most(reader, ("prometheus.backfill", prometheus.backfill), keep);
    at_most(reader, window, keep);
    at_most(reader, ("rightsizing.least_history", rightsizing.least_history), window);
    at_most(reader, ("anomaly.warm_up", config.anomaly.warm_up), window);
    at_most(
        reader,
        ("prometheus.first_retry_wait", prometheus.retry.first_wait),
        ("prometheus.longest_retry_wait", prometheus.retry.longest_wait),
    );
    at_most(reader, ("cycle.every", cycle.every), ("rightsizing.expire_after", rightsizing.expire_after));
    at_most(
        reader,
        ("prometheus.step", prometheus.step.duration()),
        ("forecast.horizon", config.forecast.horizon),
    );
    check_staleness(config, reader);
    check_receivers(&config.reports, &config.receivers, reader);
    let (close, open) = (config.anomaly.close_distance, config.anomaly.open_distance);
    if close > open {
        reader.conflict(
            &["anomaly.close_distance", "anomaly.open_distance"],
            format!("is {close}, more than anomaly.open_distance, which is {open}: what opens an incident would close it"),
            format!("set anomaly.close_distance to {open} or less, or raise anomaly.open_distance"),
        );
    }
    let needs_prices = [
        ("guardrails.monthly_rise", config.guardrails.monthly_rise.iter().next().is_some()),
        ("approval.two_person_monthly_cost", config.approval.two_people.monthly_cost.is_some()),
    ];
    for (key, _) in needs_prices.into_iter().filter(|(_, is_set)| *is_set && config.costs.is_none()) {
        reader.conflict(
            &[key],
            "limits what changes cost, but there are no prices",
            "add the section [costs], or leave it out",
        );
    }
    let limits = &prometheus.limits;
    if limits.max_series > limits.max_samples_per_query {
        reader.conflict(
            &["prometheus.max_series", "prometheus.max_samples_per_query"],
            format!(
                "is {}, more than the {} of prometheus.max_samples_per_query: not even one sample a series would fit",
                limits.max_series, limits.max_samples_per_query
            ),
            "lower the one or raise the other",
        );
    }
}

fn at_most(reader: &mut Reader<'_>, (key, value): Named<'_>, (limit_key, limit): Named<'_>) {
    if value > limit {
        let by_default = |path: &str| if reader.has(path) { "" } else { " by default" };
        let what = format!(
            "is {}{}, more than {limit_key}, which is {}{}",
            show_duration(value),
            by_default(key),
            show_duration(limit),
            by_default(limit_key)
        );
        let mend = format!("set {key} to {} or less, or raise {limit_key}", show_duration(limit));
        reader.conflict(&[key, limit_key], what, mend);
    }
}

/// Right before a cycle the newest sample is as old as a cycle, a step and
/// the time to settle together: that must not count as stale.
fn check_staleness(config: &Config, reader: &mut Reader<'_>) {
    let usual = config.cycle.every + config.prometheus.step.duration() + config.prometheus.settle;
    let stale_after = config.rightsizing.stale_after;
    if stale_after < usual {
        let (stale_after, usual) = (show_duration(stale_after), show_duration(usual));
        reader.conflict(
            &["rightsizing.stale_after", "cycle.every", "prometheus.step", "prometheus.settle"],
            format!(
                "is {stale_after}, but samples are {usual} old in normal operation \
                 (cycle.every + prometheus.step + prometheus.settle)"
            ),
            format!("set it to {usual} or more"),
        );
    }
}
