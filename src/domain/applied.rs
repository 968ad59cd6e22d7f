//! A change of a quota that was carried out, with what was measured before and
//! after it. It is what the savings are reckoned from.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Actor, RecommendationId, Resource, RolloutId, Site, TenantId, Timestamp};

/// How many samples lay above a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Violations {
    /// Samples that were looked at.
    pub samples: u64,
    /// Those above the limit.
    pub above: u64,
}

impl Violations {
    /// Counts among some samples; gaps count for nothing.
    pub fn count(values: impl Iterator<Item = f64>, limit: f64) -> Self {
        let mut found = Violations::default();
        for value in values.filter(|value| value.is_finite()) {
            found.samples += 1;
            found.above += u64::from(value > limit);
        }
        found
    }

    /// The share above the limit; `None` without samples.
    pub fn share(self) -> Option<f64> {
        (self.samples > 0).then(|| self.above as f64 / self.samples as f64)
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Violations) -> Violations {
        Violations { samples: self.samples + other.samples, above: self.above + other.above }
    }
}

/// The usage of the week before a change and of the week after it, each against
/// the limit of its time, and less where another change lies nearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Measured {
    /// Usage before it, against the limit before.
    pub before: Violations,
    /// Usage since, against the limit since.
    pub since: Violations,
    /// Up to when usage was looked at.
    pub until: Timestamp,
}

/// A change of a quota that was carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AppliedChange {
    /// Whose quota.
    pub tenant: TenantId,
    /// The provider whose prices counted for the tenant then.
    pub provider: String,
    /// The region, likewise.
    pub region: String,
    /// Which quota.
    pub resource: Resource,
    /// The quota's generation since.
    pub generation: u64,
    /// When.
    pub at: Timestamp,
    /// The limit before, in the resource's unit.
    pub before: f64,
    /// The limit since, in the resource's unit.
    pub after: f64,
    /// The recommendation that it follows; `null` for a person's own wish.
    pub recommendation: Option<RecommendationId>,
    /// The rollout that it is a part of.
    #[serde(default)]
    pub rollout: Option<RolloutId>,
    /// Whether it took an earlier change back.
    #[serde(default)]
    pub rolls_back: bool,
    /// Who approved it.
    pub by: Actor,
    /// When the tenant left; `null` while it stays.
    pub left_at: Option<Timestamp>,
    /// What usage did before and after; `null` while nothing was measured.
    pub measured: Option<Measured>,
}

impl AppliedChange {
    /// Where it stands among all changes: later ones are larger.
    pub fn position(&self) -> String {
        format!("{:020}/{}/{}/{:020}", self.at.millis(), self.tenant, self.resource, self.generation)
    }
}

impl<'a> From<&'a AppliedChange> for Site<'a> {
    fn from(change: &'a AppliedChange) -> Self {
        Site { provider: &change.provider, region: &change.region }
    }
}

/// The limit that stood at `at`, of a quota that stands at `now` after these
/// changes, which are in the order of time and reach back to `at` at least.
pub fn limit_at(now: f64, changes: &[AppliedChange], at: Timestamp) -> f64 {
    changes.iter().find(|change| change.at > at).map_or(now, |change| change.before)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A change of acme's cores that stands for any.
    pub fn change(at: Timestamp, before: f64, after: f64) -> AppliedChange {
        AppliedChange {
            tenant: "acme".parse().unwrap(),
            provider: "x".to_owned(),
            region: "y".to_owned(),
            resource: Resource::CpuCores,
            generation: 2,
            at,
            before,
            after,
            recommendation: None,
            rollout: None,
            rolls_back: false,
            by: Actor::Daemon,
            left_at: None,
            measured: None,
        }
    }

    #[test]
    fn a_limit_stands_from_its_change_on() {
        let at = Timestamp::from_seconds;
        let changes = [change(at(10), 8.0, 6.0), change(at(20), 6.0, 4.0)];
        assert_eq!(
            [0, 9, 10, 19, 20].map(|second| limit_at(4.0, &changes, at(second))),
            [8.0, 8.0, 6.0, 6.0, 4.0]
        );
    }

    #[test]
    fn gaps_are_no_samples() {
        let found = Violations::count([1.0, f64::NAN, 2.0, 3.0].into_iter(), 2.0);
        assert_eq!(found, Violations { samples: 3, above: 1 });
        assert_eq!(found.plus(found), Violations { samples: 6, above: 2 });
    }
}
