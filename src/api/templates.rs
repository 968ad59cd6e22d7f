//! Templates: made from a tier or from one another, read, changed, cloned, and
//! compared. Every version is kept; the version is the ETag.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{ETAG, HeaderMap, LOCATION};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::auth::Caller;
use super::etag::{IfNoneMatch, if_match, tag};
use super::extract::{Body, Path, Query};
use super::page::{Page, PageQuery, place};
use super::problem::Problem;
use super::reason::WhyRemoved;
use super::settings::values;
use crate::domain::template::{Difference, Fault, Setting, Template, differences};
use crate::domain::{TemplateName, Tier};
use crate::registry::{Standing, TemplateRecord, TemplateWritten};

/// What a change of a template does not do.
const TENANTS_STAY: &str = "tenants made from earlier versions keep the version and the quotas that they \
                            have; a rollout of the template takes them along (docs/rollouts.md)";

/// A version of a template with all that holds under it.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateView {
    #[serde(flatten)]
    record: TemplateRecord,
    /// The tier at its root.
    tier: Tier,
    /// Every value that holds under it, where it comes from, and whether the
    /// daemon sees to it.
    values: Vec<Setting>,
}

/// What came of writing a template.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateChanged {
    #[serde(flatten)]
    view: TemplateView,
    /// What changed; empty where it stood so already, and then there is no new
    /// version.
    differences: Vec<Difference>,
    /// How many tenants are on an earlier version.
    tenants_behind: usize,
    /// What the change does not do.
    note: &'static str,
}

/// Why a template is written.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WriteQuery {
    /// Why; it stands in the audit log.
    pub reason: Option<String>,
    /// Only says what would change.
    #[serde(default)]
    pub dry_run: bool,
}

/// A copy of a template to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CloneToMake {
    /// The new template's name.
    name: TemplateName,
    /// The version that is copied; the newest where it is left out.
    version: Option<u64>,
    /// Why; it stands in the audit log.
    reason: Option<String>,
}

/// Which versions are compared.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DiffQuery {
    /// The earlier version; the one before the later where it is left out.
    from: Option<u64>,
    /// The later version; the newest where it is left out.
    to: Option<u64>,
}

/// What differs between two versions.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateDiff {
    from: u64,
    to: u64,
    /// The values that differ.
    items: Vec<Difference>,
}

/// List the templates by name, each in its newest version.
#[utoipa::path(get, path = "/v1/templates", tag = "templates", security(("token" = [])),
    params(PageQuery),
    responses(
        (status = 200, body = Page<TemplateRecord>),
    ))]
pub async fn list(
    State(state): State<ApiState>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TemplateRecord>>, Problem> {
    place::<TemplateName>(page.cursor.as_deref())?;
    let size = page.size(&state)?;
    let found = state.engine.registry().templates(page.cursor.as_deref(), size + 1).await?;
    Ok(Json(Page::of(found, size, |record| record.template.name.to_string())))
}

/// Make a template from a tier, or from another that it extends.
#[utoipa::path(post, path = "/v1/templates", tag = "templates", security(("token" = [])),
    params(WriteQuery),
    request_body = Template,
    responses(
        (status = 200, body = TemplateChanged, description = "What would be made, with dry_run"),
        (status = 201, body = TemplateChanged, headers(("Location", description = "where it is"), ("ETag", description = "its version"))),
        (status = 409, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn create(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<WriteQuery>,
    Body(template): Body<Template>,
) -> Result<Response, Problem> {
    let dry_run = query.dry_run;
    let written = write_one(&state, &caller, template, Standing::Absent, query).await?;
    if dry_run {
        return Ok(answer(&state, written).await?.into_response());
    }
    created(&state, written).await
}

/// Read a template in its newest version, with all that holds under it.
#[utoipa::path(get, path = "/v1/templates/{name}", tag = "templates", security(("token" = [])),
    params(("name" = String, Path, description = "The template's name")),
    responses(
        (status = 200, body = TemplateView, headers(("ETag", description = "its version"))),
        (status = 304, description = "It has not changed since the ETag in If-None-Match"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn get(
    State(state): State<ApiState>,
    Path(name): Path<TemplateName>,
    if_none_match: IfNoneMatch,
) -> Result<Response, Problem> {
    let record = state.engine.registry().template(&name).await?;
    let tag = tag(record.version);
    if let Some(unchanged) = if_none_match.unchanged(&tag) {
        return Ok(unchanged);
    }
    Ok(([(ETAG, tag)], Json(view(&state, record).await?)).into_response())
}

/// Change a template: the whole of it, if it still stands as it was seen. This
/// makes a new version. Tenants made from earlier versions keep the version
/// and the quotas that they have.
#[utoipa::path(put, path = "/v1/templates/{name}", tag = "templates", security(("token" = [])),
    params(
        ("name" = String, Path, description = "The template's name"),
        ("If-Match" = String, Header, description = "The version that was seen, in quotes; `*` for whichever stands"),
        WriteQuery,
    ),
    request_body = Template,
    responses(
        (status = 200, body = TemplateChanged, headers(("ETag", description = "its new version"))),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "It has changed since"),
        (status = 428, body = Problem, content_type = "application/problem+json", description = "If-Match is missing"),
    ))]
pub async fn put(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<TemplateName>,
    Query(query): Query<WriteQuery>,
    headers: HeaderMap,
    Body(template): Body<Template>,
) -> Result<Response, Problem> {
    let allowed = if_match(&headers)?;
    if template.name != name {
        let what =
            format!("is {}, but the path says {name}; clone it to give it another name", template.name);
        return Err(Problem::faulty(vec![Fault::at("name", what)]));
    }
    let seen = allowed.choose(state.engine.registry().template(&name).await?.version);
    let written = write_one(&state, &caller, template, Standing::Version(seen), query).await?;
    let version = tag(written.record.version);
    Ok(([(ETAG, version)], answer(&state, written).await?).into_response())
}

/// Make a template that says the same under a new name.
#[utoipa::path(post, path = "/v1/templates/{name}/clone", tag = "templates", security(("token" = [])),
    params(("name" = String, Path, description = "The template that is copied")),
    request_body = CloneToMake,
    responses(
        (status = 201, body = TemplateChanged, headers(("Location", description = "where it is"), ("ETag", description = "its version"))),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn clone(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<TemplateName>,
    Body(wish): Body<CloneToMake>,
) -> Result<Response, Problem> {
    let which = crate::domain::template::Extends { name, version: wish.version };
    let original = state.engine.registry().template_named(&which).await?;
    let template = Template { name: wish.name, ..original.template };
    let why = wish.reason.unwrap_or_else(|| format!("cloned from {}@{}", which.name, original.version));
    let query = WriteQuery { reason: Some(why), dry_run: false };
    let written = write_one(&state, &caller, template, Standing::Absent, query).await?;
    created(&state, written).await
}

/// Remove a template with all its versions, if it still stands as it was seen and nothing stands on it: no tenant, no other
/// template, no open rollout. Its name is free again; its newest version stays readable in the audit log.
#[utoipa::path(delete, path = "/v1/templates/{name}", tag = "templates", security(("token" = [])),
    params(
        ("name" = String, Path, description = "The template's name"),
        ("If-Match" = String, Header, description = "The version that was seen, in quotes; `*` for whichever stands"),
        WhyRemoved,
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Something stands on it"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "It has changed since"),
        (status = 428, body = Problem, content_type = "application/problem+json", description = "If-Match is missing"),
    ))]
pub async fn remove(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<TemplateName>,
    Query(why): Query<WhyRemoved>,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let allowed = if_match(&headers)?;
    let registry = state.engine.registry();
    let seen = allowed.choose(registry.template(&name).await?.version);
    registry.remove_template(&name, seen, caller.remark(why.reason)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the versions of a template, the newest first.
#[utoipa::path(get, path = "/v1/templates/{name}/versions", tag = "templates", security(("token" = [])),
    params(("name" = String, Path, description = "The template's name"), PageQuery),
    responses(
        (status = 200, body = Page<TemplateRecord>),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn versions(
    State(state): State<ApiState>,
    Path(name): Path<TemplateName>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<TemplateRecord>>, Problem> {
    let before: Option<u64> = place(page.cursor.as_deref())?;
    let size = page.size(&state)?;
    let found = state.engine.registry().template_versions(&name, before, size + 1).await?;
    Ok(Json(Page::of(found, size, |record| record.version.to_string())))
}

/// Read one version of a template.
#[utoipa::path(get, path = "/v1/templates/{name}/versions/{version}", tag = "templates", security(("token" = [])),
    params(("name" = String, Path, description = "The template's name"), ("version" = u64, Path)),
    responses(
        (status = 200, body = TemplateView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn version(
    State(state): State<ApiState>,
    Path((name, version)): Path<(TemplateName, u64)>,
) -> Result<Json<TemplateView>, Problem> {
    let record = state.engine.registry().template_version(&name, version).await?;
    Ok(Json(view(&state, record).await?))
}

/// Compare two versions of a template by all that holds under them.
#[utoipa::path(get, path = "/v1/templates/{name}/diff", tag = "templates", security(("token" = [])),
    params(("name" = String, Path, description = "The template's name"), DiffQuery),
    responses(
        (status = 200, body = TemplateDiff),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn diff(
    State(state): State<ApiState>,
    Path(name): Path<TemplateName>,
    Query(query): Query<DiffQuery>,
) -> Result<Json<TemplateDiff>, Problem> {
    let registry = state.engine.registry();
    let to = match query.to {
        Some(version) => version,
        None => registry.template(&name).await?.version,
    };
    let from = query.from.unwrap_or(to.saturating_sub(1).max(1));
    let (earlier, later) =
        (registry.template_version(&name, from).await?, registry.template_version(&name, to).await?);
    let (before, after) = (registry.resolved(&earlier).await?, registry.resolved(&later).await?);
    let items = differences(Some((&earlier.template, &before)), Some((&later.template, &after)));
    Ok(Json(TemplateDiff { from, to, items }))
}

async fn view(state: &ApiState, record: TemplateRecord) -> Result<TemplateView, Problem> {
    let resolved = state.engine.registry().resolved(&record).await?;
    Ok(TemplateView { record, tier: resolved.tier, values: values(&state.engine, &resolved) })
}

async fn write_one(
    state: &ApiState,
    caller: &Caller,
    template: Template,
    standing: Standing,
    query: WriteQuery,
) -> Result<TemplateWritten, Problem> {
    if let Some(fault) = unknown_receiver(state, &template).await? {
        return Err(Problem::faulty(vec![fault]));
    }
    let (limits, remark) = (state.settings.templates, caller.remark(query.reason));
    let drafts = vec![(template, standing)];
    let mut written = state.engine.registry().write_templates(drafts, limits, query.dry_run, remark).await?;
    written.pop().ok_or_else(not_written)
}

/// A receiver that a template names and that is not there.
pub(super) async fn unknown_receiver(
    state: &ApiState,
    template: &Template,
) -> Result<Option<Fault>, Problem> {
    let named = template.settings.monitoring_config.as_ref().and_then(|one| one.alert_receivers.as_ref());
    let Some(named) = named.filter(|named| !named.is_empty()) else { return Ok(None) };
    let known = state.deliverer.receivers().await?;
    let unknown = named.iter().find(|name| !known.contains_key(*name));
    let words = |name| format!("names the receiver {name}, which is not there; make it first");
    Ok(unknown.map(|name| Fault::at("monitoring_config.alert_receivers", words(name))))
}

/// What a caller is told of templates that were written, in their order.
pub(super) async fn changed(
    state: &ApiState,
    written: Vec<TemplateWritten>,
) -> Result<Vec<TemplateChanged>, Problem> {
    let tenants = state.engine.registry().all_tenants().await?;
    let told = |one: TemplateWritten| {
        let TemplateWritten { record, resolved, differences, .. } = one;
        let (name, version) = (&record.template.name, record.version);
        let behind = tenants.iter().filter_map(|tenant| tenant.template.as_ref());
        let tenants_behind = behind.filter(|one| one.name == *name && one.version < version).count();
        let view = TemplateView { record, tier: resolved.tier, values: values(&state.engine, &resolved) };
        TemplateChanged { view, differences, tenants_behind, note: TENANTS_STAY }
    };
    Ok(written.into_iter().map(told).collect())
}

/// The answer with one template that was written.
async fn answer(state: &ApiState, written: TemplateWritten) -> Result<Json<TemplateChanged>, Problem> {
    let told = changed(state, vec![written]).await?.pop();
    told.map(Json).ok_or_else(not_written)
}

async fn created(state: &ApiState, written: TemplateWritten) -> Result<Response, Problem> {
    let name = written.record.template.name.clone();
    let headers = [(ETAG, tag(written.record.version)), (LOCATION, format!("/v1/templates/{name}"))];
    Ok((StatusCode::CREATED, headers, answer(state, written).await?).into_response())
}

fn not_written() -> Problem {
    Problem::not_found("the template was not written")
}
