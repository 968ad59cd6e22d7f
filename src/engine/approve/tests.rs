//! Two people: who may be which, what is kept meanwhile, and when that lapses.
//! A core costs 365 USD a month.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::{Actor, ApplyMode, ApprovalRules, AuditAction, Budgets, Tier, TwoPeople};
use crate::engine::apply::UnderWay;
use crate::engine::tests::{self, HOUR, pass};
use crate::engine::{AssessmentKind, SeriesKey, Settings};
use crate::ports::Clock;
use crate::ports::hands::Hands;
use crate::registry::RequestFilter;

const CPU: Resource = Resource::CpuCores;

fn acme() -> TenantId {
    "acme".parse().unwrap()
}

fn person(name: &str) -> Remark {
    let comment = Some(format!("{name} looked at it"));
    Remark { by: Actor::Person(name.to_owned()), comment, request_id: Some(format!("call-of-{name}")) }
}

async fn engine(two_people: TwoPeople, mode: ApplyMode) -> (Arc<Engine>, Arc<Hands>) {
    let second_within = Duration::from_secs(2 * HOUR);
    let approval = ApprovalRules { two_people, second_within, max_requests: 2 };
    let settings = Settings { approval, ..Settings::default() };
    tests::engine(settings, Budgets::default(), mode, &[(CPU, 16.0)]).await
}

fn above(limit: &str) -> TwoPeople {
    TwoPeople { monthly_cost: Some(limit.parse().unwrap()), tiers: Vec::new() }
}

/// The recommendation that waits after an hour.
async fn waiting(engine: &Arc<Engine>, clock: &Hands) -> RecommendationId {
    pass(engine, clock, 1).await;
    match engine.workspace.assessment(&SeriesKey { tenant: acme(), resource: CPU }).unwrap().kind {
        AssessmentKind::Change(id) => id,
        other => panic!("{other:?}"),
    }
}

async fn state(engine: &Engine, id: RecommendationId) -> &'static str {
    engine.registry().recommendation(id).await.unwrap().state.name()
}

/// The newest lines of the log, the newest first.
async fn log<const N: usize>(engine: &Engine) -> [(AuditAction, String); N] {
    let lines = engine.registry().audit(None, None, N).await.unwrap();
    let lines: Vec<_> =
        lines.into_iter().map(|line| (line.event.action, line.event.actor.to_string())).collect();
    lines.try_into().unwrap()
}

fn objections(error: ApplyError) -> Vec<Objection> {
    match error {
        ApplyError::Registry(RegistryError::Refused(verdict)) => verdict.objections,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_dear_recommendation_needs_two_different_people() {
    let (engine, clock) = engine(above("900USD/month"), ApplyMode::Review).await;
    let id = waiting(&engine, &clock).await;
    let Decided::AwaitsSecond(kept) = engine.approve(id, person("ann")).await.unwrap() else { panic!() };
    let RecommendationState::AwaitsSecond { by, comment, until, .. } = kept.state else { panic!() };
    assert_eq!((by, comment), (person("ann").by, person("ann").comment));
    assert_eq!(until, clock.now().plus(Duration::from_secs(2 * HOUR)));
    assert_eq!(engine.registry().quota(&acme(), CPU).await.unwrap().generation, 1);
    let twice = objections(engine.approve(id, person("ann")).await.unwrap_err());
    assert_eq!(twice, [Objection::SamePersonTwice { by: person("ann").by }]);
    // A cycle that finds a slightly other need does not take it away.
    pass(&engine, &clock, 1).await;
    assert_eq!(state(&engine, id).await, "awaits_second");
    let done = engine.approve(id, person("ben")).await.unwrap();
    assert!(matches!(done, Decided::Applied(Quota { generation: 2, .. })), "{done:?}");
    use AuditAction::{FirstApprovalGiven, QuotaChanged, RecommendationApproved};
    let expected = [(QuotaChanged, "ben"), (RecommendationApproved, "ben"), (FirstApprovalGiven, "ann")];
    assert_eq!(log(&engine).await, expected.map(|(action, by)| (action, by.to_owned())));
}

#[tokio::test]
async fn the_first_word_lapses_and_is_then_a_first_one_again() {
    let (engine, clock) = engine(above("900USD/month"), ApplyMode::Review).await;
    let id = waiting(&engine, &clock).await;
    engine.approve(id, person("ann")).await.unwrap();
    clock.put(clock.now().plus(Duration::from_secs(2 * HOUR)));
    // Also where no cycle has looked yet.
    let late = engine.approve(id, person("ben")).await.unwrap();
    assert!(matches!(late, Decided::AwaitsSecond(_)), "{late:?}");
    clock.put(clock.now().plus(Duration::from_secs(2 * HOUR)));
    engine.registry().expire().await.unwrap();
    assert_eq!(state(&engine, id).await, "proposed");
    let [(action, by)] = log(&engine).await;
    assert_eq!((action, by.as_str()), (AuditAction::FirstApprovalLapsed, "plimsoll"));
    // Another change of the quota makes it stale, and that is said.
    engine.approve(id, person("ann")).await.unwrap();
    engine.request_change(&acme(), CPU, 15.0, 1, person("eve")).await.unwrap();
    let stale = objections(engine.approve(id, person("ben")).await.unwrap_err());
    assert_eq!(stale, [Objection::QuotaMoved { expected: 1, found: 2 }]);
}

#[tokio::test]
async fn a_first_word_ends_with_its_tenant() {
    let (engine, clock) = engine(above("900USD/month"), ApplyMode::Review).await;
    let id = waiting(&engine, &clock).await;
    engine.approve(id, person("ann")).await.unwrap();
    engine.registry().remove_tenant(&acme(), None, person("eve")).await.unwrap();
    assert_eq!(state(&engine, id).await, "superseded");
    let lines = engine.registry().audit(None, None, 9).await.unwrap();
    let lapsed = lines.iter().find(|line| line.event.action == AuditAction::FirstApprovalLapsed).unwrap();
    assert_eq!(lapsed.event.reason, "ann approved it; the tenant was removed");
}

#[tokio::test]
async fn the_daemon_alone_never_does_what_needs_two() {
    let rule = TwoPeople { monthly_cost: None, tiers: vec![Tier::Premium] };
    let (engine, clock) = engine(rule, ApplyMode::Approved).await;
    let id = waiting(&engine, &clock).await;
    let held =
        engine.workspace.assessment(&SeriesKey { tenant: acme(), resource: CPU }).unwrap().held_back_by;
    let because = WhyTwo::Tier { tier: Tier::Premium };
    assert_eq!(held.unwrap().objections, [Objection::NeedsTwoPeople { because }]);
    assert_eq!(state(&engine, id).await, "proposed");
    // Nor does it stand in for the second person.
    engine.approve(id, person("ann")).await.unwrap();
    pass(&engine, &clock, 1).await;
    assert_eq!(state(&engine, id).await, "awaits_second");
    assert_eq!(engine.registry().quota(&acme(), CPU).await.unwrap().generation, 1);
}

async fn ask(engine: &Engine, limit: f64, name: &str) -> Result<Asked, ApplyError> {
    engine.request_change(&acme(), CPU, limit, 1, person(name)).await
}

fn waits(asked: Result<Asked, ApplyError>) -> ChangeRequest {
    match asked {
        Ok(Asked::AwaitsSecond(request)) => request,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_dear_wish_waits_for_another_person() {
    let (engine, _) = engine(above("900USD/month"), ApplyMode::Review).await;
    let request = waits(ask(&engine, 20.0, "ann").await);
    assert_eq!(engine.registry().quota(&acme(), CPU).await.unwrap().limit, 16.0);
    let own = objections(engine.approve_request(request.id, person("ann")).await.unwrap_err());
    assert_eq!(own, [Objection::SamePersonTwice { by: person("ann").by }]);
    let other = waits(ask(&engine, 10.0, "eve").await);
    let full = ask(&engine, 30.0, "eve").await;
    assert!(matches!(full, Err(ApplyError::Registry(RegistryError::TooManyRequests(2)))), "{full:?}");
    assert_eq!(engine.approve_request(request.id, person("ben")).await.unwrap().limit, 20.0);
    use AuditAction::{ChangeRequestApproved, ChangeRequested, QuotaChanged};
    let expected = [
        (QuotaChanged, "ben"),
        (ChangeRequestApproved, "ben"),
        (ChangeRequested, "eve"),
        (ChangeRequested, "ann"),
    ];
    assert_eq!(log(&engine).await, expected.map(|(action, by)| (action, by.to_owned())));
    assert_eq!(engine.registry().change_request(request.id).await.unwrap().state.name(), "applied");
    let again = engine.approve_request(request.id, person("cid")).await.unwrap_err();
    assert!(again.to_string().contains("already applied"), "{again}");
    // The other one starts from a quota that is gone.
    let stale = objections(engine.approve_request(other.id, person("ben")).await.unwrap_err());
    assert_eq!(stale, [Objection::QuotaMoved { expected: 1, found: 2 }]);
    engine.registry().tend_requests(Timestamp::from_seconds(0)).await.unwrap();
    assert_eq!(engine.registry().change_request(other.id).await.unwrap().state.name(), "stale");
    // A small one needs nobody else, and the way back neither.
    let small = engine.request_change(&acme(), CPU, 21.0, 2, person("ann")).await.unwrap();
    assert!(matches!(small, Asked::Applied(_)));
    engine.request_change(&acme(), CPU, 20.0, 3, person("ann")).await.unwrap();
    let no_price = engine.request_change(&acme(), Resource::MemoryGb, 60.0, 1, person("ann")).await.unwrap();
    assert!(matches!(no_price, Asked::Applied(_)), "without a price only the tier counts");
}

#[tokio::test]
async fn a_wish_lapses_is_rejected_and_leaves_with_its_tenant() {
    let (engine, clock) = engine(above("900USD/month"), ApplyMode::Review).await;
    let registry = engine.registry();
    let late = waits(ask(&engine, 20.0, "ann").await);
    clock.put(clock.now().plus(Duration::from_secs(2 * HOUR)));
    let expired = objections(engine.approve_request(late.id, person("ben")).await.unwrap_err());
    assert!(matches!(expired[..], [Objection::Expired { .. }]), "{expired:?}");
    registry.tend_requests(Timestamp::from_seconds(0)).await.unwrap();
    assert_eq!(registry.change_request(late.id).await.unwrap().state, RequestState::Expired);
    let [(action, _)] = log(&engine).await;
    assert_eq!(action, AuditAction::ChangeRequestLapsed);

    let unwanted = waits(ask(&engine, 20.0, "ann").await);
    registry.reject_request(unwanted.id, "too dear".to_owned(), person("ben")).await.unwrap();
    let no = engine.approve_request(unwanted.id, person("cid")).await.unwrap_err();
    assert!(no.to_string().contains("already rejected"), "{no}");

    let orphan = waits(ask(&engine, 20.0, "ann").await);
    registry.stop_changes("a flood".to_owned(), person("eve")).await.unwrap();
    let paused = engine.approve_request(orphan.id, person("ben")).await.unwrap_err();
    assert!(paused.to_string().contains("a flood"), "{paused}");
    assert!(ask(&engine, 20.0, "ann").await.unwrap_err().to_string().contains("a flood"));
    registry.resume_changes(person("eve")).await.unwrap();
    registry.remove_tenant(&acme(), None, person("eve")).await.unwrap();
    assert_eq!(registry.change_request(orphan.id).await.unwrap().state.name(), "stale");
    registry.tend_requests(clock.now().plus(Duration::from_secs(1))).await.unwrap();
    assert!(registry.change_requests(&RequestFilter::default(), None, 9).await.unwrap().is_empty());
}

#[tokio::test]
async fn whoever_comes_second_takes_no_mark_away() {
    let (engine, _clock) = engine(TwoPeople::default(), ApplyMode::Review).await;
    let change = QuotaChange {
        tenant: acme(),
        resource: CPU,
        parent_generation: 1,
        from: 20.0,
        to: 15.0,
        recommendation: None,
        rollout: None,
        rolls_back: false,
        reason: "a test".to_owned(),
    };
    let first = UnderWay::mark(&engine, &change);
    assert!(first.is_some());
    assert!(UnderWay::mark(&engine, &change).is_none());
    assert!(UnderWay::mark(&engine, &change).is_none(), "the first one still carries it out");
    drop(first);
    assert!(UnderWay::mark(&engine, &change).is_some());
}
