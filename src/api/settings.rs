//! What holds for a tenant, and where each value comes from.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use super::extract::Path;
use super::problem::Problem;
use crate::domain::sla::Objective;
use crate::domain::template::{Enforcement, Extends, Origin, Resolved, Setting};
use crate::domain::{Meter, Quota, Tenant, TenantId, Tier};
use crate::engine::Engine;

/// Where the violation budget stands.
const BUDGET: &str = "monitoring_config.sla_targets.violation_budget";

/// Seen to only where the config says how it is measured.
const AVAILABILITY: &str = "monitoring_config.sla_targets.availability_percent";
const LATENCY: &str = "monitoring_config.sla_targets.latency_p99_ms";

/// What holds for a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantSettings {
    tenant: TenantId,
    tier: Tier,
    /// The template that it was made from, as `gold@3`.
    #[schema(value_type = Option<String>)]
    template: Option<Extends>,
    /// The template's newest version; the tenant stays with its own until it
    /// is moved.
    newest_version: Option<u64>,
    /// Every value, by path.
    items: Vec<Setting>,
}

/// Read every setting of a tenant with where it comes from, and whether the
/// daemon sees to it or only keeps it.
#[utoipa::path(get, path = "/v1/tenants/{id}/settings", tag = "templates", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id")),
    responses(
        (status = 200, body = TenantSettings),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn get(
    State(state): State<ApiState>,
    Path(id): Path<TenantId>,
) -> Result<Json<TenantSettings>, Problem> {
    let registry = state.engine.registry();
    let tenant = registry.tenant(&id).await?;
    let quotas = registry.quotas(&id).await?;
    let (resolved, newest_version) = match &tenant.template {
        None => (Resolved::of_tier(tenant.tier), None),
        Some(template) => {
            let record = registry.template_version(&template.name, template.version).await?;
            let newest = registry.template(&template.name).await?.version;
            (registry.resolved(&record).await?, Some(newest))
        }
    };
    let mut items = values(&state.engine, &resolved);
    items.iter_mut().for_each(|setting| hold_against(setting, &quotas));
    if !items.iter().any(|setting| setting.path == BUDGET) {
        items.push(promised(&state, &tenant));
        items.sort_by(|a, b| a.path.cmp(&b.path));
    }
    let template = tenant.template.map(|one| Extends { name: one.name, version: Some(one.version) });
    Ok(Json(TenantSettings { tenant: tenant.id, tier: tenant.tier, template, newest_version, items }))
}

/// Every value of a template or a tier. What the daemon sees to only where its
/// config says how is declared only where it does not say so.
pub(super) fn values(engine: &Engine, resolved: &Resolved) -> Vec<Setting> {
    let counted = engine.meters();
    let mut items = resolved.values();
    for setting in &mut items {
        let is_uncounted =
            Meter::ALL.iter().any(|meter| meter.setting() == setting.path && !counted.contains(meter));
        let objective = match setting.path.as_str() {
            AVAILABILITY => Some(Objective::Availability),
            LATENCY => Some(Objective::Latency),
            _ => None,
        };
        if is_uncounted || objective.is_some_and(|objective| !engine.watches(objective)) {
            setting.enforcement = Enforcement::DeclaredOnly;
        }
    }
    items
}

/// Puts the quota that stands in the place of the one that the tenant began
/// with, where it has changed.
fn hold_against(setting: &mut Setting, quotas: &[Quota]) {
    let quota = quotas.iter().find(|quota| setting.path == format!("resource_quotas.{}", quota.resource));
    if let Some(quota) = quota.filter(|quota| setting.value.as_f64() != Some(quota.limit)) {
        setting.value = serde_json::json!(quota.limit);
        setting.origin = Origin::Tenant;
    }
}

fn promised(state: &ApiState, tenant: &Tenant) -> Setting {
    Setting {
        path: BUDGET.to_owned(),
        value: serde_json::json!(state.engine.promised(tenant.tier)),
        origin: Origin::Config { key: format!("rightsizing.budgets.{}", tenant.tier) },
        enforcement: Enforcement::of(BUDGET),
    }
}
