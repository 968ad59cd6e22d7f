//! One query, seen through: who is asked and with which proof, how often it is
//! tried again, and how many run at once.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::Utc;
use parking_lot::Mutex;
use prometheus_http_query::Client as QueryClient;
use prometheus_http_query::error::Error as QueryError;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Response, Url};
use secrecy::ExposeSecret;
use tokio::sync::SemaphorePermit;
use tokio::time::Instant;
use tracing::Instrument;

use super::PrometheusSettings;
use super::answer::{Answer, Series};
use super::failure::{Failure, date, excerpt};
use super::grid::Grid;
use super::pace::Pace;
use super::settings::Retry;
use crate::config::Credentials;
use crate::domain::Timestamp;
use crate::ports::{Asked, SourceError};
use crate::telemetry::{TRACEPARENT, traceparent};

/// An expression longer than this goes as a form rather than in the URL, which
/// proxies cut.
const LONGEST_IN_URL: usize = 1500;

/// When a query is evaluated.
#[derive(Debug, Clone, Copy)]
pub(super) enum When {
    /// At each point of a grid.
    Grid(Grid),
    /// At `parts + 1` instants spread over a grid, its ends among them.
    Spread(Grid, u32),
}

impl When {
    fn grid(self) -> Grid {
        match self {
            When::Grid(grid) | When::Spread(grid, _) => grid,
        }
    }
}

/// Gives each sample the time of the point that it was asked for.
pub(super) fn back_on_the_points(mut series: Vec<Series>, grid: Grid) -> Vec<Series> {
    for sample in series.iter_mut().flat_map(|series| &mut series.values) {
        sample.at = sample.at.minus(grid.asked_after());
    }
    series
}

/// One query.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    /// What it is about, for messages.
    pub asked: Asked,
    /// The PromQL.
    pub expression: &'a str,
    /// When it is evaluated.
    pub when: When,
}

/// What a query gave.
pub(super) struct Answered {
    /// The series, in no order.
    pub series: Vec<Series>,
    /// Whether the server took long over it.
    pub was_slow: bool,
}

/// Asks one server.
pub(super) struct Client {
    queries: QueryClient,
    proof: Option<HeaderValue>,
    url: String,
    time_out: Duration,
    max_answer_bytes: usize,
    pace: Pace,
    retry: Retry,
    jitter: Mutex<ChaCha8Rng>,
    /// How far the server's clock is ahead of ours, in milliseconds.
    clock_ahead: AtomicI64,
}

impl Client {
    pub fn new(settings: &PrometheusSettings) -> Result<Self, SourceError> {
        let url = settings.url.trim_end_matches('/').to_owned();
        check_url(&url)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("plimsoll/", env!("CARGO_PKG_VERSION")))
            .default_headers(headers(settings)?)
            .timeout(settings.time_out)
            .connect_timeout(settings.connect_time_out)
            // A redirect could carry the headers, which may be secrets, elsewhere.
            .redirect(Policy::none());
        if let Some(pem) = &settings.ca_pem {
            let certificates = Certificate::from_pem_bundle(pem.as_bytes());
            let certificates =
                certificates.map_err(|error| unusable(format!("prometheus.ca_file: {error}")))?;
            builder = builder.tls_certs_merge(certificates);
        }
        let http = builder.build().map_err(|error| unusable(format!("prometheus.ca_file: {error}")))?;
        let proof = proof(&http, &url, &settings.credentials)?;
        let queries = QueryClient::from(http, &url).map_err(|error| unusable(error.to_string()))?;
        Ok(Client {
            queries,
            proof: proof.get(AUTHORIZATION).cloned(),
            url,
            time_out: settings.time_out,
            max_answer_bytes: settings.max_answer_bytes,
            pace: Pace::new(settings),
            jitter: Mutex::new(ChaCha8Rng::seed_from_u64(settings.retry.jitter_seed)),
            retry: settings.retry.clone(),
            clock_ahead: AtomicI64::new(0),
        })
    }

    /// How far the server's clock is ahead of ours, in milliseconds, as its last
    /// answer said.
    pub fn clock_ahead(&self) -> i64 {
        self.clock_ahead.load(Ordering::Relaxed)
    }

    /// Waits until a query may be sent.
    pub async fn turn(&self) -> SemaphorePermit<'_> {
        self.pace.turn().await
    }

    /// What a query gives whose turn it is, tried again while that may help.
    pub async fn ask(&self, turn: SemaphorePermit<'_>, query: Query<'_>) -> Result<Answered, Failure> {
        let span = tracing::info_span!("query", asked = %query.asked, otel.kind = "client");
        self.ask_patiently(turn, query).instrument(span).await
    }

    async fn ask_patiently(
        &self,
        mut turn: SemaphorePermit<'_>,
        query: Query<'_>,
    ) -> Result<Answered, Failure> {
        let mut tries = 0;
        loop {
            match self.ask_once(turn, query).await {
                Err(Failure::Passing { message, retry_after }) => {
                    let wait = pause(&self.retry, tries, self.jitter.lock().random());
                    let wait = retry_after.map_or(wait, |asked| asked.max(wait));
                    if retry_after.is_some_and(|asked| asked > self.retry.longest_wait)
                        || !self.may_try(tries)
                    {
                        self.pace.lost();
                        return Err(Failure::Passing { message, retry_after });
                    }
                    tracing::debug!(asked = %query.asked, ?wait, "a query will be tried again: {message}");
                    tries += 1;
                    self.pace.strained(wait);
                    turn = self.pace.turn().await;
                }
                Err(failure) => {
                    if let Failure::TooMuch { timed_out: true, .. } = failure {
                        self.pace.strained(self.retry.first_wait);
                    }
                    return Err(failure);
                }
                Ok(answered) => return Ok(answered),
            }
        }
    }

    /// Whether a query that has failed so often for now may be tried again. A
    /// server that was given up is tried once by each query until it answers.
    pub fn may_try(&self, failed: usize) -> bool {
        failed < self.retry.retries && !self.pace.is_lost()
    }

    /// Notes that a query was given up.
    pub fn give_up(&self) {
        self.pace.lost();
    }

    async fn ask_once(&self, turn: SemaphorePermit<'_>, query: Query<'_>) -> Result<Answered, Failure> {
        let begun = Instant::now();
        let mut response = self.send(query).await?;
        if let Some(ahead) = clock_ahead(response.headers()) {
            self.clock_ahead.store(ahead, Ordering::Relaxed);
        }
        let body = self.read(&mut response).await?;
        let (status, asked) = (response.status(), query.asked);
        if !status.is_success() {
            return Err(Failure::of_status(asked, status, response.headers(), &body));
        }
        let was_slow = self.pace.answered(begun.elapsed());
        // The server has done its part; another query may go while this answer is read.
        drop(turn);
        // A full answer takes tens of milliseconds to read.
        let grid = query.when.grid();
        let read = move || read_series(asked, &body).map(|series| back_on_the_points(series, grid));
        let read = tokio::task::spawn_blocking(read).await;
        let series =
            read.unwrap_or_else(|error| Err(malformed(asked, format!("reading it broke off: {error}"))))?;
        Ok(Answered { series, was_slow })
    }

    async fn send(&self, query: Query<'_>) -> Result<Response, Failure> {
        let (grid, step) = match query.when {
            When::Grid(grid) => (grid, grid.step.millis() as f64 / 1000.0),
            When::Spread(grid, parts) => {
                let span = grid.last().since(grid.start).max(Duration::from_secs(1));
                (grid, (span / parts.max(1)).as_secs_f64())
            }
        };
        let asked = |at: Timestamp| at.plus(grid.asked_after()).seconds();
        let (start, end) = (asked(grid.start), asked(grid.last()));
        let mut request =
            self.queries.query_range(query.expression, start, end, step).timeout(millis(self.time_out));
        if let Some(proof) = &self.proof {
            request = request.header(AUTHORIZATION, proof.clone());
        }
        if let Some(trace) = traceparent().and_then(|trace| HeaderValue::from_str(&trace).ok()) {
            request = request.header(TRACEPARENT, trace);
        }
        let fits = query.expression.len() <= LONGEST_IN_URL;
        let sent = if fits { request.get_raw().await } else { request.post_raw().await };
        sent.map_err(|error| self.not_sent(error))
    }

    fn not_sent(&self, error: QueryError) -> Failure {
        match &error {
            QueryError::Client(client) => match client.inner() {
                Some(transport) => self.broken(transport),
                None => Failure::Passing { message: client.to_string(), retry_after: None },
            },
            other => Failure::Final(SourceError::Unreachable(other.to_string())),
        }
    }

    fn broken(&self, error: &reqwest::Error) -> Failure {
        Failure::of_transport(error, &self.url, self.time_out)
    }

    async fn read(&self, response: &mut Response) -> Result<Vec<u8>, Failure> {
        let mut body = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.broken(&error))? {
            if body.len() + part.len() > self.max_answer_bytes {
                let message = format!("the answer is larger than {} bytes", self.max_answer_bytes);
                return Err(Failure::TooMuch { message, timed_out: false });
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }
}

/// How far ahead of ours the clock is that has dated an answer, in milliseconds.
/// A date counts whole seconds, so less than two of them are none.
fn clock_ahead(headers: &HeaderMap) -> Option<i64> {
    let ahead = date(headers)?.millis().saturating_sub(Utc::now().timestamp_millis());
    Some(if ahead.abs() < 2000 { 0 } else { ahead })
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The series that the text of an answer holds.
pub(super) fn read_series(asked: Asked, body: &[u8]) -> Result<Vec<Series>, Failure> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        let begin = excerpt(&String::from_utf8_lossy(&body[..body.len().min(80)]));
        malformed(asked, format!("{error}; it begins with {begin:?}"))
    })?;
    for warning in &answer.warnings {
        tracing::warn!(%asked, "the source warns: {}", excerpt(warning));
    }
    match answer.data {
        Some(data) if answer.status == "success" => Ok(data.result),
        _ if answer.error.is_empty() => {
            Err(malformed(asked, "it holds neither data nor an error".to_owned()))
        }
        _ => Err(Failure::Final(SourceError::Query { asked, message: excerpt(&answer.error) })),
    }
}

fn malformed(asked: Asked, message: String) -> Failure {
    Failure::Final(SourceError::Malformed { asked, message })
}

fn unusable(message: String) -> SourceError {
    SourceError::Settings(message)
}

/// The text of the URL is not repeated: it could hold a password.
fn check_url(text: &str) -> Result<(), SourceError> {
    let url = Url::parse(text).map_err(|error| unusable(format!("prometheus.url: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(unusable("prometheus.url: begin it with http:// or https:// and a host".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(unusable("prometheus.url: it holds a user name or password; give them apart".to_owned()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(unusable("prometheus.url: end it before the \"?\" or \"#\"".to_owned()));
    }
    Ok(())
}

fn headers(settings: &PrometheusSettings) -> Result<HeaderMap, SourceError> {
    let mut headers = HeaderMap::new();
    for (name, value) in &settings.headers {
        let key = format!("prometheus.headers.{name}");
        let name = HeaderName::from_bytes(name.as_bytes());
        let name = name.map_err(|_| unusable(format!("{key}: it is no name of a header")))?;
        let value = HeaderValue::from_str(value.expose_secret());
        let mut value = value.map_err(|_| unusable(format!("{key}: it can't be sent in a header")))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

/// The `Authorization` header, as reqwest itself would write it.
fn proof(http: &reqwest::Client, url: &str, credentials: &Credentials) -> Result<HeaderMap, SourceError> {
    let request = match credentials {
        Credentials::None => return Ok(HeaderMap::new()),
        Credentials::Bearer(token) => http.get(url).bearer_auth(token.expose_secret()),
        Credentials::Basic { username, password } => {
            http.get(url).basic_auth(username, Some(password.expose_secret()))
        }
    };
    let request = request.build();
    let request = request.map_err(|_| unusable("the credentials can't be sent in a header".to_owned()))?;
    Ok(request.headers().clone())
}

/// The wait before the retry after `tries` of them: doubled each time, half of
/// it by chance (0 to 1).
fn pause(retry: &Retry, tries: usize, chance: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(u32::try_from(tries).unwrap_or(u32::MAX));
    let longest = retry.first_wait.saturating_mul(doubled).min(retry.longest_wait);
    longest.mul_f64(0.5 + 0.5 * chance)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use reqwest::header::DATE;

    use super::*;

    /// The headers of an answer whose server's clock is off by so many seconds.
    fn dated(off: i64) -> HeaderMap {
        let date = Utc::now() + TimeDelta::seconds(off);
        let date = date.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        HeaderMap::from_iter([(DATE, HeaderValue::from_str(&date).unwrap())])
    }

    #[test]
    fn an_answer_tells_how_far_the_servers_clock_is_off() {
        for off in [600, -600, 86_400] {
            let ahead = clock_ahead(&dated(off)).unwrap();
            // A date counts whole seconds, and reading it takes a while.
            assert!((-10_000..=0).contains(&(ahead - off * 1000)), "{ahead} ms instead of {off} s");
        }
        assert_eq!(clock_ahead(&dated(1)), Some(0), "less than two seconds say nothing");
        let no_date = HeaderMap::from_iter([(DATE, HeaderValue::from_static("yesterday"))]);
        assert_eq!((clock_ahead(&HeaderMap::new()), clock_ahead(&no_date)), (None, None));
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let retry = Retry::default();
        let seconds: Vec<f64> = (0..9).map(|tries| pause(&retry, tries, 1.0).as_secs_f64()).collect();
        assert_eq!(seconds, [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]);
        assert_eq!(pause(&retry, 0, 0.0), Duration::from_millis(250));
        assert_eq!(pause(&retry, 4000, 0.0), Duration::from_secs(15));
    }
}
