//! Answers of the daemon, as tables for people or as they are for machines.

use std::io::Write;

use anyhow::Context;
use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use rust_decimal::Decimal;
use serde_json::{Map, Value};

/// How an answer is written.
#[derive(Debug, Clone, Args)]
pub struct Output {
    /// How the answer is written
    #[arg(long, short, value_enum, default_value_t = Form::Table, global = true)]
    output: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people
    Table,
    /// As the API gives it
    Json,
    /// The same in YAML
    Yaml,
}

impl Output {
    /// Whether people are to read the answer.
    pub fn is_for_people(&self) -> bool {
        self.output == Form::Table
    }

    /// Writes the answer for machines, if that was asked for; `false` where
    /// people are to read it.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn show(&self, answer: &Value, out: &mut impl Write) -> anyhow::Result<bool> {
        match self.output {
            Form::Table => return Ok(false),
            Form::Json => writeln!(out, "{answer:#}")?,
            Form::Yaml => {
                let text = serde_saphyr::to_string(answer).context("failed to write the answer as YAML")?;
                write!(out, "{text}")?;
            }
        }
        Ok(true)
    }
}

/// The entries of a list.
pub fn items(answer: &Value) -> &[Value] {
    answer["items"].as_array().map_or(&[], Vec::as_slice)
}

/// The decimals of a number for people, counted from its first one that says something.
const DECIMALS: usize = 4;
/// Numbers from this size on, and those whose first digit lies so far behind the
/// point, are written with an exponent.
const HUGE: f64 = 1e18;
const TINY: f64 = 1e-9;

/// A value as people read it: a text as it is, a number without digits that say
/// nothing, an amount with its currency, lists and records in words, and a dash
/// for nothing.
pub fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(is_so) => is_so.to_string(),
        Value::Number(whole) if whole.is_i64() || whole.is_u64() => whole.to_string(),
        Value::Number(other) => other.as_f64().map_or_else(|| other.to_string(), number),
        Value::Array(all) if all.is_empty() => "-".to_owned(),
        Value::Array(all) => all.iter().map(word).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => money(fields).unwrap_or_else(|| record(fields)),
    }
}

/// At most four decimals that say something, and no zeros at the end.
fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(TINY..HUGE).contains(&size) {
        return format!("{value:.3e}");
    }
    // 0.00012345 has three zeros before its first digit.
    let zeros =
        if size > 0.0 && size < 1.0 { ((-size.log10()).ceil() as usize).saturating_sub(1) } else { 0 };
    let text = format!("{value:.*}", DECIMALS + zeros);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// An amount with its currency, with two decimals as on a bill.
fn money(fields: &Map<String, Value>) -> Option<String> {
    let [amount, currency] = ["amount", "currency"].map(|name| fields.get(name).and_then(Value::as_str));
    let (amount, currency) = (amount?.parse::<Decimal>().ok()?, currency?);
    let amount = amount.round_dp(2);
    // No debt of nothing.
    let amount = if amount.is_zero() { Decimal::ZERO } else { amount };
    Some(format!("{amount:.2} {currency}"))
}

/// A record in words: a template as `gold@2`, anything else by the names of its
/// fields. What is empty is left out.
fn record(fields: &Map<String, Value>) -> String {
    let (mut parts, mut told) = (Vec::new(), Vec::new());
    if let (Some(Value::String(name)), Some(version)) = (fields.get("name"), fields.get("version")) {
        parts.push(format!("{name}@{}", word(version)));
        told.extend(["name", "version"]);
    }
    let says = |value: &Value| !matches!(value, Value::Null) && *value != Value::Array(Vec::new());
    let rest = fields.iter().filter(|(name, value)| !told.contains(&name.as_str()) && says(value));
    parts.extend(rest.map(|(name, value)| format!("{} {}", name.replace('_', " "), word(value))));
    if parts.is_empty() { "-".to_owned() } else { parts.join(", ") }
}

/// A table with these headings.
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.iter().copied());
    table
}

/// A table of some fields of each entry, by their paths such as `/actor/name`.
///
/// # Errors
/// Where it can't be written.
pub fn columns(answer: &Value, columns: &[(&str, &str)], out: &mut impl Write) -> anyhow::Result<()> {
    let headings: Vec<&str> = columns.iter().map(|(heading, _)| *heading).collect();
    let mut table = table(&headings);
    for item in items(answer) {
        table.add_row(columns.iter().map(|(_, path)| word(item.pointer(path).unwrap_or(&Value::Null))));
    }
    Ok(writeln!(out, "{table}")?)
}

/// The fields of one record, a line each; what is empty is left out.
///
/// # Errors
/// Where it can't be written.
pub fn fields(answer: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let given = answer.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    for (name, value) in given {
        writeln!(out, "{name:<16} {}", word(value))?;
    }
    Ok(())
}

/// Without what was left out.
pub fn given(body: Value) -> Value {
    let Value::Object(fields) = body else { return body };
    Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

/// The header that carries the code of a second factor.
pub fn code(code: Option<&str>) -> Vec<(&'static str, String)> {
    code.map(|code| ("x-totp-code", code.to_owned())).into_iter().collect()
}

/// A table of settings, with where each comes from.
///
/// # Errors
/// Where it can't be written.
pub fn settings(values: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let mut table = table(&["setting", "value", "from", "held by"]);
    for one in values.as_array().map_or(&[][..], Vec::as_slice) {
        let held_by = if one["enforcement"] == "enforced" { "plimsoll" } else { "the platform" };
        table.add_row([word(&one["path"]), word(&one["value"]), origin(&one["origin"]), held_by.to_owned()]);
    }
    Ok(writeln!(out, "{table}")?)
}

fn origin(origin: &Value) -> String {
    let field = |name: &str| word(&origin[name]);
    match origin["kind"].as_str() {
        Some("tier") => format!("tier {}", field("tier")),
        Some("template") => format!("template {}@{}", field("name"), field("version")),
        Some("config") => format!("config {}", field("key")),
        _ => field("kind"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_carry_no_digits_that_say_nothing() {
        for (value, shown) in [
            (json!(0.999_000_000_000_000_1), "0.999"),
            (json!(-1.000_000_000_000_222), "-1"),
            (json!(0.993_772_911_690_966_9), "0.9938"),
            (json!(12_345.678_901), "12345.6789"),
            (json!(0.000_123_456), "0.0001235"),
            (json!(0.001), "0.001"),
            (json!(2.5e-7), "0.00000025"),
            (json!(1.5e-12), "1.500e-12"),
            (json!(150_000.0), "150000"),
            (json!(1e15), "1000000000000000"),
            (json!(2e18), "2.000e18"),
            (json!(-0.0), "0"),
            (json!(0), "0"),
            (json!(u64::MAX), "18446744073709551615"),
        ] {
            assert_eq!(word(&value), shown, "{value}");
        }
    }

    #[test]
    fn small_records_are_told_in_words() {
        for (value, shown) in [
            (json!({"quota": "cpu_cores"}), "quota cpu_cores"),
            (json!({"amount": "20.5", "currency": "USD"}), "20.50 USD"),
            (json!({"amount": "-0.0049", "currency": "EUR", "per": "month"}), "0.00 EUR"),
            (
                json!({"name": "gold", "version": 2, "violation_budget": 0.002, "mfa_required": true,
                    "alert_receivers": ["pager", "chat"], "ip_whitelist": [], "availability_percent": null}),
                "gold@2, alert receivers pager, chat, mfa required true, violation budget 0.002",
            ),
            (json!(["DE", "FR"]), "DE, FR"),
            (json!([]), "-"),
            (json!({}), "-"),
            (json!(null), "-"),
        ] {
            assert_eq!(word(&value), shown, "{value}");
        }
    }

    #[test]
    fn machines_get_every_digit() {
        let answer = json!({"confidence": 0.993_772_911_690_966_9});
        for (form, shown) in [(Form::Json, "0.9937729116909669"), (Form::Yaml, "0.9937729116909669")] {
            let mut out = Vec::new();
            assert!(Output { output: form }.show(&answer, &mut out).unwrap());
            assert!(String::from_utf8(out).unwrap().contains(shown));
        }
    }
}
