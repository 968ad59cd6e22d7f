//! `plimsoll doctor`, over a real Prometheus: all that is well, and each thing
//! that is not.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::rig::{Daemon, Prometheus, free_address};
use crate::setup::{config_for, daily_usage, nowhere};

fn doctor(folder: &Path, config: &str, more: &[&str]) -> Output {
    let path = folder.join("plimsoll.toml");
    std::fs::write(&path, config).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.args(["doctor", "--config.file"]).arg(path).args(more).output().unwrap()
}

/// What was found of each part: its name, how it stands, and both texts.
fn found(output: &Output) -> Vec<(String, String, String)> {
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    let text = |one: &Value, key: &str| one[key].as_str().unwrap_or_default().to_owned();
    let items = answer["items"].as_array().unwrap().iter();
    items
        .map(|one| {
            (
                text(one, "part"),
                text(one, "health"),
                format!("{} | {}", text(one, "found"), text(one, "mend")),
            )
        })
        .collect()
}

fn said(all: &[(String, String, String)], part: &str) -> (String, String) {
    let one = all.iter().find(|(name, ..)| name == part).unwrap_or_else(|| panic!("no {part} in {all:#?}"));
    (one.1.clone(), one.2.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_well_is_said_to_be_and_a_daemon_that_runs_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let config = config_for(&prometheus.url, "");
    let output = doctor(folder.path(), &config, &["--output", "json"]);
    let all = found(&output);
    assert!(output.status.success(), "{all:#?}");
    assert_eq!(said(&all, "usage of cpu_cores").0, "good");
    assert!(said(&all, "usage of cpu_cores").1.starts_with("1 tenant now, 1 a week ago"), "{all:#?}");
    for part in ["address", "store", "state", "clock", "target"] {
        assert_eq!(said(&all, part).0, "good", "{all:#?}");
    }
    assert_eq!(said(&all, "receivers").0, "doubtful");
    let people = doctor(folder.path(), &config, &[]);
    let text = String::from_utf8_lossy(&people.stdout).into_owned();
    assert!(text.contains("good      usage of cpu_cores") && text.contains("0 bad, "), "{text}");

    let daemon = Daemon::start(&config).await;
    let all = found(&doctor(folder.path(), &config, &["--output", "json"]));
    assert!(said(&all, "address").1.starts_with("a daemon answers"), "{} {all:#?}", daemon.url);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_broken_is_named_with_its_mend() {
    let folder = tempfile::tempdir().unwrap();
    let prometheus = Prometheus::start(&daily_usage("acme", 2, 2.0)).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let more = format!(
        "
[resources.memory_gb]
expression = \"sum(tenant_cpu_cores)\"
[resources.storage_gb]
expression = \"no_such_metric\"
[resources.cache_size_mb]
expression = \"-max by (tenant) (tenant_cpu_cores)\"
[sla]
availability = \"1 + 0 * sum(count_over_time(tenant_cpu_cores[$window]))\"
[target]
kind = \"http\"
url = \"http://{gone}/quotas/{{tenant}}/{{resource}}\"
secret = \"whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0\"
[receivers.inside]
kind = \"cloudevents\"
url = \"http://127.0.0.1:{port}/hook-with-a-key\"
[receivers.folder]
kind = \"folder\"
folder = \"/proc/no/such\"
",
        gone = free_address(),
        port = taken.local_addr().unwrap().port(),
    );
    let whole = config_for(&prometheus.url, &more);
    let listens = whole.lines().find(|line| line.starts_with("listen_address")).unwrap();
    let config = whole.replace(listens, &format!("listen_address = \"{}\"", taken.local_addr().unwrap()));
    let output = doctor(folder.path(), &config, &["--output", "json"]);
    let all = found(&output);
    assert_eq!(output.status.code(), Some(1), "{all:#?}");
    for (part, health, words) in [
        ("address", "bad", "can't be listened on"),
        ("usage of cpu_cores", "doubtful", "none a week ago"),
        ("usage of memory_gb", "bad", "has no label \"tenant\""),
        ("usage of storage_gb", "bad", "gives nothing now"),
        ("usage of cache_size_mb", "bad", "usage is never below zero"),
        (
            "availability",
            "bad",
            "has no label \"tenant\"; keep it in the expression | correct sla.availability",
        ),
        ("target", "bad", "see that target.url is right"),
        ("receiver inside", "bad", "notify.allowed_networks"),
        ("receiver folder", "bad", "let the daemon's user write there"),
    ] {
        let (found, text) = said(&all, part);
        assert_eq!(found, health, "{part}: {text}");
        assert!(text.contains(words), "{part}: {text}");
    }
    assert!(!String::from_utf8_lossy(&output.stdout).contains("hook-with-a-key"), "the path may be a secret");

    let down = found(&doctor(folder.path(), &config_for(&nowhere(), ""), &["--output", "json"]));
    let (health, text) = said(&down, "usage of cpu_cores");
    assert!(health == "bad" && text.contains("reach the source"), "{down:#?}");
    assert!(text.contains("curl http://") && text.contains("/-/healthy"), "{down:#?}");
    let nonsense = doctor(folder.path(), "[prometheus]\nurl = 7", &[]);
    assert_eq!(nonsense.status.code(), Some(2), "{nonsense:?}");
}

#[test]
fn one_fault_is_told_of_once_with_its_mend() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in-the-way"), "").unwrap();
    let more = "
[resources.memory_gb]
expression = \"max by (tenant) (tenant_memory_gb)\"
[resources.storage_gb]
expression = \"max by (tenant) (tenant_storage_gb)\"
[sla]
availability = \"max by (tenant) (avg_over_time(up[$window]))\"
[target]
kind = \"file\"
folder = \"in-the-way/quotas\"
";
    let output = doctor(folder.path(), &config_for(&nowhere(), more), &["--output", "json"]);
    let all = found(&output);
    assert_eq!(output.status.code(), Some(1), "{all:#?}");
    let (health, text) = said(&all, "prometheus");
    assert!(health == "bad" && text.contains("failed to reach the source"), "{text}");
    assert!(text.contains("known of cpu_cores, memory_gb, storage_gb, availability | see that"), "{text}");
    assert!(!all.iter().any(|(part, ..)| part.starts_with("usage of")), "{all:#?}");
    let (health, text) = said(&all, "target");
    assert!(health == "bad" && text.contains("in-the-way/quotas"), "{text}");
    assert!(text.contains("| let the daemon's user write to that folder"), "{text}");
}
