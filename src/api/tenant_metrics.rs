//! What is known of each tenant, as metrics: its quotas beside their usage, what
//! is recommended, and what it costs. They are made when they are asked for,
//! under a path of their own, so that a scrape of the daemon itself does not
//! grow with the fleet.

use std::sync::atomic::AtomicU64;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::ApiState;
use super::operations::METRICS_TYPE;
use super::problem::Problem;
use crate::domain::{Money, PerMonth};
use crate::engine::{FleetQuota, FleetTenant};

type Labels = Vec<(&'static str, String)>;
type Gauges = Family<Labels, Gauge<f64, AtomicU64>>;

/// Read the quotas, usage, recommendations and costs of all tenants as metrics.
#[utoipa::path(get, path = "/metrics/tenants", tag = "operations", security(("token" = [])),
    responses(
        (status = 200, body = String, content_type = "application/openmetrics-text"),
        (status = 401, body = super::problem::Problem, content_type = "application/problem+json"),
        (status = 403, body = super::problem::Problem, content_type = "application/problem+json"),
    ))]
pub async fn tenant_metrics(State(state): State<ApiState>) -> Result<Response, Problem> {
    let text = render(&state.engine.fleet().await?);
    Ok(([(header::CONTENT_TYPE, METRICS_TYPE)], text).into_response())
}

fn render(fleet: &[FleetTenant]) -> String {
    let mut registry = Registry::with_prefix("plimsoll_tenant");
    let mut of_quotas = |name: &str, help: &str, value: fn(&FleetQuota) -> Option<f64>| {
        let gauges = Gauges::default();
        for tenant in fleet {
            for quota in &tenant.quotas {
                let labels = || labels(tenant, Some(("resource", quota.resource.to_string())));
                set(&gauges, labels, value(quota));
            }
        }
        registry.register(name, help, gauges);
    };
    of_quotas("quota", "The quota that stands, in the resource's unit", |one| Some(one.limit));
    of_quotas("usage", "The last sample of its usage, in the same unit", |one| one.usage);
    of_quotas("peak", "The largest usage that is held", |one| one.peak);
    of_quotas("recommended_quota", "The quota that a waiting recommendation asks for", |one| one.proposed);
    of_quotas("violation_ratio", "The share of the samples above the quota", |one| one.violations);
    of_quotas("violation_budget_ratio", "The share that may lie above it", |one| Some(one.budget));
    let mut of_tenants = |name: &str, help: &str, value: fn(&FleetTenant) -> Option<Money<PerMonth>>| {
        let gauges = Gauges::default();
        for tenant in fleet {
            let Some(cost) = value(tenant) else { continue };
            set(&gauges, || labels(tenant, Some(("currency", cost.currency.to_string()))), cost.to_f64());
        }
        registry.register(name, help, gauges);
    };
    of_tenants("monthly_cost", "A month at the quotas that stand", |one| one.cost_now);
    let recommended = |one: &FleetTenant| one.cost_recommended;
    of_tenants("recommended_monthly_cost", "A month at the recommended quotas", recommended);
    let incidents = Gauges::default();
    for tenant in fleet {
        let is_open = f64::from(u8::from(tenant.incident.is_some()));
        set(&incidents, || labels(tenant, None), Some(is_open));
    }
    registry.register("open_incident", "1 where an incident of the tenant is open, else 0", incidents);
    let mut text = String::new();
    // Writing into a string can't fail.
    let _ = encode(&mut text, &registry);
    text
}

fn labels(tenant: &FleetTenant, more: Option<(&'static str, String)>) -> Labels {
    let own = [("tenant", tenant.tenant.to_string()), ("tier", tenant.tier.to_string())];
    own.into_iter().chain(more).collect()
}

fn set(gauges: &Gauges, labels: impl Fn() -> Labels, value: Option<f64>) {
    if let Some(value) = value {
        gauges.get_or_create(&labels()).set(value);
    }
}
