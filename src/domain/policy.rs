//! The rules that stand between a wish and a quota. Judging makes no change:
//! it lists every rule that stands against one, so that a reader sees all of
//! them at once.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Actor, Budgets, FreezeWindow, Money, PerMonth, QuotaChange, Resource, RolloutId, Tier, Timestamp, WhyTwo,
};

/// The limits inside which the daemon may apply a recommendation by itself.
#[derive(Debug, Clone)]
pub struct Guardrails {
    /// The largest raise in one step, as a share of the quota: 1.0 doubles it.
    pub largest_step_up: f64,
    /// The largest cut in one step, as a share of the quota: 0.3 leaves 70 %.
    pub largest_step_down: f64,
    /// The least time between two automatic changes of one quota.
    pub cool_down: Duration,
    /// The least confidence, 0 to 1.
    pub least_confidence: f64,
    /// The lowest and the highest quota of each resource, beside the tier's.
    pub bounds: BTreeMap<Resource, Bounds>,
    /// When nothing is changed.
    pub freezes: Vec<FreezeWindow>,
    /// What the daemon's own changes of a calendar month may add to the monthly
    /// cost of the fleet, of a tier's tenants and of a tenant.
    pub monthly_rise: Budgets,
    /// How many rollbacks within [`Guardrails::ROLLBACKS_WITHIN`] stop the
    /// changes of a tenant's quotas; above 0.
    pub rollbacks_that_stop: usize,
}

/// The lowest and the highest quota, in the resource's unit.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bounds {
    /// The lowest.
    pub floor: Option<f64>,
    /// The highest.
    pub ceiling: Option<f64>,
}

impl Guardrails {
    /// For how long a rollback counts against its tenant.
    pub const ROLLBACKS_WITHIN: Duration = Duration::from_secs(7 * 86_400);

    /// The bounds of a resource.
    pub fn bounds_of(&self, resource: Resource) -> Bounds {
        self.bounds.get(&resource).copied().unwrap_or_default()
    }
}

impl Default for Guardrails {
    fn default() -> Self {
        Guardrails {
            largest_step_up: 1.0,
            largest_step_down: 0.3,
            cool_down: Duration::from_secs(6 * 3600),
            least_confidence: 0.7,
            bounds: BTreeMap::new(),
            freezes: Vec::new(),
            monthly_rise: Budgets::default(),
            rollbacks_that_stop: 2,
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
    /// Below what the guardrails let the daemon set.
    BelowGuardrail {
        /// The lowest quota.
        floor: f64,
    },
    /// Above what the guardrails let the daemon set.
    AboveGuardrail {
        /// The highest quota.
        ceiling: f64,
    },
    /// A time in which the daemon changes nothing.
    Frozen {
        /// The window's name in the config.
        window: String,
        /// When it ends.
        until: Timestamp,
    },
    /// The daemon's changes of this month would cost too much.
    RiseTooDear {
        /// Whose budget: fleet, a tier or a tenant.
        of: String,
        /// What its changes of this month would add to the monthly cost.
        rise: Money<PerMonth>,
        /// What they may add.
        limit: Money<PerMonth>,
    },
    /// The tenant's changes were rolled back too often.
    RolledBackTooOften {
        /// How many rollbacks count.
        rollbacks: usize,
        /// When the first of them no longer does.
        until: Timestamp,
    },
    /// A rollout that is not over is at the quota.
    InRollout {
        /// Which.
        rollout: RolloutId,
        /// Its name.
        name: String,
    },
    /// One person's word is not enough, and the daemon's is none.
    NeedsTwoPeople {
        /// Why.
        because: WhyTwo,
    },
    /// The second of two people is the first one again.
    SamePersonTwice {
        /// Who.
        by: Actor,
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
            Objection::BelowGuardrail { floor } => {
                write!(f, "it is below {floor}, the lowest that guardrails.floors lets the daemon set")
            }
            Objection::AboveGuardrail { ceiling } => {
                write!(f, "it is above {ceiling}, the highest that guardrails.ceilings lets the daemon set")
            }
            Objection::Frozen { window, until } => {
                write!(f, "the freeze window {window} lets the daemon change nothing before {until}")
            }
            Objection::RiseTooDear { of, rise, limit } => write!(
                f,
                "with it the daemon's changes of this month would add {rise} to the cost of {of}, and \
                 guardrails.monthly_rise allows {limit}"
            ),
            Objection::RolledBackTooOften { rollbacks, until } => write!(
                f,
                "{rollbacks} changes of this tenant were rolled back within a week, so a person decides until {until}"
            ),
            Objection::InRollout { rollout, name } => {
                write!(f, "the quota is part of the rollout \"{name}\" ({rollout}), which is not over")
            }
            Objection::NeedsTwoPeople { because } => {
                write!(f, "two different people must approve it, since {because}")
            }
            Objection::SamePersonTwice { by } => {
                write!(f, "{by} has asked for it or approved it already; a second, different person must")
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
/// What stood before may always come back, whatever the tier says by now.
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
    if !change.rolls_back {
        objections.extend(out_of_tier(change, tier));
    }
    Verdict { objections }
}

fn out_of_tier(change: &QuotaChange, tier: Tier) -> Option<Objection> {
    let floor = tier.floor(change.resource);
    if change.to < floor {
        return Some(Objection::BelowFloor { floor });
    }
    let ceiling = tier.ceiling(change.resource).filter(|ceiling| change.to > *ceiling)?;
    Some(Objection::AboveCeiling { ceiling })
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
    /// When the tenant's changes were rolled back, as far as that counts, the
    /// oldest first.
    pub rollbacks: Vec<Timestamp>,
    /// What of the month's rise would be too dear with this change.
    pub too_dear: Option<Objection>,
    /// The rollout that is at the quota.
    pub in_rollout: Option<Objection>,
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
    objections.extend(facts.incident_open_since.map(|since| Objection::OpenIncident { since }));
    if facts.now.since(facts.last_sample_at) > facts.stale_after {
        objections.push(Objection::StaleData { last_sample_at: facts.last_sample_at });
    }
    objections.extend(out_of_bounds(change, guardrails));
    objections.extend(frozen(change, facts.tier, guardrails, facts.now));
    objections.extend(facts.too_dear.clone());
    objections.extend(facts.in_rollout.clone());
    objections.extend(rolled_back_too_often(facts, guardrails));
    verdict
}

/// What has come about since the daemon began a change.
#[derive(Debug, Clone, Copy)]
pub struct Meanwhile {
    /// The tenant's tier.
    pub tier: Tier,
    /// Since when an incident is open that holds the tenant's changes.
    pub incident_open_since: Option<Timestamp>,
    /// When the newest sample of its usage is from, where that is too long ago.
    pub stale_since: Option<Timestamp>,
    /// The present.
    pub now: Timestamp,
}

/// What holds for the daemon when it carries out late what it had begun: that
/// it was right then says nothing of a freeze, or of an incident, that has begun
/// since, nor of usage that nobody has seen since.
pub fn judge_late(change: &QuotaChange, meanwhile: &Meanwhile, guardrails: &Guardrails) -> Verdict {
    let Meanwhile { tier, incident_open_since, stale_since, now } = *meanwhile;
    let incident = incident_open_since.map(|since| Objection::OpenIncident { since });
    let stale = stale_since.map(|last_sample_at| Objection::StaleData { last_sample_at });
    Verdict {
        objections: incident.into_iter().chain(stale).chain(frozen(change, tier, guardrails, now)).collect(),
    }
}

/// A change that leads back towards the bounds is never held up by them.
fn out_of_bounds(change: &QuotaChange, guardrails: &Guardrails) -> Option<Objection> {
    let Bounds { floor, ceiling } = guardrails.bounds_of(change.resource);
    let below = floor.filter(|floor| change.to < *floor && change.to < change.from);
    let above = ceiling.filter(|ceiling| change.to > *ceiling && change.to > change.from);
    below
        .map(|floor| Objection::BelowGuardrail { floor })
        .or_else(|| above.map(|ceiling| Objection::AboveGuardrail { ceiling }))
}

/// The window that is open longest.
fn frozen(change: &QuotaChange, tier: Tier, guardrails: &Guardrails, now: Timestamp) -> Option<Objection> {
    let open = guardrails.freezes.iter().filter_map(|window| {
        let until = window.open_until(&change.tenant, tier, now)?;
        Some((until, window.name.clone()))
    });
    open.max().map(|(until, window)| Objection::Frozen { window, until })
}

fn rolled_back_too_often(facts: &Facts, guardrails: &Guardrails) -> Option<Objection> {
    let rollbacks = facts.rollbacks.len();
    // Enough of them must be forgotten that fewer than the limit are left.
    let place = rollbacks.checked_sub(guardrails.rollbacks_that_stop)?;
    let until = facts.rollbacks.get(place)?.plus(Guardrails::ROLLBACKS_WITHIN);
    Some(Objection::RolledBackTooOften { rollbacks, until })
}

#[cfg(test)]
mod tests {
    use super::super::Timetable;
    use super::*;

    fn change(from: f64, to: f64) -> QuotaChange {
        QuotaChange {
            tenant: "acme".parse().unwrap(),
            resource: Resource::CpuCores,
            parent_generation: 3,
            from,
            to,
            recommendation: None,
            rollout: None,
            rolls_back: false,
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
            rollbacks: Vec::new(),
            too_dear: None,
            in_rollout: None,
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
    fn what_stood_before_may_come_back_whatever_the_tier_says() {
        let back = QuotaChange { rolls_back: true, ..change(4.0, 100.0) };
        let judged = |change: &QuotaChange| judge_for_person(change, Tier::Premium, 3, None, facts().now);
        assert!(matches!(judged(&change(4.0, 100.0)).objections[..], [Objection::AboveCeiling { .. }]));
        assert!(matches!(judged(&change(4.0, 0.01)).objections[..], [Objection::BelowFloor { .. }]));
        assert!(judged(&back).is_clean());
        assert!(judged(&QuotaChange { to: 0.01, ..back }).is_clean());
    }

    #[test]
    fn bounds_hold_but_never_keep_a_quota_out_of_them() {
        let bounds = BTreeMap::from([(Resource::CpuCores, Bounds { floor: Some(6.0), ceiling: Some(9.0) })]);
        let rails = Guardrails { bounds, ..Guardrails::default() };
        let rules = |from, to| judge_for_daemon(&change(from, to), &facts(), &rails).objections;
        assert_eq!(rules(8.0, 5.9), vec![Objection::BelowGuardrail { floor: 6.0 }]);
        assert_eq!(rules(8.0, 9.1), vec![Objection::AboveGuardrail { ceiling: 9.0 }]);
        assert_eq!((rules(4.0, 5.0), rules(12.0, 10.0)), (vec![], vec![]));
    }

    #[test]
    fn an_open_window_stops_the_daemon() {
        let window = |name: &str, hours: u64| FreezeWindow {
            name: name.to_owned(),
            begins: Timetable::parse("0 13 * * *", "UTC").unwrap(),
            lasts: Duration::from_secs(hours * 3600),
            tiers: Vec::new(),
            tenants: Vec::new(),
        };
        // 13:46 UTC.
        let rails =
            Guardrails { freezes: vec![window("short", 1), window("long", 2)], ..Guardrails::default() };
        let objections = judge_for_daemon(&change(8.0, 7.0), &facts(), &rails).objections;
        let until = "1970-01-12T15:00:00Z".parse().unwrap();
        assert_eq!(objections, vec![Objection::Frozen { window: "long".to_owned(), until }]);
        let short = Guardrails { freezes: vec![window("short", 1)], ..rails };
        let later = Facts { now: facts().now.plus(Duration::from_secs(14 * 60)), ..facts() };
        assert!(
            !judge_for_daemon(&change(8.0, 7.0), &later, &short)
                .objections
                .iter()
                .any(|one| matches!(one, Objection::Frozen { .. }))
        );
    }

    #[test]
    fn rollbacks_stop_a_tenant_until_enough_are_forgotten() {
        let at = |day: u64| facts().now.minus(Duration::from_secs(day * 86_400));
        let until = |rollbacks: Vec<Timestamp>| {
            let facts = Facts { rollbacks, ..facts() };
            match rules(&change(8.0, 7.0), &facts)[..] {
                [] => None,
                [Objection::RolledBackTooOften { until, .. }] => Some(until),
                ref other => panic!("{other:?}"),
            }
        };
        let week = Guardrails::ROLLBACKS_WITHIN;
        assert_eq!(until(vec![at(1)]), None);
        assert_eq!(until(vec![at(3), at(1)]), Some(at(3).plus(week)));
        assert_eq!(until(vec![at(5), at(3), at(1)]), Some(at(3).plus(week)));
    }

    #[test]
    fn all_objections_are_listed_at_once() {
        let bad = Facts { generation: 9, confidence: 0.0, ..facts() };
        assert_eq!(rules(&change(8.0, 1.0), &bad).len(), 3);
    }
}
