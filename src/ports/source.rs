//! Where usage comes from, and what else of tenants' services is measured there.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::domain::{Meter, Resource, Step, TenantId, TimeRange, Timestamp};
use crate::series::Frame;

/// Where usage comes from: a Prometheus, or a file.
#[async_trait]
pub trait UsageSource: Send + Sync {
    /// The resources that this source can answer for.
    fn resources(&self) -> Vec<Resource>;

    /// The grid on which it answers.
    fn step(&self) -> Step;

    /// The usage of every tenant over `range`, gaps left as gaps. A tenant
    /// without a sample in the range is left out.
    ///
    /// A range may be longer than the source can answer at once: an adapter
    /// splits it, and keeps to its own limits on samples and queries at once.
    /// Where only the beginning was answered, that is given with the reason.
    async fn fetch(&self, resource: Resource, range: TimeRange) -> Result<Fetched, SourceError>;

    /// How far its clock is ahead of ours, in milliseconds, as far as its answers
    /// have told; 0 where that is not known.
    fn clock_ahead(&self) -> i64 {
        0
    }

    /// Whether it can say how available tenants' services were.
    fn knows_availability(&self) -> bool {
        false
    }

    /// The share of what was good over the window that ends at `at`, 0 to 1, of
    /// each tenant that had any.
    async fn availability(&self, _window: Duration, _at: Timestamp) -> Result<Measured, SourceError> {
        Ok(Measured::default())
    }

    /// Whether it can say how many answers of tenants' services came in time.
    fn knows_latency(&self) -> bool {
        false
    }

    /// The share of answers that took no longer than so many milliseconds, over
    /// the window that ends at `at`, 0 to 1, of each tenant that had any.
    async fn latency(
        &self,
        _within_ms: f64,
        _window: Duration,
        _at: Timestamp,
    ) -> Result<Measured, SourceError> {
        Ok(Measured::default())
    }

    /// What it can count of what tenants use up.
    fn meters(&self) -> Vec<Meter> {
        Vec::new()
    }

    /// How much was used over the window that ends at `at`, of each tenant that
    /// used any; never below 0.
    async fn metered(
        &self,
        _meter: Meter,
        _window: Duration,
        _at: Timestamp,
    ) -> Result<Measured, SourceError> {
        Ok(Measured::default())
    }

    /// Whether it can be asked for that.
    fn answers(&self, asked: Asked) -> bool {
        match asked {
            Asked::Usage(resource) => self.resources().contains(&resource),
            Asked::Availability => self.knows_availability(),
            Asked::Latency => self.knows_latency(),
            Asked::Metered(meter) => self.meters().contains(&meter),
        }
    }
}

/// What a source answered.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The usage.
    pub frame: Frame,
    /// Series that could not be used, each with the reason.
    pub refused: Vec<String>,
    /// How many samples of the others were odd.
    pub odd: OddSamples,
    /// Why the end of the range is missing, where it is.
    pub broken_off: Option<BrokenOff>,
}

impl Fetched {
    /// An answer for the whole of a range.
    pub fn whole(frame: Frame) -> Self {
        Fetched { frame, refused: Vec::new(), odd: OddSamples::default(), broken_off: None }
    }
}

/// Samples of an answer that nobody needs to be told of one by one, but that no
/// answer should hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OddSamples {
    /// `NaN` or `+Inf`: left out, so that gaps stand there.
    pub not_finite: usize,
    /// Not later than the one before in its series: put in their places.
    pub out_of_order: usize,
}

/// What a source answered to a question that has one number for each tenant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measured {
    /// The number of each tenant that has one.
    pub by_tenant: BTreeMap<TenantId, f64>,
    /// Series that could not be used, each with the reason.
    pub refused: Vec<String>,
}

/// Where an answer broke off. What lies before is whole, and need not be asked
/// for again.
#[derive(Debug, Clone)]
pub struct BrokenOff {
    /// The first instant that is missing.
    pub until: Timestamp,
    /// Why.
    pub error: SourceError,
}

/// What a source is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asked {
    /// What tenants use of a resource.
    Usage(Resource),
    /// How much of the time, or of the requests, was good.
    Availability,
    /// How many of the answers came in time.
    Latency,
    /// How much was used up.
    Metered(Meter),
}

impl Asked {
    /// The name used in the API and in metrics: the resource's, the meter's, or
    /// the key's under `[sla]`.
    pub fn name(self) -> &'static str {
        match self {
            Asked::Usage(resource) => resource.name(),
            Asked::Availability => "availability",
            Asked::Latency => "latency",
            Asked::Metered(meter) => meter.name(),
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asked::Usage(resource) => resource.fmt(f),
            Asked::Availability => f.pad("the availability"),
            Asked::Latency => f.pad("the latency"),
            Asked::Metered(meter) => write!(f, "the meter {meter}"),
        }
    }
}

/// A failure of a usage source; reads well after "failed to".
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// Nobody answered, or the answer broke off.
    #[error("reach the source: {0}")]
    Unreachable(String),
    /// The source refused the credentials.
    #[error("be let in by the source: {0}; check the token, user name or headers under [prometheus]")]
    Unauthorized(String),
    /// The source refused the query.
    #[error("have the query for {asked} answered: {message}")]
    Query {
        /// What was asked for.
        asked: Asked,
        /// What the source said.
        message: String,
    },
    /// More series than the limit.
    #[error(
        "take the answer for {asked}: {found} series are more than the {limit} allowed; \
         aggregate the expression by tenant or raise prometheus.max_series"
    )]
    TooManySeries {
        /// What was asked for.
        asked: Asked,
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The answer is not of the form that was asked for.
    #[error("understand the answer for {asked}: {message}")]
    Malformed {
        /// What was asked for.
        asked: Asked,
        /// What is wrong.
        message: String,
    },
    /// The settings can't work.
    #[error("use the settings of the source: {0}")]
    Settings(String),
    /// The source has nothing to say about that.
    #[error("ask for {0}: no expression is configured for it")]
    NotConfigured(Resource),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_questions_have_one_name() {
        let usage = Resource::ALL.map(Asked::Usage);
        let meters = Meter::ALL.map(Asked::Metered);
        let all: Vec<Asked> =
            usage.into_iter().chain([Asked::Availability, Asked::Latency]).chain(meters).collect();
        let names: BTreeSet<&str> = all.iter().map(|asked| asked.name()).collect();
        assert_eq!(names.len(), all.len(), "{names:?}");
    }
}
