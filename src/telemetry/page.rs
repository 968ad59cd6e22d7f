//! The page on all metrics, made from what the registry itself says of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::Metrics;

const HEAD: &str = "\
# Metrics

What `/metrics` shows of the daemon itself, in the OpenMetrics form. This page is made from the metrics that the daemon
registers (`src/telemetry`), and a test holds it to them. Counters end in `_total`, histograms have `_bucket`, `_sum` and
`_count`. A metric with labels has no line before there is something to say. `/metrics/tenants` shows what is known of
each tenant.

| metric | kind | labels | what it says |
|---|---|---|---|
";

/// Everything that can be said, once.
fn filled() -> Metrics {
    let (metrics, second) = (Metrics::default(), Duration::from_secs(1));
    metrics.step_ended("collect", second);
    metrics.cycle_ended(1.0);
    metrics.source_failed("cpu_cores");
    metrics.left_out("cpu_cores", 1);
    metrics.odd_samples("cpu_cores", 1, 1);
    metrics.collected("cpu_cores", 1, 1);
    metrics.freshness("cpu_cores", Some(1.0), 0);
    metrics.assessed("keep", 1);
    metrics.open_rollouts("running", 1);
    metrics.forecasting("cpu_cores", 1, Some(0.1), Some(0.8));
    metrics.incident_changed("opened", "warning", true);
    metrics.incident_judged(true);
    metrics.quota_changed("daemon", "applied");
    metrics.idempotency_key("new");
    metrics.answered("GET", "/metrics", 200, second);
    metrics.delivered("slack", "taken");
    drop(metrics.polls().timed("requests", std::future::ready(())));
    metrics.polls().was_late("polls", second);
    metrics
}

struct Described {
    kind: String,
    help: String,
    labels: BTreeSet<String>,
}

fn described(text: &str) -> BTreeMap<String, Described> {
    let mut all: BTreeMap<String, Described> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            let help = help.trim_end_matches('.').to_owned();
            let one = Described { kind: String::new(), help, labels: BTreeSet::new() };
            all.insert(name.to_owned(), one);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            if let Some(one) = all.get_mut(name) {
                one.kind = kind.to_owned();
            }
        } else if let Some((name, labels)) = line.split_once('{') {
            let of = all.iter_mut().rev().find(|(known, _)| name.starts_with(known.as_str()));
            let labels = labels.split_once('}').map_or("", |(labels, _)| labels);
            let names = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
            if let Some((_, one)) = of {
                one.labels.extend(names.filter(|name| name != "le"));
            }
        }
    }
    all
}

fn page() -> String {
    let mut page = HEAD.to_owned();
    for (name, Described { kind, help, labels }) in described(&filled().render()) {
        let ending = if kind == "counter" { "_total" } else { "" };
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        // Writing into a string can't fail.
        let _ = writeln!(page, "| `{name}{ending}` | {kind} | {} | {help} |", labels.join(", "));
    }
    page
}

#[test]
fn the_page_lists_every_metric() {
    let page = page();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/metrics.md");
    if std::env::var_os("PLIMSOLL_BLESS").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let stands = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(stands == page, "run the test again with PLIMSOLL_BLESS=1 to write {}", path.display());
    let sources = [include_str!("metrics.rs"), include_str!("polls.rs")];
    let registered: usize = sources.iter().map(|text| text.matches("registry.register").count()).sum();
    let listed = page.lines().filter(|line| line.starts_with("| `plimsoll_")).count();
    assert_eq!(listed, registered, "a metric is registered that this page says nothing of");
}
