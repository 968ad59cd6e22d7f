//! The examples of the README and the docs: every command that they show is one
//! that the program knows, and every piece of a config is taken.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{CommandFactory, Parser};
use plimsoll::cli::Cli;

/// Says what a shell makes of a line: each `plimsoll` with its words. What lines
/// before it have set or made stands here.
const WORDS: &str = r#"
PLIMSOLL_REPORT=week.parquet
cat() { echo plimsoll+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW; }
plimsoll() { { printf '%s\0' "$@"; printf '\n'; } >> "$SAID"; }
"#;

/// The README, the notebooks' one, and all of docs/, each with its text.
pub fn pages() -> Vec<(PathBuf, String)> {
    let house = Path::new(env!("CARGO_MANIFEST_DIR"));
    let docs = fs::read_dir(house.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|ending| ending == "md"));
    let mut all: Vec<PathBuf> =
        docs.chain([house.join("README.md"), house.join("notebooks/README.md")]).collect();
    all.sort();
    all.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The fenced blocks of a page, each with its language; "" where none is said.
pub fn blocks(page: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (line.trim_start().strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language.trim().to_owned(), String::new())),
            (Some(_), Some(_)) => found.extend(open.take()),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

/// The commands of a block, a line each: without prompts, and of a list ("list
/// what it does") without what it does.
pub fn commands(block: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in block.lines().map(str::trim) {
        let (text, more) = line.strip_suffix('\\').map_or((line, false), |begin| (begin.trim_end(), true));
        match lines.last_mut().filter(|_| goes_on) {
            Some(last) => last.push_str(&format!(" {text}")),
            None => lines.push(text.trim_start_matches("$ ").to_owned()),
        }
        goes_on = more;
    }
    let ours = lines.iter().filter(|line| line.starts_with("plimsoll "));
    ours.flat_map(|line| each(without_description(line))).collect()
}

/// A line up to three spaces that no option follows.
fn without_description(line: &str) -> &str {
    let gaps = line.match_indices("   ").map(|(at, _)| at);
    let mut ends = gaps.filter(|at| !line[*at..].trim_start().starts_with('-'));
    line[..ends.next().unwrap_or(line.len())].trim_end()
}

/// Where a line lists several commands, the first alone names the program.
fn each(line: &str) -> Vec<String> {
    if line.contains(['\'', '"']) {
        return vec![line.to_owned()];
    }
    let named =
        |one: &str| if one.starts_with("plimsoll ") { one.to_owned() } else { format!("plimsoll {one}") };
    line.split(", ").map(str::trim).map(named).collect()
}

/// What the program is given by a line of a shell.
fn words(line: &str) -> Vec<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("said");
    let mut shell = Command::new("bash");
    shell.current_dir(folder.path()).env("SAID", &said).args(["-c", &format!("{WORDS}\n{line}")]);
    shell.output().unwrap();
    let text = fs::read_to_string(&said).unwrap_or_else(|_| panic!("a shell finds no command in: {line}"));
    let calls = text.split('\n').filter(|call| !call.is_empty());
    calls.map(|call| call.split_terminator('\0').map(str::to_owned).collect()).collect()
}

#[test]
fn every_command_that_is_shown_is_known() {
    let mut count = 0;
    for (path, page) in pages() {
        for (_, block) in blocks(&page) {
            for line in commands(&block) {
                // A name that the reader fills in; an id is one of these.
                let id = "0193a5b0-0000-7000-8000-000000000000";
                let line = line.replace(" ID", &format!(" {id}")).replace("RECEIVER", "pager");
                for arguments in words(&line) {
                    let given = std::iter::once("plimsoll".to_owned()).chain(arguments);
                    let parsed = Cli::try_parse_from(given);
                    assert!(parsed.is_ok(), "{}: {line}\n{}", path.display(), parsed.err().unwrap());
                    count += 1;
                }
            }
        }
    }
    assert!(count > 40, "only {count} commands were found");
}

#[test]
fn every_command_that_is_named_is_there() {
    let mut count = 0;
    for (path, page) in pages() {
        for named in page.split('`').skip(1).step_by(2) {
            let Some(words) = named.strip_prefix("plimsoll ") else { continue };
            let mut command = Cli::command();
            for word in words.split_whitespace() {
                let Some(next) = command.find_subcommand(word).cloned() else {
                    let is_name =
                        word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-');
                    let takes_names = command.get_positionals().next().is_some();
                    assert!(!is_name || takes_names, "{}: `{named}`: there is no {word}", path.display());
                    break;
                };
                command = next;
            }
            count += 1;
        }
    }
    assert!(count > 40, "only {count} commands were found");
}

/// A config that is enough, in which a section of an example takes the place of
/// the one here.
fn whole(example: &str) -> String {
    let enough = "[store]\npath = \"data\"\n[prometheus]\nurl = \"http://127.0.0.1:9\"\n\
        [resources.cpu_cores]\nexpression = \"max by (tenant) (tenant_cpu_cores)\"\n[costs]\n";
    let mut table: toml::Table = enough.parse().unwrap();
    let shown: toml::Table = example.parse().unwrap_or_else(|error| panic!("{error}\n{example}"));
    table.extend(shown);
    // What a part of an example refers to, as the page says.
    for name in ["archive", "finops", "pager"] {
        let refers =
            example.contains(&format!("\"{name}\"")) && !example.contains(&format!("[receivers.{name}]"));
        if refers {
            let folder = toml::Table::from_iter([
                ("kind".to_owned(), "folder".into()),
                ("folder".to_owned(), name.into()),
            ]);
            let receivers = table.entry("receivers").or_insert_with(|| toml::Table::new().into());
            receivers.as_table_mut().unwrap().insert(name.to_owned(), folder.into());
        }
    }
    toml::to_string(&table).unwrap()
}

#[test]
fn every_piece_of_a_config_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("mail-server", "smtps://user:password@mail.example"),
        ("slack.url", "https://hooks.example/services/T/B/x"),
        ("pager.secret", "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"),
    ] {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut count = 0;
    for (path, page) in pages() {
        for (_, block) in blocks(&page).into_iter().filter(|(language, _)| language == "toml") {
            // A book of prices is a file of its own; tests/it/costs.rs has it taken.
            if block.contains("[[price]]") {
                continue;
            }
            let file = folder.path().join("plimsoll.toml");
            fs::write(&file, whole(&block)).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
            let output = command.args(["check-config", "--config.file"]).arg(&file).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}:\n{block}\n{said}", path.display());
            count += 1;
        }
    }
    assert!(count > 10, "only {count} pieces were found");
}

#[test]
fn every_target_of_make_is_there() {
    let makefile = include_str!("../../Makefile");
    for (path, page) in pages() {
        let shown = blocks(&page).into_iter().map(|(_, block)| block).collect::<String>();
        let shown = shown.lines().filter_map(|line| line.strip_prefix("make ")).map(str::trim);
        let named = page.split('`').skip(1).step_by(2).filter_map(|text| text.strip_prefix("make "));
        for target in shown.chain(named) {
            let has = makefile.lines().any(|line| line.starts_with(&format!("{target}:")));
            assert!(has, "{}: there is no make {target}", path.display());
        }
    }
}
