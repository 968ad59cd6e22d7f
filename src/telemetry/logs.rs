//! Log lines on standard error, as text for people or JSON for machines.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

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
    BadLevel(String, ParseError),
    /// Something else writes logs already.
    #[error("start the logs: {0}")]
    Taken(String),
}

/// Starts writing logs. `RUST_LOG` goes before the level that is given.
///
/// # Errors
/// Where the level is none, or logs were started before.
pub fn start(format: LogFormat, level: &str) -> Result<(), LogError> {
    let wish = std::env::var("RUST_LOG").unwrap_or_else(|_| level.to_owned());
    let filter = EnvFilter::try_new(&wish).map_err(|error| LogError::BadLevel(wish.clone(), error))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| LogError::Taken(error.to_string()))
}
