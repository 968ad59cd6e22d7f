//! What the fleet costs with real processes: a Prometheus, the daemon, a quota
//! that is changed, and a person who asks at the command line.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus};
use crate::setup::{config_for, daily_usage, nowhere};

/// The same, where it must go well.
fn said(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = daemon.asked(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn amount(money: &Value) -> f64 {
    money["amount"].as_str().unwrap_or_else(|| panic!("{money} is no money")).parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn costs_budgets_and_savings_of_a_fleet() {
    let prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let costs = "currency = \"EUR\"\nrates = [\"1 EUR = 1.12 USD on 2026-11-20\"]\n\
        budgets = [\"fleet 100000EUR/month\", \"tenant acme 0.001EUR/month\"]\n";
    let daemon = Daemon::start(&config_for(&prometheus.url, costs)).await;
    let caller = Caller::of(&daemon);
    for (id, tier) in [("acme", "PREMIUM"), ("still", "FREE")] {
        let tenant = json!({"id": id, "tier": tier, "provider": "aws", "region": "eu-central-1"});
        assert_eq!(caller.post("/v1/tenants", &tenant).await.0, 201);
    }
    caller
        .wait_until("a smaller quota is recommended", || async {
            let fleet = caller.get("/v1/costs").await.1;
            amount(&fleet["fleet"]["recommended"]) < amount(&fleet["fleet"]["now"])
        })
        .await;
    let (_, fleet) = caller.get("/v1/costs").await;
    // 8 cores and 1, 16 GB and 1, 500 GB and 5, at the prices of config/prices/aws.toml.
    let now = (730.0 * (9.0 * 0.041_818_18 + 17.0 * 0.003_854_88) + 505.0 * 0.074_505_81) / 1.12;
    assert!((amount(&fleet["fleet"]["now"]) / now - 1.0).abs() < 1e-4, "{now}: {fleet:#}");
    assert_eq!(fleet["fleet"]["now"]["currency"], "EUR");
    let idle = amount(&fleet["resources"]["cpu_cores"]["idle"]);
    assert!(idle > 0.0 && idle < amount(&fleet["resources"]["cpu_cores"]["now"]), "{fleet:#}");
    assert_eq!(fleet["unpriced"]["network_bandwidth_mbps"], 2);
    let of: Vec<(&str, bool)> = fleet["budgets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|budget| (budget["of"].as_str().unwrap(), budget["exceeded"].as_bool().unwrap()))
        .collect();
    assert_eq!(of, [("fleet", false), ("tenant acme", true)]);
    caller
        .wait_until("the budget's incident is open", || async {
            let found = caller.get("/v1/incidents?kind=budget_overrun&tenant=acme").await.1;
            found["items"].as_array().is_some_and(|items| items.len() == 1)
        })
        .await;
    let (_, page) = caller.get("/v1/costs/tenants?limit=1").await;
    assert_eq!((&page["items"][0]["tenant"], &page["next"]), (&json!("acme"), &json!("acme")), "{page:#}");

    let quota = "/v1/tenants/acme/quotas/cpu_cores";
    assert_eq!(caller.put(quota, Some("\"1\""), &json!({"limit": 4.0})).await.0, 200);
    // A time up to now leaves out what happens in this very millisecond.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let (_, saved) = caller.get("/v1/costs/savings?tenant=acme").await;
    let per_month = 4.0 * 730.0 * 0.041_818_18 / 1.12;
    assert!((amount(&saved["total"]["rate"]) / per_month - 1.0).abs() < 1e-4, "{saved:#}");
    let realised = amount(&saved["items"][0]["realised"]);
    assert!((0.0..1.0).contains(&realised), "only what has passed counts: {saved:#}");
    assert_eq!(saved["items"][0]["measured"]["before"]["above"], 0, "{saved:#}");
    assert!(saved["items"][0]["measured"]["before"]["samples"].as_u64() > Some(1900), "{saved:#}");

    let table = said(&daemon, &["costs", "--by", "tenant"]);
    for part in ["2 tenants, in EUR, bought on_demand", "acme", "still", "exceeded"] {
        assert!(table.contains(part), "{part} is missing:\n{table}");
    }
    let table = said(&daemon, &["costs", "--savings"]);
    assert!(table.contains("1 changes saved") && table.contains("people's own"), "{table}");
    let json: Value = serde_json::from_str(&said(&daemon, &["costs", "--output", "json"])).unwrap();
    assert_eq!(json["tenants"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_is_planned_and_one_that_is_too_small_is_refused() {
    let prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, "")).await;
    let caller = Caller::of(&daemon);
    let tenant = json!({"id": "acme", "tier": "PREMIUM", "provider": "gcp", "region": "europe-west1"});
    assert_eq!(caller.post("/v1/tenants", &tenant).await.0, 201);
    caller.wait_until("it is ready", || async { caller.text("/-/ready").await.0 == 200 }).await;

    let plan = |budget: &str| {
        serde_json::from_str::<Value>(&said(&daemon, &["plan", "--output", "json", "--budget", budget]))
            .unwrap()
    };
    let plenty = plan("10000USD/month");
    let cores = &plenty["quotas"][0];
    assert_eq!(
        (&cores["resource"], &cores["now"], &cores["promise"]),
        (&json!("cpu_cores"), &json!(8.0), &json!(0.005))
    );
    let planned = cores["planned"].as_f64().unwrap();
    assert!((2.0..=3.0).contains(&planned) && plenty["harm"] == 0.0, "{plenty:#}");
    assert_eq!(plenty["fixed"]["quotas"], 2, "memory and storage have a price and no usage: {plenty:#}");
    let least = amount(&plenty["floor"]);
    let scarce = plan(&format!("{:.2}USD/month", least + 5.0));
    assert!(scarce["harm"].as_f64() > Some(0.0) && amount(&scarce["cost"]) <= least + 5.0, "{scarce:#}");
    assert!(scarce["quotas"][0]["planned"].as_f64() < Some(planned), "{scarce:#}");
    let table = said(&daemon, &["plan", "--budget", "10000USD/month"]);
    assert!(table.contains("cpu_cores") && table.contains("2 quotas without usage stay"), "{table}");

    for (budget, part) in [
        ("1USD/month", "give at least that"),
        ("100EUR/month", "turn EUR into USD: there is no rate"),
        ("100USD", "write an amount a month"),
    ] {
        let output = daemon.asked(&["plan", "--budget", budget]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(part), "{budget}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_prices_there_are_no_costs_and_that_is_said() {
    let config = config_for(&nowhere(), "").replace("[costs]\n", "");
    let daemon = Daemon::start(&config).await;
    let output = daemon.asked(&["costs"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("add the section [costs] to the daemon's config"), "{said}");
}

/// The blocks of a language in docs/cost.md.
fn blocks(language: &str) -> Vec<&'static str> {
    let page = include_str!("../../docs/cost.md");
    let begin = format!("```{language}\n");
    page.split(begin.as_str()).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_page_shows_works() {
    let toml = blocks("toml");
    let [config, book] = toml[..] else { panic!("{} blocks", toml.len()) };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("prices.toml"), book).unwrap();
    let check = |more: &str| {
        let text = config_for("http://127.0.0.1:9", "").replace("[costs]\n", "") + config + more;
        let file = folder.path().join("plimsoll.toml");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        let output = command.args(["check-config", "--config.file"]).arg(file).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    check("");
    check("file = \"prices.toml\"\n");

    let prometheus = Prometheus::start(&daily_usage("acme", 2, 2.0)).await;
    let with_costs = config_for(&prometheus.url, "").replace("[costs]\n", config);
    let daemon = Daemon::start(&with_costs).await;
    let caller = Caller::of(&daemon);
    let tenant = json!({"id": "acme", "tier": "PREMIUM", "provider": "azure", "region": "westeurope"});
    assert_eq!(caller.post("/v1/tenants", &tenant).await.0, 201);
    caller.wait_until("it is ready", || async { caller.text("/-/ready").await.0 == 200 }).await;
    let commands: Vec<&str> =
        blocks("console")[0].lines().filter_map(|line| line.strip_prefix("$ plimsoll ")).collect();
    assert!(commands.len() >= 6, "{commands:?}");
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        assert!(!said(&daemon, &words).is_empty(), "{command}");
    }
}
