//! When something is due again and again: a cron expression in a time zone.

use std::time::Duration;

use chrono::DateTime;
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds};

use super::{DomainError, Timestamp, Zone};

/// How far back is looked first for what was due last.
const NEAR: Duration = Duration::from_secs(8 * 86_400);

/// A cron expression of five fields in a time zone. A fixed time that the clock
/// skips in spring is due when the clock has moved on; one that comes twice in
/// autumn is due the first time only. What comes every so many minutes or hours
/// follows the clock, both times of it.
#[derive(Debug, Clone)]
pub struct Timetable {
    cron: Cron,
    zone: Tz,
}

impl Timetable {
    /// Reads both parts.
    ///
    /// # Errors
    /// Where one can't be read, or the expression never comes true.
    pub fn parse(expression: &str, zone: &str) -> Result<Timetable, DomainError> {
        let bad = |text: &str, wanted| DomainError::BadText { text: text.to_owned(), wanted };
        let wanted = "a cron expression; write minute, hour, day, month and weekday like \"0 7 * * MON\"";
        let parser = CronParser::builder().seconds(Seconds::Disallowed).build();
        let cron = parser.parse(expression).map_err(|_| bad(expression, wanted))?;
        let Zone(zone) = zone.parse()?;
        let table = Timetable { cron, zone };
        match table.next_after(Timestamp::from_seconds(1_767_225_600)) {
            Some(_) => Ok(table),
            None => Err(bad(expression, "a cron expression that comes true; choose a day that there is")),
        }
    }

    fn local(&self, at: Timestamp) -> Option<DateTime<Tz>> {
        at.to_utc().map(|time| time.with_timezone(&self.zone))
    }

    /// The first instant after `at` at which it is due.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let next = self.cron.find_next_occurrence(&self.local(at)?, false).ok()?;
        let next = Timestamp::from_millis(next.timestamp_millis());
        (next > at).then_some(next)
    }

    /// The last instant after `after` and up to `now` at which it was due,
    /// however many there were.
    pub fn latest(&self, after: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let walk = |from: Timestamp| {
            let due = std::iter::successors(self.next_after(from), |at| self.next_after(*at));
            due.take_while(|at| *at <= now).last()
        };
        let near = now.minus(NEAR);
        if near > after { walk(near).or_else(|| walk(after)) } else { walk(after) }
    }

    /// The last instant before `at` at which it was due.
    pub fn before(&self, at: Timestamp) -> Option<Timestamp> {
        let just_before = Timestamp::from_millis(at.millis() - 1);
        [8_u64, 40, 400, 4_000].into_iter().find_map(|days| {
            let from = at.minus(Duration::from_secs(days * 86_400));
            self.latest(from, just_before)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn due(expression: &str, from: &str, until: &str) -> Vec<String> {
        let table = Timetable::parse(expression, "Europe/Berlin").unwrap();
        std::iter::successors(table.next_after(at(from)), |last| table.next_after(*last))
            .take_while(|time| *time < at(until))
            .map(|time| time.to_string())
            .collect()
    }

    #[test]
    fn a_week_begins_at_the_same_hour_of_the_clock_all_year() {
        assert_eq!(
            due("0 7 * * MON", "2026-10-19T00:00:00Z", "2026-10-27T00:00:00Z"),
            ["2026-10-19T05:00:00Z", "2026-10-26T06:00:00Z"]
        );
    }

    /// 02:30 does not come on 29 March 2026 in Berlin: 03:00 follows 01:59.
    #[test]
    fn a_skipped_time_is_due_once_the_clock_has_moved_on() {
        let found = due("30 2 * * *", "2026-03-27T12:00:00Z", "2026-03-31T12:00:00Z");
        assert_eq!(
            found,
            ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z", "2026-03-31T00:30:00Z"]
        );
        let table = Timetable::parse("30 2 * * *", "Europe/Berlin").unwrap();
        let latest = table.latest(at("2026-03-28T12:00:00Z"), at("2026-03-29T12:00:00Z"));
        assert_eq!(latest, Some(at("2026-03-29T01:00:00Z")));
    }

    /// 02:30 comes twice on 25 October 2026 in Berlin: at 00:30 and 01:30 UTC.
    #[test]
    fn a_doubled_time_is_due_the_first_time_only() {
        let found = due("30 2 * * *", "2026-10-24T12:00:00Z", "2026-10-26T12:00:00Z");
        assert_eq!(found, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        let table = Timetable::parse("30 2 * * *", "Europe/Berlin").unwrap();
        let ran = at("2026-10-25T00:30:00Z");
        assert_eq!(table.latest(ran, at("2026-10-25T06:00:00Z")), None, "it ran already");
        // What follows the clock runs in both hours.
        let hourly = due("15 * * * *", "2026-10-24T23:50:00Z", "2026-10-25T02:20:00Z");
        assert_eq!(hourly.len(), 3, "{hourly:?}");
    }

    #[test]
    fn of_many_that_were_missed_the_last_one_counts() {
        let table = Timetable::parse("0 7 * * MON", "UTC").unwrap();
        let (left, back) = (at("2026-08-03T07:00:00Z"), at("2026-11-18T12:00:00Z"));
        assert_eq!(table.latest(left, back), Some(at("2026-11-16T07:00:00Z")));
        assert_eq!(table.latest(at("2026-11-16T07:00:00Z"), back), None);
        assert_eq!(table.before(at("2026-11-16T07:00:00Z")), Some(at("2026-11-09T07:00:00Z")));
        let yearly = Timetable::parse("0 0 1 1 *", "UTC").unwrap();
        assert_eq!(yearly.latest(at("2024-06-01"), at("2026-06-01")), Some(at("2026-01-01")));
    }

    #[test]
    fn what_can_not_be_read_is_said() {
        for (expression, zone, word) in [
            ("every monday", "UTC", "cron expression"),
            ("0 0 7 * * MON", "UTC", "cron expression"),
            ("0 7 * * MON", "Berlin", "time zone"),
            ("0 7 30 2 *", "UTC", "comes true"),
        ] {
            let error = Timetable::parse(expression, zone).unwrap_err().to_string();
            assert!(error.contains(word), "{expression}: {error}");
        }
    }
}
