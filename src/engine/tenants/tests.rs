//! What may be done to a tenant itself, by whom. A core costs 365 USD a month.

use std::sync::Arc;

use super::*;
use crate::domain::{ApplyMode, ApprovalRules, Budgets, Tier, TwoPeople};
use crate::engine::Settings;
use crate::engine::tests::{engine, me};

const CPU: Resource = Resource::CpuCores;

async fn acme_under(two_people: TwoPeople) -> Arc<Engine> {
    let approval = ApprovalRules { two_people, ..ApprovalRules::default() };
    let settings = Settings { approval, ..Settings::default() };
    engine(settings, Budgets::default(), ApplyMode::Review, &[(CPU, 16.0)]).await.0
}

fn above(limit: &str) -> TwoPeople {
    TwoPeople { monthly_cost: Some(limit.parse().unwrap()), tiers: Vec::new() }
}

fn acme() -> TenantId {
    "acme".parse().unwrap()
}

fn globex() -> NewTenant {
    NewTenant {
        id: "globex".parse().unwrap(),
        name: None,
        tier: Tier::Premium,
        provider: "x".to_owned(),
        region: "y".to_owned(),
        apply_mode: ApplyMode::Review,
        template: None,
        quotas: BTreeMap::new(),
    }
}

fn to_tier(tier: Tier) -> TenantEdit {
    TenantEdit { tier: Some(tier), ..TenantEdit::default() }
}

/// The role that was asked for, with why; `None` where it was done.
fn asked<T>(outcome: Result<T, TenantError>) -> Option<(Role, WhyRole)> {
    match outcome {
        Ok(_) => None,
        Err(TenantError::NotThisRole { needed, because, .. }) => Some((needed, because)),
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test]
async fn what_reaches_quotas_is_for_those_who_decide_on_them() {
    let engine = acme_under(TwoPeople::default()).await;
    let as_operator = Role::Operator;
    let needs = Some((Role::Approver, WhyRole::Quotas));
    assert_eq!(asked(engine.remove_tenant(&acme(), None, as_operator, me()).await), needs);
    assert_eq!(asked(engine.edit_tenant(&acme(), to_tier(Tier::Free), as_operator, me()).await), needs);
    let wished = BTreeMap::from([(CPU, 30.0)]);
    assert_eq!(asked(engine.register_tenant(globex(), wished.clone(), as_operator, me()).await), needs);
    let outside = BTreeMap::from([(CPU, 99_999.0)]);
    let refused = engine.register_tenant(globex(), outside, Role::Admin, me()).await.unwrap_err();
    assert!(matches!(refused, TenantError::Registry(RegistryError::Refused(_))), "{refused}");
    // What its plan gives, and what leaves the plan alone, is for operators.
    let planned = BTreeMap::from([(CPU, Tier::Premium.default_quota(CPU))]);
    assert_eq!(asked(engine.register_tenant(globex(), planned, as_operator, me()).await), None);
    let edit = TenantEdit { name: Some("Acme".to_owned()), ..to_tier(Tier::Premium) };
    assert_eq!(asked(engine.edit_tenant(&acme(), edit, as_operator, me()).await), None);
    assert_eq!(asked(engine.remove_tenant(&acme(), None, Role::Approver, me()).await), None);
    let again = NewTenant { id: acme(), ..globex() };
    engine.register_tenant(again, wished, Role::Approver, me()).await.unwrap();
    assert_eq!(engine.registry().quota(&acme(), CPU).await.unwrap().limit, 30.0);
}

#[tokio::test]
async fn one_person_gets_round_two_neither_by_another_tier_nor_by_making_it_anew() {
    let tiers = vec![Tier::Premium];
    let engine = acme_under(TwoPeople { monthly_cost: None, tiers }).await;
    let because = WhyRole::Two(WhyTwo::Tier { tier: Tier::Premium });
    let needs = Some((Role::Admin, because));
    let one = Role::Approver;
    assert_eq!(asked(engine.edit_tenant(&acme(), to_tier(Tier::Standard), one, me()).await), needs);
    assert_eq!(asked(engine.remove_tenant(&acme(), None, one, me()).await), needs);
    let wished = BTreeMap::from([(CPU, 30.0)]);
    assert_eq!(asked(engine.register_tenant(globex(), wished, one, me()).await), needs);
    assert_eq!(asked(engine.register_tenant(globex(), BTreeMap::new(), one, me()).await), None);
    assert_eq!(asked(engine.edit_tenant(&acme(), to_tier(Tier::Standard), Role::Admin, me()).await), None);
    // It is of no such tier any more.
    assert_eq!(asked(engine.remove_tenant(&acme(), None, one, me()).await), None);
}

#[tokio::test]
async fn what_costs_more_than_one_may_decide_on_is_for_administrators() {
    // 16 cores cost 5840 USD.
    let cheap = acme_under(above("6000USD/month")).await;
    let dear = acme_under(above("5000USD/month")).await;
    let one = Role::Approver;
    let Some((Role::Admin, WhyRole::Two(WhyTwo::Cost { difference, .. }))) =
        asked(dear.remove_tenant(&acme(), None, one, me()).await)
    else {
        panic!("one person has removed it")
    };
    assert_eq!(difference.to_string(), "5840.00 USD");
    let prices = Some((Role::Admin, WhyRole::Prices));
    let edit = TenantEdit { region: Some("nowhere".to_owned()), ..TenantEdit::default() };
    assert_eq!(asked(cheap.edit_tenant(&acme(), edit, one, me()).await), prices);
    let wished = BTreeMap::from([(CPU, Tier::Premium.default_quota(CPU) + 20.0)]);
    let asked_for = asked(cheap.register_tenant(globex(), wished, one, me()).await);
    assert!(matches!(asked_for, Some((Role::Admin, WhyRole::Two(WhyTwo::Cost { .. })))), "{asked_for:?}");
    assert_eq!(asked(cheap.remove_tenant(&acme(), None, one, me()).await), None);
}

#[tokio::test]
async fn a_pause_keeps_tenants_and_their_plans_where_they_are() {
    let engine = acme_under(TwoPeople::default()).await;
    engine.registry().stop_changes("a test".to_owned(), me()).await.unwrap();
    let paused = |error: TenantError| {
        assert!(matches!(error, TenantError::Registry(RegistryError::Paused(_))), "{error}");
    };
    paused(engine.remove_tenant(&acme(), None, Role::Admin, me()).await.unwrap_err());
    paused(engine.edit_tenant(&acme(), to_tier(Tier::Free), Role::Admin, me()).await.unwrap_err());
    let edit = TenantEdit { apply_mode: Some(ApplyMode::Observe), ..TenantEdit::default() };
    engine.edit_tenant(&acme(), edit, Role::Operator, me()).await.unwrap();
    engine.registry().resume_changes(me()).await.unwrap();
    let edited = engine.edit_tenant(&acme(), to_tier(Tier::Free), Role::Admin, me()).await.unwrap();
    assert_eq!((edited.tier, edited.apply_mode), (Tier::Free, ApplyMode::Observe));
}
