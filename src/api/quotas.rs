//! Quotas, each with its generation as its ETag.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ETAG, HeaderMap, LOCATION};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::auth::Caller;
use super::change_requests::ChangeRequestView;
use super::etag::{IfNoneMatch, if_match, tag};
use super::extract::{Body, Path, Query};
use super::problem::Problem;
use super::reason::Reason;
use crate::domain::{Quota, Resource, TenantId, Timestamp};
use crate::engine::Asked;
use crate::registry::QuotaPage;
use crate::security;

/// A quota with its unit.
#[derive(Debug, Serialize, ToSchema)]
pub struct QuotaView {
    resource: Resource,
    unit: &'static str,
    /// The limit, in the unit.
    limit: f64,
    /// Rises by one with every change; the ETag.
    generation: u64,
    changed_at: Timestamp,
}

impl From<Quota> for QuotaView {
    fn from(quota: Quota) -> Self {
        let Quota { resource, limit, generation, changed_at, .. } = quota;
        QuotaView { resource, unit: resource.unit(), limit, generation, changed_at }
    }
}

/// All quotas of a tenant.
#[derive(Debug, Serialize, ToSchema)]
pub struct Quotas {
    items: Vec<QuotaView>,
}

/// The limit that a quota should have.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuotaToSet {
    /// The limit, in the resource's unit.
    limit: f64,
    /// Why.
    reason: Option<String>,
}

/// How long to wait for a change.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Poll {
    /// Where nothing has changed since If-None-Match: how long to wait until it does, such as 20s. At most
    /// server.longest_wait.
    wait: Option<String>,
}

/// Read all quotas of a tenant. Poll it with If-None-Match, and with `wait` to hear of a change at once.
#[utoipa::path(get, path = "/v1/tenants/{id}/quotas", tag = "quotas", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id"), Poll),
    responses(
        (status = 200, body = Quotas, headers(("ETag", description = "changes with any quota"))),
        (status = 304, description = "Nothing has changed since the ETag in If-None-Match"),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "wait can't be read"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "Too many wait already"),
    ))]
pub async fn list(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<TenantId>,
    Query(poll): Query<Poll>,
    if_none_match: IfNoneMatch,
) -> Result<Response, Problem> {
    let wait = poll.wait.as_deref().map(|text| wait_of(&state, text)).transpose()?;
    let registry = state.engine.registry();
    // From before the page is read, so that no change is missed between.
    let changes = wait.map(|wait| (wait, registry.changes()));
    let page = registry.quota_page(&id, page_of).await?;
    let Some(same) = if_none_match.unchanged(&page.tag) else { return Ok(sent(&page)) };
    let Some((wait, changes)) = changes else { return Ok(same) };
    // In a place of its own, so that an answer at once need not carry the room for it along.
    let changed = Box::pin(changed_within(&state, &caller, &id, &if_none_match, wait, changes)).await?;
    Ok(changed.map_or(same, |page| sent(&page)))
}

/// The page of quotas that is another than the caller has; `None` where it stays
/// the same until the wait is over.
async fn changed_within(
    state: &ApiState,
    caller: &Caller,
    id: &TenantId,
    if_none_match: &IfNoneMatch,
    wait: Duration,
    mut changes: watch::Receiver<u64>,
) -> Result<Option<Arc<QuotaPage>>, Problem> {
    let _place = state.waiting.try_acquire().map_err(|_| too_many_wait(state.settings.max_waiting))?;
    let end = tokio::time::sleep(wait);
    tokio::pin!(end);
    loop {
        tokio::select! {
            () = &mut end => return Ok(None),
            () = state.stop.cancelled() => return Ok(None),
            told = changes.changed() => if told.is_err() { return Ok(None) },
        }
        caller.admit_again(state, id).await?;
        let page = state.engine.registry().quota_page(id, page_of).await?;
        if if_none_match.unchanged(&page.tag).is_none() {
            return Ok(Some(page));
        }
    }
}

fn wait_of(state: &ApiState, text: &str) -> Result<Duration, Problem> {
    let wait = humantime::parse_duration(text).map_err(|error| {
        Problem::bad_request(format!("can't read wait {text:?}: {error}; write it like 20s"))
    })?;
    // The answer must be on its way before the request is given up.
    Ok(wait.min(state.settings.longest_wait).min(state.settings.request_time_out * 4 / 5))
}

fn too_many_wait(most: usize) -> Problem {
    let text =
        format!("{most} callers wait already, as many as server.max_waiting allows; poll without wait");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after(1)
}

fn page_of(quotas: Vec<Quota>) -> QuotaPage {
    let items: Vec<QuotaView> = quotas.into_iter().map(QuotaView::from).collect();
    let body = serde_json::json!({ "items": items }).to_string();
    // Half of the hash tells any two bodies apart, and is half as long to send.
    let tag = format!("\"{:.32}\"", security::hash(&body));
    QuotaPage { tag, body: body.into_bytes().into() }
}

fn sent(page: &QuotaPage) -> Response {
    let body = Bytes::from_owner(Arc::clone(&page.body));
    ([(ETAG, page.tag.as_str()), (CONTENT_TYPE, "application/json")], body).into_response()
}

/// Read one quota of a tenant.
#[utoipa::path(get, path = "/v1/tenants/{id}/quotas/{resource}", tag = "quotas", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id"), ("resource" = Resource, Path)),
    responses(
        (status = 200, body = QuotaView, headers(("ETag", description = "its generation"))),
        (status = 304, description = "It has not changed since the ETag in If-None-Match"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn get(
    State(state): State<ApiState>,
    Path((id, resource)): Path<(TenantId, Resource)>,
    if_none_match: IfNoneMatch,
) -> Result<Response, Problem> {
    let quota = state.engine.registry().quota(&id, resource).await?;
    let tag = tag(quota.generation);
    if let Some(unchanged) = if_none_match.unchanged(&tag) {
        return Ok(unchanged);
    }
    Ok(([(ETAG, tag)], Json(QuotaView::from(quota))).into_response())
}

/// Change one quota of a tenant, if it still stands as it was seen. What needs two people (`[approval]` in the
/// config) is answered with 202, and waits for a second one.
#[utoipa::path(put, path = "/v1/tenants/{id}/quotas/{resource}", tag = "quotas", security(("token" = [])),
    params(
        ("id" = String, Path, description = "The tenant's id"),
        ("resource" = Resource, Path),
        ("If-Match" = String, Header, description = "The generation that was seen, in quotes; `*` for whichever stands"),
    ),
    request_body = QuotaToSet,
    responses(
        (status = 200, body = QuotaView, headers(("ETag", description = "its new generation"))),
        (status = 202, body = ChangeRequestView, headers(("Location", description = "where the request is")), description = "It waits for a second person"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Another change of it is on its way"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "It has changed since"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The tier does not allow it"),
        (status = 428, body = Problem, content_type = "application/problem+json", description = "If-Match is missing"),
        (status = 502, body = Problem, content_type = "application/problem+json", description = "The target refused it"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "The target is out of reach; it will be tried again"),
    ))]
pub async fn put(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path((id, resource)): Path<(TenantId, Resource)>,
    headers: HeaderMap,
    Body(wish): Body<QuotaToSet>,
) -> Result<Response, Problem> {
    let generation = seen(&state, &headers, &id, resource).await?;
    let remark = caller.remark(wish.reason);
    Ok(match state.engine.request_change(&id, resource, wish.limit, generation, remark).await? {
        Asked::Applied(quota) => {
            ([(ETAG, tag(quota.generation))], Json(QuotaView::from(quota))).into_response()
        }
        Asked::AwaitsSecond(request) => {
            let place = format!("/v1/change-requests/{}", request.id);
            let view = Json(ChangeRequestView::from(request));
            (StatusCode::ACCEPTED, [(LOCATION, place)], view).into_response()
        }
    })
}

/// Take the last change of a quota back, if it still stands as it was seen. What it was changed to is not
/// recommended again for a while.
#[utoipa::path(post, path = "/v1/tenants/{id}/quotas/{resource}/roll-back", tag = "quotas", security(("token" = [])),
    params(
        ("id" = String, Path, description = "The tenant's id"),
        ("resource" = Resource, Path),
        ("If-Match" = String, Header, description = "The generation that was seen, in quotes; `*` for whichever stands"),
    ),
    request_body = Reason,
    responses(
        (status = 200, body = QuotaView, headers(("ETag", description = "its new generation"))),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "Another change of it is on its way, or it was never changed"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "It has changed since"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "The tier does not allow it"),
        (status = 428, body = Problem, content_type = "application/problem+json", description = "If-Match is missing"),
        (status = 502, body = Problem, content_type = "application/problem+json", description = "The target refused it"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "The target is out of reach; it will be tried again"),
    ))]
pub async fn roll_back(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path((id, resource)): Path<(TenantId, Resource)>,
    headers: HeaderMap,
    Body(reason): Body<Reason>,
) -> Result<Response, Problem> {
    let reason = reason.given()?;
    let generation = seen(&state, &headers, &id, resource).await?;
    let remark = caller.remark(Some(reason));
    let quota = state.engine.roll_back_quota(&id, resource, generation, remark).await?;
    Ok(([(ETAG, tag(quota.generation))], Json(QuotaView::from(quota))).into_response())
}

/// The generation that the caller says to have seen; the one that stands where
/// any will do.
async fn seen(
    state: &ApiState,
    headers: &HeaderMap,
    id: &TenantId,
    resource: Resource,
) -> Result<u64, Problem> {
    let allowed = if_match(headers)?;
    Ok(allowed.choose(state.engine.registry().quota(id, resource).await?.generation))
}
