//! The audit log.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::extract::Query;
use super::page::{Page, PageQuery, place};
use super::problem::Problem;
use crate::domain::{AuditAction, Resource, TenantId, Timestamp};
use crate::registry::{AuditFilter, CheckpointRecord, NumberedAuditEvent};

/// Which lines are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Those of this tenant.
    #[param(value_type = Option<String>)]
    tenant: Option<TenantId>,
    /// Those about this resource.
    resource: Option<Resource>,
    /// Those of this kind.
    action: Option<AuditAction>,
    /// Those with this in the name of who did it.
    actor: Option<String>,
    /// Those with this in the reason, the tenant's id or the request's id.
    text: Option<String>,
    /// Those from this instant on.
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// Those before this instant.
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
    /// The most entries wanted; the server may give fewer.
    #[param(minimum = 1)]
    limit: Option<usize>,
    /// Whether the newest line comes first, or the oldest.
    #[serde(default)]
    #[param(inline)]
    order: AuditOrder,
    /// Where the last page ended: its `next`.
    cursor: Option<String>,
}

/// In which order lines are given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum AuditOrder {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first, of all tenants.
    Oldest,
}

/// Read the audit log. Each line holds the hash of the line before it.
#[utoipa::path(get, path = "/v1/audit", tag = "audit", security(("token" = [])),
    params(AuditQuery),
    responses(
        (status = 200, body = Page<NumberedAuditEvent>),
    ))]
pub async fn list(
    State(state): State<ApiState>,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Page<NumberedAuditEvent>>, Problem> {
    let AuditQuery { tenant, resource, action, actor, text, from, to, limit, order, cursor } = query;
    let place: Option<u64> = place(cursor.as_deref())?;
    let size = PageQuery { limit, cursor }.size(&state)?;
    let registry = state.engine.registry();
    let small = |text: Option<String>| text.map(|text| text.trim().to_lowercase());
    let filter = AuditFilter { tenant, resource, action, actor: small(actor), text: small(text), from, to };
    let found = match order {
        AuditOrder::Newest => registry.search_audit(&filter, place, size + 1).await?,
        AuditOrder::Oldest if filter == AuditFilter::default() => {
            registry.audit_after(place.unwrap_or(0), size + 1).await?
        }
        AuditOrder::Oldest => {
            let mend = "can't search with the oldest first; leave out what is searched for, or order";
            return Err(Problem::new(StatusCode::BAD_REQUEST, mend));
        }
    };
    Ok(Json(Page::of(found, size, |line| line.number.to_string())))
}

/// List the signed checkpoints of the audit log, the newest first. Each says
/// how many lines there were and the Merkle root over them (RFC 9162), signed
/// with Ed25519 (C2SP tlog-checkpoint).
#[utoipa::path(get, path = "/v1/audit/checkpoints", tag = "audit", security(("token" = [])),
    params(PageQuery),
    responses(
        (status = 200, body = Page<CheckpointRecord>),
    ))]
pub async fn checkpoints(
    State(state): State<ApiState>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<CheckpointRecord>>, Problem> {
    let below: Option<u64> = place(query.cursor.as_deref())?;
    let size = query.size(&state)?;
    let mut found = state.engine.registry().checkpoints(below, size + 1).await?;
    found.iter_mut().for_each(|record| record.tree = None);
    Ok(Json(Page::of(found, size, |record| record.size.to_string())))
}
