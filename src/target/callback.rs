//! A call to the platform's own server for each change: signed as Standard
//! Webhooks 1.0 has it, conditional on the generation before, idempotent, and
//! read back.
//!
//! `PUT url` with a JSON body sets a quota. `If-Match` names the generation
//! that must stand there, `Idempotency-Key` is the same on each attempt.
//! `GET url` gives `{"limit": number}`, or 404 where there is none.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{CONTENT_TYPE, IF_MATCH};
use reqwest::{Client, Method, Response, StatusCode};
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;

use super::may_work_later;
use crate::domain::{QuotaChange, Resource, TenantId};
use crate::ports::{QuotaTarget, TargetError};
use crate::security::SigningSecret;
use crate::telemetry::{self, causes};

const NAME: &str = "http";
/// How much of an answer is read, in bytes.
const MOST_READ: usize = 64 << 10;
/// How much of an answer stands in a message about it, in characters.
const SHOWN: usize = 200;

/// How the platform's server is called.
#[derive(Debug, Clone)]
pub struct CallbackSettings {
    /// Where, with `{tenant}` and `{resource}` in their places.
    pub url: String,
    /// Signs each call, as `whsec_` and base64.
    pub secret: SecretString,
    /// How long a call may take.
    pub time_limit: Duration,
    /// Whether a change is read back before it counts.
    pub read_back: bool,
}

/// The client could not be set up; reads well after "failed to".
#[derive(Debug, thiserror::Error)]
#[error("set up the client for the target: {0}")]
pub struct CallbackSetupError(String);

/// Calls the platform's server.
pub struct CallbackTarget {
    client: Client,
    url: String,
    secret: SigningSecret,
    read_back: bool,
}

#[derive(Deserialize)]
struct Held {
    limit: f64,
}

impl CallbackTarget {
    /// With these settings.
    ///
    /// # Errors
    /// Where the secret can't sign, or there is no TLS.
    pub fn new(settings: CallbackSettings) -> Result<Self, CallbackSetupError> {
        let secret =
            SigningSecret::parse(&settings.secret).map_err(|error| CallbackSetupError(error.to_string()))?;
        let client = Client::builder()
            .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .timeout(settings.time_limit)
            .build()
            .map_err(|error| CallbackSetupError(error.to_string()))?;
        Ok(CallbackTarget { client, url: settings.url, secret, read_back: settings.read_back })
    }

    /// What comes of an answer to a change: any of 2xx means that it was made.
    ///
    /// # Errors
    /// Where it was not made, or the answer is too large.
    pub fn taken(status: StatusCode, body: &[u8]) -> Result<(), TargetError> {
        text_of(status, body).map(drop)
    }

    /// The limit that an answer says holds; `None` where there is none.
    ///
    /// # Errors
    /// Where the answer is a failure, is too large, or says no number.
    pub fn held(status: StatusCode, body: &[u8]) -> Result<Option<f64>, TargetError> {
        if status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let text = text_of(status, body)?;
        let Held { limit }: Held = serde_json::from_str(&text).map_err(|error| {
            let error = beginning(&error.to_string());
            refused(format!("its answer is not {{\"limit\": number}}: {error}"))
        })?;
        Ok(Some(limit))
    }

    /// Calls; `id` is the same for each attempt at the same thing.
    async fn call(
        &self,
        method: Method,
        (tenant, resource): (&TenantId, Resource),
        id: &str,
        change: Option<&QuotaChange>,
    ) -> Result<Response, TargetError> {
        let url = self.url.replace("{tenant}", tenant.as_str()).replace("{resource}", resource.name());
        let body = change.map(body).unwrap_or_default();
        // The signature says when a call was made, so it is the system's time.
        let seconds = chrono::Utc::now().timestamp();
        let request = self
            .client
            .request(method, url)
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", self.secret.sign(id, seconds, body.as_bytes()));
        let mut request = telemetry::with_trace(request);
        if let Some(change) = change {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .header("idempotency-key", id)
                .header(IF_MATCH, format!("\"{}\"", change.parent_generation))
                .body(body);
        }
        request.send().await.map_err(|error| unreachable(causes(&error.without_url())))
    }
}

fn body(change: &QuotaChange) -> String {
    json!({
        "tenant": change.tenant,
        "resource": change.resource,
        "unit": change.resource.unit(),
        "from": change.from,
        "limit": change.to,
        "generation": change.parent_generation + 1,
        "recommendation": change.recommendation,
        "reason": change.reason,
    })
    .to_string()
}

#[async_trait]
impl QuotaTarget for CallbackTarget {
    fn name(&self) -> &'static str {
        NAME
    }

    fn keeps(&self, _resource: Resource) -> bool {
        true
    }

    async fn enforce(&self, change: &QuotaChange) -> Result<(), TargetError> {
        let place = (&change.tenant, change.resource);
        let id = format!("{}/{}/{}", change.tenant, change.resource, change.parent_generation + 1);
        let response = self.call(Method::PUT, place, &id, Some(change)).await?;
        CallbackTarget::taken(response.status(), &content(response).await?)?;
        if !self.read_back {
            return Ok(());
        }
        match self.read(&change.tenant, change.resource).await? {
            Some(limit) if limit == change.to => Ok(()),
            Some(limit) => Err(refused(format!("it took {}, but {limit} holds there", change.to))),
            None => Err(refused(format!("it took {}, but knows no such quota", change.to))),
        }
    }

    async fn read(&self, tenant: &TenantId, resource: Resource) -> Result<Option<f64>, TargetError> {
        let id = format!("{tenant}/{resource}/read");
        let response = self.call(Method::GET, (tenant, resource), &id, None).await?;
        let status = response.status();
        // Where there is no quota, nothing more is waited for.
        let body = if status == StatusCode::NOT_FOUND { Vec::new() } else { content(response).await? };
        CallbackTarget::held(status, &body)
    }
}

/// The body of an answer; of one that is too large, enough to see that it is.
async fn content(mut response: Response) -> Result<Vec<u8>, TargetError> {
    let mut bytes = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| unreachable(causes(&error.without_url())))?
    {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MOST_READ {
            break;
        }
    }
    Ok(bytes)
}

/// The text of a good answer.
fn text_of(status: StatusCode, body: &[u8]) -> Result<String, TargetError> {
    if body.len() > MOST_READ {
        return Err(refused(format!("it answered {status} with more than {MOST_READ} bytes")));
    }
    let text = String::from_utf8_lossy(body).into_owned();
    if status.is_success() {
        return Ok(text);
    }
    let message = format!("it answered {status}: {}", beginning(&text));
    Err(if may_work_later(status.as_u16()) { unreachable(message) } else { refused(message) })
}

/// The beginning of what was said, without line breaks.
fn beginning(text: &str) -> String {
    text.chars().take(SHOWN).collect::<String>().replace(['\r', '\n'], " ")
}

fn unreachable(message: String) -> TargetError {
    TargetError::Unreachable { target: NAME, message }
}

fn refused(message: String) -> TargetError {
    TargetError::Refused { target: NAME, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number() {
        let held = |text: &str| CallbackTarget::held(StatusCode::OK, text.as_bytes());
        assert_eq!(held(r#"{"limit": 12.5}"#).unwrap(), Some(12.5));
        assert_eq!(held(r#"{"limit": 0}"#).unwrap(), Some(0.0));
        // Such a server differs from the registry, and is repaired as any other.
        assert_eq!(held(r#"{"limit": -1}"#).unwrap(), Some(-1.0));
        assert_eq!(CallbackTarget::held(StatusCode::NOT_FOUND, b"no such quota").unwrap(), None);
        for text in [r#"{"limit": 1e999}"#, r#"{"limit": null}"#, "", "[]"] {
            assert!(matches!(held(text), Err(TargetError::Refused { .. })), "{text}");
        }
        let endless = format!(r#"{{"limit": "{}"}}"#, "x".repeat(10_000));
        assert!(held(&endless).unwrap_err().to_string().len() < 400);
    }

    #[test]
    fn an_answer_that_is_too_large_is_refused() {
        let large = vec![b' '; MOST_READ + 1];
        assert!(CallbackTarget::taken(StatusCode::OK, &large[1..]).is_ok());
        let refused = CallbackTarget::taken(StatusCode::OK, &large);
        assert!(matches!(refused, Err(TargetError::Refused { .. })));
    }
}
