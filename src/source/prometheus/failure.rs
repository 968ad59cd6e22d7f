//! What a failed query means: try again, ask for less, or give up.

use std::error::Error;
use std::time::Duration;

use chrono::DateTime;
use reqwest::StatusCode;
use reqwest::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};

use super::answer::Answer;
use crate::domain::{self, Timestamp};
use crate::ports::{Asked, SourceError};

/// The longest part of a server's words that is repeated, in characters.
const LONGEST_MESSAGE: usize = 300;

/// What a failed query means.
#[derive(Debug, Clone)]
pub(super) enum Failure {
    /// The same query may be answered later.
    Passing {
        /// What happened.
        message: String,
        /// How long the server asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// A smaller query may be answered.
    TooMuch {
        /// What happened.
        message: String,
        /// Whether time ran out, rather than a limit was met.
        timed_out: bool,
    },
    /// It will not be answered.
    Final(SourceError),
}

impl Failure {
    /// The failure in the port's words, once there is nothing left to try.
    pub fn into_error(self, asked: Asked) -> SourceError {
        match self {
            Failure::Final(error) => error,
            Failure::Passing { message, .. } | Failure::TooMuch { message, timed_out: true } => {
                SourceError::Unreachable(message)
            }
            Failure::TooMuch { message, timed_out: false } => SourceError::Query { asked, message },
        }
    }

    /// A request that got no whole answer from `url`.
    pub fn of_transport(error: &reqwest::Error, url: &str, time_out: Duration) -> Self {
        if error.is_timeout() && !error.is_connect() {
            let message =
                format!("{url} gave no whole answer within {}", humantime::format_duration(time_out));
            return Failure::TooMuch { message, timed_out: true };
        }
        // The first link of the chain repeats the whole URL with its query.
        let mut chain = Vec::new();
        let mut link = error.source();
        while let Some(cause) = link {
            chain.push(cause.to_string());
            link = cause.source();
        }
        chain.dedup();
        Failure::Passing { message: format!("{url}: {}", chain.join(": ")), retry_after: None }
    }

    /// An answer whose status is no success.
    pub fn of_status(asked: Asked, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let answer: Answer = serde_json::from_slice(body).unwrap_or_default();
        let words = if answer.error.is_empty() {
            String::from_utf8_lossy(body)
        } else {
            answer.error.as_str().into()
        };
        let words = excerpt(&words);
        let message = if words.is_empty() {
            format!("it answered {status}")
        } else {
            format!("it answered {status}: {words}")
        };
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Failure::Final(SourceError::Unauthorized(message))
            }
            StatusCode::UNPROCESSABLE_ENTITY if asks_too_much(&words) => {
                Failure::TooMuch { message, timed_out: false }
            }
            StatusCode::GATEWAY_TIMEOUT => Failure::TooMuch { message, timed_out: true },
            _ if status.is_server_error() && answer.error_type == "timeout" => {
                Failure::TooMuch { message, timed_out: true }
            }
            _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                Failure::Passing { message, retry_after: retry_after(headers) }
            }
            _ => Failure::Final(SourceError::Query { asked, message: with_mend(status, headers, message) }),
        }
    }
}

/// Whether a server that could not work a query out speaks of an amount, rather
/// than of a fault in the expression. Each kind of server has words of its own.
fn asks_too_much(words: &str) -> bool {
    let words = words.to_lowercase();
    let of_amounts = ["too many", "too large", "exceed", "more than", "memory", "limit", "maximum"];
    words.is_empty() || of_amounts.iter().any(|word| words.contains(word))
}

/// Says what to look at where the status alone does not.
fn with_mend(status: StatusCode, headers: &HeaderMap, message: String) -> String {
    if status.is_redirection() {
        let target = headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("another place");
        return format!("it answered {status} to {}; set prometheus.url to where it leads", excerpt(target));
    }
    match status {
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => message,
        StatusCode::NOT_FOUND => format!("{message}; check prometheus.url"),
        _ => format!("{message}; check prometheus.url and what stands before the server"),
    }
}

/// One line of a server's words, shortened.
pub(super) fn excerpt(words: &str) -> String {
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LONGEST_MESSAGE) {
        Some((cut, _)) => format!("{}…", &line[..cut]),
        None => line,
    }
}

/// What `Retry-After` asks for, a date held against the server's own `Date`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let now = date(headers).unwrap_or(Timestamp::from_millis(i64::MAX));
    domain::retry_after(text, now).filter(|wait| !wait.is_zero())
}

/// When the server says that it answered.
pub(super) fn date(headers: &HeaderMap) -> Option<Timestamp> {
    let date = DateTime::parse_from_rfc2822(headers.get(DATE)?.to_str().ok()?).ok()?;
    Some(Timestamp::from_millis(date.timestamp_millis()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Resource;
    use reqwest::header::HeaderValue;

    fn judge(status: u16, body: &str) -> Failure {
        let status = StatusCode::from_u16(status).unwrap();
        Failure::of_status(Asked::Usage(Resource::CpuCores), status, &HeaderMap::new(), body.as_bytes())
    }

    #[test]
    fn each_status_has_its_meaning() {
        let timed_out = r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#;
        assert!(matches!(judge(503, timed_out), Failure::TooMuch { timed_out: true, .. }));
        assert!(matches!(judge(504, ""), Failure::TooMuch { timed_out: true, .. }));
        assert!(matches!(judge(503, "starting"), Failure::Passing { .. }));
        assert!(matches!(judge(429, ""), Failure::Passing { .. }));
        let too_much = [
            "query processing would load too many samples into memory in query execution",
            "the query exceeded the maximum number of chunks (err-mimir-max-chunks-per-query)",
            "cannot select more than -search.maxSamplesPerQuery=1000000000 samples",
            "",
        ];
        for words in too_much {
            assert!(matches!(judge(422, words), Failure::TooMuch { timed_out: false, .. }), "{words}");
        }
        let twice = "many-to-many matching not allowed: matching labels must be unique on one side";
        assert!(matches!(judge(422, twice), Failure::Final(SourceError::Query { .. })));
        assert!(matches!(judge(403, ""), Failure::Final(SourceError::Unauthorized(_))));
        let Failure::Final(error) = judge(404, "<h1>no\nsuch page</h1>") else { panic!("404 is final") };
        assert_eq!(
            error.to_string(),
            "have the query for cpu_cores answered: it answered 404 Not Found: <h1>no such page</h1>; \
             check prometheus.url"
        );
    }

    #[test]
    fn a_wait_is_read_in_both_forms() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after(&headers), None);
        headers.insert(RETRY_AFTER, HeaderValue::from_static("7"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(7)));
        headers.insert(RETRY_AFTER, HeaderValue::from_static("Wed, 21 Oct 2015 07:28:30 GMT"));
        assert_eq!(retry_after(&headers), None);
        headers.insert(DATE, HeaderValue::from_static("Wed, 21 Oct 2015 07:28:00 GMT"));
        assert_eq!(retry_after(&headers), Some(Duration::from_secs(30)));
    }

    #[test]
    fn long_words_are_shortened() {
        assert_eq!(excerpt("a\n  b"), "a b");
        assert_eq!(excerpt(&"ä".repeat(1000)).chars().count(), LONGEST_MESSAGE + 1);
    }
}
