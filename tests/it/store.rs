//! A backup of the real daemon while quotas change, brought back elsewhere;
//! the history as other tools open it while the daemon runs; and what is said
//! of files that are damaged.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus, free_address, python_environment};
use crate::setup::{TOKEN, config_for, daily_usage, nowhere};

const TENANTS: usize = 4;

/// Runs `plimsoll store` beside a daemon's config.
fn store(folder: &Path, config: &str, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .current_dir(folder)
        .arg("store")
        .args(arguments)
        .args(["--config.file", config])
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Changes one tenant's quota until told to stop; gives the generation that
/// was acknowledged last before the backup began, and at all.
async fn change(
    caller: Caller,
    tenant: String,
    marked: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
) -> (u64, u64) {
    let path = format!("/v1/tenants/{tenant}/quotas/cpu_cores");
    let (_, quota) = caller.get(&path).await;
    let mut generation = quota["generation"].as_u64().unwrap();
    let mut before = generation;
    while !stop.load(Ordering::SeqCst) {
        let has_begun = marked.load(Ordering::SeqCst);
        let body = json!({"limit": 1.0 + (generation % 70) as f64 / 10.0});
        let tag = format!("\"{generation}\"");
        let (status, answer) = caller.call(Method::PUT, &path, Some(&tag), Some(&body)).await.unwrap();
        // A cycle may be looking at the change before, and says to try again.
        if status == 409 {
            assert!(answer["detail"].as_str().unwrap().ends_with("try again"), "{answer:#}");
            continue;
        }
        assert_eq!(status, 200, "{answer:#}");
        generation = answer["generation"].as_u64().unwrap();
        if !has_begun && !marked.load(Ordering::SeqCst) {
            before = generation;
        }
    }
    (before, generation)
}

async fn backup_while_quotas_change(kind: &str) {
    let config =
        config_for(&nowhere(), "").replace("path = \"data\"", &format!("path = \"data\"\nkind = \"{kind}\""));
    let daemon = Daemon::start(&config).await;
    let caller = Caller::of(&daemon);
    let tenants: Vec<String> = (0..TENANTS).map(|number| format!("tenant-{number}")).collect();
    for tenant in &tenants {
        assert_eq!(caller.post("/v1/tenants", &json!({"id": tenant, "tier": "PREMIUM"})).await.0, 201);
    }
    let (marked, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let changers: Vec<_> = tenants
        .iter()
        .map(|tenant| {
            tokio::spawn(change(caller.clone(), tenant.clone(), Arc::clone(&marked), Arc::clone(&stop)))
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    marked.store(true, Ordering::SeqCst);
    let backup = daemon.folder().join("backup.tar");
    let taken = {
        let (url, folder, backup) = (daemon.url.clone(), daemon.folder().to_owned(), backup.clone());
        let arguments = move || {
            let output = backup.to_str().unwrap().to_owned();
            store(
                &folder,
                "plimsoll.toml",
                &["backup", "--live", "--output", &output, "--server", &url, "--token", TOKEN],
            )
        };
        tokio::task::spawn_blocking(arguments).await.unwrap()
    };
    stop.store(true, Ordering::SeqCst);
    assert!(taken.status.success(), "{}", said(&taken));
    let mut acknowledged = Vec::new();
    for changer in changers {
        acknowledged.push(changer.await.unwrap());
    }
    let live = store(
        daemon.folder(),
        "plimsoll.toml",
        &["check", "--live", "--server", &daemon.url, "--token", TOKEN],
    );
    assert!(live.status.success() && said(&live).contains("all as it was written"), "{}", said(&live));
    let in_use = store(daemon.folder(), "plimsoll.toml", &["check"]);
    assert!(!in_use.status.success() && said(&in_use).contains("--live"), "{}", said(&in_use));
    let into_full =
        store(daemon.folder(), "plimsoll.toml", &["restore", "--input", backup.to_str().unwrap()]);
    assert!(!into_full.status.success() && said(&into_full).contains("is not empty"), "{}", said(&into_full));

    // Elsewhere, and under another daemon.
    let elsewhere = config.replace("path = \"data\"", "path = \"restored\"");
    fs::write(daemon.folder().join("elsewhere.toml"), &elsewhere).unwrap();
    let restored =
        store(daemon.folder(), "elsewhere.toml", &["restore", "--input", backup.to_str().unwrap()]);
    assert!(restored.status.success(), "{}", said(&restored));
    let path = daemon.folder().join("restored");
    let address = format!("listen_address = \"{}\"", daemon.url.trim_start_matches("http://"));
    let elsewhere = config
        .replace(&address, &format!("listen_address = \"{}\"", free_address()))
        .replace("path = \"data\"", &format!("path = {path:?}"));
    holds_what_was_acknowledged(&Daemon::start(&elsewhere).await, &tenants, acknowledged).await;
}

/// Whether a daemon's quotas and audit log hold, of each tenant, at least the
/// generation before the backup, and no more than one after the last.
async fn holds_what_was_acknowledged(other: &Daemon, tenants: &[String], acknowledged: Vec<(u64, u64)>) {
    let verified = crate::audit::audit(other, &["verify"]);
    assert!(verified.status.success(), "{}", said(&verified));
    let caller = Caller::of(other);
    for (tenant, (before, last)) in tenants.iter().zip(acknowledged) {
        let (_, quota) = caller.get(&format!("/v1/tenants/{tenant}/quotas/cpu_cores")).await;
        let generation = quota["generation"].as_u64().unwrap();
        assert!(generation >= before, "{tenant}: {generation}, though {before} was acknowledged before");
        // One more may have been under way.
        assert!(generation <= last + 1, "{tenant}: {generation} after {last}");
        assert!(before > 2, "{tenant} had no time to change");
        let (_, lines) =
            caller.get(&format!("/v1/audit?tenant={tenant}&action=quota_changed&limit=500")).await;
        let written: Vec<&Value> = lines["items"].as_array().unwrap().iter().collect();
        assert_eq!(
            written[0]["after"]["generation"].as_u64(),
            Some(generation),
            "{tenant}: audit and quota agree"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_while_quotas_change_is_brought_back_from_sled() {
    backup_while_quotas_change("sled").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_while_quotas_change_is_brought_back_from_redb() {
    backup_while_quotas_change("redb").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_gets_no_backup() {
    let daemon = Daemon::start(&config_for(&nowhere(), "")).await;
    let made = daemon.asked(&["token", "create", "watcher", "--role", "operator"]);
    let text = said(&made);
    let token =
        text.split_whitespace().find(|word| word.starts_with("plim_")).unwrap_or_else(|| panic!("{text}"));
    let backup = daemon.folder().join("backup.tar");
    let refused = store(
        daemon.folder(),
        "plimsoll.toml",
        &[
            "backup",
            "--live",
            "--output",
            backup.to_str().unwrap(),
            "--server",
            &daemon.url,
            "--token",
            token,
        ],
    );
    assert!(!refused.status.success() && said(&refused).contains("403"), "{}", said(&refused));
    assert!(!backup.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_named_and_repaired_and_the_rest_serves() {
    let mut daemon = Daemon::start(&config_for(&nowhere(), "")).await;
    let caller = Caller::of(&daemon);
    for number in 0..3 {
        let tenant = json!({"id": format!("tenant-{number}"), "tier": "FREE"});
        assert_eq!(caller.post("/v1/tenants", &tenant).await.0, 201);
    }
    daemon.terminate();
    assert!(daemon.wait().await.success());
    let sound = store(daemon.folder(), "plimsoll.toml", &["check"]);
    assert!(sound.status.success(), "{}", said(&sound));
    let values = daemon.folder().join("data/state/redb/values.redb");
    let mut bytes = fs::read(&values).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    fs::write(&values, bytes).unwrap();
    let found = store(daemon.folder(), "plimsoll.toml", &["check"]);
    assert_eq!(found.status.code(), Some(1), "{}", said(&found));
    assert!(said(&found).contains("redb/values.redb: it is not as it was"), "{}", said(&found));
    let repaired = store(daemon.folder(), "plimsoll.toml", &["repair"]);
    assert_eq!(repaired.status.code(), Some(1), "{}", said(&repaired));
    assert!(
        said(&repaired).contains("rebuilt") && said(&repaired).contains("set-aside/1"),
        "{}",
        said(&repaired)
    );
    let sound = store(daemon.folder(), "plimsoll.toml", &["check"]);
    assert!(sound.status.success(), "{}", said(&sound));
    daemon.start_again().await;
    assert_eq!(caller.get("/v1/tenants").await.1["items"].as_array().unwrap().len(), 3);
    assert!(crate::audit::audit(&daemon, &["verify"]).status.success());
}

/// Reads the history as DuckDB and pandas do, and says what they find.
const READ_HISTORY: &str = r#"
import duckdb, glob, pandas
full = duckdb.sql("select count(*), count(distinct tenant), min(y) > 0 from '*.parquet'").fetchall()[0]
frame = pandas.concat(pandas.read_parquet(path) for path in glob.glob("*.parquet"))
assert len(frame) == full[0] and list(frame.columns) == ["tenant", "ds", "y"], frame.dtypes
assert str(frame.ds.dtype).endswith("UTC]"), frame.dtypes
hours = pandas.concat(pandas.read_parquet(path) for path in glob.glob("hourly/*.parquet"))
assert list(hours.columns) == ["tenant", "ds", "y", "peak", "samples"], hours.dtypes
assert (hours.peak >= hours.y).all() and hours.samples.max() == 12
assert not hours.duplicated(["tenant", "ds"]).any()
by_duckdb = duckdb.sql("select count(*), max(peak) from 'hourly/*.parquet'").fetchall()[0]
assert by_duckdb == (len(hours), hours.peak.max())
print(full[0], len(hours))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn duckdb_and_pandas_open_the_history_while_the_daemon_runs() {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/history/requirements.txt");
    let Some(programs) = python_environment(&requirements) else { return };
    let prometheus = Prometheus::start(&daily_usage("acme", 40, 8.0)).await;
    let config = config_for(&prometheus.url, "[history]\nkeep_full = \"30d\"\n");
    let config = config.replace("settle = \"0s\"", "settle = \"0s\"\nbackfill = \"40d\"");
    let daemon = Daemon::start(&config).await;
    let history = daemon.folder().join("data/history/cpu_cores");
    let caller = Caller::of(&daemon);
    caller
        .wait_until("old days are thinned out", || async {
            fs::read_dir(history.join("hourly")).is_ok_and(|files| files.count() >= 9)
        })
        .await;
    // What is there goes on changing meanwhile; a file that went is looked for again.
    let mut read = Err(String::new());
    for _ in 0..5 {
        let run = Command::new(programs.join("python"))
            .args(["-c", READ_HISTORY])
            .current_dir(&history)
            .output()
            .unwrap();
        read = if run.status.success() { Ok(said(&run)) } else { Err(said(&run)) };
        if read.is_ok() {
            break;
        }
    }
    let read = read.unwrap_or_else(|error| panic!("{error}"));
    let counts: Vec<u64> = read.split_whitespace().map(|number| number.parse().unwrap()).collect();
    assert!((29 * 288..32 * 288).contains(&counts[0]), "{read}");
    assert!((8 * 24..11 * 24).contains(&counts[1]), "{read}");
}
