//! The rule that turns a case into an outcome.

use super::needs::{Needs, Way};
use super::{AbstainReason, Case, DatedForecast, KeepReason, Outcome, Proposal, Settings, demand, evidence};
use crate::domain::recommendation::WhatIf;
use crate::series::stats;

/// The largest share of gaps with which an answer is given.
const MOST_GAPS: f64 = 0.5;
/// A difference that is none, as a share.
const SAME: f64 = 1e-9;

/// What should become of a quota.
pub fn decide(case: &Case<'_>, settings: &Settings) -> Outcome {
    let sorted = stats::sorted_finite(case.usage.values.iter());
    if let Some(reason) = cannot_say(case, settings, &sorted) {
        return Outcome::Abstain(reason);
    }
    let forecast = match case.forecast {
        Ok(forecast) => forecast,
        Err(abstention) => return Outcome::Abstain(AbstainReason::NoForecast(abstention.clone())),
    };
    let case = Sized { case, settings, forecast, sorted: &sorted };
    match demand::pinned_share(case.case.usage, &case.case.quota) {
        Some(share) => case.raise_pinned(share),
        None => case.fit(),
    }
}

/// Why the usage carries no answer, if it doesn't.
fn cannot_say(case: &Case<'_>, settings: &Settings, sorted: &[f64]) -> Option<AbstainReason> {
    let (Some(lowest), Some(highest)) = (sorted.first(), sorted.last()) else {
        return Some(AbstainReason::NoSamples);
    };
    let first = case.usage.values.iter().position(|value| value.is_finite()).unwrap_or(0);
    let last = case.usage.values.iter().rposition(|value| value.is_finite()).unwrap_or(0);
    let span = case.usage.at(last + 1).since(case.usage.at(first));
    let hours = span.as_secs() / 3600;
    if span < settings.least_history {
        let need_hours = settings.least_history.as_secs() / 3600;
        return Some(AbstainReason::TooLittleHistory { have_hours: hours, need_hours });
    }
    let gap_share = 1.0 - sorted.len() as f64 / (last + 1 - first) as f64;
    if gap_share > MOST_GAPS {
        return Some(AbstainReason::MostlyGaps { gap_share });
    }
    // Usage that stands at the quota is pinned, which is an answer.
    let pinned = demand::pinned_share(case.usage, &case.quota).is_some();
    if highest - lowest <= SAME * highest.abs() && !pinned {
        return Some(AbstainReason::FlatLine { value: *highest, hours });
    }
    None
}

/// A case that carries an answer.
struct Sized<'a> {
    case: &'a Case<'a>,
    settings: &'a Settings,
    forecast: &'a DatedForecast,
    /// The samples, sorted upwards.
    sorted: &'a [f64],
}

impl<'a> Sized<'a> {
    fn needs(&self) -> Needs<'a> {
        Needs::of(self.case, self.settings, self.forecast, self.sorted)
    }

    /// Usage at the quota hides how much is wanted: raise in bounded steps, and
    /// look again. What is known to be needed is never waited for in steps.
    fn raise_pinned(&self, share: f64) -> Outcome {
        let Sized { case, settings, .. } = self;
        let quota = case.quota.limit;
        let needs = self.needs();
        let step = case.resource.round_up(quota * (1.0 + settings.pinned_step));
        let wanted = step.max(case.resource.round_up(needs.most(Way::Up)));
        let limit = case.within_tier(wanted);
        if limit <= quota {
            return Outcome::Keep(KeepReason::PinnedAtCeiling);
        }
        let mut reasons = vec![format!(
            "Usage stood at or above the quota in {:.0} % of the last day's samples, so demand is above it.",
            share * 100.0
        )];
        if wanted > step {
            reasons.extend(needs.reasons(Way::Up));
        } else {
            reasons.push(format!("Raised by a step of {:.0} %, rounded up.", settings.pinned_step * 100.0));
        }
        self.propose(wanted, limit, reasons)
    }

    /// The quota that is asked for: up at once, down once that is settled.
    fn fit(&self) -> Outcome {
        let Sized { case, .. } = self;
        let (needs, quota) = (self.needs(), case.quota.limit);
        let (up, down) = (needs.most(Way::Up), needs.most(Way::Down));
        let (higher, lower) = (case.within_tier(up), case.within_tier(down));
        if higher > quota * (1.0 + SAME) {
            if self.is_too_small(higher) && !needs.is_surprise() && !self.is_broken() {
                return self.keep_near(higher);
            }
            return self.propose(case.resource.round_up(up), higher, needs.reasons(Way::Up));
        }
        if lower < quota * (1.0 - SAME) {
            return match self.resting() {
                _ if self.is_too_small(lower) => self.keep_near(lower),
                Some(reason) => Outcome::Keep(reason),
                None => self.propose(case.resource.round_up(down), lower, needs.reasons(Way::Down)),
            };
        }
        Outcome::Keep(if higher < quota * (1.0 - SAME) {
            match needs.is_insured() {
                true => KeepReason::Insured { enough: higher },
                false => KeepReason::NotSettled { target: higher },
            }
        } else if case.resource.round_up(up) < higher {
            KeepReason::AtFloor
        } else if case.resource.round_up(up) > higher {
            KeepReason::AtCeiling { target: up }
        } else {
            KeepReason::WithinDeadBand { target: higher, dead_band: self.settings.dead_band }
        })
    }

    /// Whether a difference is left alone. Limits for some hours are past that:
    /// their allowance of changes has decided.
    fn is_too_small(&self, limit: f64) -> bool {
        let decided = self.case.advice.is_some_and(|advice| advice.proven && advice.is_short());
        !decided && (limit / self.case.quota.limit - 1.0).abs() < self.settings.dead_band
    }

    /// A raise that the past has already needed is never left to the dead band.
    /// A quota that is meant for some hours only can't be held against all.
    fn is_broken(&self) -> bool {
        let short = self.case.advice.is_some_and(|advice| advice.proven && advice.is_short());
        let now = WhatIf::of(&self.case.usage.values, self.case.quota.limit);
        !short && now.violations > self.case.budget.share
    }

    fn keep_near(&self, target: f64) -> Outcome {
        Outcome::Keep(KeepReason::WithinDeadBand { target, dead_band: self.settings.dead_band })
    }

    /// What a quota that was raised is worth shows only once some time has seen
    /// it; before, usage that the lower quota held down would ask for a cut. A
    /// step of a schedule was known to be one of many.
    fn resting(&self) -> Option<KeepReason> {
        if self.case.is_on_schedule() {
            return None;
        }
        let quota = self.case.quota;
        let until = quota.since.filter(|_| quota.raised)?.plus(self.settings.rest);
        (self.case.usage.end() < until).then_some(KeepReason::Resting { until })
    }

    /// Proposes `limit`, which is `wanted` inside the tier's bounds.
    fn propose(&self, wanted: f64, limit: f64, mut reasons: Vec<String>) -> Outcome {
        let Sized { case, settings, forecast, sorted } = self;
        if limit > wanted * (1.0 + SAME) {
            reasons.push(format!("The tier's floor of {limit} holds it there."));
        }
        if limit < wanted * (1.0 - SAME) {
            reasons.push(format!("The tier's ceiling of {limit} holds it there; consider a higher tier."));
        }
        let mut evidence = evidence::gather(case, forecast, settings, sorted, limit);
        let (confidence, because) = evidence::confidence(&evidence);
        evidence.confidence_because = because;
        Outcome::Change(Box::new(Proposal { limit, evidence, reasons, confidence }))
    }
}

#[cfg(test)]
mod tests;
