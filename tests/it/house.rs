//! Holds the house of ARCHITECTURE.md: imports run one way, and no room grows
//! out of its name.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The rooms from the cellar up. A room may only use rooms on floors below.
const FLOORS: [&[&str]; 10] = [
    &["domain", "telemetry"],
    &["security", "series"],
    &["forecast", "anomaly", "config", "ports"],
    &["registry", "rightsize", "cost", "simulate", "source", "store", "target", "notify"],
    &["report"],
    &["engine"],
    &["api", "web"],
    &["app"],
    &["cli"],
    &["main", "lib"],
];

/// These know ports, never an adapter.
const NEVER_NAME_AN_ADAPTER: [&str; 3] = ["engine", "api", "web"];
const ADAPTERS: [&str; 4] = ["source", "store", "target", "notify"];

/// The longest file, in lines.
const LONGEST_FILE: usize = 600;

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            sources(&entry, found);
        } else if entry.extension().is_some_and(|ending| ending == "rs") {
            found.push(entry);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 30, "only {} files were found", found.len());
    found
}

/// `src/engine/collect.rs` and `src/engine/mod.rs` are of the room `engine`.
fn room(path: &Path) -> String {
    let inside = path.strip_prefix(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).unwrap();
    inside.components().next().unwrap().as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

fn floor(room: &str) -> usize {
    FLOORS
        .iter()
        .position(|rooms| rooms.contains(&room))
        .unwrap_or_else(|| panic!("the room {room:?} is on no floor; add it to tests/it/house.rs"))
}

/// The rooms that a file names through `crate::`, tests left out.
fn used_rooms(path: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let mut used = BTreeSet::new();
    for line in lines {
        for part in line.split("crate::").skip(1).chain(line.split("plimsoll::").skip(1)) {
            if part.starts_with('{') {
                panic!("{}: import one room a line, not crate::{{…}}", path.display());
            }
            used.insert(part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect());
        }
    }
    used.remove("");
    used
}

/// A room's tests may use what they like.
fn holds_tests(path: &Path) -> bool {
    let inside = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
    inside.components().any(|part| matches!(part.as_os_str().to_str(), Some("tests" | "tests.rs")))
}

#[test]
fn imports_run_one_way() {
    let mut wrong = Vec::new();
    for path in all_sources().into_iter().filter(|path| !holds_tests(path)) {
        let here = room(&path);
        for used in used_rooms(&path).into_iter().filter(|used| *used != here) {
            let adapter = ADAPTERS.contains(&used.as_str()) && NEVER_NAME_AN_ADAPTER.contains(&here.as_str());
            if adapter || floor(&used) >= floor(&here) {
                wrong.push(format!("{}: {here} may not use {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_file_outgrows_its_name() {
    let long: Vec<String> = all_sources()
        .into_iter()
        .map(|path| (fs::read_to_string(&path).unwrap().lines().count(), path))
        .filter(|(lines, _)| *lines > LONGEST_FILE)
        .map(|(lines, path)| format!("{}: {lines} lines, at most {LONGEST_FILE}", path.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn every_module_opens_with_prose() {
    for path in all_sources() {
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("//!"), "{}: open the file with a paragraph of prose", path.display());
    }
}

/// The page finds a sentence's translation by the daemon's own words, so each
/// must be put together from texts of the sources.
#[test]
fn what_the_page_translates_is_what_the_daemon_says() {
    let sources = all_sources().into_iter().filter(|path| !path.ends_with("tests.rs"));
    let sources: String = sources.map(|path| one_line_texts(&fs::read_to_string(path).unwrap())).collect();
    let said: BTreeSet<&str> = sources.split(['"', '{', '}']).map(bare).collect();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/web/page/sentences.js");
    let page = fs::read_to_string(page).unwrap();
    let (english, _) = page.split_once("const german").unwrap();
    let entries = english.lines().filter_map(|line| line.split_once("\": \""));
    let sentences: Vec<&str> = entries.map(|(_, sentence)| sentence.trim_end_matches("\",")).collect();
    assert!(sentences.len() > 30, "only {} sentences were found", sentences.len());
    for sentence in sentences {
        let pieces = sentence.split('{').map(|piece| piece.split_once('}').map_or(piece, |(_, after)| after));
        for piece in pieces {
            let unsaid = unsaid(bare(piece), &said);
            assert_eq!(
                unsaid, "",
                "the daemon does not say this of {sentence:?} (src/web/page/sentences.js)"
            );
        }
    }
}

/// A part of a sentence without what joins it to the next.
fn bare(part: &str) -> &str {
    part.trim_matches([' ', '.', '%'])
}

/// Texts that go on over lines, as they are said.
fn one_line_texts(source: &str) -> String {
    let mut lines = source.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + line.trim_start())
}

/// What is left of a piece of a sentence once whole parts that are said, of whole
/// words, are taken off from its beginning. One of them may be a single word.
fn unsaid<'a>(piece: &'a str, said: &BTreeSet<&str>) -> &'a str {
    let (mut rest, mut single_words) = (piece, 0);
    while !rest.is_empty() {
        let is_end =
            |end: &usize| rest.get(*end..).is_some_and(|after| !after.starts_with(char::is_alphanumeric));
        let mut ends = (1..=rest.len()).rev().filter(is_end);
        let Some(end) = ends.find(|end| said.contains(bare(&rest[..*end]))) else { return rest };
        single_words += usize::from(!bare(&rest[..end]).contains(' '));
        if single_words > 1 {
            return rest;
        }
        rest = bare(&rest[end..]);
    }
    rest
}
