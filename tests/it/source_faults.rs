//! A source with every fault that one can have, before the real daemon: it
//! stays up, says what is wrong where people look, and goes on once the source
//! does. And a daemon that is killed in the middle of its first collection.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use parking_lot::Mutex;
use serde_json::json;

use crate::caller::Caller;
use crate::rig::{Asked, Daemon, Fake, Prometheus, Reply};
use crate::setup::{config_for, daily_usage};

/// A config that asks for a second's step each second, and is soon at the end
/// of its patience.
fn hasty(url: &str) -> String {
    let hasty = "settle = \"0s\"\nstep = \"1s\"\nbackfill = \"2m\"\ntime_out = \"400ms\"\nmax_series = 50\n\
        longest_retry_wait = \"100ms\"";
    config_for(url, "").replace("settle = \"0s\"", hasty)
}

type Answer = fn(&Asked) -> Reply;

fn labels(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("\"tenant\":\"t{n}\"")).collect()
}

fn of_tenants(asked: &Asked, count: usize) -> Reply {
    let labels = labels(count);
    asked.matrix(&labels.iter().map(String::as_str).collect::<Vec<_>>())
}

/// One series of acme, its samples as the function writes them.
fn acme(asked: &Asked, sample: fn(f64) -> String) -> Reply {
    let values: Vec<String> = asked.instants().into_iter().map(sample).collect();
    let series = format!(r#"[{{"metric":{{"tenant":"acme"}},"values":[{}]}}]"#, values.join(","));
    Reply::success("matrix", &series)
}

fn good(asked: &Asked) -> Reply {
    of_tenants(asked, 5)
}

/// What fails, and what is said of it.
const FAILING: [(&str, Answer, &str); 10] = [
    (
        "down",
        |_| Reply::Text(503, vec![], "starting".to_owned()),
        "it answered 503 Service Unavailable: starting",
    ),
    ("slow", |_| Reply::Hang, "gave no whole answer within 400ms"),
    ("half", |_| Reply::Half, "failed to reach the source: http://"),
    (
        "cut",
        |_| Reply::success("matrix", r#"[{"metric":{"tenant":"t0"},"values":[[1"#),
        "failed to understand",
    ),
    ("garbage", |_| Reply::Text(200, vec![], "<html>\u{0}log in".to_owned()), "it begins with"),
    ("scalar", |_| Reply::success("scalar", "[1,\"1\"]"), "failed to understand the answer for cpu_cores"),
    ("numbers", |asked| acme(asked, |at| format!("[{at},1.5]")), "expected a number in quotes"),
    ("off", |asked| acme(asked, |at| format!("[{},\"1\"]", at + 0.4)), "beside the grid"),
    (
        "crowd",
        |asked| of_tenants(asked, 500),
        "are more than the 50 allowed; aggregate the expression by tenant",
    ),
    ("locked", |_| Reply::Text(401, vec![], String::new()), "failed to be let in by the source"),
];

/// What is used as far as it can be, without a word in the log: what is odd in it
/// is counted.
const ODD: [(&str, Answer); 3] = [
    ("nothing", |_| Reply::success("matrix", "[]")),
    ("no numbers", |asked| {
        acme(asked, |at| format!("[{at},\"{}\"]", if at as i64 % 2 == 0 { "NaN" } else { "+Inf" }))
    }),
    ("backwards", |asked| {
        // One more than was asked for, so that there are two of them in every answer.
        let instants = asked.instants();
        let beyond = instants.last().map(|last| last + 1.0);
        let backwards = beyond.iter().chain(instants.iter().rev());
        let values: Vec<String> = backwards.map(|at| format!("[{at},\"1\"]")).collect();
        Reply::success(
            "matrix",
            &format!(r#"[{{"metric":{{"tenant":"t0"}},"values":[{}]}}]"#, values.join(",")),
        )
    }),
];

/// What has series left out, and what is said of them.
const LEFT_OUT: [(&str, Answer, &str); 3] = [
    ("below zero", |asked| acme(asked, |at| format!("[{at},\"-1\"]")), "usage is never below zero"),
    (
        "twice",
        |asked| asked.matrix(&[r#""tenant":"t0","pod":"a""#, r#""tenant":"t0","pod":"b""#]),
        "2 series name the tenant t0",
    ),
    ("renamed", |asked| asked.matrix(&[r#""customer":"t0""#]), "has no label"),
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_source_does_the_daemon_stays_up_and_says_what_is_wrong() {
    let mood: Arc<Mutex<Answer>> = Arc::new(Mutex::new(good));
    let current = Arc::clone(&mood);
    let fake = Fake::start(move |asked| (*current.lock())(asked)).await;
    let daemon = Daemon::start(&hasty(&fake.url)).await;
    let caller = Caller::of(&daemon);
    let healed = || async { caller.text("/-/ready").await == (200, "plimsoll is ready\n".to_owned()) };
    caller.wait_until("it is ready", healed).await;
    for (name, answer, words) in FAILING {
        *mood.lock() = answer;
        let said = || async { caller.text("/-/ready").await.1.contains(words) };
        caller.wait_until(&format!("{name}: {words:?} is said"), said).await;
        let (status, ready) = caller.text("/-/ready").await;
        assert_eq!(status, 200, "{name}: quotas are served meanwhile: {ready}");
        let summary = caller.get("/v1/summary").await.1;
        let problem = &summary["source_problems"][0];
        assert!(
            problem["message"].as_str().is_some_and(|message| message.contains(words)),
            "{name}: {summary:#}"
        );
        assert!(daemon.said().contains(words), "{name} is not in the log");
        *mood.lock() = good;
        caller.wait_until(&format!("{name} is over"), healed).await;
    }
    for (name, answer) in ODD {
        let before = fake.asked().len();
        *mood.lock() = answer;
        let asked_again = || async { fake.asked().len() > before + 2 };
        caller.wait_until(&format!("{name} has been answered"), asked_again).await;
        assert!(healed().await, "{name}: {}", caller.text("/-/ready").await.1);
        assert!(!daemon.said().contains("left out"), "{name}: {}", daemon.said());
    }
    for (name, answer, words) in LEFT_OUT {
        *mood.lock() = answer;
        let told = || async {
            let summary = caller.get("/v1/summary").await.1;
            let reason = &summary["refused_series"][0]["reasons"][0];
            reason.as_str().is_some_and(|reason| reason.contains(words))
        };
        caller.wait_until(&format!("{name}: {words:?} is told"), told).await;
        let (status, ready) = caller.text("/-/ready").await;
        assert_eq!(status, 200, "{name}: the rest is used: {ready}");
        assert!(ready.contains("series of the usage of cpu_cores are left out"), "{name}: {ready}");
        assert!(daemon.said().contains(words), "{name} is not in the log");
        *mood.lock() = good;
        caller.wait_until(&format!("{name} is over"), healed).await;
    }
    assert!(daemon.said().contains("the source answers again"));
    let failures = metric(&caller, "plimsoll_source_failures_total{resource=\"cpu_cores\"} ").await;
    assert!(failures >= FAILING.len() as f64, "{failures}");
    let refusals = metric(&caller, "plimsoll_source_refusals_total{resource=\"cpu_cores\"} ").await;
    assert!(refusals >= LEFT_OUT.len() as f64, "{refusals}");
    for oddity in ["not_finite", "out_of_order"] {
        let labels = format!("resource=\"cpu_cores\",oddity=\"{oddity}\"");
        let odd = metric(&caller, &format!("plimsoll_source_odd_samples_total{{{labels}}} ")).await;
        assert!(odd > 0.0, "{oddity}");
    }
    assert!(!daemon.said().contains("panicked"), "{}", daemon.said());
    assert_eq!(caller.text("/-/healthy").await.0, 200);
}

/// What the daemon's metrics say after `beginning`.
async fn metric(caller: &Caller, beginning: &str) -> f64 {
    let (_, metrics) = caller.text("/metrics").await;
    let value = metrics.lines().find_map(|line| line.strip_prefix(beginning));
    value.unwrap_or_else(|| panic!("no {beginning:?} in {metrics}")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_clock_is_off_is_told_of() {
    let off = Arc::new(AtomicI64::new(0));
    let current = Arc::clone(&off);
    let fake = Fake::start(move |asked| {
        let Reply::Text(status, mut headers, body) = good(asked) else { panic!("it is a text") };
        let date = Utc::now() + TimeDelta::seconds(current.load(Ordering::Relaxed));
        headers.push(("date", date.format("%a, %d %b %Y %H:%M:%S GMT").to_string()));
        Reply::Text(status, headers, body)
    })
    .await;
    let daemon = Daemon::start(&hasty(&fake.url)).await;
    let caller = Caller::of(&daemon);
    let healed = || async { caller.text("/-/ready").await == (200, "plimsoll is ready\n".to_owned()) };
    caller.wait_until("it is ready", healed).await;
    assert!(caller.get("/v1/summary").await.1["clock_problem"].is_null());
    // Behind comes last: by then there is nothing new to ask for, for ten minutes.
    for (seconds, words) in [(600, "ahead of ours"), (-600, "behind ours")] {
        off.store(seconds, Ordering::Relaxed);
        let measured = || async {
            let ahead = metric(&caller, "plimsoll_source_clock_ahead_seconds ").await;
            (ahead - seconds as f64).abs() < 30.0
        };
        caller.wait_until(&format!("the clock is {words}"), measured).await;
        let summary = caller.get("/v1/summary").await.1;
        let problem = summary["clock_problem"].as_str().unwrap_or_default();
        assert!(problem.contains("the source's clock is ") && problem.contains(words), "{summary:#}");
        let (status, ready) = caller.text("/-/ready").await;
        assert!(status == 200 && ready.contains(words), "{status} {ready}");
    }
}

/// A fortnight of two resources, a day at a time.
fn fortnight(url: &str) -> String {
    let more = "[resources.memory_gb]\nexpression = \"max by (tenant) (tenant_memory_gb)\"\n";
    config_for(url, more).replace("settle = \"0s\"", "settle = \"0s\"\nbackfill = \"14d\"\nslice = \"1d\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_while_it_collects_goes_on_where_it_was() {
    let fake = Fake::start(|asked| {
        let answer = if asked.is_count() { asked.count(5) } else { of_tenants(asked, 5) };
        Reply::Late(Duration::from_millis(30), Box::new(answer))
    })
    .await;
    let mut daemon = Daemon::start(&fortnight(&fake.url)).await;
    let caller = Caller::of(&daemon);
    for least in [12, 30] {
        let asked_enough = || async { fake.asked().len() > least };
        caller.wait_until("it is in the middle", asked_enough).await;
        daemon.kill();
        daemon.start_again().await;
    }
    let ready = || async { caller.text("/-/ready").await.0 == 200 };
    caller.wait_until("all is collected", ready).await;
    let mut times: BTreeMap<(String, i64), usize> = BTreeMap::new();
    for asked in fake.asked().iter().filter(|asked| !asked.is_count()) {
        for instant in asked.instants() {
            *times.entry((asked.params["query"].clone(), instant as i64)).or_default() += 1;
        }
    }
    for metric in ["tenant_cpu_cores", "tenant_memory_gb"] {
        let of_it: Vec<(i64, usize)> = times
            .iter()
            .filter(|((query, _), _)| query.contains(metric))
            .map(|((_, at), n)| (*at, *n))
            .collect();
        assert!(of_it.len() >= 14 * 288, "{} points of {metric}", of_it.len());
        assert!(of_it.windows(2).all(|two| two[1].0 - two[0].0 == 300), "a hole in {metric}");
        let again: usize = of_it.iter().map(|(_, times)| times - 1).sum();
        assert!(again <= 2 * 288, "two kills cost two days at most, not {again} points of {metric}");
    }
}

/// How many range queries a Prometheus has answered well since it was started.
async fn range_queries(prometheus: &Prometheus) -> f64 {
    let metrics = reqwest::get(format!("{}/metrics", prometheus.url)).await.unwrap().text().await.unwrap();
    let of_ranges = |line: &&str| {
        line.starts_with("prometheus_http_requests_total")
            && line.contains("code=\"200\",handler=\"/api/v1/query_range\"")
    };
    let counts = metrics.lines().filter(of_ranges).filter_map(|line| line.rsplit(' ').next());
    counts.map(|count| count.parse::<f64>().unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_is_restarted_in_the_middle_of_a_backfill_is_asked_for_the_rest() {
    let mut prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let by_the_day = "settle = \"0s\"\nbackfill = \"14d\"\nslice = \"1d\"\nmax_queries_per_second = 2";
    let config = config_for(&prometheus.url, "").replace("settle = \"0s\"", by_the_day);
    let daemon = Daemon::start(&config).await;
    let caller = Caller::of(&daemon);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "tier": "PREMIUM"})).await.0, 201);
    let asked = || range_queries(&prometheus);
    caller.wait_until("it is in the middle", || async { asked().await >= 5.0 }).await;
    let before = asked().await;
    prometheus.kill();
    let says = async |words: &str| caller.text("/-/ready").await.1.contains(words);
    caller.wait_until("it is missed", || async { says("failed to reach the source").await }).await;
    assert!(!says("plimsoll is ready").await, "half of a look back is no whole one");

    prometheus.start_again().await;
    let is_ready = || async { caller.text("/-/ready").await == (200, "plimsoll is ready\n".to_owned()) };
    caller.wait_until("all is collected", is_ready).await;
    let after = range_queries(&prometheus).await;
    // Each of 14 days is counted and then asked for; what was under way is asked again, and the
    // cycles since may have found something new.
    assert!((5.0..28.0).contains(&before), "{before} queries before");
    assert!(before + after <= 28.0 + 4.0, "{before} queries before, {after} after");
    let usage = "/v1/tenants/acme/resources/cpu_cores/usage?step_seconds=300";
    let (status, held) = caller.get(usage).await;
    assert_eq!(status, 200, "{held}");
    let values = held["values"].as_array().unwrap();
    let known = values.iter().filter(|value| value.is_f64()).count();
    assert!(known >= 14 * 288 - 2, "{known} samples of {}", values.len());
    let again = metric(&caller, "plimsoll_samples_collected_total{resource=\"cpu_cores\"} ").await;
    assert!(again < (14 * 288 + 20) as f64, "{again} samples, some of them twice");
}
