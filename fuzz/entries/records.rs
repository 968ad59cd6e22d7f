//! What the routes with an id find: an incident, a recommendation, a request and a
//! rollout of one tenant, all under one id.

use std::fmt::Debug;
use std::str::FromStr;
use std::time::Duration;

use plimsoll::domain::rollout::{Rollout, Strategy};
use plimsoll::domain::{
    Actor, ChangeRequest, Evidence, Finding, FindingKind, Incident, Recommendation, RequestState, Resource,
    Severity, TenantId, Tier, Timestamp, WhyTwo,
};
use plimsoll::engine::{Engine, RolloutWish, Take};
use plimsoll::registry::{IncidentWrite, Remark};
use serde_json::json;

/// The id of all of them.
pub(super) const ID: &str = "0190a5c0-0000-7000-8000-000000000000";
const DAY: Duration = Duration::from_secs(86_400);

/// Writes them for the tenant `acme`, which is PREMIUM and has the quotas of that.
/// Each but the incident is about a quota of its own, so that none is in the way of
/// another.
pub(super) async fn write(engine: &Engine) {
    let (registry, now) = (engine.registry(), engine.now());
    let incident =
        IncidentWrite { incident: incident(now), version: None, notice: None, budget: None, audit: None };
    registry.write_incident(&incident).await.expect("no incident");
    registry.propose_after(None, recommendation(now)).await.expect("no recommendation");
    registry.ask_for_change(change_request(now), 1, None).await.expect("no request");
    begin_rollout(engine).await;
}

fn id<T: FromStr<Err: Debug>>() -> T {
    ID.parse().expect("it is an id")
}

fn acme() -> TenantId {
    "acme".parse().expect("it is an id")
}

/// Whoever bears the token is another person, and so may be the second one.
fn ann() -> Actor {
    Actor::Person("ann".to_owned())
}

fn incident(now: Timestamp) -> Incident {
    let text = "cpu_cores is far above what it is at this hour".to_owned();
    let finding = Finding {
        resource: Some(Resource::CpuCores),
        ..Finding::new(FindingKind::UnusualUsage, "novelty", text, now)
    };
    Incident {
        id: id(),
        tenant: acme(),
        severity: Severity::Warning,
        resources: vec![Resource::CpuCores],
        findings: vec![finding],
        opened_at: now,
        last_seen_at: now,
        peak_score: 0.9,
        resolved_at: None,
        detected_at: now,
        changed_at: now,
        acknowledged: None,
        feedback: None,
        told_at: None,
        untold: None,
        worse_untold: None,
        summarised_in: None,
    }
}

fn recommendation(now: Timestamp) -> Recommendation {
    Recommendation {
        id: id(),
        tenant: acme(),
        tier: Tier::Premium,
        resource: Resource::MemoryGb,
        parent_generation: 1,
        current: 16.0,
        proposed: 12.0,
        evidence: Evidence::default(),
        reasons: vec!["In 28 days usage stayed below 10 GB.".to_owned()],
        confidence: 0.9,
        cost: None,
        no_cost_because: None,
        trace: None,
        created_at: now,
        expires_at: now.plus(DAY),
    }
}

fn change_request(now: Timestamp) -> ChangeRequest {
    ChangeRequest {
        id: id(),
        tenant: acme(),
        resource: Resource::StorageGb,
        parent_generation: 1,
        from: 500.0,
        to: 800.0,
        by: ann(),
        at: now,
        reason: "an import is coming".to_owned(),
        needs_two: WhyTwo::Tier { tier: Tier::Premium },
        expires_at: now.plus(DAY),
        state: RequestState::Waiting,
    }
}

/// It is prepared and waits, so that it can be switched, halted and taken back.
async fn begin_rollout(engine: &Engine) {
    let change = json!({"tenant": "acme", "resource": "cache_size_mb", "limit": 900.0});
    let take: Take =
        serde_json::from_value(json!({"kind": "changes", "changes": [change]})).expect("nothing to take");
    let (wishes, template) = engine.wishes(&take).await.expect("no wishes");
    let wish = RolloutWish {
        name: "smaller caches".to_owned(),
        reason: "they are half empty".to_owned(),
        strategy: Strategy::BlueGreen,
        watch: None,
        limits: None,
        wishes,
        template,
    };
    let remark = Remark { by: ann(), comment: None, request_id: None };
    let planned = engine.plan_rollout(wish, &remark).await.expect("no plan");
    engine.begin_rollout(Rollout { id: id(), ..planned }, remark).await.expect("no rollout");
}
