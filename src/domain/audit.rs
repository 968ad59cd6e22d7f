//! What is written down of every change: who, when, from, to, why.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Actor, Resource, TenantId, Timestamp};

/// The kinds of action that are written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuditAction {
    /// A tenant was registered.
    TenantCreated,
    /// A tenant's name, plan, provider or region was changed.
    TenantChanged,
    /// A tenant's tier was changed; what else was stands in the line before.
    TierChanged,
    /// A tenant was removed with its quotas.
    TenantRemoved,
    /// A tenant's apply mode was changed.
    ApplyModeChanged,
    /// A quota was changed.
    QuotaChanged,
    /// A recommendation was approved; the change of the quota follows.
    RecommendationApproved,
    /// The first of two people approved a recommendation.
    FirstApprovalGiven,
    /// The second of two people did not come in time.
    FirstApprovalLapsed,
    /// A recommendation was rejected.
    RecommendationRejected,
    /// A change of a quota was asked for that a second person must approve.
    ChangeRequested,
    /// The second person approved a change; the change of the quota follows.
    ChangeRequestApproved,
    /// A change that was asked for was rejected.
    ChangeRequestRejected,
    /// A change that was asked for is of no use any more.
    ChangeRequestLapsed,
    /// A change was approved but could not be carried out.
    ChangeFailed,
    /// A newly fitted forecasting model won and is used since.
    ModelReplaced,
    /// A person went back to the forecasting model before.
    ModelRolledBack,
    /// A template was made.
    TemplateCreated,
    /// A template got a new version.
    TemplateChanged,
    /// A template was removed with all its versions.
    TemplateRemoved,
    /// A token was made.
    TokenCreated,
    /// A token lets nobody in any more.
    TokenRevoked,
    /// Somebody came with a token or a code that lets nobody in.
    LoginFailed,
    /// Somebody logged in at the dashboard with a token.
    SessionBegun,
    /// Somebody logged out of the dashboard.
    SessionEnded,
    /// The bearer of a token begins to set up a second factor.
    SecondFactorBegun,
    /// A second factor counts from now on.
    SecondFactorConfirmed,
    /// A second factor was taken away.
    SecondFactorRemoved,
    /// All changes of quotas were stopped.
    ChangesPaused,
    /// Changes of quotas are made again.
    ChangesResumed,
    /// Somebody began a rollout of many changes, and approved them.
    RolloutBegun,
    /// A rollout has gone on to its next state.
    RolloutMoved,
    /// A rollout was halted.
    RolloutPaused,
    /// A halted rollout goes on.
    RolloutResumed,
    /// A target that enforced another quota was told the right one again.
    TargetRepaired,
    /// The daemon's config was read again.
    ConfigReloaded,
    /// The oldest lines of this log were removed.
    AuditCut,
    /// An incident began.
    IncidentOpened,
    /// An incident got worse.
    IncidentWorsened,
    /// An incident is over.
    IncidentResolved,
    /// Somebody takes care of an incident.
    IncidentAcknowledged,
    /// Somebody said whether an incident was one.
    IncidentJudged,
    /// Alerts are kept back for a time.
    SilenceCreated,
    /// Alerts are kept back no more.
    SilenceLifted,
    /// A deploy or a maintenance was written down.
    MarkerCreated,
    /// A deploy or a maintenance was struck out.
    MarkerRemoved,
    /// A receiver of notices was made.
    ReceiverCreated,
    /// A receiver was given other settings.
    ReceiverChanged,
    /// A receiver was removed.
    ReceiverRemoved,
    /// A receiver said that it is gone for good, and is sent nothing more.
    ReceiverDisabled,
    /// A disabled receiver is sent to again.
    ReceiverEnabled,
    /// A receiver was sent a test.
    ReceiverTested,
    /// A notice that was given up is sent again.
    NoticeSentAgain,
}

/// One line of the audit log. Its place in the log is its number.
///
/// Lines are hashed as they are written. So that a line of an older version
/// still reads and hashes as it did, a field that is added must be an `Option`
/// with a default, and left out where it is `None`; names never change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuditEvent {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What.
    pub action: AuditAction,
    /// On which tenant.
    pub tenant: Option<TenantId>,
    /// On which resource.
    pub resource: Option<Resource>,
    /// What stood before, as JSON.
    pub before: serde_json::Value,
    /// What stands since, as JSON.
    pub after: serde_json::Value,
    /// Why, in words.
    pub reason: String,
    /// The request that caused it.
    pub request_id: Option<String>,
}
