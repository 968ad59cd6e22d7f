//! Rollouts from their beginning to their end, taken back by what is seen or by
//! a person, and cut anywhere.

use std::sync::Arc;

mod standing;
mod template;
mod watching;

use super::*;
use crate::domain::rollout::RolloutSettings;
use crate::domain::{ApplyMode, Budgets, FindingKind, Quota, Resource, TenantId};
use crate::engine::Settings;
use crate::engine::tests::{clock, engine_from, engine_over, me, pass, register, usage_of};
use crate::ports::Store;
use crate::ports::hands::Hands;
use crate::store::MemoryStore;
use crate::store::cut::Cut;

const CPU: Resource = Resource::CpuCores;
/// All have usage of about 2 cores, and 5 at noon.
const TENANTS: [&str; 6] = ["acme", "t1", "t2", "t3", "t4", "t5"];

async fn fleet(store: Arc<dyn Store>, clock: &Arc<Hands>) -> Arc<Engine> {
    let engine =
        engine_from(Arc::new(usage_of(&TENANTS)), store, clock, Settings::default(), Budgets::default());
    for id in TENANTS {
        register(&engine, id, ApplyMode::Review, &[(CPU, 8.0)]).await;
    }
    engine
}

async fn in_memory() -> (Arc<Engine>, Arc<Hands>) {
    let clock = clock();
    (fleet(Arc::new(MemoryStore::default()), &clock).await, clock)
}

/// All tenants to `to` cores, or to 7 in the other half.
async fn wish(engine: &Engine, strategy: Strategy, to: f64) -> RolloutWish {
    let mut wishes = Vec::new();
    for id in TENANTS {
        let tenant: TenantId = id.parse().unwrap();
        let quota = engine.registry().quota(&tenant, CPU).await.unwrap();
        wishes.push(Wish { tenant, quota, to, alternative: Some(7.0), recommendation: None });
    }
    made_of(wishes, strategy)
}

fn made_of(wishes: Vec<Wish>, strategy: Strategy) -> RolloutWish {
    RolloutWish {
        name: "smaller".to_owned(),
        reason: "a test".to_owned(),
        strategy,
        watch: None,
        limits: None,
        wishes,
        template: None,
    }
}

async fn begin(engine: &Engine, strategy: Strategy, to: f64) -> Rollout {
    let wish = wish(engine, strategy, to).await;
    let planned = engine.plan_rollout(wish, &me()).await.unwrap();
    engine.begin_rollout(planned, me()).await.unwrap()
}

async fn limits(engine: &Engine) -> Vec<f64> {
    let mut all = Vec::new();
    for id in TENANTS {
        all.push(engine.registry().quota(&id.parse().unwrap(), CPU).await.unwrap().limit);
    }
    all
}

async fn now_of(engine: &Engine, rollout: &Rollout) -> Rollout {
    engine.registry().rollout(rollout.id).await.unwrap().0
}

async fn go_on(engine: &Arc<Engine>, clock: &Hands, hours: u64) {
    pass(engine, clock, hours).await;
    engine.advance_rollouts().await.unwrap();
}

fn count(limits: &[f64], of: f64) -> usize {
    limits.iter().filter(|limit| **limit == of).count()
}

#[tokio::test]
async fn batches_follow_one_another_once_each_was_watched() {
    let (engine, clock) = in_memory().await;
    let rollout = begin(&engine, Strategy::Rolling { batch: 2 }, 6.0).await;
    assert_eq!((rollout.state.name(), rollout.stage), ("watching", 0));
    assert_eq!(count(&limits(&engine).await, 6.0), 2);
    engine.advance_rollouts().await.unwrap();
    assert_eq!(count(&limits(&engine).await, 6.0), 2, "the first batch is watched for an hour");
    go_on(&engine, &clock, 1).await;
    assert_eq!(count(&limits(&engine).await, 6.0), 4);
    go_on(&engine, &clock, 1).await;
    assert_eq!(count(&limits(&engine).await, 6.0), 6);
    assert_eq!(now_of(&engine, &rollout).await.state.name(), "watching");
    go_on(&engine, &clock, 1).await;
    assert_eq!(now_of(&engine, &rollout).await.state.name(), "done");
    assert!(engine.registry().open_rollouts().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_does_harm_takes_itself_back_and_is_told_and_remembered() {
    let (engine, clock) = in_memory().await;
    pass(&engine, &clock, 1).await;
    let mut wish = wish(&engine, Strategy::AllAtOnce, 2.05).await;
    wish.watch = Some(Duration::from_secs(48 * 3600));
    wish.limits = Some(WatchLimits { incidents: 10, ..WatchLimits::default() });
    let planned = engine.plan_rollout(wish, &me()).await.unwrap();
    let rollout = engine.begin_rollout(planned, me()).await.unwrap();
    assert_eq!(limits(&engine).await, [2.05; 6]);
    // Usage of 2.1 to 2.6 cores stands above a quota of 2.05.
    for _ in 0..6 {
        go_on(&engine, &clock, 1).await;
    }
    let back = now_of(&engine, &rollout).await;
    let RolloutState::RolledBack { why } = &back.state else { panic!("{:?}", back.state) };
    assert!(why.contains("samples stand at the quota"), "{why}");
    let evidence = engine.evidence(&back).await.unwrap();
    assert!(evidence.watched.since.above > 0 && evidence.watched.tenants.len() == 6, "{evidence:?}");
    assert_eq!(limits(&engine).await, [8.0; 6]);
    pass(&engine, &clock, 1).await;
    let acme: TenantId = "acme".parse().unwrap();
    let incident = engine.registry().open_incident(&acme).await.unwrap().unwrap();
    let finding = incident.open_findings().find(|one| one.kind == FindingKind::RolledBack).unwrap();
    assert!(finding.text.contains("smaller") && finding.text.contains("2.05"), "{}", finding.text);
    assert!(incident.holds_changes());
    let before = engine.registry().before_sizing(&[&acme], &[CPU]).await.unwrap();
    let refusal = before[0][0].stands().unwrap().unwrap().refusal.unwrap();
    assert_eq!((refusal.refused, refusal.current), (2.05, 8.0));
    assert_eq!((refusal.by, back.taken_back_by), (Actor::Daemon, Some(Actor::Daemon)), "nobody asked for it");
}

#[tokio::test]
async fn a_canary_of_which_nothing_could_be_changed_stops() {
    let (engine, _) = in_memory().await;
    let wish = wish(&engine, Strategy::Canary { share: 0.01 }, 6.0).await;
    let planned = engine.plan_rollout(wish, &me()).await.unwrap();
    let first = planned.changes.iter().find(|one| one.stage == 0).unwrap().tenant.clone();
    engine.request_change(&first, CPU, 5.0, 1, me()).await.unwrap();
    let rollout = engine.begin_rollout(planned, me()).await.unwrap();
    let RolloutState::RolledBack { why } = &rollout.state else { panic!("{:?}", rollout.state) };
    assert!(why.contains("none of the first stage"), "{why}");
    assert_eq!(count(&limits(&engine).await, 8.0), 5, "nothing else was changed");
}

#[tokio::test]
async fn recommendations_that_need_two_people_are_rolled_out_once_both_have_spoken() {
    let clock = clock();
    let mut settings = Settings::default();
    settings.approval.two_people.tiers = vec![crate::domain::Tier::Premium];
    let engine = engine_over(Arc::new(MemoryStore::default()), &clock, settings, Budgets::default());
    register(&engine, "acme", ApplyMode::Review, &[(CPU, 20.0)]).await;
    pass(&engine, &clock, 1).await;
    let take =
        Take::Recommendations { tier: None, resource: Some(CPU), tenants: Vec::new(), alternative: None };
    let (wishes, _) = engine.wishes(&take).await.unwrap();
    let [wanted] = wishes.as_slice() else { panic!("{wishes:?}") };
    let (to, acme) = (wanted.to, wanted.tenant.clone());
    let planned = engine.plan_rollout(made_of(wishes, Strategy::AllAtOnce), &me()).await.unwrap();
    let rollout = engine.begin_rollout(planned, me()).await.unwrap();
    assert_eq!(rollout.state, RolloutState::AwaitsSecond);
    let ann = Remark { by: Actor::Person("ann".to_owned()), ..me() };
    let rollout = engine.steer_rollout(rollout.id, Steer::Approve, ann).await.unwrap();
    assert_eq!(rollout.state, RolloutState::Watching);
    assert_eq!(engine.registry().quota(&acme, CPU).await.unwrap().limit, to);
}

#[tokio::test]
async fn a_canary_goes_first_and_a_person_may_halt_and_take_it_back() {
    let (engine, clock) = in_memory().await;
    let rollout = begin(&engine, Strategy::Canary { share: 0.01 }, 6.0).await;
    assert_eq!(count(&limits(&engine).await, 6.0), 1);
    engine.steer_rollout(rollout.id, Steer::Pause, me()).await.unwrap();
    go_on(&engine, &clock, 5).await;
    assert_eq!(count(&limits(&engine).await, 6.0), 1, "it is halted");
    let twice = engine.steer_rollout(rollout.id, Steer::Pause, me()).await.unwrap_err();
    assert!(twice.to_string().starts_with("pause the rollout"), "{twice}");
    engine.steer_rollout(rollout.id, Steer::Resume, me()).await.unwrap();
    assert_eq!(count(&limits(&engine).await, 6.0), 1, "it is watched anew");
    go_on(&engine, &clock, 1).await;
    assert_eq!(count(&limits(&engine).await, 6.0), 6);
    // What somebody has changed since is left.
    engine.request_change(&"t2".parse().unwrap(), CPU, 5.0, 2, me()).await.unwrap();
    let why = Steer::RollBack("the batch job".to_owned());
    let back = engine.steer_rollout(rollout.id, why, me()).await.unwrap();
    assert_eq!(back.state, RolloutState::RolledBack { why: "the batch job".to_owned() });
    let limits = limits(&engine).await;
    assert_eq!((count(&limits, 8.0), count(&limits, 5.0)), (5, 1));
    let left = back.changes.iter().filter(|one| matches!(one.outcome, Outcome::Left { .. }));
    assert_eq!(left.map(|one| one.tenant.as_str()).collect::<Vec<_>>(), ["t2"]);
}

#[tokio::test]
async fn blue_green_is_switched_and_switched_back_as_one() {
    let (engine, clock) = in_memory().await;
    let rollout = begin(&engine, Strategy::BlueGreen, 6.0).await;
    go_on(&engine, &clock, 5).await;
    assert_eq!(limits(&engine).await, [8.0; 6], "it is only prepared");
    engine.steer_rollout(rollout.id, Steer::Switch, me()).await.unwrap();
    assert_eq!(limits(&engine).await, [6.0; 6]);
    engine.steer_rollout(rollout.id, Steer::RollBack("back".to_owned()), me()).await.unwrap();
    assert_eq!(limits(&engine).await, [8.0; 6]);
}

#[tokio::test]
async fn the_halves_of_an_a_b_test_are_compared_and_a_person_ends_it() {
    let (engine, clock) = in_memory().await;
    let rollout = begin(&engine, Strategy::AbTest, 6.0).await;
    let limits = limits(&engine).await;
    assert_eq!((count(&limits, 6.0), count(&limits, 7.0)), (3, 3));
    go_on(&engine, &clock, 2).await;
    let rollout = now_of(&engine, &rollout).await;
    assert_eq!(rollout.state, RolloutState::Undecided);
    let compared = engine.compare_rollout(&rollout).await.unwrap().unwrap();
    let cost = compared.cost.unwrap();
    // A core costs 365 USD a month.
    assert!((cost.difference.mean - 365.0).abs() < 1e-6, "{cost:?}");
    assert!(cost.difference.low.unwrap() > 364.0);
    let slack = compared.slack.unwrap();
    assert!(slack.difference.low.unwrap() > 0.0, "of 7 cores more is unused than of 6: {slack:?}");
    let done = engine.steer_rollout(rollout.id, Steer::Finish, me()).await.unwrap();
    assert_eq!(done.state, RolloutState::Done);
}

#[tokio::test]
async fn what_moved_meanwhile_is_refused_and_a_pause_makes_it_wait() {
    let (engine, clock) = in_memory().await;
    let wish = wish(&engine, Strategy::Rolling { batch: 3 }, 6.0).await;
    let planned = engine.plan_rollout(wish, &me()).await.unwrap();
    let last = planned.changes.last().unwrap().tenant.clone();
    let rollout = engine.begin_rollout(planned, me()).await.unwrap();
    engine.request_change(&last, CPU, 5.0, 1, me()).await.unwrap();
    engine.registry().stop_changes("a launch".to_owned(), me()).await.unwrap();
    go_on(&engine, &clock, 1).await;
    assert_eq!(now_of(&engine, &rollout).await.state, RolloutState::Applying, "all changes are stopped");
    engine.registry().resume_changes(me()).await.unwrap();
    engine.advance_rollouts().await.unwrap();
    let rollout = now_of(&engine, &rollout).await;
    let of_last = rollout.changes.iter().find(|one| one.tenant == last).unwrap();
    assert!(
        matches!(&of_last.outcome, Outcome::Refused { why } if why.contains("generation 1 to 2")),
        "{of_last:?}"
    );
    let limits = limits(&engine).await;
    assert_eq!((count(&limits, 6.0), count(&limits, 5.0)), (5, 1));
}

#[tokio::test]
async fn what_cannot_be_is_said_in_the_plan() {
    let (engine, _) = in_memory().await;
    let refused = |strategy, to| {
        let engine = Arc::clone(&engine);
        async move {
            let wish = wish(&engine, strategy, to).await;
            engine.plan_rollout(wish, &me()).await.unwrap_err().to_string()
        }
    };
    assert!(refused(Strategy::AllAtOnce, 8.0).await.contains("no quota would change"));
    let above = refused(Strategy::AllAtOnce, 1e6).await;
    assert!(
        above.contains("cpu_cores of ") && above.contains("ceiling") && above.contains("and 5 more"),
        "{above}"
    );
    assert!(refused(Strategy::Canary { share: 1.5 }, 6.0).await.contains("between 0 and 1"));
    assert!(refused(Strategy::Rolling { batch: 0 }, 6.0).await.contains("at least one tenant"));
    let few = RolloutSettings { max_changes: 5, ..RolloutSettings::default() };
    let settings = Settings { rollouts: few, ..Settings::default() };
    let engine = engine_over(Arc::new(MemoryStore::default()), &clock(), settings, Budgets::default());
    for id in TENANTS {
        register(&engine, id, ApplyMode::Review, &[(CPU, 8.0)]).await;
    }
    let wish = wish(&engine, Strategy::AllAtOnce, 6.0).await;
    let text = engine.plan_rollout(wish, &me()).await.unwrap_err().to_string();
    assert!(text.contains("6 changes") && text.contains("max_changes allows 5"), "{text}");
}

#[tokio::test]
async fn what_needs_two_people_waits_for_the_second() {
    let clock = clock();
    let tiers = std::collections::BTreeSet::from([crate::domain::Tier::Premium]);
    let mut settings = Settings::default();
    settings.approval.two_people.tiers = tiers.into_iter().collect();
    let engine = engine_over(Arc::new(MemoryStore::default()), &clock, settings, Budgets::default());
    for id in TENANTS {
        register(&engine, id, ApplyMode::Review, &[(CPU, 8.0)]).await;
    }
    let rollout = begin(&engine, Strategy::AllAtOnce, 6.0).await;
    assert_eq!((rollout.state, limits(&engine).await), (RolloutState::AwaitsSecond, vec![8.0; 6]));
    let same = engine.steer_rollout(rollout.id, Steer::Approve, me()).await.unwrap_err();
    assert!(same.to_string().contains("second person"), "{same}");
    let ann = Remark { by: Actor::Person("ann".to_owned()), ..me() };
    let approved = engine.steer_rollout(rollout.id, Steer::Approve, ann.clone()).await.unwrap();
    assert_eq!((approved.by, approved.first.unwrap().by), (ann.by, me().by));
    assert_eq!(limits(&engine).await, [6.0; 6]);
    // Taking it back needs one.
    engine.steer_rollout(rollout.id, Steer::RollBack("back".to_owned()), me()).await.unwrap();
    assert_eq!(limits(&engine).await, [8.0; 6]);
}

#[tokio::test]
async fn what_waits_for_a_second_person_lapses_or_is_cancelled() {
    for cancelled in [false, true] {
        let clock = clock();
        let mut settings = Settings::default();
        settings.approval.two_people.tiers = vec![crate::domain::Tier::Premium];
        settings.approval.second_within = Duration::from_secs(2 * 3600);
        let engine = engine_over(Arc::new(MemoryStore::default()), &clock, settings, Budgets::default());
        for id in TENANTS {
            register(&engine, id, ApplyMode::Review, &[(CPU, 8.0)]).await;
        }
        let rollout = begin(&engine, Strategy::AllAtOnce, 6.0).await;
        go_on(&engine, &clock, 1).await;
        assert_eq!(now_of(&engine, &rollout).await.state, RolloutState::AwaitsSecond);
        if cancelled {
            engine.steer_rollout(rollout.id, Steer::RollBack("never mind".to_owned()), me()).await.unwrap();
        } else {
            go_on(&engine, &clock, 1).await;
        }
        let over = now_of(&engine, &rollout).await;
        let RolloutState::RolledBack { why } = &over.state else { panic!("{:?}", over.state) };
        assert_eq!(why, if cancelled { "never mind" } else { "no second person approved it in time" });
        assert!(over.changes.iter().all(|change| change.outcome == Outcome::Kept));
        let ann = Remark { by: Actor::Person("ann".to_owned()), ..me() };
        let late = engine.steer_rollout(rollout.id, Steer::Approve, ann).await.unwrap_err();
        assert!(late.to_string().contains("it is rolled_back"), "{late}");
        assert_eq!(limits(&engine).await, [8.0; 6]);
    }
}

/// Runs a rollout to its end, and takes it back where `back` says so.
async fn run(engine: &Engine, back: bool) -> Result<(), RolloutError> {
    let open = engine.registry().open_rollouts().await?;
    let newest = engine.registry().rollouts(None, 1).await?.pop();
    let id = match (open.first(), newest) {
        (Some(id), _) => *id,
        (None, Some(rollout)) if rollout.state != RolloutState::Done || !back => return Ok(()),
        (None, Some(rollout)) => rollout.id,
        (None, None) => {
            let wish = wish(engine, Strategy::Rolling { batch: 2 }, 6.0).await;
            let wish = RolloutWish { watch: Some(Duration::ZERO), ..wish };
            let planned = engine.plan_rollout(wish, &me()).await?;
            engine.begin_rollout(planned, me()).await?.id
        }
    };
    engine.advance_rollouts().await?;
    let state = engine.registry().rollout(id).await?.0.state;
    if back && state == RolloutState::Done {
        engine.steer_rollout(id, Steer::RollBack("a test".to_owned()), me()).await?;
        engine.advance_rollouts().await?;
    }
    Ok(())
}

/// What the audit log says was done to a tenant's quota.
async fn changes_of(engine: &Engine, id: &str) -> usize {
    let tenant = id.parse().unwrap();
    let lines = engine.registry().audit(Some(&tenant), None, 1_000).await.unwrap();
    lines.iter().filter(|line| line.event.action == AuditAction::QuotaChanged).count()
}

/// Cuts the process at each of its commits, before it and right after, and lets
/// another go on. Every tenant is at its old quota or at its new one whenever it
/// is cut, and in the end all is as if nothing had happened, told once.
#[tokio::test]
async fn a_rollout_that_is_cut_anywhere_goes_on_where_it_was() {
    for back in [false, true] {
        for after in [false, true] {
            let mut cut_at = 1;
            loop {
                let clock = clock();
                let inner = Arc::new(MemoryStore::default());
                fleet(inner.clone(), &clock).await;
                let cut = Arc::new(Cut::at(inner.clone(), cut_at, after));
                let first = engine_over(cut.clone(), &clock, Settings::default(), Budgets::default());
                let outcome = run(&first, back).await;
                let was_cut = cut.is_over();
                assert!(was_cut || outcome.is_ok(), "{outcome:?}");
                let second = engine_over(inner, &clock, Settings::default(), Budgets::default());
                let between = limits(&second).await;
                assert!(
                    between.iter().all(|limit| [6.0, 8.0].contains(limit)),
                    "cut at {cut_at}: {between:?}"
                );
                run(&second, back).await.unwrap();
                run(&second, back).await.unwrap();
                let (limit, changes) = if back { (8.0, 2) } else { (6.0, 1) };
                assert_eq!(limits(&second).await, [limit; 6], "cut at {cut_at}, {after}");
                for id in TENANTS {
                    let quota: Quota = second.registry().quota(&id.parse().unwrap(), CPU).await.unwrap();
                    assert_eq!(quota.generation, 1 + changes as u64, "cut at {cut_at}");
                    assert_eq!(changes_of(&second, id).await, changes, "cut at {cut_at}: {id}");
                }
                assert!(second.registry().open_changes().await.unwrap().is_empty());
                if !was_cut {
                    break;
                }
                cut_at += 1;
            }
            assert!(cut_at > 15, "only {cut_at} commits were cut");
        }
    }
}
