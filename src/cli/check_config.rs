//! `plimsoll check-config`: says whether a config can be used, and what it
//! means; or all that is wrong with it, one line a problem.

use std::io::Write;
use std::path::Path;

use anyhow::Context;

use crate::config::{Config, Credentials, StoreKind, show_duration};
use crate::cost::PriceBook;
use crate::domain::Resource;

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
    let Some(prices) = &config.prices else {
        return Ok("none, so nothing has a cost".to_owned());
    };
    let file = prices.file.display();
    let text =
        std::fs::read_to_string(&prices.file).map_err(|error| format!("{file}: can't be read: {error}"))?;
    let book = PriceBook::from_toml(&text).map_err(|error| format!("{file}: failed to {error}"))?;
    Ok(format!("{file}, in {}", book.currency()))
}

fn summary(config: &Config, prices: &str) -> String {
    let Config { server, store, prometheus, .. } = config;
    let token = if server.token.is_some() { "token given" } else { "token made at the first start" };
    let state = match store.kind {
        StoreKind::Sled => store.state_path().display().to_string(),
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
        let config = "[prometheus]\nurl = \"http://localhost:9090\"\n[resources.cpu_cores]\nexpression = \"up\"\n[prices]\n";
        std::fs::write(&path, config).unwrap();
        std::fs::write(folder.path().join("prices.toml"), "currency = \"dollars\"").unwrap();
        let (valid, text) = answer(&path);
        assert!(!valid);
        assert!(text.contains("prices.toml: failed to read the price book"), "{text}");
        assert!(text.contains("USD"), "{text}");
    }

    #[test]
    fn the_price_book_that_comes_along_has_all_that_it_promises() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/prices.toml");
        let book = PriceBook::from_toml(&std::fs::read_to_string(path).unwrap()).unwrap();
        let price = |provider: &str, resource| {
            book.price(provider, "any", resource).map(|price| price.amount.to_string())
        };
        assert_eq!(price("aws", Resource::CpuCores).unwrap(), "0.031611");
        assert_eq!(price("aws", Resource::MemoryGb).unwrap(), "0.004237");
        assert_eq!(price("azure", Resource::CpuCores).unwrap(), "0.039");
        assert_eq!(price("azure", Resource::MemoryGb).unwrap(), "0.001917");
        let gcp = |resource| price("gcp", resource).unwrap().parse::<f64>().unwrap();
        let machine = 4.0 * gcp(Resource::CpuCores) + 16.0 * gcp(Resource::MemoryGb);
        assert!((machine - 0.13402).abs() < 1e-6, "{machine}");
        for resource in Resource::ALL {
            assert!(price("on-premises", resource).is_ok(), "{resource}");
        }
        assert!(price("aws", Resource::DatabaseConnections).is_err());
    }
}
