//! How quotas are sized, and what each tier promises.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reader::{Key, Reader, Section};
use super::units::{days, hours};
use super::values::above_zero;
use crate::domain::{Cadence, Resource, Tier};

/// How quotas are sized.
#[derive(Debug, Clone)]
pub struct Rightsizing {
    /// The quantile of the forecast that must fit, between 0 and 1.
    pub peak_quantile: f64,
    /// What is added to the peak, as a share of it.
    pub margin: f64,
    /// The least change that is worth a recommendation, as a share.
    pub dead_band: f64,
    /// The history that a recommendation needs.
    pub least_history: Duration,
    /// What a tenant that is pinned at its quota gets more, as a share.
    pub pinned_step: f64,
    /// How long a quota that was raised must have stood before it may be cut.
    pub rest: Duration,
    /// How often quotas are meant to change.
    pub cadence: Cadence,
    /// The most changes of a quota a day.
    pub changes_per_day: f64,
    /// How much history a lower tier is proposed from.
    pub season: Duration,
    /// How long a recommendation can be approved.
    pub expire_after: Duration,
    /// For how long what was turned down is not proposed again.
    pub reconsider_after: Duration,
    /// The oldest last sample that a recommendation may rest on.
    pub stale_after: Duration,
    /// The share of samples that each tier lets above its quota, in the order
    /// of [`Tier::ALL`].
    pub budgets: [f64; 6],
    /// What an hour costs in which a unit of demand is not served.
    pub unserved: BTreeMap<Resource, f64>,
}

impl Rightsizing {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut section = reader.section("rightsizing", "How a quota is made from a forecast.");
        Rightsizing {
            peak_quantile: section.number(
                "peak_quantile",
                "The quantile of the forecast whose highest point must fit into the quota. Higher is \
                 safer and dearer.",
                0.95,
                0.5..=0.999,
            ),
            margin: section.number(
                "margin",
                "What is added to that peak, as a share of it: 0.15 adds 15 %.",
                0.15,
                0.0..=10.0,
            ),
            dead_band: section.number(
                "dead_band",
                "The least change that is worth a recommendation, as a share of the quota. It keeps \
                 quotas from moving all the time.",
                0.10,
                0.0..=1.0,
            ),
            least_history: section.duration(
                "least_history",
                "How much history a recommendation needs. It is at most history.window.",
                days(3),
                hours(1)..=days(365),
            ),
            pinned_step: pinned_step(&mut section),
            rest: section.duration(
                "rest",
                "How long a quota that was raised must have stood before it may be cut: usage that the lower \
                 quota held down would ask for it at once. Raises don't wait.",
                days(1),
                hours(1)..=days(28),
            ),
            cadence: cadence(&mut section),
            changes_per_day: section.number(
                "changes_per_day",
                "The most changes of a quota a day, on average, that the cadence auto may lead to, and the most steps of \
                 a schedule.",
                4.0,
                0.01..=24.0,
            ),
            season: section.duration(
                "season",
                "How much history a lower tier is proposed from. A higher one is proposed at once.",
                days(21),
                days(7)..=days(365),
            ),
            expire_after: section.duration(
                "expire_after",
                "How long a recommendation can be approved before it is too old.",
                hours(24),
                Duration::from_secs(60)..=days(90),
            ),
            stale_after: section.duration(
                "stale_after",
                "How old the newest sample may be. With older usage nothing is recommended or applied.",
                hours(1),
                Duration::from_secs(1)..=days(28),
            ),
            reconsider_after: section.duration(
                "reconsider_after",
                "For how long what a person turned down, or rolled back, is not proposed again, nor anything \
                 within a tenth of it, nor a deeper cut.",
                days(7),
                Duration::ZERO..=days(366),
            ),
            budgets: budgets(&mut section),
            unserved: unserved(&mut section),
        }
    }
}

fn pinned_step(section: &mut Section<'_, '_>) -> f64 {
    section.number(
        "pinned_step",
        "How far a quota is raised whose tenant is pinned at it, as a share: its real demand \
                 can't be seen, so the quota is raised by this step and looked at again.",
        0.5,
        0.01..=10.0,
    )
}

fn cadence(section: &mut Section<'_, '_>) -> Cadence {
    section.choice(
        "cadence",
        "How often quotas are meant to change, where a tenant says nothing else. With auto, a tenant \
                 in the mode \"approved\" gets what its own past says is worth the changes, all others one \
                 quota a day. With day_ahead, one in that mode follows a schedule that is made at \
                 midnight (UTC).",
        &Cadence::ALL.map(|cadence| (cadence.name(), cadence)),
    )
}

fn budgets(section: &mut Section<'_, '_>) -> [f64; 6] {
    let about = "The promise of each tier: the share of samples that may lie above the quota. 0.01 means that \
                 one sample in a hundred may.";
    let mut promises = section.section("budgets", about);
    Tier::ALL.map(|tier| promises.number(tier.name(), "", tier.violation_budget(), 0.0001..=0.5))
}

fn unserved(section: &mut Section<'_, '_>) -> BTreeMap<Resource, f64> {
    let about = "What an hour costs in which a unit of demand is not served, in costs.currency. Where it and \
                 a price are known, the budget is price / cost in the place of the tier's: a core at 0.03 an \
                 hour whose lack costs 3.00 may be short in one sample of a hundred.";
    let mut costs = section.section("unserved", about);
    let one = |resource: Resource| {
        let key = Key::new(resource.name(), "", "a number above 0").example("3.0");
        costs.take(key, above_zero).map(|cost| (resource, cost))
    };
    Resource::ALL.into_iter().filter_map(one).collect()
}
