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
    let lowest = resource.round_up(quota * (1.0 - rails.largest_step_down));
    let highest = resource.round_up(quota * (1.0 + rails.largest_step_up));
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
