//! Money as decimal with a currency, per hour, per month or as a plain amount
//! by type, so that the three can't be mixed.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::DomainError;

/// Hours in a month, as clouds bill it: 365 * 24 / 12.
pub const HOURS_PER_MONTH: u32 = 730;

/// Decimal places that a month's cost is rounded to.
const PLACES: u32 = 6;

/// An ISO 4217 code: three capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl FromStr for Currency {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Self, DomainError> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Currency(code)),
            _ => Err(DomainError::BadCurrency(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = DomainError;

    fn try_from(text: String) -> Result<Self, DomainError> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.to_string()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| fmt::Write::write_char(f, char::from(*letter)))
    }
}

/// Marks an amount as paid for each hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
pub struct PerHour;

/// Marks an amount as paid for each month of [`HOURS_PER_MONTH`] hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
pub struct PerMonth;

/// Marks an amount as paid, or to be paid, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
pub struct Once;

/// An amount of one currency over the period `P`.
///
/// ```compile_fail
/// use plimsoll::domain::{Money, PerHour, PerMonth};
/// fn sum(hourly: Money<PerHour>, monthly: Money<PerMonth>) {
///     hourly.plus(&monthly); // an hour's cost is no month's cost
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(bound = "")]
pub struct Money<P> {
    /// The amount, exact, as a text.
    #[schema(value_type = String)]
    pub amount: Decimal,
    /// Its currency.
    #[schema(value_type = String)]
    pub currency: Currency,
    #[serde(skip)]
    period: PhantomData<P>,
}

impl<P> Money<P> {
    /// An amount of a currency.
    pub fn new(amount: Decimal, currency: Currency) -> Self {
        Money { amount, currency, period: PhantomData }
    }

    /// Nothing, in a currency.
    pub fn zero(currency: Currency) -> Self {
        Money::new(Decimal::ZERO, currency)
    }

    /// The amount as a float, for charts, sorting and models; never to reckon
    /// with as money.
    pub fn to_f64(&self) -> Option<f64> {
        self.amount.to_f64()
    }

    /// The sum; refuses two currencies.
    pub fn plus(&self, other: &Money<P>) -> Result<Money<P>, DomainError> {
        self.same_currency(other)?;
        let sum = self.amount.checked_add(other.amount).ok_or(DomainError::TooMuchMoney)?;
        Ok(Money::new(sum, self.currency))
    }

    /// The difference; refuses two currencies.
    pub fn minus(&self, other: &Money<P>) -> Result<Money<P>, DomainError> {
        self.same_currency(other)?;
        let difference = self.amount.checked_sub(other.amount).ok_or(DomainError::TooMuchMoney)?;
        Ok(Money::new(difference, self.currency))
    }

    /// The sum of many; nothing for none.
    pub fn sum(currency: Currency, mut all: impl Iterator<Item = Money<P>>) -> Result<Money<P>, DomainError> {
        all.try_fold(Money::zero(currency), |sum, one| sum.plus(&one))
    }

    /// The price of `quantity` units at this price a unit.
    ///
    /// # Errors
    /// Where the quantity is no number that a decimal can hold.
    pub fn times(&self, quantity: f64) -> Result<Money<P>, DomainError> {
        let units = Decimal::from_f64(quantity).ok_or(DomainError::TooMuchMoney)?;
        let amount = self.amount.checked_mul(units).ok_or(DomainError::TooMuchMoney)?;
        Ok(Money::new(amount, self.currency))
    }

    /// The price of one unit where this is that of `units`.
    ///
    /// # Errors
    /// Where there are no units.
    pub fn shared_by(&self, units: Decimal) -> Result<Money<P>, DomainError> {
        let amount = self.amount.checked_div(units).ok_or(DomainError::TooMuchMoney)?;
        Ok(Money::new(amount, self.currency))
    }

    /// With as many decimals as a bill needs.
    pub fn rounded(self) -> Self {
        Money::new(self.amount.round_dp(PLACES).normalize(), self.currency)
    }

    fn same_currency(&self, other: &Money<P>) -> Result<(), DomainError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(DomainError::MixedCurrencies(self.currency, other.currency))
        }
    }
}

impl Money<PerHour> {
    /// What a month of [`HOURS_PER_MONTH`] hours costs.
    pub fn per_month(&self) -> Result<Money<PerMonth>, DomainError> {
        let month = self.amount.checked_mul(HOURS_PER_MONTH.into()).ok_or(DomainError::TooMuchMoney)?;
        Ok(Money::new(month, self.currency))
    }

    /// What a span of time costs, in milliseconds.
    pub fn over_millis(&self, millis: i64) -> Result<Money<Once>, DomainError> {
        let hour = Decimal::from(3_600_000_u32);
        let amount = self.amount.checked_mul(millis.into()).ok_or(DomainError::TooMuchMoney)?;
        Ok(Money::new(amount / hour, self.currency))
    }
}

impl Money<PerMonth> {
    /// What an hour costs, of a month of [`HOURS_PER_MONTH`] hours; to 28 digits.
    pub fn per_hour(&self) -> Money<PerHour> {
        Money::new(self.amount / Decimal::from(HOURS_PER_MONTH), self.currency)
    }
}

impl<P> fmt::Display for Money<P> {
    /// With two decimals, as a bill shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.2} {}", self.amount.round_dp(2), self.currency))
    }
}

impl FromStr for Money<PerMonth> {
    type Err = DomainError;

    /// Reads `10000EUR/month`, also with a space before the currency.
    fn from_str(text: &str) -> Result<Self, DomainError> {
        let bad = || DomainError::BadBudget(text.to_owned());
        let amount_and_currency = text.trim().strip_suffix("/month").ok_or_else(bad)?;
        let begin = amount_and_currency.find(|c: char| c.is_ascii_uppercase()).ok_or_else(bad)?;
        let (amount, currency) = amount_and_currency.split_at(begin);
        let amount: Decimal = amount.trim().parse().map_err(|_| bad())?;
        if amount.is_sign_negative() {
            return Err(bad());
        }
        Ok(Money::new(amount, currency.trim().parse()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd() -> Currency {
        "USD".parse().unwrap()
    }

    #[test]
    fn a_month_has_730_hours() {
        let price: Money<PerHour> = Money::new("0.031611".parse().unwrap(), usd());
        let month = price.times(2.0).unwrap().per_month().unwrap();
        assert_eq!(month.amount, "46.15206".parse().unwrap());
        assert_eq!(month.to_string(), "46.15 USD");
        assert!(price.times(f64::NAN).is_err());
        assert_eq!(price.per_month().unwrap().per_hour(), price);
        assert_eq!(price.per_month().unwrap().amount, "23.07603".parse().unwrap());
        let half_an_hour = price.over_millis(1_800_000).unwrap();
        assert_eq!(half_an_hour.amount, "0.0158055".parse().unwrap());
    }

    #[test]
    fn currencies_do_not_mix() {
        let dollars: Money<PerMonth> = Money::new(Decimal::ONE, usd());
        let euros = Money::new(Decimal::ONE, "EUR".parse().unwrap());
        assert!(dollars.plus(&euros).is_err());
        assert_eq!(dollars.plus(&dollars).unwrap().amount, Decimal::TWO);
        assert!("usd".parse::<Currency>().is_err());
    }

    #[test]
    fn a_budget_reads_as_people_write_it() {
        for text in ["10000EUR/month", " 10000 EUR/month", "10000.00EUR/month"] {
            let budget: Money<PerMonth> = text.parse().unwrap();
            assert_eq!(
                (budget.amount, budget.currency.to_string().as_str()),
                (10_000.into(), "EUR"),
                "{text}"
            );
        }
        for bad in ["", "10000", "10000EUR", "10000EUR/year", "EUR/month", "-1EUR/month", "1EURO/month"] {
            assert!(bad.parse::<Money<PerMonth>>().is_err(), "{bad}");
        }
    }

    #[test]
    fn too_much_is_an_error_and_no_panic() {
        let most: Money<PerHour> = Money::new(Decimal::MAX, usd());
        assert_eq!(most.plus(&most), Err(DomainError::TooMuchMoney));
        assert_eq!(most.per_month(), Err(DomainError::TooMuchMoney));
        assert_eq!(most.times(2.0), Err(DomainError::TooMuchMoney));
    }

    proptest! {
        /// Sums lose nothing, in whatever order and grouping.
        #[test]
        fn sums_are_exact(cents in prop::collection::vec(-1_000_000_000_i64..1_000_000_000, 0..40)) {
            let all = || cents.iter().map(|cents| Money::<Once>::new(Decimal::new(*cents, 6), usd()));
            let sum = Money::sum(usd(), all()).unwrap();
            let backwards: Vec<_> = all().collect();
            prop_assert_eq!(sum, Money::sum(usd(), backwards.into_iter().rev()).unwrap());
            prop_assert_eq!(sum.amount, Decimal::new(cents.iter().sum(), 6));
            let nothing = all().try_fold(sum, |rest, one| rest.minus(&one)).unwrap();
            prop_assert!(nothing.amount.is_zero());
        }

        /// A month is 730 times an hour, for any price and any whole quantity.
        #[test]
        fn a_month_is_hours_times_price(price in 0_u32..1_000_000, quantity in 0_u32..1_000_000) {
            let hour: Money<PerHour> = Money::new(Decimal::new(price.into(), 6), usd());
            let month = hour.times(quantity.into()).unwrap().per_month().unwrap();
            let expected = u64::from(price) * u64::from(quantity) * u64::from(HOURS_PER_MONTH);
            prop_assert_eq!(month.amount, Decimal::from_i128_with_scale(expected.into(), 6));
            let whole = hour.over_millis(i64::from(HOURS_PER_MONTH) * 3_600_000).unwrap();
            prop_assert_eq!(whole.amount, hour.per_month().unwrap().amount);
        }
    }
}
