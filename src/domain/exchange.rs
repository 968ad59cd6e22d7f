//! What one currency is worth in another, by date.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::{Currency, Dated, DomainError, Money, Timestamp};

/// What one unit of a currency is worth in another from a date on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeRate {
    /// One unit of this one
    pub from: Currency,
    /// is worth `rate` units of this one.
    pub to: Currency,
    /// Above zero.
    pub rate: Decimal,
    /// From when on it counts, until there is a newer one.
    pub since: NaiveDate,
}

impl FromStr for ExchangeRate {
    type Err = DomainError;

    /// Reads `1 EUR = 1.0843 USD on 2026-11-20`.
    fn from_str(text: &str) -> Result<Self, DomainError> {
        let bad = || DomainError::BadRate(text.to_owned());
        let words: Vec<&str> = text.split_whitespace().collect();
        let ["1", from, "=", rate, to, "on", since] = words[..] else { return Err(bad()) };
        let rate: Decimal = rate.parse().map_err(|_| bad())?;
        let (from, to) = (from.parse()?, to.parse()?);
        if rate <= Decimal::ZERO || from == to {
            return Err(bad());
        }
        Ok(ExchangeRate { from, to, rate, since: since.parse().map_err(|_| bad())? })
    }
}

/// A dated table of rates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExchangeRates(BTreeMap<(Currency, Currency), Dated<Decimal>>);

impl ExchangeRates {
    /// A table of these; of two of one pair and date the later in the list stays.
    pub fn new(rates: impl IntoIterator<Item = ExchangeRate>) -> Self {
        let mut table = ExchangeRates::default();
        for ExchangeRate { from, to, rate, since } in rates {
            table.0.entry((from, to)).or_default().insert(since, rate);
        }
        table
    }

    /// The same money in another currency, at the newest rate that is not
    /// younger than `at`; at the oldest one for what lies before all of them.
    /// A rate that is listed is multiplied by, exactly; one that is listed the
    /// other way round is divided by, to 28 digits.
    ///
    /// # Errors
    /// Where the table knows no rate between the two.
    pub fn convert<P>(&self, money: Money<P>, to: Currency, at: Timestamp) -> Result<Money<P>, DomainError> {
        let from = money.currency;
        if from == to {
            return Ok(money);
        }
        let converted = match (self.rate(from, to, at), self.rate(to, from, at)) {
            (Some(rate), _) => money.amount.checked_mul(rate),
            (None, Some(rate)) => money.amount.checked_div(rate),
            (None, None) => return Err(DomainError::NoRate(from, to)),
        };
        converted.map(|amount| Money::new(amount, to)).ok_or(DomainError::TooMuchMoney)
    }

    fn rate(&self, from: Currency, to: Currency, at: Timestamp) -> Option<Decimal> {
        self.0.get(&(from, to))?.at(at).copied()
    }

    /// The days on which a rate changes.
    pub fn days(&self) -> impl Iterator<Item = NaiveDate> + '_ {
        self.0.values().flat_map(Dated::days)
    }
}

impl fmt::Display for ExchangeRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1 {} = {} {} on {}", self.from, self.rate, self.to, self.since)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::PerMonth;

    fn table(lines: &[&str]) -> ExchangeRates {
        ExchangeRates::new(lines.iter().map(|line| line.parse().unwrap()))
    }

    fn money(amount: &str, currency: &str) -> Money<PerMonth> {
        Money::new(amount.parse().unwrap(), currency.parse().unwrap())
    }

    #[test]
    fn a_rate_counts_from_its_date_and_works_both_ways() {
        let rates = table(&["1 EUR = 1.10 USD on 2026-01-01", "1 EUR = 1.25 USD on 2026-07-01"]);
        let day = |text: &str| text.parse::<Timestamp>().unwrap();
        let dollars =
            |at| rates.convert(money("100", "EUR"), "USD".parse().unwrap(), day(at)).unwrap().amount;
        assert_eq!(dollars("2026-03-01"), 110.into());
        assert_eq!(dollars("2026-07-01"), 125.into());
        assert_eq!(dollars("2020-01-01"), 110.into(), "the oldest stands for what lies before");
        let euros = rates.convert(money("125", "USD"), "EUR".parse().unwrap(), day("2026-08-01"));
        assert_eq!(euros.unwrap(), money("100", "EUR"));
        let unknown = rates.convert(money("1", "CHF"), "USD".parse().unwrap(), day("2026-08-01"));
        let message = unknown.unwrap_err().to_string();
        assert!(message.contains("1 CHF = ... USD on ") && message.contains("costs.rates"), "{message}");
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        let good = "1 EUR = 1.0843 USD on 2026-11-20";
        assert_eq!(good.parse::<ExchangeRate>().unwrap().to_string(), good);
        for bad in [
            "",
            "EUR = 1.08 USD on 2026-11-20",
            "2 EUR = 1.08 USD on 2026-11-20",
            "1 EUR = 0 USD on 2026-11-20",
            "1 EUR = -1 USD on 2026-11-20",
            "1 EUR = 1 EUR on 2026-11-20",
            "1 EUR = 1.08 USD",
            "1 EUR = 1.08 USD on yesterday",
            "1 euro = 1.08 USD on 2026-11-20",
        ] {
            assert!(bad.parse::<ExchangeRate>().is_err(), "{bad}");
        }
    }

    proptest! {
        /// Converting a sum is converting its parts, to the last digit.
        #[test]
        fn conversion_is_exact(a in 0_i64..1_000_000_000, b in 0_i64..1_000_000_000, rate in 1_i64..10_000_000) {
            let rates = table(&[&format!("1 EUR = {} USD on 2026-01-01", Decimal::new(rate, 6))]);
            let at = Timestamp::from_seconds(1_790_000_000);
            let usd = "USD".parse().unwrap();
            let euros = |cents| money(&Decimal::new(cents, 2).to_string(), "EUR");
            let convert = |money| rates.convert(money, usd, at).unwrap();
            let apart = convert(euros(a)).plus(&convert(euros(b))).unwrap();
            prop_assert_eq!(apart, convert(euros(a).plus(&euros(b)).unwrap()));
            prop_assert_eq!(apart.amount, Decimal::from_i128_with_scale(i128::from(a + b) * i128::from(rate), 8));
        }
    }
}
