//! What the reader knows about each key: the one source of the documented
//! config file, and of any other page about it.

use std::fmt::Write;

/// A section of the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SectionInfo {
    /// Its path, such as "prometheus" or "resources.cpu_cores".
    pub path: String,
    /// What it is about.
    pub about: &'static str,
    /// Whether it stands for sections whose names somebody chooses; there is
    /// none by default.
    pub is_example: bool,
}

/// A key of the config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The path of its section.
    pub section: String,
    /// Its name in the section.
    pub name: &'static str,
    /// What it is, and why one would change it.
    pub about: &'static str,
    /// What is written there and within which limits, such as "a duration
    /// from 1s to 10m".
    pub takes: String,
    /// The value it has when left out, in TOML; `None` for none.
    pub default: Option<String>,
    /// What one could write, in TOML, where there is no default.
    pub example: Option<String>,
    /// Whether it must be given.
    pub required: bool,
}

impl KeyInfo {
    /// The full path, such as "prometheus.url".
    pub fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
}

/// All sections and keys, in the order in which they are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reference {
    /// The sections.
    pub sections: Vec<SectionInfo>,
    /// Their keys.
    pub keys: Vec<KeyInfo>,
}

const WIDTH: usize = 88;

const HEAD: &str = "\
Plimsoll's config. Every key stands here with its default; a line that begins with `#` \
and no space is a key that has no default, to be made one by removing the `#`. What is \
left out has its default, but prometheus.url and at least one expression under \
[resources] are needed.

Durations are texts such as \"30s\", \"5m\", \"6h\" and \"28d\", sizes such as \"1MiB\". \
Paths start at the folder of this file. Where a secret is asked for it can be written \
here, read from the file that the key ending in `_file` names, or taken from the \
environment as \"${NAME}\".

`plimsoll check-config --config.file FILE` says all that is wrong with a config at once.";

const PAGE_HEAD: &str = "\
# The config

Every section and key of the config file, with its default and its limits. This page and
[`config/plimsoll.toml`](../config/plimsoll.toml) are made from what the reader of the config itself knows
(`src/config`), and a test holds them to it. What is left out has its default, but `prometheus.url` and at least one
expression under `[resources]` are needed.

Durations are texts such as `\"30s\"`, `\"5m\"`, `\"6h\"` and `\"28d\"`, sizes such as `\"1MiB\"`. Paths start at the folder
of the config file. A secret can be written there, read from the file that the key ending in `_file` names, or taken from
the environment as `\"${NAME}\"`. `plimsoll check-config --config.file FILE` says all that is wrong with a config at once,
each with its line and what to write; `plimsoll doctor --config.file FILE` tries what it names.
";

impl Reference {
    /// The documented config file, every key with its default.
    pub fn to_toml(&self) -> String {
        let mut out = String::new();
        comment(&mut out, HEAD);
        for section in &self.sections {
            out.push('\n');
            comment(&mut out, section.about);
            let keys: Vec<&KeyInfo> = self.keys.iter().filter(|key| key.section == section.path).collect();
            if !keys.is_empty() {
                let mark = if section.is_example { "#" } else { "" };
                let _ = writeln!(out, "{mark}[{}]", section.path);
            }
            for (index, key) in keys.into_iter().enumerate() {
                if index > 0 {
                    out.push('\n');
                }
                describe(&mut out, key, section.is_example);
            }
        }
        out
    }

    /// The page of docs/ about the config: a table a section.
    pub fn to_markdown(&self) -> String {
        let mut out = String::from(PAGE_HEAD);
        for section in &self.sections {
            let _ = writeln!(out, "\n## [{}]\n", section.path);
            page_prose(&mut out, section.about);
            let mut keys = self.keys.iter().filter(|key| key.section == section.path).peekable();
            if keys.peek().is_some() {
                out.push_str("\n| key | default | takes | |\n|---|---|---|---|\n");
            }
            for key in keys {
                describe_on_page(&mut out, key);
            }
        }
        out
    }

    /// The names of the keys and sections right below `section`; "" is the
    /// top.
    pub(super) fn names_in(&self, section: &str) -> Vec<&str> {
        let below = |path: &'_ str| -> Option<usize> {
            let name =
                if section.is_empty() { path } else { path.strip_prefix(section)?.strip_prefix('.')? };
            (!name.is_empty() && !name.contains('.')).then_some(path.len() - name.len())
        };
        let sections = self.sections.iter().filter_map(|s| below(&s.path).map(|start| &s.path[start..]));
        let keys = self.keys.iter().filter(|key| key.section == section).map(|key| key.name);
        sections.chain(keys).collect()
    }
}

fn describe(out: &mut String, key: &KeyInfo, is_example: bool) {
    comment(out, key.about);
    let required = if key.required { "; required" } else { "" };
    comment(out, &format!("({}{required})", key.takes));
    let (mark, value) = match (&key.default, &key.example) {
        (Some(default), _) => (if is_example { "#" } else { "" }, default.as_str()),
        (None, Some(example)) if key.required => ("", example.as_str()),
        (None, example) => ("#", example.as_deref().unwrap_or("\"\"")),
    };
    let _ = writeln!(out, "{mark}{} = {value}", key.name);
}

fn describe_on_page(out: &mut String, key: &KeyInfo) {
    let default = match (&key.default, &key.example) {
        (Some(default), _) => code(default),
        (None, _) if key.required => "required".to_owned(),
        (None, Some(example)) => format!("none; e.g. {}", code(example)),
        (None, None) => "none".to_owned(),
    };
    let about = cell(key.about);
    let _ = writeln!(out, "| `{}` | {default} | {} | {about} |", key.name, cell(&key.takes));
}

fn code(value: &str) -> String {
    format!("`{}`", value.replace('|', "\\|"))
}

/// Prose as one line that no table breaks at.
fn cell(prose: &str) -> String {
    prose.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|").replace('<', "&lt;")
}

/// Writes prose as paragraphs; lines that begin with a space are code.
fn page_prose(out: &mut String, prose: &str) {
    let mut in_code = false;
    for line in prose.lines() {
        if line.starts_with(' ') != in_code {
            in_code = !in_code;
            out.push_str("```\n");
        }
        let _ = writeln!(out, "{}", if in_code { line.trim_start() } else { line });
    }
    if in_code {
        out.push_str("```\n");
    }
}

/// Writes prose as comment lines. A blank line parts paragraphs; a line that
/// begins with a space stays as it is.
fn comment(out: &mut String, prose: &str) {
    for line in prose.lines() {
        if line.is_empty() {
            out.push_str("#\n");
        } else if line.starts_with(' ') {
            let _ = writeln!(out, "# {line}");
        } else {
            wrap(out, line);
        }
    }
}

fn wrap(out: &mut String, paragraph: &str) {
    let mut line = String::from("#");
    for word in paragraph.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH && line.len() > 1 {
            let _ = writeln!(out, "{line}");
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    let _ = writeln!(out, "{line}");
}
