//! What other tools read: the export of costs in the form of FOCUS, looked at by
//! DuckDB, from real processes.

use std::process::Command;

use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus, python_package};
use crate::setup::{config_for, daily_usage, nowhere};

/// What DuckDB says of a file, as JSON.
const LOOK: &str = r"
import duckdb, json, sys
file = sys.argv[1]
columns = {name: kind for name, kind, *_ in duckdb.sql(f'describe from {file!r}').fetchall()}
nulls = [name for name in columns if duckdb.sql(f'select count(*) from {file!r} where {name} is null').fetchone()[0]]
rows, billed, days = duckdb.sql(
    f'select count(*), sum(BilledCost), count(distinct ChargePeriodStart) from {file!r}').fetchone()
kinds = sorted(kind for kind, in duckdb.sql(f'select distinct ServiceCategory from {file!r}').fetchall())
print(json.dumps(dict(columns=columns, nulls=nulls, rows=rows, billed=float(billed), days=days, kinds=kinds)))
";

fn amount(money: &Value) -> f64 {
    money["amount"].as_str().unwrap_or_else(|| panic!("{money} is no money")).parse().unwrap()
}

/// What a command of the daemon's operator says.
fn run(daemon: &Daemon, arguments: &[&str]) -> (i32, String) {
    let output = daemon.asked(arguments);
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), said)
}

#[tokio::test(flavor = "multi_thread")]
async fn costs_are_exported_as_focus() {
    let daemon = Daemon::start(&config_for(&nowhere(), "invoice_issuer = \"Example Platform\"\n")).await;
    let caller = Caller::of(&daemon);
    for (id, provider) in [("acme", "aws"), ("best", "gcp")] {
        let tenant = json!({"id": id, "tier": "PREMIUM", "provider": provider, "region": "eu-central-1"});
        assert_eq!(caller.post("/v1/tenants", &tenant).await.0, 201);
    }
    let quota = "/v1/tenants/acme/quotas/cpu_cores";
    assert_eq!(caller.put(quota, Some("\"1\""), &json!({"limit": 4.0})).await.0, 200);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;

    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let now = chrono::Utc::now().to_rfc3339();
    for name in ["costs.csv", "costs.parquet"] {
        let asked = ["costs", "--focus", &file(name), "--from", "2026-01-01", "--to", &now];
        let (code, said) = run(&daemon, &asked);
        assert_eq!(code, 0, "{said}");
    }
    let total = amount(&caller.get("/v1/costs").await.1["fleet"]["so_far"]);
    let csv = std::fs::read_to_string(file("costs.csv")).unwrap();
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let rows: Vec<std::collections::BTreeMap<String, String>> =
        reader.deserialize().collect::<Result<_, _>>().unwrap();
    assert!(rows.iter().all(|row| row["InvoiceIssuerName"] == "Example Platform"));
    let billed: f64 = rows.iter().map(|row| row["BilledCost"].parse::<f64>().unwrap()).sum();
    // The tenants are some seconds old, and a little older when /v1/costs is asked.
    assert!(billed > 0.0 && billed <= total + 1e-6, "{billed} of {total}");

    // OpenCost's shape says the same of the same time.
    let window = format!("/allocation?window=2026-01-01T00:00:00Z,{}", now.replace("+00:00", "Z"));
    let (status, answer) = caller.get(&window).await;
    assert_eq!((status, &answer["code"]), (200, &json!(200)), "{answer:#}");
    let set = answer["data"][0].as_object().unwrap();
    assert_eq!(set.keys().collect::<Vec<_>>(), ["acme", "best"]);
    let allocated: f64 = set.values().map(|one| one["totalCost"].as_f64().unwrap()).sum();
    assert!((allocated - billed).abs() < 1e-9, "{allocated} {billed}");
    let acme = &set["acme"];
    assert_eq!(
        (&acme["properties"]["namespace"], &acme["properties"]["cluster"]),
        (&json!("acme"), &json!("aws/eu-central-1"))
    );
    assert!((4.0..=8.0).contains(&acme["cpuCores"].as_f64().unwrap()), "{acme:#}");
    let (_, tiers) = caller.get(&format!("{window}&aggregate=label:tier&step=1d")).await;
    let total: f64 = tiers["data"][0]["PREMIUM"]["totalCost"].as_f64().unwrap();
    assert!((total - billed).abs() < 1e-9 || tiers["data"].as_array().unwrap().len() > 1, "{tiers:#}");
    for wrong in ["window=fortnight", "window=today&aggregate=pod", "window=today&step=1h", "step=1d"] {
        assert_eq!(caller.get(&format!("/allocation?{wrong}")).await.0, 400, "{wrong}");
    }

    let (code, said) = run(&daemon, &["costs", "--focus", "-", "--tenant", "acme"]);
    assert!(code == 0 && said.lines().skip(1).all(|row| row.contains("acme/")), "{said}");
    let (code, said) = run(&daemon, &["costs", "--focus", "costs.xlsx"]);
    assert!(code == 2 && said.contains(".csv or .parquet"), "{code}: {said}");
    let (code, said) = run(&daemon, &["costs", "--focus", "-", "--from", "2999-01-01"]);
    assert!(code == 2 && said.contains("from must lie before to"), "{code}: {said}");

    let Some(programs) = python_package("duckdb", "1.5.6") else { return };
    for name in ["costs.csv", "costs.parquet"] {
        let output = Command::new(programs.join("python")).args(["-c", LOOK, &file(name)]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(found["rows"], rows.len(), "{found:#}");
        assert!((found["billed"].as_f64().unwrap() - billed).abs() < 1e-9, "{found:#}");
        assert_eq!(found["kinds"], json!(["Compute", "Storage"]), "{found:#}");
        let null = json!(["BillingAccountName", "ChargeClass", "ResourceName", "SubAccountName"]);
        let named: Vec<&Value> = found["nulls"].as_array().unwrap().iter().collect();
        assert!(named.iter().all(|column| null.as_array().unwrap().contains(column)), "{found:#}");
        let kind = |column: &str| found["columns"][column].as_str().unwrap().to_owned();
        assert!(kind("ChargePeriodStart").starts_with("TIMESTAMP"), "{found:#}");
        assert_eq!((kind("BilledCost").as_str(), kind("BillingCurrency").as_str()), ("DOUBLE", "VARCHAR"));
        assert_eq!(kind("ListUnitPrice"), "DOUBLE");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_too_long_is_refused() {
    let prometheus = Prometheus::start(&daily_usage("acme", 1, 2.0)).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, "export_rows = 3\n")).await;
    let caller = Caller::of(&daemon);
    let tenant = json!({"id": "acme", "tier": "FREE", "provider": "aws", "region": "eu-central-1"});
    assert_eq!(caller.post("/v1/tenants", &tenant).await.0, 201);
    let (status, problem) = caller.get("/v1/costs/focus").await;
    assert_eq!(status, 422, "{problem:#}");
    assert!(problem["detail"].as_str().unwrap().contains("costs.export_rows (3)"), "{problem:#}");
}
