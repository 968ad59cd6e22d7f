//! What stops the daemon and not a person: a freeze window, the month's rise,
//! rollbacks; and what a rollback teaches.

use std::time::Duration;

use super::*;
use crate::domain::approval::approve;
use crate::domain::{
    ApplyMode, AuditAction, Budgets, FreezeWindow, Quota, RecommendationId, Resource, TenantId, Timetable,
    Verdict,
};
use crate::engine::tests::{self, HOUR, me, pass};
use crate::engine::{AssessmentKind, SeriesKey, Settings};
use crate::ports::hands::Hands;
use crate::registry::Remark;
use std::sync::Arc;

const CPU: Resource = Resource::CpuCores;

fn acme() -> TenantId {
    "acme".parse().unwrap()
}

async fn engine(guardrails: Guardrails, cores: f64) -> (Arc<Engine>, Arc<Hands>) {
    let settings = Settings { guardrails, ..Settings::default() };
    tests::engine(settings, Budgets::default(), ApplyMode::Approved, &[(CPU, cores)]).await
}

/// Six hours of freeze; the clock stands in them, at midnight of 5 October.
fn launch() -> FreezeWindow {
    FreezeWindow {
        name: "launch".to_owned(),
        begins: Timetable::parse("0 22 4 10 *", "UTC").unwrap(),
        lasts: Duration::from_secs(6 * HOUR),
        tiers: Vec::new(),
        tenants: vec![acme()],
    }
}

async fn quota(engine: &Engine) -> Quota {
    engine.registry().quota(&acme(), CPU).await.unwrap()
}

/// What stands against the recommendation that waits.
fn against(engine: &Engine) -> Vec<Objection> {
    let said = engine.workspace.assessment(&SeriesKey { tenant: acme(), resource: CPU }).unwrap();
    said.held_back_by.map_or_else(Vec::new, |verdict| verdict.objections)
}

fn waiting(engine: &Engine) -> Option<RecommendationId> {
    match engine.workspace.assessment(&SeriesKey { tenant: acme(), resource: CPU }).unwrap().kind {
        AssessmentKind::Change(id) => Some(id),
        _ => None,
    }
}

fn kept_because(engine: &Engine) -> String {
    match engine.workspace.assessment(&SeriesKey { tenant: acme(), resource: CPU }).unwrap().kind {
        AssessmentKind::Keep(reason) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_freeze_window_stops_the_daemon_until_it_ends() {
    let rails = Guardrails { freezes: vec![launch()], ..Guardrails::default() };
    let (engine, clock) = engine(rails, 16.0).await;
    pass(&engine, &clock, 1).await;
    let until = "2026-10-05T04:00:00Z".parse().unwrap();
    assert_eq!(against(&engine), [Objection::Frozen { window: "launch".to_owned(), until }]);
    assert_eq!(quota(&engine).await.limit, 16.0);
    pass(&engine, &clock, 4).await;
    assert!(quota(&engine).await.limit < 16.0);
}

#[tokio::test]
async fn what_was_begun_is_not_carried_out_on_usage_that_went_stale() {
    let (engine, clock) = engine(Guardrails { freezes: vec![launch()], ..Guardrails::default() }, 16.0).await;
    pass(&engine, &clock, 1).await;
    // As if the process had ended right after it wrote the change down.
    let (waiting, _) = engine.registry().waiting(&acme(), CPU).await.unwrap().unwrap();
    let tenant = engine.registry().tenant(&acme()).await.unwrap();
    let change = waiting.recommendation.change();
    let daemon = Remark { by: Actor::Daemon, comment: None, request_id: None };
    let approval = engine.word(&tenant, &change, daemon, None);
    let approved = approve(change, Verdict::default(), approval).unwrap();
    engine.registry().begin_change(&approved).await.unwrap();
    // The usage ends 39 days later.
    pass(&engine, &clock, 40 * 24).await;
    assert_eq!(quota(&engine).await.limit, 16.0);
    let log = engine.registry().audit_after(0, 500).await.unwrap();
    let failed = log.iter().find(|line| line.event.action == AuditAction::ChangeFailed).unwrap();
    let told = format!("{:?}", failed.event);
    assert!(told.contains("the last usage sample is from 2026-11-1"), "{told}");
}

#[tokio::test]
async fn a_person_may_act_inside_a_freeze_window() {
    let window = FreezeWindow {
        name: "always".to_owned(),
        begins: Timetable::parse("0 * * * *", "UTC").unwrap(),
        lasts: Duration::from_secs(2 * HOUR),
        tiers: Vec::new(),
        tenants: Vec::new(),
    };
    let rails = Guardrails { freezes: vec![window], ..Guardrails::default() };
    let (engine, clock) = engine(rails, 16.0).await;
    pass(&engine, &clock, 1).await;
    engine.approve(waiting(&engine).unwrap(), me()).await.unwrap();
    assert!(quota(&engine).await.limit < 16.0);
}

#[tokio::test]
async fn the_daemons_raises_of_a_month_stay_within_their_limit() {
    let limited = |limit: &str| {
        let monthly_rise = Budgets::new([limit.parse().unwrap()]);
        Guardrails { monthly_rise, cool_down: Duration::ZERO, largest_step_up: 0.2, ..Guardrails::default() }
    };
    // Usage of 5 cores wants more than 4; a step of 0.8 cores adds 292 USD.
    let (tight, clock) = engine(limited("fleet 100USD/month"), 4.0).await;
    pass(&tight, &clock, 1).await;
    assert!(matches!(&against(&tight)[..], [Objection::RiseTooDear { of, .. }] if of == "fleet"));
    assert_eq!(quota(&tight).await.limit, 4.0);
    let (wide, clock) = engine(limited("tenant acme 300USD/month"), 4.0).await;
    pass(&wide, &clock, 1).await;
    assert_eq!(quota(&wide).await.limit, 4.8);
    // The second step would come to more than 300 together.
    pass(&wide, &clock, 1).await;
    assert!(matches!(&against(&wide)[..], [Objection::RiseTooDear { of, .. }] if of == "tenant acme"));
    assert_eq!(quota(&wide).await.limit, 4.8);
}

#[tokio::test]
async fn what_was_rolled_back_is_not_proposed_again_and_too_often_is_enough() {
    let rails = Guardrails { cool_down: Duration::ZERO, ..Guardrails::default() };
    let (engine, clock) = engine(rails, 16.0).await;
    pass(&engine, &clock, 1).await;
    let cut = quota(&engine).await;
    assert_eq!((cut.generation, cut.before), (2, Some(16.0)));
    let remark = crate::registry::Remark { comment: Some("the nightly job broke".to_owned()), ..me() };
    let back = engine.roll_back_quota(&acme(), CPU, 2, remark).await.unwrap();
    assert_eq!((back.limit, back.generation), (16.0, 3));
    // A raise rests for a day before anything is cut again.
    pass(&engine, &clock, 25).await;
    let reason = kept_because(&engine);
    assert!(reason.contains("me said no") && reason.contains("the nightly job broke"), "{reason}");
    assert_eq!(quota(&engine).await.generation, 3, "one rollback stops the proposal, not the tenant");
    // A second one within the week stops the tenant's changes, whatever they are.
    engine.roll_back_quota(&acme(), CPU, 3, me()).await.unwrap();
    engine.request_change(&acme(), CPU, 30.0, 4, me()).await.unwrap();
    assert_eq!(quota(&engine).await.generation, 5);
    pass(&engine, &clock, 25).await;
    assert!(waiting(&engine).is_some(), "a shallower cut than the refused one may be proposed");
    assert!(matches!(&against(&engine)[..], [Objection::RolledBackTooOften { rollbacks: 2, .. }]));
    assert_eq!(quota(&engine).await.limit, 30.0);
}

#[tokio::test]
async fn a_quota_as_it_was_made_has_nothing_to_take_back() {
    let (engine, _) = engine(Guardrails::default(), 16.0).await;
    let refused = engine.roll_back_quota(&acme(), CPU, 1, me()).await.unwrap_err();
    assert!(refused.to_string().contains("never changed"), "{refused}");
}
