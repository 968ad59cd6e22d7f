//! From the text of a price book to a [`PriceBook`], or to everything that is
//! wrong with it, each with its line, its column and its mend.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::Deserialize;
use toml::Spanned;

use super::book::{Listed, Per, PriceBook, PriceKey};
use crate::config::Place;
use crate::domain::{Currency, Dated, Purchase, Resource};

/// One thing that is wrong with a price book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookProblem {
    /// Where.
    pub place: Place,
    /// What is wrong, and what to do about it.
    pub text: String,
}

/// Everything that is wrong with a price book, in the order of its text; reads
/// well after "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("take the price book:\n{}", lines(Path::new("price book"), problems))]
pub struct PriceBookError {
    /// What is wrong; never empty.
    pub problems: Vec<BookProblem>,
}

impl PriceBookError {
    /// One line a problem: `file:line:column: what is wrong; the mend`.
    pub fn lines(&self, file: &Path) -> String {
        lines(file, &self.problems)
    }
}

fn lines(file: &Path, problems: &[BookProblem]) -> String {
    let line = |problem: &BookProblem| {
        let Place { line, column } = problem.place;
        format!("{}:{line}:{column}: {}", file.display(), problem.text)
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBook {
    currency: Spanned<String>,
    /// The provider of prices that name none.
    provider: Option<String>,
    #[serde(default)]
    price: Vec<Spanned<RawPrice>>,
}

type Text = Option<Spanned<String>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrice {
    provider: Option<String>,
    region: String,
    resource: Spanned<String>,
    on_demand: Text,
    committed_1y: Text,
    committed_3y: Text,
    spot: Text,
    units: Text,
    per: Text,
    valid_from: Text,
    /// Required, so that no price is without one.
    source: Text,
    /// The same.
    looked_up: Text,
    /// The keys of earlier books.
    per_unit_hour: Text,
    date: Text,
}

/// Collects what is wrong.
struct Reading<'t> {
    text: &'t str,
    problems: Vec<BookProblem>,
}

impl Reading<'_> {
    fn complain(&mut self, span: Range<usize>, text: impl Into<String>) {
        self.problems.push(BookProblem { place: Place::of(self.text, span.start), text: text.into() });
    }

    /// A text made a value by `read`; `None` where it is left out or wrong.
    fn value<T>(
        &mut self,
        key: &str,
        text: &Text,
        like: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = text.as_ref()?;
        let value = read(text.get_ref());
        if value.is_none() {
            let found = text.get_ref();
            self.complain(text.span(), format!("{key} is {found:?}; write it like {like}, in quotes"));
        }
        value
    }

    fn amount(&mut self, key: &str, text: &Text) -> Option<Decimal> {
        let read = |text: &str| text.parse::<Decimal>().ok().filter(|amount| !amount.is_sign_negative());
        self.value(key, text, "\"0.0316\", at least 0", read)
    }

    fn date(&mut self, key: &str, text: &Text) -> Option<NaiveDate> {
        self.value(key, text, "\"2026-11-23\"", |text| text.parse().ok())
    }

    fn price(&mut self, raw: &RawPrice, whole: Range<usize>) -> Option<(Resource, NaiveDate, Listed)> {
        for (old, new) in [(&raw.per_unit_hour, "on_demand"), (&raw.date, "looked_up")] {
            if let Some(old) = old {
                self.complain(old.span(), format!("the key is called {new} now; rename it"));
            }
        }
        let resource = match raw.resource.get_ref().parse::<Resource>() {
            Ok(resource) => Some(resource),
            Err(error) => {
                self.complain(raw.resource.span(), format!("failed to {error}; write one of them"));
                None
            }
        };
        let texts = [&raw.on_demand, &raw.committed_1y, &raw.committed_3y, &raw.spot];
        let amounts: BTreeMap<Purchase, Decimal> = Purchase::ALL
            .into_iter()
            .zip(texts)
            .filter_map(|(purchase, text)| Some((purchase, self.amount(purchase.name(), text)?)))
            .collect();
        let needed = [
            ("on_demand", raw.on_demand.is_some() || raw.per_unit_hour.is_some()),
            ("source", raw.source.is_some()),
            ("looked_up", raw.looked_up.is_some() || raw.date.is_some()),
        ];
        for (key, _) in needed.iter().filter(|(_, given)| !given) {
            self.complain(whole.clone(), format!("this price has no {key}; add {key} = \"...\""));
        }
        let positive = |text: &str| text.parse::<Decimal>().ok().filter(|units| *units > Decimal::ZERO);
        let units = match &raw.units {
            None => Some(Decimal::ONE),
            some => self.value("units", some, "\"1000\", above 0", positive),
        };
        let per = match &raw.per {
            None => Some(Per::Hour),
            some => self.value("per", some, "\"hour\" or \"month\"", |text| match text {
                "hour" => Some(Per::Hour),
                "month" => Some(Per::Month),
                _ => None,
            }),
        };
        let looked_up = self.date("looked_up", &raw.looked_up);
        let valid_from = match &raw.valid_from {
            None => looked_up,
            some => self.date("valid_from", some),
        };
        let source = raw.source.as_ref()?.get_ref().clone();
        Some((
            resource?,
            valid_from?,
            Listed { amounts, units: units?, per: per?, source, looked_up: looked_up? },
        ))
    }
}

impl PriceBook {
    /// Reads a price book.
    ///
    /// # Errors
    /// All that is wrong with it, each with its line, its column and its mend.
    pub fn from_toml(text: &str) -> Result<PriceBook, PriceBookError> {
        let mut reading = Reading { text, problems: Vec::new() };
        let raw: RawBook = match toml::from_str(text) {
            Ok(raw) => raw,
            Err(error) => {
                let what = error.message().lines().collect::<Vec<_>>().join(", ");
                let mend = "mend the line; every price is a [[price]] with its keys below it, in quotes";
                reading.complain(error.span().unwrap_or(0..0), format!("{what}; {mend}"));
                return Err(PriceBookError { problems: reading.problems });
            }
        };
        let currency = raw.currency.get_ref().parse::<Currency>();
        if let Err(error) = &currency {
            reading.complain(raw.currency.span(), format!("failed to {error}"));
        }
        let mut prices: BTreeMap<PriceKey, Dated<Listed>> = BTreeMap::new();
        for one in &raw.price {
            let read = reading.price(one.get_ref(), one.span());
            let Some(provider) = one.get_ref().provider.as_ref().or(raw.provider.as_ref()) else {
                reading.complain(one.span(), "this price has no provider; add provider = \"...\"");
                continue;
            };
            let Some((resource, valid_from, listed)) = read else { continue };
            let region = &one.get_ref().region;
            let dated = prices.entry((provider.clone(), region.clone(), resource)).or_default();
            if dated.insert(valid_from, listed).is_some() {
                reading.complain(
                    one.span(),
                    format!(
                        "{resource} at {provider:?} in {region:?} has a price from {valid_from} on already; \
                         remove one, or give it another valid_from"
                    ),
                );
            }
        }
        reading.problems.sort_by_key(|problem| problem.place);
        match currency {
            Ok(currency) if reading.problems.is_empty() => Ok(PriceBook::new(currency, prices)),
            _ => Err(PriceBookError { problems: reading.problems }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "currency = \"USD\"\n\
        [[price]]\n\
        provider = \"aws\"\n\
        region = \"*\"\n\
        resource = \"cpu_cores\"\n\
        on_demand = \"0.04\"\n\
        source = \"list\"\n\
        looked_up = \"2026-11-23\"\n";

    fn problems(text: &str) -> String {
        PriceBook::from_toml(text).unwrap_err().lines(Path::new("own.toml"))
    }

    #[test]
    fn each_mistake_has_its_place_and_its_mend() {
        assert!(PriceBook::from_toml(GOOD).is_ok());
        let cases = [
            (("0.04", "-0.04"), "own.toml:6:13: on_demand is \"-0.04\"; write it like \"0.0316\""),
            (("\"0.04\"", "0.04"), "own.toml:6:13: invalid type: floating point"),
            (("cpu_cores", "cpus"), "own.toml:5:12: failed to read \"cpus\" as a resource; the ten are"),
            (("USD", "dollars"), "own.toml:1:12: failed to read \"dollars\" as a currency"),
            (("on_demand", "price"), "own.toml:6:1: unknown field `price`"),
            (("on_demand = \"0.04\"\n", ""), "own.toml:2:1: this price has no on_demand; add on_demand"),
            (("source = \"list\"\n", ""), "own.toml:2:1: this price has no source; add source"),
            (("provider = \"aws\"\n", ""), "own.toml:2:1: this price has no provider"),
            (("2026-11-23", "today"), "own.toml:8:13: looked_up is \"today\"; write it like \"2026-11-23\""),
            (("0.04\"\n", "0.04\"\nunits = \"0\"\n"), "own.toml:7:9: units is \"0\"; write it like"),
            (
                ("0.04\"\n", "0.04\"\nper = \"day\"\n"),
                "own.toml:7:7: per is \"day\"; write it like \"hour\" or",
            ),
        ];
        for ((from, to), expected) in cases {
            let found = problems(&GOOD.replace(from, to));
            assert!(found.starts_with(expected), "{expected}\n{found}");
            assert_eq!(found.lines().count(), 1, "{found}");
        }
        let twice = problems(&format!("{GOOD}{}", &GOOD[GOOD.find("[[price]]").unwrap()..]));
        assert!(twice.contains("has a price from 2026-11-23 on already"), "{twice}");
        assert!(twice.starts_with("own.toml:9:"), "{twice}");
    }

    #[test]
    fn all_mistakes_are_told_at_once_and_old_keys_by_their_new_names() {
        let old = GOOD.replace("on_demand", "per_unit_hour").replace("looked_up", "date");
        let found = problems(&old);
        assert!(found.contains(":6:17: the key is called on_demand now"), "{found}");
        assert!(found.contains(":8:8: the key is called looked_up now"), "{found}");
        assert_eq!(found.lines().count(), 2, "{found}");
    }

    proptest::proptest! {
        /// Whatever the text, there is a book or there are problems.
        #[test]
        fn any_text_is_answered(text in "[\\[\\]a-z_=\"0-9.* \n-]{0,200}") {
            if let Err(error) = PriceBook::from_toml(&text) {
                assert!(!error.problems.is_empty());
            }
        }
    }
}
