//! What a quota was over a time, and what it cost: limits change with each
//! change of the quota, prices with each date of the book.

use super::book::NoPrice;
use super::prices::Prices;
use crate::domain::{AppliedChange, Money, Once, Resource, Site, TimeRange, Timestamp};

/// A change of one quota.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// The limit before, in the resource's unit.
    pub before: f64,
    /// The limit since, in the resource's unit.
    pub after: f64,
}

impl From<&AppliedChange> for Change {
    fn from(change: &AppliedChange) -> Self {
        Change { at: change.at, before: change.before, after: change.after }
    }
}

/// The limits of a quota over a range, the oldest first: those between its
/// `changes`, in the order of time, and `limit` where there are none.
pub(super) fn limits(range: TimeRange, limit: f64, changes: &[Change]) -> Vec<(TimeRange, f64)> {
    let within: Vec<&Change> =
        changes.iter().filter(|change| range.start < change.at && change.at < range.end).collect();
    let first = match within.first() {
        Some(change) => change.before,
        // All changes lie outside: the last one before, or the first one after.
        None => changes
            .iter()
            .rfind(|change| change.at <= range.start)
            .map(|change| change.after)
            .or_else(|| changes.iter().find(|change| change.at >= range.end).map(|change| change.before))
            .unwrap_or(limit),
    };
    let starts = std::iter::once((range.start, first))
        .chain(within.iter().map(|change| (change.at, change.after)))
        .collect::<Vec<_>>();
    let ends = starts.iter().skip(1).map(|(at, _)| *at).chain([range.end]);
    starts.iter().zip(ends).map(|((start, limit), end)| (TimeRange { start: *start, end }, *limit)).collect()
}

impl Prices {
    /// What a limit costs over a range, at the prices of each of its days.
    /// Nothing for a range that is empty.
    ///
    /// # Errors
    /// Where there is no price at the site.
    pub fn over<'a>(
        &'a self,
        site: impl Into<Site<'a>>,
        resource: Resource,
        range: TimeRange,
        limit: f64,
    ) -> Result<Money<Once>, NoPrice> {
        let site = site.into();
        let mut cost = Money::zero(self.currency());
        if range.is_empty() {
            return Ok(cost);
        }
        let mut from = range.start;
        for to in self.changes_between(range.start, range.end).into_iter().chain([range.end]) {
            let hourly = self.of(site, resource, from)?.per_hour(limit)?;
            cost = cost.plus(&hourly.over_millis(to.millis() - from.millis())?)?;
            from = to;
        }
        Ok(cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cost::example::{SITE, rising};

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn range(start: &str, end: &str) -> TimeRange {
        TimeRange { start: at(start), end: at(end) }
    }

    #[test]
    fn limits_follow_the_changes() {
        let change = |day: &str, before, after| Change { at: at(day), before, after };
        let changes = [change("2026-11-05", 8.0, 4.0), change("2026-11-20", 4.0, 6.0)];
        let found = |start, end| -> Vec<(String, f64)> {
            let spans = limits(range(start, end), 6.0, &changes);
            spans
                .into_iter()
                .map(|(range, limit)| (range.start.to_string()[5..10].to_owned(), limit))
                .collect()
        };
        let day = |text: &str, limit| (text.to_owned(), limit);
        assert_eq!(
            found("2026-11-01", "2026-11-23"),
            [day("11-01", 8.0), day("11-05", 4.0), day("11-20", 6.0)]
        );
        assert_eq!(found("2026-11-10", "2026-11-12"), [day("11-10", 4.0)]);
        assert_eq!(found("2026-11-21", "2026-11-22"), [day("11-21", 6.0)]);
        assert_eq!(found("2026-11-01", "2026-11-02"), [day("11-01", 8.0)]);
        assert_eq!(limits(range("2026-11-01", "2026-11-02"), 3.0, &[]).len(), 1);
    }

    /// 4 cores: 240 hours at 0.5 and 312 at 0.75 make 480 and 936.
    #[test]
    fn a_span_is_paid_at_the_price_of_each_day() {
        let over = |start, end| {
            rising()
                .over(SITE, Resource::CpuCores, range(start, end), 4.0)
                .unwrap()
                .amount
                .normalize()
                .to_string()
        };
        assert_eq!(over("2026-11-01", "2026-11-24"), "1416");
        assert_eq!(over("2026-11-01", "2026-11-11"), "480");
        assert_eq!(over("2026-11-05T00:00:00Z", "2026-11-05T00:30:00Z"), "1");
        assert_eq!(over("2026-11-05", "2026-11-05"), "0");
    }
}
