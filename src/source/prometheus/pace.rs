//! How fast and how much at once a server is asked: so many queries a second
//! and at once, fewer where it shows that it is strained.
//!
//! A query that was refused for now, ran out of time or was answered slowly
//! strains the server. All queries then rest, those of other resources too, and
//! go one by one until an answer comes quickly again.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::PrometheusSettings;

/// How the queries to one server follow each other.
pub(super) struct Pace {
    places: Semaphore,
    all_places: u32,
    limiter: DefaultDirectRateLimiter,
    slow_after: Duration,
    longest_rest: Duration,
    rest_until: Mutex<Option<Instant>>,
    is_strained: AtomicBool,
    /// Whether the last query that ended was given up.
    is_lost: AtomicBool,
}

impl Pace {
    pub fn new(settings: &PrometheusSettings) -> Self {
        let at_once = u32::try_from(settings.max_queries_at_once).unwrap_or(u32::MAX);
        let a_second = u32::try_from(settings.max_queries_per_second).unwrap_or(u32::MAX);
        let a_second = NonZeroU32::new(a_second).unwrap_or(NonZeroU32::MIN);
        // Without a burst beyond what may run at once anyway.
        let burst = NonZeroU32::new(at_once.min(a_second.get())).unwrap_or(NonZeroU32::MIN);
        Pace {
            places: Semaphore::new(settings.max_queries_at_once),
            all_places: at_once,
            limiter: RateLimiter::direct(Quota::per_second(a_second).allow_burst(burst)),
            slow_after: settings.slow_after,
            longest_rest: settings.retry.longest_wait,
            rest_until: Mutex::new(None),
            is_strained: AtomicBool::new(false),
            is_lost: AtomicBool::new(false),
        }
    }

    /// Waits until a query may be sent; it may run while the permit is held.
    pub async fn turn(&self) -> SemaphorePermit<'_> {
        let places = if self.is_strained.load(Ordering::Relaxed) { self.all_places } else { 1 };
        let permit = loop {
            // The semaphore is never closed, so there always is a permit.
            if let Ok(permit) = self.places.acquire_many(places).await {
                break permit;
            }
        };
        loop {
            let until = *self.rest_until.lock();
            match until.filter(|until| *until > Instant::now()) {
                Some(until) => tokio::time::sleep_until(until).await,
                None => break,
            }
        }
        self.limiter.until_ready().await;
        permit
    }

    /// A query was answered after this long; gives whether that is slow.
    pub fn answered(&self, took: Duration) -> bool {
        self.is_lost.store(false, Ordering::Relaxed);
        let is_slow = took > self.slow_after;
        self.is_strained.store(is_slow, Ordering::Relaxed);
        if is_slow {
            // So that it is busy with these queries half of the time at most.
            self.rest(took);
        }
        is_slow
    }

    /// The server asked to be left alone, or could not keep up.
    pub fn strained(&self, rest: Duration) {
        self.is_strained.store(true, Ordering::Relaxed);
        self.rest(rest);
    }

    /// A query was given up; the next ones are tried only once until one is answered.
    pub fn lost(&self) {
        self.is_lost.store(true, Ordering::Relaxed);
    }

    /// Whether the last query that ended was given up.
    pub fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    fn rest(&self, rest: Duration) {
        let until = Instant::now() + rest.min(self.longest_rest);
        let mut held = self.rest_until.lock();
        *held = Some(held.map_or(until, |held| held.max(until)));
    }
}
