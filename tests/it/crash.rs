//! The daemon is killed at random moments under a mixed load: its own cycles
//! over a real Prometheus, people who change quotas, roll out and silence, a
//! platform that enforces the quotas and a receiver of webhooks. What it has
//! acknowledged must stand after the restart; what it has not may stand or not,
//! but never half, and nothing twice. The same over every store on disk.

mod ledger;
mod load;
mod platform;
mod settled;
mod witness;

use std::str::FromStr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

use self::load::Callers;
use self::platform::Platform;
use self::witness::Witness;
use crate::caller::Caller;
use crate::rig::{Answer, Daemon, Listener, Prometheus, openmetrics};
use crate::setup::config_for;

/// Kills, unless PLIMSOLL_TEST_KILLS says another number; 500 are the long form.
const KILLS: usize = 12;
/// Where chance begins, unless PLIMSOLL_TEST_SEED says another number.
const SEED: u64 = 7117;
/// One life in so many goes on until the daemon changes a quota by itself.
const PATIENT_LIFE: usize = 4;
/// How long such a life waits for that.
const LONGEST_LIFE: Duration = Duration::from_millis(2_500);
/// All is let come to rest, and held, after so many kills, and at the end.
const REST_EVERY: usize = 50;
/// Seconds between two samples.
const STEP: i64 = 300;
/// The usage that is there: the days before, and hours in which the test runs.
const DAYS: i64 = 4;
const HOURS_AHEAD: i64 = 6;
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The tenants whose quotas people change all the time.
pub fn changed(number: usize) -> String {
    format!("changed-{number}")
}

/// The tenants whose quotas the daemon raises by itself, after people have cut
/// them below what is used.
pub fn raised(number: usize) -> String {
    format!("raised-{number}")
}

/// The tenants that rollouts are made of.
pub fn rolled(number: usize) -> String {
    format!("rolled-{number}")
}

pub const CHANGED: usize = 2;
pub const RAISED: usize = 3;
pub const ROLLED: usize = 4;

/// All of them.
pub fn tenants() -> Vec<String> {
    let of_people = (0..CHANGED).map(changed);
    of_people.chain((0..RAISED).map(raised)).chain((0..ROLLED).map(rolled)).collect()
}

pub fn quota_path(tenant: &str) -> String {
    format!("/v1/tenants/{tenant}/quotas/cpu_cores")
}

/// Says with what to play a test again that fails.
struct Run {
    store: &'static str,
    seed: u64,
    kills: usize,
    kill: usize,
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Run { store, seed, kills, kill } = self;
            eprintln!(
                "over {store}, after kill {kill}; again with PLIMSOLL_TEST_SEED={seed} PLIMSOLL_TEST_KILLS={kills}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_work_survives_kill_9_over_redb() {
    survives("redb").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledged_work_survives_kill_9_over_sled() {
    survives("sled").await;
}

async fn survives(store: &'static str) {
    let (seed, kills) = (given("PLIMSOLL_TEST_SEED", SEED), given("PLIMSOLL_TEST_KILLS", KILLS));
    let mut run = Run { store, seed, kills, kill: 0 };
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let prometheus = Prometheus::start(&usage()).await;
    let platform = Platform::start(random.random()).await;
    let receiver = Listener::start(&[]).await;
    let mut daemon = Daemon::start(&config(store, &prometheus, &platform, &receiver)).await;
    let caller = Caller::of(&daemon);
    register(&caller).await;
    let mut witness = Witness::default();
    for kill in 1..=kills {
        run.kill = kill;
        receiver.otherwise(mood(&mut random));
        let callers = Callers::start(&caller, random.random());
        live(kill, &platform, &mut random).await;
        daemon.kill();
        let told = callers.ended().await;
        daemon.start_again().await;
        witness.holds(&caller, told).await;
        platform.is_sound();
        if kill.is_multiple_of(REST_EVERY) || kill == kills {
            receiver.otherwise(Answer::Status(204));
            witness.comes_to_rest(&daemon, &caller, &platform, &receiver).await;
        }
    }
    witness.has_seen_enough(kills);
    eprintln!("{store}: {kills} kills, {}, {} webhooks", witness.counts(), receiver.posted().len());
}

/// Lets the daemon live until the moment at which it is killed.
async fn live(kill: usize, platform: &Platform, random: &mut ChaCha8Rng) {
    let longest = if kill.is_multiple_of(PATIENT_LIFE) {
        let (begin, before) = (Instant::now(), platform.changes_of_the_daemon());
        while platform.changes_of_the_daemon() == before && begin.elapsed() < LONGEST_LIFE {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        60
    } else {
        400
    };
    tokio::time::sleep(Duration::from_millis(random.random_range(0..longest))).await;
}

/// How the receiver answers in one life: it takes all that comes, now and then so
/// late that the daemon has given the attempt up.
fn mood(random: &mut ChaCha8Rng) -> Answer {
    match random.random_range(0..4_u32) {
        0 => Answer::Slow(Duration::from_millis(700)),
        1 => Answer::Slow(Duration::from_millis(50)),
        _ => Answer::Status(204),
    }
}

/// A number from the environment.
fn given<T: FromStr>(name: &str, otherwise: T) -> T {
    let Ok(text) = std::env::var(name) else { return otherwise };
    text.parse::<T>().unwrap_or_else(|_| panic!("{name} is no number"))
}

/// What the tenants use that the daemon sizes by itself: 2 to 2.5 cores.
fn usage() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64 / STEP;
    let (first, last) = (now - DAYS * 86_400 / STEP, now + HOURS_AHEAD * 3_600 / STEP);
    let series = (0..RAISED).map(|number| {
        let used = |at: i64| 2.0 + ((at + number as i64) * 7919 % 100) as f64 / 200.0;
        let samples: Vec<(i64, f64)> = (first..last).map(|at| (at * STEP, used(at))).collect();
        (format!("tenant=\"{}\"", raised(number)), samples)
    });
    openmetrics([("tenant_cpu_cores", "gauge", series.collect())])
}

/// A daemon in a hurry: no cool-down, no unusual usage, alerts without end.
fn config(store: &str, prometheus: &Prometheus, platform: &Platform, receiver: &Listener) -> String {
    let more = format!(
        r#"
[forecast]
horizon = "1d"
[anomaly]
threshold = 1000.0
open_distance = 1000.0
[incidents]
least_open = "0s"
join_within = "0s"
alerts_per_day = 1000
spend_change = 10.0
[rightsizing]
cadence = "daily"
[guardrails]
cool_down = "0s"
least_confidence = 0.0
[rollouts]
check_every = "10ms"
[target]
kind = "http"
url = "{}/quotas/{{tenant}}/{{resource}}"
secret = "{SECRET}"
[notify]
poll_every = "20ms"
time_limit = "500ms"
allowed_networks = ["127.0.0.0/8"]
retry_waits = [{}]
[receivers.hook]
kind = "standard_webhooks"
url = "{}"
secret = "{SECRET}"
"#,
        platform.url,
        ["\"200ms\""; 20].join(", "),
        receiver.url
    );
    config_for(&prometheus.url, &more)
        .replace("path = \"data\"", &format!("path = \"data\"\nkind = \"{store}\""))
        .replace("settle = \"0s\"", &format!("settle = \"0s\"\nbackfill = \"{DAYS}d\""))
        .replace("[cycle]\nevery = \"1s\"", "[cycle]\nevery = \"100ms\"")
}

async fn register(caller: &Caller) {
    for tenant in tenants() {
        let mode = if tenant.starts_with("raised-") { "approved" } else { "observe" };
        let new = json!({"id": tenant, "tier": "PREMIUM", "apply_mode": mode});
        assert_eq!(caller.post("/v1/tenants", &new).await.0, 201, "{tenant}");
    }
}
