//! What stands between a config and a daemon that works: each part is tried as
//! the daemon would use it, and what is found is said with the mend. Nothing is
//! changed and nobody is alerted.

mod around;
mod usage;

use serde::Serialize;

use super::prices::prices_of;
use super::{SystemClock, parts};
use crate::config::Config;
use crate::ports::Clock;

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// As it should.
    Good,
    /// It works, but not as well as it could.
    Doubtful,
    /// The daemon can't do its work like this.
    Bad,
}

/// What was found of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Which part.
    pub part: String,
    /// How it stands.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// What mends it, where something does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Checked {
    fn good(part: impl Into<String>, found: impl Into<String>) -> Self {
        Checked { part: part.into(), health: Health::Good, found: found.into(), mend: None }
    }

    fn doubtful(part: impl Into<String>, found: impl Into<String>, mend: impl Into<String>) -> Self {
        let (part, found, mend) = (part.into(), found.into(), Some(mend.into()));
        Checked { part, health: Health::Doubtful, found, mend }
    }

    fn bad(part: impl Into<String>, found: impl Into<String>, mend: Option<&str>) -> Self {
        let mend = mend.map(str::to_owned);
        Checked { part: part.into(), health: Health::Bad, found: found.into(), mend }
    }
}

/// Tries all parts that a config names.
pub async fn examine(config: &Config) -> Vec<Checked> {
    let is_running = around::is_running(config).await;
    let mut all = vec![around::server(config, is_running).await];
    all.extend(around::store(config, is_running).await);
    all.extend(usage::clock(config).await);
    all.extend(usage::together(usage::expressions(config).await));
    all.push(prices(config));
    all.extend(around::target(config).await);
    all.extend(around::receivers(config).await);
    all
}

/// How many there are of something, with its name.
fn counted(count: usize, name: &str) -> String {
    if count == 1 { format!("1 {name}") } else { format!("{count} {name}s") }
}

fn prices(config: &Config) -> Checked {
    let Some(costs) = &config.costs else {
        return Checked::doubtful("prices", "there are none", "add [costs] to see what quotas cost");
    };
    match prices_of(costs, SystemClock.now()) {
        Ok(prices) => Checked::good("prices", format!("{}, in {}", prices.purchase(), prices.currency())),
        Err(error) => Checked::bad("prices", format!("{error:#}"), None),
    }
}
