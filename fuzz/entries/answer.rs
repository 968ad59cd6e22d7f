//! What a Prometheus answers: the usage of a range, one number of each tenant, or
//! that it can't.

use std::sync::LazyLock;
use std::time::Duration;

use axum::http::StatusCode;
use plimsoll::domain::{Meter, Resource, Step, TimeRange, Timestamp};
use plimsoll::ports::{Asked, SourceError};
use plimsoll::source::{PrometheusSettings, PrometheusSource};

use super::reply::split;

const START: Timestamp = Timestamp::from_seconds(1_700_000_100);
const MOST_SERIES: usize = 10;
/// The longest message about an answer, in characters: 300 of the server's own
/// words and what stands around them.
const LONGEST_MESSAGE: usize = 500;

static SOURCE: LazyLock<PrometheusSource> = LazyLock::new(|| {
    let expressions = [(Resource::CpuCores, "usage".to_owned())].into();
    let mut settings = PrometheusSettings::new("http://127.0.0.1:9", expressions);
    settings.max_series = MOST_SERIES;
    PrometheusSource::new(settings).expect("the settings are good")
});

/// An answer. The first byte says to which question, where it is one of four that
/// begin no JSON: the availability, the latency, a meter, or any that failed, which
/// is read with its status and headers as a reply is. All else is of usage.
pub fn answer(bytes: &[u8]) {
    match bytes.split_first() {
        Some((b'A', rest)) => measured(Asked::Availability, rest),
        Some((b'L', rest)) => measured(Asked::Latency, rest),
        Some((b'M', rest)) => measured(Asked::Metered(Meter::TrainingHours), rest),
        Some((b'E', rest)) => refusal(rest),
        _ => usage(bytes),
    }
}

/// Whatever it holds, the samples that come of it lie in the range and on the grid,
/// and are numbers from zero up.
fn usage(bytes: &[u8]) {
    let range = TimeRange { start: START, end: START.plus(Duration::from_secs(24 * 300)) };
    let Ok(fetched) = SOURCE.read(Resource::CpuCores, range, bytes) else { return };
    assert!(fetched.frame.series.len() <= MOST_SERIES);
    for series in fetched.frame.series.values() {
        assert!(series.start >= range.start && series.end() <= range.end && series.samples() > 0);
        assert_eq!(series.step, Step::FIVE_MINUTES);
        assert!(series.values.iter().all(|value| value.is_nan() || *value >= 0.0));
    }
}

/// A share lies between 0 and 1, and what was used up is a number from zero up.
fn measured(asked: Asked, bytes: &[u8]) {
    let Ok(found) = SOURCE.read_measured(asked, START, bytes) else { return };
    assert!(found.by_tenant.len() <= MOST_SERIES);
    let most = if matches!(asked, Asked::Metered(_)) { f64::MAX } else { 1.0 };
    assert!(found.by_tenant.values().all(|value| (0.0..=most).contains(value)), "{found:?}");
}

/// It is told of in few words and on one line; only what may pass asks for a wait,
/// and only a status that says so means that the credentials are wrong.
fn refusal(bytes: &[u8]) {
    let (status, headers, body) = split(bytes);
    if status.is_success() {
        return;
    }
    let (error, wait) = PrometheusSource::refusal(Asked::Availability, status, &headers, body);
    let told = error.to_string();
    assert!(told.chars().count() <= LONGEST_MESSAGE && !told.contains(['\r', '\n']), "{told:?}");
    let may_pass = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    assert!(wait.is_none_or(|wait| may_pass && !wait.is_zero()), "{status}: {wait:?}");
    let is_kept_out = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
    assert_eq!(matches!(error, SourceError::Unauthorized(_)), is_kept_out, "{status}: {told}");
}
