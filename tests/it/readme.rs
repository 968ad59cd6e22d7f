//! The README as a new user follows it, on a real Prometheus: the look without a
//! daemon, the config, the calls up to an approved recommendation, the commands
//! against the running daemon, and those for files.

use std::f64::consts::TAU;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use plimsoll::series::table;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::examples::{blocks, commands};
use crate::rig::{Daemon, Prometheus, free_address, openmetrics};
use crate::setup::TOKEN;

const README: &str = include_str!("../../README.md");
const STEP: i64 = 300;
const SCRAPE: i64 = 60;
const DAYS: i64 = 14;

/// The one block that holds this text.
fn block(part: &str) -> String {
    let mut found = blocks(README).into_iter().map(|(_, text)| text).filter(|text| text.contains(part));
    let one = found.next().unwrap_or_else(|| panic!("the README shows no {part}"));
    assert!(found.next().is_none(), "the README shows {part} twice");
    one
}

/// What a Kubernetes cluster with the namespace `acme` gives, and the metric
/// that the example of a config reads.
fn usage() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let times: Vec<i64> = (0..DAYS * 86_400 / STEP).rev().map(|age| now / STEP * STEP - age * STEP).collect();
    let cores = |at: i64| {
        let noise = (at / STEP * 7919 % 100) as f64 / 1000.0;
        2.0 * (0.6 + 0.35 * (TAU * (at % 86_400) as f64 / 86_400.0).sin() + noise / 2.0)
    };
    // Scraped each minute, since a rate over five needs two samples.
    let mut seconds = 0.0;
    let counted = (times[0] / SCRAPE..=times[times.len() - 1] / SCRAPE)
        .map(|minute| {
            seconds += cores(minute * SCRAPE) * SCRAPE as f64;
            (minute * SCRAPE, seconds)
        })
        .collect();
    let quota = times.iter().map(|at| (*at, 8.0)).collect();
    let direct: Vec<(i64, f64)> = times.iter().map(|at| (*at, cores(*at))).collect();
    openmetrics([
        ("container_cpu_usage_seconds_total", "counter", vec![("namespace=\"acme\"".to_owned(), counted)]),
        (
            "kube_resourcequota",
            "gauge",
            vec![("namespace=\"acme\",resource=\"limits.cpu\",type=\"hard\"".to_owned(), quota)],
        ),
        (
            "tenant_cpu_cores",
            "gauge",
            ["acme", "beta"].map(|tenant| (format!("tenant=\"{tenant}\""), direct.clone())).to_vec(),
        ),
    ])
}

/// Runs lines of a shell with our `plimsoll`, each of which must go well.
fn shell(folder: &Path, lines: &str, environment: &[(&str, &str)]) -> Output {
    let text = format!(
        "set -euo pipefail\nplimsoll() {{ '{}' \"$@\"; }}\ncurl() {{ command curl -sS --fail-with-body \"$@\"; }}\n{lines}",
        env!("CARGO_BIN_EXE_plimsoll")
    );
    let mut command = Command::new("bash");
    command.current_dir(folder).args(["-c", &text]).envs(environment.iter().copied());
    command.output().unwrap()
}

fn went_well(output: &Output, lines: &str) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{lines}\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_first_look_to_an_approved_recommendation() {
    let prometheus = Prometheus::start(&usage()).await;
    let folder = tempfile::tempdir().unwrap();

    // The look without a daemon.
    let look = block("plimsoll recommend --prometheus").replace("http://prometheus:9090", &prometheus.url);
    let said = went_well(&shell(folder.path(), &look, &[]), &look);
    assert!(said.contains("acme") && said.contains("cpu_cores") && said.contains("USD"), "{said}");

    // The config of the README, and where this test lets it live.
    let address = free_address();
    let shown = block("[resources.cpu_cores]").replace("http://127.0.0.1:9090", &prometheus.url);
    let config = format!(
        "{shown}\n[server]\nlisten_address = \"{address}\"\ntoken = \"{TOKEN}\"\n[store]\npath = \"data\"\n\
         [cycle]\nevery = \"1s\"\n[costs]\n[notify]\nallowed_networks = [\"127.0.0.0/8\"]\n\
         [receivers.archive]\nkind = \"folder\"\nfolder = \"told\"\n"
    );
    std::fs::create_dir_all(folder.path().join("told")).unwrap();
    std::fs::write(folder.path().join("plimsoll.toml"), &config).unwrap();
    let daemons = block("plimsoll serve --config.file");
    let (checks, serve): (Vec<&str>, Vec<&str>) = daemons.lines().partition(|line| !line.contains("serve"));
    assert_eq!((checks.len(), serve.len()), (2, 1), "{daemons}");
    let checks = checks.join("\n");
    went_well(&shell(folder.path(), &checks, &[]), &checks);
    let daemon = Daemon::start(&config).await;
    let caller = Caller::of(&daemon);

    // Both tenants at once, by the command line and over the API: what is recommended
    // is known after a cycle.
    let environment = [("PLIMSOLL_SERVER", daemon.url.as_str()), ("PLIMSOLL_TOKEN", TOKEN)];
    let create = block("plimsoll tenant create acme").replace("TOKEN=...", &format!("TOKEN={TOKEN}"));
    went_well(&shell(folder.path(), &create, &environment[..1]), &create);
    let calls = block("API=http").replace("http://127.0.0.1:7117", &daemon.url);
    let (first, rest) = calls.split_once("curl -H \"$AUTH\" \"$API/recommendations").unwrap();
    went_well(&shell(folder.path(), first, &environment), first);
    let (acme, beta) = (waiting(&caller, "acme").await, waiting(&caller, "beta").await);

    let decide = block("plimsoll recommendation list --tenant acme").replace(" ID ", &format!(" {acme} "));
    let said = went_well(&shell(folder.path(), &decide, &environment), &decide);
    assert!(said.contains(&acme) && said.contains("12"), "the id is listed: {said}");
    let setting = first.lines().next().unwrap();
    let rest = format!("{setting}\ncurl -H \"$AUTH\" \"$API/recommendations{rest}");
    let with_id = [&environment[..], &[("ID", beta.as_str())]].concat();
    let said = went_well(&shell(folder.path(), &rest, &with_id), &rest);
    assert!(said.contains("looks right") && said.contains("recommendation_approved"), "{said}");
    for tenant in ["acme", "beta"] {
        let (_, quota) = caller.get(&format!("/v1/tenants/{tenant}/quotas/cpu_cores")).await;
        assert_eq!(quota["generation"], 2, "the quota was changed: {quota:#}");
    }

    listed(&daemon, &caller, folder.path()).await;
}

/// The id of what is recommended for a tenant, from the quota that it was registered with.
async fn waiting(caller: &Caller, tenant: &str) -> String {
    let path = format!("/v1/recommendations?tenant={tenant}&state=proposed");
    caller
        .wait_until("a recommendation", || async { caller.get(&path).await.1["items"].get(0).is_some() })
        .await;
    let (_, found) = caller.get(&path).await;
    assert_eq!(found["items"][0]["current"], 12.0, "{found:#}");
    found["items"][0]["id"].as_str().unwrap().to_owned()
}

/// The commands against a daemon that the README lists.
async fn listed(daemon: &Daemon, caller: &Caller, folder: &Path) {
    assert_eq!(caller.post("/v1/templates", &json!({"name": "gold", "tier": "PREMIUM"})).await.0, 201);
    let environment = [("PLIMSOLL_SERVER", daemon.url.as_str()), ("PLIMSOLL_TOKEN", TOKEN)];
    let export = "plimsoll template export gold > gold.yaml";
    went_well(&shell(folder, export, &environment), export);
    let list = commands(&block("plimsoll incident list --state open"));
    assert!(list.len() > 10, "{list:?}");
    for line in list {
        let line = line.replace("RECEIVER", "archive");
        // It is there already; it was registered by hand above.
        if line.contains("tenant create acme") {
            assert_eq!(
                caller.call(reqwest::Method::DELETE, "/v1/tenants/acme", None, None).await.unwrap().0,
                204
            );
        }
        let output = shell(folder, &line, &environment);
        // What was decided is explained no more.
        if line.contains("explain") {
            continue;
        }
        went_well(&output, &line);
    }
    let (_, tokens) = caller.get("/v1/tokens").await;
    assert!(tokens["items"].as_array().unwrap().iter().any(|one: &Value| one["name"] == "ada"), "{tokens:#}");
}

#[test]
fn the_commands_for_files_run_as_they_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut csv = "unique_id,ds,y\n".to_owned();
    for tenant in ["acme", "best"] {
        for hour in 0..21 * 24 {
            let day = TAU * f64::from(hour) / 24.0;
            let noise = f64::from(hour * 7919 % 100) / 500.0;
            let (date, hour) = (1 + hour / 24, hour % 24);
            let value = 3.0 + day.sin() + noise;
            csv.push_str(&format!("{tenant}/cpu_cores,2026-01-{date:02}T{hour:02}:00:00Z,{value:.4}\n"));
        }
    }
    let file = folder.path().join("usage.csv");
    std::fs::write(&file, csv).unwrap();
    table::write(&folder.path().join("usage.parquet"), &table::read(&file).unwrap()).unwrap();
    let list = commands(&block("plimsoll forecast  --input"));
    assert_eq!(list.len(), 6, "{list:?}");
    for line in list {
        went_well(&shell(folder.path(), &line, &[]), &line);
    }
    for made in ["forecast.csv", "scored.csv", "fleet.parquet"] {
        assert!(std::fs::metadata(folder.path().join(made)).unwrap().len() > 100, "{made}");
    }
}
