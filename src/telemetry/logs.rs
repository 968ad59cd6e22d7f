//! Log lines on standard error, as text for people or JSON for machines, and the
//! spans that they stand in, exported where the environment asks for that.

use std::io::IsTerminal;
use std::sync::OnceLock;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use super::otlp::{self, TraceError};

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines, an object a line.
    Json,
}

/// Logs that can't be started; reads well after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is no filter.
    #[error("read {0:?} as a log level; use error, warn, info, debug or trace, or target=level pairs: {1}")]
    BadLevel(String, tracing_subscriber::filter::ParseError),
    /// Something else writes logs already.
    #[error("start the logs: {0}")]
    Taken(String),
    /// Spans can't be exported.
    #[error(transparent)]
    Traces(#[from] TraceError),
}

/// Overrules the level of the config.
const VARIABLE: &str = "RUST_LOG";

/// What lets lines through, once logs were started.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Starts writing logs, and exporting spans where `OTEL_*` ask for that and a
/// runtime is there. `RUST_LOG` goes before the level that is given.
///
/// # Errors
/// Where the level is none, `OTEL_*` say what can't be, or logs were started
/// before.
pub fn start(format: LogFormat, level: &str) -> Result<(), LogError> {
    let wish = std::env::var(VARIABLE).unwrap_or_else(|_| level.to_owned());
    let filter = EnvFilter::try_new(&wish).map_err(|error| LogError::BadLevel(wish.clone(), error))?;
    let (filter, handle) = reload::Layer::new(filter);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let spans = otlp::tracer()?
        .map(|tracer| tracing_opentelemetry::layer().with_tracer(tracer).with_filter(filter_fn(is_exported)));
    let started = tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).try_init();
    started.map_err(|error| LogError::Taken(error.to_string()))?;
    // It was empty: logs start once.
    let _ = FILTER.set(handle);
    Ok(())
}

/// Sends the spans that still wait. Called off the async threads.
pub fn stop() {
    otlp::end();
}

/// Our own work; what sends the spans would else make more of them.
fn is_exported(metadata: &Metadata<'_>) -> bool {
    metadata.target().starts_with("plimsoll") && *metadata.level() <= Level::INFO
}

/// Says more or less from now on. `RUST_LOG` goes before the level that is
/// given, which was checked.
pub fn set_level(level: &str) {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let Some((handle, filter)) = FILTER.get().zip(EnvFilter::try_new(level).ok()) else { return };
    if let Err(error) = handle.reload(filter) {
        tracing::error!("failed to change the log level: {error}");
    }
}
