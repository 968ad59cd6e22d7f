//! What is wrong with a config: all of it at once, each with its place and
//! its mend.

use std::fmt;
use std::path::PathBuf;

/// A place in a text; both count from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl Place {
    /// The place of a byte offset in a text.
    pub fn of(text: &str, offset: usize) -> Place {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where; `None` where the file as a whole is meant.
    pub place: Option<Place>,
    /// The full path of the key, `None` where no key can be named.
    pub key: Option<String>,
    /// What is wrong, as it reads after the key.
    pub what: String,
    /// What to do about it.
    pub mend: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        write!(f, "{}; {}", self.what, self.mend)
    }
}

/// Everything that is wrong with one config file, in the order of the file;
/// reads well after "failed to".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("accept the config {file}, {count} to mend:\n{lines}",
    file = file.display(), count = count(problems.len()), lines = self.lines().join("\n"))]
pub struct ConfigProblems {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it; never empty.
    pub problems: Vec<Problem>,
}

impl ConfigProblems {
    /// One line a problem: `file:line:column: key: what is wrong; the mend`.
    pub fn lines(&self) -> Vec<String> {
        let file = self.file.display();
        let line = |problem: &Problem| match problem.place {
            Some(Place { line, column }) => format!("{file}:{line}:{column}: {problem}"),
            None => format!("{file}: {problem}"),
        };
        self.problems.iter().map(line).collect()
    }
}

fn count(problems: usize) -> String {
    if problems == 1 { "1 problem".to_owned() } else { format!("{problems} problems") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a = 1\nä = 'ö' # x\n";
        assert_eq!(Place::of(text, 0), Place { line: 1, column: 1 });
        let hash = text.find('#').unwrap();
        assert_eq!(Place::of(text, hash), Place { line: 2, column: 9 });
        assert_eq!(Place::of(text, text.len()), Place { line: 3, column: 1 });
    }
}
