//! How often a tenant's quotas are meant to change.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::DomainError;

/// For how long a quota is meant to hold before it is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cadence {
    /// What the tenant's own past says is worth its while.
    #[default]
    Auto,
    /// An hour.
    Hourly,
    /// Six hours.
    SixHourly,
    /// A day.
    Daily,
    /// An hour of a schedule for the whole day, made at midnight.
    DayAhead,
}

impl Cadence {
    /// All cadences.
    pub const ALL: [Cadence; 5] =
        [Cadence::Auto, Cadence::Hourly, Cadence::SixHourly, Cadence::Daily, Cadence::DayAhead];

    /// The name used in configs and the API.
    pub fn name(self) -> &'static str {
        match self {
            Cadence::Auto => "auto",
            Cadence::Hourly => "hourly",
            Cadence::SixHourly => "six_hourly",
            Cadence::Daily => "daily",
            Cadence::DayAhead => "day_ahead",
        }
    }

    /// After how many hours the policies are asked anew; `None` where that is
    /// still to be chosen.
    pub fn hours(self) -> Option<usize> {
        match self {
            Cadence::Auto => None,
            Cadence::Hourly => Some(1),
            Cadence::SixHourly => Some(6),
            Cadence::Daily | Cadence::DayAhead => Some(24),
        }
    }
}

impl fmt::Display for Cadence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Cadence {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        let found = Cadence::ALL.into_iter().find(|cadence| cadence.name() == text);
        found.ok_or_else(|| DomainError::UnknownCadence(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for cadence in Cadence::ALL {
            assert_eq!(cadence.name().parse(), Ok(cadence));
            assert_eq!(serde_json::to_value(cadence).unwrap(), cadence.name());
        }
        assert!("weekly".parse::<Cadence>().unwrap_err().to_string().contains("six_hourly"));
    }
}
