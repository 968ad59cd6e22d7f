//! `plimsoll template`: the templates of a running daemon.

use std::io::{Read, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::BadUsage;
use super::answer::{self, Output, items, word};
use super::client::{Body, ClientError, Server, given};
use super::decision::Why;
use crate::domain::template::Extends;
use crate::domain::{TemplateName, Tier};

/// The command's arguments.
#[derive(Debug, Args)]
pub struct Template {
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    output: Output,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the templates
    List,
    /// Show a template with all that holds under it
    Get {
        /// Its name, or name@version
        template: Extends,
    },
    /// Make a template from a tier or another template, or from YAML
    Create(Create),
    /// Make a copy under a new name
    Clone {
        /// What is copied: a name, or name@version
        template: Extends,
        /// The new name
        name: TemplateName,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Change a template to what a YAML file says
    Update {
        /// The file; - reads standard input
        file: PathBuf,
        /// The version that was seen; the newest where it is left out
        #[arg(long)]
        version: Option<u64>,
        #[command(flatten)]
        how: How,
    },
    /// Write templates out as YAML; all of them where none is named
    Export {
        /// Names, or name@version
        templates: Vec<Extends>,
    },
    /// Read templates in from a YAML file: all or none
    Import {
        /// The file; - reads standard input
        file: PathBuf,
        #[command(flatten)]
        how: How,
    },
    /// Show what differs between two versions
    Diff {
        /// The template
        name: TemplateName,
        /// The earlier version; the one before the later where it is left out
        #[arg(long)]
        from: Option<u64>,
        /// The later version; the newest where it is left out
        #[arg(long)]
        to: Option<u64>,
    },
    /// Remove a template with all its versions, where nothing stands on it
    Remove {
        /// The template
        name: TemplateName,
        #[command(flatten)]
        why: Why,
    },
    /// List the versions of a template, the newest first
    Versions {
        /// The template
        name: TemplateName,
    },
}

#[derive(Debug, Args)]
struct Create {
    /// Its name
    name: TemplateName,
    /// The tier that it is made from
    #[arg(long, conflicts_with = "extends")]
    tier: Option<Tier>,
    /// The template that it extends: a name, or name@version
    #[arg(long)]
    extends: Option<Extends>,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// A value of its own, such as resource_quotas.cpu_cores=10; may be repeated
    #[arg(long = "set", value_name = "PATH=VALUE")]
    values: Vec<String>,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, Args)]
struct How {
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
    /// Why; it stands in the audit log
    #[arg(long)]
    reason: Option<String>,
}

impl How {
    fn query(&self) -> Vec<(&'static str, String)> {
        given([("reason", self.reason.clone()), ("dry_run", Some(self.dry_run.to_string()))])
    }
}

const NO_FORM: &str = "export in another form: an export is the YAML that import takes, without --output; template get \
                       --output json shows one template";

/// Runs the command.
///
/// # Errors
/// Where the daemon can't be reached or refuses.
pub fn run(arguments: &Template, out: &mut impl Write) -> anyhow::Result<()> {
    let Template { server, output, what } = arguments;
    match what {
        What::Export { templates } if output.is_for_people() => return export(server, templates, out),
        What::Export { .. } => return Err(BadUsage(NO_FORM.to_owned()).into()),
        _ => {}
    }
    let answer = call(server, what)?;
    if output.show(&answer, out)? {
        return Ok(());
    }
    match what {
        What::List | What::Versions { .. } => show_records(&answer, out),
        What::Get { .. } => show_values(&answer, out),
        What::Diff { .. } => show_differences(&answer["items"], out),
        What::Import { how, .. } => {
            items(&answer).iter().try_for_each(|one| show_change(one, how.dry_run, out))
        }
        What::Create(Create { how, .. }) | What::Update { how, .. } => show_change(&answer, how.dry_run, out),
        What::Clone { .. } | What::Export { .. } => show_change(&answer, false, out),
        What::Remove { name, .. } => Ok(writeln!(out, "{name} is removed with all its versions.")?),
    }
}

fn call(server: &Server, what: &What) -> anyhow::Result<Value> {
    let get = |path: String| server.call(Method::GET, &path, &[], None);
    match what {
        What::List => server.all("/v1/templates", &[]),
        What::Versions { name } => server.all(&format!("/v1/templates/{name}/versions"), &[]),
        What::Get { template: Extends { name, version: None } } => get(format!("/v1/templates/{name}")),
        What::Get { template: Extends { name, version: Some(version) } } => {
            get(format!("/v1/templates/{name}/versions/{version}"))
        }
        What::Create(create) => {
            server.call(Method::POST, "/v1/templates", &create.how.query(), Some(&create.body()?))
        }
        What::Clone { template, name, reason } => {
            let body = json!({"name": name, "version": template.version, "reason": reason});
            server.call(Method::POST, &format!("/v1/templates/{}/clone", template.name), &[], Some(&body))
        }
        What::Update { file, version, how } => update(server, &text_of(file)?, *version, how),
        What::Import { file, how } => {
            let text = Body::Yaml(text_of(file)?);
            server.send_body(Method::POST, "/v1/template-imports", &how.query(), &[], text)
        }
        What::Diff { name, from, to } => {
            let text = |version: &Option<u64>| version.map(|version| version.to_string());
            let query = given([("from", text(from)), ("to", text(to))]);
            server.call(Method::GET, &format!("/v1/templates/{name}/diff"), &query, None)
        }
        What::Remove { name, why } => {
            let path = format!("/v1/templates/{name}");
            let found = get(path.clone())?;
            let tag = format!("\"{}\"", found["version"]);
            server.send_body(Method::DELETE, &path, &why.query(), &[("if-match", tag)], Body::Nothing)
        }
        What::Export { .. } => Ok(Value::Null),
    }
}

impl Create {
    fn body(&self) -> anyhow::Result<Value> {
        let mut body = json!({"name": self.name, "tier": self.tier, "extends": self.extends,
            "description": self.description});
        for pair in &self.values {
            let form = || BadUsage(format!("read {pair:?}; write it like resource_quotas.cpu_cores=10"));
            let (path, value) = pair.split_once('=').ok_or_else(form)?;
            // What is no JSON is a text.
            let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
            let pointer = format!("/{}", path.replace('.', "/"));
            *place(&mut body, &pointer).ok_or_else(form)? = value;
        }
        Ok(body)
    }
}

/// The place of a value inside tables that are made on the way.
fn place<'v>(value: &'v mut Value, pointer: &str) -> Option<&'v mut Value> {
    pointer.split('/').skip(1).try_fold(value, |value, name| {
        if value.is_null() {
            *value = json!({});
        }
        Some(value.as_object_mut()?.entry(name).or_insert(Value::Null))
    })
}

fn update(server: &Server, text: &str, version: Option<u64>, how: &How) -> anyhow::Result<Value> {
    use crate::domain::template::yaml;
    let bad = |what: String| BadUsage(format!("take the template: {what}"));
    let documents = yaml::read(text).map_err(|fault| bad(fault.to_string()))?;
    let [document] = &documents[..] else {
        return Err(bad("an update takes one document; use import for several".to_owned()).into());
    };
    let path = format!("/v1/templates/{}", document.template.name);
    let tag = version.map_or_else(|| "*".to_owned(), |version| format!("\"{version}\""));
    let body = Body::Json(serde_json::to_value(&document.template)?);
    let answer = server.send_body(Method::PUT, &path, &how.query(), &[("if-match", tag)], body);
    answer.map_err(|error| match error.downcast_ref() {
        // The daemon has not seen the text, and so does not know the places.
        Some(ClientError::Refused { faults, .. }) if !faults.is_empty() => {
            let told = faults.iter().map(|fault| document.located(fault.clone()).to_string());
            bad(told.collect::<Vec<_>>().join("; ")).into()
        }
        _ => error,
    })
}

fn text_of(file: &PathBuf) -> anyhow::Result<String> {
    let mut text = String::new();
    if file.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).context("failed to read standard input")?;
        return Ok(text);
    }
    let unreadable = |error| BadUsage(format!("read {}: {error}", file.display()));
    Ok(std::fs::read_to_string(file).map_err(unreadable)?)
}

fn export(server: &Server, templates: &[Extends], out: &mut impl Write) -> anyhow::Result<()> {
    let mut wanted: Vec<(String, Option<u64>)> =
        templates.iter().map(|one| (one.name.to_string(), one.version)).collect();
    if wanted.is_empty() {
        let all = server.all("/v1/templates", &[])?;
        wanted = items(&all).iter().map(|one| (word(&one["template"]["name"]), None)).collect();
    }
    for (index, (name, version)) in wanted.iter().enumerate() {
        let query = given([("version", version.map(|version| version.to_string()))]);
        let text = server.text(&format!("/v1/templates/{name}/export"), &query)?;
        if index > 0 {
            writeln!(out, "---")?;
        }
        write!(out, "{text}")?;
    }
    Ok(())
}

fn show_records(answer: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let mut table = answer::table(&["name", "version", "made from", "at (UTC)", "by", "comment"]);
    for one in items(answer) {
        let template = &one["template"];
        let from = if template["tier"].is_null() { &template["extends"] } else { &template["tier"] };
        let by = one["by"]["name"].as_str().unwrap_or("plimsoll").to_owned();
        let name = word(&template["name"]);
        table.add_row([name, word(&one["version"]), word(from), word(&one["at"]), by, word(&one["comment"])]);
    }
    Ok(writeln!(out, "{table}")?)
}

fn show_values(answer: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let template = &answer["template"];
    writeln!(
        out,
        "{}@{}, tier {}",
        word(&template["name"]),
        word(&answer["version"]),
        word(&answer["tier"])
    )?;
    answer::settings(&answer["values"], out)
}

fn show_differences(differences: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let differences = differences.as_array().map_or(&[][..], Vec::as_slice);
    if differences.is_empty() {
        return Ok(writeln!(out, "Nothing differs.")?);
    }
    let mut table = answer::table(&["setting", "before", "after"]);
    for one in differences {
        table.add_row(["path", "before", "after"].map(|name| word(&one[name])));
    }
    Ok(writeln!(out, "{table}")?)
}

fn show_change(answer: &Value, dry_run: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let name = format!("{}@{}", word(&answer["template"]["name"]), word(&answer["version"]));
    if answer["differences"].as_array().is_some_and(Vec::is_empty) {
        return Ok(writeln!(out, "{name} stands so already.")?);
    }
    writeln!(out, "{name} {}:", if dry_run { "would be written" } else { "was written" })?;
    show_differences(&answer["differences"], out)?;
    if let Some(behind) = answer["tenants_behind"].as_u64().filter(|behind| *behind > 0) {
        writeln!(out, "{behind} tenants are on an earlier version; {}.", word(&answer["note"]))?;
    }
    Ok(())
}
