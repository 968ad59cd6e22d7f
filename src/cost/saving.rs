//! What changes of quotas have saved: measured over the time that has passed
//! since, at the prices of each of its days; nothing that lies ahead counts.
//!
//! Each change counts from when it was made for as long as its tenant stays, by
//! the difference that it made. So the savings of a quota's changes add up to
//! what its first limit would have cost less what was paid: a cut that is taken
//! back stops saving, because the raise costs as much as the cut saves.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::book::NoPrice;
use super::prices::Prices;
use crate::domain::{AppliedChange, DomainError, Money, Once, PerMonth, TimeRange, Timestamp, Violations};

/// What one change has saved.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Saving {
    /// The change, with what usage did before and after it.
    #[serde(flatten)]
    pub change: AppliedChange,
    /// Over which time it is counted here.
    pub counted: TimeRange,
    /// What the limit before would have cost less what the limit since did, over that time; negative where
    /// the change costs more.
    pub realised: Option<Money<Once>>,
    /// Why there is no such figure.
    pub reason: Option<String>,
}

/// What many changes have saved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Savings {
    /// The time that is looked at.
    pub range: TimeRange,
    /// How many changes count in it.
    pub changes: usize,
    /// All of them together.
    pub realised: Money<Once>,
    /// Those that follow a recommendation.
    pub by_recommendations: Money<Once>,
    /// Those that people made of their own.
    pub by_people: Money<Once>,
    /// What all of them save a month from now on, if nothing changes, of 730 hours at today's prices.
    pub rate: Money<PerMonth>,
    /// Usage before the changes, each against the limit before.
    pub violations_before: Violations,
    /// Usage since the changes, each against the limit since.
    pub violations_since: Violations,
    /// Changes that have no price, and so save nothing here.
    pub unpriced: usize,
}

/// Whether a change saves anything within a time.
pub fn counts_in(change: &AppliedChange, range: TimeRange) -> bool {
    change.at < range.end && change.left_at.is_none_or(|left_at| left_at > range.start)
}

/// What a change has saved within a time.
pub fn of_change(prices: &Prices, change: &AppliedChange, range: TimeRange) -> Saving {
    let end = change.left_at.map_or(range.end, |left_at| left_at.min(range.end));
    let start = change.at.max(range.start).min(end);
    let counted = TimeRange { start, end };
    let cost = |limit| prices.over(change, change.resource, counted, limit);
    let realised = cost(change.before)
        .and_then(|before| cost(change.after).map(|after| (before, after)))
        .and_then(|(before, after)| Ok(before.minus(&after)?));
    Saving {
        change: change.clone(),
        counted,
        reason: realised.as_ref().err().map(NoPrice::to_string),
        realised: realised.ok().map(Money::rounded),
    }
}

/// What a change saves a month from now on: nothing once its tenant has left.
fn rate(prices: &Prices, change: &AppliedChange, now: Timestamp) -> Option<Money<PerMonth>> {
    if change.left_at.is_some() {
        return None;
    }
    let limits = (change.before, change.after);
    prices.of_change(change, change.resource, limits, now).ok().map(|cost| cost.saving)
}

/// What changes have saved together within a time that ends by now.
///
/// # Errors
/// Where it is too much to be summed.
pub fn savings(prices: &Prices, all: &[AppliedChange], range: TimeRange) -> Result<Savings, DomainError> {
    let currency = prices.currency();
    let known: Vec<Saving> = all
        .iter()
        .filter(|change| counts_in(change, range))
        .map(|change| of_change(prices, change, range))
        .collect();
    let of = |counts: fn(&AppliedChange) -> bool| {
        let counted = known.iter().filter(|one| counts(&one.change));
        Money::sum(currency, counted.filter_map(|one| one.realised))
    };
    let violations = |of: fn(&crate::domain::Measured) -> Violations| {
        let measured = known.iter().filter_map(|one| one.change.measured.as_ref());
        measured.map(of).fold(Violations::default(), Violations::plus)
    };
    Ok(Savings {
        range,
        changes: known.len(),
        realised: of(|_| true)?,
        by_recommendations: of(|change| change.recommendation.is_some())?,
        by_people: of(|change| change.recommendation.is_none())?,
        rate: Money::sum(currency, known.iter().filter_map(|one| rate(prices, &one.change, range.end)))?,
        violations_before: violations(|measured| measured.before),
        violations_since: violations(|measured| measured.since),
        unpriced: known.iter().filter(|one| one.realised.is_none()).count(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cost::example::{SITE, at, rising as prices};
    use crate::domain::applied::tests::change;
    use crate::domain::{Measured, RecommendationId, Resource};

    fn applied(when: Timestamp, before: f64, after: f64) -> AppliedChange {
        AppliedChange {
            provider: SITE.provider.to_owned(),
            region: SITE.region.to_owned(),
            ..change(when, before, after)
        }
    }

    fn until(now: &str) -> TimeRange {
        TimeRange { start: at("2026-01-01"), end: at(now) }
    }

    fn amount(money: Money<Once>) -> String {
        money.amount.normalize().to_string()
    }

    /// 3 cores less: 24 h at 0.5 save 36, 48 h at 0.75 save 108.
    #[test]
    fn only_the_time_that_has_passed_counts_at_its_own_prices() {
        let cut = applied(at("2026-11-10"), 8.0, 5.0);
        let saved = |range| amount(of_change(&prices(), &cut, range).realised.unwrap());
        assert_eq!(saved(until("2026-11-11")), "36");
        assert_eq!(saved(until("2026-11-13")), "144");
        assert_eq!(saved(until("2026-11-10")), "0");
        assert_eq!(saved(TimeRange { start: at("2026-11-11"), end: at("2026-11-13") }), "108");
        let left = AppliedChange { left_at: Some(at("2026-11-11")), ..cut };
        let saving = of_change(&prices(), &left, until("2026-11-13"));
        assert_eq!(
            (amount(saving.realised.unwrap()), saving.counted.end),
            ("36".to_owned(), at("2026-11-11"))
        );
    }

    #[test]
    fn a_cut_that_is_taken_back_stops_saving() {
        let cut = AppliedChange {
            recommendation: Some(RecommendationId(uuid::Uuid::nil())),
            ..applied(at("2026-11-01"), 8.0, 4.0)
        };
        let back = applied(at("2026-11-02"), 4.0, 8.0);
        let both = savings(&prices(), &[cut.clone(), back], until("2026-11-06")).unwrap();
        // A day of 4 cores at 0.5; after it 4 days in which the two cancel out.
        assert_eq!((amount(both.realised), both.changes), ("48".to_owned(), 2));
        assert_eq!(
            (amount(both.by_recommendations), amount(both.by_people)),
            ("240".to_owned(), "-192".to_owned())
        );
        assert!(both.rate.amount.is_zero());
        let alone = savings(&prices(), &[cut], until("2026-11-06")).unwrap();
        assert_eq!(alone.rate.amount.normalize(), 1460.into(), "4 * 0.5 * 730");
    }

    #[test]
    fn what_was_measured_is_added_up() {
        let measured = Measured {
            before: Violations { samples: 10, above: 1 },
            since: Violations { samples: 20, above: 3 },
            until: at("2026-11-05"),
        };
        let change = AppliedChange { measured: Some(measured), ..applied(at("2026-11-01"), 8.0, 4.0) };
        let all = [change.clone(), change, applied(at("2026-11-01"), 8.0, 4.0)];
        let found = savings(&prices(), &all, until("2026-11-06")).unwrap();
        assert_eq!(found.violations_before, Violations { samples: 20, above: 2 });
        assert_eq!(found.violations_since, Violations { samples: 40, above: 6 });
    }

    #[test]
    fn what_has_no_price_says_so_and_counts_for_nothing() {
        let storage = AppliedChange { resource: Resource::StorageGb, ..applied(at("2026-11-01"), 8.0, 4.0) };
        let saving = of_change(&prices(), &storage, until("2026-11-06"));
        assert!(saving.realised.is_none() && saving.reason.unwrap().contains("no price of storage_gb"));
        assert_eq!(savings(&prices(), &[storage], until("2026-11-06")).unwrap().unpriced, 1);
    }

    proptest! {
        /// However a quota moves, its savings add up to what its first limit
        /// would have cost less what was paid.
        #[test]
        fn savings_add_up_to_what_was_not_paid(
            hours in prop::collection::vec(1_i64..200, 1..8),
            limits in prop::collection::vec(1_u32..40, 9),
        ) {
            let (start, mut when) = (at("2026-11-01"), at("2026-11-01"));
            let (mut all, mut paid) = (Vec::new(), Money::zero(prices().currency()));
            let cores = |index: usize| f64::from(limits[index]);
            let cost = |start, end, limit| {
                prices().over(SITE, Resource::CpuCores, TimeRange { start, end }, limit).unwrap()
            };
            for (index, hours) in hours.iter().enumerate() {
                let next = Timestamp::from_millis(when.millis() + hours * 3_600_000);
                paid = paid.plus(&cost(when, next, cores(index))).unwrap();
                all.push(applied(next, cores(index), cores(index + 1)));
                when = next;
            }
            let now = Timestamp::from_millis(when.millis() + 3_600_000);
            paid = paid.plus(&cost(when, now, cores(hours.len()))).unwrap();
            let expected = cost(start, now, cores(0)).minus(&paid).unwrap();
            let range = TimeRange { start, end: now };
            prop_assert_eq!(savings(&prices(), &all, range).unwrap().realised, expected.rounded());
        }
    }
}
