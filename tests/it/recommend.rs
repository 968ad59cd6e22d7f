//! `plimsoll recommend`: once, from a real Prometheus and from a file.

use std::process::{Command, Output};

use serde_json::Value;

use crate::rig::{Prometheus, openmetrics};
use crate::setup::{daily_usage, nowhere};

const USAGE: &str = "cpu_cores=max by (tenant) (tenant_cpu_cores)";

fn recommend(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.arg("recommend").args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn wrote(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_is_answered_in_each_format() {
    let prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let from = [
        "--prometheus",
        prometheus.url.as_str(),
        "--query",
        USAGE,
        "--tier",
        "PREMIUM",
        "--prices",
        "shipped",
    ];
    let with = |more: &[&str]| recommend(&[&from[..], more].concat());

    let all: Value = serde_json::from_str(&wrote(&with(&["--format", "json"]))).unwrap();
    let one = &all[0];
    assert_eq!((one["tenant"].as_str(), one["current"].as_f64()), (Some("acme"), Some(8.0)), "{all:#}");
    let proposed = one["proposed"].as_f64().unwrap();
    assert!((2.0..=3.0).contains(&proposed), "{all:#}");
    assert!(one["cost"]["saving"]["amount"].is_string(), "{all:#}");

    let rows = wrote(&with(&["--format", "csv"]));
    let mut reader = csv::Reader::from_reader(rows.as_bytes());
    let row: std::collections::HashMap<String, String> = reader.deserialize().next().unwrap().unwrap();
    assert_eq!((row["tenant"].as_str(), row["recommended"].parse().ok()), ("acme", Some(proposed)));

    for (more, words) in [
        (["--quota-query", "cpu_cores=nothing_here"], "find a quota of cpu_cores"),
        (["--tenant-label", "namespace"], "find usage of any tenant"),
    ] {
        let output = with(&more);
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(said(&output).contains(words), "{}", said(&output));
    }

    let table = wrote(&with(&[]));
    for word in ["quota now", "forecast peak", "confidence", "saving", "acme", "PREMIUM", "cpu_cores"] {
        assert!(table.contains(word), "{word} is missing:\n{table}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn quotas_that_prometheus_knows_are_those_that_stand() {
    let usage = daily_usage("acme", 14, 2.0);
    let now = usage.lines().rev().nth(1).unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    let quota =
        openmetrics([("tenant_quota_cpu", "gauge", vec![("tenant=\"acme\"".to_owned(), vec![(now, 3.5)])])]);
    let prometheus = Prometheus::start(&usage.replace("# EOF\n", &quota)).await;
    let from =
        ["--prometheus", prometheus.url.as_str(), "--query", USAGE, "--format", "json", "--tier", "PREMIUM"];
    let all = wrote(&recommend(&[&from[..], &["--quota-query", "cpu_cores=tenant_quota_cpu"]].concat()));
    let all: Value = serde_json::from_str(&all).unwrap();
    assert_eq!(all[0]["current"], 3.5, "{all:#}");
}

#[test]
fn what_is_wrong_is_said_and_nothing_is_written() {
    let gone = nowhere();
    for (arguments, words, code) in [
        (vec!["--prometheus", &gone, "--query", USAGE], "failed to reach the source", 1),
        (vec!["--prometheus", &gone, "--query", "cpu=up"], "the ten are cpu_cores", 2),
        (vec!["--prometheus", &gone, "--query", "up"], "give a query such as", 2),
        (vec!["--prometheus", &gone], "--query", 2),
        (vec!["--input", "nowhere.csv"], "nowhere.csv", 2),
        (vec![], "--prometheus", 2),
    ] {
        let output = recommend(&arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", said(&output));
        assert!(said(&output).contains(words), "{arguments:?}: {}", said(&output));
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_file_of_usage_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("usage.csv");
    let mut text = "unique_id,ds,y\n".to_owned();
    for index in 0..14 * 288 {
        let at = plimsoll::domain::Timestamp::from_seconds(1_790_000_000 / 300 * 300 + index * 300);
        let usage = 1.0 + 0.5 * (index as f64 * std::f64::consts::TAU / 288.0).sin();
        text.push_str(&format!("acme/cpu_cores,{at},{usage:.4}\n"));
    }
    std::fs::write(&file, text).unwrap();
    let output = recommend(&["--input", file.to_str().unwrap(), "--tier", "PREMIUM", "--format", "json"]);
    let all: Value = serde_json::from_str(&wrote(&output)).unwrap();
    // The peak is 1.5; the policy that held the budget on this past says 1.58.
    assert_eq!(all[0]["proposed"], 1.6, "{all:#}");
    assert_eq!(all[0]["evidence"]["backtest"]["proven"], true, "{all:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_is_replayed() {
    let prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let from = ["replay", "--prometheus", prometheus.url.as_str(), "--days", "14", "--every", "6h"];
    let replay = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        command.args(from).args(more).output().unwrap()
    };
    let table = wrote(&replay(&["--query", USAGE]));
    for words in ["Plimsoll", "VPA for CPU", "clairvoyant", "1 series"] {
        assert!(table.contains(words), "{words} is missing:\n{table}");
    }
    let limits = wrote(&replay(&["--query", USAGE, "--output", "-"]));
    assert!(limits.lines().skip(1).count() >= 26 && limits.contains("\nacme,"), "{limits}");
    for (more, words) in [(vec![], "--query"), (vec!["--query", "up"], "give a query such as")] {
        let output = replay(&more);
        assert_eq!(output.status.code(), Some(2), "{more:?}");
        assert!(said(&output).contains(words), "{}", said(&output));
    }
}
