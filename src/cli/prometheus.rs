//! The arguments of commands that ask a Prometheus.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use secrecy::SecretString;

use super::BadUsage;
use crate::config::Credentials;
use crate::domain::{Resource, Step};
use crate::source::PrometheusSettings;

/// How a Prometheus is asked.
#[derive(Debug, Args)]
pub struct Access {
    /// The label that names the tenant
    #[arg(long, default_value = "tenant")]
    pub tenant_label: String,
    /// A file with the bearer token for Prometheus
    #[arg(long)]
    bearer_token_file: Option<PathBuf>,
    /// A header to send with each query, such as X-Scope-OrgID=platform
    #[arg(long, value_name = "NAME=VALUE")]
    header: Vec<String>,
    /// The distance of two samples
    #[arg(long, default_value = "5m", value_parser = humantime::parse_duration)]
    step: Duration,
}

impl Access {
    /// The settings to ask `url` with `queries`, each a resource and its expression.
    ///
    /// # Errors
    /// Where an argument can't be read.
    pub fn settings(&self, url: &str, queries: &[String]) -> anyhow::Result<PrometheusSettings> {
        let mut expressions = BTreeMap::new();
        for query in queries {
            let (name, expression) = parts_of(query, "a query such as cpu_cores='max by (tenant) (…)'")?;
            let resource: Resource = name.parse().map_err(|error| BadUsage(format!("{error}")))?;
            expressions.insert(resource, expression.to_owned());
        }
        let mut settings = PrometheusSettings::new(url, expressions);
        settings.tenant_label.clone_from(&self.tenant_label);
        settings.step = Step::from_duration(self.step).map_err(|error| BadUsage(error.to_string()))?;
        if let Some(file) = &self.bearer_token_file {
            settings.credentials = Credentials::Bearer(read_secret(file)?);
        }
        for header in &self.header {
            let (name, value) = parts_of(header, "a header such as X-Scope-OrgID=platform")?;
            settings.headers.push((name.to_owned(), SecretString::from(value.to_owned())));
        }
        Ok(settings)
    }
}

fn parts_of<'a>(text: &'a str, example: &str) -> Result<(&'a str, &'a str), BadUsage> {
    text.split_once('=').ok_or_else(|| BadUsage(format!("read {text:?}; give {example}")))
}

fn read_secret(file: &Path) -> anyhow::Result<SecretString> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("failed to read the token in {}", file.display()))?;
    Ok(SecretString::from(text.trim_end().to_owned()))
}
