//! What a config that is read again changes, and what of it only a start can
//! take. Everything that is not named here is taken while the daemon runs.

use std::collections::BTreeMap;
use std::fmt;

use super::Config;

/// Keys and whole sections that are read at the start only.
const AT_START: [&str; 16] = [
    "server.listen_address",
    "server.allow_remote",
    "server.shutdown_time_limit",
    "server.max_connections",
    "server.head_time_out",
    "server.max_head",
    "server.max_headers",
    "server.stalled_time_out",
    "store",
    "prometheus.step",
    "history.window",
    "forecast.horizon",
    "forecast.time_zone",
    "forecast.threads",
    "audit",
    "log.format",
];

/// What is written for each key, the default where nothing is. It can hold
/// secrets, so it is never shown.
#[derive(Clone, Default)]
pub(super) struct Written(pub(super) BTreeMap<String, String>);

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Written")
    }
}

/// The keys that are written in another way than before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Those that a running daemon takes.
    pub taken: Vec<String>,
    /// Those that count from the next start on.
    pub at_start: Vec<String>,
}

impl Config {
    /// What another config would change in a daemon that runs with this one.
    pub fn changes_to(&self, wanted: &Config) -> Changes {
        let (before, after) = (&self.written.0, &wanted.written.0);
        let differ = |key: &&String| before.get(*key) != after.get(*key);
        let mut keys: Vec<String> = before.keys().chain(after.keys()).filter(differ).cloned().collect();
        keys.sort();
        keys.dedup();
        let (at_start, taken) = keys.into_iter().partition(|key| is_at_start(key));
        Changes { taken, at_start }
    }

    /// This config as far as a daemon can take it that runs with another one.
    #[must_use]
    pub fn while_running(mut self, running: &Config) -> Config {
        let held = running.clone();
        self.server.listen_address = held.server.listen_address;
        self.server.shutdown_time_limit = held.server.shutdown_time_limit;
        self.server.connections = held.server.connections;
        self.store = held.store;
        self.prometheus.step = held.prometheus.step;
        self.history.window = held.history.window;
        self.forecast.horizon = held.forecast.horizon;
        self.forecast.time_zone = held.forecast.time_zone;
        self.forecast.threads = held.forecast.threads;
        self.audit = held.audit;
        self.log.format = held.log.format;
        self.written.0.retain(|key, _| !is_at_start(key));
        self.written.0.extend(held.written.0.into_iter().filter(|(key, _)| is_at_start(key)));
        self
    }
}

fn is_at_start(key: &str) -> bool {
    AT_START
        .iter()
        .any(|known| key.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const LEAST: &str =
        "[prometheus]\nurl = \"http://localhost:9090/\"\n[resources.cpu_cores]\nexpression = \"up\"\n";

    fn config(more: &str) -> Config {
        Config::from_text(&format!("{LEAST}{more}"), Path::new("f"), &|_| None).unwrap()
    }

    #[test]
    fn what_is_read_at_the_start_only_is_named_and_kept() {
        let running = config("");
        let wanted = config(
            "[guardrails]\nlargest_step_up = 0.1\n[server]\nlisten_address = \"127.0.0.1:7118\"\nmax_connections = 20\n[store]\nkind = \
             \"memory\"\n",
        );
        let changes = running.changes_to(&wanted);
        assert_eq!(changes.taken, ["guardrails.largest_step_up"]);
        assert_eq!(changes.at_start, ["server.listen_address", "server.max_connections", "store.kind"]);
        let taken = wanted.clone().while_running(&running);
        assert_eq!(taken.server.listen_address, running.server.listen_address);
        assert_eq!(taken.server.connections.max_connections, running.server.connections.max_connections);
        assert_eq!(taken.guardrails.largest_step_up, 0.1);
        assert_eq!(
            taken.changes_to(&wanted).at_start,
            changes.at_start,
            "they are named until the next start"
        );
        assert_eq!(taken.changes_to(&wanted).taken, Vec::<String>::new());
    }

    #[test]
    fn a_default_that_is_written_down_changes_nothing() {
        let changes = config("").changes_to(&config("[cycle]\nevery = \"5m\"\n"));
        assert_eq!(changes, Changes::default());
    }

    #[test]
    fn each_key_that_is_read_at_the_start_is_one_of_the_config() {
        let reference = Config::reference();
        let mut known: Vec<String> = reference.keys.iter().map(super::super::KeyInfo::path).collect();
        known.extend(reference.sections.iter().map(|section| section.path.clone()));
        for key in AT_START {
            assert!(known.iter().any(|one| one == key), "{key}");
        }
    }
}
