//! Templates as YAML: out, and in again. An import takes all or nothing, and
//! says of each fault the line and column.

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG};
use axum::response::IntoResponse;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::auth::Caller;
use super::etag::tag;
use super::extract::{Path, Query, Text};
use super::problem::Problem;
use super::templates::{TemplateChanged, WriteQuery, changed, unknown_receiver};
use crate::domain::template::{Extends, Fault, yaml};
use crate::domain::{Template, TemplateName};
use crate::registry::{RegistryError, Standing, TemplateFault};

/// What YAML is sent as (RFC 9512).
const YAML: &str = "application/yaml";

/// Which version is written out.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// The version; the newest where it is left out.
    version: Option<u64>,
}

/// What came of an import.
#[derive(Debug, Serialize, ToSchema)]
pub struct Imported {
    /// Whether it was only tried.
    dry_run: bool,
    /// Each template of the text, in its order.
    items: Vec<TemplateChanged>,
}

/// Write a template out as YAML. Read in again it gives the same.
#[utoipa::path(get, path = "/v1/templates/{name}/export", tag = "templates", security(("token" = [])),
    params(("name" = String, Path, description = "The template's name"), ExportQuery),
    responses(
        (status = 200, body = Template, content_type = "application/yaml", headers(("ETag", description = "its version"))),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn export(
    State(state): State<ApiState>,
    Path(name): Path<TemplateName>,
    Query(query): Query<ExportQuery>,
) -> Result<impl IntoResponse, Problem> {
    let which = Extends { name, version: query.version };
    let record = state.engine.registry().template_named(&which).await?;
    let headers = [(CONTENT_TYPE, YAML.to_owned()), (ETAG, tag(record.version))];
    Ok((headers, yaml::write(&record.template)?))
}

/// Read templates in from YAML, a document each: all of them or none. One that
/// is there gets a new version, one that says nothing new stays. They may
/// extend one another. With `dry_run` it only says what would change.
#[utoipa::path(post, path = "/v1/template-imports", tag = "templates", security(("token" = [])),
    params(WriteQuery),
    request_body(content = String, content_type = "application/yaml"),
    responses(
        (status = 200, body = Imported),
        (status = 409, body = Problem, content_type = "application/problem+json"),
        (status = 412, body = Problem, content_type = "application/problem+json", description = "A template changed meanwhile"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "What is wrong, with its line and column"),
    ))]
pub async fn import(
    State(state): State<ApiState>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<WriteQuery>,
    Text(text): Text,
) -> Result<Json<Imported>, Problem> {
    let documents = yaml::read(&text).map_err(|fault| Problem::faulty(vec![fault]))?;
    let mut faults = Vec::new();
    for document in &documents {
        let unknown = unknown_receiver(&state, &document.template).await?;
        faults.extend(unknown.map(|fault| document.located(fault)));
    }
    if !faults.is_empty() {
        return Err(Problem::faulty(faults));
    }
    let drafts = documents.iter().map(|document| (document.template.clone(), Standing::Any)).collect();
    let (limits, remark) = (state.settings.templates, caller.remark(query.reason));
    let written = state.engine.registry().write_templates(drafts, limits, query.dry_run, remark).await;
    let written = written.map_err(|error| match error {
        RegistryError::TemplateRefused(faults) => Problem::faulty(located(faults, &documents)),
        other => other.into(),
    })?;
    let items = changed(&state, written).await?;
    Ok(Json(Imported { dry_run: query.dry_run, items }))
}

/// Faults with their places in the text. A name that is given twice is found
/// in its last document.
fn located(faults: Vec<TemplateFault>, documents: &[yaml::Document]) -> Vec<Fault> {
    let place = |one: TemplateFault| {
        let of = documents.iter().rfind(|document| document.template.name == one.template);
        of.map_or(one.fault.clone(), |document| document.located(one.fault))
    };
    faults.into_iter().map(place).collect()
}
