//! Changes are held back while something is wrong.

use super::*;
use crate::domain::{Evidence, Recommendation, RecommendationId, Silence};

/// A small cut of the CPU quota that nothing stands against.
fn recommendation(tenant: &str, number: u128, now: Timestamp) -> Recommendation {
    Recommendation {
        id: RecommendationId(uuid::Uuid::from_u128(number)),
        tenant: id(tenant),
        tier: Tier::Premium,
        resource: CPU,
        parent_generation: 1,
        current: 8.0,
        proposed: 7.0,
        evidence: Evidence { history_from: now, history_to: now, ..Evidence::default() },
        reasons: vec!["because".to_owned()],
        confidence: 0.9,
        cost: None,
        no_cost_because: None,
        trace: None,
        created_at: now,
        expires_at: now.plus(Duration::from_secs(3600)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_applied_by_itself_while_an_incident_is_open() {
    let fault = |tenant: &str, hour: f64| match tenant {
        "odd" if hour >= 75.0 => 30.0,
        _ => usual(hour),
    };
    let rig = Rig::of_cpu(&["odd", "calm"], settings(|_| ()), fault).await;
    rig.go_through(WARM, 75.5).await;
    let (registry, now) = (rig.engine.registry(), at(75.5));
    for (number, tenant) in [(1, "odd"), (2, "calm")] {
        registry.propose(recommendation(tenant, number, now)).await.unwrap();
    }
    let quota = async |tenant: &str| registry.quota(&id(tenant), CPU).await.unwrap().limit;
    assert_eq!(rig.engine.apply().await.unwrap(), 1, "for the tenant without an incident");
    assert_eq!((quota("odd").await, quota("calm").await), (8.0, 7.0));

    let incident = rig.incidents("odd").await.remove(0);
    registry.acknowledge(incident.id, ann()).await.unwrap();
    assert_eq!(rig.engine.apply().await.unwrap(), 0, "somebody looks at it; that mends nothing");
    let silence = Silence {
        id: uuid::Uuid::from_u128(9),
        tenant: Some(id("odd")),
        resource: None,
        from: now,
        until: now.plus(Duration::from_secs(3600)),
        reason: "known".to_owned(),
        by: Actor::Daemon,
        lifted_at: None,
    };
    registry.add_silence(&silence, None).await.unwrap();
    rig.go_to(75.6).await;
    assert_eq!(rig.engine.apply().await.unwrap(), 0, "nor does silence");
    assert_eq!(quota("odd").await, 8.0);

    registry.judge_incident(incident.id, false, ann()).await.unwrap();
    assert_eq!(rig.engine.apply().await.unwrap(), 1, "nothing was wrong");
    assert_eq!(quota("odd").await, 7.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_applied_by_itself_while_all_is_stopped() {
    let rig = Rig::of_cpu(&["calm"], settings(|_| ()), |_, hour| usual(hour)).await;
    rig.go_through(WARM, 75.5).await;
    let registry = rig.engine.registry();
    registry.propose(recommendation("calm", 1, at(75.5))).await.unwrap();
    registry.stop_changes("a test".to_owned(), ann()).await.unwrap();
    assert_eq!(rig.engine.apply().await.unwrap(), 0);
    let refused = rig.engine.approve(RecommendationId(uuid::Uuid::from_u128(1)), ann()).await.unwrap_err();
    assert!(refused.to_string().contains("all changes are stopped by ann"), "{refused}");
    assert_eq!(registry.quota(&id("calm"), CPU).await.unwrap().limit, 8.0);
    registry.resume_changes(ann()).await.unwrap();
    assert_eq!(rig.engine.apply().await.unwrap(), 1);
}
