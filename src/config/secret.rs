//! Secrets: written in the config, in a file, or in the environment. No
//! message about one ever shows it.

use std::path::Path;

use secrecy::SecretString;
use toml::de::DeValue;

use super::reader::{Complaint, Environment, Key, Section};
use super::values::{plain_text, text_of};

/// A secret or a bundle of certificates is smaller; a larger file is another one.
const LONGEST: usize = 1024 * 1024;

/// The two keys of a secret.
pub(super) struct SecretKeys {
    /// The key that holds it.
    pub(super) name: &'static str,
    /// The key that names a file that holds it.
    pub(super) file_name: &'static str,
    /// What it is about.
    pub(super) about: &'static str,
    /// The least number of characters.
    pub(super) least: usize,
}

impl Section<'_, '_> {
    /// A secret, given by one of two keys or not at all.
    pub(super) fn secret(&mut self, keys: &SecretKeys) -> Option<SecretString> {
        let environment = self.environment();
        let key = Key::new(keys.name, keys.about, "a secret").example("\"${NAME_OF_A_VARIABLE}\"");
        let inline = self.take(key, |value| {
            let text = expand(text_of(value, "a text", "\"${NAME_OF_A_VARIABLE}\"")?, environment)?;
            checked(text, keys.least)
        });
        let about = "The same, read from a file; a line break at its end is left out.";
        let key = Key::new(keys.file_name, about, "a path").example(format!("\"{}\"", keys.name));
        let folder = self.resolve("");
        let from_file = self.take(key, |value| {
            let text = read_file(&folder, value)?;
            checked(text.trim_end_matches(['\r', '\n']).to_owned(), keys.least)
        });
        if self.has(keys.name) && self.has(keys.file_name) {
            let what = format!("is given as well as {}", keys.name);
            self.conflict(&[keys.file_name], what, "remove one of the two");
        }
        inline.or(from_file)
    }

    /// The text of a file that may be named.
    pub(super) fn readable_file(&mut self, key: Key) -> Option<String> {
        let folder = self.resolve("");
        self.take(key, |value| read_file(&folder, value))
    }

    /// A table of names and secrets.
    pub(super) fn secret_table(
        &mut self,
        key: Key,
        check: impl Fn(&str, &str) -> Result<(), Complaint>,
    ) -> Vec<(String, SecretString)> {
        let environment = self.environment();
        let name = key.name;
        let table = self.take(key, |value| {
            value.as_table().ok_or_else(|| {
                Complaint::new("is not a table", "write it like { \"X-Scope-OrgID\" = \"my-platform\" }")
            })
        });
        let mut entries = Vec::new();
        for (entry, value) in table.into_iter().flatten() {
            let read = text_of(value.get_ref(), "a text", "\"my-platform\"")
                .and_then(|text| expand(text, environment))
                .and_then(|text| check(entry.get_ref(), &text).map(|()| text));
            match read {
                Ok(text) => entries.push((entry.get_ref().to_string(), SecretString::from(text))),
                Err(complaint) => {
                    let path = format!("{name}.{}", entry.get_ref());
                    self.complain_within(&path, entry.span(), complaint);
                }
            }
        }
        entries
    }
}

fn checked(text: String, least: usize) -> Result<SecretString, Complaint> {
    match text.chars().count() {
        0 => Err(Complaint::new("is empty", "write the secret, or leave the key out")),
        length if length < least => Err(Complaint::new(
            format!("has {length} characters, too few for a secret"),
            format!("use at least {least}, for example from `openssl rand -hex 32`"),
        )),
        _ if text.chars().any(|c| c.is_control()) => Err(Complaint::new(
            "holds a line break or another control character",
            "write the secret on one line, with nothing else beside it",
        )),
        _ => Ok(SecretString::from(text)),
    }
}

fn read_file(folder: &Path, value: &DeValue<'_>) -> Result<String, Complaint> {
    let name = plain_text(value, "\"secret\"")?;
    let path = folder.join(&name);
    let bytes = std::fs::read(&path).map_err(|error| {
        Complaint::new(
            format!("{name:?} can't be read: {error}"),
            "check the path, which starts at the folder of this config, and who may read it",
        )
    })?;
    if bytes.len() > LONGEST {
        let what = format!("{name:?} has {} bytes, more than the {LONGEST} expected here", bytes.len());
        return Err(Complaint::new(what, "check that it is the right file"));
    }
    String::from_utf8(bytes)
        .map_err(|_| Complaint::new(format!("{name:?} is no UTF-8 text"), "check that it is the right file"))
}

/// Puts the values of environment variables in the places of their `${NAME}`.
fn expand(text: &str, environment: &Environment<'_>) -> Result<String, Complaint> {
    let mut parts = text.split("${");
    let mut expanded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let Some((name, rest)) = part.split_once('}') else {
            return Err(Complaint::new("has a \"${\" without its \"}\"", "write it like \"${NAME}\""));
        };
        let value = environment(name).ok_or_else(|| {
            Complaint::new(
                format!("names the environment variable {name}, which is not set"),
                "set it, or write another name",
            )
        })?;
        expanded.push_str(&value);
        expanded.push_str(rest);
    }
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_their_places() {
        let environment = |name: &str| (name == "A").then(|| "one".to_owned());
        assert_eq!(expand("x ${A}-${A} $A", &environment), Ok("x one-one $A".to_owned()));
        assert!(expand("${B}", &environment).unwrap_err().what.contains("B, which is not set"));
        assert!(expand("${A", &environment).is_err());
    }
}
