//! Random calls and crashes against a simple model of quotas: what the API says
//! of each quota, and how often the audit log says that it was changed, is what
//! the model says. A crash leaves each quota as it was or as it was to be, and
//! each write is sent twice under its Idempotency-Key and done once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::test_runner::Config;

use super::*;
use crate::domain::{Resource, Tier};
use crate::store::cut::Cut;

const CPU: Resource = Resource::CpuCores;
const TENANTS: usize = 3;
/// Each process draws ids of its own.
static SEED: AtomicU64 = AtomicU64::new(1);
/// More commits than any sequence makes.
const NEVER: usize = 1_000_000;

/// One call, or a crash.
#[derive(Debug, Clone)]
enum Act {
    Create(usize),
    Remove(usize),
    Set {
        tenant: usize,
        limit: f64,
        seen: Seen,
    },
    RollBack {
        tenant: usize,
        seen: Seen,
    },
    Pause,
    Resume,
    Rollout {
        limit: f64,
    },
    TakeBack,
    /// The process is cut at its so-many-th commit from now on.
    Crash {
        commits: usize,
        after: bool,
    },
}

/// The generation that a caller says to have seen.
#[derive(Debug, Clone, Copy)]
enum Seen {
    Right,
    Stale,
    Any,
}

fn act() -> impl Strategy<Value = Act> {
    let tenant = || 0..TENANTS;
    let seen = || prop_oneof![3 => Just(Seen::Right), 1 => Just(Seen::Stale), 1 => Just(Seen::Any)];
    // Some lie below the tier's floor, and some above its ceiling.
    let limit = || {
        prop_oneof![8 => 10_u32..300, 1 => 0_u32..3, 1 => 400_u32..900]
            .prop_map(|tenths| f64::from(tenths + 1) / 10.0)
    };
    prop_oneof![
        3 => tenant().prop_map(Act::Create),
        1 => tenant().prop_map(Act::Remove),
        8 => (tenant(), limit(), seen()).prop_map(|(tenant, limit, seen)| Act::Set { tenant, limit, seen }),
        3 => (tenant(), seen()).prop_map(|(tenant, seen)| Act::RollBack { tenant, seen }),
        1 => Just(Act::Pause),
        2 => Just(Act::Resume),
        3 => limit().prop_map(|limit| Act::Rollout { limit }),
        2 => Just(Act::TakeBack),
        2 => (1..6_usize, any::<bool>()).prop_map(|(commits, after)| Act::Crash { commits, after }),
    ]
}

#[derive(Debug, Clone, PartialEq)]
struct Known {
    limit: f64,
    generation: u64,
    before: Option<f64>,
    /// How often a quota of this name was changed, also by tenants that left.
    changed: usize,
}

/// What the API should say.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    quotas: BTreeMap<usize, Known>,
    /// Changes of tenants that left.
    left: BTreeMap<usize, usize>,
    paused: bool,
}

impl Model {
    fn change(&mut self, tenant: usize, limit: f64) {
        if let Some(known) = self.quotas.get_mut(&tenant) {
            known.before = Some(known.limit);
            known.limit = limit;
            known.generation += 1;
            known.changed += 1;
        }
    }

    /// The status that a change of one quota is answered with.
    fn judge(&self, tenant: usize, limit: Option<f64>, seen: Seen) -> u16 {
        let Some(known) = self.quotas.get(&tenant) else { return 404 };
        let Some(limit) = limit.or(known.before) else { return 409 };
        let ceiling = Tier::Premium.ceiling(CPU).unwrap_or(f64::INFINITY);
        match seen {
            Seen::Stale => 412,
            _ if limit < Tier::Premium.floor(CPU) || limit > ceiling => 422,
            _ if self.paused => 409,
            _ => 200,
        }
    }
}

/// The daemon, which may be cut, and what outlives it.
struct World {
    inner: Arc<MemoryStore>,
    cut: Arc<Cut>,
    router: Router,
    engine: Arc<Engine>,
    /// The last rollout with the quotas that it has changed.
    rollout: Option<(String, BTreeMap<usize, Known>)>,
}

impl World {
    async fn begin() -> World {
        let inner = Arc::new(MemoryStore::default());
        // The token is written down before anything is cut.
        let _written = api_over(inner.clone(), 0).await;
        World::over(inner, NEVER, false, None).await
    }

    async fn over(
        inner: Arc<MemoryStore>,
        commits: usize,
        after: bool,
        rollout: Option<(String, BTreeMap<usize, Known>)>,
    ) -> World {
        let cut = Arc::new(Cut::at(inner.clone(), NEVER, after));
        let (router, engine) = api_over(cut.clone(), SEED.fetch_add(1, Ordering::Relaxed)).await;
        cut.cut_in(commits);
        World { inner, cut, router, engine, rollout }
    }

    /// The ids of all rollouts.
    async fn rollouts(&self) -> Vec<String> {
        let all = self.engine.registry().rollouts(None, NEVER).await.unwrap();
        all.iter().map(|rollout| rollout.id.to_string()).collect()
    }

    /// Whether the last rollout is taken back to its end.
    async fn is_taken_back(&self) -> bool {
        let Some((id, _)) = &self.rollout else { return false };
        let (rollout, _) = self.engine.registry().rollout(id.parse().unwrap()).await.unwrap();
        rollout.state.name() == "rolled_back"
    }

    /// The quota as the API has it; `None` where there is no such tenant.
    async fn quota(&self, tenant: usize) -> Option<(f64, u64)> {
        let (status, _, quota) = get(&self.router, &format!("/v1/tenants/t{tenant}/quotas/cpu_cores")).await;
        let known = || Some((quota["limit"].as_f64()?, quota["generation"].as_u64()?));
        if status == StatusCode::OK { known() } else { None }
    }

    /// Sends an act under an Idempotency-Key.
    async fn perform(&self, act: &Act, model: &Model, key: &str) -> (u16, Value) {
        let generation = |tenant: &usize| model.quotas.get(tenant).map_or(1, |known| known.generation);
        let tag = |tenant, seen: &Seen| match seen {
            Seen::Right => format!("\"{}\"", generation(tenant)),
            Seen::Stale => format!("\"{}\"", generation(tenant) + 7),
            Seen::Any => "*".to_owned(),
        };
        let reason = json!({"reason": "a test"});
        let (method, path, tag, body) = match act {
            Act::Create(tenant) => {
                let body =
                    json!({"id": format!("t{tenant}"), "tier": "PREMIUM", "quotas": {"cpu_cores": 8.0}});
                ("POST", "/v1/tenants".to_owned(), None, Some(body))
            }
            Act::Remove(tenant) => ("DELETE", format!("/v1/tenants/t{tenant}"), None, None),
            Act::Set { tenant, limit, seen } => {
                let path = format!("/v1/tenants/t{tenant}/quotas/cpu_cores");
                ("PUT", path, Some(tag(tenant, seen)), Some(json!({"limit": limit})))
            }
            Act::RollBack { tenant, seen } => {
                let path = format!("/v1/tenants/t{tenant}/quotas/cpu_cores/roll-back");
                ("POST", path, Some(tag(tenant, seen)), Some(reason))
            }
            Act::Pause => ("PUT", "/v1/pause".to_owned(), None, Some(reason)),
            Act::Resume => ("DELETE", "/v1/pause".to_owned(), None, None),
            Act::Rollout { limit } => {
                let one = |tenant: &usize| json!({"tenant": format!("t{tenant}"), "resource": "cpu_cores", "limit": limit});
                let changes: Vec<Value> = model.quotas.keys().map(one).collect();
                let body = json!({
                    "name": "all", "reason": "a test", "strategy": {"kind": "all_at_once"}, "watch_seconds": 0,
                    "take": {"kind": "changes", "changes": changes},
                });
                ("POST", "/v1/rollouts".to_owned(), None, Some(body))
            }
            Act::TakeBack => {
                let id = self.rollout.as_ref().map_or("00000000-0000-0000-0000-000000000000", |(id, _)| id);
                ("POST", format!("/v1/rollouts/{id}/roll-back"), None, Some(reason))
            }
            Act::Crash { .. } => return (0, Value::Null),
        };
        let mut headers: Vec<(&str, &str)> = tag.iter().map(|tag| ("if-match", tag.as_str())).collect();
        headers.push(("idempotency-key", key));
        let (status, _, answer) = call(&self.router, method, &path, &headers, body).await;
        (status.as_u16(), answer)
    }
}

/// What the act should be answered with, and what should stand after it.
fn foretold(act: &Act, model: &Model, world: &World) -> (u16, Model) {
    let mut next = model.clone();
    let status = match act {
        Act::Create(tenant) if model.quotas.contains_key(tenant) => 409,
        Act::Create(tenant) => {
            let changed = model.left.get(tenant).copied().unwrap_or(0);
            next.quotas.insert(*tenant, Known { limit: 8.0, generation: 1, before: None, changed });
            201
        }
        Act::Remove(tenant) if model.paused && model.quotas.contains_key(tenant) => 409,
        Act::Remove(tenant) => match next.quotas.remove(tenant) {
            Some(known) => {
                next.left.insert(*tenant, known.changed);
                204
            }
            None => 404,
        },
        Act::Set { tenant, limit, seen } => {
            let status = model.judge(*tenant, Some(*limit), *seen);
            if status == 200 {
                next.change(*tenant, *limit);
            }
            status
        }
        Act::RollBack { tenant, seen } => {
            let status = model.judge(*tenant, None, *seen);
            let before = model.quotas.get(tenant).and_then(|known| known.before);
            if let (200, Some(before)) = (status, before) {
                next.change(*tenant, before);
            }
            status
        }
        Act::Pause => {
            next.paused = true;
            200
        }
        Act::Resume => {
            next.paused = false;
            204
        }
        Act::Rollout { limit } => {
            let changes: Vec<usize> = model
                .quotas
                .iter()
                .filter(|(tenant, known)| {
                    known.limit != *limit
                        && [200, 409].contains(&model.judge(**tenant, Some(*limit), Seen::Right))
                })
                .map(|(tenant, _)| *tenant)
                .collect();
            changes.iter().for_each(|tenant| next.change(*tenant, *limit));
            match changes.is_empty() {
                false => 201,
                // A rule stands against all of it, or there is nothing to change.
                true if model.quotas.values().any(|known| known.limit != *limit) => 409,
                true => 422,
            }
        }
        Act::TakeBack => {
            let Some((_, changed)) = &world.rollout else { return (404, next) };
            for (tenant, then) in changed {
                let now = model.quotas.get(tenant);
                let same =
                    now.is_some_and(|now| (now.generation, now.changed) == (then.generation, then.changed));
                if let (true, Some(before)) = (same, then.before) {
                    next.change(*tenant, before);
                }
            }
            200
        }
        Act::Crash { .. } => 0,
    };
    (status, next)
}

/// A rollout that is begun or taken back while all is stopped waits, and the
/// model knows no waiting.
fn is_left_out(act: &Act, model: &Model) -> bool {
    model.paused && matches!(act, Act::Rollout { .. } | Act::TakeBack)
}

async fn holds(world: &World, model: &Model) -> bool {
    for tenant in 0..TENANTS {
        let known = model.quotas.get(&tenant).map(|known| (known.limit, known.generation));
        if world.quota(tenant).await != known {
            return false;
        }
    }
    true
}

async fn check(world: &World, model: &Model, told: &str) {
    for tenant in 0..TENANTS {
        let known = model.quotas.get(&tenant);
        let limits = known.map(|known| (known.limit, known.generation));
        assert_eq!(world.quota(tenant).await, limits, "t{tenant} after {told}");
        let changed = known.map(|known| known.changed).or_else(|| model.left.get(&tenant).copied());
        let id = format!("t{tenant}").parse().unwrap();
        let lines = world.engine.registry().audit(Some(&id), None, 10_000).await.unwrap();
        let count = lines.iter().filter(|line| line.event.action == AuditAction::QuotaChanged).count();
        assert_eq!(count, changed.unwrap_or(0), "lines of t{tenant} after {told}");
    }
}

/// Another process goes on over what the one before has left, and ends what it
/// had begun.
async fn restart(world: World) -> World {
    let World { inner, rollout, .. } = world;
    let world = World::over(inner, NEVER, false, rollout).await;
    world.engine.cycle(&Silent).await.unwrap();
    world.engine.advance_rollouts().await.unwrap();
    world
}

async fn play(acts: Vec<Act>) {
    let (mut world, mut model) = (World::begin().await, Model::default());
    for (place, act) in acts.iter().enumerate() {
        let told = format!("{act:?}, the act {place} of {acts:?}");
        if is_left_out(act, &model) {
            continue;
        }
        if let Act::Crash { commits, after } = act {
            world = World::over(world.inner, *commits, *after, world.rollout).await;
            continue;
        }
        let (status, next) = foretold(act, &model, &world);
        let rollouts = world.rollouts().await;
        let key = format!("act {place}");
        let (answered, answer) = world.perform(act, &model, &key).await;
        if world.cut.is_over() {
            world = restart(world).await;
            // What was written down in part is ended; what was not, never was.
            let is_rollout = matches!(act, Act::Rollout { .. } | Act::TakeBack);
            let went_through = if is_rollout {
                holds(&world, &next).await && next != model
            } else {
                holds(&world, &next).await
            };
            // Taken back is taken back, also where nothing was left to change.
            if matches!(act, Act::TakeBack) && world.is_taken_back().await {
                world.rollout = None;
            }
            let paused = world.engine.registry().pause().await.unwrap().is_some();
            let next = Model { paused, ..next };
            if went_through {
                // Ids of one instant sort by chance, so the new one is the one that was not there.
                let begun = world.rollouts().await.into_iter().find(|id| !rollouts.contains(id));
                if let (Act::Rollout { .. }, Some(id)) = (act, begun) {
                    world.rollout = Some((id, changed_by(&model, &next)));
                }
                model = next;
            } else {
                model.paused = paused;
            }
            check(&world, &model, &told).await;
            continue;
        }
        assert_eq!(answered, status, "{answer:#} to {told}");
        if answered < 300 {
            // Sent again it is answered as before, and not done again: what follows would see that.
            assert_eq!(world.perform(act, &model, &key).await, (answered, answer.clone()), "again: {told}");
        }
        if let (Act::Rollout { .. }, 201) = (act, answered) {
            world.rollout = Some((answer["id"].as_str().unwrap().to_owned(), changed_by(&model, &next)));
        }
        if let (Act::TakeBack, 200) = (act, answered) {
            world.rollout = None;
        }
        model = next;
        check(&world, &model, &told).await;
    }
}

fn changed_by(before: &Model, after: &Model) -> BTreeMap<usize, Known> {
    let changed = |(tenant, known): (&usize, &Known)| {
        (before.quotas.get(tenant) != Some(known)).then(|| (*tenant, known.clone()))
    };
    after.quotas.iter().filter_map(changed).collect()
}

proptest! {
    #![proptest_config(Config { cases: 48, ..Config::default() })]

    #[test]
    fn random_calls_and_crashes_do_what_a_simple_model_says(acts in proptest::collection::vec(act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(acts));
    }
}
