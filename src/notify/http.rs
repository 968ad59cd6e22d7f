//! Posts a message: to a checked address, without redirects or a proxy, within
//! a time limit, reading no more of the answer than a person can use.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};

use super::NotifierSettings;
use super::message::Message;
use crate::domain::{self, Timestamp};
use crate::ports::DeliveryError;
use crate::security::{AddressError, Addresses, check_url};
use crate::telemetry::{self, causes};

/// How much of an answer stands in a message about it, in characters.
const SHOWN: usize = 200;

/// The client could not be set up; reads well after "failed to".
#[derive(Debug, thiserror::Error)]
#[error("set up the client for webhooks: {0}")]
pub struct SetupError(String);

/// The client.
pub struct Http {
    client: Client,
    addresses: Addresses,
    max_answer: usize,
}

impl Http {
    pub fn new(settings: &NotifierSettings) -> Result<Self, SetupError> {
        let client = Client::builder()
            .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would look names up itself, behind the check.
            .no_proxy()
            .timeout(settings.time_limit)
            .dns_resolver(Arc::new(CheckedResolver(settings.addresses.clone())))
            .build()
            .map_err(|error| SetupError(error.to_string()))?;
        Ok(Http { client, addresses: settings.addresses.clone(), max_answer: settings.max_answer })
    }

    /// Posts a message; any answer of 2xx means that it was taken.
    pub async fn post(&self, url: &str, message: &Message, now: Timestamp) -> Result<(), DeliveryError> {
        let url = check_url(url).map_err(|error| failed(format!("can't {error}")))?;
        self.check_literal(&url).map_err(|error| failed(format!("can't {error}")))?;
        let request = self.client.post(url).header(CONTENT_TYPE, message.content_type);
        let mut request = telemetry::with_trace(request);
        for (name, value) in &message.headers {
            request = request.header(*name, value);
        }
        let response =
            request.body(message.body.clone()).send().await.map_err(|error| failed(chain(error)))?;
        self.judge(response, now).await
    }

    /// Whether a URL may be posted to. An address that stands in the URL itself
    /// is never looked up.
    ///
    /// # Errors
    /// Where it is no URL, or the address in it may not be connected to.
    pub fn check_literal(&self, url: &reqwest::Url) -> Result<(), AddressError> {
        let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        host.parse().map_or(Ok(()), |address: IpAddr| self.addresses.check(address))
    }

    async fn judge(&self, response: Response, now: Timestamp) -> Result<(), DeliveryError> {
        let (status, headers) = (response.status(), response.headers().clone());
        // Where the status says it all, the body is not waited for.
        let body = if body_tells_why(status) { self.beginning(response).await } else { Vec::new() };
        judge(status, &headers, &body, now)
    }

    /// The beginning of an answer's body. One that breaks off has told enough.
    async fn beginning(&self, mut response: Response) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Ok(Some(chunk)) = response.chunk().await {
            bytes.extend_from_slice(&chunk);
            if bytes.len() >= self.max_answer {
                break;
            }
        }
        bytes.truncate(self.max_answer);
        bytes
    }
}

/// What comes of a receiver's answer: any of 2xx means that the message was
/// taken. `body` is as much of it as was read; a date in `Retry-After` is held
/// against `now`.
///
/// # Errors
/// Where the receiver is gone for good, or did not take the message. What it
/// said then stands on one line, shortened and without control characters.
pub fn judge(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: Timestamp,
) -> Result<(), DeliveryError> {
    if status.is_success() {
        return Ok(());
    }
    if status == StatusCode::GONE {
        return Err(DeliveryError::Gone);
    }
    if status.is_redirection() {
        return Err(failed(format!("it answered {status}, and redirects are not followed")));
    }
    let retry_after = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let retry_after = retry_after.and_then(|text| domain::retry_after(text, now));
    let said = on_one_line(body);
    let said = if said.is_empty() { said } else { format!(": {said}") };
    Err(DeliveryError::Failed { message: format!("it answered {status}{said}"), retry_after })
}

/// Whether `judge` shows the body of an answer with this status.
fn body_tells_why(status: StatusCode) -> bool {
    !status.is_success() && !status.is_redirection() && status != StatusCode::GONE
}

/// The beginning of what was said, on one line.
fn on_one_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().filter(|c| !c.is_control()).take(SHOWN).collect()
}

fn failed(message: String) -> DeliveryError {
    DeliveryError::Failed { message, retry_after: None }
}

/// An error with its causes, without the URL: it can hold a secret.
fn chain(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "it did not answer within notify.time_limit".to_owned();
    }
    causes(&error.without_url())
}

/// Looks names up and gives only addresses that may be connected to: what was
/// checked is what is connected to.
struct CheckedResolver(Addresses);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let addresses = self.0.clone();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut refusal = None;
            let mut allowed: Vec<SocketAddr> = Vec::new();
            for address in found {
                match addresses.check(address.ip()) {
                    Ok(()) => allowed.push(address),
                    Err(error) => refusal = Some(error),
                }
            }
            match refusal {
                Some(error) if allowed.is_empty() => Err(format!("can't {error}").into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}
