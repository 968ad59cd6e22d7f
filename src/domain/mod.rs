//! The words of the house, as types.
//!
//! Everything here is pure: no I/O, no async, no clock, no logging. A value
//! that exists is valid; what can't be built is refused with a reason. Numbers
//! carry their unit in their type or their name.

pub mod approval;
pub mod audit;
pub mod evidence;
pub mod incident;
pub mod model;
pub mod money;
pub mod notice;
pub mod policy;
pub mod quiet;
pub mod quota;
pub mod receiver;
pub mod recommendation;
pub mod resource;
pub mod sizing;
pub mod tenant;
pub mod tier;
pub mod time;

pub use approval::{Actor, Approved};
pub use audit::{AuditAction, AuditEvent};
pub use evidence::{Alternative, Backtest, Schedule, TierFit};
pub use incident::{
    Acknowledgement, Chart, Feedback, Finding, FindingKind, Incident, IncidentId, Peers, Untold,
};
pub use model::{ModelScore, ModelState, ModelVersion};
pub use money::{Currency, Money, PerHour, PerMonth};
pub use notice::{Notice, NoticeKind, Severity};
pub use policy::{Guardrails, Objection, Verdict};
pub use quiet::{Marker, MarkerKind, Silence};
pub use quota::{Quota, QuotaChange};
pub use receiver::{Receiver, ReceiverKind, ReceiverName, Wanted};
pub use recommendation::{Evidence, Recommendation, RecommendationId, RecommendationState};
pub use resource::Resource;
pub use sizing::Cadence;
pub use tenant::{ApplyMode, Tenant, TenantId};
pub use tier::Tier;
pub use time::{Step, TimeRange, Timestamp};

/// A value that breaks a rule of the domain; reads well after "failed to".
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DomainError {
    /// The text names no resource.
    #[error("read {0:?} as a resource; the ten are {names}", names = resource::names())]
    UnknownResource(String),
    /// The text names no tier.
    #[error("read {0:?} as a tier; the tiers are {names}", names = tier::names())]
    UnknownTier(String),
    /// The text names no apply mode.
    #[error("read {0:?} as an apply mode; use observe, review or approved")]
    UnknownApplyMode(String),
    /// The text names no cadence.
    #[error("read {0:?} as a cadence; use auto, hourly, six_hourly or daily")]
    UnknownCadence(String),
    /// The text names no kind of notice.
    #[error("read {0:?} as a kind of notice; the kinds are {names}", names = notice::names())]
    UnknownNoticeKind(String),
    /// The text names no kind of marker.
    #[error("read {0:?} as a kind of marker; use deploy or maintenance")]
    UnknownMarkerKind(String),
    /// A tenant's id has the wrong form.
    #[error(
        "take {0:?} as a tenant id; use 1 to 128 of the characters a-z A-Z 0-9 . _ - and begin with a letter or digit"
    )]
    BadTenantId(String),
    /// A receiver's name has the wrong form.
    #[error(
        "take {0:?} as a receiver's name; use 1 to 64 of the characters a-z 0-9 _ - and begin with a letter or digit"
    )]
    BadReceiverName(String),
    /// A quota is not a positive finite number.
    #[error("take {value} as the quota of {resource}; it must be a number above 0 and at most 1e15")]
    BadQuota {
        /// The resource that it was meant for.
        resource: Resource,
        /// The refused value, in the resource's unit.
        value: f64,
    },
    /// A time has the wrong form.
    #[error("read {0:?} as a time; use RFC 3339 such as 2026-11-23T05:00:00Z")]
    BadTime(String),
    /// A currency code has the wrong form.
    #[error("read {0:?} as a currency; use a code of three capital letters such as USD")]
    BadCurrency(String),
    /// Two amounts of different currencies met.
    #[error("combine {0} with {1}; use one currency in the price book")]
    MixedCurrencies(Currency, Currency),
    /// A duration that can't be a grid step.
    #[error("use {0} ms as a step; it must be above 0")]
    BadStep(i64),
}
