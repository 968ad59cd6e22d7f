//! What must hold once nothing is under way any more.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::load::is_over;
use super::platform::{Enforced, Platform};
use super::witness::{everything, quotas};
use crate::caller::Caller;
use crate::rig::{Listener, Posted};

const OPENED: &str = "plimsoll.incident.opened";
const RESOLVED: &str = "plimsoll.incident.resolved";

/// Every rollout that a kill has cut comes to its end.
pub async fn rollouts_are_over(caller: &Caller) {
    let over = || async { everything(caller, "/v1/rollouts?").await.iter().all(is_over) };
    caller.wait_until("every rollout is over", over).await;
}

/// The daemon goes on with its own work: what people have cut below the usage
/// is raised.
pub async fn the_daemon_has_raised(caller: &Caller) {
    let enough = |(tenant, limit, _): &(String, f64, u64)| !tenant.starts_with("raised-") || *limit > 1.5;
    let raised = || async { quotas(caller).await.iter().all(enough) };
    caller.wait_until("the daemon has raised what is too small", raised).await;
}

/// The platform holds each quota as the registry has it.
pub async fn the_platform_agrees(caller: &Caller, platform: &Platform) {
    let same = |(tenant, limit, generation): &(String, f64, u64)| match platform.holds(tenant) {
        Some(held) => held == Enforced { limit: *limit, generation: *generation },
        None => *generation == 1,
    };
    let agrees = || async { quotas(caller).await.iter().all(same) };
    caller.wait_until("the platform holds what the registry says", agrees).await;
}

/// Each incident that counts as told has reached the receiver, or lies among
/// the dead letters; gives how many there are. A summary of the day tells of
/// what was more than the day's alerts in its own way.
pub async fn incidents_are_told(caller: &Caller, receiver: &Listener) -> usize {
    let incidents = everything(caller, "/v1/incidents?").await;
    let told = incidents.iter().filter(|one| !one["told_at"].is_null() && one["summarised_in"].is_null());
    let told: BTreeSet<String> = told.map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    let have_come = || async {
        let mut known = given_up(caller).await;
        known.extend(ids_by_subject(receiver, OPENED).into_keys());
        told.is_subset(&known)
    };
    caller.wait_until("each incident that counts as told has come", have_come).await;
    told.len()
}

/// However often it was sent, each beginning and each end has one id, each id
/// one body, and no end comes before its beginning.
pub fn webhooks_keep_their_ids(receiver: &Listener) {
    for kind in [OPENED, RESOLVED] {
        for (subject, ids) in ids_by_subject(receiver, kind) {
            assert_eq!(ids.len(), 1, "{kind} of {subject} has the ids {ids:?}");
        }
    }
    let mut bodies: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut ended = BTreeSet::new();
    for posted in receiver.posted() {
        let (kind, subject) = about(&posted);
        if kind == RESOLVED {
            ended.insert(subject);
        } else if kind == OPENED {
            assert!(!ended.contains(&subject), "{subject} begins after its end");
        }
        let id = posted.header("webhook-id").to_owned();
        let first = bodies.entry(id).or_insert_with(|| posted.body.clone());
        assert_eq!(*first, posted.body, "one id, two bodies");
    }
}

/// The ids under which the receiver was told of a kind of notice, by what it is
/// about.
fn ids_by_subject(receiver: &Listener, wanted: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for posted in receiver.posted() {
        let (kind, subject) = about(&posted);
        if kind == wanted {
            ids.entry(subject).or_default().insert(posted.header("webhook-id").to_owned());
        }
    }
    ids
}

/// The kind and the subject of a webhook.
fn about(posted: &Posted) -> (String, String) {
    let body = posted.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&body["type"]), text(&body["data"]["subject"]))
}

/// The subjects of the notices that were given up.
async fn given_up(caller: &Caller) -> BTreeSet<String> {
    let letters = everything(caller, "/v1/dead-letters?").await;
    letters.iter().map(|one| one["notice"]["subject"].as_str().unwrap().to_owned()).collect()
}
