//! Reports with real processes: a Prometheus, the daemon, a mail server, a
//! webhook, and a person at the command line.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use plimsoll::domain::{ReportFormat, Timestamp};
use plimsoll::ports::{Expect, Store, Table, Write};
use plimsoll::series::table;
use plimsoll::store::{DiskKind, DiskSettings, DiskStore};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::caller::Caller;
use crate::rig::{Authority, Daemon, Listener, MailServer, Prometheus};
use crate::setup::{config_for, daily_usage};

async fn wait_ready(caller: &Caller) {
    caller.wait_until("it is ready", || async { caller.text("/-/ready").await.0 == 200 }).await;
}

async fn register(caller: &Caller, tenant: &Value) {
    let (status, made) = caller.post("/v1/tenants", tenant).await;
    assert_eq!(status, 201, "{made:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_comes_in_every_format_and_language() {
    let prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, "")).await;
    let caller = Caller::of(&daemon);
    let branded = json!({"name": "white", "tier": "WHITE_LABEL",
        "branding": {"product_name": "Acme <Cloud>", "primary_color": "#ffcc00"}});
    assert_eq!(caller.post("/v1/templates", &branded).await.0, 201);
    register(
        &caller,
        &json!({"id": "acme", "template": "white", "provider": "aws", "region": "eu-central-1"}),
    )
    .await;
    caller
        .wait_until("a quota is recommended", || async {
            let (_, found) = caller.get("/v1/recommendations?state=proposed").await;
            found["items"].as_array().is_some_and(|items| !items.is_empty())
        })
        .await;
    // A raise by hand, so that there is a change that has cost something.
    let quota = "/v1/tenants/acme/quotas/cpu_cores";
    assert_eq!(caller.put(quota, Some("\"1\""), &json!({"limit": 140.0})).await.0, 200);
    // A time up to now leaves out what happens in this very millisecond.
    tokio::time::sleep(Duration::from_millis(2)).await;

    let (status, fleet) = caller.get("/v1/reports/fleet?format=json").await;
    assert_eq!((status, &fleet["about"], &fleet["tenants"]), (200, &json!("fleet"), &json!(1)), "{fleet:#}");
    assert_eq!(fleet["applied"]["list"]["rows"][0]["after"], 140.0, "{fleet:#}");
    let rate = fleet["applied"]["savings"]["rate"]["amount"].as_str().unwrap();
    assert!(rate.starts_with('-'), "a raise costs: {rate}");
    let (_, savings) = caller.get("/v1/costs/savings").await;
    assert_eq!(savings["total"]["rate"]["amount"], rate, "the report has the measured savings");
    assert!(fleet["accuracy"][0]["values"].as_u64() > Some(0), "{fleet:#}");

    let folder = tempfile::tempdir().unwrap();
    for format in ReportFormat::ALL {
        for about in [&["--tenant", "acme"][..], &[]] {
            let file = folder.path().join(format!("{}-{format}.{}", about.len(), format.ending()));
            let name = file.to_str().unwrap();
            let arguments = [&["report", "--format", format.name(), "--output", name], about].concat();
            let output = daemon.asked(&arguments);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert!(std::fs::metadata(&file).unwrap().len() > 500, "{name}");
        }
    }
    let page = std::fs::read_to_string(folder.path().join("2-html.html")).unwrap();
    assert!(page.contains("Acme &lt;Cloud&gt;") && page.contains("--brand: #ffcc00"), "{page}");
    assert!(
        page.contains("class=\"usage\"") && page.contains("class=\"band\""),
        "usage and forecast are drawn"
    );
    let rows = table::read(&folder.path().join("0-parquet.parquet")).unwrap().rows();
    assert!(rows > 20, "{rows} rows");
    let german = daemon.asked(&["report", "--format", "markdown", "--language", "de"]);
    assert!(String::from_utf8_lossy(&german.stdout).starts_with("# Flottenbericht\n"));

    let answer = daemon.get("/v1/reports/tenants/acme").send().await.unwrap();
    assert!(answer.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    for (path, status) in [
        ("/v1/reports/tenants/nobody", 404),
        ("/v1/reports/fleet?format=pdf", 400),
        ("/v1/reports/fleet?language=fr", 400),
        ("/v1/reports/fleet?from=2999-01-01", 400),
        ("/v1/reports/00000000-0000-0000-0000-000000000000", 404),
    ] {
        assert_eq!(caller.get(path).await.0, status, "{path}");
    }
    assert_eq!(caller.get("/v1/reports").await.1["items"], json!([]), "what was asked for is not kept");
    let output = daemon.asked(&["report", "--tenant", "nobody"]);
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Schedules, receivers, and how quickly it is tried.
fn scheduled(schedule: &str, receivers: &str) -> String {
    format!(
        "[notify]\npoll_every = \"20ms\"\nretry_waits = [\"50ms\", \"50ms\", \"50ms\"]\n\
         allowed_networks = [\"127.0.0.0/8\"]\n[reports]\ncheck_every = \"50ms\"\n\
         [report_schedules.weekly]\ncron = \"0 7 * * MON\"\ntime_zone = \"Europe/Berlin\"\n{schedule}\n{receivers}"
    )
}

/// Lets a daemon that has ended believe that it saw its schedule weeks ago, as
/// it does after a long rest, and starts it again.
async fn after_a_long_rest(daemon: &mut Daemon) {
    daemon.kill();
    let store = DiskStore::open(&daemon.folder().join("data/state"), DiskKind::Redb, DiskSettings::default())
        .unwrap();
    let weeks = Duration::from_secs(30 * 86_400);
    let then = Timestamp::from_millis(chrono::Utc::now().timestamp_millis()).minus(weeks);
    let run = json!({"seen_at": then, "last_due": then});
    let put = Write::Put {
        table: Table::ReportRuns,
        key: "weekly".to_owned(),
        expect: Expect::Anything,
        bytes: serde_json::to_vec(&run).unwrap(),
    };
    store.commit(plimsoll::ports::Batch { writes: vec![put] }).await.unwrap();
    store.close().unwrap();
    drop(store);
    daemon.start_again().await;
}

async fn files_in(folder: &Path, count: usize) -> Vec<PathBuf> {
    let begin = Instant::now();
    loop {
        let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        let mut found: Vec<PathBuf> =
            entries.filter(|path| !path.file_name().unwrap().to_str().unwrap().starts_with('.')).collect();
        if found.len() >= count {
            found.sort();
            return found;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "only {found:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_missed_is_made_once_and_delivered_to_folder_and_webhook() {
    let prometheus = Prometheus::start(&daily_usage("acme", 9, 2.0)).await;
    let hook = Listener::start(&[]).await;
    let receivers = format!(
        "[receivers.archive]\nkind = \"folder\"\nfolder = \"reports\"\nkinds = [\"report\"]\n\
         [receivers.hook]\nkind = \"cloudevents\"\nurl = \"{}\"\nkinds = [\"report\"]\n\
         [receivers.other]\nkind = \"cloudevents\"\nurl = \"{}/other\"\n",
        hook.url, hook.url
    );
    let schedule =
        "format = \"markdown\"\nlanguage = \"de\"\ntenants = [\"*\"]\ndeliver_to = [\"archive\", \"hook\"]";
    let mut daemon = Daemon::start(&config_for(&prometheus.url, &scheduled(schedule, &receivers))).await;
    let caller = Caller::of(&daemon);
    register(&caller, &json!({"id": "acme", "tier": "PREMIUM", "provider": "aws", "region": "eu-central-1"}))
        .await;
    wait_ready(&caller).await;
    assert_eq!(
        caller.get("/v1/reports").await.1["items"],
        json!([]),
        "nothing was due since it first started"
    );
    after_a_long_rest(&mut daemon).await;

    let files = files_in(&daemon.folder().join("reports"), 2).await;
    let names: Vec<&str> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert!(names[0].starts_with("weekly-acme-") && names[1].starts_with("weekly-fleet-"), "{names:?}");
    assert!(names.iter().all(|name| name.ends_with("0600Z.md") || name.ends_with("0500Z.md")), "{names:?}");
    assert!(std::fs::read_to_string(&files[1]).unwrap().starts_with("# Flottenbericht"));
    let posted = hook.wait_for(2).await;
    assert!(posted.iter().all(|one| one.path == "/"), "who is not named is not told");
    let told = posted.iter().map(|one| one.json()).find(|event| event["data"]["tenant"].is_null()).unwrap();
    assert_eq!(told["type"], "plimsoll.report.made", "{told:#}");
    let path = told["data"]["detail"]["path"].as_str().unwrap();
    let (status, kept) = caller.text(path).await;
    assert_eq!(
        (status, kept),
        (200, std::fs::read_to_string(&files[1]).unwrap()),
        "the same file is read there"
    );

    // Nothing is made twice, whatever happens.
    daemon.kill();
    daemon.start_again().await;
    wait_ready(&caller).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (_, list) = caller.get("/v1/reports").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "four Mondays were missed, one is made: {list:#}");
    assert_eq!(hook.posted().len(), 2);
    // The next one has this one to be compared with.
    register(&caller, &json!({"id": "new", "tier": "FREE", "provider": "aws", "region": "eu-central-1"}))
        .await;
    let (_, fleet) = caller.get("/v1/reports/fleet?format=json").await;
    assert_eq!(fleet["since"]["came"]["rows"], json!(["new"]), "{fleet:#}");
    let listed = daemon.asked(&["report", "--list"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("weekly") && listed.contains("acme"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_comes_by_mail_also_where_the_server_refuses_at_first() {
    let Some(mail) = MailServer::start(2).await else { return };
    let prometheus = Prometheus::start(&daily_usage("acme", 9, 2.0)).await;
    let receivers = format!(
        "[receivers.finops]\nkind = \"email\"\nurl = \"smtp://{}\"\nfrom = \"Plimsoll <plimsoll@example.org>\"\n\
         to = [\"finops@example.org\", \"Ann <ann@example.org>\"]\nkinds = [\"report\"]\n",
        mail.address
    );
    let mut daemon =
        Daemon::start(&config_for(&prometheus.url, &scheduled("deliver_to = [\"finops\"]", &receivers)))
            .await;
    let caller = Caller::of(&daemon);
    register(&caller, &json!({"id": "acme", "tier": "PREMIUM", "provider": "aws", "region": "eu-central-1"}))
        .await;
    wait_ready(&caller).await;
    after_a_long_rest(&mut daemon).await;
    let letter = mail.wait_for(1).await.remove(0);
    assert!(letter["subject"].as_str().unwrap().starts_with("Fleet report, "), "{letter:#}");
    assert_eq!(letter["from"], "Plimsoll <plimsoll@example.org>");
    assert!(letter["to"].as_str().unwrap().contains("ann@example.org"), "{letter:#}");
    assert!(letter["id"].as_str().unwrap().ends_with("@plimsoll>"), "{letter:#}");
    let content = |index: usize| {
        let text = letter["parts"][index]["content"].as_str().unwrap();
        String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
    };
    assert!(
        letter["parts"][0]["type"] == "text/plain" && content(0).contains("Tenants: 1. At the quotas"),
        "{}",
        content(0)
    );
    assert!(letter["parts"][1]["name"].as_str().unwrap().ends_with(".html"), "{letter:#}");
    let (_, list) = caller.get("/v1/reports").await;
    let id = list["items"][0]["id"].as_str().unwrap();
    let (_, kept) = caller.text(&format!("/v1/reports/{id}")).await;
    assert_eq!(content(1).replace("\r\n", "\n"), kept);
    let (_, dead) = caller.get("/v1/dead-letters").await;
    assert_eq!(dead["items"], json!([]), "two refusals are no end");
    // A test goes the same way, and the API can't make such receivers.
    let (status, outcome) = caller.post("/v1/receivers/finops/test", &json!({})).await;
    assert_eq!((status, &outcome["taken"]), (200, &json!(true)), "{outcome:#}");
    assert_eq!(mail.wait_for(2).await.len(), 2);
    for kind in ["folder", "email"] {
        let put = caller
            .put("/v1/receivers/mine", None, &json!({"kind": kind, "url": "http://example.org/"}))
            .await;
        assert_eq!(put.0, 422, "{:#}", put.1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_go_by_starttls_with_a_password_to_a_server_that_is_trusted() {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let (certificate, key) = authority.issue(folder.path());
    let Some(mail) = MailServer::start_guarded(&certificate, &key).await else { return };
    let prometheus = Prometheus::start(&daily_usage("acme", 2, 2.0)).await;
    let receiver = |name: &str, user: &str| {
        format!(
            "[receivers.{name}]\nkind = \"email\"\nurl = \"smtp://{user}@{}?tls=required\"\n\
             from = \"plimsoll@example.org\"\nto = [\"finops@example.org\"]\n",
            mail.address
        )
    };
    let receivers = [receiver("finops", "ada:s3cret"), receiver("wrong", "ada:other")].concat();
    let config = || config_for(&prometheus.url, &receivers);
    let ca = folder.path().join("trusted.pem");
    std::fs::write(&ca, authority.ca_pem()).unwrap();
    let trusting = Daemon::start_among(&config(), &[("SSL_CERT_FILE", ca.to_str().unwrap())]).await;
    let test = async |daemon: &Daemon, name: &str| {
        let path = format!("/v1/receivers/{name}/test");
        let (status, outcome) = Caller::of(daemon).post(&path, &json!({})).await;
        assert_eq!(status, 200, "{outcome:#}");
        outcome
    };
    let taken = test(&trusting, "finops").await;
    assert_eq!(taken["taken"], true, "{taken:#}");
    assert_eq!(mail.wait_for(1).await[0]["from"], "plimsoll@example.org");
    let refused = test(&trusting, "wrong").await.to_string();
    assert!(refused.contains("535") && !refused.contains("other"), "{refused}");
    let doubting = Daemon::start(&config()).await;
    let doubted = test(&doubting, "finops").await.to_string();
    assert!(doubted.contains("\"taken\":false") && doubted.contains("certificate"), "{doubted}");
    assert_eq!(mail.wait_for(1).await.len(), 1, "only the first was taken");
}
