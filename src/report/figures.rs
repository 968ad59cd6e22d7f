//! Figures as people of a language read them.

use chrono::{DateTime, Datelike, Timelike, Utc};

use super::words::Word;
use crate::domain::{Language, Money, Resource, Timestamp};
use crate::rightsize::words::short;

/// What stands where there is no figure.
pub const NONE: &str = "–";
/// A space at which no line is broken.
const JOINED: char = '\u{a0}';

/// Writes figures in a language.
#[derive(Debug, Clone, Copy)]
pub struct Figures(pub Language);

impl Figures {
    /// A text with what is filled in.
    pub fn say(self, word: Word, parts: &[(&str, &str)]) -> String {
        word.fill(self.0, parts)
    }

    /// A text.
    pub fn word(self, word: Word) -> String {
        word.text(self.0).to_owned()
    }

    /// A number that is written with a point and without groups, with the marks
    /// of the language.
    fn marked(self, plain: &str) -> String {
        let (sign, plain) = plain.strip_prefix('-').map_or(("", plain), |rest| ("−", rest));
        let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
        let (group, point) = match self.0 {
            Language::English => (',', '.'),
            Language::German => ('.', ','),
        };
        let mut grouped = String::new();
        for (index, digit) in whole.chars().enumerate() {
            if index > 0 && (whole.len() - index).is_multiple_of(3) {
                grouped.push(group);
            }
            grouped.push(digit);
        }
        match fraction {
            "" => format!("{sign}{grouped}"),
            _ => format!("{sign}{grouped}{point}{fraction}"),
        }
    }

    /// How many.
    pub fn count(self, count: u64) -> String {
        self.marked(&count.to_string())
    }

    /// An amount with its currency.
    pub fn money<P>(self, money: &Money<P>) -> String {
        let plain = format!("{:.2}", money.amount.round_dp(2));
        // No debt of nothing.
        let plain = if plain == "-0.00" { "0.00".to_owned() } else { plain };
        format!("{}{JOINED}{}", self.marked(&plain), money.currency)
    }

    /// About three digits, without those that say nothing.
    pub fn number(self, value: f64) -> String {
        let plain = short(value);
        let trimmed =
            if plain.contains('.') { plain.trim_end_matches('0').trim_end_matches('.') } else { &plain };
        self.marked(if trimmed == "-0" { "0" } else { trimmed })
    }

    /// A figure of a resource with its unit.
    pub fn amount(self, value: f64, resource: Resource) -> String {
        let shown = self.number(value);
        let unit = self.unit(resource, shown == "1");
        format!("{shown}{JOINED}{unit}")
    }

    /// The unit of a resource, behind one or behind many.
    pub fn unit(self, resource: Resource, is_one: bool) -> &'static str {
        let words = Word::of_unit(resource);
        words.map_or(resource.unit(), |[one, many]| if is_one { one } else { many }.text(self.0))
    }

    /// What a resource is called.
    pub fn resource(self, resource: Resource) -> &'static str {
        Word::of_resource(resource).text(self.0)
    }

    /// A share in percent.
    pub fn share(self, share: f64) -> String {
        let percent = share * 100.0;
        let digits = if percent.abs() < 10.0 && percent != 0.0 { 1 } else { 0 };
        let plain = format!("{percent:.digits$}");
        let zero = plain.trim_matches(['0', '.', '-']).is_empty();
        match (zero, share > 0.0) {
            (true, true) => format!("<{JOINED}{}{JOINED}%", self.marked("0.1")),
            (true, false) => format!("0{JOINED}%"),
            _ => format!("{}{JOINED}%", self.marked(plain.trim_end_matches(".0"))),
        }
    }

    /// A share in percent to three decimals, for what is near 100 %.
    pub fn precise(self, share: f64) -> String {
        let plain = format!("{:.3}", share * 100.0);
        let plain = plain.trim_end_matches('0').trim_end_matches('.');
        format!("{}{JOINED}%", self.marked(plain))
    }

    /// A figure, or a dash for none.
    pub fn or_none<T>(self, value: Option<T>, show: impl FnOnce(T) -> String) -> String {
        value.map_or_else(|| NONE.to_owned(), show)
    }

    /// How long until something.
    pub fn hours(self, hours: f64) -> String {
        match hours {
            hours if hours < 0.5 => self.word(Word::ReachedNow),
            hours => self.say(Word::InHours, &[("hours", &format!("{hours:.0}"))]),
        }
    }

    /// A day.
    pub fn day(self, at: Timestamp) -> String {
        self.time(at, |time| match self.0 {
            Language::English => format!("{} {} {}", time.day(), time.format("%b"), time.year()),
            Language::German => format!("{:02}.{:02}.{}", time.day(), time.month(), time.year()),
        })
    }

    /// A day without its year.
    pub fn short_day(self, at: Timestamp) -> String {
        self.time(at, |time| match self.0 {
            Language::English => format!("{} {}", time.day(), time.format("%b")),
            Language::German => format!("{}.{}.", time.day(), time.month()),
        })
    }

    /// A day and time.
    pub fn instant(self, at: Timestamp) -> String {
        let day = self.day(at);
        self.time(at, |time| format!("{day}{JOINED}{:02}:{:02}", time.hour(), time.minute()))
    }

    fn time(self, at: Timestamp, show: impl FnOnce(DateTime<Utc>) -> String) -> String {
        at.to_utc().map_or_else(|| at.to_string(), show)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Once;

    #[test]
    fn figures_are_written_as_their_readers_do() {
        let [english, german] = Language::ALL.map(Figures);
        let money: Money<Once> = Money::new("-1234567.891".parse().unwrap(), "EUR".parse().unwrap());
        assert_eq!(english.money(&money), "−1,234,567.89\u{a0}EUR");
        assert_eq!(german.money(&money), "−1.234.567,89\u{a0}EUR");
        assert_eq!(
            english.money(&Money::<Once>::new("-0.001".parse().unwrap(), money.currency)),
            "0.00\u{a0}EUR"
        );
        assert_eq!(
            [english.number(2.5), german.number(2.5), german.number(12345.0)],
            ["2.5", "2,5", "12.345"]
        );
        assert_eq!([english.share(0.123), german.share(0.0123)], ["12\u{a0}%", "1,2\u{a0}%"]);
        assert_eq!([english.share(0.0), english.share(0.00001)], ["0\u{a0}%", "<\u{a0}0.1\u{a0}%"]);
        assert_eq!([english.precise(0.9995), german.precise(0.99)], ["99.95\u{a0}%", "99\u{a0}%"]);
        let cpu = Resource::CpuCores;
        assert_eq!([english.amount(1.0, cpu), english.amount(1.5, cpu)], ["1\u{a0}core", "1.5\u{a0}cores"]);
        let ai = Resource::AiProcessingUnits;
        assert_eq!(
            [german.amount(1.0, ai), german.amount(2.0, ai)],
            ["1\u{a0}KI-Einheit", "2\u{a0}KI-Einheiten"]
        );
        assert_eq!(german.amount(1.0, Resource::MemoryGb), "1\u{a0}GB");
        let at = "2026-11-23T06:05:00Z".parse().unwrap();
        assert_eq!(english.instant(at), "23 Nov 2026\u{a0}06:05");
        assert_eq!((german.day(at), german.short_day(at)), ("23.11.2026".to_owned(), "23.11.".to_owned()));
        assert_eq!([german.hours(0.0), german.hours(12.4)], ["jetzt", "in 12 h"]);
    }
}
