//! The platform that enforces the quotas: it remembers all that it was ever
//! told, is out of reach now and then, and is slow to answer so that a kill
//! falls between its doing and the answer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::put;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// How often a change is not taken, and how often it is taken slowly.
const OUT_OF_REACH: f64 = 0.03;
const SLOW: f64 = 0.05;

/// A quota as it holds there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Enforced {
    pub limit: f64,
    pub generation: u64,
}

struct Held {
    random: ChaCha8Rng,
    /// By tenant and resource.
    quotas: BTreeMap<String, Enforced>,
    /// The limit that came with each Idempotency-Key.
    told: BTreeMap<String, f64>,
    /// Changes that rest on a recommendation, which nobody but the daemon
    /// approves here.
    of_the_daemon: usize,
    faults: Vec<String>,
}

type Shared = Arc<Mutex<Held>>;

/// The platform; it ends with the test's runtime.
#[derive(Clone)]
pub struct Platform {
    pub url: String,
    held: Shared,
}

impl Platform {
    pub async fn start(seed: u64) -> Platform {
        let held = Arc::new(Mutex::new(Held {
            random: ChaCha8Rng::seed_from_u64(seed),
            quotas: BTreeMap::new(),
            told: BTreeMap::new(),
            of_the_daemon: 0,
            faults: Vec::new(),
        }));
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let routes = Router::new()
            .route("/quotas/{tenant}/{resource}", put(set).get(get))
            .with_state(Arc::clone(&held));
        tokio::spawn(async move { axum::serve(socket, routes).await });
        Platform { url, held }
    }

    /// What holds there of a tenant's processor time.
    pub fn holds(&self, tenant: &str) -> Option<Enforced> {
        self.held.lock().unwrap().quotas.get(&format!("{tenant}/cpu_cores")).copied()
    }

    pub fn changes_of_the_daemon(&self) -> usize {
        self.held.lock().unwrap().of_the_daemon
    }

    /// Fails where something was told there that must not be.
    pub fn is_sound(&self) {
        let faults = self.held.lock().unwrap().faults.clone();
        assert!(faults.is_empty(), "{faults:#?}");
    }
}

impl Held {
    /// Takes a change; gives the answer, and how long it takes to come.
    fn take(&mut self, place: String, key: &str, parent: &str, asked: &Value) -> (StatusCode, Duration) {
        let limit = asked["limit"].as_f64().unwrap();
        let generation = asked["generation"].as_u64().unwrap();
        let told = self.told.insert(key.to_owned(), limit);
        if told.is_some_and(|before| before != limit) {
            self.faults.push(format!("{key} came with {told:?} and with {limit}"));
        }
        if parent != format!("\"{}\"", generation - 1) {
            self.faults.push(format!("{key} makes generation {generation} from {parent}"));
        }
        self.of_the_daemon += usize::from(!asked["recommendation"].is_null());
        if self.random.random_bool(OUT_OF_REACH) {
            return (StatusCode::SERVICE_UNAVAILABLE, Duration::ZERO);
        }
        let (new, known) = (Enforced { limit, generation }, self.quotas.get(&place).copied());
        // A repeat changes nothing; anything else follows from what holds.
        let stands = known.map_or(1, |known| known.generation);
        if known != Some(new) && stands + 1 != generation {
            self.faults.push(format!("{place} was told {new:?} where {known:?} holds"));
        }
        self.quotas.insert(place, new);
        let wait = if self.random.random_bool(SLOW) { self.random.random_range(5..60) } else { 0 };
        (StatusCode::NO_CONTENT, Duration::from_millis(wait))
    }
}

async fn set(
    State(held): State<Shared>,
    Path((tenant, resource)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let (key, parent) = (header("idempotency-key"), header("if-match"));
    let place = format!("{tenant}/{resource}");
    let (status, wait) = held.lock().unwrap().take(place, &key, &parent, &asked);
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    status
}

async fn get(
    State(held): State<Shared>,
    Path((tenant, resource)): Path<(String, String)>,
) -> (StatusCode, String) {
    match held.lock().unwrap().quotas.get(&format!("{tenant}/{resource}")) {
        Some(enforced) => (StatusCode::OK, json!({"limit": enforced.limit}).to_string()),
        None => (StatusCode::NOT_FOUND, String::new()),
    }
}
