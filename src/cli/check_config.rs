//! `plimsoll check-config`: says whether a config can be used, and what it
//! means; or all that is wrong with it, one line a problem.

use std::io::Write;
use std::path::Path;

use anyhow::Context;

use crate::app::{self, SystemClock};
use crate::config::{Config, Credentials, StoreKind, show_duration};
use crate::domain::Resource;
use crate::ports::Clock;

/// Checks the config at `path`, with the price book that it names, and writes
/// the answer to `out`. Returns whether it is valid; where it is not, the
/// process should end with code 2.
///
/// # Errors
/// Where `out` can't be written to.
pub fn run(path: &Path, out: &mut impl Write) -> anyhow::Result<bool> {
    let answer = check(path).map(|summary| format!("{} is valid\n{summary}", path.display()));
    let (Ok(text) | Err(text)) = &answer;
    writeln!(out, "{text}").and_then(|()| out.flush()).context("failed to write the answer")?;
    Ok(answer.is_ok())
}

/// The summary of a valid config, or what is wrong.
fn check(path: &Path) -> Result<String, String> {
    let config = Config::load(path).map_err(|problems| problems.lines().join("\n"))?;
    let prices = check_prices(&config)?;
    Ok(summary(&config, &prices))
}

fn check_prices(config: &Config) -> Result<String, String> {
    let Some(costs) = &config.costs else {
        return Ok("none, so nothing has a cost".to_owned());
    };
    let prices = app::prices_of(costs, SystemClock.now()).map_err(|error| format!("{error:#}"))?;
    let book = match (&costs.file, &costs.provider) {
        (Some(file), _) => file.display().to_string(),
        (None, Some(provider)) => format!("those of {provider} for all tenants"),
        (None, None) => "those that come along".to_owned(),
    };
    Ok(format!("{book}, {}, in {}", prices.purchase(), prices.currency()))
}

fn summary(config: &Config, prices: &str) -> String {
    let Config { server, store, prometheus, .. } = config;
    let token = if server.token.is_some() { "token given" } else { "token made at the first start" };
    let state = match store.kind {
        StoreKind::Sled | StoreKind::Redb => store.state_path().display().to_string(),
        StoreKind::Memory => "in memory, lost at the end".to_owned(),
    };
    let credentials = match prometheus.credentials {
        Credentials::None => "no credentials",
        Credentials::Bearer(_) => "bearer token",
        Credentials::Basic { .. } => "user name and password",
    };
    let resources: Vec<&str> = config.resources.keys().map(|resource| resource.name()).collect();
    let unregistered = match config.tenants.discover {
        Some(tier) => format!("registered as {tier} in the mode observe"),
        None => "left out".to_owned(),
    };
    let rows = [
        ("listens at", format!("{}, {token}", server.listen_address)),
        ("state", state),
        (
            "history",
            format!("{}, kept {}", store.history_path().display(), show_duration(config.history.keep)),
        ),
        ("usage from", format!("{}, {credentials}", prometheus.url)),
        (
            "collects",
            format!(
                "every {} in steps of {}, at first {} back",
                show_duration(config.cycle.every),
                show_duration(prometheus.step.duration()),
                show_duration(prometheus.backfill)
            ),
        ),
        ("resources", format!("{} of {}: {}", resources.len(), Resource::ALL.len(), resources.join(", "))),
        ("unknown tenants", unregistered),
        ("prices", prices.to_owned()),
    ];
    rows.map(|(name, value)| format!("  {name:<16} {value}")).join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(path: &Path) -> (bool, String) {
        let mut out = Vec::new();
        let valid = run(path, &mut out).unwrap();
        (valid, String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_config_that_comes_along_is_valid_with_its_prices() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/plimsoll.toml");
        let (valid, text) = answer(&path);
        assert!(valid, "{text}");
        assert!(text.starts_with(&format!("{} is valid\n", path.display())), "{text}");
        assert!(text.contains("127.0.0.1:7117, token made at the first start"), "{text}");
        assert!(text.contains("10 of 10") && text.contains("in USD"), "{text}");
    }

    #[test]
    fn all_problems_are_printed_and_the_price_book_is_looked_into() {
        let bad = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/bad/many-at-once.toml");
        let (valid, text) = answer(&bad);
        assert!(!valid);
        assert_eq!(text.lines().count(), 13, "{text}");

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plimsoll.toml");
        let config = "[prometheus]\nurl = \"http://localhost:9090\"\n[resources.cpu_cores]\nexpression = \"up\"\n[costs]\nfile = \"prices.toml\"\n";
        std::fs::write(&path, config).unwrap();
        std::fs::write(folder.path().join("prices.toml"), "currency = \"dollars\"").unwrap();
        let (valid, text) = answer(&path);
        assert!(!valid);
        assert!(text.contains("prices.toml:1:12: failed to read \"dollars\" as a currency"), "{text}");
        assert!(text.contains("USD"), "{text}");
    }
}
