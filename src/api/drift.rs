//! Quotas that the target enforces as others than the registry's.

use axum::Json;
use axum::extract::State;

use super::ApiState;
use super::extract::Query;
use super::page::{Page, PageQuery};
use super::problem::Problem;
use crate::engine::Drift;

/// List the quotas that held at the target as others than the registry's, when
/// the two were last compared.
#[utoipa::path(get, path = "/v1/drift", tag = "quotas", security(("token" = [])),
    params(PageQuery),
    responses(
        (status = 200, body = Page<Drift>),
    ))]
pub async fn list(
    State(state): State<ApiState>,
    Query(query): Query<PageQuery>,
) -> Result<Json<Page<Drift>>, Problem> {
    let size = query.size(&state)?;
    let mut all = state.engine.workspace().drift();
    all.sort_by_key(place_of);
    let after = query.cursor.unwrap_or_default();
    let items = all.into_iter().filter(|drift| place_of(drift) > after).take(size + 1).collect();
    Ok(Json(Page::of(items, size, place_of)))
}

fn place_of(drift: &Drift) -> String {
    format!("{}/{}", drift.tenant, drift.resource)
}
