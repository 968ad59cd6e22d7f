//! The time zone that people live by.

use std::fmt;
use std::str::FromStr;

use chrono::Offset;
use chrono_tz::Tz;

use super::{DomainError, Timestamp};

/// A time zone of the IANA database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(pub(super) Tz);

impl Zone {
    /// The zone of every instant here.
    pub const UTC: Zone = Zone(Tz::UTC);

    /// By how many milliseconds the clock on the wall is ahead of UTC; 0 at an
    /// instant that no calendar knows.
    pub fn ahead_of_utc(&self, at: Timestamp) -> i64 {
        let seconds = at.to_utc().map(|time| time.with_timezone(&self.0).offset().fix().local_minus_utc());
        i64::from(seconds.unwrap_or(0)) * 1000
    }
}

impl Default for Zone {
    fn default() -> Self {
        Zone::UTC
    }
}

impl FromStr for Zone {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let wanted = "a time zone of the IANA database; write it like \"Europe/Berlin\"";
        text.parse().map(Zone).map_err(|_| DomainError::BadText { text: text.to_owned(), wanted })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.name())
    }
}
