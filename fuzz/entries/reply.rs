//! What those answer whom the daemon calls: receivers of notices, and the
//! platform's server that keeps quotas.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use plimsoll::domain::Timestamp;
use plimsoll::engine::Backoff;
use plimsoll::notify;
use plimsoll::ports::{DeliveryError, TargetError};
use plimsoll::target::CallbackTarget;

const NOW: Timestamp = Timestamp::from_seconds(1_790_000_000);
/// The deliverer's own wait, and the longest that a receiver may ask for.
const USUAL_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);
/// The longest message about an answer, in characters: 200 of the answer's own
/// and what stands before them.
const LONGEST_MESSAGE: usize = 300;
/// The largest answer of a target that is read.
const LARGEST_ANSWER: usize = 64 << 10;
const MOST_HEADERS: usize = 20;

/// An answer, as a receiver's and as a target's.
pub fn reply(bytes: &[u8]) {
    let (status, headers, body) = split(bytes);
    of_receiver(status, &headers, body);
    of_target(status, body);
}

fn of_receiver(status: StatusCode, headers: &HeaderMap, body: &[u8]) {
    let outcome = notify::judge(status, headers, body, NOW);
    assert_eq!(outcome.is_ok(), is_good(status), "{status}: {outcome:?}");
    match outcome {
        Ok(()) => {}
        Err(DeliveryError::Gone) => assert_eq!(status, StatusCode::GONE),
        Err(DeliveryError::Failed { message, retry_after }) => {
            assert_is_short(&message);
            assert!(!message.contains(char::is_control), "{message:?}");
            let backoff = Backoff { waits: vec![USUAL_WAIT], jitter: 0.0, longest_asked: LONGEST_WAIT };
            let heeded = retry_after.unwrap_or_default().clamp(USUAL_WAIT, LONGEST_WAIT);
            assert_eq!(backoff.wait(1, retry_after, 0.0), Some(heeded), "{retry_after:?}");
        }
    }
}

fn of_target(status: StatusCode, body: &[u8]) {
    let taken = CallbackTarget::taken(status, body);
    assert_eq!(taken.is_ok(), is_good(status) && body.len() <= LARGEST_ANSWER, "{status}: {taken:?}");
    let held = CallbackTarget::held(status, body);
    match held {
        Ok(Some(limit)) => assert!(is_good(status) && limit.is_finite(), "{status}: {limit}"),
        Ok(None) => assert_eq!(status, StatusCode::NOT_FOUND),
        Err(_) => {}
    }
    for error in [taken.err(), held.err()].into_iter().flatten() {
        let (TargetError::Unreachable { message, .. } | TargetError::Refused { message, .. }) = error;
        assert_is_short(&message);
        assert!(!message.contains(['\r', '\n']), "{message:?}");
    }
}

fn assert_is_short(message: &str) {
    assert!(!message.is_empty(), "a failure without words");
    assert!(message.chars().count() <= LONGEST_MESSAGE, "{message:?}");
}

fn is_good(status: StatusCode) -> bool {
    (200..300).contains(&status.as_u16())
}

/// Takes bytes for an answer: a line with the status, one for each header, an
/// empty line, and the body.
pub(super) fn split(bytes: &[u8]) -> (StatusCode, HeaderMap, &[u8]) {
    let (head, body) = match bytes.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&bytes[..at], &bytes[at + 2..]),
        None => (bytes, &bytes[bytes.len()..]),
    };
    let mut lines = head.split(|byte| *byte == b'\n');
    let status = status_of(lines.next().unwrap_or_default());
    let mut headers = HeaderMap::new();
    for line in lines.take(MOST_HEADERS) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    (status, headers, body)
}

/// The status that a line says. One that says none stands for any, so that what
/// follows it is not lost.
fn status_of(line: &[u8]) -> StatusCode {
    StatusCode::from_bytes(line).unwrap_or_else(|_| {
        let sum = line.iter().fold(0_u16, |sum, byte| sum.wrapping_mul(31).wrapping_add(u16::from(*byte)));
        StatusCode::from_u16(100 + sum % 900).expect("100 to 999 are statuses")
    })
}
