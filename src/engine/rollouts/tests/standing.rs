//! What else is at the quotas of a rollout: newer recommendations, tiers that
//! have changed, the daemon, another rollout.

use super::*;
use crate::domain::{Objection, Recommendation, RecommendationId, Tier};
use crate::registry::TenantEdit;

/// acme, whose 20 cores are far too many.
async fn acme(mode: ApplyMode) -> (Arc<Engine>, Arc<Hands>, TenantId) {
    let clock = clock();
    let engine =
        engine_over(Arc::new(MemoryStore::default()), &clock, Settings::default(), Budgets::default());
    register(&engine, "acme", mode, &[(CPU, 20.0)]).await;
    (engine, clock, "acme".parse().unwrap())
}

/// A prepared rollout of the recommendation that waits.
async fn prepared(engine: &Arc<Engine>, clock: &Hands) -> (Rollout, Recommendation) {
    pass(engine, clock, 1).await;
    let take =
        Take::Recommendations { tier: None, resource: Some(CPU), tenants: Vec::new(), alternative: None };
    let (wishes, _) = engine.wishes(&take).await.unwrap();
    let planned = engine.plan_rollout(made_of(wishes, Strategy::BlueGreen), &me()).await.unwrap();
    let rollout = engine.begin_rollout(planned, me()).await.unwrap();
    let id = rollout.changes[0].recommendation.unwrap();
    let cut = engine.registry().recommendation(id).await.unwrap().recommendation;
    assert!(cut.proposed < 20.0, "{cut:?}");
    (rollout, cut)
}

#[tokio::test]
async fn an_old_cut_gives_way_to_a_newer_recommendation_that_asks_for_more() {
    for (proposed, made) in [(18.0, false), (2.2, true)] {
        let (engine, clock, acme) = acme(ApplyMode::Review).await;
        let (rollout, cut) = prepared(&engine, &clock).await;
        let newer = RecommendationId(uuid::Uuid::from_u128(u128::MAX));
        let of_newer = Recommendation { id: newer, proposed, ..cut.clone() };
        engine.registry().propose(of_newer).await.unwrap();
        let rollout = engine.steer_rollout(rollout.id, Steer::Switch, me()).await.unwrap();
        let stands = engine.registry().quota(&acme, CPU).await.unwrap().limit;
        if made {
            assert_eq!(stands, cut.proposed, "the newer one asks for less");
            continue;
        }
        let Outcome::Refused { why } = &rollout.changes[0].outcome else { panic!("{rollout:?}") };
        assert!(why.contains(&newer.to_string()) && why.contains("asks for 18"), "{why}");
        assert_eq!(stands, 20.0);
    }
}

#[tokio::test]
async fn a_cut_whose_recommendation_was_taken_back_is_refused() {
    let (engine, clock, acme) = acme(ApplyMode::Review).await;
    let (rollout, _) = prepared(&engine, &clock).await;
    engine.registry().withdraw(&acme, CPU).await.unwrap();
    let rollout = engine.steer_rollout(rollout.id, Steer::Switch, me()).await.unwrap();
    let Outcome::Refused { why } = &rollout.changes[0].outcome else { panic!("{rollout:?}") };
    assert!(why.contains("was taken back"), "{why}");
    assert_eq!(engine.registry().quota(&acme, CPU).await.unwrap().limit, 20.0);
}

#[tokio::test]
async fn what_stood_before_comes_back_also_where_the_tier_has_changed() {
    let (engine, _) = in_memory().await;
    let rollout = begin(&engine, Strategy::AllAtOnce, 6.0).await;
    let edit = TenantEdit { tier: Some(Tier::Free), ..TenantEdit::default() };
    engine.registry().edit_tenant(&"t2".parse().unwrap(), edit, me()).await.unwrap();
    assert!(Tier::Free.ceiling(CPU).unwrap() < 8.0);
    engine.steer_rollout(rollout.id, Steer::RollBack("back".to_owned()), me()).await.unwrap();
    assert_eq!(limits(&engine).await, [8.0; 6]);
}

#[tokio::test]
async fn the_daemon_leaves_quotas_alone_that_are_in_a_rollout() {
    let (engine, clock, acme) = acme(ApplyMode::Approved).await;
    let quota = engine.registry().quota(&acme, CPU).await.unwrap();
    let mine = Wish { tenant: acme.clone(), quota, to: 19.0, alternative: None, recommendation: None };
    let planned = engine.plan_rollout(made_of(vec![mine], Strategy::BlueGreen), &me()).await.unwrap();
    let rollout = engine.begin_rollout(planned, me()).await.unwrap();
    pass(&engine, &clock, 1).await;
    assert_eq!(engine.registry().quota(&acme, CPU).await.unwrap().limit, 20.0);
    let said = engine.workspace.assessment(&SeriesKey { tenant: acme.clone(), resource: CPU }).unwrap();
    let held = Objection::InRollout { rollout: rollout.id, name: "smaller".to_owned() };
    assert_eq!(said.held_back_by.unwrap().objections, [held]);
    engine.steer_rollout(rollout.id, Steer::RollBack("never mind".to_owned()), me()).await.unwrap();
    pass(&engine, &clock, 1).await;
    assert!(engine.registry().quota(&acme, CPU).await.unwrap().limit < 20.0, "it is over");
}

#[tokio::test]
async fn a_second_rollout_of_a_quota_is_refused_and_told_of_the_first() {
    let (engine, _) = in_memory().await;
    let second = wish(&engine, Strategy::AllAtOnce, 5.0).await;
    let planned = engine.plan_rollout(second.clone(), &me()).await.unwrap();
    let first = begin(&engine, Strategy::BlueGreen, 6.0).await;
    let refused = |error: RolloutError| error.to_string();
    let in_plan = refused(engine.plan_rollout(second.clone(), &me()).await.unwrap_err());
    let at_begin = refused(engine.begin_rollout(planned, me()).await.unwrap_err());
    for text in [in_plan, at_begin] {
        assert!(text.contains(&first.id.to_string()) && text.contains("cpu_cores of "), "{text}");
    }
    engine.steer_rollout(first.id, Steer::RollBack("never mind".to_owned()), me()).await.unwrap();
    let planned = engine.plan_rollout(second, &me()).await.unwrap();
    engine.begin_rollout(planned, me()).await.unwrap();
    assert_eq!(limits(&engine).await, [5.0; 6]);
}

#[tokio::test]
async fn what_is_in_another_rollout_is_left_out_and_named() {
    let (engine, _) = in_memory().await;
    let mut first = wish(&engine, Strategy::BlueGreen, 5.0).await;
    first.wishes.retain(|wish| wish.tenant.as_str() == "t3");
    let planned = engine.plan_rollout(first, &me()).await.unwrap();
    let first = engine.begin_rollout(planned, me()).await.unwrap();
    let second = begin(&engine, Strategy::AllAtOnce, 6.0).await;
    let left = second.changes.iter().find(|one| one.tenant.as_str() == "t3").unwrap();
    let Outcome::Refused { why } = &left.outcome else { panic!("{left:?}") };
    assert!(why.contains(&first.id.to_string()) && why.contains("cpu_cores of t3"), "{why}");
    assert_eq!(count(&limits(&engine).await, 6.0), 5);
    // It is the first one's still.
    engine.steer_rollout(first.id, Steer::Switch, me()).await.unwrap();
    assert_eq!(count(&limits(&engine).await, 5.0), 1);
}
