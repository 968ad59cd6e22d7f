//! What incidents are made of, and how often people are told of them.

use std::time::Duration;

use super::reader::{Reader, Section};
use super::units::days;

const fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(minutes * 60)
}

/// See the module's text.
#[derive(Debug, Clone)]
pub struct Incidents {
    /// The least time from an incident's detection to its end.
    pub least_open: Duration,
    /// How long after its last alert what else goes wrong joins an incident
    /// without another one.
    pub join_within: Duration,
    /// The factor by which it must get worse to be told of again.
    pub worse_by: f64,
    /// The most alerts of a tenant and day.
    pub alerts_per_day: usize,
    /// How long a deploy marker lasts where nobody says.
    pub deploy_quiet: Duration,
    /// The longest silence or marker.
    pub longest_quiet: Duration,
    /// What is found, besides unusual usage.
    pub findings: Findings,
}

/// What is found, besides unusual usage.
#[derive(Debug, Clone)]
pub struct Findings {
    /// How long a series may be silent.
    pub no_data_after: Duration,
    /// After what time a silent series is no longer missed.
    pub no_data_forget: Duration,
    /// How long usage stands at the quota before that is said.
    pub pinned_for: Duration,
    /// The quantile of the forecast that crosses the quota.
    pub breach_quantile: f64,
    /// How far ahead a breach is looked for.
    pub breach_within: Duration,
    /// How near a breach is critical.
    pub critical_within: Duration,
    /// What is added to the band of a tenant's spend, as a share of it.
    pub spend_change: f64,
}

impl Incidents {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let about = "What goes wrong with a tenant at one time is one incident. It is told of when it opens, \
                     when it gets worse and when it is over.";
        let mut section = reader.section("incidents", about);
        Incidents {
            least_open: section.duration(
                "least_open",
                "The least time that an incident is open, so that one that flickers is told of once.",
                minutes(15),
                Duration::ZERO..=days(1),
            ),
            join_within: section.duration(
                "join_within",
                "How long after its last alert what else goes wrong with the tenant joins an incident without \
                 another alert. What goes wrong later is told of.",
                minutes(60),
                Duration::ZERO..=days(28),
            ),
            worse_by: section.number(
                "worse_by",
                "By what factor it must get worse to be told of again. A higher severity always is told.",
                1.5,
                1.01..=100.0,
            ),
            alerts_per_day: section.count(
                "alerts_per_day",
                "The most alerts of one tenant on one day in UTC. What is more is told of in one summary \
                 when the day is over; ends of incidents don't count.",
                10,
                1..=1_000,
            ),
            deploy_quiet: section.duration(
                "deploy_quiet",
                "How long a deploy marker lasts where nobody says. Inside of markers usage is neither \
                 judged nor learned from.",
                minutes(30),
                minutes(1)..=days(7),
            ),
            longest_quiet: section.duration(
                "longest_quiet",
                "The longest silence or marker, so that none is forgotten.",
                days(30),
                minutes(1)..=days(365),
            ),
            findings: Findings::read(&mut section),
        }
    }
}

impl Findings {
    fn read(section: &mut Section<'_, '_>) -> Self {
        Findings {
            no_data_after: section.duration(
                "no_data_after",
                "How long a series may be silent before that is said; a series with gaps of its own is \
                 given twice its longest one.",
                minutes(30),
                minutes(1)..=days(28),
            ),
            no_data_forget: section.duration(
                "no_data_forget",
                "After what time a silent series is no longer missed.",
                days(7),
                minutes(2)..=days(90),
            ),
            pinned_for: section.duration(
                "pinned_for",
                "How long usage must stand at the quota before that is said.",
                minutes(60),
                minutes(1)..=days(28),
            ),
            breach_quantile: section.number(
                "breach_quantile",
                "The quantile of the forecast that must cross the quota: at 0.5 it is as likely as not, \
                 higher ones are said earlier and are less sure.",
                0.5,
                0.1..=0.99,
            ),
            breach_within: section.duration(
                "breach_within",
                "How far ahead that is looked for; forecast.horizon is the limit.",
                minutes(48 * 60),
                minutes(60)..=days(90),
            ),
            critical_within: section.duration(
                "critical_within",
                "How near it makes the incident critical.",
                minutes(6 * 60),
                Duration::ZERO..=days(90),
            ),
            spend_change: section.number(
                "spend_change",
                "How far what a tenant used on a day must cost outside of its forecast's band (the 5 % to \
                 the 95 % quantile), as a share of what was expected.",
                0.25,
                0.0..=10.0,
            ),
        }
    }
}
