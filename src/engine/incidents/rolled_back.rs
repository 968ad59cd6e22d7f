//! Tenants whose quotas a rollout took back: an incident for a day, so that
//! somebody looks and the daemon applies nothing meanwhile.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Engine, EngineError};
use crate::domain::rollout::{Outcome, Rollout, RolloutState};
use crate::domain::{Finding, FindingKind, TenantId, Timestamp};

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
        let found = Finding::new(FindingKind::RolledBack, "rollout", text, now);
        (tenant.clone(), Finding { since: rollout.since, ..found })
    };
    changes.into_iter().map(one).collect()
}
