//! What is written down of an incident's changes: the line of the audit log,
//! and that of the process's own.

use serde_json::json;

use super::lifecycle::Change;
use super::notices::texts;
use crate::domain::{Actor, AuditAction, AuditEvent, Incident, Timestamp};

const NEW_LEVEL: &str = "usage has held its level, which is taken as the usual one";

/// The line of the audit log, written in the commit of the incident; `None`
/// while it only goes on.
pub(super) fn audit_line(
    before: Option<&Incident>,
    after: &Incident,
    change: &Change,
    now: Timestamp,
) -> Option<AuditEvent> {
    let states = || (json!(before.map(Incident::state)), json!(after.state()));
    let (action, (from, to), why) = match change {
        Change::Opened => (AuditAction::IncidentOpened, states(), texts(after)),
        Change::Worsened(why) => {
            let severities = (json!(before.map(|incident| incident.severity)), json!(after.severity));
            (AuditAction::IncidentWorsened, severities, why.clone())
        }
        Change::Resolved => {
            let is_new_level = after.findings.iter().any(|finding| finding.is_new_level);
            let why = if is_new_level { NEW_LEVEL } else { "nothing is wrong any more" };
            (AuditAction::IncidentResolved, states(), why.to_owned())
        }
        Change::GoesOn => return None,
    };
    let single = match after.resources[..] {
        [resource] => Some(resource),
        _ => None,
    };
    Some(AuditEvent {
        at: now,
        actor: Actor::Daemon,
        action,
        tenant: Some(after.tenant.clone()),
        resource: single,
        before: from,
        after: to,
        reason: format!("incident {}: {why}", after.id),
        request_id: None,
    })
}

/// The name used in metrics.
pub(super) fn change_name(change: &Change) -> &'static str {
    match change {
        Change::Opened => "opened",
        Change::Worsened(_) => "worsened",
        Change::GoesOn => "goes_on",
        Change::Resolved => "resolved",
    }
}

/// Says in the process's log that an incident began, got worse or ended.
pub(super) fn log_change(incident: &Incident, change: &Change) {
    let (tenant, id, severity) = (&incident.tenant, incident.id, incident.severity);
    match change {
        Change::Opened => tracing::warn!(%tenant, %id, %severity, "an incident is open"),
        Change::Worsened(why) => tracing::warn!(%tenant, %id, %severity, why, "an incident got worse"),
        Change::Resolved => tracing::info!(%tenant, %id, "an incident is over"),
        Change::GoesOn => {}
    }
}
