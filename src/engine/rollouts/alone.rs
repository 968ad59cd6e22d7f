//! What is in a rollout that is not over: no other one takes it.

use std::collections::BTreeMap;

use super::{Engine, RolloutError, SeriesKey};
use crate::domain::rollout::{Outcome, Rollout, RolloutChange};
use crate::domain::{RolloutId, TenantId};
use crate::registry::RegistryError;

/// A rollout's id and name.
type Which = (RolloutId, String);

/// What is in a rollout, by that rollout.
#[derive(Default)]
struct Held {
    quotas: BTreeMap<SeriesKey, Which>,
    /// The tenants that get a template.
    templates: BTreeMap<TenantId, Which>,
}

impl Engine {
    /// The quotas that are a rollout's until it is over.
    pub(in crate::engine) async fn quotas_in_rollouts(
        &self,
    ) -> Result<BTreeMap<SeriesKey, Which>, RegistryError> {
        Ok(self.held().await?.quotas)
    }

    async fn held(&self) -> Result<Held, RegistryError> {
        let mut held = Held::default();
        for id in self.parts.registry.open_rollouts().await? {
            let (rollout, _) = self.parts.registry.rollout(id).await?;
            let which = (id, rollout.name.clone());
            let moved = rollout.moves().iter().filter(|one| one.outcome.is_held());
            held.templates.extend(moved.map(|one| (one.tenant.clone(), which.clone())));
            for change in rollout.changes.into_iter().filter(RolloutChange::is_held) {
                let key = SeriesKey { tenant: change.tenant, resource: change.resource };
                held.quotas.insert(key, which.clone());
            }
        }
        Ok(held)
    }

    /// Leaves out what is in another rollout, and says so there.
    ///
    /// # Errors
    /// Where nothing is left to be done, with the first that is in another.
    pub(super) async fn leave_taken(&self, rollout: &mut Rollout) -> Result<(), RolloutError> {
        let held = self.held().await?;
        let mut first = None;
        let mut leave = |outcome: &mut Outcome, what: String, (id, name): &Which| {
            let why = format!("{what} is in the rollout \"{name}\" ({id}), which is not over");
            first.get_or_insert_with(|| why.clone());
            *outcome = Outcome::Refused { why };
        };
        for one in rollout.template.iter_mut().flat_map(|template| &mut template.moves) {
            if let Some(which) = held.templates.get(&one.tenant).filter(|_| one.outcome.is_held()) {
                leave(&mut one.outcome, format!("the template of {}", one.tenant), which);
            }
        }
        for one in &mut rollout.changes {
            let key = SeriesKey { tenant: one.tenant.clone(), resource: one.resource };
            if let Some(which) = held.quotas.get(&key).filter(|_| one.outcome.is_held()) {
                leave(&mut one.outcome, format!("{} of {}", one.resource, one.tenant), which);
            }
        }
        rollout.refuse_without_template();
        match first {
            _ if rollout.has_waiting() => Ok(()),
            Some(first) => Err(RolloutError::Taken(first)),
            None => Err(nothing_left(rollout)),
        }
    }
}

/// Why a rollout has nothing to do: what stands against its first change, or
/// that there is none.
fn nothing_left(rollout: &Rollout) -> RolloutError {
    let refused = rollout.changes.iter().filter_map(|one| match &one.outcome {
        Outcome::Refused { why } => Some(format!("{} of {} is refused: {why}", one.resource, one.tenant)),
        _ => None,
    });
    let refused: Vec<String> = refused.collect();
    match &refused[..] {
        [] => RolloutError::Empty,
        [only] => RolloutError::Refused(only.clone()),
        [first, others @ ..] => RolloutError::Refused(format!("{first} (and {} more)", others.len())),
    }
}
