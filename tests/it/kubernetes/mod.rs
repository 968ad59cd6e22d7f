//! Quotas in a Kubernetes cluster, which is a fake that the real kubectl can
//! talk to as well.

mod fake;

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::caller::Caller;
use crate::rig::{Authority, Daemon};
use crate::setup::{config_for, nowhere};
use fake::{Cluster, KUBE_TOKEN};

const QUOTA: &str = "plimsoll-cpu-cores";

/// A cluster with a daemon that enforces quotas there.
struct Rig {
    cluster: Cluster,
    folder: TempDir,
    kubeconfig: PathBuf,
    _daemon: Daemon,
    caller: Caller,
}

impl Rig {
    async fn start(more: &str) -> Rig {
        let folder = TempDir::new().unwrap();
        let cluster = Cluster::with_namespaces(&["tenant-acme"]);
        let kubeconfig = cluster.serve(&Authority::new(), folder.path()).await;
        let (daemon, caller) = daemon(&kubeconfig, more).await;
        Rig { cluster, folder, kubeconfig, _daemon: daemon, caller }
    }

    async fn ask(&self, resource: &str, limit: f64) -> (u16, Value) {
        let path = format!("/v1/tenants/acme/quotas/{resource}");
        let tag = format!("\"{}\"", self.caller.get(&path).await.1["generation"]);
        let wish = json!({"limit": limit, "reason": "a test"});
        self.caller.call(Method::PUT, &path, Some(&tag), Some(&wish)).await.unwrap()
    }

    fn hard(&self) -> Option<String> {
        self.cluster.hard("tenant-acme", QUOTA, "limits.cpu")
    }

    /// Applies a quota as another manager, over the wire.
    async fn apply_as(&self, manager: &str, cpu: &str) {
        let kube = std::fs::read_to_string(&self.kubeconfig).unwrap();
        let server = kube.split("server: '").nth(1).unwrap().split('\'').next().unwrap();
        let ca = std::fs::read(self.folder.path().join("ca.pem")).unwrap();
        let authority = reqwest::Certificate::from_pem(&ca).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([authority]).build().unwrap();
        let url = format!(
            "{server}/api/v1/namespaces/tenant-acme/resourcequotas/{QUOTA}?fieldManager={manager}&force=true"
        );
        let object = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": QUOTA},
            "spec": {"hard": {"limits.cpu": cpu}}});
        let request = client.patch(url).bearer_auth(KUBE_TOKEN);
        let request = request.header("content-type", "application/apply-patch+yaml").body(object.to_string());
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
}

async fn daemon(kubeconfig: &Path, more: &str) -> (Daemon, Caller) {
    let target = format!(
        "[target]\nkind = \"kubernetes\"\nnamespace = \"tenant-{{tenant}}\"\nkubeconfig = \"{}\"\n{more}\n",
        kubeconfig.display()
    );
    let daemon = Daemon::start(&config_for(&nowhere(), &target)).await;
    let caller = Caller::of(&daemon);
    assert_eq!(caller.post("/v1/tenants", &json!({"id": "acme", "tier": "PREMIUM"})).await.0, 201);
    (daemon, caller)
}

fn said(problem: &Value, words: &str) {
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(words), "{words:?} is not in {problem:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quota_is_tried_and_then_set_in_the_tenants_namespace() {
    let rig = Rig::start("").await;
    let (status, answer) = rig.ask("cpu_cores", 6.5).await;
    assert_eq!((status, &answer["limit"]), (200, &json!(6.5)), "{answer:#}");
    assert_eq!(rig.hard().as_deref(), Some("6500m"));
    assert_eq!(rig.ask("memory_gb", 12.5).await.0, 200);
    assert_eq!(
        rig.cluster.hard("tenant-acme", "plimsoll-memory-gb", "limits.memory").as_deref(),
        Some("12500M")
    );
    assert_eq!(rig.ask("cache_size_mb", 900.0).await.0, 200, "it has no name there: the registry has it");
    let held = rig.cluster.held();
    assert_eq!(held.quotas.len(), 2);
    let dry: Vec<bool> = held.patches.iter().map(|query| query.contains_key("dryRun")).collect();
    assert_eq!(dry, [true, false, true, false]);
    assert!(
        held.patches.iter().all(|query| query["fieldManager"] == "plimsoll" && !query.contains_key("force"))
    );
    let kept = &held.quotas[&("tenant-acme".to_owned(), QUOTA.to_owned())].object;
    let notes = &kept["metadata"]["annotations"];
    assert_eq!(
        (&notes["plimsoll.dev/generation"], &notes["plimsoll.dev/reason"]),
        (&json!("2"), &json!("a test"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_reads_what_was_set() {
    let rig = Rig::start("").await;
    assert_eq!(rig.ask("cpu_cores", 6.5).await.0, 200);
    let mut kubectl = std::process::Command::new("kubectl");
    kubectl.arg("--kubeconfig").arg(&rig.kubeconfig).arg("--cache-dir").arg(rig.folder.path());
    kubectl.args(["-n", "tenant-acme", "get", "resourcequota", QUOTA, "-o", "json"]);
    let output = tokio::task::spawn_blocking(move || kubectl.output()).await.unwrap();
    let output = output.expect("kubectl is missing; `make test` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["spec"]["hard"], json!({"limits.cpu": "6500m"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_manager_owns_is_left_to_it() {
    let rig = Rig::start("").await;
    rig.apply_as("gitops", "4").await;
    let (status, problem) = rig.ask("cpu_cores", 6.5).await;
    assert_eq!(status, 502, "{problem:#}");
    said(&problem, "conflict with \"gitops\"");
    said(&problem, "Plimsoll forces nothing");
    assert_eq!(rig.hard().as_deref(), Some("4"));
    assert_eq!(rig.caller.get("/v1/tenants/acme/quotas/cpu_cores").await.1["generation"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_the_mend() {
    let rig = Rig::start("").await;
    for (code, reason, words) in [
        (403, "Forbidden", "config/kubernetes/rbac.yaml"),
        (410, "Gone", "the server answered 410"),
        (422, "Invalid", "the server answered 422"),
    ] {
        rig.cluster.held().refuses_with = Some((code, reason));
        let (status, problem) = rig.ask("cpu_cores", 6.5).await;
        assert_eq!(status, 502, "{problem:#}");
        said(&problem, words);
    }
    rig.cluster.held().refuses_with = None;
    rig.cluster.held().namespaces.clear();
    said(&rig.ask("cpu_cores", 6.5).await.1, "target.namespace is \"tenant-{tenant}\"");
    assert_eq!(rig.hard(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_below_what_is_in_use_is_said() {
    let rig = Rig::start("").await;
    assert_eq!(rig.ask("cpu_cores", 6.5).await.0, 200);
    rig.cluster.held().used.insert("limits.cpu".to_owned(), "5200m".to_owned());
    let (status, problem) = rig.ask("cpu_cores", 5.0).await;
    assert_eq!(status, 502);
    said(&problem, "5.2 cores are in use, more than the 5 cores asked for");
    assert_eq!(rig.hard().as_deref(), Some("6500m"));
    let allowing = daemon(&rig.kubeconfig, "below_usage = \"allow\"").await;
    let other = Rig { caller: allowing.1, _daemon: allowing.0, ..rig };
    assert_eq!(other.ask("cpu_cores", 5.0).await.0, 200);
    assert_eq!(other.hard().as_deref(), Some("5"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_or_not_trusted_gets_the_change_later() {
    let rig = Rig::start("").await;
    rig.cluster.held().refuses_with = Some((503, "ServiceUnavailable"));
    assert_eq!(rig.ask("cpu_cores", 6.5).await.0, 503);
    assert_eq!(rig.hard(), None);
    rig.cluster.held().refuses_with = None;
    let done = || async { rig.caller.get("/v1/tenants/acme/quotas/cpu_cores").await.1["limit"] == 6.5 };
    rig.caller.wait_until("the change is seen through", done).await;
    assert_eq!(rig.hard().as_deref(), Some("6500m"));

    // The kubeconfig names another authority than the one that signed.
    std::fs::write(rig.folder.path().join("ca.pem"), Authority::new().ca_pem()).unwrap();
    let (_daemon, caller) = daemon(&rig.kubeconfig, "").await;
    let wish = json!({"limit": 7.5, "reason": "a test"});
    let (status, problem) = caller
        .call(Method::PUT, "/v1/tenants/acme/quotas/cpu_cores", Some("\"1\""), Some(&wish))
        .await
        .unwrap();
    assert_eq!(status, 503, "{problem:#}");
    said(&problem, "certificate");
    assert_eq!(rig.hard().as_deref(), Some("6500m"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_changed_in_the_cluster_is_told_of() {
    let rig = Rig::start("reconcile_every = \"1s\"").await;
    assert_eq!(rig.ask("cpu_cores", 6.00001).await.0, 200);
    assert_eq!(rig.ask("memory_gb", 8.0).await.0, 200);
    let drift = |resource: &'static str| {
        let caller = rig.caller.clone();
        async move {
            let all = caller.get("/v1/drift?limit=100").await.1["items"].clone();
            all.as_array().unwrap().iter().find(|one| one["resource"] == resource).cloned()
        }
    };
    // Storage was never set there; the resources without a name are no drift.
    rig.caller.wait_until("storage is told of", || async { drift("storage_gb").await.is_some() }).await;
    assert_eq!(drift("cpu_cores").await, None, "6001m is what 6.00001 cores are written as");
    assert_eq!(drift("cache_size_mb").await, None);
    rig.apply_as("somebody", "9").await;
    let told = || async { drift("cpu_cores").await.is_some_and(|one| one["target"] == 9.0) };
    rig.caller.wait_until("the change is told of", told).await;
}
