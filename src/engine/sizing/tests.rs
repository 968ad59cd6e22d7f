//! Which cadence a quota is walked at, and for how long that stands.

use std::sync::Arc;

use super::*;
use crate::domain::{Budgets, Resource};
use crate::engine::Settings;
use crate::engine::tests::{self, HOUR, start};

const CPU: Resource = Resource::CpuCores;
const DAYS: usize = 28;

/// Days of usage at 5 minutes, from what it is at each sample.
fn usage(days: usize, value: impl Fn(usize) -> f64) -> UsageSeries {
    let values: Vec<f64> = (0..days * 288).map(value).collect();
    UsageSeries { start: start(), step: crate::domain::Step::FIVE_MINUTES, values: values.into() }
}

/// High in office hours, with a little that never repeats.
fn office(index: usize) -> f64 {
    let noise = (index * 2_654_435_761 % 1000) as f64 / 2000.0;
    if (96..216).contains(&(index % 288)) { 6.0 + noise } else { 1.0 + noise }
}

fn even(index: usize) -> f64 {
    3.0 + (index * 2_654_435_761 % 1000) as f64 / 1000.0
}

/// An engine whose guardrails let the daemon act each so many hours, its
/// tenant, and the tenant's quota.
async fn engine(mode: ApplyMode, cool_down_hours: u64) -> (Arc<Engine>, Tenant, Quota) {
    let mut settings = Settings::default();
    settings.guardrails.cool_down = Duration::from_secs(cool_down_hours * HOUR);
    let (engine, _) = tests::engine(settings, Budgets::default(), mode, &[(CPU, 16.0)]).await;
    let tenant = engine.registry().tenant(&"acme".parse().unwrap()).await.unwrap();
    let quota = engine.registry().quota(&tenant.id, CPU).await.unwrap();
    (engine, tenant, quota)
}

/// Walks the usage, and gives for how many hours the chosen limits hold.
fn hours(engine: &Engine, tenant: &Tenant, quota: &Quota, usage: &UsageSeries) -> usize {
    carried(engine, tenant, quota, usage).walk().course().hours
}

fn carried(engine: &Engine, tenant: &Tenant, quota: &Quota, usage: &UsageSeries) -> Carried {
    let known = Known::default();
    let key = SeriesKey { tenant: tenant.id.clone(), resource: CPU };
    engine.walk(&key, tenant, quota, usage, &known)
}

#[tokio::test]
async fn a_finer_cadence_is_taken_only_where_it_is_lighter() {
    let (engine, tenant, quota) = engine(ApplyMode::Approved, 1).await;
    assert!(hours(&engine, &tenant, &quota, &usage(DAYS, office)) < 24, "the nights are worth it");
    let (engine, tenant, quota) = self::engine(ApplyMode::Approved, 1).await;
    assert_eq!(hours(&engine, &tenant, &quota, &usage(DAYS, even)), 24, "there is nothing to gain");
}

#[tokio::test]
async fn a_person_and_a_long_cool_down_keep_the_day() {
    for (mode, cool_down) in [(ApplyMode::Review, 1), (ApplyMode::Approved, 24)] {
        let (engine, tenant, quota) = engine(mode, cool_down).await;
        assert_eq!(hours(&engine, &tenant, &quota, &usage(DAYS, office)), 24, "{mode:?}, {cool_down} h");
    }
}

#[tokio::test]
async fn what_its_owner_does_not_allow_is_not_taken() {
    let (engine, mut tenant, quota) = engine(ApplyMode::Approved, 1).await;
    tenant.changes_per_day = Some(0.5);
    assert_eq!(hours(&engine, &tenant, &quota, &usage(DAYS, office)), 24);
    tenant.cadence = Some(Cadence::Hourly);
    assert_eq!(hours(&engine, &tenant, &quota, &usage(DAYS, office)), 1, "what is asked for is done");
}

#[tokio::test]
async fn the_choice_stands_for_a_week_and_is_then_made_anew() {
    let (engine, tenant, quota) = engine(ApplyMode::Approved, 1).await;
    let turned = |index: usize| if index < DAYS * 288 { even(index) } else { office(index) };
    let first = carried(&engine, &tenant, &quota, &usage(DAYS, turned));
    assert_eq!(first.walk().course().hours, 24);
    // Walks of one start are tried anew on different days, up to half a week early.
    let soon = carried(&engine, &tenant, &quota, &usage(DAYS + 3, turned));
    assert_eq!(soon.chosen_at, first.chosen_at, "it is only carried on");
    let later = carried(&engine, &tenant, &quota, &usage(DAYS + 25, turned));
    assert!(later.chosen_at > first.chosen_at, "it is tried anew");
    assert!(later.walk().course().hours < 24, "the tenant keeps office hours now");
}
