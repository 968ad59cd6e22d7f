//! Incidents with real processes: a Prometheus whose usage goes wrong and
//! comes right again, the daemon, a receiver of signed webhooks, and a person
//! at the command line.

use std::ops::Range;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Answer, Daemon, Listener, Prometheus, openmetrics, verified};
use crate::setup::{TOKEN, config_for, daily_usage};

/// A grid so fine that a fault can begin and end while the test looks on.
const FAST: &str = "\n[anomaly]\nwarm_up = \"0s\"\nclose_after = 3\n[incidents]\nleast_open = \"0s\"\n\
    [notify]\npoll_every = \"20ms\"\nallowed_networks = [\"127.0.0.0/8\"]\n";
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// Half an hour of seconds around `begin`, in which acme uses about 2 cores,
/// and 30 of them in the `fault`.
fn a_fault(begin: i64, fault: Range<i64>) -> String {
    let usage = |at: i64| if fault.contains(&at) { 30.0 } else { 2.0 + (at * 7919 % 100) as f64 / 200.0 };
    let samples = (begin - 1200..begin + 600).map(|at| (at, usage(at))).collect();
    openmetrics([("tenant_cpu_cores", "gauge", vec![("tenant=\"acme\"".to_owned(), samples)])])
}

/// A daemon that watches acme there and tells the listener of it, with further
/// settings of notices.
async fn daemon_telling(listener: &Listener, prometheus: &Prometheus, notify: &str) -> (Daemon, Caller) {
    let receiver = format!(
        "[receivers.hook]\nkind = \"standard_webhooks\"\nurl = \"{}\"\nsecret = \"{SECRET}\"\n",
        listener.url
    );
    let config = config_for(&prometheus.url, &format!("{FAST}{notify}{receiver}"))
        .replace("retries = 1", "retries = 1\nstep = \"1s\"");
    let daemon = Daemon::start(&config).await;
    let caller = Caller::of(&daemon);
    let acme = json!({"id": "acme", "tier": "PREMIUM", "provider": "aws", "region": "eu-central-1"});
    assert_eq!(caller.post("/v1/tenants", &acme).await.0, 201);
    (daemon, caller)
}

/// What `plimsoll incident` writes.
fn command(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .arg("incident")
        .args(["--server", &daemon.url])
        .args(arguments)
        .env("PLIMSOLL_TOKEN", TOKEN)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

async fn incidents(caller: &Caller, query: &str) -> Vec<Value> {
    let (status, page) = caller.get(&format!("/v1/incidents?{query}")).await;
    assert_eq!(status, 200, "{page:#}");
    page["items"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_prometheus_is_told_with_a_signature_and_so_is_its_end() {
    let begin = now();
    let mut prometheus = Prometheus::start(&a_fault(begin, begin - 30..i64::MAX)).await;
    let listener = Listener::start(&[]).await;
    let (mut daemon, caller) = daemon_telling(&listener, &prometheus, "").await;
    let unusual = "tenant=acme&kind=unusual_usage";
    caller
        .wait_until("an incident is open", || async { !incidents(&caller, unusual).await.is_empty() })
        .await;

    let incident = incidents(&caller, unusual).await.remove(0);
    let id = incident["id"].as_str().unwrap().to_owned();
    let finding = incident["findings"].as_array().unwrap().iter().find(|one| one["kind"] == "unusual_usage");
    let finding = finding.unwrap();
    assert_eq!((&finding["resource"], &finding["severity"]), (&json!("cpu_cores"), &json!("critical")));
    assert!(finding["upper"].as_f64() < finding["actual"].as_f64(), "{finding:#}");
    assert!(finding["text"].as_str().unwrap().contains("rose to 30"), "{finding:#}");
    assert!(finding["samples"].as_u64() > Some(100), "{finding:#}");
    assert_eq!(finding["chart"]["values"].as_array().map(Vec::len), Some(48), "{finding:#}");
    assert!(!incident["told_at"].is_null());
    let opened = verified(&listener.wait_for(1).await[0], SECRET);
    assert_eq!(opened["type"], "plimsoll.incident.opened");
    assert_eq!((&opened["data"]["subject"], &opened["data"]["tenant"]), (&json!(id), &json!("acme")));
    assert!(opened["data"]["text"].as_str().unwrap().contains("rose to 30"), "{opened:#}");

    assert!(command(&daemon, &["list", "--state", "open"]).contains(&id));
    assert!(command(&daemon, &["ack", &id, "--comment", "on it"]).contains("acknowledged"));
    // A restart says nothing twice: the incident is known.
    daemon.terminate();
    assert!(daemon.wait().await.success());
    daemon.start_again().await;
    prometheus.start_again_with(&a_fault(begin, begin - 30..now())).await;
    caller
        .wait_until("the incident is resolved", || async {
            incidents(&caller, "state=resolved").await.iter().any(|one| one["id"] == id.as_str())
        })
        .await;
    assert_eq!(incidents(&caller, unusual).await.len(), 1, "one fault is one incident");
    let posted = listener.wait_for(2).await;
    let resolved = verified(&posted[1], SECRET);
    assert_eq!((posted.len(), &resolved["type"]), (2, &json!("plimsoll.incident.resolved")));
    assert_eq!((&resolved["data"]["subject"], &resolved["data"]["detail"]["id"]), (&json!(id), &json!(id)));
    assert!(!resolved["data"]["detail"]["resolved_at"].is_null(), "{resolved:#}");
    assert_ne!(posted[0].header("webhook-id"), posted[1].header("webhook-id"));
    assert!(command(&daemon, &["feedback", &id, "true"]).contains("something was wrong"));
    let (_, metrics) = caller.text("/metrics").await;
    assert!(metrics.contains("plimsoll_incident_feedback_total{verdict=\"true\"} 1"), "{metrics}");
    let (_, audit) = caller.get("/v1/audit?tenant=acme").await;
    let actions: Vec<&Value> =
        audit["items"].as_array().unwrap().iter().map(|line| &line["action"]).collect();
    assert_eq!(
        actions,
        [
            "incident_judged",
            "incident_resolved",
            "incident_acknowledged",
            "incident_opened",
            "tenant_created"
        ]
    );
    assert_eq!(caller.post(&format!("/v1/incidents/{id}/acknowledge"), &json!({})).await.0, 409);
}

/// The same fault with a receiver that has not answered when the daemon is killed.
#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_told_after_a_kill_between_its_writing_and_its_delivery() {
    let begin = now();
    let prometheus = Prometheus::start(&a_fault(begin, begin - 30..i64::MAX)).await;
    let listener = Listener::start(&[]).await;
    listener.otherwise(Answer::Hang);
    let (mut daemon, caller) = daemon_telling(&listener, &prometheus, "").await;
    // It is written down with its notice before anything is sent.
    let first = listener.wait_for(1).await.remove(0);
    daemon.kill();
    listener.otherwise(Answer::Status(204));
    daemon.start_again().await;
    let posted = listener.wait_for(2).await;
    let again = &posted[1];
    assert_eq!(again.header("webhook-id"), first.header("webhook-id"), "the same notice");
    let told = verified(again, SECRET);
    assert_eq!(told, verified(&first, SECRET));
    assert_eq!(told["type"], "plimsoll.incident.opened");
    let known = incidents(&caller, "tenant=acme").await;
    assert_eq!((known.len(), &known[0]["id"]), (1, &told["data"]["subject"]), "{known:#?}");
    assert!(!known[0]["told_at"].is_null());
}

/// A receiver that was away while an incident began and ended.
#[tokio::test(flavor = "multi_thread")]
async fn the_beginning_of_what_is_over_is_not_sent_again() {
    let begin = now();
    let mut prometheus = Prometheus::start(&a_fault(begin, begin - 30..i64::MAX)).await;
    let listener = Listener::start(&[]).await;
    listener.otherwise(Answer::Status(500));
    let (_daemon, caller) = daemon_telling(&listener, &prometheus, "retry_waits = [\"20ms\"]\n").await;
    let given_up =
        || async { caller.get("/v1/dead-letters").await.1["items"].as_array().unwrap().len() == 1 };
    caller.wait_until("its beginning is given up", given_up).await;
    prometheus.start_again_with(&a_fault(begin, begin - 30..now())).await;
    let over = || async { !incidents(&caller, "state=resolved").await.is_empty() };
    caller.wait_until("the incident is resolved", over).await;
    listener.otherwise(Answer::Status(204));
    let tried = listener.posted().len();
    let (_, dead) = caller.get("/v1/dead-letters").await;
    let path = format!("/v1/dead-letters/hook/{}/send-again", dead["items"][0]["number"]);
    let (status, problem) = caller.post(&path, &json!({})).await;
    let told = problem["detail"].as_str().unwrap();
    assert!(status == 409 && told.contains("its end will not be told there"), "{problem:#}");
    assert_eq!(listener.posted().len(), tried, "nothing is opened that nobody ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn silences_and_markers_are_kept_listed_and_lifted() {
    let prometheus = Prometheus::start(&daily_usage("acme", 1, 2.0)).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, "")).await;
    let caller = Caller::of(&daemon);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "tier": "PREMIUM"})).await.0, 201);
    let added = command(&daemon, &["silence", "add", "--tenant", "acme", "--for", "2h", "--reason", "known"]);
    let id = added.split_whitespace().nth(1).unwrap();
    assert!(command(&daemon, &["silence", "list"]).contains("known"));
    command(&daemon, &["silence", "lift", id]);
    assert!(!command(&daemon, &["silence", "list"]).contains("known"));

    let added = command(&daemon, &["marker", "add", "deploy", "--tenant", "acme", "--text", "version 7"]);
    let id = added.split_whitespace().nth(1).unwrap();
    assert!(command(&daemon, &["marker", "list"]).contains("version 7"));
    command(&daemon, &["marker", "remove", id]);
    assert!(!command(&daemon, &["marker", "list"]).contains("version 7"));
    let (_, audit) = caller.get("/v1/audit?tenant=acme").await;
    let actions: Vec<&Value> =
        audit["items"].as_array().unwrap().iter().map(|line| &line["action"]).collect();
    assert_eq!(
        actions,
        ["marker_removed", "marker_created", "silence_lifted", "silence_created", "tenant_created"]
    );

    let endless = json!({"until": "2099-01-01T00:00:00Z", "reason": "for ever"});
    let (status, problem) = caller.post("/v1/silences", &endless).await;
    assert!(status == 422 && problem.to_string().contains("longest_quiet"), "{problem:#}");
    let nobody = json!({"until": "2099-01-01T00:00:00Z", "reason": "x", "tenant": "nobody"});
    assert_eq!(caller.post("/v1/silences", &nobody).await.0, 404);
    assert_eq!(caller.post("/v1/markers", &json!({"kind": "maintenance", "text": "x"})).await.0, 422);
    assert_eq!(caller.get("/v1/incidents?state=odd").await.0, 400);
}
