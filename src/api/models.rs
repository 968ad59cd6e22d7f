//! The versions of the forecasting models: what each was fitted on, what it was
//! worth, which won and why.

use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::auth::Caller;
use super::extract::{Body, Path, Query};
use super::problem::Problem;
use super::reason::Reason;
use crate::domain::{ModelVersion, Resource};

/// Versions that are shown of each resource.
const VERSIONS_SHOWN: usize = 20;

/// Which models are asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ModelQuery {
    /// Those of this resource; of all where it is left out.
    resource: Option<Resource>,
}

/// Versions of models.
#[derive(Debug, Serialize, ToSchema)]
pub struct Models {
    /// By resource, the newest first.
    items: Vec<ModelVersion>,
}

/// Read the latest versions of the forecasting models, and where each stands.
#[utoipa::path(get, path = "/v1/models", tag = "analysis", security(("token" = [])), params(ModelQuery),
    responses(
        (status = 200, body = Models),
    ))]
pub async fn list(
    State(state): State<ApiState>,
    Query(query): Query<ModelQuery>,
) -> Result<Json<Models>, Problem> {
    let resources = query.resource.map_or_else(|| state.engine.resources(), |one| vec![one]);
    let mut items = Vec::new();
    for resource in resources {
        let live = state.engine.workspace().models(resource);
        let kept = state.engine.registry().models(resource, VERSIONS_SHOWN).await?;
        // What forecasts right now has a live score that is not written down.
        items.extend(kept.into_iter().map(|kept| {
            let now = live.iter().find(|one| one.version == kept.version && one.state == kept.state);
            now.cloned().unwrap_or(kept)
        }));
    }
    Ok(Json(Models { items }))
}

/// Go back to the models that a resource was forecast with before. The answer holds the versions whose
/// standing has changed, the one in use last.
#[utoipa::path(post, path = "/v1/models/{resource}/rollback", tag = "analysis", security(("token" = [])),
    params(("resource" = Resource, Path)),
    request_body = Reason,
    responses(
        (status = 200, body = Models),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "There are none in memory to go back to"),
    ))]
pub async fn roll_back(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Path(resource): Path<Resource>,
    Body(reason): Body<Reason>,
) -> Result<Json<Models>, Problem> {
    let reason = reason.given()?;
    let items = state.engine.roll_back_models(resource, caller.remark(Some(reason))).await?;
    Ok(Json(Models { items }))
}
