//! `plimsoll demo`, as a new user runs it.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::rig::free_address;

fn demo(data: &std::path::Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.arg("demo").arg("--data").arg(data);
    command
}

#[test]
fn once_shows_the_table_and_makes_its_data_only_once() {
    let folder = tempfile::tempdir().unwrap();
    let first = demo(folder.path()).args(["--once", "--rows", "0"]).output().unwrap();
    let table = String::from_utf8(first.stdout).unwrap();
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let headings = [
        "tenant",
        "tier",
        "resource",
        "quota now",
        "recommended",
        "forecast peak",
        "confidence",
        "saving",
        "why",
    ];
    for word in headings.into_iter().chain(["WHITE_LABEL", "FREE", "simulated", "collect"]) {
        assert!(table.contains(word), "{word} is missing:\n{table}");
    }
    // Each reason that the fleet was made to show.
    for reason in
        ["stood at or above the quota", "flat line", "of history are known", "no usage was ever seen"]
    {
        assert!(table.contains(reason), "{reason} is missing:\n{table}");
    }
    shown_in_the_readme(&table);
    let again = demo(folder.path()).args(["--once", "--rows", "0"]).output().unwrap();
    let again = String::from_utf8(again.stdout).unwrap();
    assert!(table.starts_with("Simulating") && !again.starts_with("Simulating"));
    let rows = |text: &str| {
        text.lines().filter(|line| line.contains(" USD ")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(rows(&table).len() > 50);
    assert_eq!(rows(&table), rows(&again), "the same fleet gives the same answers");
}

/// The README shows the table as it is: its columns, and rows that are there,
/// up to what is recommended, which better methods may change.
fn shown_in_the_readme(table: &str) {
    let words = |line: &str| {
        line.split("  ").map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let heading = |text: &str| -> Vec<String> {
        text.lines().find(|line| line.contains("quota now")).map(words).expect("no heading")
    };
    let readme = include_str!("../../README.md");
    assert_eq!(
        heading(readme),
        heading(table),
        "run `plimsoll demo --once --rows 6` and show it in the README"
    );
    let row = |line: &str| -> Vec<String> { line.split_whitespace().take(4).map(str::to_owned).collect() };
    let shown: Vec<&str> = readme.lines().filter(|line| line.contains(" at q9")).collect();
    assert!(shown.len() >= 6, "the README shows {} rows", shown.len());
    for line in shown {
        assert!(table.lines().any(|one| row(one) == row(line)), "the demo has no such row any more: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_serves_the_page_and_the_api_until_it_is_stopped() {
    let (folder, address) = (tempfile::tempdir().unwrap(), free_address());
    let said = folder.path().join("said");
    let output = std::fs::File::create(&said).unwrap();
    let mut child =
        demo(folder.path()).arg("--web.listen-address").arg(&address).stdout(output).spawn().unwrap();
    let begin = Instant::now();
    let token = loop {
        let text = std::fs::read_to_string(&said).unwrap();
        if let Some(found) = text.split("#token=").nth(1).filter(|_| text.contains("Ctrl-C")) {
            break found.split_whitespace().next().unwrap().to_owned();
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "{text}");
        assert!(child.try_wait().unwrap().is_none(), "it ended: {text}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let http = reqwest::Client::new();
    let page = http.get(format!("http://{address}/")).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    assert!(page.text().await.unwrap().contains("/assets/app.js"));
    let summary: serde_json::Value = http
        .get(format!("http://{address}/v1/summary"))
        .bearer_auth(&token)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        (summary["simulated"].as_bool(), summary["tenants"].as_u64()),
        (Some(true), Some(24)),
        "{summary:#}"
    );
    Command::new("kill").arg("-INT").arg(child.id().to_string()).status().unwrap();
    assert!(child.wait().unwrap().success());
}
