//! From the text of an answer to series.
//!
//! The client's own types buffer each answer twice before they are filled, so
//! the text is read here in one pass instead: an instant and a number a
//! sample, no text of it kept.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use crate::domain::Timestamp;

/// What every answer looks like, good or bad.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Answer {
    /// `success` or `error`.
    pub status: String,
    /// The series of a success.
    pub data: Option<Data>,
    /// The kind of a failure.
    #[serde(default, rename = "errorType")]
    pub error_type: String,
    /// What a failure is about.
    #[serde(default)]
    pub error: String,
    /// What the server found odd.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// A matrix, or a vector as a matrix of one column.
#[derive(Debug, Deserialize)]
pub(super) struct Data {
    /// The series, in no order.
    pub result: Vec<Series>,
}

/// One series of an answer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Series {
    /// Its labels.
    pub metric: BTreeMap<String, String>,
    /// Its samples, upwards in time; empty for native histograms.
    #[serde(default, alias = "value", deserialize_with = "one_or_many")]
    pub values: Vec<Sample>,
}

impl Series {
    /// The labels as Prometheus writes them, shortened.
    pub fn labels(&self) -> String {
        const LONGEST: usize = 200;
        let labels: Vec<String> =
            self.metric.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let mut text = format!("{{{}}}", labels.join(", "));
        if let Some((cut, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(cut);
            text.push('…');
        }
        text
    }
}

/// An instant and a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    /// When.
    pub at: Timestamp,
    /// How much; may be no number at all.
    pub value: f64,
}

/// The first word of a sequence decides: `[seconds, "value"]` is one sample,
/// `[[seconds, "value"], ...]` are many.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Sample>, D::Error> {
    struct Samples;
    impl<'de> Visitor<'de> for Samples {
        type Value = Vec<Sample>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a sample such as [1700000000, \"1.5\"], or a list of them")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Vec<Sample>, A::Error> {
            let mut samples = Vec::new();
            while let Some(part) = sequence.next_element::<Part>()? {
                match part {
                    Part::Sample(sample) => samples.push(sample),
                    Part::Seconds(seconds) if samples.is_empty() => {
                        let value = sequence.next_element::<Number>()?;
                        let Number(value) = value.ok_or_else(|| de::Error::invalid_length(1, &self))?;
                        samples.push(Sample { at: instant(seconds), value });
                    }
                    Part::Seconds(_) => return Err(de::Error::custom("a time among samples")),
                }
            }
            Ok(samples)
        }
    }
    deserializer.deserialize_seq(Samples)
}

/// A whole sample, or the time of the only one.
enum Part {
    Sample(Sample),
    Seconds(f64),
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PartVisitor;
        impl<'de> Visitor<'de> for PartVisitor {
            type Value = Part;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sample such as [1700000000, \"1.5\"]")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Part, E> {
                Ok(Part::Seconds(seconds as f64))
            }

            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Part, E> {
                Ok(Part::Seconds(seconds))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Part, A::Error> {
                let missing = |length| move || de::Error::invalid_length(length, &"a time and a value");
                let seconds: f64 = sequence.next_element()?.ok_or_else(missing(0))?;
                let Number(value) = sequence.next_element()?.ok_or_else(missing(1))?;
                Ok(Part::Sample(Sample { at: instant(seconds), value }))
            }
        }
        deserializer.deserialize_any(PartVisitor)
    }
}

/// A number in quotes, which is how Prometheus writes values so that `NaN` and
/// `+Inf` can be among them.
struct Number(f64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor;
        impl Visitor<'_> for NumberVisitor {
            type Value = Number;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number in quotes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Number, E> {
                text.parse()
                    .map(Number)
                    .map_err(|_| de::Error::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(NumberVisitor)
    }
}

/// Prometheus writes times in seconds with up to three decimals.
fn instant(seconds: f64) -> Timestamp {
    Timestamp::from_millis((seconds * 1000.0).round() as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(text: &str) -> Result<Vec<Series>, serde_json::Error> {
        let answer: Answer = serde_json::from_str(text)?;
        Ok(answer.data.unwrap().result)
    }

    #[test]
    fn matrices_and_vectors_read_alike() {
        let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"tenant":"acme"},"values":[[1700000000,"1.5"],[1700000300.25,"NaN"],[1700000600,"-Inf"]]}]}}"#;
        let read = series(matrix).unwrap();
        assert_eq!(read[0].values[0], Sample { at: Timestamp::from_seconds(1_700_000_000), value: 1.5 });
        assert_eq!(read[0].values[1].at, Timestamp::from_millis(1_700_000_300_250));
        assert!(read[0].values[1].value.is_nan());
        assert_eq!(read[0].values[2].value, f64::NEG_INFINITY);
        assert_eq!(read[0].labels(), r#"{tenant="acme"}"#);
        let vector = r#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{},"value":[1700000000.5,"3"]}]}}"#;
        let read = series(vector).unwrap();
        assert_eq!(read[0].values, [Sample { at: Timestamp::from_millis(1_700_000_000_500), value: 3.0 }]);
    }

    #[test]
    fn what_is_no_series_is_refused() {
        for bad in [
            r#"{"status":"success","data":{"resultType":"scalar","result":[1700000000,"1"]}}"#,
            r#"{"status":"success","data":{"result":[{"metric":{},"values":[[1700000000,1.5]]}]}}"#,
            r#"{"status":"success","data":{"result":[{"metric":{},"values":[[1700000000,"one"]]}]}}"#,
            r#"{"status":"success","data":{"result":[{"metric":{},"values":[[1700000000]]}]}}"#,
            r#"{"status":"success","data":{"result":[{"metric":[],"values":[]}]}}"#,
            "[]",
        ] {
            assert!(series(bad).is_err(), "{bad}");
        }
    }
}
