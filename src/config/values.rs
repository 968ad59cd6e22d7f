//! The kinds of values that a section can hold, each with its check.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use toml::de::DeValue;

use super::reader::{Complaint, Key, Section, closest, kind_of};
use super::units::{parse_size, show_duration, show_size};

/// The text of a value; `wanted` names what should be there.
pub(super) fn text_of<'v>(value: &'v DeValue<'_>, wanted: &str, like: &str) -> Result<&'v str, Complaint> {
    value.as_str().ok_or_else(|| {
        Complaint::new(format!("is {}, not {wanted}", kind_of(value)), format!("write it like {like}"))
    })
}

/// A text that is not blank. Only secrets are looked up in the environment;
/// anywhere else a `${` is a misunderstanding.
pub(super) fn plain_text(value: &DeValue<'_>, like: &str) -> Result<String, Complaint> {
    let text = text_of(value, "a text", like)?;
    if text.trim().is_empty() {
        return Err(Complaint::new("is empty", format!("write it like {like}, or leave the key out")));
    }
    if text.contains("${") {
        return Err(Complaint::new(
            "names an environment variable, which is only looked up for secrets",
            "write the value itself",
        ));
    }
    Ok(text.to_owned())
}

/// A number above 0.
pub(super) fn above_zero(value: &DeValue<'_>) -> Result<f64, Complaint> {
    let number = match value {
        DeValue::Float(digits) => digits.as_str().parse::<f64>().ok(),
        DeValue::Integer(digits) => digits.as_str().parse::<f64>().ok(),
        _ => None,
    };
    number.filter(|number| number.is_finite() && *number > 0.0).ok_or_else(|| {
        Complaint::new(format!("is {}, not a number above 0", kind_of(value)), "write it like 3.0")
    })
}

fn within<T: PartialOrd>(
    value: T,
    range: &RangeInclusive<T>,
    show: impl Fn(&T) -> String,
) -> Result<T, Complaint> {
    if range.contains(&value) {
        return Ok(value);
    }
    let too = if value < *range.start() { "less" } else { "more" };
    let what = if value.partial_cmp(&value).is_none() {
        format!("is {}", show(&value))
    } else {
        format!("is {}, {too} than it can be", show(&value))
    };
    Err(Complaint::new(what, format!("choose from {} to {}", show(range.start()), show(range.end()))))
}

fn quoted(text: impl Display) -> String {
    toml::Value::String(text.to_string()).to_string()
}

impl Section<'_, '_> {
    /// A duration.
    pub(super) fn duration(
        &mut self,
        name: &'static str,
        about: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let (least, most) = (show_duration(*range.start()), show_duration(*range.end()));
        let key = Key::new(name, about, format!("a duration from {least} to {most}"))
            .default(quoted(show_duration(default)));
        self.take(key, |value| {
            let like = format!("\"{}\"", show_duration(default));
            let text = text_of(value, "a duration", &like)?;
            let duration = humantime::parse_duration(text).map_err(|error| {
                Complaint::new(
                    format!("{text:?} is no duration: {error}"),
                    "write a whole number with its unit, like \"30s\", \"5m\", \"6h\" or \"28d\"",
                )
            })?;
            within(duration, &range, |duration| show_duration(*duration))
        })
        .unwrap_or(default)
    }

    /// The path of a file that is there and can be read.
    pub(super) fn file(&mut self, key: Key) -> Option<PathBuf> {
        let (place, like) = (key.name, key.example.clone().unwrap_or_default());
        let name = self.take(key, |value| plain_text(value, &like))?;
        let file = self.resolve(&name);
        if let Err(error) = std::fs::File::open(&file) {
            self.conflict(
                &[place],
                format!("{name:?} can't be read: {error}"),
                "check the path, which starts at the folder of this config, or remove it",
            );
        }
        Some(file)
    }

    /// A size in bytes.
    pub(super) fn size(
        &mut self,
        name: &'static str,
        about: &'static str,
        default: u64,
        range: RangeInclusive<u64>,
    ) -> usize {
        let (least, most) = (show_size(*range.start()), show_size(*range.end()));
        let key = Key::new(name, about, format!("a size from {least} to {most}"))
            .default(quoted(show_size(default)));
        let bytes = self.take(key, |value| {
            let like = format!("\"{}\"", show_size(default));
            let text = text_of(value, "a size", &like)?;
            let bytes = parse_size(text).ok_or_else(|| {
                Complaint::new(
                    format!("{text:?} is no size"),
                    "write a whole number with B, KiB, MiB or GiB behind it, like \"1MiB\"",
                )
            })?;
            within(bytes, &range, |bytes| show_size(*bytes))
        });
        usize::try_from(bytes.unwrap_or(default)).unwrap_or(usize::MAX)
    }

    /// A whole number.
    pub(super) fn count(
        &mut self,
        name: &'static str,
        about: &'static str,
        default: usize,
        range: RangeInclusive<usize>,
    ) -> usize {
        let takes = format!("a whole number from {} to {}", range.start(), range.end());
        let key = Key::new(name, about, takes).default(default.to_string());
        let wide = as_wide(*range.start())..=as_wide(*range.end());
        let count = self.take(key, |value| {
            let DeValue::Integer(digits) = value else {
                return Err(Complaint::new(
                    format!("is {}, not a whole number", kind_of(value)),
                    format!("write it like {default}"),
                ));
            };
            let number = i128::from_str_radix(digits.as_str(), digits.radix()).unwrap_or(i128::MAX);
            within(number, &wide, i128::to_string)
        });
        count.and_then(|count| usize::try_from(count).ok()).unwrap_or(default)
    }

    /// A number, with or without a fraction.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        about: &'static str,
        default: f64,
        range: RangeInclusive<f64>,
    ) -> f64 {
        let takes = format!("a number from {} to {}", range.start(), range.end());
        let key = Key::new(name, about, takes).default(format!("{default:?}"));
        self.take(key, |value| {
            let number = match value {
                DeValue::Float(digits) => digits.as_str().parse::<f64>().ok(),
                DeValue::Integer(digits) => {
                    i64::from_str_radix(digits.as_str(), digits.radix()).ok().map(|whole| whole as f64)
                }
                _ => None,
            };
            let number = number.ok_or_else(|| {
                Complaint::new(
                    format!("is {}, not a number", kind_of(value)),
                    format!("write it like {default:?}"),
                )
            })?;
            within(number, &range, f64::to_string)
        })
        .unwrap_or(default)
    }

    /// Yes or no.
    pub(super) fn switch(&mut self, name: &'static str, about: &'static str, default: bool) -> bool {
        let key = Key::new(name, about, "true or false").default(default.to_string());
        self.take(key, |value| {
            value.as_bool().ok_or_else(|| {
                Complaint::new(
                    format!("is {}, not true or false", kind_of(value)),
                    "write true or false, without quotes",
                )
            })
        })
        .unwrap_or(default)
    }

    /// One of a few words; the first is the default.
    pub(super) fn choice<T: Clone, const N: usize>(
        &mut self,
        name: &'static str,
        about: &'static str,
        choices: &[(&str, T); N],
    ) -> T {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        let all = words.join(", ");
        let (default_word, default) = &choices[0];
        let key = Key::new(name, about, format!("one of {all}")).default(quoted(default_word));
        self.take(key, |value| {
            let text = text_of(value, "a text", &quoted(default_word))?;
            match choices.iter().find(|(word, _)| *word == text) {
                Some((_, choice)) => Ok(choice.clone()),
                None => Err(Complaint::new(
                    format!("is {text:?}"),
                    match closest(text, &words) {
                        Some(close) => format!("did you mean {close:?}? Choose one of {all}"),
                        None => format!("choose one of {all}"),
                    },
                )),
            }
        })
        .unwrap_or_else(|| default.clone())
    }

    /// A text with a default and a check of its own.
    pub(super) fn text(
        &mut self,
        name: &'static str,
        about: &'static str,
        takes: &str,
        default: &str,
        check: impl FnOnce(&str) -> Result<(), Complaint>,
    ) -> String {
        let key = Key::new(name, about, takes).default(quoted(default));
        self.take(key, |value| {
            let text = plain_text(value, &quoted(default))?;
            check(&text)?;
            Ok(text)
        })
        .unwrap_or_else(|| default.to_owned())
    }

    /// An address and port to listen at.
    pub(super) fn address(
        &mut self,
        name: &'static str,
        about: &'static str,
        default: SocketAddr,
    ) -> SocketAddr {
        let key = Key::new(name, about, "an IP address and a port").default(quoted(default));
        self.take(key, |value| {
            let text = plain_text(value, &quoted(default))?;
            text.parse().map_err(|_| {
                Complaint::new(
                    format!("{text:?} is no IP address with a port"),
                    "write it like \"127.0.0.1:7117\" or \"[::1]:7117\"; a host name is not looked up",
                )
            })
        })
        .unwrap_or(default)
    }

    /// A path that need not exist.
    pub(super) fn path(&mut self, name: &'static str, about: &'static str, default: &str) -> PathBuf {
        let key = Key::new(name, about, "a path").default(quoted(default));
        let path = self.take(key, |value| plain_text(value, &quoted(default)));
        self.resolve(path.as_deref().unwrap_or(default))
    }
}

fn as_wide(number: usize) -> i128 {
    i128::try_from(number).unwrap_or(i128::MAX)
}
