//! `plimsoll recommend`: recommendations once, from a Prometheus or a file,
//! without a daemon or a store.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::fleet::registered;
use super::prometheus::Access;
use super::{BadUsage, table};
use crate::app::{self, Usage};
use crate::cost::Prices;
use crate::domain::{ApplyMode, Recommendation, Resource, TenantId, Tier};
use crate::engine::{Engine, Settings, Silent};
use crate::ports::Clock;
use crate::registry::NewTenant;
use crate::series::table as files;
use crate::source::PrometheusSource;

/// The command's arguments.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["prometheus", "input"])))]
pub struct Recommend {
    /// The base URL of a Prometheus
    #[arg(long, requires = "query")]
    prometheus: Option<String>,
    /// The usage of a resource: cpu_cores='max by (tenant) (…)'; may be given for each resource
    #[arg(long, value_name = "RESOURCE=EXPRESSION")]
    query: Vec<String>,
    /// The quota of a resource as it stands, by tenant: cpu_cores='…'; the tier's where it is left out
    #[arg(long, value_name = "RESOURCE=EXPRESSION")]
    quota_query: Vec<String>,
    #[command(flatten)]
    access: Access,
    /// A usage file, .parquet or .csv, with unique_id ("tenant/resource"), ds and y
    #[arg(long)]
    input: Option<PathBuf>,
    /// The tier of tenants of which nothing else is said
    #[arg(long, default_value = "STANDARD")]
    tier: Tier,
    /// How many days of usage to look at
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
    /// A price book: a file, or "shipped" for those that come along; without one no costs are shown
    #[arg(long)]
    prices: Option<PathBuf>,
    /// The provider whose prices apply
    #[arg(long, default_value = "on-premises")]
    provider: String,
    /// The region whose prices apply
    #[arg(long, default_value = "default")]
    region: String,
    /// How to write them
    #[arg(long, default_value = "table")]
    format: Format,
    /// Rows of the table, 0 for all
    #[arg(long, default_value_t = 0)]
    rows: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
    Csv,
}

/// Makes recommendations once and writes them.
///
/// # Errors
/// Where the arguments, the file or the answers can't be used.
pub fn run(arguments: &Recommend, out: &mut impl Write) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new().context("failed to start the threads")?;
    runtime.block_on(recommend(arguments, out))
}

async fn recommend(arguments: &Recommend, out: &mut impl Write) -> anyhow::Result<()> {
    let prices = arguments.prices.as_deref().map(app::named_book).transpose()?.map(Prices::listed);
    let look_back = Duration::from_secs(arguments.days * 86_400);
    let mut settings = Settings {
        backfill: look_back,
        window: look_back,
        keep: look_back,
        discover: Some(arguments.tier),
        provider: arguments.provider.clone(),
        region: arguments.region.clone(),
        ..Settings::default()
    };
    let (usage, tenants) = match (&arguments.prometheus, &arguments.input) {
        (Some(url), _) => from_prometheus(url, arguments).await?,
        (None, Some(file)) => {
            let fleet = files::read_fleet_as(file, arguments.tier)?;
            // A file may reach back further than is asked for at a source.
            settings.stale_after = look_back;
            let tenants = registered(fleet.tenants, &arguments.provider, &arguments.region);
            (Usage::Frames(fleet.step, fleet.frames), tenants)
        }
        (None, None) => return Err(BadUsage("find a source; give --prometheus or --input".to_owned()).into()),
    };
    let engine = app::engine_over(usage, tenants, prices, settings, None).await?;
    engine.cycle(&Silent).await?;
    fail_without_source(&engine)?;
    if engine.registry().all_tenants().await?.is_empty() {
        let label = &arguments.access.tenant_label;
        let mend = format!("check that each expression has an answer and keeps the label {label:?}");
        return Err(BadUsage(format!("find usage of any tenant; {mend}")).into());
    }
    write(&engine, arguments, out).await
}

/// A daemon goes on without a resource's usage; a single look must not pass
/// over it.
fn fail_without_source(engine: &Engine) -> anyhow::Result<()> {
    match engine.workspace().source_problems().into_iter().next() {
        Some((_, problem)) => Err(problem.error.into()),
        None => Ok(()),
    }
}

async fn write(engine: &Arc<Engine>, arguments: &Recommend, out: &mut impl Write) -> anyhow::Result<()> {
    match arguments.format {
        Format::Table => table::show(engine, arguments.rows, out).await?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, &table::waiting(engine).await?)?;
            writeln!(out)?;
        }
        Format::Csv => write_csv(&table::waiting(engine).await?, out)?,
    }
    Ok(out.flush()?)
}

fn write_csv(all: &[Recommendation], out: &mut impl Write) -> anyhow::Result<()> {
    let mut rows = csv::Writer::from_writer(out);
    rows.write_record([
        "tenant",
        "tier",
        "resource",
        "quota",
        "recommended",
        "forecast_peak",
        "peak_at",
        "peak_quantile",
        "confidence",
        "cost_per_month_now",
        "cost_per_month_then",
        "saving_per_month",
        "currency",
        "reason",
    ])?;
    for one in all {
        let cost = one.cost.as_ref();
        let money =
            |part: Option<rust_decimal::Decimal>| part.map(|amount| amount.to_string()).unwrap_or_default();
        rows.write_record([
            one.tenant.to_string(),
            one.tier.to_string(),
            one.resource.to_string(),
            one.current.to_string(),
            one.proposed.to_string(),
            one.evidence.forecast_peak.to_string(),
            one.evidence.peak_at.to_string(),
            one.evidence.peak_quantile.to_string(),
            format!("{:.4}", one.confidence),
            money(cost.map(|cost| cost.now.amount)),
            money(cost.map(|cost| cost.then.amount)),
            money(cost.map(|cost| cost.saving.amount)),
            cost.map(|cost| cost.now.currency.to_string()).unwrap_or_default(),
            one.reasons.join(" "),
        ])?;
    }
    Ok(rows.flush()?)
}

async fn from_prometheus(url: &str, arguments: &Recommend) -> anyhow::Result<(Usage, Vec<NewTenant>)> {
    let source = PrometheusSource::new(arguments.access.settings(url, &arguments.query)?)?;
    let quotas = match arguments.quota_query.is_empty() {
        true => BTreeMap::new(),
        false => standing_quotas(url, arguments).await?,
    };
    let tenants = quotas.into_iter().map(|(id, quotas)| NewTenant {
        id,
        name: None,
        tier: arguments.tier,
        provider: arguments.provider.clone(),
        region: arguments.region.clone(),
        apply_mode: ApplyMode::Observe,
        template: None,
        quotas,
    });
    Ok((Usage::Source(Arc::new(source)), tenants.collect()))
}

/// The quotas that stand, as Prometheus knows them.
async fn standing_quotas(
    url: &str,
    arguments: &Recommend,
) -> anyhow::Result<BTreeMap<TenantId, BTreeMap<Resource, f64>>> {
    let settings = arguments.access.settings(url, &arguments.quota_query)?;
    let resources: Vec<Resource> = settings.expressions.keys().copied().collect();
    let source = PrometheusSource::new(settings)?;
    let now = app::SystemClock.now();
    let mut quotas: BTreeMap<TenantId, BTreeMap<Resource, f64>> = BTreeMap::new();
    for resource in resources {
        let answer = source.instant(resource, now).await?.frame.series;
        if answer.is_empty() {
            // The tier's quota in its place would make up costs and cuts.
            return Err(
                BadUsage(format!("find a quota of {resource} for any tenant; check --quota-query")).into()
            );
        }
        for (tenant, series) in answer {
            if let Some((_, limit)) = series.last_sample() {
                quotas.entry(tenant).or_default().insert(resource, limit);
            }
        }
    }
    Ok(quotas)
}
