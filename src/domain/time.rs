//! Instants, steps and ranges on one scale: milliseconds since 1970 in UTC,
//! the resolution of Prometheus.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::DomainError;

/// An instant, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Timestamp(millis)
    }

    /// From seconds since 1970.
    pub const fn from_seconds(seconds: i64) -> Self {
        Timestamp(seconds * 1000)
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Seconds since 1970 with their parts, as metrics and exports give times.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The instant `duration` later.
    pub fn plus(self, duration: Duration) -> Self {
        Timestamp(self.0.saturating_add(millis_of(duration)))
    }

    /// The instant `duration` earlier.
    pub fn minus(self, duration: Duration) -> Self {
        Timestamp(self.0.saturating_sub(millis_of(duration)))
    }

    /// The time from `earlier` to here; zero if `earlier` is later.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// The last instant of the grid at or before this one.
    pub fn floor_to(self, step: Step) -> Self {
        Timestamp(self.0.div_euclid(step.millis()) * step.millis())
    }

    /// The first instant of a day in UTC.
    pub fn midnight(day: NaiveDate) -> Self {
        Timestamp(day.and_time(chrono::NaiveTime::MIN).and_utc().timestamp_millis())
    }

    /// As date and time in UTC; `None` outside chrono's range of years.
    pub fn to_utc(self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp_millis(self.0)
    }
}

fn millis_of(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to_utc() {
            Some(time) => f.pad(&time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
            None => write!(f, "{} ms", self.0),
        }
    }
}

impl FromStr for Timestamp {
    type Err = DomainError;

    /// Reads RFC 3339, or the forms that common exports write: a space in the
    /// place of the `T`, and no offset at all, which is taken as UTC.
    fn from_str(text: &str) -> Result<Self, DomainError> {
        let bad = || DomainError::BadTime(text.to_owned());
        let tidy = text.trim().replacen(' ', "T", 1);
        // A year with a sign, before our era or after 9999, can't be told again.
        if !tidy.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(bad());
        }
        if let Ok(time) = DateTime::parse_from_rfc3339(&tidy) {
            return Ok(Timestamp(time.timestamp_millis()));
        }
        let instant = tidy.parse::<chrono::NaiveDateTime>();
        let instant = instant.map(|time| Timestamp(time.and_utc().timestamp_millis()));
        instant.or_else(|_| tidy.parse().map(Timestamp::midnight)).map_err(|_| bad())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serializer.is_human_readable() {
            true => serializer.collect_str(self),
            false => serializer.serialize_i64(self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return i64::deserialize(deserializer).map(Timestamp);
        }
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The distance between two samples of a regular grid; always above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Step(i64);

impl Step {
    /// One hour.
    pub const HOUR: Step = Step(3_600_000);
    /// Ten seconds.
    pub const ONE_SECOND: Step = Step(1_000);
    /// Ten seconds.
    pub const TEN_SECONDS: Step = Step(10_000);
    /// Five minutes, the usual scrape grid.
    pub const FIVE_MINUTES: Step = Step(300_000);

    /// From milliseconds; refuses zero and less.
    pub fn from_millis(millis: i64) -> Result<Self, DomainError> {
        if millis > 0 { Ok(Step(millis)) } else { Err(DomainError::BadStep(millis)) }
    }

    /// From a duration of at least one millisecond.
    pub fn from_duration(duration: Duration) -> Result<Self, DomainError> {
        Step::from_millis(millis_of(duration))
    }

    /// In milliseconds.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0.unsigned_abs())
    }

    /// How many whole steps fit into `duration`.
    pub fn count_in(self, duration: Duration) -> usize {
        usize::try_from(millis_of(duration) / self.0).unwrap_or(0)
    }
}

/// The instants from `start` up to but not including `end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TimeRange {
    /// The first instant inside.
    pub start: Timestamp,
    /// The first instant after.
    pub end: Timestamp,
}

impl TimeRange {
    /// How many grid points lie inside, counted from `start`.
    pub fn points(self, step: Step) -> usize {
        let span = (self.end.millis() - self.start.millis()).max(0);
        usize::try_from((span + step.millis() - 1) / step.millis()).unwrap_or(0)
    }

    /// Whether no instant lies inside.
    pub fn is_empty(self) -> bool {
        self.end <= self.start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_forms_that_exports_write() {
        let expected = Timestamp::from_seconds(1_396_332_000);
        for text in ["2014-04-01T06:00:00Z", "2014-04-01 06:00:00", "2014-04-01T08:00:00+02:00"] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        assert_eq!(expected.to_string(), "2014-04-01T06:00:00Z");
        assert_eq!("2014-04-01".parse(), Ok(Timestamp::from_seconds(1_396_310_400)));
        for refused in ["yesterday", "", "-2026-09-14", "+12026-09-14T06:00:00Z"] {
            assert!(refused.parse::<Timestamp>().is_err(), "{refused}");
        }
    }

    #[test]
    fn floors_to_the_grid_also_before_1970() {
        assert_eq!(Timestamp::from_millis(-1).floor_to(Step::HOUR), Timestamp::from_millis(-3_600_000));
        assert_eq!(Timestamp::from_millis(299_999).floor_to(Step::FIVE_MINUTES), Timestamp::from_millis(0));
    }

    #[test]
    fn a_range_counts_its_grid_points() {
        let range = TimeRange { start: Timestamp::from_seconds(0), end: Timestamp::from_seconds(601) };
        assert_eq!(range.points(Step::FIVE_MINUTES), 3);
    }
}
