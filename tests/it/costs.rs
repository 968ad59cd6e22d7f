//! What the fleet costs with real processes: a Prometheus, the daemon, a quota
//! that is changed, and a person who asks at the command line.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus};
use crate::setup::{config_for, daily_usage, nowhere};

/// What `plimsoll` says of a daemon.
fn plimsoll(daemon: &Daemon, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(arguments)
        .args(["--server", &daemon.url])
        .env("PLIMSOLL_TOKEN", &daemon.token)
        .output()
        .unwrap()
}

/// The same, where it must go well.
fn said(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = plimsoll(daemon, arguments);
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
        budgets = [\"fleet 100000EUR/month\", \"tenant acme 1EUR/month\"]\n";
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
    let (_, page) = caller.get("/v1/costs/tenants?limit=1").await;
    assert_eq!((&page["items"][0]["tenant"], &page["next"]), (&json!("acme"), &json!("acme")), "{page:#}");

    let quota = "/v1/tenants/acme/quotas/cpu_cores";
    assert_eq!(caller.put(quota, Some("\"1\""), &json!({"limit": 4.0})).await.0, 200);
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
async fn without_prices_there_are_no_costs_and_that_is_said() {
    let config = config_for(&nowhere(), "").replace("[costs]\n", "");
    let daemon = Daemon::start(&config).await;
    let output = plimsoll(&daemon, &["costs"]);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("add the section [costs] to the daemon's config"), "{said}");
}
