//! The documented file, the folder of bad configs, and how values and secrets
//! arrive.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::domain::{Purchase, Resource, Tier};

const LEAST: &str = "\
[prometheus]
url = \"http://localhost:9090/\"
[resources.cpu_cores]
expression = \"up\"
";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config")
}

fn read(text: &str) -> Result<Config, ConfigProblems> {
    Config::from_text(text, &folder().join("test.toml"), &|name| {
        (name == "SECRET").then(|| "from the environment".to_owned())
    })
}

/// The problems of a text, without the file's name.
fn problems(text: &str) -> Vec<String> {
    let found = read(text).expect_err("it should be refused");
    ConfigProblems { file: PathBuf::from("f"), ..found }.lines()
}

/// The leaves of a table by full path.
fn leaves(table: &toml::Table, path: &str, out: &mut Vec<(String, toml::Value)>) {
    for (key, value) in table {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            toml::Value::Table(inner) if full != "prometheus.headers" => leaves(inner, &full, out),
            value => out.push((full, value.clone())),
        }
    }
}

#[test]
fn the_documented_file_and_page_are_what_the_reader_describes() {
    let reference = Config::reference();
    let page = folder().join("../docs/configuration.md");
    for (path, described) in
        [(folder().join("plimsoll.toml"), reference.to_toml()), (page, reference.to_markdown())]
    {
        if std::env::var_os("PLIMSOLL_BLESS").is_some() {
            fs::write(&path, &described).unwrap();
        }
        let stands = fs::read_to_string(&path).unwrap();
        assert!(stands == described, "run the test again with PLIMSOLL_BLESS=1 to write {}", path.display());
    }
}

#[test]
fn the_documented_file_has_every_key_with_its_default_and_no_other() {
    let text = fs::read_to_string(folder().join("plimsoll.toml")).unwrap();
    let uncommented: String = text
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => {
                format!("{rest}\n")
            }
            _ => format!("{line}\n"),
        })
        .collect();
    let (mut active, mut all) = (Vec::new(), Vec::new());
    leaves(&text.parse().unwrap(), "", &mut active);
    leaves(&uncommented.parse().unwrap(), "", &mut all);
    let reference = Config::reference();
    let known: BTreeSet<String> = reference.keys.iter().map(KeyInfo::path).collect();
    let written: BTreeSet<String> = all.iter().map(|(path, _)| path.clone()).collect();
    let differs: Vec<_> = known.symmetric_difference(&written).collect();
    assert!(differs.is_empty(), "only in one of both: {differs:?}");
    for key in &reference.keys {
        let found = active.iter().find(|(path, _)| *path == key.path()).map(|(_, value)| value);
        let line = format!("value = {}", key.default.as_deref().unwrap_or("false"));
        let default = &line.parse::<toml::Table>().unwrap()["value"];
        let by_choice = reference.sections.iter().any(|one| one.path == key.section && one.is_example);
        match key.default.as_ref().filter(|_| !by_choice) {
            Some(_) => assert_eq!(found, Some(default), "{}", key.path()),
            None => assert_eq!(found.is_some(), key.required, "{}", key.path()),
        }
    }
}

#[test]
fn the_documented_file_means_the_same_as_the_least_config() {
    let mut documented = Config::load(&folder().join("plimsoll.toml")).unwrap();
    let mut least = read(LEAST).unwrap();
    assert_eq!(documented.resources.len(), 10);
    assert_eq!(documented.resources[&Resource::MemoryGb], "max by (tenant) (tenant_memory_gb)");
    assert_eq!(documented.prometheus.url, "http://127.0.0.1:9090");
    assert!(documented.costs.take().unwrap().file.is_none());
    assert!(least.costs.is_none());
    documented.resources = least.resources.clone();
    documented.prometheus.url = "http://localhost:9090".to_owned();
    least.costs = None;
    assert_eq!(format!("{documented:?}"), format!("{least:?}"));
}

#[test]
fn each_bad_config_gives_its_message() {
    let mut seen = 0;
    for entry in fs::read_dir(folder().join("bad")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let found = Config::from_text(&text, &path, &|_| None);
        let found = found.expect_err(&format!("{} should be refused", path.display()));
        let file = PathBuf::from(path.file_name().unwrap());
        let lines = ConfigProblems { file, ..found }.lines().join("\n") + "\n";
        let message = path.with_extension("txt");
        if std::env::var_os("PLIMSOLL_BLESS").is_some() {
            fs::write(&message, &lines).unwrap();
        }
        assert_eq!(lines, fs::read_to_string(&message).unwrap(), "{}", path.display());
        seen += 1;
    }
    assert!(seen >= 25, "only {seen} bad configs");
}

#[test]
fn values_arrive() {
    let config = read(&format!(
        "{LEAST}
        [server]
        listen_address = \"[::1]:1\"
        max_body = \"2MiB\"
        [tenants]
        discover = \"STANDARD\"
        [guardrails]
        largest_step_up = 2
        [cycle]
        every = \"1m 30s\"
        [store]
        kind = \"memory\"
        path = \"/var/lib/plimsoll\"
        [costs]
        book = \"aws\"
        region = \"eu-central-1\"
        purchase = \"committed_1y\"
        currency = \"EUR\"
        rates = [\"1 EUR = 1.0843 USD on 2026-11-20\"]
        budgets = [\"fleet 10000EUR/month\", \"tenant acme 500EUR/month\"]"
    ))
    .unwrap();
    assert_eq!(config.server.listen_address, "[::1]:1".parse().unwrap());
    assert_eq!(config.server.max_body, 2 << 20);
    assert_eq!(config.tenants.discover, Some(Tier::Standard));
    assert_eq!(config.guardrails.largest_step_up, 2.0);
    assert_eq!(config.cycle.every, Duration::from_secs(90));
    assert_eq!(config.store.kind, StoreKind::Memory);
    assert_eq!(config.store.state_path(), Path::new("/var/lib/plimsoll/state"));
    let costs = config.costs.unwrap();
    assert_eq!((costs.provider.as_deref(), costs.region.as_deref()), (Some("aws"), Some("eu-central-1")));
    assert_eq!((costs.purchase, costs.budgets.iter().count()), (Purchase::Committed1y, 2));
}

#[test]
fn secrets_come_from_three_places_and_are_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "a secret in a file\n").unwrap();
    let text = LEAST.replace(
        "[resources",
        "username = \"me\"
        password = \"${SECRET}\"
        headers = { X-Scope-OrgID = \"id-${SECRET}\" }
        [server]
        token_file = \"token\"
        [resources",
    );
    let file = folder.path().join("plimsoll.toml");
    let environment = |name: &str| (name == "SECRET").then(|| "from the environment".to_owned());
    let config = Config::from_text(&text, &file, &environment).unwrap();
    assert_eq!(config.server.token.as_ref().unwrap().expose_secret(), "a secret in a file");
    let Credentials::Basic { username, password } = &config.prometheus.credentials else {
        panic!("no user name and password: {:?}", config.prometheus.credentials)
    };
    assert_eq!((username.as_str(), password.expose_secret()), ("me", "from the environment"));
    let (name, value) = &config.prometheus.headers[0];
    assert_eq!((name.as_str(), value.expose_secret()), ("X-Scope-OrgID", "id-from the environment"));
    let shown = format!("{config:?}");
    assert!(!shown.contains("in a file") && !shown.contains("environment"), "{shown}");
}

#[test]
fn no_message_shows_a_secret() {
    let secret = "hunter2hunter2\\u0007";
    let shown = problems(&format!(
        "{LEAST}
        [server]
        token = \"{secret}\""
    ));
    assert_eq!(shown.len(), 1);
    assert!(!shown[0].contains("hunter2"), "{shown:?}");
    let url = LEAST.replace("http://", "http://me:hunter2@");
    assert!(!problems(&url)[0].contains("hunter2"));
}

#[test]
fn a_file_that_is_not_there_is_said_so() {
    let found = Config::load(Path::new("no/such.toml")).unwrap_err();
    let message = found.to_string();
    assert!(
        message
            .starts_with("accept the config no/such.toml, 1 problem to mend:\nno/such.toml: can't be read")
    );
}

proptest::proptest! {
    /// Whatever the text, the reader ends with a config or with problems.
    #[test]
    fn any_text_is_answered(text in "[\\[\\]a-z_.=\"${}0-9 \n-]{0,200}") {
        if let Err(found) = read(&text) {
            assert!(!found.problems.is_empty());
        }
    }
}
