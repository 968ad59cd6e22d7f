//! The notebooks, run from a clean environment against the real daemon over a
//! Prometheus with four weeks of the simulated fleet.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use plimsoll::domain::Resource;
use plimsoll::series::table::Fleet;
use plimsoll::simulate::{self, Settings};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus, openmetrics, python_environment};
use crate::setup::config_for;

const TENANTS: usize = 12;
const MEASURED: [Resource; 2] = [Resource::CpuCores, Resource::MemoryGb];
const WEEK: i64 = 7 * 86_400;
/// How much of the past the Prometheus knows.
const KNOWN: i64 = 4 * WEEK;
/// The largest notebook that is kept, in bytes.
const LARGEST: usize = 300_000;

fn notebooks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("notebooks")
}

/// The fleet's usage, moved by whole weeks so that it ends now.
fn usage(fleet: &Fleet) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let later = ((now - simulate::END.millis() / 1000).div_euclid(WEEK) + 1) * WEEK;
    let frames = fleet.frames.iter().filter(|frame| MEASURED.contains(&frame.resource));
    let families = frames.map(|frame| {
        let series = frame.series.iter().map(|(tenant, series)| {
            let samples = series.values.iter().enumerate().filter(|(_, value)| value.is_finite());
            let moved = samples.map(|(index, value)| (series.at(index).millis() / 1000 + later, *value));
            let known = moved.filter(|(at, _)| (now - KNOWN..=now).contains(at));
            (format!("tenant=\"{tenant}\""), known.collect::<Vec<_>>())
        });
        (format!("tenant_{}", frame.resource), series.collect::<Vec<_>>())
    });
    let families: Vec<_> = families.collect();
    openmetrics(families.iter().map(|(name, series)| (name.as_str(), "gauge", series.clone())))
}

/// A daemon that has looked over the fleet.
async fn daemon_of(fleet: &Fleet, prometheus: &Prometheus) -> Daemon {
    let more = "[resources.memory_gb]\nexpression = \"max by (tenant) (tenant_memory_gb)\"\n";
    let daemon = Daemon::start(&config_for(&prometheus.url, more)).await;
    let caller = Caller::of(&daemon);
    for tenant in &fleet.tenants {
        let body = json!({"id": tenant.id, "name": tenant.name, "tier": tenant.tier, "provider": "aws",
            "region": "eu-central-1", "apply_mode": tenant.apply_mode});
        let (status, answer) = caller.post("/v1/tenants", &body).await;
        assert_eq!(status, 201, "{answer:#}");
    }
    let last = format!("/v1/recommendations?tenant={}&state=proposed", fleet.tenants[TENANTS - 1].id);
    let proposed = || async { caller.get(&last).await.1["items"].get(0).is_some() };
    caller.wait_until("there are recommendations", proposed).await;
    daemon
}

/// What the cells of a notebook show, by kind.
fn shown<'a>(notebook: &'a Value, kind: &str) -> Vec<&'a Value> {
    let cells = notebook["cells"].as_array().unwrap().iter();
    let outputs = cells.filter_map(|cell| cell["outputs"].as_array()).flatten();
    outputs.filter_map(|output| output["data"].get(kind)).collect()
}

fn read(path: &Path) -> (String, Value) {
    let text = std::fs::read_to_string(path).unwrap();
    let notebook = serde_json::from_str(&text).unwrap();
    (text, notebook)
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_them_run_from_a_clean_environment() {
    let Some(programs) = python_environment(&notebooks().join("requirements.txt")) else { return };
    let fleet = simulate::fleet(&Settings { tenants: TENANTS, days: 35, ..Settings::default() });
    let prometheus = Prometheus::start(&usage(&fleet)).await;
    let daemon = daemon_of(&fleet, &prometheus).await;
    let report = daemon.folder().join("week.parquet");
    let made = daemon.asked(&["report", "--format", "parquet", "--output", report.to_str().unwrap()]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let bless = std::env::var_os("PLIMSOLL_BLESS").is_some();
    let output = if bless { notebooks() } else { daemon.folder().join("executed") };
    let mut command = Command::new(programs.join("python"));
    command
        .arg(notebooks().join("run.py"))
        .arg(&output)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("IPYTHONDIR", daemon.folder().join("ipython"))
        .env("MPLCONFIGDIR", programs.join("matplotlib"))
        .env("PLIMSOLL_HISTORY", daemon.folder().join("data/history"))
        .env("PLIMSOLL_REPORT", &report)
        .env("PLIMSOLL_SERVER", &daemon.url)
        .env("PLIMSOLL_TOKEN", &daemon.token)
        .env("PLIMSOLL_PROGRAM", env!("CARGO_BIN_EXE_plimsoll"));
    let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    for name in NAMES {
        let (text, notebook) = read(&output.join(name));
        assert!(shown(&notebook, "image/png").len() >= 2 && !text.contains("\"stderr\""), "{name}");
    }
}

const NAMES: [&str; 3] = [
    "explore_a_fleet.ipynb",
    "how_good_are_the_forecasts.ipynb",
    "what_would_another_policy_have_cost.ipynb",
];

#[test]
fn each_is_kept_with_its_pictures_and_without_traces_of_a_machine() {
    for name in NAMES {
        let (text, notebook) = read(&notebooks().join(name));
        assert!(
            shown(&notebook, "image/png").len() >= 2,
            "{name} has no pictures; run with PLIMSOLL_BLESS=1"
        );
        assert!(text.len() <= LARGEST, "{name}: {} bytes, at most {LARGEST}", text.len());
        for trace in ["/tmp/", "/home/", "/work/", "Traceback", "plim_"] {
            assert!(!text.contains(trace), "{name} shows {trace}");
        }
    }
}
