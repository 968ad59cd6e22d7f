//! The words of the house, as types.
//!
//! Everything here is pure: no I/O, no async, no clock, no logging. A value
//! that exists is valid; what can't be built is refused with a reason. Numbers
//! carry their unit in their type or their name.

pub mod access;
pub mod applied;
pub mod approval;
pub mod audit;
pub mod budget;
pub mod dated;
pub mod evidence;
mod exchange;
mod freeze;
mod ids;
pub mod incident;
mod metering;
pub mod model;
pub mod money;
mod naming;
pub mod notice;
mod pause;
pub mod policy;
pub mod purchase;
pub mod quiet;
pub mod quota;
pub mod receiver;
pub mod recommendation;
mod refusal;
pub mod report;
pub mod request;
pub mod resource;
mod retry_after;
pub mod rollout;
pub mod sizing;
pub mod sla;
pub mod template;
pub mod tenant;
pub mod tier;
pub mod time;
mod timetable;
mod two_people;
mod zone;

pub use access::Role;
pub use applied::{AppliedChange, Measured, Violations};
pub use approval::{Actor, ApprovalRules, Approved};
pub use audit::{AuditAction, AuditEvent};
pub use budget::{Budget, BudgetOf, Budgets};
pub use dated::Dated;
pub use evidence::{Alternative, Backtest, Schedule, TierFit};
pub use exchange::{ExchangeRate, ExchangeRates};
pub use freeze::FreezeWindow;
pub use ids::{ChangeRequestId, IncidentId, RecommendationId, ReportId, RolloutId};
pub use incident::{
    Acknowledgement, Chart, Feedback, Finding, FindingKind, Foreseen, Incident, Peers, Untold,
};
pub use metering::{Meter, MeterState};
pub use model::{ModelMember, ModelScore, ModelState, ModelVersion};
pub use money::{Currency, Money, Once, PerHour, PerMonth};
pub use naming::first_of;
pub use notice::{Notice, NoticeKind, Severity};
pub use pause::Pause;
pub use policy::{Guardrails, Objection, Verdict};
pub use purchase::Purchase;
pub use quiet::{Marker, MarkerKind, Silence};
pub use quota::{Quota, QuotaChange};
pub use receiver::{Letterhead, Receiver, ReceiverKind, ReceiverName, Wanted};
pub use recommendation::{Evidence, Recommendation, RecommendationState};
pub use refusal::Refusal;
pub use report::{Language, ReportFormat, ReportNotice, ReportSchedule, ReportTenants};
pub use request::{ChangeRequest, RequestState};
pub use resource::Resource;
pub use retry_after::retry_after;
pub use rollout::Rollout;
pub use sizing::Cadence;
pub use template::{AssignedTemplate, Template, TemplateName};
pub use tenant::{ApplyMode, Site, Tenant, TenantId};
pub use tier::Tier;
pub use time::{Step, TimeRange, Timestamp};
pub use timetable::Timetable;
pub use two_people::{FirstWord, TwoPeople, WhyTwo};
pub use zone::Zone;

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
    #[error("read {0:?} as a cadence; use auto, hourly, six_hourly, daily or day_ahead")]
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
    /// A short text has the wrong form.
    #[error("take {text:?} as {wanted}")]
    BadText {
        /// The refused text.
        text: String,
        /// What it should be, and how to write it.
        wanted: &'static str,
    },
    /// A value has no form in YAML.
    #[error("write the template as YAML: {0}")]
    NotWritten(String),
    /// A time has the wrong form.
    #[error("read {0:?} as a time; use RFC 3339 such as 2026-11-23T05:00:00Z")]
    BadTime(String),
    /// A currency code has the wrong form.
    #[error("read {0:?} as a currency; use a code of three capital letters such as USD")]
    BadCurrency(String),
    /// Two amounts of different currencies met.
    #[error("combine {0} with {1}; use one currency in the price book")]
    MixedCurrencies(Currency, Currency),
    /// More money than a decimal of 28 digits can hold.
    #[error("reckon with so much money; no price or quota can be that large")]
    TooMuchMoney,
    /// A budget has the wrong form.
    #[error(
        "read {0:?} as a budget; write an amount a month such as 10000EUR/month, in the config behind \
         fleet, tier NAME or tenant ID"
    )]
    BadBudget(String),
    /// An exchange rate has the wrong form.
    #[error("read {0:?} as an exchange rate; write it like 1 EUR = 1.0843 USD on 2026-11-20")]
    BadRate(String),
    /// The table of rates knows nothing of the two.
    #[error(
        "turn {0} into {1}: there is no rate between the two; add \"1 {0} = ... {1} on DATE\" to costs.rates"
    )]
    NoRate(Currency, Currency),
    /// The text names no way to buy.
    #[error("read {0:?} as a way to buy; use on_demand, committed_1y, committed_3y or spot")]
    UnknownPurchase(String),
    /// A duration that can't be a grid step.
    #[error("use {0} ms as a step; it must be above 0")]
    BadStep(i64),
}
