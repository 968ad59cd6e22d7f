//! An hour with everything on: the real daemon over a real Prometheus that
//! scrapes a fleet which is made up, with receivers of which one fails now and
//! then, scheduled reports, checkpoints, quotas in files, promises of availability
//! and latency, amounts that are used up, templates whose versions tenants move to, and
//! callers who poll, change, approve, silence, roll out and look at the dashboard all
//! the time; spans are exported, the config is read again, and a backup is taken now
//! and then. It prints the memory, the files and the threads that the daemon holds over
//! time, and of the memory what the program and the caches of its threads hold,
//! and each warning and error of its log with how often it came.
//!
//!   cargo bench --profile release --bench soak -- [--minutes 60] [--tenants 25] [--cache 8]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement ends where it can't go on")]
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

#[path = "../tests/it/rig/mod.rs"]
mod rig;

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::routing::{get, post};
use plimsoll::series::stats;
use reqwest::{Method, RequestBuilder};
use rig::{Answer, Daemon, Listener, Prometheus};
use serde_json::{Value, json};

const TOKEN: &str = "plim_a-token-for-the-soak-only";
const RESOURCES: [&str; 4] = ["cpu_cores", "memory_gb", "api_requests_per_minute", "database_connections"];
const STEP: i64 = 60;
const DAYS: i64 = 4;
const LOOK_EVERY: Duration = Duration::from_secs(10);

fn number(name: &str, otherwise: u64) -> u64 {
    let words: Vec<String> = std::env::args().collect();
    let value = words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    value.map_or(otherwise, |value| value.parse().expect("a whole number"))
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// Even noise from 0 to 1 that belongs to its place.
fn noise(place: u64, at: i64) -> f64 {
    let mut state = place.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at.unsigned_abs();
    for _ in 0..3 {
        state = (state ^ (state >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    }
    (state >> 11) as f64 / (1_u64 << 53) as f64
}

/// Usage with a rhythm of a day, and spells of some minutes in which it doubles.
fn usage(tenant: u64, resource: usize, at: i64) -> f64 {
    let place = tenant * 8 + resource as u64;
    let scale = [2.0, 6.0, 900.0, 40.0][resource] * (0.4 + noise(place, 1));
    let daily = 0.3 * (TAU * (at as f64 / 86_400.0 + noise(place, 2))).sin();
    let spell = if noise(place, 1_000_000 + at / 1_200) > 0.985 { 2.0 } else { 1.0 };
    scale * spell * (0.7 + daily + 0.1 * noise(place, at / STEP))
}

/// What an exporter of the fleet says now.
fn exported(tenants: u64) -> String {
    let mut text = String::new();
    for (index, resource) in RESOURCES.iter().enumerate() {
        for tenant in 0..tenants {
            let value = usage(tenant, index, now());
            writeln!(text, "tenant_{resource}{{tenant=\"t{tenant}\"}} {value}").unwrap();
        }
    }
    for tenant in 0..tenants {
        let good = 0.9995 + noise(tenant, now()) / 2000.0;
        let fast = 0.99 + noise(tenant, now() / 60) / 50.0;
        writeln!(text, "tenant_good_share{{tenant=\"t{tenant}\"}} {good}").unwrap();
        writeln!(text, "tenant_fast_share{{tenant=\"t{tenant}\"}} {}", fast.min(1.0)).unwrap();
        writeln!(text, "tenant_inferences{{tenant=\"t{tenant}\"}} {}", now() % 86_400 * 2).unwrap();
    }
    text
}

/// The days before, as a file for Prometheus.
fn past(tenants: u64) -> String {
    let last = now() / STEP * STEP;
    let mut text = String::new();
    for (index, resource) in RESOURCES.iter().enumerate() {
        writeln!(text, "# TYPE tenant_{resource} gauge").unwrap();
        for tenant in 0..tenants {
            for at in (0..DAYS * 86_400 / STEP).rev().map(|age| last - age * STEP) {
                let value = usage(tenant, index, at);
                writeln!(text, "tenant_{resource}{{tenant=\"t{tenant}\"}} {value} {at}").unwrap();
            }
        }
    }
    text.push_str("# EOF\n");
    text
}

fn config(prometheus: &str, receiver: &str) -> String {
    let cache = number("--cache", 8);
    let mut text = format!(
        r#"
[server]
listen_address = "{address}"
token = "{TOKEN}"
[log]
format = "json"
# So small that it is soon full: what grows then is something else.
[store]
cache = "{cache}MiB"
[prometheus]
url = "{prometheus}"
step = "1m"
settle = "5s"
backfill = "{DAYS}d"
[cycle]
every = "15s"
[forecast]
refit_every = "10m"
trial = "1h"
[history]
window = "{DAYS}d"
keep = "5d"
[tenants]
discover = "PREMIUM"
provider = "aws"
region = "eu-central-1"
[costs]
budgets = ["fleet 100000USD/month"]
[sla]
availability = "avg_over_time(tenant_good_share[$window])"
latency = "avg_over_time(tenant_fast_share[$window]) + 0 * $seconds"
every = "1m"
[metering]
inference_requests = "max_over_time(tenant_inferences[$window])"
every = "1m"
[guardrails]
cool_down = "5m"
[notify]
allowed_networks = ["127.0.0.0/8"]
retry_waits = ["2s", "5s", "15s", "60s"]
[receivers.pager]
kind = "standard_webhooks"
url = "{receiver}/pager"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
[receivers.alerts]
kind = "alertmanager_webhook"
url = "{receiver}/alerts"
[receivers.archive]
kind = "folder"
folder = "reports"
[report_schedules.often]
cron = "*/5 * * * *"
tenants = ["t1"]
deliver_to = ["archive", "pager"]
[target]
kind = "file"
folder = "quotas"
reconcile_every = "1m"
[audit]
checkpoint_every = "5m"
"#,
        address = rig::free_address(),
    );
    for resource in RESOURCES {
        write!(text, "[resources.{resource}]\nexpression = \"max by (tenant) (tenant_{resource})\"\n")
            .unwrap();
    }
    text
}

/// What callers were answered, by what they did and the status.
#[derive(Default)]
struct Answers(std::sync::Mutex<BTreeMap<(&'static str, u16), u64>>);

impl Answers {
    async fn ask(
        &self,
        daemon: &Daemon,
        what: &'static str,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Value {
        let mut request = daemon.request(method, path);
        if let Some(body) = body {
            request = request.json(&body);
        }
        self.send(what, request).await
    }

    /// Counts the answer, and gives what it says; 0 stands for none.
    async fn send(&self, what: &'static str, request: RequestBuilder) -> Value {
        let answer = request.send().await;
        let status = answer.as_ref().map_or(0, |answer| answer.status().as_u16());
        *self.0.lock().unwrap().entry((what, status)).or_default() += 1;
        match answer {
            Ok(answer) => answer.json().await.unwrap_or_default(),
            Err(_) => Value::Null,
        }
    }
}

/// Everything that people and machines ask for, again and again until `until`.
async fn call(daemon: Arc<Daemon>, answers: Arc<Answers>, tenants: u64, until: Instant) {
    let mut turn = 0_u64;
    while Instant::now() < until {
        turn += 1;
        let tenant = format!("t{}", turn % tenants);
        let quotas = format!("/v1/tenants/{tenant}/quotas");
        let ask = |what, method, path: &str, body| {
            let (daemon, answers, path) = (Arc::clone(&daemon), Arc::clone(&answers), path.to_owned());
            async move { answers.ask(&daemon, what, method, &path, body).await }
        };
        ask("poll", Method::GET, &quotas, None).await;
        if turn % 50 == 7 {
            let one = format!("{quotas}/cpu_cores");
            let quota = ask("read", Method::GET, &one, None).await;
            let limit = quota["limit"].as_f64().unwrap_or(8.0);
            let request = daemon
                .request(Method::PUT, &one)
                .header("If-Match", format!("\"{}\"", quota["generation"]))
                .json(&json!({"limit": if limit > 12.0 { 6.0 } else { limit * 1.1 }, "reason": "soak"}));
            answers.send("change", request).await;
        }
        if turn % 100 == 11 {
            for path in
                ["/v1/fleet", "/v1/incidents?limit=50", "/v1/costs", "/v1/audit?limit=50", "/v1/models"]
            {
                ask("look", Method::GET, path, None).await;
            }
            ask("look at a tenant", Method::GET, &format!("/v1/tenants/{tenant}/assessments"), None).await;
            daemon.request(Method::GET, "/metrics").send().await.ok();
        }
        if turn % 200 == 23 {
            let waiting = ask("list", Method::GET, "/v1/recommendations?state=proposed&limit=5", None).await;
            if let Some(id) = waiting["items"][0]["id"].as_str() {
                let (path, body) = (format!("/v1/recommendations/{id}/approve"), json!({"comment": "soak"}));
                ask("approve", Method::POST, &path, Some(body)).await;
            }
            let mode = if turn % 400 == 23 { "approved" } else { "review" };
            let path = format!("/v1/tenants/{tenant}");
            ask("set the mode", Method::PATCH, &path, Some(json!({"apply_mode": mode}))).await;
        }
        if turn % 500 == 31 {
            let until = plimsoll::domain::Timestamp::from_seconds(now() + 60);
            let body = json!({"tenant": tenant, "until": until, "reason": "soak"});
            ask("silence", Method::POST, "/v1/silences", Some(body)).await;
            ask("report", Method::GET, "/v1/reports/fleet?format=html", None).await;
        }
        if turn % 1_500 == 47 {
            ask("roll out", Method::POST, "/v1/rollouts", Some(rollout(turn, tenants))).await;
            ask("reload", Method::POST, "/-/reload", None).await;
        }
        if turn % 3_000 == 61 {
            renew_template(&daemon, &answers, &tenant).await;
        }
        if turn % 6_000 == 53 {
            back_up(&daemon).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What tenants of a template are promised and granted; the latter is used up now
/// and then.
fn template(requests: u64) -> Value {
    json!({"name": "silver", "tier": "PREMIUM",
        "monitoring_config": {"sla_targets": {"latency_p99_ms": 250.0}},
        "ai_config": {"inference_requests_per_day": requests}})
}

/// Makes a new version, moves a tenant to it, and looks at what was made of it.
async fn renew_template(daemon: &Daemon, answers: &Answers, tenant: &str) {
    let any = |method, path: &str| daemon.request(method, path).header("If-Match", "*");
    let grant = template(if now() % 2 == 0 { 1_000 } else { 1_000_000 });
    answers.send("renew the template", any(Method::PUT, "/v1/templates/silver").json(&grant)).await;
    let moved = json!({"template": "silver", "reason": "soak"});
    answers.ask(daemon, "move", Method::PATCH, &format!("/v1/tenants/{tenant}"), Some(moved)).await;
    let copy = json!({"name": "copy"});
    answers.ask(daemon, "clone", Method::POST, "/v1/templates/silver/clone", Some(copy)).await;
    let copy = any(Method::DELETE, "/v1/templates/copy?reason=soak");
    answers.send("remove the clone", copy).await;
    for what in ["sla", "meters", "settings"] {
        let path = format!("/v1/tenants/{tenant}/{what}");
        answers.ask(daemon, "look at what is promised", Method::GET, &path, None).await;
    }
}

/// A canary that is watched for a minute, over a resource that nobody else changes.
fn rollout(turn: u64, tenants: u64) -> Value {
    let limit = if turn.is_multiple_of(2) { 1_500.0 } else { 2_000.0 };
    let change = |tenant| json!({"tenant": format!("t{tenant}"), "resource": RESOURCES[2], "limit": limit});
    let changes: Vec<Value> = (0..tenants.min(6)).map(change).collect();
    json!({"name": format!("turn {turn}"), "reason": "soak", "strategy": {"kind": "canary", "share": 0.5},
        "watch_seconds": 60, "take": {"kind": "changes", "changes": changes}})
}

/// Takes a backup while the daemon writes; the one before is replaced.
async fn back_up(daemon: &Arc<Daemon>) {
    let daemon = Arc::clone(daemon);
    let backed_up = tokio::task::spawn_blocking(move || {
        let output = daemon.folder().join("backup.tar").display().to_string();
        std::fs::remove_file(&output).ok();
        daemon.asked(&["store", "backup", "--live", "--output", &output])
    });
    let backed_up = backed_up.await.unwrap();
    assert!(backed_up.status.success(), "{}", String::from_utf8_lossy(&backed_up.stderr));
}

/// What the process holds: KiB of memory, of these KiB that are pages of files (of
/// the program itself, as far as it was used), KiB that the program and the caches
/// of its threads hold, open files, and threads.
async fn held(daemon: &Daemon) -> [f64; 5] {
    let id = daemon.id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let figure = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<f64>().ok()
    };
    let figure = |name: &str| figure(name).unwrap_or(0.0);
    let files = std::fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count);
    let metrics = daemon.request(Method::GET, "/metrics").send().await;
    let metrics = match metrics {
        Ok(answer) => answer.text().await.unwrap_or_default(),
        Err(_) => String::new(),
    };
    let allocated = metrics.lines().find_map(|line| line.strip_prefix("process_allocated_memory_bytes "));
    let allocated = allocated.and_then(|bytes| bytes.parse::<f64>().ok()).unwrap_or(0.0);
    [figure("VmRSS:"), figure("RssFile:"), allocated / 1024.0, files as f64, figure("Threads:")]
}

/// Each warning and error of a log in JSON, with how often it came.
fn complaints(log: &str) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for line in log.lines() {
        let told = serde_json::from_str::<Value>(line);
        let text = match &told {
            Ok(line) if matches!(line["level"].as_str(), Some("WARN" | "ERROR")) => {
                format!(
                    "{} {}",
                    line["level"].as_str().unwrap_or_default(),
                    line["message"].as_str().unwrap_or_default()
                )
            }
            Ok(_) => continue,
            Err(_) => format!("no JSON: {line}"),
        };
        // Ids and figures differ from line to line.
        let text: String = text.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
        *found.entry(text).or_default() += 1;
    }
    found
}

fn main() {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(soak());
}

/// Counts what is exported, and throws it away.
async fn taken(count: Arc<AtomicU64>) {
    count.fetch_add(1, Ordering::Relaxed);
}

async fn soak() {
    let (minutes, tenants) = (number("--minutes", 60), number("--tenants", 25));
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let exporter = socket.local_addr().unwrap().to_string();
    let spans = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&spans);
    // What is scraped, and where spans go.
    let routes = Router::new()
        .route("/metrics", get(move || async move { exported(tenants) }))
        .route("/v1/traces", post(move || taken(Arc::clone(&count))));
    tokio::spawn(async move { axum::serve(socket, routes).await });
    let prometheus = Prometheus::start_scraping(&past(tenants), &exporter).await;
    let receiver = Listener::start(&[]).await;
    let collector = format!("http://{exporter}");
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", collector.as_str())];
    let daemon = Daemon::start_among(&config(&prometheus.url, &receiver.url), &environment).await;
    let daemon = Arc::new(daemon);
    println!(
        "{tenants} tenants, {} series, {minutes} min, cycles every 15 s",
        tenants as usize * RESOURCES.len()
    );

    let (begin, end) = (Instant::now(), Instant::now() + Duration::from_secs(60 * minutes));
    let answers = Arc::new(Answers::default());
    answers.ask(&daemon, "make a template", Method::POST, "/v1/templates", Some(template(1_000_000))).await;
    let calls: Vec<_> =
        (0..2).map(|_| tokio::spawn(call(Arc::clone(&daemon), Arc::clone(&answers), tenants, end))).collect();
    let looks = AtomicU64::new(0);
    let mut seen = Vec::new();
    while Instant::now() < end {
        tokio::time::sleep(LOOK_EVERY.min(end - Instant::now())).await;
        seen.push(held(&daemon).await);
        // A receiver is down for a minute in every ten.
        let look = looks.fetch_add(1, Ordering::Relaxed);
        receiver.otherwise(Answer::Status(if look % 60 < 54 { 204 } else { 503 }));
    }
    for one in calls {
        one.await.unwrap();
    }
    println!("ran for {:.0} min", begin.elapsed().as_secs_f64() / 60.0);
    for (quarter, looks) in seen.chunks(seen.len().div_ceil(4).max(1)).enumerate() {
        let [memory, of_files, allocated, files, threads] = [0, 1, 2, 3, 4]
            .map(|which| stats::median(&looks.iter().map(|one| one[which]).collect::<Vec<_>>()).unwrap());
        println!(
            "quarter {}: median {:.0} MiB resident, {:.0} MiB of them pages of the program's file, {:.1} MiB \
             handed out, {files:.0} files, {threads:.0} threads",
            quarter + 1,
            memory / 1024.0,
            of_files / 1024.0,
            allocated / 1024.0
        );
    }
    for ((what, status), count) in answers.0.lock().unwrap().iter() {
        println!("{what}: {count} x {status}");
    }
    println!(
        "{} notices and {} batches of spans came",
        receiver.posted().len(),
        spans.load(Ordering::Relaxed)
    );
    for (text, count) in complaints(&daemon.said()) {
        println!("{count} x {text}");
    }
}
