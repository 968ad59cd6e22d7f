//! The clocks of a running daemon.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::Timestamp;
use crate::ports::Clock;

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// A clock that began at another instant and runs on from there: the present
/// of a replay.
#[derive(Debug, Clone, Copy)]
pub struct ClockFrom {
    began_at: Timestamp,
    when: std::time::Instant,
}

impl ClockFrom {
    /// Says `instant` now.
    pub fn new(instant: Timestamp) -> Self {
        ClockFrom { began_at: instant, when: std::time::Instant::now() }
    }
}

impl Clock for ClockFrom {
    fn now(&self) -> Timestamp {
        self.began_at.plus(self.when.elapsed())
    }
}
