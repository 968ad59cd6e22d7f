//! Tenants: registered from a tier, read, listed, and set to an apply mode.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ApiState;
use super::auth::Caller;
use super::etag::{IfNoneMatch, if_match_given, tag};
use super::extract::{Body, Path, Query};
use super::page::{Page, PageQuery, place};
use super::problem::Problem;
use super::reason::WhyRemoved;
use crate::domain::template::{Extends, Resolved};
use crate::domain::{ApplyMode, AssignedTemplate, Cadence, Resource, Tenant, TenantId, Tier, TierFit};
use crate::engine::TenantError;
use crate::registry::{NewTenant, TenantEdit};

/// One change an hour is the most that any cadence can make.
const MOST_CHANGES: f64 = 24.0;

/// A tenant to be registered.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantToCreate {
    /// The value of its label in Prometheus.
    id: TenantId,
    /// The name that people read; the id where it is left out.
    name: Option<String>,
    /// Its plan, which gives its quotas; that of the template where one is named.
    tier: Option<Tier>,
    /// The template that it is made from, as `gold` for the newest version or
    /// `gold@3`; it gives the quotas in the place of the tier.
    #[schema(value_type = Option<String>)]
    template: Option<Extends>,
    /// The provider whose prices apply; that of the config (`tenants.provider`) where it is left out.
    provider: Option<String>,
    /// The region whose prices apply; that of the config (`tenants.region`) where both are left out.
    region: Option<String>,
    /// What may happen to its recommendations.
    #[serde(default = "observe")]
    apply_mode: ApplyMode,
    /// Quotas that differ from the plan's, in each resource's unit. To say them
    /// needs the role `approver`; where two people are to decide, `admin`.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, f64>)]
    quotas: BTreeMap<Resource, f64>,
}

fn observe() -> ApplyMode {
    ApplyMode::Observe
}

/// What can be changed of a tenant; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantChange {
    /// The name that people read.
    name: Option<String>,
    /// Its plan: floors, ceilings and the violation budget. Quotas stay as
    /// they are until one of them is changed.
    tier: Option<Tier>,
    /// The template whose settings hold from now on, as `gold` or `gold@3`; its
    /// tier becomes the tenant's. Quotas stay as they are.
    #[schema(value_type = Option<String>)]
    template: Option<Extends>,
    /// The provider whose prices apply.
    provider: Option<String>,
    /// The region whose prices apply.
    region: Option<String>,
    /// What may happen to its recommendations.
    apply_mode: Option<ApplyMode>,
    /// How often its quotas are meant to change.
    cadence: Option<Cadence>,
    /// The most changes of a quota a day, above 0.
    changes_per_day: Option<f64>,
    /// Why.
    #[serde(default)]
    reason: String,
}

/// Register a tenant with the quotas of its tier.
#[utoipa::path(post, path = "/v1/tenants", tag = "tenants", security(("token" = [])),
    request_body = TenantToCreate,
    responses(
        (status = 201, body = Tenant, headers(("Location", description = "where it is"))),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "There is no such template"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "A quota is outside of the tier's floor and ceiling"),
    ))]
pub async fn create(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Body(new): Body<TenantToCreate>,
) -> Result<impl IntoResponse, Problem> {
    let TenantToCreate { id, name, tier, template, provider, region, apply_mode, quotas: wished } = new;
    let (resolved, template) = match (template, tier) {
        (Some(template), tier) => chosen(&state, &template, tier).await?,
        (None, Some(tier)) => (Resolved::of_tier(tier), None),
        (None, None) => return Err(Problem::unprocessable("give a tier or a template")),
    };
    let quotas = resolved.settings.resource_quotas.unwrap_or_default().0;
    let settings = state.engine.settings();
    // A region of the config is one of its provider's.
    let region = region.unwrap_or_else(|| match &provider {
        Some(other) if *other != settings.provider => "default".to_owned(),
        _ => settings.region.clone(),
    });
    let provider = provider.unwrap_or_else(|| settings.provider.clone());
    let new = NewTenant { id, name, tier: resolved.tier, provider, region, apply_mode, template, quotas };
    let registered = state.engine.register_tenant(new, wished, caller.role(), caller.remark(None)).await;
    let tenant = registered?;
    state.engine.wake();
    let location = format!("/v1/tenants/{}", tenant.id);
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], Json(tenant)))
}

/// A template that a caller names, with what holds under it.
async fn chosen(
    state: &ApiState,
    template: &Extends,
    tier: Option<Tier>,
) -> Result<(Resolved, Option<AssignedTemplate>), Problem> {
    let registry = state.engine.registry();
    let record = registry.template_named(template).await?;
    let resolved = registry.resolved(&record).await?;
    if let Some(tier) = tier.filter(|tier| *tier != resolved.tier) {
        let text =
            format!("the template {template} is of the tier {}, not {tier}; leave one out", resolved.tier);
        return Err(Problem::unprocessable(text));
    }
    let assigned = resolved.assigned(record.template.name, record.version);
    Ok((resolved, Some(assigned)))
}

/// List the tenants by id.
#[utoipa::path(get, path = "/v1/tenants", tag = "tenants", security(("token" = [])),
    params(PageQuery),
    responses(
        (status = 200, body = Page<Tenant>),
    ))]
pub async fn list(
    State(state): State<ApiState>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Tenant>>, Problem> {
    place::<TenantId>(page.cursor.as_deref())?;
    let size = page.size(&state)?;
    let found = state.engine.registry().tenants(page.cursor.as_deref(), size + 1).await?;
    Ok(Json(Page::of(found, size, |tenant| tenant.id.to_string())))
}

/// A tenant with the version to be named when it is changed.
#[derive(Debug, Serialize, ToSchema)]
pub struct TenantView {
    #[serde(flatten)]
    tenant: Tenant,
    /// Its version, as the ETag has it.
    version: u64,
}

/// Read one tenant.
#[utoipa::path(get, path = "/v1/tenants/{id}", tag = "tenants", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id")),
    responses(
        (status = 200, body = TenantView, headers(("ETag", description = "its version"))),
        (status = 304, description = "It is still the one named in If-None-Match"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn get(
    State(state): State<ApiState>,
    Path(id): Path<TenantId>,
    if_none_match: IfNoneMatch,
) -> Result<Response, Problem> {
    let (tenant, version) = state.engine.registry().tenant_with_version(&id).await?;
    let tag = tag(version);
    if let Some(unchanged) = if_none_match.unchanged(&tag) {
        return Ok(unchanged);
    }
    Ok(([(header::ETAG, tag)], Json(TenantView { tenant, version })).into_response())
}

/// The version that the caller says to have seen, where it says so.
async fn seen(state: &ApiState, headers: &HeaderMap, id: &TenantId) -> Result<Option<u64>, Problem> {
    let Some(allowed) = if_match_given(headers)? else { return Ok(None) };
    let (_, version) = state.engine.registry().tenant_with_version(id).await?;
    Ok(Some(allowed.choose(version)))
}

/// A caller that named no version is told of a conflict.
fn refused(error: TenantError, seen: Option<u64>) -> Problem {
    let problem = Problem::from(error);
    if seen.is_some() { problem } else { problem.or_conflict() }
}

/// Change a tenant: its name, plan, prices, or what may happen to its
/// recommendations. Its tier, template, provider and region are for approvers to
/// change, and for administrators where two people decide on its quotas.
#[utoipa::path(patch, path = "/v1/tenants/{id}", tag = "tenants", security(("token" = [])),
    params(
        ("id" = String, Path, description = "The tenant's id"),
        ("If-Match" = Option<String>, Header, description = "The version that was seen, in quotes; left out, whichever stands"),
    ),
    request_body = TenantChange,
    responses(
        (status = 200, body = Tenant),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "It has changed since"),
    ))]
pub async fn change(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<TenantId>,
    headers: HeaderMap,
    Body(change): Body<TenantChange>,
) -> Result<Json<Tenant>, Problem> {
    let seen = seen(&state, &headers, &id).await?;
    let TenantChange { name, tier, template, provider, region, apply_mode, .. } = change;
    let TenantChange { cadence, changes_per_day, reason, .. } = change;
    if changes_per_day.is_some_and(|changes| !(changes > 0.0 && changes <= MOST_CHANGES)) {
        let text = format!("changes_per_day must be a number above 0 and at most {MOST_CHANGES}");
        return Err(Problem::unprocessable(text));
    }
    let (tier, template) = match template {
        None => (tier, None),
        Some(template) => {
            let (resolved, template) = chosen(&state, &template, tier).await?;
            (Some(resolved.tier), template)
        }
    };
    let edit =
        TenantEdit { name, tier, provider, region, apply_mode, cadence, changes_per_day, template, seen };
    let edited = state.engine.edit_tenant(&id, edit, caller.role(), caller.remark(Some(reason))).await;
    let tenant = edited.map_err(|error| refused(error, seen))?;
    state.engine.wake();
    Ok(Json(tenant))
}

/// Which tier a tenant's demand fits.
#[derive(Debug, Serialize, ToSchema)]
pub struct TierFitView {
    /// `null` where it fits the tier that it is on, or nothing can be said yet.
    fit: Option<TierFit>,
}

/// Read which tier a tenant's demand fits, with what both cost. A higher tier
/// needs only the evidence, a lower one a whole season of it.
#[utoipa::path(get, path = "/v1/tenants/{id}/tier-fit", tag = "tenants", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id")),
    responses(
        (status = 200, body = TierFitView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn tier_fit(
    State(state): State<ApiState>,
    Path(id): Path<TenantId>,
) -> Result<Json<TierFitView>, Problem> {
    let tenant = state.engine.registry().tenant(&id).await?;
    Ok(Json(TierFitView { fit: state.engine.workspace().tier_fit(&tenant.id) }))
}

/// Remove a tenant with its quotas. Its usage and its audit lines are kept as
/// long as all others. Where two people decide on its quotas, it is for
/// administrators to remove. Where unknown tenants are registered by themselves, it
/// comes back when Prometheus still names it.
#[utoipa::path(delete, path = "/v1/tenants/{id}", tag = "tenants", security(("token" = [])),
    params(
        ("id" = String, Path, description = "The tenant's id"),
        ("If-Match" = Option<String>, Header, description = "The version that was seen, in quotes; left out, whichever stands"),
        WhyRemoved,
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "It has changed since"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "A change of one of its quotas is on its way"),
    ))]
pub async fn remove(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<TenantId>,
    Query(why): Query<WhyRemoved>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let seen = seen(&state, &headers, &id).await?;
    let removed = state.engine.remove_tenant(&id, seen, caller.role(), caller.remark(why.reason)).await;
    removed.map_err(|error| refused(error, seen))?;
    state.engine.wake();
    Ok(StatusCode::NO_CONTENT)
}
