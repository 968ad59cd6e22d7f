//! What costs and a plan of a large fleet take: 10,000 tenants with ten quotas
//! each, the state in sled, 28 days of hourly usage in memory.
//! `cargo bench --bench costs [TENANTS]`
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use plimsoll::cost::{PriceBook, Prices, Settings as PriceSettings};
use plimsoll::domain::{Actor, ApplyMode, Resource, Step, TenantId, Tier, Timestamp};
use plimsoll::engine::{Compute, Engine, Ids, Parts, Settings};
use plimsoll::ports::{Clock, History, HistoryError};
use plimsoll::registry::{NewTenant, Registry};
use plimsoll::series::{Frame, UsageSeries};
use plimsoll::source::FileSource;
use plimsoll::store::{DiskKind, DiskSettings, DiskStore, MemoryShelf};
use plimsoll::target::RegistryTarget;
use plimsoll::telemetry::Metrics;

type Outcome<T> = Result<T, Box<dyn Error>>;

const HOURS: usize = 28 * 24;

fn main() -> Outcome<()> {
    let given = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let tenants = given.unwrap_or(10_000);
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let engine = engine(folder.path(), tenants).await?;
        for round in ["first", "second"] {
            let begun = Instant::now();
            let costs = engine.fleet_costs().await?;
            println!(
                "/v1/costs, {round}: {:.2} s for {} tenants",
                begun.elapsed().as_secs_f64(),
                costs.tenants
            );
            let page = engine.registry().tenants(None, 101).await?;
            let begun = Instant::now();
            engine.costs_of(&page).await?;
            println!("/v1/costs/tenants, a page of 100: {:.3} s", begun.elapsed().as_secs_f64());
            // As much as the quotas cost that stand.
            let budget = format!("{:.0}USD/month", costs.fleet.now.amount);
            let begun = Instant::now();
            let plan = engine.plan(budget.parse()?).await?;
            let took = begun.elapsed().as_secs_f64();
            println!("a plan: {took:.2} s, {} quotas, harm {:.4}", plan.quotas.len(), plan.harm);
        }
        Ok(())
    })
}

/// A clock that stands.
#[derive(Debug)]
struct Still(Timestamp);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }
}

/// Usage that is made when it is asked for.
struct MadeUp(usize);

impl History for MadeUp {
    fn append(&self, _: &Frame) -> Result<(), HistoryError> {
        Ok(())
    }

    fn load(&self, resource: Resource, step: Step, since: Timestamp) -> Result<Frame, HistoryError> {
        let mut frame = Frame::empty(resource, step);
        for tenant in 0..self.0 {
            let tier = Tier::ALL[tenant % 4];
            let level = 0.4 * tier.default_quota(resource);
            let sample = |hour: usize| {
                let noise = ((hour * 31 + tenant * 7) * 2_654_435_761 % 1000) as f64 / 1000.0;
                level * (0.5 + noise + if hour % 24 > 8 { 0.6 } else { 0.0 })
            };
            let values = (0..HOURS).map(sample).collect();
            frame.series.insert(name(tenant), UsageSeries { start: since, step, values });
        }
        Ok(frame)
    }

    fn retain(&self, _: Timestamp, _: Timestamp) -> Result<(), HistoryError> {
        Ok(())
    }

    fn holds(&self, _: Resource) -> Result<bool, HistoryError> {
        Ok(true)
    }
}

#[allow(clippy::unwrap_used, reason = "the name is made here")]
fn name(tenant: usize) -> TenantId {
    format!("tenant-{tenant:06}").parse().unwrap()
}

async fn engine(folder: &std::path::Path, tenants: usize) -> Outcome<Arc<Engine>> {
    let clock = Arc::new(Still("2026-11-23".parse()?));
    let mut book = "currency = \"USD\"\nprovider = \"x\"\n".to_owned();
    for resource in Resource::ALL {
        write!(
            book,
            "[[price]]\nregion = \"*\"\nresource = \"{}\"\non_demand = \"0.03\"\nsource = \"s\"\nlooked_up = \"2026-01-01\"\n",
            resource.name()
        )?;
    }
    let frames = Resource::ALL.map(|resource| Frame::empty(resource, Step::HOUR)).to_vec();
    let store = DiskStore::open(folder, DiskKind::Redb, DiskSettings::default())?;
    let parts = Parts {
        source: Arc::new(FileSource::from_frames(Step::HOUR, frames)),
        history: Arc::new(MadeUp(tenants)),
        shelf: Arc::new(MemoryShelf::default()),
        registry: Registry::new(Arc::new(store), clock.clone()),
        target: Arc::new(RegistryTarget),
        prices: Some(Prices::new(PriceBook::from_toml(&book)?, PriceSettings::default(), clock.now())?),
        clock: clock.clone(),
        ids: Ids::from_seed(1),
        compute: Compute::new(2, 1)?,
        metrics: Arc::new(Metrics::default()),
    };
    for tenant in 0..tenants {
        let new = NewTenant {
            id: name(tenant),
            name: None,
            template: None,
            tier: Tier::ALL[tenant % 4],
            provider: "x".to_owned(),
            region: "y".to_owned(),
            apply_mode: ApplyMode::Review,
            quotas: BTreeMap::new(),
        };
        parts.registry.create_tenant(new, Actor::Daemon, None).await?;
    }
    let engine = Arc::new(Engine::new(parts, Settings::default()));
    engine.restore().await?;
    Ok(engine)
}
