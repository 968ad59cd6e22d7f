//! How callers are held: how often they may call, how long their tokens live,
//! and whose word on their address counts.

use std::time::Duration;

use super::reader::{Complaint, Key, Reader, Section};
use super::units::{days, hours};
use crate::domain::template::Network;

/// How callers are held.
#[derive(Debug, Clone)]
pub struct Access {
    /// How many tokens that were not seen before may be tried from one address
    /// in a minute.
    pub new_tokens_per_minute: usize,
    /// How many requests a second one token may make.
    pub requests_per_second: usize,
    /// How long a token lets its bearer in where nobody says.
    pub token_life: Duration,
    /// The longest that one may.
    pub longest_token_life: Duration,
    /// The proxies whose word on the caller's address counts.
    pub trusted_proxies: Vec<Network>,
    /// The longest that a session of the dashboard lasts.
    pub session_life: Duration,
    /// How long one lasts while nothing is asked for.
    pub session_idle: Duration,
    /// The most sessions at once.
    pub max_sessions: usize,
    /// How long the answer to a write with an Idempotency-Key is kept.
    pub idempotency_life: Duration,
    /// The most such answers.
    pub max_idempotency_keys: usize,
    /// The most bytes that they take together.
    pub max_idempotency_bytes: usize,
}

impl Access {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let about =
            "Who may call, how often and from where; docs/tenants.md tells of roles and second factors.";
        let mut section = reader.section("access", about);
        let access = Access {
            new_tokens_per_minute: section.count(
                "new_tokens_per_minute",
                "How many tokens that have let nobody in since the start, and how many codes of second factors, \
                 may be tried from one address in a minute. Then the answer is 429.",
                30,
                1..=1_000_000,
            ),
            requests_per_second: section.count(
                "requests_per_second",
                "How many requests a second one token may make. Then the answer is 429.",
                20_000,
                1..=10_000_000,
            ),
            token_life: section.duration(
                "token_life",
                "How long a token lets its bearer in where nobody says.",
                days(90),
                hours(1)..=days(3650),
            ),
            longest_token_life: section.duration(
                "longest_token_life",
                "The longest that a token may let its bearer in. It is at least token_life.",
                days(730),
                hours(1)..=days(3650),
            ),
            trusted_proxies: read_proxies(&mut section),
            session_life: section.duration(
                "session_life",
                "How long a login at the dashboard lasts at most. A restart of the daemon ends it as well.",
                hours(12),
                Duration::from_secs(60)..=days(30),
            ),
            session_idle: section.duration(
                "session_idle",
                "How long a login lasts while the dashboard asks for nothing, as when its page is closed.",
                hours(2),
                Duration::from_secs(60)..=days(30),
            ),
            max_sessions: section.count(
                "max_sessions",
                "The most logins at once. One more ends the one that was idle longest.",
                1_000,
                1..=1_000_000,
            ),
            idempotency_life: section.duration(
                "idempotency_life",
                "How long the answer to a write that carried an Idempotency-Key is kept, for the same write sent \
                 again.",
                hours(24),
                Duration::from_secs(60)..=days(30),
            ),
            max_idempotency_keys: section.count(
                "max_idempotency_keys",
                "The most such answers that are kept. One more takes the place of the oldest.",
                10_000,
                1..=10_000_000,
            ),
            max_idempotency_bytes: section.size(
                "max_idempotency_bytes",
                "The most room that they take together; the oldest make room. An answer takes about 1 KB. One \
                 larger than half of this, or than server.max_body, is not kept: its request, sent again, gets 409.",
                64 << 20,
                64 << 10..=16 << 30,
            ),
        };
        if access.token_life > access.longest_token_life {
            section.conflict(
                &["token_life"],
                "is longer than longest_token_life",
                "lower the one or raise the other",
            );
        }
        access
    }
}

fn read_proxies(section: &mut Section<'_, '_>) -> Vec<Network> {
    let about = "The proxies before the daemon. Only of a call that comes from one of them X-Forwarded-For is \
                 believed, which the addresses of a tenant's ip_whitelist are held against.";
    let key = Key::new("trusted_proxies", about, "a list of networks").example("[\"10.0.0.5/32\"]");
    let proxies = section.list(key, "\"10.0.0.5/32\"", |text| {
        text.parse().map_err(|_| {
            let mend = "write it like \"10.20.0.0/16\", with no bits set behind the prefix";
            Complaint::new(format!("{text:?} is no network"), mend)
        })
    });
    proxies.unwrap_or_default()
}
