//! What is wrong with a tenant's usage: findings that belong together, opened
//! once, resolved once, each explaining itself.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Actor, IncidentId, Resource, Severity, TenantId, TimeRange, Timestamp};

/// The kinds of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// Usage is not what its past suggests.
    UnusualUsage,
    /// The forecast crosses the quota within the horizon.
    ForecastBreach,
    /// What the usage costs has left the band of its forecast.
    CostAnomaly,
    /// A promise is being broken: its error budget is spent too fast, or used up.
    SlaBreach,
    /// What the quotas cost will have exceeded a budget at the month's end.
    BudgetOverrun,
    /// Usage stands at the quota, so that demand can't be seen.
    PinnedAtQuota,
    /// Samples that used to come have stopped.
    NoData,
    /// A change of a quota was taken back by its rollout.
    RolledBack,
    /// An amount that is granted for a day or a month is used up.
    MeterUsedUp,
}

impl FindingKind {
    /// All kinds.
    pub const ALL: [FindingKind; 9] = [
        FindingKind::UnusualUsage,
        FindingKind::ForecastBreach,
        FindingKind::CostAnomaly,
        FindingKind::SlaBreach,
        FindingKind::BudgetOverrun,
        FindingKind::PinnedAtQuota,
        FindingKind::NoData,
        FindingKind::RolledBack,
        FindingKind::MeterUsedUp,
    ];

    /// The name used in the API.
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::UnusualUsage => "unusual_usage",
            FindingKind::ForecastBreach => "forecast_breach",
            FindingKind::CostAnomaly => "cost_anomaly",
            FindingKind::SlaBreach => "sla_breach",
            FindingKind::BudgetOverrun => "budget_overrun",
            FindingKind::PinnedAtQuota => "pinned_at_quota",
            FindingKind::NoData => "no_data",
            FindingKind::RolledBack => "rolled_back",
            FindingKind::MeterUsedUp => "meter_used_up",
        }
    }

    /// Whether it puts the usage itself in doubt, so that nothing is applied
    /// automatically. A quota that is too small and a budget that is exceeded
    /// are mended by changes, and so hold none back; an amount that is used up
    /// has nothing to do with them.
    pub fn holds_changes(self) -> bool {
        let harmless = [
            FindingKind::ForecastBreach,
            FindingKind::BudgetOverrun,
            FindingKind::PinnedAtQuota,
            FindingKind::MeterUsedUp,
        ];
        !harmless.contains(&self)
    }

    /// Whether the samples of its time are none to learn from.
    pub fn spoils_samples(self) -> bool {
        self == FindingKind::UnusualUsage
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The usage around a finding, with the band in which it was expected. All
/// lists have one entry a step; `null` is a gap, or an instant without a band.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Chart {
    /// The instant of the first entry.
    pub start: Timestamp,
    /// The distance of two entries, in seconds.
    pub step_seconds: f64,
    /// The usage, in the resource's unit.
    pub values: Vec<Option<f64>>,
    /// The band's lower end.
    pub lower: Vec<Option<f64>>,
    /// The band's upper end.
    pub upper: Vec<Option<f64>>,
}

/// What the tenants that behave alike do at the same time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Peers {
    /// How the peers were chosen, in words.
    pub chosen_by: String,
    /// How many there are.
    pub count: u64,
    /// Those of them that are out of their own band as well; at most ten.
    pub also_moved: Vec<TenantId>,
    /// How many those are.
    pub also_moved_count: u64,
}

/// What the forecast had said of the hour in which a finding began, before
/// that hour was known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Foreseen {
    /// The begin of the hour.
    pub hour: Timestamp,
    /// The first instant that the forecast did not know.
    pub known_until: Timestamp,
    /// The hour's peak, at the lowest quantile.
    pub lower: f64,
    /// The hour's peak, at the median.
    pub median: f64,
    /// The hour's peak, at the highest quantile.
    pub upper: f64,
    /// Whether usage rose above all of that.
    pub is_exceeded: bool,
}

/// One thing that is wrong, with what shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// Of which resource; `null` where it concerns all together.
    pub resource: Option<Resource>,
    /// How much it matters by itself.
    pub severity: Severity,
    /// One sentence for people.
    pub text: String,
    /// Since when.
    pub since: Timestamp,
    /// The last instant that shows it.
    pub last_seen_at: Timestamp,
    /// When it ended; `null` while it lasts.
    pub ended_at: Option<Timestamp>,
    /// The unit of the figures.
    pub unit: String,
    /// What was expected.
    pub expected: Option<f64>,
    /// The lower end of the expected band.
    pub lower: Option<f64>,
    /// The upper end of the expected band.
    pub upper: Option<f64>,
    /// What is.
    pub actual: Option<f64>,
    /// How far that is from what was expected, 1 at the band's edge.
    pub strength: f64,
    /// What found it.
    pub detector: String,
    /// How sure that is, 0 to 1.
    pub confidence: f64,
    /// How many samples it knows.
    pub samples: u64,
    /// Hours until usage reaches the quota at the rate of the last hours;
    /// `null` where it does not.
    pub headroom_hours: Option<f64>,
    /// What the forecast had said of that hour; `null` where there was none.
    #[serde(default)]
    pub foreseen: Option<Foreseen>,
    /// Whether it ended because its level held and is taken as the usual one.
    #[serde(default)]
    pub is_new_level: bool,
    /// What else moved; `null` where the tenant has no peers.
    pub peers: Option<Peers>,
    /// The usage around it.
    pub chart: Option<Chart>,
    /// The strength that was told of last.
    #[serde(default)]
    pub told_strength: f64,
}

impl Finding {
    /// A warning of what is seen at `at`, without figures.
    pub fn new(kind: FindingKind, detector: &str, text: String, at: Timestamp) -> Self {
        Finding {
            kind,
            resource: None,
            severity: Severity::Warning,
            text,
            since: at,
            last_seen_at: at,
            ended_at: None,
            unit: String::new(),
            expected: None,
            lower: None,
            upper: None,
            actual: None,
            strength: 1.0,
            detector: detector.to_owned(),
            confidence: 1.0,
            samples: 0,
            headroom_hours: None,
            foreseen: None,
            is_new_level: false,
            peers: None,
            chart: None,
            told_strength: 0.0,
        }
    }

    /// Whether both are about the same thing.
    pub fn is_about(&self, other: &Finding) -> bool {
        (self.kind, self.resource) == (other.kind, other.resource)
    }

    /// Whether it lasts.
    pub fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }
}

/// Who has seen an incident and takes care of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Acknowledgement {
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// What they say.
    pub comment: Option<String>,
}

/// What a person says of an incident afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Feedback {
    /// Whether something was wrong indeed. What was not is learned from like
    /// any other usage.
    pub is_true: bool,
    /// Who.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// What they say.
    pub comment: Option<String>,
}

/// Why receivers were not told of an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Untold {
    /// All its findings are silenced; it is told of when that ends.
    Silenced,
    /// The tenant's alert budget of the day is spent; the day's summary tells of it.
    OverBudget,
}

/// A time in which something is wrong with a tenant's usage. At most one is
/// open for a tenant; what goes wrong meanwhile joins it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// Whose usage.
    pub tenant: TenantId,
    /// How much it matters; the worst it was so far.
    pub severity: Severity,
    /// Which resources are, or were, concerned.
    pub resources: Vec<Resource>,
    /// What is, or was, wrong.
    pub findings: Vec<Finding>,
    /// The begin of its first finding.
    pub opened_at: Timestamp,
    /// The last instant that shows a finding so far.
    pub last_seen_at: Timestamp,
    /// The highest confidence so far, 0 to 1.
    pub peak_score: f64,
    /// When it ended; `null` while it is open.
    pub resolved_at: Option<Timestamp>,
    /// When it was written down.
    pub detected_at: Timestamp,
    /// When it opened or got worse last.
    #[serde(default)]
    pub changed_at: Timestamp,
    /// Who takes care of it.
    pub acknowledged: Option<Acknowledgement>,
    /// What a person said of it afterwards.
    pub feedback: Option<Feedback>,
    /// When receivers were told of it; `null` where they were not.
    pub told_at: Option<Timestamp>,
    /// Why they were not, or not that it got worse.
    pub untold: Option<Untold>,
    /// In what it got worse that receivers were not told of.
    #[serde(default)]
    pub worse_untold: Option<String>,
    /// The subject of the day's summary that tells of it, where the budget kept
    /// its own alerts back.
    #[serde(default)]
    pub summarised_in: Option<String>,
}

impl Incident {
    /// The names of its states.
    pub const STATES: [&'static str; 3] = ["open", "acknowledged", "resolved"];

    /// Its state's name: open, acknowledged or resolved.
    pub fn state(&self) -> &'static str {
        match (self.resolved_at, &self.acknowledged) {
            (Some(_), _) => "resolved",
            (None, Some(_)) => "acknowledged",
            (None, None) => "open",
        }
    }

    /// Whether nothing may be applied to the tenant automatically. That it is
    /// acknowledged or silenced changes nothing: the usage is in doubt until
    /// the incident is resolved, or a person says that nothing was wrong.
    pub fn holds_changes(&self) -> bool {
        let doubted = self.findings.iter().any(|finding| finding.is_open() && finding.kind.holds_changes());
        self.resolved_at.is_none() && doubted && !self.is_false()
    }

    /// Whether a person said that nothing was wrong.
    pub fn is_false(&self) -> bool {
        self.feedback.as_ref().is_some_and(|feedback| !feedback.is_true)
    }

    /// The findings that last.
    pub fn open_findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_open())
    }

    /// The times of samples that are none to learn from, by resource.
    pub fn anomalous_spans(&self) -> impl Iterator<Item = (Resource, TimeRange)> {
        self.spans().filter(|_| !self.is_false())
    }

    /// The times of samples that were found unusual and that a person called
    /// usual, by resource.
    pub fn called_usual_spans(&self) -> impl Iterator<Item = (Resource, TimeRange)> {
        self.spans().filter(|_| self.is_false())
    }

    /// Each from a finding's begin to just behind its last sample.
    fn spans(&self) -> impl Iterator<Item = (Resource, TimeRange)> {
        let spoiled = self.findings.iter().filter(|finding| finding.kind.spoils_samples());
        spoiled.filter_map(|finding| {
            let end = Timestamp::from_millis(finding.last_seen_at.millis().saturating_add(1));
            Some((finding.resource?, TimeRange { start: finding.since, end }))
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A finding that stands for any.
    pub fn finding(kind: FindingKind, resource: Option<Resource>, strength: f64) -> Finding {
        Finding {
            resource,
            last_seen_at: Timestamp::from_seconds(2000),
            unit: "cores".to_owned(),
            expected: Some(1.0),
            lower: Some(0.5),
            upper: Some(1.5),
            actual: Some(4.0),
            strength,
            confidence: 0.9,
            samples: 1000,
            ..Finding::new(kind, "novelty", "usage is odd".to_owned(), Timestamp::from_seconds(1000))
        }
    }

    /// An open incident with these findings.
    pub fn incident(findings: Vec<Finding>) -> Incident {
        Incident {
            id: IncidentId(uuid::Uuid::from_u128(7)),
            tenant: "acme".parse().unwrap(),
            severity: Severity::Warning,
            resources: findings.iter().filter_map(|finding| finding.resource).collect(),
            findings,
            opened_at: Timestamp::from_seconds(1000),
            last_seen_at: Timestamp::from_seconds(2000),
            peak_score: 0.9,
            resolved_at: None,
            detected_at: Timestamp::from_seconds(2000),
            changed_at: Timestamp::from_seconds(2000),
            acknowledged: None,
            feedback: None,
            told_at: None,
            untold: None,
            worse_untold: None,
            summarised_in: None,
        }
    }

    #[test]
    fn only_doubtful_usage_holds_changes_back() {
        let cpu = Some(Resource::CpuCores);
        let mut odd = incident(vec![finding(FindingKind::UnusualUsage, cpu, 2.0)]);
        let by = Actor::Person("ann".to_owned());
        let at = Timestamp::from_seconds(3000);
        odd.acknowledged = Some(Acknowledgement { by: by.clone(), at, comment: None });
        assert!(odd.holds_changes(), "also while somebody takes care of it");
        assert_eq!((odd.state(), odd.anomalous_spans().count()), ("acknowledged", 1));
        odd.feedback = Some(Feedback { is_true: false, by, at, comment: None });
        assert!(!odd.holds_changes() && odd.anomalous_spans().count() == 0);
        assert_eq!(odd.called_usual_spans().count(), 1);
        let small = incident(vec![finding(FindingKind::ForecastBreach, cpu, 2.0)]);
        assert!(!small.holds_changes(), "a raise is its mend");
    }
}
