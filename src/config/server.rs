//! Where the API and the pages are served.

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::SecretString;

use super::reader::{Reader, Section};
use super::secret::SecretKeys;

/// Where and how the API and the pages are served.
#[derive(Debug, Clone)]
pub struct Server {
    /// The address and port to listen at.
    pub listen_address: SocketAddr,
    /// The token that lets callers in; `None` for one that is made at the
    /// first start.
    pub token: Option<SecretString>,
    /// The largest request body, in bytes.
    pub max_body: usize,
    /// How long an answer may take.
    pub request_time_out: Duration,
    /// How long the end may take.
    pub shutdown_time_limit: Duration,
    /// The most entries of one page of a list.
    pub max_page: usize,
    /// The most points of one answer about usage.
    pub max_points: usize,
    /// How many callers may wait for a change of quotas at once.
    pub max_waiting: usize,
    /// How long one may wait.
    pub longest_wait: Duration,
    /// How many connections there may be, and what each may do.
    pub connections: ConnectionLimits,
}

/// How many connections there may be, and what each may do.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// The most at once.
    pub max_connections: usize,
    /// How long a request's head may take, the wait for it among it.
    pub head_time_out: Duration,
    /// The largest head, in bytes.
    pub max_head: usize,
    /// The most headers of a request.
    pub max_headers: usize,
    /// How long an answer may stand still because its reader takes nothing.
    pub stalled_time_out: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        ConnectionLimits {
            max_connections: 512,
            head_time_out: Duration::from_secs(30),
            max_head: 64 << 10,
            max_headers: 100,
            stalled_time_out: Duration::from_secs(30),
        }
    }
}

impl ConnectionLimits {
    fn read(section: &mut Section<'_, '_>) -> Self {
        let defaults = ConnectionLimits::default();
        ConnectionLimits {
            max_connections: section.count(
                "max_connections",
                "The most connections at once. Where all are taken, the one that has been without a \
                 request for longest is closed for a new one; where each is busy, the new one gets 503. \
                 Keep it some hundreds below the limit of open files (`ulimit -n`, LimitNOFILE).",
                defaults.max_connections,
                1..=1_000_000,
            ),
            head_time_out: section.duration(
                "head_time_out",
                "How long a connection may take to send the head of a request, the wait between two \
                 requests included; then it is closed.",
                defaults.head_time_out,
                Duration::from_millis(100)..=Duration::from_secs(600),
            ),
            max_head: section.size(
                "max_head",
                "The largest head of a request, its path and headers; a larger one is answered with 431.",
                defaults.max_head as u64,
                8 << 10..=1 << 20,
            ),
            max_headers: section.count(
                "max_headers",
                "The most headers of a request; one with more is answered with 431.",
                defaults.max_headers,
                10..=1_000,
            ),
            stalled_time_out: section.duration(
                "stalled_time_out",
                "How long an answer may stand still because its reader takes nothing; then the connection \
                 is closed.",
                defaults.stalled_time_out,
                Duration::from_millis(100)..=Duration::from_secs(600),
            ),
        }
    }
}

impl Server {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section("server", "The API, the dashboard and Plimsoll's own metrics.");
        Server {
            listen_address: read_address(&mut section),
            token: section.secret(&SecretKeys {
                name: "token",
                file_name: "token_file",
                about: "The bearer token of the first administrator, at least 16 characters. Without \
                        one a token is made at the first start and printed once; only its hash is kept.",
                least: 16,
            }),
            max_body: section.size(
                "max_body",
                "The largest body of a request that is read; a larger one is answered with 413.",
                1 << 20,
                1 << 10..=1 << 30,
            ),
            request_time_out: section.duration(
                "request_time_out",
                "How long an answer may take before it is given up with 503.",
                Duration::from_secs(30),
                Duration::from_millis(100)..=Duration::from_secs(600),
            ),
            shutdown_time_limit: section.duration(
                "shutdown_time_limit",
                "How long the running step may take to finish after SIGTERM; then it is given up. Keep \
                 it below the grace period of whatever stops the daemon (30s on Kubernetes).",
                Duration::from_secs(20),
                Duration::ZERO..=Duration::from_secs(600),
            ),
            max_page: section.count(
                "max_page",
                "The most entries of one page of a list. Callers that ask for more get this many and a \
                 cursor for the rest.",
                500,
                1..=10_000,
            ),
            max_points: section.count(
                "max_points",
                "The most points of one answer about usage. A longer range is refused; the caller asks \
                 for a shorter one, or for coarser points.",
                11_000,
                100..=1_000_000,
            ),
            max_waiting: section.count(
                "max_waiting",
                "How many callers may wait for a change of a tenant's quotas (?wait=20s) at once. One \
                 more is answered with 503, and polls again.",
                1000,
                1..=100_000,
            ),
            longest_wait: section.duration(
                "longest_wait",
                "How long such a caller may wait; whoever asks for longer waits this long, and never \
                 more than four fifths of request_time_out.",
                Duration::from_secs(20),
                Duration::from_millis(100)..=Duration::from_secs(600),
            ),
            connections: ConnectionLimits::read(&mut section),
        }
    }
}

fn read_address(section: &mut Section<'_, '_>) -> SocketAddr {
    let listen_address = section.address(
        "listen_address",
        "Where to listen. Only this machine can reach 127.0.0.1 and [::1].",
        SocketAddr::from(([127, 0, 0, 1], 7117)),
    );
    let allow_remote = section.switch(
        "allow_remote",
        "Lets listen_address be one that other machines can reach. Plimsoll speaks no TLS yet, so \
             tokens and usage would cross the network in the clear: put a proxy with TLS before it, \
             or keep it inside a network that you trust.",
        false,
    );
    if !listen_address.ip().is_loopback() && !allow_remote {
        section.conflict(
            &["listen_address"],
            format!("is {listen_address}, which other machines can reach, and there is no TLS yet"),
            "listen at 127.0.0.1 behind a proxy with TLS, or set server.allow_remote = true",
        );
    }
    listen_address
}
