//! Reads a TOML text key by key, and goes on after a problem: at the end all
//! of them are known, and so is every key that was asked for.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem};
use super::reference::{KeyInfo, Reference, SectionInfo};
use super::reload::Written;

/// Looks up an environment variable.
pub type Environment<'e> = dyn Fn(&str) -> Option<String> + 'e;

/// What is wrong with a value, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) what: String,
    pub(super) mend: String,
}

impl Complaint {
    pub(super) fn new(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Complaint { what: what.into(), mend: mend.into() }
    }
}

/// The text, what is wrong with it, and what was asked of it.
pub(super) struct Reader<'i> {
    text: &'i str,
    root: &'i DeTable<'i>,
    folder: &'i Path,
    environment: &'i Environment<'i>,
    problems: Vec<Problem>,
    reference: Reference,
    /// Where the keys and sections that are given stand, by full path.
    given: HashMap<String, usize>,
    /// What is written for each key that is given.
    texts: BTreeMap<String, String>,
}

impl<'i> Reader<'i> {
    pub(super) fn new(
        text: &'i str,
        root: &'i DeTable<'i>,
        folder: &'i Path,
        environment: &'i Environment<'i>,
    ) -> Self {
        Reader {
            text,
            root,
            folder,
            environment,
            problems: Vec::new(),
            reference: Reference::default(),
            given: HashMap::new(),
            texts: BTreeMap::new(),
        }
    }

    /// A section of the top, given or not.
    pub(super) fn section(&mut self, name: &'static str, about: &'static str) -> Section<'_, 'i> {
        self.open(Some(self.root), "", name, about)
    }

    /// The names of the sections below `[parent]`, in the order of the file.
    /// Where there are none, one called `example` is only described.
    pub(super) fn names_of_sections(
        &mut self,
        parent: &'static str,
        about: &'static str,
        example: &str,
    ) -> Vec<String> {
        self.open(Some(self.root), "", parent, about);
        let table = self.root.get(parent).and_then(|value| value.get_ref().as_table());
        let mut named: Vec<(usize, String)> = table
            .into_iter()
            .flatten()
            .map(|(key, _)| (key.span().start, key.get_ref().to_string()))
            .collect();
        named.sort();
        if named.is_empty() {
            return vec![example.to_owned()];
        }
        named.into_iter().map(|(_, name)| name).collect()
    }

    /// A section below `[parent]` whose name somebody chose.
    pub(super) fn named_section(
        &mut self,
        parent: &'static str,
        name: &str,
        about: &'static str,
    ) -> Section<'_, 'i> {
        let table = self.root.get(parent).and_then(|value| value.get_ref().as_table());
        let mut section = self.open(table, parent, name, about);
        if let Some(info) = section.reader.reference.sections.last_mut() {
            info.is_example = true;
        }
        section.may_be_absent = true;
        section
    }

    fn open(
        &mut self,
        parent: Option<&'i DeTable<'i>>,
        parent_path: &str,
        name: &str,
        about: &'static str,
    ) -> Section<'_, 'i> {
        let path = join(parent_path, name);
        self.reference.sections.push(SectionInfo { path: path.clone(), about, is_example: false });
        let found = parent.and_then(|table| table.get(name));
        let table = found.and_then(|value| value.get_ref().as_table());
        if let Some(value) = found {
            self.given.insert(path.clone(), value.span().start);
            if table.is_none() {
                let complaint = Complaint::new(
                    format!("is {}, not a section", kind_of(value.get_ref())),
                    format!("write [{path}] on a line of its own and its keys below it"),
                );
                self.complain(&path, value.span(), complaint);
            }
        }
        Section { reader: self, path, table, may_be_absent: false }
    }

    fn complain(&mut self, key: &str, span: Range<usize>, complaint: Complaint) {
        self.problems.push(Problem {
            place: Some(Place::of(self.text, span.start)),
            key: Some(key.to_owned()),
            what: complaint.what,
            mend: complaint.mend,
        });
    }

    /// Whether a key or section stands in the file.
    pub(super) fn has(&self, path: &str) -> bool {
        self.given.contains_key(path)
    }

    /// Reports what is wrong between keys: about the first of `keys`, at the
    /// first of them that is given.
    pub(super) fn conflict(&mut self, keys: &[&str], what: impl Into<String>, mend: impl Into<String>) {
        let place = keys.iter().find_map(|key| self.given.get(*key)).copied().unwrap_or(0);
        let key = keys.first().copied().unwrap_or_default();
        self.complain(key, place..place, Complaint::new(what, mend));
    }

    /// What is written for each key that was asked for, or else its default.
    pub(super) fn written(&self) -> Written {
        let is_there = |path: &String| {
            let sections = &self.reference.sections;
            self.has(path) || sections.iter().any(|one| one.path == *path && !one.is_example)
        };
        let keys = self.reference.keys.iter().filter(|key| is_there(&key.section));
        let mut all: BTreeMap<String, String> =
            keys.filter_map(|key| Some((key.path(), key.default.clone()?))).collect();
        all.extend(self.texts.clone());
        Written(all)
    }

    /// Reports every key that nobody asked for, and hands back all problems,
    /// in the order of the file, with what was asked for.
    pub(super) fn finish(mut self) -> (Vec<Problem>, Reference) {
        self.report_unknown(self.root, "");
        self.problems.sort_by_key(|problem| problem.place);
        (self.problems, self.reference)
    }

    fn report_unknown(&mut self, table: &'i DeTable<'i>, path: &str) {
        for (key, value) in table {
            let name: &str = key.get_ref();
            let full = join(path, name);
            let is_section = self.reference.sections.iter().any(|section| section.path == full);
            if !is_section && !self.reference.names_in(path).contains(&name) {
                let complaint = Complaint::new(self.unknown(path, value.get_ref()), self.suggest(path, name));
                self.complain(&full, key.span(), complaint);
            } else if let Some(inner) = value.get_ref().as_table().filter(|_| is_section) {
                self.report_unknown(inner, &full);
            }
        }
    }

    fn unknown(&self, path: &str, value: &DeValue<'_>) -> String {
        match (path, value.as_table()) {
            ("", Some(_)) => "is no known section".to_owned(),
            ("", None) => "is no known key outside of the sections".to_owned(),
            ("resources", _) => "is no known resource".to_owned(),
            _ => format!("is no known key of [{path}]"),
        }
    }

    fn suggest(&self, path: &str, name: &str) -> String {
        let known = self.reference.names_in(path);
        let all = known.join(", ");
        let close = closest(name, &known);
        if path.is_empty() && name == "prices" {
            return "it is [costs] now; write its file = ... there, or leave that out for the prices that come \
                    along"
                .to_owned();
        }
        if path == "resources" {
            return match close {
                Some(close) => format!("did you mean {close}? The ten are {all}"),
                None => format!("the ten are {all}"),
            };
        }
        if let Some(close) = close {
            return format!("did you mean {close}?");
        }
        match self.reference.keys.iter().find(|key| key.name == name) {
            Some(elsewhere) => format!("it belongs in [{}]", elsewhere.section),
            None => format!("the known ones are {all}"),
        }
    }
}

/// A part of the config whose keys are taken one by one. What each method
/// takes is declared in the same call: its name, what it is about, its
/// default and its range.
pub(super) struct Section<'r, 'i> {
    reader: &'r mut Reader<'i>,
    path: String,
    table: Option<&'i DeTable<'i>>,
    may_be_absent: bool,
}

impl<'i> Section<'_, 'i> {
    /// The section, with its required keys only required where it stands in
    /// the file.
    pub(super) fn optional(self) -> Self {
        Section { may_be_absent: true, ..self }
    }

    /// Whether a key of the section stands in the file, right or wrong.
    pub(super) fn has(&self, name: &str) -> bool {
        self.raw(name).is_some()
    }

    /// Whether the section stands in the file.
    pub(super) fn is_given(&self) -> bool {
        self.reader.given.contains_key(&self.path)
    }

    /// A section inside this one.
    pub(super) fn section(&mut self, name: &'static str, about: &'static str) -> Section<'_, 'i> {
        self.reader.open(self.table, &self.path, name, about)
    }

    /// A key that the caller describes; `read` makes the value of it. `None`
    /// where the key is left out or `read` complains.
    pub(super) fn take<T>(
        &mut self,
        key: Key,
        read: impl FnOnce(&'i DeValue<'i>) -> Result<T, Complaint>,
    ) -> Option<T> {
        let info = KeyInfo {
            section: self.path.clone(),
            name: key.name,
            about: key.about,
            takes: key.takes,
            default: key.default,
            example: key.example,
            required: key.required,
        };
        let (path, required) = (info.path(), info.required);
        self.reader.reference.keys.push(info);
        let Some(value) = self.raw(key.name) else {
            if required && (self.is_given() || !self.may_be_absent) {
                self.report_missing(&path);
            }
            return None;
        };
        self.reader.given.insert(path.clone(), value.span().start);
        let text = self.reader.text.get(value.span()).unwrap_or_default();
        self.reader.texts.insert(path.clone(), text.to_owned());
        match read(value.get_ref()) {
            Ok(value) => Some(value),
            Err(complaint) => {
                self.reader.complain(&path, value.span(), complaint);
                None
            }
        }
    }

    fn raw(&self, name: &str) -> Option<&'i Spanned<DeValue<'i>>> {
        self.table.and_then(|table| table.get(name))
    }

    /// Reports a problem with what is written inside the value of `name`.
    pub(super) fn complain_within(&mut self, name: &str, span: Range<usize>, complaint: Complaint) {
        let path = join(&self.path, name);
        self.reader.complain(&path, span, complaint);
    }

    fn report_missing(&mut self, path: &str) {
        let place = self.reader.given.get(&self.path).copied().unwrap_or(0);
        let example = self.reader.reference.keys.last().and_then(|key| key.example.clone());
        let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
        let example = example.unwrap_or_else(|| "...".to_owned());
        let complaint =
            Complaint::new("is missing", format!("add {name} = {example} to the section [{section}]"));
        self.reader.complain(path, place..place, complaint);
    }

    /// Reports that two keys of this section can't go together.
    pub(super) fn conflict(&mut self, keys: &[&str], what: impl Into<String>, mend: impl Into<String>) {
        let paths: Vec<String> = keys.iter().map(|key| join(&self.path, key)).collect();
        let mut paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let section = self.path.clone();
        paths.push(&section);
        self.reader.conflict(&paths, what, mend);
    }

    /// A path as it is meant: one that is relative starts at the config's
    /// folder.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.reader.folder.join(path)
    }

    /// The environment.
    pub(super) fn environment(&self) -> &'i Environment<'i> {
        self.reader.environment
    }
}

/// What is known of a key before it is taken.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// What is written there and within which limits.
    pub(super) takes: String,
    pub(super) default: Option<String>,
    pub(super) example: Option<String>,
    pub(super) required: bool,
}

impl Key {
    pub(super) fn new(name: &'static str, about: &'static str, takes: impl Into<String>) -> Self {
        Key { name, about, takes: takes.into(), default: None, example: None, required: false }
    }

    /// With a default, in TOML.
    pub(super) fn default(self, toml: impl Into<String>) -> Self {
        Key { default: Some(toml.into()), ..self }
    }

    /// With what one could write, in TOML.
    pub(super) fn example(self, toml: impl Into<String>) -> Self {
        Key { example: Some(toml.into()), ..self }
    }

    /// A key that must be given.
    pub(super) fn required(self) -> Self {
        Key { required: true, ..self }
    }
}

/// What a value is, in words, without the value itself: it may be a secret.
pub(super) fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// The name that was most likely meant, if one is near: the same but for a
/// few letters, or longer at its end.
pub(super) fn closest<'n>(name: &str, known: &[&'n str]) -> Option<&'n str> {
    let distances = known.iter().map(|known| (strsim::damerau_levenshtein(name, known), *known));
    let (distance, nearest) = distances.min_by_key(|(distance, _)| *distance)?;
    if distance <= (nearest.len() / 3).max(1) {
        return Some(nearest);
    }
    let begins = |known: &&&str| name.len() >= 3 && known.starts_with(name);
    known.iter().find(begins).copied()
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
