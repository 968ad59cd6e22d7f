//! Weeks of operation with a clock that is set by hand: a budget that the month
//! would exceed, a quota that is cut, and what that has saved.

use super::*;
use crate::domain::{ApplyMode, Budgets, FindingKind, Resource};
use crate::engine::Settings;
use crate::engine::tests::{self, me, pass, start};
use crate::ports::Clock;
use crate::ports::hands::Hands;

/// An engine with a tenant that people approve for, and a budget.
async fn engine(budget: &str) -> (Arc<Engine>, Arc<Hands>) {
    let budgets = Budgets::new([budget.parse().unwrap()]);
    tests::engine(Settings::default(), budgets, ApplyMode::Review, &[]).await
}

async fn set(engine: &Engine, limit: f64, generation: u64) {
    let acme: TenantId = "acme".parse().unwrap();
    engine.request_change(&acme, Resource::CpuCores, limit, generation, me()).await.unwrap();
}

/// The text of the budget's finding, where it is open.
async fn overrun(engine: &Engine) -> Option<String> {
    let open = engine.registry().open_incidents().await.unwrap();
    let findings: Vec<_> = open.values().flat_map(|(incident, _)| incident.open_findings()).collect();
    let of_budget = findings.into_iter().find(|finding| finding.kind == FindingKind::BudgetOverrun);
    of_budget.map(|finding| finding.text.clone())
}

/// October from the 5th on has 648 hours: 8 cores at 0.5 cost 2592.
#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_will_be_exceeded_is_told_until_it_is_kept() {
    let (engine, clock) = engine("fleet 2500USD/month").await;
    pass(&engine, &clock, 1).await;
    let text = overrun(&engine).await.unwrap();
    assert!(
        text.contains("The budget of fleet, 2500.00 USD a month, will be exceeded: 2592.00 USD"),
        "{text}"
    );
    assert!(text.contains("acme pays the largest part"), "{text}");
    set(&engine, 6.0, 1).await;
    pass(&engine, &clock, 1).await;
    assert_eq!(overrun(&engine).await, None);
    let fleet = engine.fleet_costs().await.unwrap();
    // One hour of 8 cores, one of 6, and 646 to go.
    assert_eq!(fleet.fleet.so_far.amount.normalize(), 7.into());
    assert_eq!(fleet.fleet.month_end.amount.normalize(), 1945.into());
    assert!(!fleet.budgets[0].exceeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_while_the_fleet_is_summed_costs_nothing() {
    let (engine, clock) = engine("fleet 2500USD/month").await;
    pass(&engine, &clock, 1).await;
    let listed = engine.registry().all_tenants().await.unwrap();
    engine.registry().remove_tenant(&listed[0].id, None, me()).await.unwrap();
    let costs = engine.costs_of(&listed).await.unwrap();
    assert!(costs[0].resources.is_empty() && costs[0].unpriced.is_empty(), "{:?}", costs[0]);
    assert!(engine.risen(&listed).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saving_is_what_has_passed_and_what_usage_did_is_kept() {
    let (engine, clock) = engine("fleet 100000USD/month").await;
    pass(&engine, &clock, 1).await;
    set(&engine, 4.0, 1).await;
    let at = clock.now();
    for _ in 0..8 {
        pass(&engine, &clock, 24).await;
    }
    let range = TimeRange { start: start(), end: clock.now() };
    let (total, changes) = engine.savings(None, range).await.unwrap();
    assert_eq!(total.realised.amount.normalize(), (8 * 24 * 2).into(), "4 cores at 0.5 for 8 days");
    assert_eq!(total.by_people, total.realised);
    assert_eq!((changes.len(), changes[0].at, changes[0].after), (1, at, 4.0));
    // A week of hours on either side: 5 cores each noon are above 4 and not above 8.
    let week = |above| Violations { samples: 168, above };
    let expected = Measured { before: week(0), since: week(7), until: at.plus(LOOK) };
    assert_eq!(changes[0].measured, Some(expected));
    let kept = engine.registry().applied(None).await.unwrap();
    assert_eq!(kept[0].measured, Some(expected), "it is written down");

    // What is taken back saves no more, and what was saved stays.
    set(&engine, 8.0, 2).await;
    pass(&engine, &clock, 24).await;
    let range = TimeRange { start: start(), end: clock.now() };
    let (total, changes) = engine.savings(None, range).await.unwrap();
    assert_eq!((total.realised.amount.normalize(), changes.len()), ((8 * 24 * 2).into(), 2));
    assert!(total.rate.amount.is_zero());

    // A tenant that leaves saves nothing more, and what it saved stays.
    let acme: TenantId = "acme".parse().unwrap();
    engine.registry().remove_tenant(&acme, None, me()).await.unwrap();
    pass(&engine, &clock, 24).await;
    let range = TimeRange { start: start(), end: clock.now() };
    let (total, changes) = engine.savings(None, range).await.unwrap();
    assert_eq!(total.realised.amount.normalize(), (8 * 24 * 2).into());
    assert!(changes.iter().all(|change| change.left_at.is_some()));

    // Changes are known for a year.
    pass(&engine, &clock, 366 * 24).await;
    assert!(engine.registry().applied(None).await.unwrap().is_empty());
}
