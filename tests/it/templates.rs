//! Templates on the real daemon, over the API and from the command line.

use std::process::{Command, Output};

use reqwest::Method;
use serde_json::{Value, json};

use crate::caller::Caller;
use crate::rig::{Daemon, Prometheus};
use crate::setup::{TOKEN, config_for, daily_usage, nowhere};

const LIMITS: &str = "\n[templates]\nmax_templates = 5\nmax_depth = 3\n";

fn plimsoll(daemon: &Daemon, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.arg("template").args(["--server", &daemon.url]).args(arguments).current_dir(daemon.folder());
    command.env("PLIMSOLL_TOKEN", TOKEN).output().unwrap()
}

fn wrote(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = plimsoll(daemon, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refused(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = plimsoll(daemon, arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

async fn daemon() -> (Daemon, Caller) {
    let daemon = Daemon::start(&config_for(&nowhere(), LIMITS)).await;
    let caller = Caller::of(&daemon);
    (daemon, caller)
}

fn value<'v>(settings: &'v Value, path: &str) -> &'v Value {
    let items = settings.as_array().unwrap();
    items.iter().find(|one| one["path"] == path).unwrap_or_else(|| panic!("{path}: {settings:#}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_made_from_a_template_and_says_where_each_value_comes_from() {
    let (_daemon, caller) = daemon().await;
    let base = json!({
        "name": "base", "tier": "PREMIUM", "resource_quotas": {"cpu_cores": 10, "memory_gb": 20},
        "monitoring_config": {"sla_targets": {"violation_budget": 0.003}},
        "security_config": {"ip_whitelist": ["10.0.0.0/8"], "geo_restrictions": ["DE"]},
    });
    let (status, made) = caller.post("/v1/templates?reason=first", &base).await;
    assert_eq!((status, made["version"].as_u64()), (201, Some(1)), "{made:#}");
    let gold = json!({"name": "gold", "extends": "base", "resource_quotas": {"cpu_cores": 12}});
    let (status, made) = caller.post("/v1/templates", &gold).await;
    assert_eq!((status, &made["template"]["extends"]), (201, &json!("base@1")), "{made:#}");
    assert_eq!(made["tier"], "PREMIUM");
    assert_eq!(value(&made["values"], "security_config.geo_restrictions")["enforcement"], "declared_only");

    let acme = json!({"id": "acme", "template": "gold", "quotas": {"storage_gb": 700}});
    let (status, tenant) = caller.post("/v1/tenants", &acme).await;
    assert_eq!((status, &tenant["tier"]), (201, &json!("PREMIUM")), "{tenant:#}");
    assert_eq!((&tenant["template"]["name"], &tenant["template"]["version"]), (&json!("gold"), &json!(1)));
    let (_, settings) = caller.get("/v1/tenants/acme/settings").await;
    let origin = |path: &str| {
        let setting = value(&settings["items"], path);
        (setting["value"].clone(), setting["origin"].clone(), setting["enforcement"].clone())
    };
    let enforced = json!("enforced");
    let from = |name: &str| json!({"kind": "template", "name": name, "version": 1});
    assert_eq!(origin("resource_quotas.cpu_cores"), (json!(12.0), from("gold"), enforced.clone()));
    assert_eq!(origin("resource_quotas.memory_gb"), (json!(20.0), from("base"), enforced.clone()));
    let tier = json!({"kind": "tier", "tier": "PREMIUM"});
    assert_eq!(origin("resource_quotas.cache_size_mb"), (json!(1024.0), tier, enforced.clone()));
    let own = json!({"kind": "tenant"});
    assert_eq!(origin("resource_quotas.storage_gb"), (json!(700.0), own, enforced.clone()));
    let budget = "monitoring_config.sla_targets.violation_budget";
    assert_eq!(origin(budget), (json!(0.003), from("base"), enforced));

    // A tenant without a template has what its tier and the config say.
    let plain = json!({"id": "plain", "tier": "FREE"});
    assert_eq!(caller.post("/v1/tenants", &plain).await.0, 201);
    let (_, settings) = caller.get("/v1/tenants/plain/settings").await;
    assert_eq!(value(&settings["items"], budget)["origin"]["key"], "rightsizing.budgets.FREE");

    for (tenant, status, words) in [
        (json!({"id": "x", "template": "silver"}), 404, "find the template silver"),
        (json!({"id": "x", "template": "gold@7"}), 404, "gold@7"),
        (json!({"id": "x", "template": "gold", "tier": "FREE"}), 422, "of the tier PREMIUM"),
        (json!({"id": "x"}), 422, "a tier or a template"),
    ] {
        let (found, problem) = caller.post("/v1/tenants", &tenant).await;
        assert_eq!(found, status, "{problem:#}");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_version_is_kept_and_tenants_stay_with_theirs() {
    let (mut daemon, caller) = daemon().await;
    let with = |cpu: f64| json!({"name": "gold", "tier": "PREMIUM", "resource_quotas": {"cpu_cores": cpu}});
    assert_eq!(caller.post("/v1/templates", &with(10.0)).await.0, 201);
    assert_eq!(caller.post("/v1/templates", &with(10.0)).await.0, 409);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "template": "gold"})).await.0, 201);
    let path = "/v1/templates/gold";
    let (status, changed) = caller.put(path, Some("\"1\""), &with(12.0)).await;
    assert_eq!((status, &changed["version"]), (200, &json!(2)), "{changed:#}");
    let expected = json!([{"path": "resource_quotas.cpu_cores", "before": 10.0, "after": 12.0}]);
    assert_eq!((&changed["differences"], &changed["tenants_behind"]), (&expected, &json!(1)), "{changed:#}");
    assert!(changed["note"].as_str().unwrap().contains("keep the version and the quotas"), "{changed:#}");
    assert_eq!(caller.put(path, Some("\"1\""), &with(13.0)).await.0, 412);
    assert_eq!(caller.put(path, None, &with(13.0)).await.0, 428);
    let (_, same) = caller.put(path, Some("\"2\""), &with(12.0)).await;
    assert_eq!(same["version"], 2, "what says nothing new makes no version");
    assert_eq!(caller.put("/v1/templates/other", Some("*"), &with(1.0)).await.0, 422);

    let (_, versions) = caller.get("/v1/templates/gold/versions").await;
    let numbers: Vec<u64> =
        versions["items"].as_array().unwrap().iter().map(|one| one["version"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [2, 1]);
    assert_eq!(caller.get("/v1/templates/gold/diff?from=1&to=2").await.1["items"], expected);
    let (_, quota) = caller.get("/v1/tenants/acme/quotas/cpu_cores").await;
    assert_eq!((&quota["limit"], &quota["generation"]), (&json!(10.0), &json!(1)));
    let (_, settings) = caller.get("/v1/tenants/acme/settings").await;
    assert_eq!((&settings["template"], &settings["newest_version"]), (&json!("gold@1"), &json!(2)));
    let follow = json!({"template": "gold", "reason": "follow"});
    let moved = caller.call(Method::PATCH, "/v1/tenants/acme", None, Some(&follow)).await.unwrap();
    assert_eq!((moved.0, &moved.1["template"]["version"]), (200, &json!(2)), "{moved:?}");
    let (_, settings) = caller.get("/v1/tenants/acme/settings").await;
    assert_eq!(value(&settings["items"], "resource_quotas.cpu_cores")["origin"]["kind"], "tenant");

    daemon.kill();
    daemon.start_again().await;
    let (_, old) = caller.get("/v1/templates/gold/versions/1").await;
    assert_eq!(old["template"]["resource_quotas"]["cpu_cores"], 10.0);
    let (_, audit) = caller.get("/v1/audit").await;
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|line| line["action"].as_str().unwrap()).collect();
    let expected = ["tenant_changed", "template_changed", "tenant_created", "template_created"];
    assert_eq!(actions[..4], expected, "{audit:#}");
    assert_eq!(audit["items"][1]["after"]["differences"][0]["after"], 12.0, "{audit:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn yaml_goes_out_and_comes_in_exactly_and_all_or_nothing() {
    let (daemon, caller) = daemon().await;
    let file = daemon.folder().join("templates.yaml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write(
        "# the child stands first\nname: gold\nextends: base\nresource_quotas:\n  cpu_cores: 12.5\n\
         security_config:\n  ip_whitelist: [10.0.0.0/8, \"2001:db8::/32\"]\n---\n\
         name: base\ndescription: 'yes: \"odd\" #1'\ntier: PREMIUM\nregions: [eu-1]\n",
    );
    let tried = wrote(&daemon, &["import", "templates.yaml", "--dry-run"]);
    assert!(tried.contains("gold@1 would be written") && tried.contains("12.5"), "{tried}");
    assert_eq!(caller.get("/v1/templates").await.1["items"], json!([]), "a dry run writes nothing");
    let done = wrote(&daemon, &["import", "templates.yaml", "--reason", "start"]);
    assert!(done.contains("base@1 was written"), "{done}");

    let out = wrote(&daemon, &["export"]);
    write(&out);
    let again = wrote(&daemon, &["import", "templates.yaml"]);
    assert_eq!(again, "base@1 stands so already.\ngold@1 stands so already.\n", "{out}");
    assert_eq!(wrote(&daemon, &["export"]), out);

    // One fault, and nothing of the file is taken.
    for (text, words) in [
        (
            "name: base\ntier: FREE\n---\nname: c\ntier: FREE\nresource_quotas:\n  memory_gb: 1GiB\n",
            "line 7, column 14",
        ),
        (
            "name: base\ntier: FREE\n---\nname: c\ntier: FREE\nresource_quotas:\n  memory_gb: 900\n",
            "line 7, column 14",
        ),
        ("name: base\ntier: FREE\n---\nname: c\ncolour: red\n", "line 5, column 1"),
        ("name: a\nextends: b\n---\nname: b\nextends: a\n", "circle among a, b"),
        (
            "name: base\nextends: gold@1\n",
            "line 2, column 10: extends leads in a circle: base -> gold -> base",
        ),
        ("name: a\nextends: gold\n---\nname: b\nextends: a\n", "chain of more than 3"),
        ("name: a\nextends: nobody\n", "line 2, column 10: extends is nobody, which is not there"),
        ("name: a\n", "or extends must be given"),
        ("name: a\ntier: FREE\n---\nname: a\ntier: FREE\n", "name is given twice"),
        ("name: a\ntier: FREE\nmonitoring_config:\n  alert_receivers: [nobody]\n", "line 4, column 20"),
    ] {
        write(text);
        let said = refused(&daemon, &["import", "templates.yaml"]);
        assert!(said.contains(words), "{text}: {said}");
    }
    let many: String =
        (0..4).map(|n| format!("---\nname: more-{n}\ntier: FREE\n")).collect::<Vec<_>>().join("");
    write(&many);
    let output = plimsoll(&daemon, &["import", "templates.yaml"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("templates.max_templates"));
    assert_eq!(wrote(&daemon, &["export"]), out, "nothing was taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_keeps_templates_at_the_command_line() {
    let (daemon, _caller) = daemon().await;
    let made = wrote(
        &daemon,
        &[
            "create",
            "gold",
            "--tier",
            "PREMIUM",
            "--set",
            "resource_quotas.cpu_cores=10",
            "--set",
            "regions=[\"eu-1\"]",
        ],
    );
    assert!(made.contains("gold@1 was written"), "{made}");
    wrote(&daemon, &["clone", "gold", "gold-eu", "--reason", "for Europe"]);
    std::fs::write(
        daemon.folder().join("gold.yaml"),
        wrote(&daemon, &["export", "gold"]) + "branding: {product_name: Mine}\n",
    )
    .unwrap();
    let said = refused(&daemon, &["update", "gold.yaml"]);
    assert!(said.contains("WHITE_LABEL") && said.contains("line ") && said.contains("column "), "{said}");
    let text = wrote(&daemon, &["export", "gold"]).replace("cpu_cores: 10", "cpu_cores: 11");
    std::fs::write(daemon.folder().join("gold.yaml"), text).unwrap();
    assert!(wrote(&daemon, &["update", "gold.yaml", "--version", "1"]).contains("gold@2 was written"));
    let stale = plimsoll(&daemon, &["update", "gold.yaml", "--version", "1"]);
    assert!(!stale.status.success() && String::from_utf8_lossy(&stale.stderr).contains("moved on"));
    let diff = wrote(&daemon, &["diff", "gold"]);
    assert!(diff.contains("resource_quotas.cpu_cores") && diff.contains("11"), "{diff}");
    let shown = wrote(&daemon, &["get", "gold"]);
    assert!(shown.contains("template gold@2") && shown.contains("the platform"), "{shown}");
    let list = wrote(&daemon, &["list"]);
    assert!(list.contains("gold-eu") && list.contains("cloned") || list.contains("for Europe"), "{list}");
    assert!(wrote(&daemon, &["versions", "gold"]).contains("PREMIUM"));
    let json: Value = serde_json::from_str(&wrote(&daemon, &["-o", "json", "get", "gold@1"])).unwrap();
    assert_eq!(json["template"]["resource_quotas"]["cpu_cores"], 10.0);
    assert!(wrote(&daemon, &["--output", "yaml", "get", "gold"]).contains("version: 2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn recommendations_keep_the_violation_budget_of_the_template() {
    let prometheus = Prometheus::start(&daily_usage("acme", 14, 2.0)).await;
    let daemon = Daemon::start(&config_for(&prometheus.url, "")).await;
    let caller = Caller::of(&daemon);
    let strict = json!({"name": "strict", "tier": "PREMIUM",
        "monitoring_config": {"sla_targets": {"violation_budget": 0.0031}}});
    assert_eq!(caller.post("/v1/templates", &strict).await.0, 201);
    let acme = json!({"id": "acme", "template": "strict", "apply_mode": "review"});
    assert_eq!(caller.post("/v1/tenants", &acme).await.0, 201);
    let path = "/v1/recommendations?tenant=acme&resource=cpu_cores&state=proposed";
    let waiting =
        || async { caller.get(path).await.1["items"].as_array().is_some_and(|all| !all.is_empty()) };
    caller.wait_until("a recommendation waits", waiting).await;
    let (_, found) = caller.get(path).await;
    let evidence = &found["items"][0]["evidence"];
    assert_eq!(evidence["budget"], 0.0031, "{found:#}");
    assert_eq!(evidence["budget_because"], "the promise of the template strict@1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_removed_once_nothing_stands_on_it() {
    let (daemon, caller) = daemon().await;
    for template in [json!({"name": "base", "tier": "PREMIUM"}), json!({"name": "gold", "extends": "base"})] {
        assert_eq!(caller.post("/v1/templates", &template).await.0, 201);
    }
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "template": "gold"})).await.0, 201);
    let remove = async |name: &str, version: u64| {
        let tag = format!("\"{version}\"");
        caller.call(Method::DELETE, &format!("/v1/templates/{name}"), Some(&tag), None).await.unwrap()
    };
    for (name, user) in [("base", "the template gold@1"), ("gold", "the tenant acme")] {
        let (status, problem) = remove(name, 1).await;
        assert_eq!(status, 409, "{problem:#}");
        assert!(problem["detail"].as_str().unwrap().contains(user), "{problem:#}");
    }
    assert_eq!(caller.call(Method::DELETE, "/v1/tenants/acme", None, None).await.unwrap().0, 204);
    assert_eq!(remove("gold", 2).await.0, 412);
    assert_eq!(caller.call(Method::DELETE, "/v1/templates/gold", None, None).await.unwrap().0, 428);
    let said = wrote(&daemon, &["remove", "gold", "--reason", "nobody has it"]);
    assert_eq!(said, "gold is removed with all its versions.\n");
    for path in ["/v1/templates/gold", "/v1/templates/gold/versions/1"] {
        assert_eq!(caller.get(path).await.0, 404, "{path}");
    }
    assert_eq!(remove("base", 1).await.0, 204);
    let (_, audit) = caller.get("/v1/audit?action=template_removed").await;
    let lines = audit["items"].as_array().unwrap();
    assert_eq!((lines.len(), &lines[1]["reason"]), (2, &json!("nobody has it")), "{audit:#}");
    assert_eq!(lines[1]["before"]["template"]["name"], "gold", "what it said can still be read");
    assert_eq!(
        caller.post("/v1/templates", &json!({"name": "gold", "tier": "FREE"})).await.0,
        201,
        "the name is free"
    );
}
