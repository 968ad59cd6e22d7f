//! The people who work with the daemon until it is killed, and what it has
//! acknowledged to them.

use std::ops::Range;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::{RAISED, ROLLED, changed, quota_path, raised, rolled};
use crate::caller::Caller;

/// A change of a quota that somebody asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub tenant: String,
    /// The generation that it makes.
    pub generation: u64,
    pub limit: f64,
}

/// What was asked for, and what the daemon has acknowledged of it.
#[derive(Debug, Default)]
pub struct Told {
    /// Each change of a quota that was sent, whatever came of it.
    pub asked: Vec<Change>,
    pub changed: Vec<Change>,
    /// The ids of rollouts that were begun.
    pub rollouts: Vec<String>,
    /// The ids of silences that were added.
    pub silences: Vec<String>,
    /// The ids of those that were lifted.
    pub lifted: Vec<String>,
    /// The ids of incidents that somebody takes care of.
    pub acknowledged: Vec<String>,
}

impl Told {
    pub fn add(&mut self, other: Told) {
        self.asked.extend(other.asked);
        self.changed.extend(other.changed);
        self.rollouts.extend(other.rollouts);
        self.silences.extend(other.silences);
        self.lifted.extend(other.lifted);
        self.acknowledged.extend(other.acknowledged);
    }
}

/// What somebody does again and again.
#[derive(Debug, Clone, Copy)]
enum Job {
    /// Changes one tenant's quota.
    Change(usize),
    /// Cuts quotas below what is used, so that the daemon raises them.
    Cut,
    /// Begins rollouts, and takes some of them back.
    RollOut,
    /// Adds silences, lifts them, and takes care of incidents.
    Quieten,
}

const JOBS: [Job; 5] = [Job::Change(0), Job::Change(1), Job::Cut, Job::RollOut, Job::Quieten];

/// What a call gave; an error where the daemon is gone.
type Outcome<T> = Result<T, reqwest::Error>;

/// All who work in one life of the daemon.
pub struct Callers(Vec<JoinHandle<Told>>);

impl Callers {
    /// Lets them begin, each with a chance of its own that comes from `seed`.
    pub fn start(caller: &Caller, seed: u64) -> Callers {
        let begin = |(number, job): (usize, Job)| {
            let random = ChaCha8Rng::seed_from_u64(seed.wrapping_add(number as u64));
            let worker = Worker { caller: caller.clone(), random, told: Told::default() };
            tokio::spawn(worker.work(job))
        };
        Callers(JOBS.into_iter().enumerate().map(begin).collect())
    }

    /// What was acknowledged to them, once all have seen that the daemon is gone.
    pub async fn ended(self) -> Told {
        let mut told = Told::default();
        for worker in self.0 {
            told.add(worker.await.unwrap());
        }
        told
    }
}

struct Worker {
    caller: Caller,
    random: ChaCha8Rng,
    told: Told,
}

impl Worker {
    async fn work(mut self, job: Job) -> Told {
        while self.turn(job).await.is_ok() {}
        self.told
    }

    async fn turn(&mut self, job: Job) -> Outcome<()> {
        match job {
            Job::Change(number) => self.change(&changed(number)).await,
            Job::Cut => self.cut().await,
            Job::RollOut => self.roll_out().await,
            Job::Quieten => {
                self.silence().await?;
                self.take_care().await
            }
        }
    }

    async fn change(&mut self, tenant: &str) -> Outcome<()> {
        let (limit, generation) = self.quota(tenant).await?;
        let limit = self.limit_but(&[limit], 10..80);
        self.put(tenant, generation, limit).await
    }

    async fn cut(&mut self) -> Outcome<()> {
        let tenant = raised(self.random.random_range(0..RAISED));
        let (limit, generation) = self.quota(&tenant).await?;
        if limit > 1.5 {
            let limit = self.limit_but(&[limit], 9..14);
            self.put(&tenant, generation, limit).await?;
        }
        self.wait(20..120).await;
        Ok(())
    }

    async fn roll_out(&mut self) -> Outcome<()> {
        let (_, page) = self.call(Method::GET, "/v1/rollouts?limit=1", None).await?;
        if page["items"].get(0).is_some_and(|newest| !is_over(newest)) {
            self.wait(5..15).await;
            return Ok(());
        }
        let mut stand = Vec::new();
        for number in 0..ROLLED {
            stand.push(self.quota(&rolled(number)).await?.0);
        }
        let limit = self.limit_but(&stand, 40..90);
        // Each has a name of its own, which stands in the audit log with what it changes.
        let wish = wish(&format!("rollout {:016x}", self.random.random::<u64>()), limit);
        match self.call(Method::POST, "/v1/rollouts", Some(&wish)).await? {
            (201, begun) => {
                let id = begun["id"].as_str().unwrap().to_owned();
                self.told.rollouts.push(id.clone());
                if self.random.random_bool(0.25) {
                    self.take_back(&id).await?;
                }
            }
            // Somebody is at one of the quotas.
            (409 | 503, _) => {}
            (status, answer) => panic!("{status} {answer:#}"),
        }
        self.wait(1..40).await;
        Ok(())
    }

    async fn take_back(&mut self, id: &str) -> Outcome<()> {
        let (path, why) = (format!("/v1/rollouts/{id}/roll-back"), json!({"reason": "a test"}));
        let (status, answer) = self.call(Method::POST, &path, Some(&why)).await?;
        assert!([200, 409, 503].contains(&status), "{status} {answer:#}");
        Ok(())
    }

    async fn silence(&mut self) -> Outcome<()> {
        let tenant = raised(self.random.random_range(0..RAISED));
        // So short that one which a kill leaves behind does not keep alerts back for long.
        let wish = json!({"tenant": tenant, "seconds": 3, "reason": "a test"});
        let (status, added) = self.call(Method::POST, "/v1/silences", Some(&wish)).await?;
        assert_eq!(status, 201, "{added:#}");
        let id = added["id"].as_str().unwrap().to_owned();
        self.told.silences.push(id.clone());
        self.wait(5..60).await;
        let (status, lifted) = self.call(Method::DELETE, &format!("/v1/silences/{id}"), None).await?;
        assert!([200, 409].contains(&status), "{status} {lifted:#}");
        // One that was over by itself is not lifted.
        if lifted["lifted_at"].is_string() {
            self.told.lifted.push(id);
        }
        Ok(())
    }

    async fn take_care(&mut self) -> Outcome<()> {
        let (_, page) = self.call(Method::GET, "/v1/incidents?state=open&limit=1", None).await?;
        let Some(id) = page["items"].get(0).and_then(|one| one["id"].as_str()) else { return Ok(()) };
        let (path, word) = (format!("/v1/incidents/{id}/acknowledge"), json!({"comment": "a test"}));
        match self.call(Method::POST, &path, Some(&word)).await? {
            (200, _) => self.told.acknowledged.push(id.to_owned()),
            // It is over, or the cycle is at it.
            (409, _) => {}
            (status, answer) => panic!("{status} {answer:#}"),
        }
        Ok(())
    }

    /// A quota's limit and generation.
    async fn quota(&self, tenant: &str) -> Outcome<(f64, u64)> {
        let (status, quota) = self.call(Method::GET, &quota_path(tenant), None).await?;
        assert_eq!(status, 200, "{quota:#}");
        Ok((quota["limit"].as_f64().unwrap(), quota["generation"].as_u64().unwrap()))
    }

    /// Changes a quota, if it is still of this generation.
    async fn put(&mut self, tenant: &str, generation: u64, limit: f64) -> Outcome<()> {
        let change = Change { tenant: tenant.to_owned(), generation: generation + 1, limit };
        // It is noted before it is sent: a kill may let it happen without an answer.
        self.told.asked.push(change.clone());
        let (tag, body) = (format!("\"{generation}\""), json!({"limit": limit, "reason": "a test"}));
        match self.caller.call(Method::PUT, &quota_path(tenant), Some(&tag), Some(&body)).await? {
            (200, answer) => {
                assert_eq!(answer["generation"].as_u64(), Some(change.generation), "{answer:#}");
                assert_eq!(answer["limit"].as_f64(), Some(limit), "{answer:#}");
                self.told.changed.push(change);
            }
            // Another change is on its way or was quicker, or the platform is out of reach.
            (409 | 412 | 503, _) => self.wait(1..10).await,
            (status, answer) => panic!("{status} {answer:#}"),
        }
        Ok(())
    }

    async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Outcome<(u16, Value)> {
        self.caller.call(method, path, None, body).await
    }

    /// A limit in tenths that is none of those that stand, so that each change
    /// changes something.
    fn limit_but(&mut self, standing: &[f64], tenths: Range<u32>) -> f64 {
        loop {
            let limit = f64::from(self.random.random_range(tenths.clone())) / 10.0;
            if !standing.contains(&limit) {
                return limit;
            }
        }
    }

    async fn wait(&mut self, milliseconds: Range<u64>) {
        tokio::time::sleep(Duration::from_millis(self.random.random_range(milliseconds))).await;
    }
}

/// Whether nothing more will happen with a rollout.
pub fn is_over(rollout: &Value) -> bool {
    ["done", "rolled_back"].contains(&rollout["state"]["kind"].as_str().unwrap())
}

/// A rollout a tenant at a time, which nothing but a person takes back.
fn wish(name: &str, limit: f64) -> Value {
    let change = |number: usize| json!({"tenant": rolled(number), "resource": "cpu_cores", "limit": limit});
    let changes: Vec<Value> = (0..ROLLED).map(change).collect();
    json!({
        "name": name, "reason": name, "watch_seconds": 0,
        "strategy": {"kind": "rolling", "batch": 1},
        "take": {"kind": "changes", "changes": changes},
        "limits": {"violations": 1.0, "tenant_violations": 1.0, "incidents": 1_000_000},
    })
}
