//! Spans to an OpenTelemetry collector, over HTTP with protobuf, as the
//! standard's variables `OTEL_*` say. Without them nothing of this is there.
//!
//! A collector that is away costs spans and nothing else: they wait in a bounded
//! queue of the exporter's own thread, and are dropped beyond it.

use std::env;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracerProvider, Tracer};
use tokio::runtime::Handle;

use super::causes;

/// The longest that the last spans may take at the end.
const LAST: Duration = Duration::from_secs(3);
/// The longest that one request may take, should the exporter not give it up.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Where spans go, for all signals or for traces alone.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];

/// What exports, once it was started.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Traces that can't be exported; reads well after "failed to".
#[derive(Debug, thiserror::Error)]
#[error("export traces as OTEL_* ask for: {0}")]
pub struct TraceError(String);

/// Whether the environment asks for traces.
fn is_asked_for() -> bool {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|set| set.eq_ignore_ascii_case(value));
    let has_endpoint = ENDPOINTS.iter().any(|name| env::var(name).is_ok_and(|url| !url.is_empty()));
    has_endpoint && !is("OTEL_SDK_DISABLED", "true") && !is("OTEL_TRACES_EXPORTER", "none")
}

/// What makes spans; `None` where nobody asks for them, or there is no runtime
/// for the requests to run on.
///
/// # Errors
/// Where the variables say what can't be.
pub(super) fn tracer() -> Result<Option<Tracer>, TraceError> {
    let Some(runtime) = Handle::try_current().ok().filter(|_| is_asked_for()) else { return Ok(None) };
    let wrong = |error: &dyn std::error::Error| TraceError(causes(error));
    let client = reqwest::Client::builder()
        .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")))
        .timeout(TIME_LIMIT)
        .build()
        .map_err(|error| wrong(&error))?;
    let client = Client { http: client, runtime, failing: AtomicBool::new(false) };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(client)
        .build()
        .map_err(|error| wrong(&error))?;
    let provider =
        SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource()).build();
    let tracer = provider.tracer("plimsoll");
    // It was empty: logs start once.
    let _ = PROVIDER.set(provider);
    Ok(Some(tracer))
}

/// Sends what is left, and ends. Called off the async threads.
pub(super) fn end() {
    if let Some(Err(error)) = PROVIDER.get().map(|provider| provider.shutdown_with_timeout(LAST)) {
        tracing::warn!("failed to send the last spans: {error}");
    }
}

/// Who the spans are of; `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` go
/// before.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    match env::var_os("OTEL_SERVICE_NAME") {
        Some(_) => builder.build(),
        None if env::var("OTEL_RESOURCE_ATTRIBUTES").is_ok_and(|set| set.contains("service.name=")) => {
            builder.build()
        }
        None => builder.with_service_name("plimsoll").build(),
    }
}

/// Sends with the client that everything else is asked with. The exporter's
/// thread is no async one, so requests run on the runtime.
#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    runtime: Handle,
    /// Whether the last request failed, so that each failure is said once.
    failing: AtomicBool,
}

impl Client {
    fn say_once(&self, failure: Option<&str>) {
        let failed_before = self.failing.swap(failure.is_some(), Ordering::Relaxed);
        match failure {
            Some(why) if !failed_before => {
                tracing::warn!("failed to send spans to the collector: {why}; the daemon goes on without");
            }
            None if failed_before => tracing::info!("the collector takes spans again"),
            _ => {}
        }
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let request =
            self.http.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
        let sent = self.runtime.spawn(async move {
            // Even beginning to send sets a timer, which only an async thread can.
            let response = request.send().await?;
            let status = response.status();
            Ok::<_, reqwest::Error>((status, response.bytes().await?))
        });
        let outcome = sent.await?.map_err(reqwest::Error::without_url);
        match &outcome {
            Ok((status, _)) if status.is_success() => self.say_once(None),
            Ok((status, _)) => self.say_once(Some(&format!("it answered {status}"))),
            Err(error) => self.say_once(Some(&causes(error))),
        }
        let (status, bytes) = outcome?;
        let mut response = Response::new(bytes);
        *response.status_mut() = status;
        Ok(response)
    }
}
