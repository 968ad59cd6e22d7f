//! Errors as problem documents (RFC 9457). The caller is told what to mend;
//! what only an operator can mend is logged and not shown.

use std::any::Any;

use axum::Json;
use axum::http::{Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tracing::Span;
use utoipa::ToSchema;

use super::observe::present_request;
use crate::domain::template::Fault;
use crate::domain::{DomainError, Objection};
use crate::engine::{ApplyError, EngineError, RollBackError, RolloutError, TenantError};
use crate::ports::{ReloadRefused, StoreError};
use crate::registry::RegistryError;

/// A problem document.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Names the kind of problem.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The kind in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What happened, and how to mend it.
    detail: String,
    /// The rules that stand against a change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    objections: Vec<Objection>,
    #[serde(flatten)]
    more: Box<More>,
    /// After how many seconds to come again.
    #[serde(skip)]
    retry_after: Option<u32>,
}

/// What else a problem can say.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
struct More {
    /// What is wrong with a template, each with its place.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<Fault>,
    /// What is wrong with the config, each with its place and its mend.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<String>,
    /// The id of the request, which its log lines carry as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Problem {
    /// A problem of a kind that the status names.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Problem {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            objections: Vec::new(),
            more: Box::default(),
            retry_after: None,
        }
    }

    /// With the time after which to come again.
    pub fn retry_after(self, seconds: u32) -> Self {
        Problem { retry_after: Some(seconds), ..self }
    }

    /// Whether it is of this status.
    pub fn is(&self, status: StatusCode) -> bool {
        self.status == status.as_u16()
    }

    /// What went wrong, in words.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Templates that can't be, with all that is wrong with them.
    pub fn faulty(faults: Vec<Fault>) -> Self {
        let words: Vec<String> = faults.iter().map(Fault::to_string).collect();
        let detail = format!("can't take the template: {}", words.join("; "));
        let more = Box::new(More { faults, ..More::default() });
        Problem { more, ..Problem::unprocessable(detail) }
    }

    /// A config that was read again and not taken.
    pub fn refused_config(refused: ReloadRefused) -> Self {
        let detail = format!("could not {refused}");
        let more = Box::new(More { problems: refused.problems, ..More::default() });
        Problem { more, ..Problem::unprocessable(detail) }
    }

    /// Something in the request can't be used.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::BAD_REQUEST, detail)
    }

    /// There is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::NOT_FOUND, detail)
    }

    /// A value that can be read but can't be.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
    }

    /// The same as a conflict, where the caller named no precondition that
    /// could have failed.
    pub fn or_conflict(self) -> Self {
        let failed = self.status == StatusCode::PRECONDITION_FAILED.as_u16();
        let conflict = StatusCode::CONFLICT;
        let title = conflict.canonical_reason().unwrap_or(self.title);
        if failed { Problem { status: conflict.as_u16(), title, ..self } } else { self }
    }

    /// Something that the caller can't mend.
    pub(super) fn internal(error: &dyn std::fmt::Display) -> Self {
        match present_request().filter(|_| Span::current().is_disabled()) {
            Some(request_id) => tracing::error!(request_id, "failed to {error}"),
            None => tracing::error!("failed to {error}"),
        }
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "plimsoll could not do this; its log says why")
    }
}

impl IntoResponse for Problem {
    fn into_response(mut self) -> Response {
        self.more.request_id = present_request();
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        let kind = header::HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl From<DomainError> for Problem {
    fn from(error: DomainError) -> Self {
        Problem::unprocessable(format!("can't {error}"))
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Registry(error) => error.into(),
            other => Problem::internal(&other),
        }
    }
}

impl From<RegistryError> for Problem {
    fn from(error: RegistryError) -> Self {
        let detail = format!("can't {error}");
        match error {
            RegistryError::NoSuchTenant(_)
            | RegistryError::NoSuchQuota(..)
            | RegistryError::NoSuchIncident(_)
            | RegistryError::NoSuchReport(_)
            | RegistryError::NoSuchRollout(_)
            | RegistryError::NoSuchSilence(_)
            | RegistryError::NoSuchMarker(_)
            | RegistryError::NoSuchRecommendation(_)
            | RegistryError::NoSuchRequest(_)
            | RegistryError::NoSuchReceiver(_)
            | RegistryError::NoSuchTemplate(..)
            | RegistryError::NoSuchToken(_)
            | RegistryError::NoSuchDeadLetter(..) => Problem::not_found(detail),
            RegistryError::TenantExists(_)
            | RegistryError::IncidentOver(_)
            | RegistryError::TemplateInUse { .. }
            | RegistryError::AlreadyDecided { .. }
            | RegistryError::RequestDecided { .. }
            | RegistryError::TooManyRequests(_)
            | RegistryError::Busy(..)
            | RegistryError::NothingToRollBack(..)
            | RegistryError::Paused(_)
            | RegistryError::ReceiverExists(_)
            | RegistryError::ReceiverOfConfig(_)
            | RegistryError::TooManyReceivers(_)
            | RegistryError::ReceiverIsDisabled(..)
            | RegistryError::WouldOvertake(..)
            | RegistryError::WouldNotEnd(..)
            | RegistryError::TemplateExists(_)
            | RegistryError::HasSecondFactor
            | RegistryError::NoSecondFactor
            | RegistryError::TooManyTemplates(_)
            | RegistryError::Store(StoreError::Conflict { .. }) => Problem::new(StatusCode::CONFLICT, detail),
            RegistryError::TooManyReplicas(..) | RegistryError::Address(_) => Problem::unprocessable(detail),
            RegistryError::Refused(verdict) => {
                let moved = verdict.objections.iter().any(|one| matches!(one, Objection::QuotaMoved { .. }));
                let late = verdict.objections.iter().any(|one| matches!(one, Objection::Expired { .. }));
                let same =
                    verdict.objections.iter().any(|one| matches!(one, Objection::SamePersonTwice { .. }));
                let status = match (moved, late, same) {
                    (true, ..) => StatusCode::PRECONDITION_FAILED,
                    (_, true, _) => StatusCode::CONFLICT,
                    (.., true) => StatusCode::FORBIDDEN,
                    _ => StatusCode::UNPROCESSABLE_ENTITY,
                };
                Problem { objections: verdict.objections, ..Problem::new(status, detail) }
            }
            RegistryError::TemplateMoved { .. }
            | RegistryError::TenantMoved(_)
            | RegistryError::ReceiverMoved(_) => Problem::new(StatusCode::PRECONDITION_FAILED, detail),
            RegistryError::TemplateRefused(faults) => {
                let faults = faults.into_iter().map(|one| one.fault).collect();
                Problem { detail, ..Problem::faulty(faults) }
            }
            RegistryError::Domain(error) => error.into(),
            RegistryError::Store(error) => Problem::internal(&error),
        }
    }
}

impl From<TenantError> for Problem {
    fn from(error: TenantError) -> Self {
        match error {
            TenantError::NotThisRole { .. } => Problem::new(StatusCode::FORBIDDEN, format!("can't {error}")),
            TenantError::Registry(error) => error.into(),
        }
    }
}

impl From<RollBackError> for Problem {
    fn from(error: RollBackError) -> Self {
        match error {
            RollBackError::Registry(error) => error.into(),
            RollBackError::NothingBefore(_) => Problem::new(StatusCode::CONFLICT, format!("can't {error}")),
            RollBackError::Compute(error) => Problem::internal(&error),
            RollBackError::Engine(error) => Problem::internal(&error),
        }
    }
}

impl From<RolloutError> for Problem {
    fn from(error: RolloutError) -> Self {
        let detail = format!("can't {error}");
        match error {
            RolloutError::Empty | RolloutError::TooLarge(..) | RolloutError::BadStrategy(_) => {
                Problem::unprocessable(detail)
            }
            RolloutError::TooMany(_)
            | RolloutError::Taken(_)
            | RolloutError::Refused(_)
            | RolloutError::SamePersonTwice(_)
            | RolloutError::NotNow { .. } => Problem::new(StatusCode::CONFLICT, detail),
            RolloutError::Registry(error) => error.into(),
            RolloutError::Engine(error) => Problem::internal(&error),
        }
    }
}

impl From<ApplyError> for Problem {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Registry(error) => error.into(),
            ApplyError::Later(_) => {
                Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("could not {error}"))
            }
            ApplyError::Target(_) => Problem::new(StatusCode::BAD_GATEWAY, format!("could not {error}")),
        }
    }
}

/// The answer to a path that leads nowhere.
pub async fn no_such_path(uri: Uri) -> Problem {
    Problem::not_found(format!("there is nothing at {}; see /openapi.json", uri.path()))
}

/// The answer to a method that the path does not have.
pub async fn no_such_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{} can't be called with {method}; see /openapi.json", uri.path()),
    )
}

/// The answer where a handler panicked.
pub fn panicked(cause: Box<dyn Any + Send>) -> Response {
    let text = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text");
    Problem::internal(&format_args!("answer a request: {text}")).into_response()
}
