//! Who knows what was acknowledged, and holds it against what stands after each
//! kill.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ledger::Ledger;
use super::load::{Told, is_over};
use super::platform::Platform;
use super::{quota_path, settled, tenants};
use crate::caller::Caller;
use crate::rig::{Daemon, Listener};

/// What was acknowledged so far, and what the audit log said.
#[derive(Debug, Default)]
pub struct Witness {
    told: Told,
    ledger: Ledger,
    /// Incidents that receivers had to be told of.
    incidents: usize,
}

impl Witness {
    /// Holds what was acknowledged in the life that has just ended.
    pub async fn holds(&mut self, caller: &Caller, mut told: Told) {
        self.ledger.note(std::mem::take(&mut told.asked));
        // The quotas come first: what the daemon changes meanwhile is only in the log.
        let quotas = quotas(caller).await;
        self.ledger.read(caller).await;
        for (tenant, limit, generation) in quotas {
            self.ledger.tells_of(&tenant, limit, generation);
        }
        for change in &told.changed {
            self.ledger.has(change);
        }
        are_kept(caller, &told).await;
        self.told.add(told);
    }

    /// Waits until nothing is under way, and holds all that was ever
    /// acknowledged, and all that the platform and the receiver have got.
    pub async fn comes_to_rest(
        &mut self,
        daemon: &Daemon,
        caller: &Caller,
        platform: &Platform,
        receiver: &Listener,
    ) {
        settled::rollouts_are_over(caller).await;
        settled::the_daemon_has_raised(caller).await;
        settled::the_platform_agrees(caller, platform).await;
        platform.is_sound();
        self.ledger.read(caller).await;
        for change in &self.told.changed {
            self.ledger.has(change);
        }
        are_kept(caller, &self.told).await;
        self.rollouts_are_told(caller).await;
        self.incidents = settled::incidents_are_told(caller, receiver).await;
        settled::webhooks_keep_their_ids(receiver);
        let verified = crate::audit::audit(daemon, &["verify"]);
        assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
    }

    /// What rollouts say of their changes is what the audit log says, each once.
    async fn rollouts_are_told(&self, caller: &Caller) {
        let mut all = 0;
        for rollout in everything(caller, "/v1/rollouts?").await {
            assert!(is_over(&rollout), "{rollout:#}");
            let name = rollout["name"].as_str().unwrap();
            let back = format!("the rollout \"{name}\" is taken back");
            for change in rollout["changes"].as_array().unwrap() {
                let tenant = change["tenant"].as_str().unwrap();
                let wanted = match change["outcome"]["kind"].as_str().unwrap() {
                    "applied" | "left" => (1, 0),
                    "rolled_back" => (1, 1),
                    _ => (0, 0),
                };
                let found = (self.ledger.changes_for(tenant, name), self.ledger.changes_for(tenant, &back));
                assert_eq!(found, wanted, "{tenant}: {rollout:#}");
                all += wanted.0 + wanted.1;
            }
        }
        assert_eq!(self.ledger.changes_by_rollouts(), all, "a change that no rollout knows");
    }

    /// Fails where the load was none.
    pub fn has_seen_enough(&self, kills: usize) {
        let Told { changed, rollouts, silences, .. } = &self.told;
        let counts = self.counts();
        assert!(changed.len() > 5 * kills, "{counts}");
        // A rollout takes longer than many a life.
        assert!(rollouts.len() > kills / 10 && silences.len() > kills / 4, "{counts}");
        assert!(self.ledger.by_the_daemon > 0 && self.incidents > 0, "{counts}");
    }

    /// What there was, in words.
    pub fn counts(&self) -> String {
        let Told { changed, rollouts, silences, lifted, acknowledged, .. } = &self.told;
        format!(
            "{} changes by people, {} by the daemon, {} rollouts, {} silences of which {} were lifted, {} incidents \
             told of, {} of them taken care of, {} lines of the audit log",
            changed.len(),
            self.ledger.by_the_daemon,
            rollouts.len(),
            silences.len(),
            lifted.len(),
            self.incidents,
            acknowledged.len(),
            self.ledger.lines()
        )
    }
}

/// Each tenant's quota: the limit and the generation.
pub async fn quotas(caller: &Caller) -> Vec<(String, f64, u64)> {
    let mut all = Vec::new();
    for tenant in tenants() {
        let (status, quota) = caller.get(&quota_path(&tenant)).await;
        assert_eq!(status, 200, "{tenant}: {quota:#}");
        let (limit, generation) = (quota["limit"].as_f64().unwrap(), quota["generation"].as_u64().unwrap());
        all.push((tenant, limit, generation));
    }
    all
}

/// All entries of a list; `path` ends with `?` or `&`.
pub async fn everything(caller: &Caller, path: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let (status, page) = caller.get(&format!("{path}limit=500{cursor}")).await;
        assert_eq!(status, 200, "{page:#}");
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        let Some(next) = page["next"].as_str() else { return items };
        cursor = format!("&cursor={next}");
    }
}

/// Rollouts, silences and words on incidents that were acknowledged are there.
async fn are_kept(caller: &Caller, told: &Told) {
    for id in &told.rollouts {
        let (status, rollout) = caller.get(&format!("/v1/rollouts/{id}")).await;
        assert_eq!(status, 200, "the rollout {id} was acknowledged and is lost: {rollout:#}");
    }
    let (_, list) = caller.get("/v1/silences").await;
    let silences: BTreeMap<&str, &Value> =
        list["items"].as_array().unwrap().iter().map(|one| (one["id"].as_str().unwrap(), one)).collect();
    for id in &told.silences {
        assert!(silences.contains_key(id.as_str()), "the silence {id} was acknowledged and is lost");
    }
    for id in &told.lifted {
        let silence = silences[id.as_str()];
        assert!(silence["lifted_at"].is_string(), "that it was lifted is lost: {silence:#}");
    }
    for id in &told.acknowledged {
        let (status, incident) = caller.get(&format!("/v1/incidents/{id}")).await;
        let known = status == 200 && incident["acknowledged"].is_object();
        assert!(known, "a word on the incident {id} is lost: {incident:#}");
    }
}
