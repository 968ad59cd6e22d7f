//! Notices on their way from the outbox to receivers: servers that fail, hang,
//! redirect and say that they are gone, a real Alertmanager, the standard's own
//! library, and a daemon that is killed between writing and delivering.

use std::process::Command;
use std::time::Duration;

use plimsoll::domain::{Notice, NoticeKind, Severity, Timestamp};
use plimsoll::ports::{Batch, Store};
use plimsoll::registry::outbox::enqueue;
use plimsoll::store::{DiskKind, DiskSettings, DiskStore};
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Alertmanager, Answer, Daemon, Listener, said_by_the_library, verified};
use crate::setup::{TOKEN, config_for, nowhere};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD_SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const NEAR: &str = "allowed_networks = [\"127.0.0.0/8\"]";

/// A config with these settings of notices and receivers.
fn config(notify: &str, receivers: &str) -> String {
    let fixed = "poll_every = \"20ms\"\ntime_limit = \"500ms\"";
    config_for(&nowhere(), &format!("[notify]\n{fixed}\n{notify}\n{receivers}"))
}

fn receiver(name: &str, kind: &str, url: &str, more: &str) -> String {
    format!("[receivers.{name}]\nkind = \"{kind}\"\nurl = \"{url}\"\n{more}\n")
}

fn now() -> Timestamp {
    Timestamp::from_millis(chrono::Utc::now().timestamp_millis())
}

fn notice(kind: NoticeKind, subject: &str) -> Notice {
    let since = now().minus(Duration::from_secs(60));
    Notice {
        id: uuid::Uuid::from_u128(rand::random()),
        at: if kind == NoticeKind::IncidentResolved { now() } else { since },
        since,
        kind,
        tenant: Some("acme".parse().unwrap()),
        severity: Severity::Critical,
        subject: subject.to_owned(),
        title: format!("{subject} of acme"),
        text: "9 cores where 2 are usual".to_owned(),
        detail: json!({"actual": 9.0}),
        trace: None,
        only_for: Vec::new(),
    }
}

/// Writes notices into the outbox of a daemon that has ended, as the engine
/// does, and starts it again.
async fn with_notices(daemon: &mut Daemon, notices: &[Notice]) {
    daemon.kill();
    let store = DiskStore::open(&daemon.folder().join("data/state"), DiskKind::Redb, DiskSettings::default())
        .unwrap();
    let mut batch = Batch::default();
    for notice in notices {
        enqueue(&mut batch, notice).unwrap();
    }
    store.commit(batch).await.unwrap();
    store.close().unwrap();
    drop(store);
    daemon.start_again().await;
}

async fn dead_letters(caller: &Caller) -> Vec<Value> {
    caller.get("/v1/dead-letters").await.1["items"].as_array().unwrap().clone()
}

fn ids(listener: &Listener) -> Vec<String> {
    listener.posted().iter().map(|posted| posted.header("webhook-id").to_owned()).collect()
}

fn signed(url: &str) -> String {
    receiver("hook", "standard_webhooks", url, &format!("secret = \"{SECRET}\""))
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_keep_the_id_and_an_end_never_overtakes_its_beginning() {
    let listener =
        Listener::start(&[Answer::Status(500), Answer::Redirect, Answer::Hang, Answer::RetryAfter(1)]).await;
    let waits = format!("retry_waits = [\"20ms\", \"20ms\", \"20ms\", \"20ms\", \"20ms\"]\n{NEAR}");
    let mut daemon = Daemon::start(&config(&waits, &signed(&format!("{}/hook", listener.url)))).await;
    let (opened, resolved) =
        (notice(NoticeKind::IncidentOpened, "i-1"), notice(NoticeKind::IncidentResolved, "i-1"));
    with_notices(&mut daemon, &[opened.clone(), resolved.clone()]).await;
    let posted = listener.wait_for(6).await;
    let (first, second) = (opened.id.to_string(), resolved.id.to_string());
    let sent = [&first, &first, &first, &first, &first, &second].map(String::as_str);
    assert_eq!(ids(&listener).iter().map(String::as_str).collect::<Vec<_>>(), sent);
    assert!(posted.iter().all(|one| one.path == "/hook"), "a redirect is not followed");
    assert!(posted[4].at.duration_since(posted[3].at) >= Duration::from_secs(1), "Retry-After is heeded");
    assert_eq!(posted[5].json()["type"], "plimsoll.incident.resolved");
    let caller = Caller::of(&daemon);
    caller
        .wait_until("nothing is on its way", || async {
            let (_, metrics) = caller.text("/metrics").await;
            metrics.contains("plimsoll_outbox_waiting 0")
                && metrics
                    .contains("plimsoll_deliveries_total{kind=\"standard_webhooks\",outcome=\"taken\"} 2")
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_slow_but_in_time_counts_and_holds_only_its_incident_up() {
    let slow = Duration::from_millis(300);
    let listener = Listener::start(&[]).await;
    listener.otherwise(Answer::Slow(slow));
    let mut daemon = Daemon::start(&config(NEAR, &signed(&listener.url))).await;
    let notices = [
        notice(NoticeKind::IncidentOpened, "i-1"),
        notice(NoticeKind::IncidentResolved, "i-1"),
        notice(NoticeKind::IncidentOpened, "i-2"),
    ];
    with_notices(&mut daemon, &notices).await;
    let posted = listener.wait_for(3).await;
    let at = |notice: &Notice| {
        let id = notice.id.to_string();
        posted.iter().find(|one| one.header("webhook-id") == id).unwrap().at
    };
    let [opened, resolved, other] = [&notices[0], &notices[1], &notices[2]].map(at);
    assert!(resolved.duration_since(opened) >= slow, "the end waits for the answer to the beginning");
    assert!(other.duration_since(opened) < slow, "another incident does not");
    let caller = Caller::of(&daemon);
    caller
        .wait_until("all are taken", || async {
            let (_, metrics) = caller.text("/metrics").await;
            metrics.contains("plimsoll_deliveries_total{kind=\"standard_webhooks\",outcome=\"taken\"} 3")
        })
        .await;
    assert_eq!(listener.posted().len(), 3, "none is sent twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_before_it_delivered_loses_nothing() {
    let listener = Listener::start(&[]).await;
    listener.otherwise(Answer::Hang);
    let waits = format!("retry_waits = [\"50ms\", \"50ms\", \"50ms\"]\n{NEAR}");
    let mut daemon = Daemon::start(&config(&waits, &signed(&listener.url))).await;
    let notices: Vec<Notice> =
        (0..20).map(|number| notice(NoticeKind::IncidentOpened, &format!("i-{number}"))).collect();
    with_notices(&mut daemon, &notices).await;
    listener.wait_for(1).await;
    daemon.kill();
    listener.otherwise(Answer::Status(200));
    daemon.start_again().await;
    let caller = Caller::of(&daemon);
    caller
        .wait_until("every notice has come", || async {
            let got = ids(&listener);
            notices.iter().all(|notice| got.contains(&notice.id.to_string()))
        })
        .await;
    assert_eq!(dead_letters(&caller).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_can_be_looked_at_and_sent_again() {
    let listener = Listener::start(&[Answer::Status(500), Answer::Status(500)]).await;
    let settings = format!("retry_waits = [\"20ms\"]\n{NEAR}");
    let mut daemon = Daemon::start(&config(&settings, &signed(&listener.url))).await;
    let opened = notice(NoticeKind::IncidentOpened, "i-1");
    with_notices(&mut daemon, std::slice::from_ref(&opened)).await;
    let caller = Caller::of(&daemon);
    caller.wait_until("it is given up", || async { dead_letters(&caller).await.len() == 1 }).await;
    let dead = dead_letters(&caller).await.remove(0);
    assert_eq!(dead["notice"]["id"], json!(opened.id), "{dead:#}");
    assert_eq!((dead["attempts"].as_u64(), dead["number"].as_u64()), (Some(2), Some(1)), "{dead:#}");
    assert!(dead["last_error"].as_str().unwrap().contains("500"), "{dead:#}");

    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
            .args(["notify", "--server", &daemon.url, "--token", TOKEN])
            .args(arguments)
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (_, listed) = run(&["dead-letters"]);
    assert!(listed.contains("hook") && listed.contains("i-1 of acme"), "{listed}");
    assert!(run(&["send-again", "hook", "1"]).0);
    listener.wait_for(3).await;
    assert_eq!(ids(&listener), vec![opened.id.to_string(); 3]);
    caller.wait_until("it is no dead letter", || async { dead_letters(&caller).await.is_empty() }).await;
    assert!(!run(&["send-again", "hook", "1"]).0, "there is none left");

    let (taken, said) = run(&["test", "hook"]);
    assert!(taken && said.contains("has taken the test"), "{said}");
    assert_eq!(listener.posted()[3].json()["type"], "plimsoll.test");
    let (_, audit) = caller.get("/v1/audit").await;
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!(actions[..2], ["receiver_tested", "notice_sent_again"], "{audit:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_gone_is_sent_nothing_more_until_it_is_enabled() {
    let listener = Listener::start(&[Answer::Status(410)]).await;
    let mut daemon = Daemon::start(&config(NEAR, &signed(&listener.url))).await;
    let both = [notice(NoticeKind::IncidentOpened, "i-1"), notice(NoticeKind::IncidentResolved, "i-1")];
    with_notices(&mut daemon, &both).await;
    let caller = Caller::of(&daemon);
    caller.wait_until("both are given up", || async { dead_letters(&caller).await.len() == 2 }).await;
    assert_eq!(listener.posted().len(), 1);
    let (_, known) = caller.get("/v1/receivers/hook").await;
    assert!(known["disabled"]["reason"].as_str().unwrap().contains("410"), "{known:#}");
    assert_eq!(caller.post("/v1/receivers/hook/enable", &json!({})).await.0, 200);
    // The end goes first; then its beginning would overtake it.
    assert_eq!(caller.post("/v1/dead-letters/hook/2/send-again", &json!({})).await.0, 202);
    listener.wait_for(2).await;
    caller
        .wait_until("sending the beginning is refused", || async {
            caller.post("/v1/dead-letters/hook/1/send-again", &json!({})).await.0 == 409
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_receiver_reaches_the_daemons_neighbours_unless_it_may() {
    let listener = Listener::start(&[]).await;
    let by_name = listener.url.replace("127.0.0.1", "localhost");
    let receivers = signed(&listener.url) + &receiver("named", "slack", &by_name, "");
    let daemon = Daemon::start(&config("", &receivers)).await;
    let caller = Caller::of(&daemon);
    for name in ["hook", "named"] {
        let (status, outcome) = caller.post(&format!("/v1/receivers/{name}/test"), &json!({})).await;
        assert_eq!((status, outcome["taken"].as_bool()), (200, Some(false)), "{outcome:#}");
        assert!(outcome["error"].as_str().unwrap().contains("no public address"), "{outcome:#}");
    }
    let (status, refused) =
        caller.put("/v1/receivers/new", None, &json!({"kind": "slack", "url": listener.url})).await;
    assert!(status == 422 && refused["detail"].as_str().unwrap().contains("allowed_networks"), "{refused:#}");
    assert!(listener.posted().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_made_over_the_api_keep_their_secrets_to_themselves() {
    let listener = Listener::start(&[]).await;
    let mut daemon = Daemon::start(&config(NEAR, "")).await;
    let caller = Caller::of(&daemon);
    let url = format!("{}/services/T0/key", listener.url);
    let path = "/v1/receivers/hook";
    let put = |body: Value| {
        let caller = caller.clone();
        async move { caller.put(path, None, &body).await }
    };
    let made = json!({"kind": "standard_webhooks", "url": url, "secret": SECRET,
        "wanted": {"kinds": ["incident_resolved"]}});
    let (status, view) = put(made).await;
    assert_eq!(status, 201, "{view:#}");
    let rotated = json!({"kind": "standard_webhooks", "url": url, "secret": OLD_SECRET, "old_secret": SECRET,
        "wanted": {"kinds": ["incident_resolved"]}});
    assert_eq!(put(rotated).await.0, 200);
    assert_eq!(put(json!({"kind": "slack", "url": "ftp://x"})).await.0, 422);
    assert_eq!(put(json!({"kind": "standard_webhooks", "url": url})).await.0, 422);
    assert_eq!(put(json!({"kind": "slack", "url": url, "colour": 1})).await.0, 422);
    let (status, problem) =
        put(json!({"kind": "alertmanager", "url": url, "replicas": vec![&url; 17]})).await;
    assert!(status == 422 && problem.to_string().contains("notify.max_replicas"), "{problem:#}");
    let (_, audit) = caller.get("/v1/audit").await;
    let (_, list) = caller.get("/v1/receivers").await;
    let shown = format!("{view}{audit}{list}{}", daemon.said());
    for secret in [&SECRET[6..], &OLD_SECRET[6..], "T0/key"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_eq!(list["items"][0]["old_secret_hint"], "…LaSw", "{list:#}");
    let both = [notice(NoticeKind::IncidentOpened, "i-1"), notice(NoticeKind::IncidentResolved, "i-1")];
    with_notices(&mut daemon, &both).await;
    let posted = listener.wait_for(1).await;
    assert_eq!(posted[0].json()["type"], "plimsoll.incident.resolved", "the other one is not wanted");
    assert_eq!(posted[0].header("webhook-signature").split(' ').count(), 2);
    assert_eq!(caller.call(reqwest::Method::DELETE, path, None, None).await.unwrap().0, 204);
    assert_eq!(caller.get(path).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alertmanager_is_told_until_the_end_and_tells_on_once() {
    let hook = Listener::start(&[]).await;
    let alertmanager = Alertmanager::start(&hook.url).await;
    let replicas = format!("replicas = [\"{}\"]", alertmanager.url);
    let receivers = receiver("am", "alertmanager", &nowhere(), &replicas);
    let settings = format!("resend_every = \"200ms\"\n{NEAR}");
    let mut daemon = Daemon::start(&config(&settings, &receivers)).await;
    let opened = Notice { severity: Severity::Warning, ..notice(NoticeKind::IncidentOpened, "i-1") };
    with_notices(&mut daemon, &[opened]).await;
    let told = hook.wait_for(1).await;
    assert_eq!(told[0].json()["status"], "firing");
    // Far longer than an alert lasts that is not told again.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let active = alertmanager.active().await;
    assert_eq!(active.len(), 1, "{active:#?}");
    assert_eq!(active[0]["labels"]["tenant"], "acme");
    assert_eq!(hook.posted().len(), 1, "the same alert is told on once");
    with_notices(&mut daemon, &[notice(NoticeKind::IncidentResolved, "i-1")]).await;
    let told = hook.wait_for(2).await;
    assert_eq!(told[1].json()["status"], "resolved", "{:#}", told[1].json());
    assert_eq!(told[1].json()["alerts"][0]["labels"]["severity"], "warning");
    let caller = Caller::of(&daemon);
    caller.wait_until("no alert is active", || async { alertmanager.active().await.is_empty() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_standards_own_library_verifies_the_signatures() {
    let listener = Listener::start(&[]).await;
    let secrets = format!("secret = \"{SECRET}\"\nold_secret = \"{OLD_SECRET}\"");
    let receivers = receiver("hook", "standard_webhooks", &listener.url, &secrets);
    let mut daemon = Daemon::start(&config(NEAR, &receivers)).await;
    with_notices(&mut daemon, &[notice(NoticeKind::IncidentOpened, "i-1")]).await;
    let posted = listener.wait_for(1).await.remove(0);
    for secret in [SECRET, OLD_SECRET] {
        assert_eq!(verified(&posted, secret)["type"], "plimsoll.incident.opened");
    }
    let Some(said) = said_by_the_library(&posted, &[SECRET, OLD_SECRET]) else { return };
    let good = "good plimsoll.incident.opened\n";
    assert_eq!(said, format!("{good}{good}refused\nrefused\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_templates_receivers_are_the_only_ones_told_of_its_tenants() {
    let (pager, all) = (Listener::start(&[]).await, Listener::start(&[]).await);
    let receivers =
        receiver("pager", "cloudevents", &pager.url, "") + &receiver("all", "cloudevents", &all.url, "");
    let mut daemon = Daemon::start(&config(NEAR, &receivers)).await;
    let caller = Caller::of(&daemon);
    let gold = json!({"name": "gold", "tier": "FREE", "monitoring_config": {"alert_receivers": ["pager"]}});
    assert_eq!(caller.post("/v1/templates", &gold).await.0, 201);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "template": "gold"})).await.0, 201);
    let of_acme = notice(NoticeKind::IncidentOpened, "i-1");
    let tenant = Some("beta".parse().unwrap());
    let of_beta = Notice { tenant, ..notice(NoticeKind::IncidentOpened, "i-2") };
    with_notices(&mut daemon, &[of_acme.clone(), of_beta.clone()]).await;
    let told = |listener: &Listener| -> Vec<Value> {
        listener.posted().iter().map(|posted| posted.json()["id"].clone()).collect()
    };
    pager.wait_for(2).await;
    all.wait_for(1).await;
    assert_eq!(told(&all), [json!(of_beta.id)], "nobody else hears of acme");
    assert!(told(&pager).contains(&json!(of_acme.id)), "{:?}", told(&pager));
}
