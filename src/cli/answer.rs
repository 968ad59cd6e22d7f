//! Answers of the daemon, as tables for people or as they are for machines.

use std::io::Write;

use anyhow::Context;
use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

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

/// A text as it is, anything else as JSON, and a dash for nothing.
pub fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => {
            number.as_f64().map_or_else(|| number.to_string(), |number| format!("{number:.0}"))
        }
        other => other.to_string(),
    }
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
