//! A careful fake of a Kubernetes API server, as far as quotas of namespaces
//! go: TLS, bearer tokens, discovery for kubectl, and server-side apply with
//! field owners, conflicts, dry runs and resource versions, as the pages
//! "Server-Side Apply" and "API Concepts" of kubernetes.io/docs have them.
//! There is no admission and no RBAC but for what a test switches on.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::body::Bytes;
use axum::extract::{Path as Place, Query, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

use crate::rig::Authority;

pub const KUBE_TOKEN: &str = "a-service-account";

/// The cluster.
#[derive(Clone, Default)]
pub struct Cluster(Arc<Mutex<Held>>);

#[derive(Default)]
pub struct Held {
    pub namespaces: Vec<String>,
    /// Quotas by namespace and name.
    pub quotas: BTreeMap<(String, String), Kept>,
    /// What is in use, by name in a quota; shown in every status.
    pub used: BTreeMap<String, String>,
    /// The answer to all calls for quotas in the place of doing anything.
    pub refuses_with: Option<(u16, &'static str)>,
    /// The queries of all patches.
    pub patches: Vec<BTreeMap<String, String>>,
    version: u64,
}

/// A quota with the manager that owns each of its fields.
#[derive(Clone)]
pub struct Kept {
    pub object: Value,
    pub owners: BTreeMap<String, String>,
}

impl Cluster {
    pub fn with_namespaces(names: &[&str]) -> Cluster {
        let cluster = Cluster::default();
        cluster.held().namespaces = names.iter().map(|name| (*name).to_owned()).collect();
        cluster
    }

    pub fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap()
    }

    /// What a quota allows, as the server writes it.
    pub fn hard(&self, namespace: &str, quota: &str, name: &str) -> Option<String> {
        let held = self.held();
        let kept = held.quotas.get(&(namespace.to_owned(), quota.to_owned()))?;
        Some(kept.object["spec"]["hard"][name].as_str()?.to_owned())
    }

    /// Serves with a certificate of the authority, and writes a kubeconfig
    /// into the folder.
    pub async fn serve(&self, authority: &Authority, folder: &Path) -> std::path::PathBuf {
        let (certificate, key) = authority.issue(folder);
        let chain = CertificateDer::pem_file_iter(certificate).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(key).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
        let config =
            ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let config = config.with_no_client_auth().with_single_cert(chain, key).unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let listener = Tls { socket, acceptor: TlsAcceptor::from(Arc::new(config)) };
        let routes = routes(self.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        std::fs::write(folder.join("ca.pem"), authority.ca_pem()).unwrap();
        let kubeconfig = folder.join("kubeconfig");
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: fake\n\
             clusters: [{{name: fake, cluster: {{server: 'https://{address}', certificate-authority: '{}'}}}}]\n\
             users: [{{name: plimsoll, user: {{token: {KUBE_TOKEN}}}}}]\n\
             contexts: [{{name: fake, context: {{cluster: fake, user: plimsoll}}}}]\n",
            folder.join("ca.pem").display()
        );
        std::fs::write(&kubeconfig, text).unwrap();
        kubeconfig
    }
}

struct Tls {
    socket: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.socket.accept().await else { continue };
            // A client that does not trust us hangs up.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.socket.local_addr()
    }
}

fn routes(cluster: Cluster) -> Router {
    let quota = get(read).patch(apply);
    Router::new()
        .route("/api", get(|| async { Json(json!({"kind": "APIVersions", "versions": ["v1"]})) }))
        .route(
            "/apis",
            get(|| async { Json(json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": []})) }),
        )
        .route("/api/v1", get(|| async { Json(resources()) }))
        .route("/api/v1/namespaces/{namespace}/resourcequotas", get(list))
        .route("/api/v1/namespaces/{namespace}/resourcequotas/{name}", quota)
        .layer(middleware::from_fn(check_token))
        .with_state(cluster)
}

fn resources() -> Value {
    let verbs = json!(["get", "list", "patch", "create"]);
    json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [
        {"name": "namespaces", "singularName": "namespace", "namespaced": false, "kind": "Namespace", "verbs": verbs},
        {"name": "resourcequotas", "singularName": "resourcequota", "namespaced": true, "kind": "ResourceQuota",
         "verbs": verbs, "shortNames": ["quota"]}]})
}

async fn check_token(request: Request, next: Next) -> Response {
    let token = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    match token == Some(&format!("Bearer {KUBE_TOKEN}")) {
        true => next.run(request).await,
        false => status(401, "Unauthorized", "Unauthorized", json!(null)),
    }
}

fn status(code: u16, reason: &str, message: &str, details: Value) -> Response {
    let body = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "details": details, "code": code});
    (StatusCode::from_u16(code).unwrap(), Json(body)).into_response()
}

fn not_found(kind: &str, name: &str) -> Response {
    let message = format!("{kind} \"{name}\" not found");
    status(404, "NotFound", &message, json!({"name": name, "kind": kind}))
}

type At = Place<(String, String)>;

async fn read(State(cluster): State<Cluster>, Place(key): At) -> Response {
    let held = cluster.held();
    if let Some((code, reason)) = held.refuses_with {
        return status(code, reason, "refused by the test", json!(null));
    }
    match held.quotas.get(&key) {
        Some(kept) => Json(shown(kept, &held.used)).into_response(),
        None => not_found("resourcequotas", &key.1),
    }
}

async fn list(State(cluster): State<Cluster>, Place(namespace): Place<String>) -> Json<Value> {
    let held = cluster.held();
    let of = held.quotas.iter().filter(|((place, _), _)| *place == namespace);
    let items: Vec<Value> = of.map(|(_, kept)| shown(kept, &held.used)).collect();
    Json(json!({"kind": "ResourceQuotaList", "apiVersion": "v1", "metadata": {}, "items": items}))
}

fn shown(kept: &Kept, used: &BTreeMap<String, String>) -> Value {
    let mut object = kept.object.clone();
    object["status"] = json!({"hard": object["spec"]["hard"], "used": used});
    object
}

/// Server-side apply.
async fn apply(
    State(cluster): State<Cluster>,
    Place(key): At,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut held = cluster.held();
    held.patches.push(query.clone());
    if let Some((code, reason)) = held.refuses_with {
        return status(code, reason, "refused by the test", json!(null));
    }
    if !held.namespaces.contains(&key.0) {
        return not_found("namespaces", &key.0);
    }
    if headers["content-type"] != "application/apply-patch+yaml" {
        return status(415, "UnsupportedMediaType", "only server-side apply is known here", json!(null));
    }
    let Ok(applied) = serde_json::from_slice::<Value>(&body) else {
        return status(400, "BadRequest", "the body is not JSON", json!(null));
    };
    let Some(manager) = query.get("fieldManager") else {
        return status(400, "BadRequest", "fieldManager is required for apply patch", json!(null));
    };
    let known = held.quotas.get(&key).cloned();
    let has = known.as_ref().map(|kept| kept.object["metadata"]["resourceVersion"].clone());
    let asked = &applied["metadata"]["resourceVersion"];
    if !asked.is_null() && has.as_ref() != Some(asked) {
        return status(409, "Conflict", "the object has been modified", json!(null));
    }
    let forced = query.get("force").is_some_and(|force| force == "true");
    let mut kept = known.unwrap_or_else(|| Kept { object: fresh(&key), owners: BTreeMap::new() });
    let fields = fields(&applied);
    let conflicts = conflicts(&kept, &fields, manager);
    if !forced && !conflicts.is_empty() {
        let first = conflicts[0]["message"].as_str().unwrap();
        let message = format!("Apply failed with {} conflict: {first}", conflicts.len());
        return status(409, "Conflict", &message, json!({"name": key.1, "causes": conflicts}));
    }
    take(&mut kept, fields, manager);
    let dry_run = query.get("dryRun").is_some_and(|dry_run| dry_run == "All");
    held.version += u64::from(!dry_run);
    kept.object["metadata"]["resourceVersion"] = json!(held.version.to_string());
    let answer = shown(&kept, &held.used);
    if !dry_run {
        held.quotas.insert(key, kept);
    }
    Json(answer).into_response()
}

fn fresh((namespace, name): &(String, String)) -> Value {
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "spec": {"hard": {}},
        "metadata": {"name": name, "namespace": namespace, "uid": "7", "labels": {}, "annotations": {}}})
}

const MAPS: [&str; 3] = ["/metadata/labels", "/metadata/annotations", "/spec/hard"];

/// The leaves of an object, by their pointers.
fn fields(object: &Value) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for place in MAPS {
        for (name, value) in object.pointer(place).and_then(Value::as_object).unwrap_or(&Map::new()) {
            let value = if place == "/spec/hard" { canonical(value) } else { value.clone() };
            found.insert(format!("{place}|{name}"), value);
        }
    }
    found
}

/// The form in which a server writes quantities: 12500000000 is 12500M.
fn canonical(quantity: &Value) -> Value {
    let text = quantity.as_str().map_or_else(|| quantity.to_string(), str::to_owned);
    let Ok(mut number) = text.parse::<u64>() else { return json!(text) };
    let mut suffix = "";
    for next in ["k", "M", "G", "T", "P"] {
        if number == 0 || number % 1000 != 0 {
            break;
        }
        (number, suffix) = (number / 1000, next);
    }
    json!(format!("{number}{suffix}"))
}

fn conflicts(kept: &Kept, fields: &BTreeMap<String, Value>, manager: &str) -> Vec<Value> {
    let held = self::fields(&kept.object);
    let other = |(field, value): (&String, &Value)| {
        let owner = kept.owners.get(field).filter(|owner| *owner != manager)?;
        let message = format!("conflict with \"{owner}\" using v1");
        (held.get(field) != Some(value))
            .then(|| json!({"reason": "FieldManagerConflict", "message": message, "field": field}))
    };
    fields.iter().filter_map(other).collect()
}

/// Sets the fields, and removes what the manager owned and no longer names.
fn take(kept: &mut Kept, fields: BTreeMap<String, Value>, manager: &str) {
    let left: Vec<String> = kept
        .owners
        .iter()
        .filter(|(field, owner)| *owner == manager && !fields.contains_key(*field))
        .map(|(field, _)| field.clone())
        .collect();
    for field in left {
        kept.owners.remove(&field);
        let (place, name) = field.split_once('|').unwrap();
        kept.object.pointer_mut(place).unwrap().as_object_mut().unwrap().remove(name);
    }
    for (field, value) in fields {
        let (place, name) = field.split_once('|').unwrap();
        kept.object.pointer_mut(place).unwrap()[name] = value;
        kept.owners.entry(field).or_insert_with(|| manager.to_owned());
    }
}
