//! Values that count from a day on, until there is a newer one.

use std::collections::BTreeMap;

use chrono::NaiveDate;

use super::Timestamp;

/// Values by the day (UTC) from which each counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated<T>(BTreeMap<NaiveDate, T>);

impl<T> Default for Dated<T> {
    fn default() -> Self {
        Dated(BTreeMap::new())
    }
}

impl<T> Dated<T> {
    /// Sets the value from a day on; gives the one that stood there.
    pub fn insert(&mut self, since: NaiveDate, value: T) -> Option<T> {
        self.0.insert(since, value)
    }

    /// The value that counts at an instant: the newest that is not younger, and
    /// the oldest for what lies before all of them.
    pub fn at(&self, instant: Timestamp) -> Option<&T> {
        let day = instant.to_utc().map_or(NaiveDate::MAX, |time| time.date_naive());
        let newest = self.0.range(..=day).next_back().or_else(|| self.0.iter().next());
        newest.map(|(_, value)| value)
    }

    /// The days on which the value changes.
    pub fn days(&self) -> impl Iterator<Item = NaiveDate> + '_ {
        self.0.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_counts_and_before_all_the_oldest() {
        let mut dated = Dated::default();
        assert_eq!(dated.at(Timestamp::from_seconds(0)), None);
        dated.insert("2026-03-01".parse().unwrap(), 3);
        dated.insert("2026-05-01".parse().unwrap(), 5);
        let at = |day: &str| dated.at(day.parse().unwrap()).copied();
        assert_eq!([at("2026-01-01"), at("2026-03-01"), at("2026-04-30")], [Some(3); 3]);
        assert_eq!([at("2026-05-01"), at("2030-01-01")], [Some(5); 2]);
        assert_eq!(dated.at(Timestamp::from_millis(i64::MAX)), Some(&5));
    }
}
