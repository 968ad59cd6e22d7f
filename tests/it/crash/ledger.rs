//! The audit log as somebody reads it who wrote down all that came before: each
//! line must follow from the one before, over every kill.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::load::Change;
use crate::caller::Caller;

/// What a line says of a quota's change.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    limit: f64,
    by_a_person: bool,
}

/// What was read so far.
#[derive(Debug)]
pub struct Ledger {
    /// The last line's number and hash.
    number: u64,
    hash: String,
    /// By tenant, the changes of its quota of processor time; the first makes
    /// generation 2.
    steps: BTreeMap<String, Vec<Step>>,
    /// How often a tenant's quota was changed for this reason, of rollouts.
    for_rollouts: BTreeMap<(String, String), usize>,
    /// The changes that people have asked for themselves: the tenant, the
    /// generation, the bits of the limit.
    asked: BTreeSet<(String, u64, u64)>,
    pub by_the_daemon: usize,
}

impl Default for Ledger {
    fn default() -> Ledger {
        Ledger {
            number: 0,
            // What stands before the first line.
            hash: "0".repeat(64),
            steps: BTreeMap::new(),
            for_rollouts: BTreeMap::new(),
            asked: BTreeSet::new(),
            by_the_daemon: 0,
        }
    }
}

impl Ledger {
    /// Notes what people ask for, before a line of it is read.
    pub fn note(&mut self, asked: Vec<Change>) {
        let noted = asked.into_iter().map(|one| (one.tenant, one.generation, one.limit.to_bits()));
        self.asked.extend(noted);
    }

    /// Reads on to the end of the log.
    pub async fn read(&mut self, caller: &Caller) {
        loop {
            let path = format!("/v1/audit?order=oldest&limit=500&cursor={}", self.number);
            let (status, page) = caller.get(&path).await;
            assert_eq!(status, 200, "{page:#}");
            for line in page["items"].as_array().unwrap() {
                self.take(line);
            }
            if page["next"].is_null() {
                return;
            }
        }
    }

    fn take(&mut self, line: &Value) {
        assert_eq!(line["number"].as_u64(), Some(self.number + 1), "the log leaves no number out: {line:#}");
        assert_eq!(line["previous"], self.hash.as_str(), "the chain is whole: {line:#}");
        self.number += 1;
        line["hash"].as_str().unwrap().clone_into(&mut self.hash);
        if line["action"] == "quota_changed" {
            self.take_change(line);
        }
    }

    /// A quota's changes leave no generation out, and each begins where the one
    /// before has ended.
    fn take_change(&mut self, line: &Value) {
        let (before, after) = (&line["before"], &line["after"]);
        let tenant = line["tenant"].as_str().unwrap().to_owned();
        let steps = self.steps.entry(tenant.clone()).or_default();
        let generation = steps.len() as u64 + 1;
        assert_eq!(line["resource"], "cpu_cores", "{line:#}");
        assert_eq!(before["generation"].as_u64(), Some(generation), "{line:#}");
        assert_eq!(after["generation"].as_u64(), Some(generation + 1), "{line:#}");
        if let Some(last) = steps.last() {
            assert_eq!(before["limit"].as_f64(), Some(last.limit), "{line:#}");
        }
        let limit = after["limit"].as_f64().unwrap();
        let by_a_person = line["actor"]["kind"] == "person";
        steps.push(Step { limit, by_a_person });
        self.by_the_daemon += usize::from(!by_a_person);
        if tenant.starts_with("rolled-") {
            let reason = line["reason"].as_str().unwrap().to_owned();
            *self.for_rollouts.entry((tenant, reason)).or_default() += 1;
        } else if by_a_person {
            let known = self.asked.contains(&(tenant, generation + 1, limit.to_bits()));
            assert!(known, "nobody has asked for that: {line:#}");
        } else {
            assert!(tenant.starts_with("raised-"), "that is not the daemon's to change: {line:#}");
        }
    }

    /// Holds an acknowledged change against the log.
    pub fn has(&self, change: &Change) {
        let place = usize::try_from(change.generation).unwrap() - 2;
        let step = self.steps.get(&change.tenant).and_then(|steps| steps.get(place));
        let wanted = Step { limit: change.limit, by_a_person: true };
        assert_eq!(step, Some(&wanted), "{change:?} was acknowledged and is lost");
    }

    /// Holds a quota against the log, which was read after it.
    pub fn tells_of(&self, tenant: &str, limit: f64, generation: u64) {
        let Some(place) = usize::try_from(generation).unwrap().checked_sub(2) else { return };
        let step = self.steps.get(tenant).and_then(|steps| steps.get(place));
        assert_eq!(step.map(|step| step.limit), Some(limit), "{tenant} of generation {generation}");
    }

    /// How often a tenant's quota was changed by a rollout for this reason.
    pub fn changes_for(&self, tenant: &str, reason: &str) -> usize {
        self.for_rollouts.get(&(tenant.to_owned(), reason.to_owned())).copied().unwrap_or(0)
    }

    /// All changes that rollouts made.
    pub fn changes_by_rollouts(&self) -> usize {
        self.for_rollouts.values().sum()
    }

    pub fn lines(&self) -> u64 {
        self.number
    }
}
