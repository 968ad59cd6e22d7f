//! From the text of a config to a valid [`Config`], or to everything that is
//! wrong with it.
//!
//! Each section is a plain struct with a `read` function that takes its keys
//! one by one; that call is the only place where a key is declared, with what
//! it is about, its default and its range. The documented `config/plimsoll.toml`
//! is written from the same declarations. A problem does not end the reading:
//! all of them are reported at once, each with its place and its mend.

mod access;
mod analysis;
mod approval;
mod audit;
mod checks;
mod costs;
mod guardrails;
mod incidents;
mod kubernetes;
mod metering;
mod notify;
mod problem;
mod prometheus;
mod reader;
mod records;
mod reference;
mod reload;
mod reports;
mod resources;
mod rightsizing;
mod rollouts;
mod secret;
mod server;
mod sla;
mod store;
mod target;
mod units;
mod values;

use std::path::Path;

use toml::de::DeTable;

pub use access::Access;
pub use analysis::{Anomaly, Cycle, Forecast};
pub use audit::Audit;
pub use costs::Costs;
pub use incidents::Incidents;
pub use kubernetes::Kubernetes;
pub use metering::Metering;
pub use notify::Notify;
pub use problem::{ConfigProblems, Place, Problem};
pub use prometheus::{Credentials, Prometheus, QueryLimits, Retry};
pub use reader::Environment;
pub use records::{History, Log, Templates, Tenants};
pub use reference::{KeyInfo, Reference, SectionInfo};
pub use reload::Changes;
pub use reports::Reports;
pub use resources::Expressions;
pub use rightsizing::Rightsizing;
pub use server::{ConnectionLimits, Server};
pub use sla::{SECONDS, Sla, WINDOW};
pub use store::{Store, StoreKind};
pub use target::{Target, TargetPlace};
pub use units::{show_duration, show_size};

use crate::domain::rollout::RolloutSettings;
use crate::domain::{ApprovalRules, Guardrails, Receiver};
use reader::Reader;
use reload::Written;

/// A config that has been checked whole.
#[derive(Debug, Clone)]
pub struct Config {
    /// The API and the pages.
    pub server: Server,
    /// Where state and history are kept.
    pub store: Store,
    /// Where usage is read.
    pub prometheus: Prometheus,
    /// The expression for each resource; at least one.
    pub resources: Expressions,
    /// When the work is done.
    pub cycle: Cycle,
    /// How far ahead to look.
    pub forecast: Forecast,
    /// What counts as an anomaly.
    pub anomaly: Anomaly,
    /// What incidents are made of, and how they are told of.
    pub incidents: Incidents,
    /// How quotas are sized.
    pub rightsizing: Rightsizing,
    /// What the daemon may do by itself.
    pub guardrails: Guardrails,
    /// What people's approvals mean.
    pub approval: ApprovalRules,
    /// How rollouts are watched, and how large they may be.
    pub rollouts: RolloutSettings,
    /// What tenants are promised.
    pub sla: Sla,
    /// Where what tenants use up is counted.
    pub metering: Metering,
    /// What resources cost; `None` for no costs.
    pub costs: Option<Costs>,
    /// How long samples are kept.
    pub history: History,
    /// Who the tenants are.
    pub tenants: Tenants,
    /// How callers are held.
    pub access: Access,
    /// How many templates there may be.
    pub templates: Templates,
    /// How receivers are told.
    pub notify: Notify,
    /// Who is told of incidents.
    pub receivers: Vec<Receiver>,
    /// How reports are made, and which again and again.
    pub reports: Reports,
    /// Where quotas are enforced.
    pub target: Target,
    /// How the audit log is signed for.
    pub audit: Audit,
    /// What the daemon says of itself.
    pub log: Log,
    /// What is written for each key.
    written: Written,
}

impl Config {
    /// Reads a config file, and the environment for its secrets.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of the file.
    pub fn load(path: &Path) -> Result<Config, ConfigProblems> {
        let text = std::fs::read_to_string(path).map_err(|error| ConfigProblems {
            file: path.to_owned(),
            problems: vec![Problem {
                place: None,
                key: None,
                what: format!("can't be read: {error}"),
                mend: "check the path given with --config.file, and who may read it".to_owned(),
            }],
        })?;
        Config::from_text(&text, path, &|name| std::env::var(name).ok())
    }

    /// Reads the text of a config. `file` is what messages call it; relative
    /// paths start at its folder. `environment` looks up the variables that
    /// secrets name.
    ///
    /// # Errors
    /// All that is wrong with it, in the order of the text.
    pub fn from_text(
        text: &str,
        file: &Path,
        environment: &Environment<'_>,
    ) -> Result<Config, ConfigProblems> {
        let refuse = |problems| ConfigProblems { file: file.to_owned(), problems };
        let (root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            // What the parser made of the rest would only mislead.
            let mut problems: Vec<_> = errors.iter().map(|error| syntax_problem(text, error)).collect();
            problems.sort_by_key(|problem| problem.place);
            return Err(refuse(problems));
        }
        let folder = file.parent().unwrap_or(Path::new(""));
        let mut reader = Reader::new(text, root.get_ref(), folder, environment);
        let config = Config::read(&mut reader);
        let written = reader.written();
        let (problems, _) = reader.finish();
        if problems.is_empty() { Ok(Config { written, ..config }) } else { Err(refuse(problems)) }
    }

    /// Every section and key with its documentation, default and range.
    pub fn reference() -> Reference {
        let nothing = DeTable::new();
        let mut reader = Reader::new("", &nothing, Path::new(""), &|_| None);
        Config::read(&mut reader);
        reader.finish().1
    }

    fn read(reader: &mut Reader<'_>) -> Config {
        let config = Config {
            server: Server::read(reader),
            store: Store::read(reader),
            prometheus: Prometheus::read(reader),
            resources: resources::read(reader),
            cycle: Cycle::read(reader),
            forecast: Forecast::read(reader),
            anomaly: Anomaly::read(reader),
            incidents: Incidents::read(reader),
            rightsizing: Rightsizing::read(reader),
            guardrails: guardrails::read(reader),
            approval: approval::read(reader),
            rollouts: rollouts::read(reader),
            sla: sla::read(reader),
            metering: metering::read(reader),
            costs: Costs::read(reader),
            history: History::read(reader),
            tenants: Tenants::read(reader),
            access: Access::read(reader),
            templates: Templates::read(reader),
            notify: Notify::read(reader),
            receivers: notify::read_receivers(reader),
            reports: Reports::read(reader),
            target: Target::read(reader),
            audit: Audit::read(reader),
            log: Log::read(reader),
            written: Written::default(),
        };
        checks::check(&config, reader);
        config
    }
}

fn syntax_problem(text: &str, error: &toml::de::Error) -> Problem {
    let place = error.span().map(|span| Place::of(text, span.start));
    if error.message().starts_with("duplicate key") {
        return Problem {
            place,
            key: error.span().and_then(|span| text.get(span)).map(str::to_owned),
            what: "is given twice".to_owned(),
            mend: "remove one of the two".to_owned(),
        };
    }
    let message: Vec<&str> = error.message().lines().collect();
    Problem {
        place,
        key: None,
        what: format!("is no TOML here: {}", message.join(", ")),
        mend: "mend the line; texts stand in quotes, sections in [brackets]".to_owned(),
    }
}

#[cfg(test)]
mod tests;
