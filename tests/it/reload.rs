//! The config read again by a running daemon, over the API and by SIGHUP: all of
//! it or nothing, and what only a start can take is named.

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Daemon, Listener, Prometheus, free_address};
use crate::setup::{config_for, daily_usage};

const MEMORY: &str = "[resources.memory_gb]\nexpression = \"max by (tenant) (2 * tenant_cpu_cores)\"\n";

async fn reload(caller: &Caller) -> (u16, Value) {
    caller.post("/-/reload", &json!({})).await
}

/// Waits until the daemon's metrics hold a line.
async fn wait_for_line(caller: &Caller, line: &str) {
    let holds = || async { caller.text("/metrics").await.1.lines().any(|one| one.starts_with(line)) };
    caller.wait_until(line, holds).await;
}

/// The first line of the daemon's metrics that begins so.
async fn line(caller: &Caller, beginning: &str) -> String {
    let (_, metrics) = caller.text("/metrics").await;
    let found = metrics.lines().find(|line| line.starts_with(beginning));
    found.unwrap_or_else(|| panic!("no {beginning:?} in {metrics}")).to_owned()
}

/// A receiver, and the leave to reach it.
fn hook(listener: &Listener) -> String {
    format!(
        "[receivers.hook]\nkind = \"cloudevents\"\nurl = \"{}\"\n\
         [notify]\npoll_every = \"20ms\"\nallowed_networks = [\"127.0.0.0/8\"]\n",
        listener.url
    )
}

async fn receivers(caller: &Caller) -> Vec<Value> {
    caller.get("/v1/receivers").await.1["items"].as_array().unwrap().clone()
}

/// A daemon that has collected by this config.
async fn started(config: &str) -> (Daemon, Caller) {
    let daemon = Daemon::start(config).await;
    let caller = Caller::of(&daemon);
    wait_for_line(&caller, "plimsoll_series{resource=\"cpu_cores\"} 1").await;
    wait_for_line(&caller, "plimsoll_config_last_reload_successful 1").await;
    (daemon, caller)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_is_taken_as_a_whole_or_not_at_all() {
    let prometheus = Prometheus::start(&daily_usage("acme", 3, 2.0)).await;
    let listener = Listener::start(&[]).await;
    let first = config_for(&prometheus.url, "");
    let (daemon, caller) = started(&first).await;

    // What could be taken of a config with problems is not taken either.
    daemon.write_config(&format!("{first}{MEMORY}[guardrails]\nlargest_step_up = \"much\"\n[nonsense]\n"));
    let (status, problem) = reload(&caller).await;
    assert_eq!(status, 422, "{problem}");
    let problems = problem["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 2, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("nothing is changed"), "{problem}");
    let text = problem.to_string();
    for part in ["guardrails.largest_step_up", "nonsense", "plimsoll.toml:"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert!(daemon.said().contains("guardrails.largest_step_up"), "{}", daemon.said());
    wait_for_line(&caller, "plimsoll_config_last_reload_successful 0").await;
    assert!(!caller.text("/metrics").await.1.contains("memory_gb"), "half of it was taken");

    // A part that can't be built is a problem, too, though the text is right.
    daemon.write_config(&format!("{first}file = \"no-such-book.toml\"\n"));
    let (status, problem) = reload(&caller).await;
    assert_eq!(status, 422, "{problem}");
    assert!(problem.to_string().contains("no-such-book.toml"), "{problem}");

    let moved = first.replace(daemon.url.trim_start_matches("http://"), &free_address());
    let second = format!("{moved}{MEMORY}{}[log]\nlevel = \"debug\"\n", hook(&listener));
    daemon.write_config(&second);
    let (status, taken) = reload(&caller).await;
    assert_eq!(status, 200, "{taken}");
    let keys = |list: &Value| -> Vec<String> { serde_json::from_value(list.clone()).unwrap() };
    for key in ["resources.memory_gb.expression", "receivers.hook.url", "notify.poll_every", "log.level"] {
        assert!(keys(&taken["taken"]).contains(&key.to_owned()), "{key} is not in {taken}");
    }
    assert_eq!(keys(&taken["needs_restart"]), ["server.listen_address"]);
    wait_for_line(&caller, "plimsoll_series{resource=\"memory_gb\"} 1").await;
    wait_for_line(&caller, "plimsoll_config_last_reload_successful 1").await;
    assert_eq!(receivers(&caller).await[0]["name"], "hook");
    let (status, said) = caller.post("/v1/receivers/hook/test", &json!({})).await;
    assert_eq!((status, &said["taken"]), (200, &json!(true)), "{said}");
    listener.wait_for(1).await;
    assert!(daemon.said().contains("DEBUG"), "the log level was taken");

    // The way back, by the signal. What is not measured any more is let go.
    daemon.write_config(&first);
    daemon.hang_up();
    let gone =
        || async { !caller.text("/metrics").await.1.contains("plimsoll_series{resource=\"memory_gb\"}") };
    caller.wait_until("memory is measured no more", gone).await;
    assert!(receivers(&caller).await.is_empty());
    // The line of the log is written once the config has been taken.
    let lines = || async { caller.get("/v1/audit?action=config_reloaded").await.1["items"].clone() };
    let both = || async { lines().await.as_array().is_some_and(|lines| lines.len() == 2) };
    caller.wait_until("both are in the audit log", both).await;
    let log = lines().await;
    assert_ne!(log[0]["actor"], log[1]["actor"], "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_takes_nothing_of_a_config_with_a_problem() {
    let prometheus = Prometheus::start(&daily_usage("acme", 3, 2.0)).await;
    let listener = Listener::start(&[]).await;
    let first = config_for(&prometheus.url, "");
    let (daemon, caller) = started(&first).await;
    let taken_at = "plimsoll_config_last_reload_success_timestamp_seconds ";
    let at_the_start = line(&caller, taken_at).await;

    let second = format!("{first}{MEMORY}{}", hook(&listener));
    daemon.write_config(&format!("{second}[guardrails]\nlargest_step_up = \"much\"\n"));
    daemon.hang_up();
    wait_for_line(&caller, "plimsoll_config_last_reload_successful 0").await;
    // There is no answer to a signal, only the log, which is written right after.
    let named = || async {
        let said = daemon.said();
        ["nothing is changed", "guardrails.largest_step_up", "plimsoll.toml:"]
            .into_iter()
            .all(|part| said.contains(part))
    };
    caller.wait_until("the log names the problem", named).await;
    let cycles = line(&caller, "plimsoll_cycles_total ").await;
    let another = || async { line(&caller, "plimsoll_cycles_total ").await != cycles };
    caller.wait_until("the daemon has gone on", another).await;
    assert!(receivers(&caller).await.is_empty(), "half of it was taken");
    assert!(!caller.text("/metrics").await.1.contains("memory_gb"), "half of it was taken");
    assert_eq!(line(&caller, taken_at).await, at_the_start);
    let lines = || async { caller.get("/v1/audit?action=config_reloaded").await.1["items"].clone() };
    assert_eq!(lines().await, json!([]));

    daemon.write_config(&second);
    daemon.hang_up();
    wait_for_line(&caller, "plimsoll_config_last_reload_successful 1").await;
    wait_for_line(&caller, "plimsoll_series{resource=\"memory_gb\"} 1").await;
    assert_eq!(receivers(&caller).await[0]["name"], "hook");
    // The line of the log is written once the config has been taken.
    let one = || async { lines().await.as_array().is_some_and(|lines| lines.len() == 1) };
    caller.wait_until("it is in the audit log", one).await;
}
