//! Weeks of operation with a clock that is set by hand: a budget that the month
//! would exceed, a quota that is cut, and what that has saved.

use super::*;
use crate::cost::{PriceBook, Settings as PriceSettings};
use crate::domain::{Actor, ApplyMode, Budgets, FindingKind, Resource, Step, Tier};
use crate::engine::{Compute, Ids, Parts, Settings, Silent};
use crate::ports::Clock;
use crate::ports::hands::Hands;
use crate::registry::{NewTenant, Registry, Remark};
use crate::series::Frame;
use crate::source::FileSource;
use crate::store::{MemoryStore, NoHistory};
use crate::target::RegistryTarget;
use crate::telemetry::Metrics;

const HOUR: u64 = 3600;
const BOOK: &str = "currency = \"USD\"\nprovider = \"x\"\n[[price]]\nregion = \"*\"\n\
    resource = \"cpu_cores\"\non_demand = \"0.5\"\nsource = \"s\"\nlooked_up = \"2026-01-01\"\n";

fn start() -> Timestamp {
    "2026-09-14".parse().unwrap()
}

/// An engine three weeks after the usage began: about 2 cores, and 5 at noon.
async fn engine(budget: &str) -> (Arc<Engine>, Arc<Hands>) {
    let clock = Arc::new(Hands::at(start().plus(Duration::from_secs(21 * 24 * HOUR))));
    let usage = |hour: usize| if hour % 24 == 12 { 5.0 } else { 2.0 + 0.1 * (hour % 7) as f64 };
    let series = UsageSeries { start: start(), step: Step::HOUR, values: (0..24 * 60).map(usage).collect() };
    let mut frame = Frame::empty(Resource::CpuCores, Step::HOUR);
    frame.series.insert("acme".parse().unwrap(), series);
    let budgets = Budgets::new([budget.parse().unwrap()]);
    let settings = PriceSettings { budgets, ..PriceSettings::default() };
    let parts = Parts {
        source: Arc::new(FileSource::from_frames(Step::HOUR, vec![frame])),
        history: Arc::new(NoHistory),
        registry: Registry::new(Arc::new(MemoryStore::default()), clock.clone()),
        target: Arc::new(RegistryTarget),
        prices: Some(Prices::new(PriceBook::from_toml(BOOK).unwrap(), settings, clock.now()).unwrap()),
        clock: clock.clone(),
        ids: Ids::from_seed(1),
        compute: Compute::new(2, 1).unwrap(),
        metrics: Arc::new(Metrics::default()),
    };
    let tenant = NewTenant {
        id: "acme".parse().unwrap(),
        name: None,
        template: None,
        tier: Tier::Premium,
        provider: "x".to_owned(),
        region: "y".to_owned(),
        apply_mode: ApplyMode::Review,
        quotas: std::collections::BTreeMap::new(),
    };
    parts.registry.create_tenant(tenant, Actor::Daemon, None).await.unwrap();
    (Arc::new(Engine::new(parts, Settings::default())), clock)
}

/// Lets hours pass, and then runs a cycle.
async fn pass(engine: &Arc<Engine>, clock: &Hands, hours: u64) {
    let next = clock.now().plus(Duration::from_secs(hours * HOUR));
    clock.put(next);
    engine.cycle(&Silent).await.unwrap();
}

fn me() -> Remark {
    Remark { by: Actor::Person("me".to_owned()), comment: None, request_id: None }
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
    engine.registry().remove_tenant(&acme, me()).await.unwrap();
    pass(&engine, &clock, 24).await;
    let range = TimeRange { start: start(), end: clock.now() };
    let (total, changes) = engine.savings(None, range).await.unwrap();
    assert_eq!(total.realised.amount.normalize(), (8 * 24 * 2).into());
    assert!(changes.iter().all(|change| change.left_at.is_some()));

    // Changes are known for a year.
    pass(&engine, &clock, 366 * 24).await;
    assert!(engine.registry().applied(None).await.unwrap().is_empty());
}
