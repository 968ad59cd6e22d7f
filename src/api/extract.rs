//! Paths, queries and bodies of requests, each refused with a problem
//! that names the place.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::ApiState;
use super::problem::Problem;

/// Whether something is only tried.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DryRun {
    /// Only say what would come of it; nothing is changed then, and no code of a second factor is used up.
    #[serde(default)]
    pub dry_run: bool,
}

/// A JSON body. Unknown fields and wrong types are refused by their names.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<ApiState> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        let read = axum::Json::from_request(request, state).await;
        read.map(|axum::Json(body)| Body(body))
            .map_err(|rejection| refused(rejection, state.settings.max_body))
    }
}

fn refused(rejection: JsonRejection, max_body: usize) -> Problem {
    let detail = rejection.body_text();
    match rejection {
        JsonRejection::JsonDataError(_) => Problem::unprocessable(detail),
        other if other.status() == StatusCode::PAYLOAD_TOO_LARGE => too_large(max_body),
        other => Problem::new(other.status(), detail),
    }
}

fn too_large(max_body: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body is larger than {max_body} bytes; send less, or raise server.max_body"),
    )
}

/// A body of text, of whatever type it says it is.
pub struct Text(pub String);

impl FromRequest<ApiState> for Text {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, Problem> {
        String::from_request(request, state).await.map(Text).map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => too_large(state.settings.max_body),
            status => Problem::new(status, rejection.body_text()),
        })
    }
}

/// The parts of a path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// The query behind a path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        // A path with a part that can't be, such as an unknown resource, leads nowhere.
        match rejection.status() {
            StatusCode::BAD_REQUEST => Problem::not_found(rejection.body_text()),
            status => Problem::new(status, rejection.body_text()),
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Problem::bad_request(rejection.body_text())
    }
}
