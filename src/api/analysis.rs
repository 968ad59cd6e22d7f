//! What the engine makes of a tenant's usage: assessments, forecasts,
//! anomalies, incidents, and the usage itself.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::ApiState;
use super::extract::{Path, Query};
use super::problem::Problem;
use crate::domain::{ModelVersion, RecommendationId, Resource, Step, TenantId, Timestamp, Verdict};
use crate::engine::{Assessment, AssessmentKind, JudgedSample, SeriesKey};
use crate::series::{Aggregate, UsageSeries, resample};

/// What the last cycle said of a quota.
#[derive(Debug, Serialize, ToSchema)]
pub struct AssessmentView {
    resource: Resource,
    at: Timestamp,
    /// change, keep or abstain.
    outcome: &'static str,
    /// The recommendation that says what it should be, where it should change.
    recommendation: Option<RecommendationId>,
    /// Why it should stay, or why nothing can be said.
    reason: Option<String>,
    /// The most that the past, the forecast and the policies ask for, in the resource's unit.
    needed: Option<f64>,
    /// What keeps the daemon from applying it by itself, for a tenant in approved mode.
    held_back_by: Option<Verdict>,
}

impl From<(Resource, Assessment)> for AssessmentView {
    fn from((resource, assessment): (Resource, Assessment)) -> Self {
        let outcome = assessment.kind.name();
        let (recommendation, reason) = match assessment.kind {
            AssessmentKind::Change(id) => (Some(id), None),
            AssessmentKind::Keep(reason) | AssessmentKind::Abstain(reason) => (None, Some(reason)),
        };
        let Assessment { at, needed, held_back_by, .. } = assessment;
        AssessmentView { resource, at, outcome, recommendation, reason, needed, held_back_by }
    }
}

/// A list that is short enough to need no pages.
#[derive(Debug, Serialize, ToSchema)]
pub struct Items<T> {
    pub(super) items: Vec<T>,
}

/// A forecast of the peak of each coming hour.
#[derive(Debug, Serialize, ToSchema)]
pub struct ForecastView {
    unit: &'static str,
    /// The first instant after the usage that it was made from.
    fitted_to: Timestamp,
    /// The model that made it; `null` where there is none.
    model: Option<&'static str>,
    /// The version of the models that made it, with the window of usage that it was fitted to and its
    /// backtest.
    made_by: ModelVersion,
    /// Why there is none.
    reason: Option<String>,
    /// The first hour.
    start: Option<Timestamp>,
    step_seconds: u64,
    /// The levels of the columns of `values`.
    quantiles: Vec<f64>,
    /// The expected value of each hour's peak.
    mean: Vec<f64>,
    /// A row an hour, a column a level.
    values: Vec<Vec<f64>>,
}

/// A sample with what the detector said of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SampleView {
    at: Timestamp,
    value: Option<f64>,
    /// How unusual it is, 0 to 1.
    score: f64,
    is_anomaly: bool,
    /// Whether the detector still learns, and so stays silent.
    learning: bool,
    expected: Option<f64>,
    /// The width of the usual band to either side.
    band: Option<f64>,
}

impl From<JudgedSample> for SampleView {
    fn from(sample: JudgedSample) -> Self {
        let JudgedSample { at, value, judgement } = sample;
        SampleView {
            at,
            value: known(value),
            score: judgement.score,
            is_anomaly: judgement.is_anomaly,
            learning: judgement.learning,
            expected: known(judgement.expected),
            band: known(judgement.band),
        }
    }
}

/// JSON has no NaN: what is not there is `null`.
fn known(value: f64) -> Option<f64> {
    value.is_finite().then_some(value)
}

/// The anomalies of a usage series.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnomaliesView {
    unit: &'static str,
    /// The last sample that was judged.
    last: Option<SampleView>,
    /// The latest anomalous samples, the oldest first.
    items: Vec<SampleView>,
}

/// Which usage is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// The first instant; the oldest that is held where it is left out.
    #[param(value_type = Option<String>)]
    from: Option<Timestamp>,
    /// The first instant after; the newest that is held where it is left out.
    #[param(value_type = Option<String>)]
    to: Option<Timestamp>,
    /// The distance of two points in seconds; coarser points are the maximum of what they cover.
    #[param(minimum = 1)]
    step_seconds: Option<u32>,
}

/// The usage of a series on a regular grid.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageView {
    unit: &'static str,
    start: Timestamp,
    step_seconds: f64,
    /// `null` is a gap.
    values: Vec<Option<f64>>,
}

/// Read what the last cycle said of each of a tenant's quotas.
#[utoipa::path(get, path = "/v1/tenants/{id}/assessments", tag = "analysis", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id")),
    responses(
        (status = 200, body = Items<AssessmentView>),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn assessments(
    State(state): State<ApiState>,
    Path(id): Path<TenantId>,
) -> Result<Json<Items<AssessmentView>>, Problem> {
    state.engine.registry().tenant(&id).await?;
    let all = state.engine.workspace().assessments(&id);
    Ok(Json(Items { items: all.into_iter().map(AssessmentView::from).collect() }))
}

/// Read the forecast of a tenant's resource.
#[utoipa::path(get, path = "/v1/tenants/{id}/resources/{resource}/forecast", tag = "analysis", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id"), ("resource" = Resource, Path)),
    responses(
        (status = 200, body = ForecastView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn forecast(
    State(state): State<ApiState>,
    Path((id, resource)): Path<(TenantId, Resource)>,
) -> Result<Json<ForecastView>, Problem> {
    let key = series_key(&state, id, resource).await?;
    let record = state.engine.workspace().forecast(&key).ok_or_else(|| nothing_yet(&key, "forecast"))?;
    let nothing = ForecastView {
        unit: resource.unit(),
        fitted_to: record.fitted_to,
        model: None,
        made_by: (*record.made_by).clone(),
        reason: None,
        start: None,
        step_seconds: Step::HOUR.duration().as_secs(),
        quantiles: Vec::new(),
        mean: Vec::new(),
        values: Vec::new(),
    };
    Ok(Json(match &record.forecast {
        Err(abstention) => ForecastView { reason: Some(abstention.to_string()), ..nothing },
        Ok(dated) => ForecastView {
            model: Some(dated.model),
            start: Some(dated.start),
            quantiles: dated.forecast.quantiles.levels().to_vec(),
            mean: dated.forecast.mean.to_vec(),
            values: dated.forecast.values.rows().into_iter().map(|row| row.to_vec()).collect(),
            ..nothing
        },
    }))
}

/// Read the anomalies of a tenant's resource.
#[utoipa::path(get, path = "/v1/tenants/{id}/resources/{resource}/anomalies", tag = "analysis", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id"), ("resource" = Resource, Path)),
    responses(
        (status = 200, body = AnomaliesView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn anomalies(
    State(state): State<ApiState>,
    Path((id, resource)): Path<(TenantId, Resource)>,
) -> Result<Json<AnomaliesView>, Problem> {
    let key = series_key(&state, id, resource).await?;
    let view = state.engine.workspace().anomalies(&key).ok_or_else(|| nothing_yet(&key, "judgement"))?;
    Ok(Json(AnomaliesView {
        unit: resource.unit(),
        last: view.last.map(SampleView::from),
        items: view.anomalies.into_iter().map(SampleView::from).collect(),
    }))
}

/// Read the usage of a tenant's resource, as far as it is held in memory.
#[utoipa::path(get, path = "/v1/tenants/{id}/resources/{resource}/usage", tag = "analysis", security(("token" = [])),
    params(("id" = String, Path, description = "The tenant's id"), ("resource" = Resource, Path), UsageQuery),
    responses(
        (status = 200, body = UsageView),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    ))]
pub async fn usage(
    State(state): State<ApiState>,
    Path((id, resource)): Path<(TenantId, Resource)>,
    Query(query): Query<UsageQuery>,
) -> Result<Json<UsageView>, Problem> {
    let key = series_key(&state, id, resource).await?;
    let held = state.engine.workspace().usage(&key).ok_or_else(|| nothing_yet(&key, "usage"))?;
    let step = match query.step_seconds {
        None => held.step,
        Some(seconds) => Step::from_millis(i64::from(seconds) * 1000)
            .map_err(|error| Problem::bad_request(format!("can't {error}")))?,
    };
    let coarse = resample(&held, step, Aggregate::Max);
    let values = between(&coarse, query.from, query.to);
    let limit = state.settings.max_points;
    if values.len() > limit {
        return Err(Problem::bad_request(format!(
            "{} points are more than the {limit} allowed; ask for a shorter range or a larger step_seconds",
            values.len()
        )));
    }
    let start = query.from.map_or(coarse.start, |from| from.max(coarse.start)).floor_to(coarse.step);
    let step_seconds = coarse.step.duration().as_secs_f64();
    Ok(Json(UsageView { unit: resource.unit(), start, step_seconds, values }))
}

fn between(series: &UsageSeries, from: Option<Timestamp>, to: Option<Timestamp>) -> Vec<Option<f64>> {
    let from = from.map(|from| from.floor_to(series.step));
    (0..series.len())
        .filter(|index| {
            let at = series.at(*index);
            from.is_none_or(|from| at >= from) && to.is_none_or(|to| at < to)
        })
        .map(|index| known(series.values[index]))
        .collect()
}

/// Names a series of a tenant that exists.
async fn series_key(state: &ApiState, id: TenantId, resource: Resource) -> Result<SeriesKey, Problem> {
    state.engine.registry().tenant(&id).await?;
    Ok(SeriesKey { tenant: id, resource })
}

fn nothing_yet(key: &SeriesKey, what: &str) -> Problem {
    let SeriesKey { tenant, resource } = key;
    Problem::not_found(format!("there is no {what} of {resource} for {tenant}; no usage of it was collected"))
}
