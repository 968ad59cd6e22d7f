//! Log lines and traces of the real daemon: one recommendation followed from the
//! scrape to the call of the platform's server, an incident to its webhook, by
//! a real collector and by the JSON of the log.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Collector, Daemon, Listener, Posted, Prometheus, Span};
use crate::setup::{config_for, daily_usage, nowhere};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

/// A promise that is broken, so that there is an incident.
const BROKEN_PROMISE: &str =
    "[sla]\navailability = \"0.98 + 0 * max by (tenant) (count_over_time(tenant_cpu_cores[$window]))\"";

/// Quotas and notices go to the listener.
fn config(prometheus: &str, listener: &str, promise: &str) -> String {
    let more = format!(
        r#"
[target]
kind = "http"
url = "{listener}/quotas/{{tenant}}/{{resource}}"
secret = "{SECRET}"
read_back = false
{promise}
[notify]
poll_every = "20ms"
allowed_networks = ["127.0.0.0/8"]
[receivers.hook]
kind = "cloudevents"
url = "{listener}/hook"
[log]
format = "json"
level = "debug"
"#
    );
    config_for(prometheus, &more)
}

fn lines(daemon: &Daemon) -> Vec<Value> {
    daemon.said().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// What a line says in itself or in one of the spans around it.
fn said(line: &Value, key: &str) -> Option<String> {
    let around = line["spans"].as_array().into_iter().flatten();
    let found = std::iter::once(line).chain(around).find_map(|place| place.get(key))?;
    Some(found.as_str().map_or_else(|| found.to_string(), str::to_owned))
}

/// The lines with this message about a recommendation.
fn lines_of(daemon: &Daemon, message: &str, id: &str) -> Vec<Value> {
    let about =
        |line: &Value| line["message"] == message && said(line, "recommendation").as_deref() == Some(id);
    lines(daemon).into_iter().filter(about).collect()
}

/// The first one of them.
fn line_of(daemon: &Daemon, message: &str, id: &str) -> Value {
    let first = lines_of(daemon, message, id).into_iter().next();
    first.unwrap_or_else(|| panic!("no line says {message:?} of {id}"))
}

fn trace_of(posted: &Posted) -> String {
    posted.header("traceparent").split('-').nth(1).unwrap().to_owned()
}

/// Approves the only recommendation that waits, as a part of [`TRACE`], and
/// gives it as it was before.
async fn approve(daemon: &Daemon, caller: &Caller) -> Value {
    let waits = || async { !caller.get("/v1/recommendations").await.1["items"][0].is_null() };
    caller.wait_until("a recommendation waits", waits).await;
    let record = caller.get("/v1/recommendations").await.1["items"][0].clone();
    let path = format!("/v1/recommendations/{}/approve", record["id"].as_str().unwrap());
    let request = daemon.request(Method::POST, &path).header("x-request-id", "the-approval");
    let request = request.header("traceparent", format!("00-{TRACE}-b7ad6b7169203331-01"));
    let response = request.json(&json!({})).send().await.unwrap();
    assert_eq!(response.headers()["x-request-id"], "the-approval");
    assert_eq!(response.status(), 200, "{}", response.text().await.unwrap());
    record
}

fn callback(listener: &Listener) -> Posted {
    listener.posted().into_iter().find(|posted| posted.path == "/quotas/acme/cpu_cores").unwrap()
}

async fn wait_for_webhook(caller: &Caller, listener: &Listener) -> Posted {
    let hook = || listener.posted().into_iter().find(|posted| posted.path == "/hook");
    caller.wait_until("the incident was told of", || async { hook().is_some() }).await;
    hook().unwrap()
}

async fn running(
    mode: &str,
    promise: &str,
    environment: &[(&str, &str)],
) -> (Prometheus, Listener, Daemon, Caller) {
    let prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let listener = Listener::start(&[]).await;
    let daemon = Daemon::start_among(&config(&prometheus.url, &listener.url, promise), environment).await;
    let caller = Caller::of(&daemon);
    let acme = json!({"id": "acme", "tier": "PREMIUM", "apply_mode": mode});
    assert_eq!(caller.post("/v1/tenants", &acme).await.0, 201);
    (prometheus, listener, daemon, caller)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recommendation_is_followed_by_ids_though_no_span_is_exported() {
    let (_prometheus, listener, daemon, caller) = running("observe", BROKEN_PROMISE, &[]).await;
    let record = approve(&daemon, &caller).await;
    let id = record["id"].as_str().unwrap();
    let proposed = line_of(&daemon, "proposed", id);
    let cycle = said(&proposed, "trace_id").unwrap();
    assert!(said(&proposed, "cycle").is_some(), "{proposed}");
    assert_eq!(record["trace"].as_str().unwrap().split('-').nth(1), Some(&*cycle), "{record}");
    for message in ["approved", "applied"] {
        let line = line_of(&daemon, message, id);
        assert_eq!(said(&line, "request_id").as_deref(), Some("the-approval"), "{line}");
        assert_eq!(said(&line, "trace_id").as_deref(), Some(TRACE), "{line}");
    }
    assert_eq!(trace_of(&callback(&listener)), TRACE);
    let hook = wait_for_webhook(&caller, &listener).await;
    let told = || lines(&daemon).into_iter().find(|line| line["message"] == "delivered");
    caller.wait_until("its delivery is in the log", || async { told().is_some() }).await;
    let told = told().unwrap();
    assert_eq!(said(&told, "trace_id"), Some(trace_of(&hook)), "{told}");
    let in_cycle =
        |line: &Value| said(line, "cycle").is_some() && said(line, "trace_id") == Some(trace_of(&hook));
    assert!(lines(&daemon).iter().any(in_cycle), "the webhook is not of the cycle that found the incident");

    let (_, log) = caller.get("/v1/audit?text=the-approval").await;
    assert!(log["items"].as_array().unwrap().len() >= 2, "{log}");
    let refused = daemon.get("/v1/tenants/nobody").header("x-request-id", "not sane !").send().await.unwrap();
    let name = refused.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_ne!(name, "not sane !");
    assert_eq!(refused.json::<Value>().await.unwrap()["request_id"], *name);
}

/// The recommendation that waits for a decision on this generation of the quota.
async fn waiting(caller: &Caller, generation: u64) -> Value {
    let newest =
        async || caller.get("/v1/recommendations?tenant=acme&state=proposed").await.1["items"][0].clone();
    let waits = || async { newest().await["parent_generation"] == generation };
    caller.wait_until(&format!("a recommendation on generation {generation} waits"), waits).await;
    newest().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recommendation_that_ends_without_a_decision_is_followed_to_its_end() {
    let (_prometheus, _listener, daemon, caller) = running("observe", "", &[]).await;
    // A quota that fits no better has a new one proposed; one that fits needs none any more.
    for (generation, message) in [(1, "stale"), (2, "taken back")] {
        let record = waiting(&caller, generation).await;
        let limit = if message == "stale" { json!(6.0) } else { record["proposed"].clone() };
        let tag = format!("\"{generation}\"");
        let wish = json!({"limit": limit});
        let (status, answer) =
            caller.put("/v1/tenants/acme/quotas/cpu_cores", Some(tag.as_str()), &wish).await;
        assert_eq!(status, 200, "{answer:#}");
        let id = record["id"].as_str().unwrap();
        let ended = || lines_of(&daemon, message, id);
        caller.wait_until(&format!("{message:?} is said of {id}"), || async { !ended().is_empty() }).await;
        let said_of_it = ended();
        let [line] = &said_of_it[..] else { panic!("it is said once: {said_of_it:?}") };
        let proposed = line_of(&daemon, "proposed", id);
        for field in ["level", "recommendation", "tenant", "resource"] {
            assert_eq!(line[field], proposed[field], "{field}: {line}");
        }
        assert_eq!((&line["tenant"], &line["resource"]), (&json!("acme"), &json!("cpu_cores")), "{line}");
        assert!(said(line, "cycle").is_some() && said(line, "trace_id").is_some(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_sees_a_recommendation_from_the_scrape_to_the_call() {
    let Some(collector) = Collector::start().await else { return };
    let environment = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.as_str()),
        ("OTEL_SERVICE_NAME", "plimsoll-under-test"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let (_prometheus, listener, daemon, caller) = running("observe", BROKEN_PROMISE, &environment).await;
    let record = approve(&daemon, &caller).await;
    let cycle = record["trace"].as_str().unwrap().split('-').nth(1).unwrap().to_owned();
    let posted = callback(&listener);
    assert_eq!(trace_of(&posted), TRACE);
    let hook = wait_for_webhook(&caller, &listener).await;

    let find = |name: &str, trace: &str| -> Option<Span> {
        collector.spans().into_iter().find(|span| span.name == name && span.trace == trace)
    };
    let wanted = [
        ("cycle", &*cycle),
        ("collect", &cycle),
        ("query", &cycle),
        ("recommend", &cycle),
        ("request", TRACE),
        ("enforce", TRACE),
        ("deliver", &trace_of(&hook)),
    ];
    for (name, trace) in wanted {
        caller
            .wait_until(&format!("{name} of {trace} was exported"), || async { find(name, trace).is_some() })
            .await;
    }
    let span = |name: &str, trace: &str| find(name, trace).unwrap();
    assert_eq!(span("collect", &cycle).parent, span("cycle", &cycle).id);
    let (request, enforce) = (span("request", TRACE), span("enforce", TRACE));
    assert_eq!(request.parent, "b7ad6b7169203331");
    assert_eq!(request.links, [cycle], "the approval is linked with the cycle that proposed");
    assert_eq!(enforce.parent, request.id);
    assert_eq!(posted.header("traceparent").split('-').nth(2), Some(&*enforce.id));
    assert!(collector.said().contains("plimsoll-under-test"), "{}", collector.said());
    assert!(collector.spans().iter().all(|span| !span.name.contains("hyper")));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_daemon_carries_out_by_itself_is_a_part_of_its_cycle() {
    let collector = Collector::start().await;
    let endpoint = collector.as_ref().map(|one| ("OTEL_EXPORTER_OTLP_ENDPOINT", one.url.as_str()));
    let environment: Vec<(&str, &str)> =
        endpoint.into_iter().flat_map(|one| [one, ("OTEL_BSP_SCHEDULE_DELAY", "50")]).collect();
    // An incident would hold the change back.
    let (_prometheus, listener, daemon, caller) = running("approved", "", &environment).await;
    let applied = || lines(&daemon).into_iter().find(|line| line["message"] == "applied");
    caller.wait_until("the daemon has applied a step", || async { applied().is_some() }).await;
    let line = applied().unwrap();
    assert_eq!(said(&line, "by").as_deref(), Some("daemon"), "{line}");
    assert!(said(&line, "cycle").is_some(), "{line}");
    let cycle = said(&line, "trace_id").unwrap();
    let posted = callback(&listener);
    assert_eq!(trace_of(&posted), cycle);
    let id = said(&line, "recommendation").unwrap();
    let (_, record) = caller.get(&format!("/v1/recommendations/{id}")).await;
    let proposed = record["trace"].as_str().unwrap().split('-').nth(1).unwrap().to_owned();

    let Some(collector) = &collector else { return };
    let find = |name: &str| -> Option<Span> {
        collector.spans().into_iter().find(|span| span.name == name && span.trace == cycle)
    };
    let names = ["cycle", "apply", "apply_one", "enforce"];
    for name in names {
        let is_there = || async { find(name).is_some() };
        caller.wait_until(&format!("{name} of {cycle} was exported"), is_there).await;
    }
    let [whole, apply, one, enforce] = names.map(|name| find(name).unwrap());
    assert_eq!((&enforce.parent, &one.parent, &apply.parent), (&one.id, &apply.id, &whole.id));
    assert_eq!(one.links, [proposed], "it is linked with the cycle that proposed");
    assert_eq!(posted.header("traceparent").split('-').nth(2), Some(&*enforce.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_harms_nothing() {
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*nowhere()), ("OTEL_BSP_SCHEDULE_DELAY", "20")];
    let mut daemon = Daemon::start_among(&config_for(&nowhere(), ""), &environment).await;
    let caller = Caller::of(&daemon);
    let says = || async { daemon.said().contains("failed to send spans to the collector") };
    caller.wait_until("the failure is said", says).await;
    for _ in 0..20 {
        assert_eq!(caller.get("/v1/tenants").await.0, 200);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(daemon.said().matches("failed to send spans").count(), 1, "{}", daemon.said());
    daemon.terminate();
    assert!(daemon.wait().await.success(), "{}", daemon.said());
}
