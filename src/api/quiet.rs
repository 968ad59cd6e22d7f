//! Silences and markers: times in which nobody is alerted.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::ApiState;
use super::analysis::Items;
use super::auth::Caller;
use super::extract::{Body, Path, Query};
use super::problem::Problem;
use super::reason::WhyRemoved;
use crate::domain::{Marker, MarkerKind, Resource, Silence, TenantId, Timestamp};

/// Which silences or markers are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct QuietQuery {
    /// Only those that hold now or later.
    #[serde(default)]
    active: bool,
}

/// A silence to begin.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SilenceToAdd {
    /// Whose alerts; all tenants' where it is left out.
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// Alerts about which resource; all where it is left out.
    resource: Option<Resource>,
    /// The first instant; now where it is left out.
    from: Option<Timestamp>,
    /// The first instant after; this or seconds must be given.
    until: Option<Timestamp>,
    /// Its length, in place of until: by the daemon's clock, whatever the caller's says.
    seconds: Option<u32>,
    /// Why; it stands in the audit log.
    #[schema(min_length = 1)]
    reason: String,
}

/// A deploy or a maintenance to write down.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkerToAdd {
    /// deploy or maintenance.
    kind: MarkerKind,
    /// Whose usage; all tenants' where it is left out.
    #[schema(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// The first instant; now where it is left out.
    from: Option<Timestamp>,
    /// The first instant after; a deploy has a length of its own (incidents.deploy_quiet).
    until: Option<Timestamp>,
    /// Its length, in place of until: by the daemon's clock, whatever the caller's says.
    seconds: Option<u32>,
    /// What is done; it stands in the audit log.
    #[schema(min_length = 1)]
    text: String,
}

/// List silences, the oldest first.
#[utoipa::path(get, path = "/v1/silences", tag = "incidents", security(("token" = [])),
    params(QuietQuery),
    responses(
        (status = 200, body = Items<Silence>),
    ))]
pub async fn silences(
    State(state): State<ApiState>,
    Query(query): Query<QuietQuery>,
) -> Result<Json<Items<Silence>>, Problem> {
    let now = state.engine.now();
    let mut items = state.engine.registry().silences().await?;
    items.retain(|silence| !query.active || silence.until > now);
    Ok(Json(Items { items }))
}

/// Keep alerts back for a time. Incidents are still written down, and what is open at its end is told of then.
#[utoipa::path(post, path = "/v1/silences", tag = "incidents", security(("token" = [])),
    request_body = SilenceToAdd,
    responses(
        (status = 201, body = Silence),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn silence(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Body(given): Body<SilenceToAdd>,
) -> Result<(StatusCode, Json<Silence>), Problem> {
    let now = state.engine.now();
    let from = given.from.unwrap_or(now);
    let until = end(from, given.until, given.seconds)?
        .ok_or_else(|| Problem::unprocessable("say in until or in seconds when the silence ends"))?;
    check(&state, given.tenant.as_ref(), from, until, "reason", &given.reason).await?;
    let silence = Silence {
        id: state.engine.new_id(),
        tenant: given.tenant,
        resource: given.resource,
        from,
        until,
        reason: given.reason,
        by: caller.actor(),
        lifted_at: None,
    };
    state.engine.registry().add_silence(&silence, caller.request_id()).await?;
    Ok((StatusCode::CREATED, Json(silence)))
}

/// Lift a silence.
#[utoipa::path(delete, path = "/v1/silences/{id}", tag = "incidents", security(("token" = [])),
    params(("id" = Uuid, Path, description = "The silence's id"), WhyRemoved),
    responses(
        (status = 200, body = Silence),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is over, or changes right now"),
    ))]
pub async fn lift(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
    Query(why): Query<WhyRemoved>,
) -> Result<Json<Silence>, Problem> {
    Ok(Json(state.engine.registry().lift_silence(id, caller.remark(why.reason)).await?))
}

/// List markers of deploys and maintenance, the oldest first.
#[utoipa::path(get, path = "/v1/markers", tag = "incidents", security(("token" = [])),
    params(QuietQuery),
    responses(
        (status = 200, body = Items<Marker>),
    ))]
pub async fn markers(
    State(state): State<ApiState>,
    Query(query): Query<QuietQuery>,
) -> Result<Json<Items<Marker>>, Problem> {
    let now = state.engine.now();
    let mut items = state.engine.registry().markers().await?;
    items.retain(|marker| !query.active || marker.until > now);
    Ok(Json(Items { items }))
}

/// Write a deploy or a maintenance down. Inside of it usage is neither judged nor learned from.
#[utoipa::path(post, path = "/v1/markers", tag = "incidents", security(("token" = [])),
    request_body = MarkerToAdd,
    responses(
        (status = 201, body = Marker),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn mark(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Body(given): Body<MarkerToAdd>,
) -> Result<(StatusCode, Json<Marker>), Problem> {
    let from = given.from.unwrap_or(state.engine.now());
    let until = match (end(from, given.until, given.seconds)?, given.kind) {
        (Some(until), _) => until,
        (None, MarkerKind::Deploy) => from.plus(state.settings.deploy_quiet),
        (None, MarkerKind::Maintenance) => {
            return Err(Problem::unprocessable("say in until or in seconds when the maintenance ends"));
        }
    };
    check(&state, given.tenant.as_ref(), from, until, "text", &given.text).await?;
    let MarkerToAdd { kind, tenant, text, .. } = given;
    let marker = Marker { id: state.engine.new_id(), kind, tenant, from, until, text, by: caller.actor() };
    state.engine.registry().add_marker(&marker, caller.request_id()).await?;
    Ok((StatusCode::CREATED, Json(marker)))
}

/// Strike a marker out.
#[utoipa::path(delete, path = "/v1/markers/{id}", tag = "incidents", security(("token" = [])),
    params(("id" = Uuid, Path, description = "The marker's id"), WhyRemoved),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "It is over, or changes right now"),
    ))]
pub async fn unmark(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
    Query(why): Query<WhyRemoved>,
) -> Result<StatusCode, Problem> {
    state.engine.registry().remove_marker(id, caller.remark(why.reason)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// When something ends that begins then, by an instant or a length, not both.
fn end(
    from: Timestamp,
    until: Option<Timestamp>,
    seconds: Option<u32>,
) -> Result<Option<Timestamp>, Problem> {
    match (until, seconds) {
        (Some(_), Some(_)) => Err(Problem::unprocessable("give until or seconds, not both")),
        (until, seconds) => {
            Ok(until.or(seconds.map(|seconds| from.plus(Duration::from_secs(seconds.into())))))
        }
    }
}

/// Refuses what names nobody, ends before it begins, is too long, or says no why.
async fn check(
    state: &ApiState,
    tenant: Option<&TenantId>,
    from: Timestamp,
    until: Timestamp,
    field: &str,
    words: &str,
) -> Result<(), Problem> {
    if let Some(tenant) = tenant {
        state.engine.registry().tenant(tenant).await?;
    }
    if words.trim().is_empty() {
        return Err(Problem::unprocessable(format!("say why in {field}; it stands in the audit log")));
    }
    let longest: Duration = state.settings.longest_quiet;
    if until <= from {
        return Err(Problem::unprocessable(format!(
            "it would end at {until}, not after its begin at {from}"
        )));
    }
    if until.since(from) > longest {
        let days = longest.as_secs() / 86_400;
        return Err(Problem::unprocessable(format!(
            "it would last longer than incidents.longest_quiet, which is {days} days"
        )));
    }
    Ok(())
}
