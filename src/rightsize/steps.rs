//! Cuts a proposal to a step that the guardrails allow: the daemon moves in
//! steps, a person may go all the way at once.

use super::{KeepReason, Outcome, Proposal};
use crate::domain::{Guardrails, Resource};
use crate::series::UsageSeries;

/// The proposal, no further from `quota` than one step.
pub fn one_step(
    mut proposal: Proposal,
    resource: Resource,
    quota: f64,
    usage: &UsageSeries,
    rails: &Guardrails,
) -> Outcome {
    let bounds = rails.bounds_of(resource);
    let floor = bounds.floor.unwrap_or(0.0);
    let ceiling = bounds.ceiling.unwrap_or(f64::INFINITY);
    let lowest = resource.round_up(quota * (1.0 - rails.largest_step_down)).max(floor);
    let highest = resource.round_up(quota * (1.0 + rails.largest_step_up)).min(ceiling);
    let step = proposal.limit.clamp(lowest.min(quota), highest.max(quota));
    if step == quota {
        return Outcome::Keep(KeepReason::StepTooCoarse { target: proposal.limit });
    }
    if step != proposal.limit {
        proposal.reasons.push(format!("A first step towards {}.", proposal.limit));
        proposal.limit = step;
        proposal.evidence = proposal.evidence.with_limit(usage.values.iter(), step);
    }
    Outcome::Change(Box::new(proposal))
}
