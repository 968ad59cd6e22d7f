//! What a rollout sees of its tenants' usage and incidents, and what it does
//! where it sees nothing.

use super::*;
use crate::domain::incident::tests::incident;
use crate::domain::{Finding, Incident, IncidentId, Timestamp};
use crate::registry::IncidentWrite;

/// Nothing but violations takes it back.
const ANY_INCIDENTS: u64 = 1_000;

#[tokio::test]
async fn a_stage_without_samples_waits_and_then_asks() {
    let clock = clock();
    let engine =
        engine_over(Arc::new(MemoryStore::default()), &clock, Settings::default(), Budgets::default());
    for id in TENANTS {
        register(&engine, id, ApplyMode::Review, &[(CPU, 8.0)]).await;
    }
    let mut wish = wish(&engine, Strategy::Rolling { batch: 3 }, 6.0).await;
    wish.wishes.retain(|wish| wish.tenant.as_str() != "acme");
    let planned = engine.plan_rollout(wish, &me()).await.unwrap();
    let rollout = engine.begin_rollout(planned, me()).await.unwrap();
    go_on(&engine, &clock, 1).await;
    assert_eq!(now_of(&engine, &rollout).await.state.name(), "watching", "it waits for samples");
    go_on(&engine, &clock, 1).await;
    let unseen = now_of(&engine, &rollout).await;
    let RolloutState::Unseen { why } = &unseen.state else { panic!("{:?}", unseen.state) };
    assert!(why.starts_with("no sample of t"), "{why}");
    assert_eq!(count(&limits(&engine).await, 6.0), 3, "the next stage is not begun");
    let lines = engine.registry().audit(None, None, 1_000).await.unwrap();
    assert!(lines.iter().any(|line| line.event.reason == *why), "it is written down");
    let rollout = engine.steer_rollout(unseen.id, Steer::Resume, me()).await.unwrap();
    assert_eq!((rollout.state.name(), rollout.stage), ("watching", 1));
    assert_eq!(count(&limits(&engine).await, 6.0), 5);
}

#[tokio::test]
async fn what_one_tenant_suffers_takes_all_of_it_back() {
    let (engine, clock) = in_memory().await;
    let mut wish = wish(&engine, Strategy::AllAtOnce, 6.0).await;
    for one in wish.wishes.iter_mut().filter(|one| one.tenant.as_str() == "t3") {
        one.to = 2.05;
    }
    wish.watch = Some(Duration::from_secs(48 * 3600));
    // Of all samples no more than a sixth can be t3's.
    wish.limits = Some(WatchLimits { violations: 0.5, tenant_violations: 0.1, incidents: ANY_INCIDENTS });
    let planned = engine.plan_rollout(wish, &me()).await.unwrap();
    let rollout = engine.begin_rollout(planned, me()).await.unwrap();
    for _ in 0..6 {
        go_on(&engine, &clock, 1).await;
    }
    let back = now_of(&engine, &rollout).await;
    let RolloutState::RolledBack { why } = &back.state else { panic!("{:?}", back.state) };
    assert!(why.starts_with("of t3, "), "{why}");
    assert_eq!(limits(&engine).await, [8.0; 6]);
}

#[tokio::test]
async fn a_stage_is_watched_while_the_next_one_is_held_up() {
    let (engine, clock) = in_memory().await;
    // Usage peaks at 5 cores, at noon only.
    let mut wish = wish(&engine, Strategy::Rolling { batch: 3 }, 4.9).await;
    wish.limits = Some(WatchLimits { incidents: ANY_INCIDENTS, ..WatchLimits::default() });
    let planned = engine.plan_rollout(wish, &me()).await.unwrap();
    let rollout = engine.begin_rollout(planned, me()).await.unwrap();
    engine.registry().stop_changes("a launch".to_owned(), me()).await.unwrap();
    go_on(&engine, &clock, 2).await;
    let held = now_of(&engine, &rollout).await;
    assert_eq!((held.state.name(), held.stage), ("applying", 1));
    go_on(&engine, &clock, 12).await;
    assert_eq!(now_of(&engine, &rollout).await.state.name(), "rolling_back");
    engine.registry().resume_changes(me()).await.unwrap();
    engine.advance_rollouts().await.unwrap();
    assert_eq!(limits(&engine).await, [8.0; 6]);
}

/// An incident of t1 that was open before, with findings that began then.
async fn open_incident(engine: &Engine, began: &[Timestamp]) {
    let finding = |since: &Timestamp| Finding {
        resource: Some(CPU),
        ..Finding::new(FindingKind::ForecastBreach, "forecast", "a test".to_owned(), *since)
    };
    let incident = Incident {
        id: IncidentId(uuid::Uuid::now_v7()),
        tenant: "t1".parse().unwrap(),
        ..incident(began.iter().map(finding).collect())
    };
    let write = IncidentWrite { incident, version: None, notice: None, budget: None, audit: None };
    engine.registry().write_incident(&write).await.unwrap();
}

#[tokio::test]
async fn a_finding_that_joins_an_open_incident_is_harm() {
    for (joined, state) in [(false, "watching"), (true, "rolled_back")] {
        let (engine, _) = in_memory().await;
        let rollout = begin(&engine, Strategy::AllAtOnce, 6.0).await;
        let now = engine.now();
        let mut began = vec![now.minus(Duration::from_secs(48 * 3600))];
        began.extend(joined.then_some(now));
        open_incident(&engine, &began).await;
        engine.advance_rollouts().await.unwrap();
        assert_eq!(now_of(&engine, &rollout).await.state.name(), state);
    }
}

/// A rollout of all tenants at midnight, which leaves usage at its quota at noon
/// only; a day and a half later.
async fn over_noon(from: f64) -> Rollout {
    let (engine, clock) = in_memory().await;
    let source = Arc::new(usage_of(&TENANTS));
    let engine = match from {
        8.0 => engine,
        _ => {
            let store = Arc::new(MemoryStore::default());
            let engine = engine_from(source, store, &clock, Settings::default(), Budgets::default());
            for id in TENANTS {
                register(&engine, id, ApplyMode::Review, &[(CPU, from)]).await;
            }
            engine
        }
    };
    let mut wish = wish(&engine, Strategy::AllAtOnce, 4.9).await;
    wish.watch = Some(Duration::from_secs(6 * 3600));
    wish.limits = Some(WatchLimits { violations: 0.1, tenant_violations: 1.0, incidents: ANY_INCIDENTS });
    let planned = engine.plan_rollout(wish, &me()).await.unwrap();
    let rollout = engine.begin_rollout(planned, me()).await.unwrap();
    engine.steer_rollout(rollout.id, Steer::Pause, me()).await.unwrap();
    go_on(&engine, &clock, 10).await;
    engine.steer_rollout(rollout.id, Steer::Resume, me()).await.unwrap();
    for _ in 0..4 {
        go_on(&engine, &clock, 1).await;
    }
    now_of(&engine, &rollout).await
}

#[tokio::test]
async fn late_harm_is_not_diluted_by_the_calm_before_it() {
    let back = over_noon(8.0).await;
    let RolloutState::RolledBack { why } = &back.state else { panic!("{:?}", back.state) };
    assert!(why.contains("6 of 36 samples") && why.ends_with("looking at the last 360 min"), "{why}");
    // At noon of the day before it stood at its quota as well.
    assert_eq!(over_noon(5.0).await.state.name(), "watching");
}
