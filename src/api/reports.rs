//! Reports: made when asked for, or kept from a schedule, in any format and
//! language.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::extract::{Path, Query};
use super::page::{Page, PageQuery, place};
use super::problem::Problem;
use crate::domain::{Language, ReportFormat, ReportId, TenantId, TimeRange, Timestamp};
use crate::engine::ReportFailure;
use crate::registry::KeptReport;
use crate::report::{self, Report};

/// What a report may load where it is shown by itself: nothing but its own
/// style, and a logo.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src https: http: data:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'self'; sandbox";

impl From<ReportFailure> for Problem {
    fn from(error: ReportFailure) -> Self {
        match error {
            ReportFailure::Range(_) => Problem::bad_request(format!("can't {error}")),
            ReportFailure::Cost(error) => error.into(),
            ReportFailure::Registry(error) => error.into(),
            ReportFailure::Report(_) | ReportFailure::Engine(_) | ReportFailure::Kept(_) => {
                Problem::internal(&error)
            }
        }
    }
}

/// Which report is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// How it is written.
    #[serde(default)]
    format: ReportFormat,
    /// In which language: en or de.
    #[serde(default)]
    language: Language,
    /// Reports on what was from this instant on; a period of reports.period where it is left out.
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// Reports on what was before this instant; until now where it is left out or later.
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
}

/// How a kept report is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct KeptQuery {
    /// How it is written.
    #[serde(default)]
    format: ReportFormat,
    /// In which language: en or de.
    #[serde(default)]
    language: Language,
}

/// A report that is kept, without what it says.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportView {
    id: ReportId,
    /// The schedule that made it.
    schedule: String,
    /// Whose it is; `null` for the fleet's.
    tenant: Option<TenantId>,
    /// When it was due.
    due_at: Timestamp,
    /// When it was made.
    made_at: Timestamp,
    /// The time that it reports on.
    range: TimeRange,
}

impl From<KeptReport> for ReportView {
    fn from(kept: KeptReport) -> Self {
        let KeptReport { id, schedule, tenant, due_at, made_at, range, .. } = kept;
        ReportView { id, schedule, tenant, due_at, made_at, range }
    }
}

/// Make a report on the whole fleet: costs, savings, tenants at risk, tier moves, incidents, forecast accuracy,
/// what was applied and what that saved.
#[utoipa::path(get, path = "/v1/reports/fleet", tag = "reports", security(("token" = [])),
    params(ReportQuery),
    responses(
        (status = 200, content((Report = "application/json"), (String = "text/html"), (String = "text/markdown"),
            (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"))),
    ))]
pub async fn fleet(
    State(state): State<ApiState>,
    Query(query): Query<ReportQuery>,
) -> Result<Response, Problem> {
    let report = state.engine.fleet_report((query.from, query.to), &state.settings.reports).await?;
    written(&Report::Fleet(report), query.format, query.language)
}

/// Make a report on one tenant, in its own look where it is of the tier WHITE_LABEL.
#[utoipa::path(get, path = "/v1/reports/tenants/{id}", tag = "reports", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id"), ReportQuery),
    responses(
        (status = 200, content((Report = "application/json"), (String = "text/html"), (String = "text/markdown"),
            (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn of_tenant(
    State(state): State<ApiState>,
    Path(id): Path<TenantId>,
    Query(query): Query<ReportQuery>,
) -> Result<Response, Problem> {
    let report = state.engine.tenant_report(&id, (query.from, query.to), &state.settings.reports).await?;
    written(&Report::Tenant(report), query.format, query.language)
}

/// List the reports that were made on schedule and are kept, the newest first.
#[utoipa::path(get, path = "/v1/reports", tag = "reports", security(("token" = [])),
    params(PageQuery),
    responses(
        (status = 200, body = Page<ReportView>),
    ))]
pub async fn list(
    State(state): State<ApiState>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ReportView>>, Problem> {
    let before: Option<ReportId> = place(page.cursor.as_deref())?;
    let size = page.size(&state)?;
    let kept = state.engine.registry().reports(before, size + 1).await?;
    let views = kept.into_iter().map(ReportView::from).collect();
    Ok(Json(Page::of(views, size, |view: &ReportView| view.id.to_string())))
}

/// Read a report that is kept.
#[utoipa::path(get, path = "/v1/reports/{id}", tag = "reports", security(("token" = [])),
    params(("id" = ReportId, Path, description = "The report's id"), KeptQuery),
    responses(
        (status = 200, content((Report = "application/json"), (String = "text/html"), (String = "text/markdown"),
            (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"))),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn get(
    State(state): State<ApiState>,
    Path(id): Path<ReportId>,
    Query(query): Query<KeptQuery>,
) -> Result<Response, Problem> {
    let kept = state.engine.registry().report(id).await?;
    let report: Report = serde_json::from_value(kept.content).map_err(ReportFailure::from)?;
    written(&report, query.format, query.language)
}

fn written(report: &Report, format: ReportFormat, language: Language) -> Result<Response, Problem> {
    let bytes = report::render(report, format, language).map_err(ReportFailure::from)?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(response)
}
