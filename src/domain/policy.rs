//! The rules that stand between a wish and a quota. Judging makes no change:
//! it lists every rule that stands against one, so that a reader sees all of
//! them at once.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{QuotaChange, Tier, Timestamp};

/// The limits inside which the daemon may apply a recommendation by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Guardrails {
    /// The largest raise in one step, as a share of the quota: 1.0 doubles it.
    pub largest_step_up: f64,
    /// The largest cut in one step, as a share of the quota: 0.3 leaves 70 %.
    pub largest_step_down: f64,
    /// The least time between two automatic changes of one quota.
    pub cool_down: Duration,
    /// The least confidence, 0 to 1.
    pub least_confidence: f64,
}

impl Default for Guardrails {
    fn default() -> Self {
        Guardrails {
            largest_step_up: 1.0,
            largest_step_down: 0.3,
            cool_down: Duration::from_secs(6 * 3600),
            least_confidence: 0.7,
        }
    }
}

/// A rule that stands against a change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", tag = "rule")]
pub enum Objection {
    /// The quota has moved on since the change was written.
    QuotaMoved {
        /// The generation that the change starts from.
        expected: u64,
        /// The generation that stands.
        found: u64,
    },
    /// The recommendation is too old.
    Expired {
        /// When it expired.
        at: Timestamp,
    },
    /// Below what the tier allows.
    BelowFloor {
        /// The least quota of the tier.
        floor: f64,
    },
    /// Above what the tier allows.
    AboveCeiling {
        /// The largest quota of the tier.
        ceiling: f64,
    },
    /// A larger raise than one step may be.
    StepUpTooLarge {
        /// The raise, as a share.
        step: f64,
        /// The largest allowed, as a share.
        largest: f64,
    },
    /// A larger cut than one step may be.
    StepDownTooLarge {
        /// The cut, as a share.
        step: f64,
        /// The largest allowed, as a share.
        largest: f64,
    },
    /// Too soon after the last change.
    CoolingDown {
        /// When the next change may come.
        until: Timestamp,
    },
    /// Less sure than the daemon must be to act alone.
    ConfidenceTooLow {
        /// How sure it is.
        confidence: f64,
        /// How sure it must be.
        least: f64,
    },
    /// Something is wrong with the tenant right now.
    OpenIncident {
        /// Since when.
        since: Timestamp,
    },
    /// The usage that it rests on is old.
    StaleData {
        /// The last sample.
        last_sample_at: Timestamp,
    },
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| share * 100.0;
        match self {
            Objection::QuotaMoved { expected, found } => write!(
                f,
                "the quota has changed meanwhile, from generation {expected} to {found}; look at it as it is \
                 now and decide anew"
            ),
            Objection::Expired { at } => write!(f, "it expired at {at}; wait for a new recommendation"),
            Objection::BelowFloor { floor } => write!(f, "it is below the tier's floor of {floor}"),
            Objection::AboveCeiling { ceiling } => {
                write!(f, "it is above the tier's ceiling of {ceiling}; consider a higher tier")
            }
            Objection::StepUpTooLarge { step, largest } => write!(
                f,
                "a raise of {:.0} % is more than the {:.0} % allowed in one step",
                percent(*step),
                percent(*largest)
            ),
            Objection::StepDownTooLarge { step, largest } => write!(
                f,
                "a cut of {:.0} % is more than the {:.0} % allowed in one step",
                percent(*step),
                percent(*largest)
            ),
            Objection::CoolingDown { until } => write!(f, "the quota was changed recently; next at {until}"),
            Objection::ConfidenceTooLow { confidence, least } => {
                write!(f, "confidence {confidence:.2} is below the {least:.2} that the guardrails ask for")
            }
            Objection::OpenIncident { since } => {
                write!(f, "the tenant has an incident open since {since}")
            }
            Objection::StaleData { last_sample_at } => {
                write!(f, "the last usage sample is from {last_sample_at}; check the source")
            }
        }
    }
}

/// Every rule that stands against a change; clean where there is none.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// The rules that stand against it.
    pub objections: Vec<Objection>,
}

impl Verdict {
    /// Whether nothing stands against the change.
    pub fn is_clean(&self) -> bool {
        self.objections.is_empty()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("nothing stands against it");
        }
        let all: Vec<String> = self.objections.iter().map(Objection::to_string).collect();
        f.write_str(&all.join("; "))
    }
}

/// What holds for anyone, also for a person: the quota still stands where the
/// change starts, the recommendation has not expired, and the tier allows it.
pub fn judge_for_person(
    change: &QuotaChange,
    tier: Tier,
    generation: u64,
    expires_at: Option<Timestamp>,
    now: Timestamp,
) -> Verdict {
    let mut objections = Vec::new();
    if change.parent_generation != generation {
        objections.push(Objection::QuotaMoved { expected: change.parent_generation, found: generation });
    }
    if let Some(at) = expires_at.filter(|at| *at <= now) {
        objections.push(Objection::Expired { at });
    }
    let floor = tier.floor(change.resource);
    if change.to < floor {
        objections.push(Objection::BelowFloor { floor });
    }
    if let Some(ceiling) = tier.ceiling(change.resource).filter(|ceiling| change.to > *ceiling) {
        objections.push(Objection::AboveCeiling { ceiling });
    }
    Verdict { objections }
}

/// What the daemon must know to act alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// The tenant's tier.
    pub tier: Tier,
    /// The generation of the quota that stands.
    pub generation: u64,
    /// When that quota was last changed after its creation.
    pub last_change_at: Option<Timestamp>,
    /// When the recommendation expires.
    pub expires_at: Timestamp,
    /// How sure the recommendation is, 0 to 1.
    pub confidence: f64,
    /// Since when the tenant has an incident open.
    pub incident_open_since: Option<Timestamp>,
    /// The last usage sample that the recommendation rests on.
    pub last_sample_at: Timestamp,
    /// How old that sample may be.
    pub stale_after: Duration,
    /// The present.
    pub now: Timestamp,
}

/// What holds for the daemon when it acts alone: all that holds for a person,
/// and the guardrails.
pub fn judge_for_daemon(change: &QuotaChange, facts: &Facts, guardrails: &Guardrails) -> Verdict {
    let mut verdict =
        judge_for_person(change, facts.tier, facts.generation, Some(facts.expires_at), facts.now);
    let objections = &mut verdict.objections;
    let step = change.to / change.from - 1.0;
    // A little more than the limit is allowed, so that rounding a quota up to
    // its granularity never turns a step of just the limit into a refusal.
    let tolerance = change.resource.granularity() / change.from;
    if step > guardrails.largest_step_up + tolerance {
        objections.push(Objection::StepUpTooLarge { step, largest: guardrails.largest_step_up });
    }
    if -step > guardrails.largest_step_down + 1e-9 {
        objections.push(Objection::StepDownTooLarge { step: -step, largest: guardrails.largest_step_down });
    }
    if let Some(until) =
        facts.last_change_at.map(|at| at.plus(guardrails.cool_down)).filter(|until| facts.now < *until)
    {
        objections.push(Objection::CoolingDown { until });
    }
    if facts.confidence < guardrails.least_confidence {
        objections.push(Objection::ConfidenceTooLow {
            confidence: facts.confidence,
            least: guardrails.least_confidence,
        });
    }
    if let Some(since) = facts.incident_open_since {
        objections.push(Objection::OpenIncident { since });
    }
    if facts.now.since(facts.last_sample_at) > facts.stale_after {
        objections.push(Objection::StaleData { last_sample_at: facts.last_sample_at });
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::super::Resource;
    use super::*;

    fn change(from: f64, to: f64) -> QuotaChange {
        QuotaChange {
            tenant: "acme".parse().unwrap(),
            resource: Resource::CpuCores,
            parent_generation: 3,
            from,
            to,
            recommendation: None,
            reason: String::new(),
        }
    }

    fn facts() -> Facts {
        let now = Timestamp::from_seconds(1_000_000);
        Facts {
            tier: Tier::Premium,
            generation: 3,
            last_change_at: None,
            expires_at: now.plus(Duration::from_secs(60)),
            confidence: 0.9,
            incident_open_since: None,
            last_sample_at: now,
            stale_after: Duration::from_secs(3600),
            now,
        }
    }

    fn rules(change: &QuotaChange, facts: &Facts) -> Vec<Objection> {
        judge_for_daemon(change, facts, &Guardrails::default()).objections
    }

    #[test]
    fn a_small_sure_change_is_clean() {
        assert_eq!(rules(&change(8.0, 6.0), &facts()), vec![]);
    }

    #[test]
    fn each_rule_is_named() {
        use Objection as O;
        let now = facts().now;
        assert!(matches!(rules(&change(8.0, 20.0), &facts())[..], [O::StepUpTooLarge { .. }]));
        assert!(matches!(rules(&change(8.0, 4.0), &facts())[..], [O::StepDownTooLarge { .. }]));
        assert!(matches!(rules(&change(0.9, 0.7), &facts())[..], [O::BelowFloor { .. }]));
        assert!(matches!(rules(&change(30.0, 40.0), &facts())[..], [O::AboveCeiling { .. }]));
        let moved = Facts { generation: 4, ..facts() };
        assert!(matches!(rules(&change(8.0, 7.0), &moved)[..], [O::QuotaMoved { expected: 3, found: 4 }]));
        let recent = Facts { last_change_at: Some(now), ..facts() };
        assert!(matches!(rules(&change(8.0, 7.0), &recent)[..], [O::CoolingDown { .. }]));
        let unsure = Facts { confidence: 0.5, ..facts() };
        assert!(matches!(rules(&change(8.0, 7.0), &unsure)[..], [O::ConfidenceTooLow { .. }]));
        let ill = Facts { incident_open_since: Some(now), ..facts() };
        assert!(matches!(rules(&change(8.0, 7.0), &ill)[..], [O::OpenIncident { .. }]));
        let old = Facts { last_sample_at: now.minus(Duration::from_secs(7200)), ..facts() };
        assert!(matches!(rules(&change(8.0, 7.0), &old)[..], [O::StaleData { .. }]));
        let late = Facts { expires_at: now, ..facts() };
        assert!(matches!(rules(&change(8.0, 7.0), &late)[..], [O::Expired { .. }]));
    }

    #[test]
    fn all_objections_are_listed_at_once() {
        let bad = Facts { generation: 9, confidence: 0.0, ..facts() };
        assert_eq!(rules(&change(8.0, 1.0), &bad).len(), 3);
    }
}
