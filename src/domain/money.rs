//! Money as decimal with a currency, per hour or per month by type, so that
//! the two can't be mixed.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use rust_decimal::Decimal;
use rust_decimal::prelude::FromPrimitive;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::DomainError;

/// Hours in a month, as clouds bill it: 365 * 24 / 12.
pub const HOURS_PER_MONTH: u32 = 730;

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

/// An amount of one currency over the period `P`.
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

    /// The sum; refuses two currencies.
    pub fn plus(&self, other: &Money<P>) -> Result<Money<P>, DomainError> {
        self.same_currency(other)?;
        Ok(Money::new(self.amount + other.amount, self.currency))
    }

    /// The difference; refuses two currencies.
    pub fn minus(&self, other: &Money<P>) -> Result<Money<P>, DomainError> {
        self.same_currency(other)?;
        Ok(Money::new(self.amount - other.amount, self.currency))
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
    /// The price of `quantity` units at this price a unit, for a month.
    /// `None` where the quantity is no number that a decimal can hold.
    pub fn for_month_of(&self, quantity: f64) -> Option<Money<PerMonth>> {
        let hours = Decimal::from(HOURS_PER_MONTH);
        let units = Decimal::from_f64(quantity)?;
        let amount = self.amount.checked_mul(units)?.checked_mul(hours)?;
        Some(Money::new(amount.round_dp(6).normalize(), self.currency))
    }
}

impl<P> fmt::Display for Money<P> {
    /// With two decimals, as a bill shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:.2} {}", self.amount.round_dp(2), self.currency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usd() -> Currency {
        "USD".parse().unwrap()
    }

    #[test]
    fn a_month_has_730_hours() {
        let price: Money<PerHour> = Money::new("0.031611".parse().unwrap(), usd());
        let month = price.for_month_of(2.0).unwrap();
        assert_eq!(month.amount, "46.15206".parse().unwrap());
        assert_eq!(month.to_string(), "46.15 USD");
        assert_eq!(price.for_month_of(f64::NAN), None);
    }

    #[test]
    fn currencies_do_not_mix() {
        let dollars: Money<PerMonth> = Money::new(Decimal::ONE, usd());
        let euros = Money::new(Decimal::ONE, "EUR".parse().unwrap());
        assert!(dollars.plus(&euros).is_err());
        assert_eq!(dollars.plus(&dollars).unwrap().amount, Decimal::TWO);
        assert!("usd".parse::<Currency>().is_err());
    }
}
