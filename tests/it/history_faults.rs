//! A history that is lost, can't be written or is damaged, under the real daemon:
//! it is fetched again, no cycle ends by it, and what is wrong is said where
//! people look.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::caller::Caller;
use crate::rig::{Asked, Daemon, Fake, Prometheus, Reply};
use crate::setup::{config_for, daily_usage};

const COLLECTED: &str = "plimsoll_samples_collected_total{resource=\"cpu_cores\"} ";
const NEWEST: &str = "plimsoll_newest_sample_timestamp_seconds{resource=\"cpu_cores\"} ";
const FAILING: &str = "plimsoll_history_failing ";

/// Where the daemon keeps the usage of the resource.
fn folder_of(daemon: &Daemon) -> PathBuf {
    daemon.folder().join("data/history/cpu_cores")
}

/// The segments of a folder, the oldest first.
fn segments(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut segments: Vec<PathBuf> = files.filter(|path| path.is_file()).collect();
    segments.sort();
    segments
}

/// What the daemon's metrics say after `beginning`; 0 where they say nothing.
async fn metric(caller: &Caller, beginning: &str) -> f64 {
    let (_, metrics) = caller.text("/metrics").await;
    let value = metrics.lines().find_map(|line| line.strip_prefix(beginning));
    value.map_or(0.0, |value| value.parse().unwrap())
}

async fn until_ready(caller: &Caller) {
    let is_ready = || async { caller.text("/-/ready").await == (200, "plimsoll is ready\n".to_owned()) };
    caller.wait_until("it is ready, and nothing is wrong", is_ready).await;
}

async fn end(daemon: &mut Daemon) {
    daemon.terminate();
    assert!(daemon.wait().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_lost_is_fetched_again() {
    let prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let mut daemon = Daemon::start(&config_for(&prometheus.url, "")).await;
    let caller = Caller::of(&daemon);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "tier": "PREMIUM"})).await.0, 201);
    until_ready(&caller).await;
    let first = metric(&caller, COLLECTED).await;
    assert!(first > 13.0 * 288.0, "{first}");

    end(&mut daemon).await;
    fs::remove_dir_all(daemon.folder().join("data/history")).unwrap();
    daemon.start_again().await;
    until_ready(&caller).await;
    let again = metric(&caller, COLLECTED).await;
    assert!(again >= first, "{again} samples were fetched again, of {first}");
    let usage = "/v1/tenants/acme/resources/cpu_cores/usage?step_seconds=3600";
    let (status, held) = caller.get(usage).await;
    let hours = held["values"].as_array().map_or(0, Vec::len);
    assert!(status == 200 && hours >= 13 * 24, "{hours} hours: {held}");
    assert!(segments(&folder_of(&daemon)).len() >= 14, "a segment a day");
    let says = |daemon: &Daemon| daemon.said().matches("the history of cpu_cores is gone").count();
    assert_eq!(says(&daemon), 1, "{}", daemon.said());

    // What is kept is not fetched, and nothing is said of it.
    end(&mut daemon).await;
    daemon.start_again().await;
    until_ready(&caller).await;
    let more = metric(&caller, COLLECTED).await;
    assert!(more < 10.0, "{more} samples were fetched a third time");
    assert_eq!(says(&daemon), 1, "{}", daemon.said());
}

/// A step of a second, so that each cycle has something new to keep.
fn each_second(url: &str) -> String {
    config_for(url, "").replace("settle = \"0s\"", "settle = \"0s\"\nstep = \"1s\"\nbackfill = \"2m\"")
}

fn of_acme(asked: &Asked) -> Reply {
    if asked.is_count() { asked.count(1) } else { asked.matrix(&["\"tenant\":\"acme\""]) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_can_not_be_written_is_named_and_ends_no_cycle() {
    let fake = Fake::start(of_acme).await;
    let daemon = Daemon::start(&each_second(&fake.url)).await;
    let caller = Caller::of(&daemon);
    until_ready(&caller).await;
    assert!(caller.get("/v1/summary").await.1["history_problem"].is_null());
    assert_eq!(metric(&caller, FAILING).await, 0.0);

    // A file stands where the folder was, as nobody may forbid root to write.
    let (folder, aside) = (folder_of(&daemon), daemon.folder().join("aside"));
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, b"").unwrap();
    let words = "failed to use the history file";
    let named = || async {
        let (status, ready) = caller.text("/-/ready").await;
        status == 200 && ready.contains(&format!("the history fails: {words}"))
    };
    caller.wait_until("the failure is named", named).await;
    let failing = || async { metric(&caller, FAILING).await == 1.0 };
    caller.wait_until("the metric tells of it", failing).await;
    let summary = caller.get("/v1/summary").await.1;
    let problem = summary["history_problem"].as_str().unwrap_or_default();
    assert!(problem.contains("cpu_cores"), "{summary:#}");
    let ended = "plimsoll_cycles_total ";
    let (cycles, newest) = (metric(&caller, ended).await, metric(&caller, NEWEST).await);
    let goes_on =
        || async { metric(&caller, ended).await >= cycles + 2.0 && metric(&caller, NEWEST).await > newest };
    caller.wait_until("cycles end, and what comes is held", goes_on).await;

    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    until_ready(&caller).await;
    assert!(caller.get("/v1/summary").await.1["history_problem"].is_null());
    let said = daemon.said();
    for line in [words, "the history is written again"] {
        assert_eq!(said.matches(line).count(), 1, "{line}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_part_of_the_history_is_named_until_it_is_taken_away() {
    let prometheus = Prometheus::start(&daily_usage("acme", 3, 2.0)).await;
    let mut daemon = Daemon::start(&config_for(&prometheus.url, "")).await;
    let caller = Caller::of(&daemon);
    until_ready(&caller).await;
    end(&mut daemon).await;
    let segment = segments(&folder_of(&daemon)).remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();

    daemon.start_again().await;
    let name = segment.file_name().unwrap().to_str().unwrap();
    let named = || async {
        let (status, ready) = caller.text("/-/ready").await;
        let lines: Vec<&str> = ready.lines().collect();
        status == 200
            && lines.len() == 2
            && lines[1].starts_with("the history fails: left out a part of it")
            && lines[1].contains(name)
    };
    caller.wait_until("the damage is named, and nothing else is wrong", named).await;
    let summary = caller.get("/v1/summary").await.1;
    let problem = summary["history_problem"].as_str().unwrap_or_default();
    assert!(problem.contains(name), "{summary:#}");
    assert_eq!(daemon.said().matches("left out a part of the history").count(), 1, "{}", daemon.said());
    fs::remove_file(&segment).unwrap();
    until_ready(&caller).await;
}
