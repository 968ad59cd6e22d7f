//! Where usage is read, and how gently.

use std::time::Duration;

use secrecy::SecretString;

use super::reader::{Complaint, Key, Reader, Section};
use super::secret::SecretKeys;
use super::units::{days, show_duration};
use super::values::plain_text;
use crate::domain::Step;

/// How callers show who they are.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// None are asked for.
    None,
    /// `Authorization: Bearer ...`.
    Bearer(SecretString),
    /// `Authorization: Basic ...`.
    Basic {
        /// The user's name.
        username: String,
        /// The password.
        password: SecretString,
    },
}

/// Where usage is read, and how gently.
#[derive(Debug, Clone)]
pub struct Prometheus {
    /// The base URL, http or https, without a slash at its end.
    pub url: String,
    /// How Plimsoll shows who it is.
    pub credentials: Credentials,
    /// Headers that go with each query: name and value.
    pub headers: Vec<(String, SecretString)>,
    /// Certificates to trust besides the system's, as PEM.
    pub ca_pem: Option<String>,
    /// How long one query may take.
    pub time_out: Duration,
    /// The distance of two samples.
    pub step: Step,
    /// The label that names the tenant.
    pub tenant_label: String,
    /// How much is asked at once.
    pub limits: QueryLimits,
    /// What follows a query that failed.
    pub retry: Retry,
    /// How far back the first collection goes.
    pub backfill: Duration,
    /// The longest range that is collected and kept in one go.
    pub slice: Duration,
    /// How old a sample must be before it is taken.
    pub settle: Duration,
}

impl Prometheus {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section(
            "prometheus",
            "The Prometheus, or anything that speaks its HTTP API (Mimir, Thanos, VictoriaMetrics), \
             that knows the usage.",
        );
        let url = read_url(&mut section);
        let credentials = read_credentials(&mut section);
        let headers = read_headers(&mut section, !matches!(credentials, Credentials::None));
        let ca_pem = read_ca(&mut section);
        Prometheus {
            url,
            credentials,
            headers,
            ca_pem,
            time_out: section.duration(
                "time_out",
                "How long one query may take, answer included.",
                Duration::from_secs(30),
                Duration::from_millis(100)..=Duration::from_secs(600),
            ),
            step: read_step(&mut section),
            tenant_label: read_tenant_label(&mut section),
            limits: QueryLimits::read(&mut section),
            retry: Retry::read(&mut section),
            backfill: section.duration(
                "backfill",
                "How far back the first collection goes. Weekly rhythms need at least two weeks; it is \
                 at most history.keep.",
                days(28),
                Duration::ZERO..=days(730),
            ),
            slice: section.duration(
                "slice",
                "The longest range that is collected, kept and marked as done in one go. After a crash \
                 in the first collection at most this much is asked for again; a shorter one also needs \
                 less memory.",
                days(7),
                Duration::from_secs(3600)..=days(90),
            ),
            settle: section.duration(
                "settle",
                "How old a sample must be before it is taken, so that late scrapes and recording rules \
                 are in. What is taken is not asked for again.",
                Duration::from_secs(60),
                Duration::ZERO..=Duration::from_secs(3600),
            ),
        }
    }
}

/// How much is asked of Prometheus at once.
#[derive(Debug, Clone)]
pub struct QueryLimits {
    /// The most samples that one query may return.
    pub max_samples_per_query: usize,
    /// The most queries at once.
    pub max_queries_at_once: usize,
    /// The most queries a second.
    pub max_queries_per_second: usize,
    /// An answer that took longer is a slow one.
    pub slow_after: Duration,
    /// The most series of one resource.
    pub max_series: usize,
    /// The largest answer that is read, in bytes.
    pub max_answer: usize,
    /// The most series that are named when they can't be used.
    pub max_refused_named: usize,
    /// How often a query that is too large is halved.
    pub max_halvings: usize,
}

impl QueryLimits {
    fn read(section: &mut Section<'_, '_>) -> Self {
        QueryLimits {
            max_samples_per_query: section.count(
                "max_samples_per_query",
                "A longer range is split so that no answer holds more samples than this. Keep it well \
                 below Prometheus' own `--query.max-samples`.",
                500_000,
                1_000..=50_000_000,
            ),
            max_queries_at_once: section.count(
                "max_queries_at_once",
                "How many queries run at the same time. More fill the history sooner at first start, \
                 and take more of Prometheus from its other users.",
                2,
                1..=64,
            ),
            max_queries_per_second: section.count(
                "max_queries_per_second",
                "How many queries are sent in a second, all resources together.",
                20,
                1..=10_000,
            ),
            slow_after: section.duration(
                "slow_after",
                "An answer that takes longer shows that Prometheus is strained: as long a rest follows (at \
                 most longest_retry_wait), the next queries ask for half as much, and go one by one until \
                 one is answered sooner. The same follows 429, 503 and what runs out of time.",
                Duration::from_secs(10),
                Duration::from_millis(10)..=Duration::from_secs(600),
            ),
            max_series: section.count(
                "max_series",
                "The most series that one expression may return. An answer with more is refused whole: \
                 it most likely misses an aggregation by tenant.",
                20_000,
                1..=1_000_000,
            ),
            max_answer: section.size(
                "max_answer",
                "The largest answer that is read; a larger one is broken off and the range halved.",
                256 << 20,
                1 << 20..=4 << 30,
            ),
            max_refused_named: section.count(
                "max_refused_named",
                "The most series that one fetch names in the log because they can't be used; the rest \
                 are counted.",
                20,
                0..=1_000,
            ),
            max_halvings: section.count(
                "max_halvings",
                "How often a range is halved after Prometheus said that it is too much. After that the \
                 tenants are asked for in up to 216 smaller shares, by the last characters of their names, \
                 where the expression keeps them apart; else the fetch is given up until the next cycle.",
                11,
                0..=16,
            ),
        }
    }
}

/// What follows a query that failed.
#[derive(Debug, Clone)]
pub struct Retry {
    /// How often it is tried again.
    pub retries: usize,
    /// The wait before the first retry; it doubles each time.
    pub first_wait: Duration,
    /// The longest wait before a retry.
    pub longest_wait: Duration,
}

impl Retry {
    fn read(section: &mut Section<'_, '_>) -> Self {
        Retry {
            retries: section.count(
                "retries",
                "How often a query that failed (no answer, 429, 5xx) is tried again in one cycle.",
                4,
                0..=20,
            ),
            first_wait: section.duration(
                "first_retry_wait",
                "The wait before the first retry; it doubles with each one after it.",
                Duration::from_millis(500),
                Duration::from_millis(1)..=Duration::from_secs(600),
            ),
            longest_wait: section.duration(
                "longest_retry_wait",
                "The longest wait before a retry.",
                Duration::from_secs(30),
                Duration::from_millis(1)..=Duration::from_secs(3600),
            ),
        }
    }
}

fn read_url(section: &mut Section<'_, '_>) -> String {
    let example = "\"http://127.0.0.1:9090\"";
    let about = "Its base URL; what comes before `/api/v1/query_range`.";
    let key = Key::new("url", about, "a URL with http or https").example(example).required();
    let url = section.take(key, |value| {
        let text = plain_text(value, example)?;
        let bad = |what: String, mend: &str| Err(Complaint::new(what, mend));
        let url = match reqwest::Url::parse(&text) {
            Ok(url) => url,
            // The text is not repeated: it could hold a password.
            Err(error) => return bad(format!("is no URL: {error}"), "write it like \"http://host:9090\""),
        };
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return bad(
                "is no address of a Prometheus".to_owned(),
                "begin it with http:// or https:// and a host, like \"http://host:9090\"",
            );
        }
        if !url.username().is_empty() || url.password().is_some() {
            return bad(
                "holds a user name or password".to_owned(),
                "use prometheus.username and prometheus.password_file",
            );
        }
        if url.query().is_some() || url.fragment().is_some() {
            return bad("has a query or fragment".to_owned(), "end it before the \"?\" or \"#\"");
        }
        if url.path().contains("/api/v1") {
            return bad("holds the path of the API".to_owned(), "end it before /api/v1");
        }
        Ok(url.as_str().trim_end_matches('/').to_owned())
    });
    url.unwrap_or_default()
}

fn read_credentials(section: &mut Section<'_, '_>) -> Credentials {
    let bearer = section.secret(&SecretKeys {
        name: "bearer_token",
        file_name: "bearer_token_file",
        about: "A token to send as `Authorization: Bearer`.",
        least: 1,
    });
    let key = Key::new("username", "A user name for basic authentication.", "a text").example("\"plimsoll\"");
    let username = section.take(key, |value| {
        let name = plain_text(value, "\"plimsoll\"")?;
        if name.contains(':') {
            return Err(Complaint::new("holds a colon, which ends a user name", "write the name alone"));
        }
        Ok(name)
    });
    let password = section.secret(&SecretKeys {
        name: "password",
        file_name: "password_file",
        about: "The password that goes with it.",
        least: 1,
    });
    check_credentials(section);
    match (bearer, username, password) {
        (Some(token), _, _) => Credentials::Bearer(token),
        (None, Some(username), Some(password)) => Credentials::Basic { username, password },
        _ => Credentials::None,
    }
}

/// Looks at what is written rather than at what could be read, so that one
/// unreadable file does not give a second, misleading problem.
fn check_credentials(section: &mut Section<'_, '_>) {
    let first_of = |a: &'static str, b: &'static str| [a, b].into_iter().find(|key| section.has(key));
    let bearer = first_of("bearer_token", "bearer_token_file");
    let password = first_of("password", "password_file");
    let has_username = section.has("username");
    if let Some(bearer) = bearer.filter(|_| has_username || password.is_some()) {
        section.conflict(
            &[bearer],
            "is given together with a user name or password",
            "keep the one that the server asks for and remove the other",
        );
    } else if has_username && password.is_none() {
        section.conflict(&["username"], "is given without a password", "add prometheus.password_file");
    } else if let Some(password) = password.filter(|_| !has_username) {
        section.conflict(&[password], "is given without a user name", "add prometheus.username");
    }
}

fn read_headers(section: &mut Section<'_, '_>, has_credentials: bool) -> Vec<(String, SecretString)> {
    let about = "Headers to send with each query, such as the tenant of a Mimir. The values are secrets \
                 and may name variables.";
    let key = Key::new("headers", about, "a table of names and texts")
        .example("{ \"X-Scope-OrgID\" = \"my-platform\" }");
    section.secret_table(key, |name, value| {
        let mend_name = "use letters, digits and hyphens, like X-Scope-OrgID";
        reqwest::header::HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Complaint::new("is no name of a header", mend_name))?;
        reqwest::header::HeaderValue::from_str(value)
            .map_err(|_| Complaint::new("can't be sent in a header", "use plain characters on one line"))?;
        if has_credentials && name.eq_ignore_ascii_case("authorization") {
            return Err(Complaint::new(
                "is given together with a token or password",
                "keep one of them and remove the other",
            ));
        }
        Ok(())
    })
}

fn read_ca(section: &mut Section<'_, '_>) -> Option<String> {
    let about = "Certificates to trust besides the system's, for a server with a certificate of your own.";
    let key = Key::new("ca_file", about, "the path of a PEM file").example("\"ca.pem\"");
    let pem = section.readable_file(key)?;
    if !pem.contains("-----BEGIN CERTIFICATE-----") {
        section.conflict(
            &["ca_file"],
            "names a file that holds no PEM certificate",
            "check that it is the right file",
        );
    }
    Some(pem)
}

fn read_step(section: &mut Section<'_, '_>) -> Step {
    let step = section.duration(
        "step",
        "The distance of two samples. A shorter step sees shorter peaks and costs more of everything; \
         it must divide a day evenly.",
        Step::FIVE_MINUTES.duration(),
        Duration::from_secs(1)..=Duration::from_secs(6 * 3600),
    );
    if !days(1).as_nanos().is_multiple_of(step.as_nanos()) {
        section.conflict(
            &["step"],
            format!("is {}, which does not divide a day evenly", show_duration(step)),
            "use a step such as 1m, 5m, 15m or 1h",
        );
    }
    Step::from_duration(step).unwrap_or(Step::FIVE_MINUTES)
}

fn read_tenant_label(section: &mut Section<'_, '_>) -> String {
    let about = "The label of the answers that names the tenant. Each expression must keep it.";
    section.text("tenant_label", about, "the name of a label", "tenant", |text| {
        let first = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if first && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Ok(());
        }
        let mend = "use letters, digits and underscores, and begin with no digit";
        Err(Complaint::new(format!("{text:?} is no name of a label"), mend))
    })
}
