//! The rules, dashboards and routes for the tools that people have: judged by
//! promtool, amtool and a real Prometheus, and held to the metrics that the
//! daemon really exports.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus};
use crate::setup::{config_for, daily_usage, daily_usage_until};

fn config(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(path)
}

fn said(command: &mut Command) -> String {
    let output = command.output().expect("the tool is missing; `make test` installs it");
    let both =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{both}");
    both
}

fn dashboards() -> Vec<Value> {
    let files = std::fs::read_dir(config("grafana")).unwrap().map(|file| file.unwrap().path());
    files.map(|path| serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()).collect()
}

/// The expressions of a dashboard's panels.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// The metrics of Plimsoll that a text names, without the endings of counters
/// and histograms.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let names = words.filter(|word| word.starts_with("plimsoll_"));
    let plain = |name: &str| {
        let ending = ["_total", "_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
        ending.unwrap_or(name).to_owned()
    };
    names.map(plain).collect()
}

/// Those that the daemon neither exports now nor registers: a metric without a
/// value yet, such as what became of forecasts, has no line.
fn unknown(text: &str, exported: &BTreeSet<String>) -> Vec<String> {
    // Another test holds this page to what the daemon registers.
    const PAGE: &str = include_str!("../../docs/metrics.md");
    let rows = PAGE.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let registered: BTreeSet<String> = rows.flat_map(named).collect();
    named(text).difference(exported).filter(|name| !registered.contains(*name)).cloned().collect()
}

/// The value of a line of the daemon's metrics, by its name and labels.
async fn shown(caller: &Caller, series: &str) -> Option<f64> {
    let (_, metrics) = caller.text("/metrics").await;
    metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn the_rules_say_what_they_should_and_alertmanager_sends_it_to_whom_it_concerns() {
    let folder = tempfile::tempdir().unwrap();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packaging/plimsoll.test.yaml");
    let rules = folder.path().join("plimsoll.rules.yaml");
    std::fs::copy(config("prometheus/plimsoll.rules.yaml"), &rules).unwrap();
    std::fs::copy(tests, folder.path().join("plimsoll.test.yaml")).unwrap();
    said(Command::new("promtool").args(["check", "rules", "--lint-fatal"]).arg(&rules));
    said(Command::new("promtool").current_dir(folder.path()).args(["test", "rules", "plimsoll.test.yaml"]));
    let routes = config("alertmanager/alertmanager.yml");
    said(Command::new("amtool").arg("check-config").arg(&routes));
    for (labels, receiver) in [
        (&["alertname=PlimsollDown", "severity=critical"][..], "platform"),
        (&["alertname=PlimsollPromiseBroken", "tenant=acme", "severity=warning"], "tenants"),
        (&["alertname=PlimsollChangesPaused", "severity=info"], "quiet"),
    ] {
        let mut command = Command::new("amtool");
        let flag = format!("--config.file={}", routes.display());
        let found = said(command.args(["config", "routes", "test"]).arg(flag).args(labels));
        assert!(found.lines().any(|line| line == receiver), "{labels:?}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rules_and_dashboards_ask_for_is_exported_and_understood() {
    let prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, "")).await;
    let caller = Caller::of(&daemon);
    let tenant = json!({"id": "acme", "tier": "PREMIUM", "provider": "aws", "region": "eu-central-1"});
    assert_eq!(caller.post("/v1/tenants", &tenant).await.0, 201);
    let lines = async || caller.text("/metrics/tenants").await.1;
    let known = async || lines().await.contains("plimsoll_tenant_recommended_quota{");
    caller.wait_until("acme has a recommendation", known).await;
    let of_tenants = lines().await;
    let quota = "plimsoll_tenant_quota{tenant=\"acme\",tier=\"PREMIUM\",resource=\"cpu_cores\"} 8.0";
    for line in [quota, "plimsoll_tenant_monthly_cost{tenant=\"acme\",tier=\"PREMIUM\",currency=\"USD\"} "] {
        assert!(of_tenants.contains(line), "{of_tenants}");
    }
    let exported = named(&format!("{of_tenants}{}", caller.text("/metrics").await.1));
    let rules = std::fs::read_to_string(config("prometheus/plimsoll.rules.yaml")).unwrap();
    assert_eq!(unknown(&rules, &exported), Vec::<String>::new(), "there are no such metrics");
    // The second one's name is that of a label.
    for wrong in ["plimsoll_no_such_thing", "plimsoll_resource", "plimsoll_step_duration"] {
        assert_eq!(unknown(wrong, &exported), [wrong]);
    }

    let client = reqwest::Client::new();
    let mut asked = 0;
    for dashboard in dashboards() {
        let source = &dashboard["templating"]["list"][0];
        assert_eq!((&source["name"], &source["type"]), (&json!("datasource"), &json!("datasource")));
        for expression in expressions(&dashboard) {
            assert_eq!(unknown(&expression, &exported), Vec::<String>::new(), "there are no such metrics");
            let expression = expression.replace("$__rate_interval", "5m");
            let url = format!("{}/api/v1/query", prometheus.url);
            let answer = client.get(url).query(&[("query", &expression)]).send().await.unwrap();
            assert_eq!(answer.status(), 200, "{expression}: {}", answer.text().await.unwrap());
            asked += 1;
        }
    }
    assert!(asked > 25, "only {asked} expressions");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_daemon_says_of_its_own_work_has_values() {
    // The usage ends three hours ago, so that the one series is stale.
    let prometheus = Prometheus::start(&daily_usage_until("acme", 14, 2.0, 3)).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, "")).await;
    let caller = Caller::of(&daemon);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "tier": "PREMIUM"})).await.0, 201);
    for step in ["collect", "detect", "learn", "incidents", "recommend", "apply"] {
        let count = format!("plimsoll_step_duration_seconds_count{{step=\"{step}\"}}");
        let is_timed = || async { shown(&caller, &count).await > Some(0.0) };
        caller.wait_until(&format!("the step {step} is timed"), is_timed).await;
        let sum = format!("plimsoll_step_duration_seconds_sum{{step=\"{step}\"}}");
        assert!(shown(&caller, &sum).await > Some(0.0), "{step} took no time");
    }
    let stale_series = "plimsoll_stale_series{resource=\"cpu_cores\"}";
    let stale = || async { shown(&caller, stale_series).await == Some(1.0) };
    caller.wait_until("the stale series is counted", stale).await;
    for queue in ["compute_waiting", "store_waiting"] {
        let depth = shown(&caller, &format!("plimsoll_{queue}")).await;
        assert!(depth.is_some_and(|depth| depth >= 0.0), "{queue}: {depth:?}");
    }
}
