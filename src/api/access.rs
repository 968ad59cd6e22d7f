//! Which role each route asks for, and how far a token reaches that is for some
//! tenants only. The one table; a test holds it against the OpenAPI document,
//! and the document is told of it.

use axum::http::{Method, StatusCode};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

use super::idempotency::LONGEST_KEY;
use crate::domain::Role;

/// How a route names the tenant that it concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// It concerns all: only for tokens that are for all tenants.
    Fleet,
    /// The path names it.
    Path,
    /// The query can name it, as `tenant`, and must for a token that is for
    /// some tenants only.
    Query,
    /// The record that is asked for names it: its handler asks.
    Record,
    /// It concerns no tenant, but the caller.
    Caller,
}

/// What a route asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// The least role.
    pub(super) role: Role,
    /// How it names its tenant.
    pub(super) reach: Reach,
    /// Whether it decides on quotas or on what guards them, and so needs the
    /// second factor where the tenant's template asks for one.
    pub(super) decides: bool,
}

const fn rule(method: &'static str, path: &'static str, role: Role, reach: Reach) -> Rule {
    Rule { method, path, role, reach, decides: false }
}

const fn deciding(method: &'static str, path: &'static str, role: Role, reach: Reach) -> Rule {
    Rule { method, path, role, reach, decides: true }
}

use Reach::{Caller, Fleet, Path, Query, Record};
use Role::{Admin, Approver, Operator, Viewer};

/// Every route that needs a token.
pub(super) const RULES: &[Rule] = &[
    rule("GET", "/openapi.json", Viewer, Caller),
    rule("GET", "/metrics", Viewer, Fleet),
    rule("GET", "/metrics/tenants", Viewer, Fleet),
    rule("POST", "/-/reload", Admin, Fleet),
    rule("GET", "/v1/summary", Viewer, Fleet),
    rule("GET", "/v1/pause", Viewer, Fleet),
    rule("PUT", "/v1/pause", Operator, Fleet),
    rule("DELETE", "/v1/pause", Approver, Fleet),
    rule("GET", "/v1/fleet", Viewer, Fleet),
    rule("GET", "/v1/fleet/{id}", Viewer, Path),
    rule("GET", "/v1/costs", Viewer, Fleet),
    rule("GET", "/v1/costs/tenants", Viewer, Fleet),
    rule("GET", "/v1/costs/savings", Viewer, Fleet),
    rule("GET", "/v1/costs/plan", Viewer, Fleet),
    rule("GET", "/v1/costs/focus", Viewer, Query),
    rule("GET", "/allocation", Viewer, Fleet),
    rule("GET", "/v1/tenants", Viewer, Fleet),
    rule("POST", "/v1/tenants", Operator, Fleet),
    rule("GET", "/v1/tenants/{id}", Viewer, Path),
    deciding("PATCH", "/v1/tenants/{id}", Operator, Path),
    deciding("DELETE", "/v1/tenants/{id}", Approver, Path),
    rule("GET", "/v1/tenants/{id}/tier-fit", Viewer, Path),
    rule("GET", "/v1/tenants/{id}/settings", Viewer, Path),
    rule("GET", "/v1/tenants/{id}/sla", Viewer, Path),
    rule("GET", "/v1/tenants/{id}/meters", Viewer, Path),
    rule("GET", "/v1/tenants/{id}/quotas", Viewer, Path),
    rule("GET", "/v1/tenants/{id}/quotas/{resource}", Viewer, Path),
    deciding("PUT", "/v1/tenants/{id}/quotas/{resource}", Approver, Path),
    deciding("POST", "/v1/tenants/{id}/quotas/{resource}/roll-back", Approver, Path),
    rule("GET", "/v1/tenants/{id}/assessments", Viewer, Path),
    rule("GET", "/v1/tenants/{id}/incidents", Viewer, Path),
    rule("GET", "/v1/tenants/{id}/resources/{resource}/forecast", Viewer, Path),
    rule("GET", "/v1/tenants/{id}/resources/{resource}/anomalies", Viewer, Path),
    rule("GET", "/v1/tenants/{id}/resources/{resource}/usage", Viewer, Path),
    rule("GET", "/v1/recommendations", Viewer, Query),
    rule("GET", "/v1/recommendations/{id}", Viewer, Record),
    deciding("POST", "/v1/recommendations/approve", Approver, Record),
    deciding("POST", "/v1/recommendations/{id}/approve", Approver, Record),
    deciding("POST", "/v1/recommendations/{id}/reject", Approver, Record),
    rule("GET", "/v1/change-requests", Viewer, Query),
    rule("GET", "/v1/change-requests/{id}", Viewer, Record),
    deciding("POST", "/v1/change-requests/{id}/approve", Approver, Record),
    deciding("POST", "/v1/change-requests/{id}/reject", Approver, Record),
    rule("GET", "/v1/incidents", Viewer, Query),
    rule("GET", "/v1/incidents/{id}", Viewer, Record),
    rule("POST", "/v1/incidents/{id}/acknowledge", Operator, Record),
    rule("POST", "/v1/incidents/{id}/feedback", Operator, Record),
    rule("GET", "/v1/silences", Viewer, Fleet),
    rule("POST", "/v1/silences", Operator, Fleet),
    rule("DELETE", "/v1/silences/{id}", Operator, Fleet),
    rule("GET", "/v1/markers", Viewer, Fleet),
    rule("POST", "/v1/markers", Operator, Fleet),
    rule("DELETE", "/v1/markers/{id}", Operator, Fleet),
    rule("GET", "/v1/models", Viewer, Fleet),
    rule("POST", "/v1/models/{resource}/rollback", Admin, Fleet),
    rule("GET", "/v1/rollouts", Viewer, Fleet),
    deciding("POST", "/v1/rollouts", Approver, Record),
    rule("GET", "/v1/rollouts/{id}", Viewer, Fleet),
    deciding("POST", "/v1/rollouts/{id}/approve", Approver, Record),
    deciding("POST", "/v1/rollouts/{id}/pause", Approver, Record),
    deciding("POST", "/v1/rollouts/{id}/resume", Approver, Record),
    deciding("POST", "/v1/rollouts/{id}/switch", Approver, Record),
    deciding("POST", "/v1/rollouts/{id}/finish", Approver, Record),
    deciding("POST", "/v1/rollouts/{id}/roll-back", Approver, Record),
    rule("GET", "/v1/reports", Viewer, Fleet),
    rule("GET", "/v1/reports/fleet", Viewer, Fleet),
    rule("GET", "/v1/reports/tenants/{id}", Viewer, Path),
    rule("GET", "/v1/reports/{id}", Viewer, Fleet),
    rule("GET", "/v1/receivers", Viewer, Fleet),
    rule("GET", "/v1/receivers/{name}", Viewer, Fleet),
    rule("PUT", "/v1/receivers/{name}", Operator, Fleet),
    rule("DELETE", "/v1/receivers/{name}", Operator, Fleet),
    rule("POST", "/v1/receivers/{name}/enable", Operator, Fleet),
    rule("POST", "/v1/receivers/{name}/test", Operator, Fleet),
    rule("GET", "/v1/dead-letters", Viewer, Fleet),
    rule("POST", "/v1/dead-letters/{receiver}/{number}/send-again", Operator, Fleet),
    rule("GET", "/v1/templates", Viewer, Fleet),
    rule("POST", "/v1/templates", Admin, Fleet),
    rule("GET", "/v1/templates/{name}", Viewer, Fleet),
    rule("PUT", "/v1/templates/{name}", Admin, Fleet),
    rule("DELETE", "/v1/templates/{name}", Admin, Fleet),
    rule("POST", "/v1/templates/{name}/clone", Admin, Fleet),
    rule("GET", "/v1/templates/{name}/versions", Viewer, Fleet),
    rule("GET", "/v1/templates/{name}/versions/{version}", Viewer, Fleet),
    rule("GET", "/v1/templates/{name}/diff", Viewer, Fleet),
    rule("GET", "/v1/templates/{name}/export", Viewer, Fleet),
    rule("POST", "/v1/template-imports", Admin, Fleet),
    rule("GET", "/v1/tokens", Admin, Fleet),
    rule("POST", "/v1/tokens", Admin, Fleet),
    rule("DELETE", "/v1/tokens/{id}", Admin, Fleet),
    rule("DELETE", "/v1/tokens/{id}/second-factor", Admin, Fleet),
    rule("POST", "/v1/session", Viewer, Caller),
    rule("DELETE", "/v1/session", Viewer, Caller),
    rule("GET", "/v1/token", Viewer, Caller),
    rule("POST", "/v1/token/second-factor", Viewer, Caller),
    rule("POST", "/v1/token/second-factor/confirm", Viewer, Caller),
    rule("GET", "/v1/drift", Viewer, Fleet),
    rule("GET", "/v1/audit", Viewer, Query),
    rule("GET", "/v1/audit/checkpoints", Viewer, Fleet),
    rule("GET", "/v1/store/check", Operator, Fleet),
    rule("GET", "/v1/store/backup", Admin, Fleet),
];

/// The routes whose answers hold a secret, which is kept nowhere.
const SECRET: [&str; 3] = ["/v1/tokens", "/v1/session", "/v1/token/second-factor"];

/// Whether what a route answers is kept nowhere.
pub(super) fn answers_a_secret(path: &str) -> bool {
    SECRET.contains(&path)
}

/// What a route asks for; a route without a rule is for administrators.
pub(super) fn rule_of(method: &Method, path: &str) -> Rule {
    // A HEAD is answered by the GET's handler.
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    let found = RULES.iter().find(|rule| rule.method == method && rule.path == path);
    found.copied().unwrap_or(rule("", "", Admin, Fleet))
}

/// Tells the document what each route asks for, and how it is refused.
pub(super) fn describe(document: &mut OpenApi) {
    for rule in RULES {
        let Some(item) = document.paths.paths.get_mut(rule.path) else { continue };
        let operation = match rule.method {
            "GET" => &mut item.get,
            "PUT" => &mut item.put,
            "POST" => &mut item.post,
            "DELETE" => &mut item.delete,
            _ => &mut item.patch,
        };
        if let Some(operation) = operation {
            describe_one(operation, rule);
        }
    }
}

fn describe_one(operation: &mut Operation, rule: &Rule) {
    let told = operation.description.take().map(|text| format!("{text}\n\n")).unwrap_or_default();
    let scope = match rule.reach {
        Fleet => " for all tenants",
        Query => " for all tenants, or name one of its own in tenant",
        Path | Record => " for the tenant",
        Caller => "",
    };
    let factor = match rule.decides {
        true => " Where the tenant's template asks for a second factor, send its code as X-TOTP-Code.",
        false => "",
    };
    let is_write = rule.method != "GET";
    if is_write {
        operation.parameters.get_or_insert_default().push(RefOr::T(idempotency_key()));
    }
    operation.description = Some(format!("{told}Needs a token of the role {}{scope}.{factor}", rule.role));
    for (status, what) in refusals(operation, is_write) {
        let responses = &mut operation.responses.responses;
        responses.entry(status.as_str().to_owned()).or_insert_with(|| RefOr::T(problem(what)));
    }
}

fn has_parameter(operation: &Operation, place: &ParameterIn) -> bool {
    let parameters = operation.parameters.as_deref().unwrap_or_default();
    parameters.iter().any(|parameter| matches!(parameter, RefOr::T(one) if one.parameter_in == *place))
}

/// How a route can be refused before its handler does anything, by what it
/// takes. A route that has more to say of one of these says it itself.
fn refusals(operation: &Operation, is_write: bool) -> Vec<(StatusCode, &'static str)> {
    let mut all = vec![
        (StatusCode::UNAUTHORIZED, "The token is missing, not known, revoked or too old"),
        (StatusCode::FORBIDDEN, "The token may not do this, or not from here, or a second factor is missing"),
        (StatusCode::TOO_MANY_REQUESTS, "Too many requests; Retry-After says when to come again"),
    ];
    if operation.parameters.is_some() || operation.request_body.is_some() {
        all.push((StatusCode::BAD_REQUEST, "A part of the request can't be read"));
    }
    if has_parameter(operation, &ParameterIn::Path) {
        all.push((StatusCode::NOT_FOUND, "There is nothing of this name"));
    }
    if let Some(body) = &operation.request_body {
        all.push((StatusCode::PAYLOAD_TOO_LARGE, "The body is larger than server.max_body"));
        all.push((StatusCode::UNPROCESSABLE_ENTITY, "The body can be read, but not be used"));
        let is_json = |body: &RequestBody| body.content.contains_key("application/json");
        if matches!(body, RefOr::T(body) if is_json(body)) {
            all.push((StatusCode::UNSUPPORTED_MEDIA_TYPE, "The body is not sent as application/json"));
        }
    }
    if is_write {
        let too_large = "The body is larger than server.max_body";
        all.push((
            StatusCode::CONFLICT,
            "A request with this Idempotency-Key is under way, or was answered with a secret",
        ));
        all.push((StatusCode::PAYLOAD_TOO_LARGE, too_large));
        all.push((StatusCode::UNPROCESSABLE_ENTITY, "The Idempotency-Key was used for another request"));
    }
    all
}

/// What each write can carry, so that it is done once however often it is sent.
fn idempotency_key() -> Parameter {
    let about = "Chosen by the caller, a new one for each write; the same write with the same key is answered with \
                 what was answered first, marked by Idempotency-Replayed, and not done again.";
    let schema =
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(LONGEST_KEY));
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(about))
        .schema(Some(schema.build()))
        .build()
}

fn problem(what: &str) -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(what).content("application/problem+json", content).build()
}
