//! What people do to the fleet meanwhile: they decide, change, stop, silence,
//! roll out, come and go. What the rules of the house refuse is refused; that
//! is none of their failures.

use rand::RngExt;
use rand::seq::IndexedRandom;

use super::parts::RESOURCES;
use super::{HOUR, World, person};
use crate::domain::rollout::{Strategy, Wish};
use crate::domain::{ApplyMode, Marker, MarkerKind, Silence, TenantId};
use crate::engine::{RolloutWish, Steer};
use crate::ports::Clock;
use crate::registry::{RequestFilter, TenantEdit};

/// A few things that people may do now.
pub async fn act(world: &mut World) -> Result<(), String> {
    let is_stopped = matches!(world.engine.registry().pause().await, Ok(Some(_)));
    if is_stopped && world.random.random_bool(0.3) {
        let _ = one(world, 7).await;
        world.was_killed().await?;
    }
    if world.random.random_bool(0.8) {
        let what = world.random.random_range(0..14);
        // Refusals are answers; a process that was killed gives none.
        let _ = one(world, what).await;
        world.was_killed().await?;
    }
    Ok(())
}

type Tried = Result<(), Box<dyn std::error::Error>>;

async fn one(world: &mut World, what: u32) -> Tried {
    let registry = world.engine.registry().clone();
    let now = world.clock.now();
    let names: Vec<TenantId> = registry.all_tenants().await?.into_iter().map(|tenant| tenant.id).collect();
    let tenant = names.choose(&mut world.random).cloned().ok_or("nobody is there")?;
    let resource = *RESOURCES.choose(&mut world.random).ok_or("nothing is there")?;
    let who = ["ann", "bob"].choose(&mut world.random).copied().unwrap_or("ann");
    match what {
        0..=2 => {
            let waiting = registry.all_waiting().await?;
            let one = waiting.choose(&mut world.random).ok_or("nothing waits")?;
            world.engine.approve(one.recommendation.id, person(who)).await?;
        }
        3 => {
            let waiting = registry.all_waiting().await?;
            let one = waiting.choose(&mut world.random).ok_or("nothing waits")?;
            registry.reject(one.recommendation.id, person(who).by, "not now".to_owned(), None).await?;
        }
        4 => {
            let quota = registry.quota(&tenant, resource).await?;
            let to = quota.limit * world.random.random_range(0.3..3.0);
            world.engine.request_change(&tenant, resource, to, quota.generation, person(who)).await?;
        }
        5 => {
            let requests = registry.change_requests(&RequestFilter::default(), None, 10).await?;
            let one = requests.choose(&mut world.random).ok_or("nobody asked")?;
            world.engine.approve_request(one.id, person(who)).await?;
        }
        6 => {
            let quota = registry.quota(&tenant, resource).await?;
            world.engine.roll_back_quota(&tenant, resource, quota.generation, person(who)).await?;
        }
        7 => match registry.pause().await? {
            Some(_) => registry.resume_changes(person(who)).await?,
            None => drop(registry.stop_changes("a launch".to_owned(), person(who)).await?),
        },
        8 => {
            let (id, until) = (world.engine.new_id(), now.plus(world.random.random_range(1..48) * HOUR));
            let (by, text) = (person(who).by, "works".to_owned());
            if world.random.random_bool(0.5) {
                let whose = Some(tenant);
                let silence = Silence {
                    id,
                    tenant: whose,
                    resource: None,
                    from: now,
                    until,
                    reason: text,
                    by,
                    lifted_at: None,
                };
                registry.add_silence(&silence, None).await?;
            } else {
                let kind = MarkerKind::Maintenance;
                registry
                    .add_marker(&Marker { id, kind, tenant: Some(tenant), from: now, until, text, by }, None)
                    .await?;
            }
        }
        9 => {
            let open = registry.open_incidents().await?;
            let all: Vec<_> = open.values().map(|(incident, _)| incident.id).collect();
            let id = *all.choose(&mut world.random).ok_or("all is well")?;
            match world.random.random_range(0..3) {
                0 => drop(registry.acknowledge(id, person(who)).await?),
                said => drop(registry.judge_incident(id, said == 1, person(who)).await?),
            }
        }
        10 => roll_out(world, &names).await?,
        11 => {
            let open = registry.open_rollouts().await?;
            let id = *open.choose(&mut world.random).ok_or("none goes on")?;
            let steers = [
                Steer::Pause,
                Steer::Resume,
                Steer::Finish,
                Steer::Approve,
                Steer::Switch,
                Steer::RollBack("no".to_owned()),
            ];
            let steer = steers.choose(&mut world.random).cloned().ok_or("nothing to do")?;
            world.engine.steer_rollout(id, steer, person(who)).await?;
        }
        12 => {
            let modes = [ApplyMode::Approved, ApplyMode::Approved, ApplyMode::Review, ApplyMode::Observe];
            let edit =
                TenantEdit { apply_mode: modes.choose(&mut world.random).copied(), ..TenantEdit::default() };
            registry.edit_tenant(&tenant, edit, person(who)).await?;
        }
        _ if world.random.random_bool(0.5) => world.tenant_joins().await?,
        _ => {
            registry.remove_tenant(&tenant, None, person(who)).await?;
            world.source.tenants.lock().remove(&tenant);
        }
    }
    Ok(())
}

async fn roll_out(world: &mut World, names: &[TenantId]) -> Tried {
    let factor = world.random.random_range(0.5..1.5);
    let (count, resource) = (world.random.random_range(2..9), RESOURCES[0]);
    let mut wishes = Vec::new();
    for tenant in names.sample(&mut world.random, count).cloned().collect::<Vec<_>>() {
        let quota = world.engine.registry().quota(&tenant, resource).await?;
        let to = resource.round_up(quota.limit * factor);
        wishes.push(Wish { tenant, quota, to, alternative: None, recommendation: None });
    }
    let strategies = [
        Strategy::AllAtOnce,
        Strategy::Rolling { batch: 2 },
        Strategy::Canary { share: 0.3 },
        Strategy::BlueGreen,
        Strategy::AbTest,
    ];
    let wish = RolloutWish {
        name: "a plan".to_owned(),
        reason: "simulated".to_owned(),
        strategy: *strategies.choose(&mut world.random).ok_or("no strategy")?,
        watch: Some(world.random.random_range(1..30) * HOUR),
        limits: None,
        wishes,
        template: None,
    };
    let planned = world.engine.plan_rollout(wish, &person("ann")).await?;
    world.engine.begin_rollout(planned, person("ann")).await?;
    Ok(())
}
