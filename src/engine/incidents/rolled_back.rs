//! Tenants whose quotas a rollout took back: an incident for a day, so that
//! somebody looks and the daemon applies nothing meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Engine, EngineError};
use crate::domain::rollout::{Outcome, Rollout, RolloutState};
use crate::domain::{Finding, FindingKind, Severity, TenantId, Timestamp};

/// For how long it is said.
const SAID_FOR: Duration = Duration::from_secs(86_400);
/// The newest rollouts that are looked at.
const ROLLOUTS: usize = 20;

impl Engine {
    pub(super) async fn rolled_back(&self) -> Result<BTreeMap<TenantId, Finding>, EngineError> {
        let now = self.now();
        let mut found = BTreeMap::new();
        for rollout in self.parts.registry.rollouts(None, ROLLOUTS).await? {
            if now.since(rollout.since) < SAID_FOR {
                found.extend(findings(&rollout, now));
            }
        }
        Ok(found)
    }
}

fn findings(rollout: &Rollout, now: Timestamp) -> BTreeMap<TenantId, Finding> {
    let (RolloutState::RollingBack { why } | RolloutState::RolledBack { why }) = &rollout.state else {
        return BTreeMap::new();
    };
    let mut changes: BTreeMap<&TenantId, Vec<String>> = BTreeMap::new();
    for change in &rollout.changes {
        if matches!(
            change.outcome,
            Outcome::Applied { .. } | Outcome::RolledBack { .. } | Outcome::Left { .. }
        ) {
            let text = format!("{} from {} to {}", change.resource, change.from, change.to);
            changes.entry(&change.tenant).or_default().push(text);
        }
    }
    let one = |(tenant, changes): (&TenantId, Vec<String>)| {
        let name = &rollout.name;
        let text = format!("The rollout \"{name}\" was taken back ({}): {why}.", changes.join(", "));
        (tenant.clone(), finding(text, rollout.since, now))
    };
    changes.into_iter().map(one).collect()
}

fn finding(text: String, since: Timestamp, now: Timestamp) -> Finding {
    Finding {
        kind: FindingKind::RolledBack,
        resource: None,
        severity: Severity::Warning,
        text,
        since,
        last_seen_at: now,
        ended_at: None,
        unit: String::new(),
        expected: None,
        lower: None,
        upper: None,
        actual: None,
        strength: 1.0,
        detector: "rollout".to_owned(),
        confidence: 1.0,
        samples: 0,
        headroom_hours: None,
        foreseen: None,
        is_new_level: false,
        peers: None,
        chart: None,
        told_strength: 0.0,
    }
}
