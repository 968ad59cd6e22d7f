//! A change of a quota that one person asked for and a second one must approve.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::two_people::{FirstWord, WhyTwo};
use super::{Actor, ChangeRequestId, QuotaChange, Resource, TenantId, Timestamp};

/// A change of a quota that waits for a second person.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ChangeRequest {
    /// Its id.
    pub id: ChangeRequestId,
    /// Whose quota.
    pub tenant: TenantId,
    /// Which quota.
    pub resource: Resource,
    /// The quota's generation that it starts from.
    pub parent_generation: u64,
    /// The limit that stood, in the resource's unit.
    pub from: f64,
    /// The limit wished for, in the resource's unit.
    pub to: f64,
    /// Who asks for it.
    pub by: Actor,
    /// Since when.
    pub at: Timestamp,
    /// Why, in their words.
    pub reason: String,
    /// Why it needs two people.
    pub needs_two: WhyTwo,
    /// When it stops being of use.
    pub expires_at: Timestamp,
    /// What has become of it.
    pub state: RequestState,
}

impl ChangeRequest {
    /// The change that it asks for.
    pub fn change(&self) -> QuotaChange {
        QuotaChange {
            tenant: self.tenant.clone(),
            resource: self.resource,
            parent_generation: self.parent_generation,
            from: self.from,
            to: self.to,
            recommendation: None,
            rollout: None,
            rolls_back: false,
            reason: self.reason.clone(),
        }
    }

    /// The word of whoever asks.
    pub fn first_word(&self) -> FirstWord {
        FirstWord {
            by: self.by.clone(),
            at: self.at,
            comment: Some(self.reason.clone()),
            request: Some(self.id),
        }
    }
}

/// What has become of a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum RequestState {
    /// Waits for a second person.
    Waiting,
    /// Approved, and on its way to the target.
    Approved {
        /// By whom.
        decided_by: Actor,
        /// When.
        decided_at: Timestamp,
    },
    /// The quota stands as wished.
    Applied {
        /// Who approved it.
        decided_by: Actor,
        /// When it was applied.
        decided_at: Timestamp,
        /// The quota's generation since then.
        generation: u64,
    },
    /// A person said no, or took it back.
    Rejected {
        /// Who.
        decided_by: Actor,
        /// When.
        decided_at: Timestamp,
        /// Why.
        because: String,
    },
    /// The target would not have it.
    Failed {
        /// Why.
        because: String,
    },
    /// The quota was changed by something else first.
    Stale {
        /// The generation found.
        found_generation: u64,
    },
    /// Nobody decided in time.
    Expired,
}

impl RequestState {
    /// The name used in filters and tables.
    pub fn name(&self) -> &'static str {
        match self {
            RequestState::Waiting => "waiting",
            RequestState::Approved { .. } => "approved",
            RequestState::Applied { .. } => "applied",
            RequestState::Rejected { .. } => "rejected",
            RequestState::Failed { .. } => "failed",
            RequestState::Stale { .. } => "stale",
            RequestState::Expired => "expired",
        }
    }

    /// All names, for checks of filters.
    pub const NAMES: [&'static str; 7] =
        ["waiting", "approved", "applied", "rejected", "failed", "stale", "expired"];
}
