//! The running daemon against its own OpenAPI document: schemathesis sends what
//! the document allows and what it does not, and looks for answers that the
//! document does not name.

use std::process::Command;

use serde_json::json;

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus, python_package};
use crate::setup::{TOKEN, config_for, daily_usage};

/// What is held: no failure of the server, and no answer that is not written
/// down. That it refuses what a schema allows (a tenant that is not there) is
/// its right.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";

/// Names things that are there, so that more than 404 is seen.
const PLACES: &str = r#"
[[operations]]
include-path-regex = "^/v1/tenants/"
parameters = { "path.id" = "acme" }

[[operations]]
include-path-regex = "^/v1/templates/"
parameters = { "path.name" = "gold" }

[[operations]]
include-path-regex = "^/v1/receivers/"
parameters = { "path.name" = "pager" }

# It would take its own way back in away.
[[operations]]
include-name = "DELETE /v1/tokens/{id}"
enabled = false

[[operations]]
include-name = "DELETE /v1/session"
enabled = false
"#;

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_missing_in_the_openapi_document() {
    let Some(programs) = python_package("schemathesis", "4.32.5") else { return };
    let prometheus = Prometheus::start(&daily_usage("acme", 7, 4.0)).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, "")).await;
    let caller = Caller::of(&daemon);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "tier": "PREMIUM"})).await.0, 201);
    assert_eq!(caller.post("/v1/templates", &json!({"name": "gold", "tier": "PREMIUM"})).await.0, 201);
    let receiver = json!({"kind": "cloudevents", "url": "https://receiver.invalid/"});
    assert!(caller.put("/v1/receivers/pager", None, &receiver).await.0 < 300);
    let proposed = || async { caller.get("/v1/recommendations").await.1["items"].get(0).is_some() };
    caller.wait_until("there is a recommendation", proposed).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("schemathesis.toml"), PLACES).unwrap();
    // What is removed comes last: the rest would only be told that it is gone.
    let rounds =
        [["--exclude-method", "coverage,fuzzing,stateful"], ["--include-method", "coverage,fuzzing"]];
    for [which, phases] in rounds {
        let mut command = Command::new(programs.join("schemathesis"));
        command.current_dir(folder.path()).env("NO_COLOR", "1").args(["run", "--checks", CHECKS]);
        command.args(["--phases", phases, "--max-examples", "10", "--seed", "7"]);
        command.args([which, "DELETE", "--header", &format!("Authorization: Bearer {TOKEN}")]);
        command.arg(format!("{}/openapi.json", daemon.url));
        let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("Fuzzing") && said.contains("passed"), "{said}");
        assert!(!said.contains("Unresolvable references"), "{said}");
    }
}
