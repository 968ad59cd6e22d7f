//! Holds an audit log against itself and against signed checkpoints: finds
//! lines that were edited, left out, moved or cut off.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{NumberedAuditEvent, canonical};
use crate::domain::{AuditAction, AuditEvent};
use crate::ports::StoreError;
use crate::security::{Checkpoint, Digest, Tree, WrittenTree, from_hex, sha256};

/// Old lines that were removed: what is needed to verify those that follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// The number of the last line that was removed.
    pub through: u64,
    /// Its hash, as hexadecimal digits.
    pub hash: String,
    /// The Merkle tree over all lines up to it.
    pub tree: WrittenTree,
}

impl Cut {
    /// What a line says of a cut; `None` where it tells of something else.
    pub fn of(event: &AuditEvent) -> Option<Cut> {
        let is_cut = event.action == AuditAction::AuditCut;
        is_cut.then(|| serde_json::from_value(event.after.clone()).ok()).flatten()
    }
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// Lines are not there.
    Missing {
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// A line stands where it can't.
    OutOfOrder {
        /// Its number.
        number: u64,
        /// The number before it.
        after: u64,
    },
    /// The line does not follow from the one before.
    Broken {
        /// Its number.
        number: u64,
    },
    /// The line's hash is not that of its content.
    Edited {
        /// Its number.
        number: u64,
    },
    /// What stands there is no line of a log.
    Unreadable {
        /// The number of the line before; 0 where none could be read.
        after: u64,
    },
    /// The lines up to here are not those that were signed for.
    NotAsSigned {
        /// How many lines were signed for.
        size: u64,
    },
    /// The log ends before what was signed for.
    Truncated {
        /// How many lines were signed for.
        size: u64,
        /// How many there are.
        lines: u64,
    },
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Missing { from, to } if from == to => write!(f, "line {from} is missing"),
            Finding::Missing { from, to } => write!(f, "lines {from} to {to} are missing"),
            Finding::OutOfOrder { number, after } => write!(f, "line {number} stands behind line {after}"),
            Finding::Broken { number } => {
                write!(f, "line {number} does not follow from the line before: one of the two was changed")
            }
            Finding::Edited { number } => write!(f, "line {number} was changed: its hash is of another text"),
            Finding::Unreadable { after } => {
                write!(f, "what stands behind line {after} can't be read: it was cut off or written over")
            }
            Finding::NotAsSigned { size } => {
                write!(
                    f,
                    "the first {size} lines are not those that the checkpoint of {size} lines was signed for"
                )
            }
            Finding::Truncated { size, lines } => {
                write!(
                    f,
                    "the end is cut off: {size} lines were signed for, and the last one is number {lines}"
                )
            }
        }
    }
}

/// What an inspection found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many lines were read.
    pub lines: u64,
    /// How many were removed before them, as the log itself says.
    pub cut: u64,
    /// Checkpoints that were held against the log.
    pub checkpoints: usize,
    /// What is not as it was written, in the order of the log; empty where all
    /// is.
    pub findings: Vec<Finding>,
}

/// Reads a log line by line.
#[derive(Debug)]
pub struct Inspection {
    tree: Tree,
    /// The number and the hash of the line before.
    before: (u64, Digest),
    /// Those that were not reached yet, the largest first.
    checkpoints: Vec<Checkpoint>,
    report: Report,
}

impl Inspection {
    /// Of a log from which older lines may have been cut, beside checkpoints
    /// whose signatures are good.
    pub fn new(cut: Option<&Cut>, mut checkpoints: Vec<Checkpoint>) -> Self {
        let start = cut.and_then(|cut| Some((cut.tree.read()?, (cut.through, from_hex(&cut.hash)?))));
        let (tree, before) = start.unwrap_or_default();
        checkpoints
            .retain(|one| one.size > tree.size() || one.size == tree.size() && one.root == tree.root());
        checkpoints.sort_by_key(|one| std::cmp::Reverse(one.size));
        let report = Report { lines: 0, cut: before.0, checkpoints: 0, findings: Vec::new() };
        let mut inspection = Inspection { tree, before, checkpoints, report };
        inspection.compare();
        inspection
    }

    /// Takes in the next line.
    ///
    /// # Errors
    /// Where it can't be written as JSON.
    pub fn take(&mut self, line: &NumberedAuditEvent) -> Result<(), StoreError> {
        self.report.lines += 1;
        let number = line.number;
        let (last, hash) = self.before;
        match number.cmp(&(last + 1)) {
            std::cmp::Ordering::Less => {
                self.find(Finding::OutOfOrder { number, after: last });
                return Ok(());
            }
            std::cmp::Ordering::Greater => self.find(Finding::Missing { from: last + 1, to: number - 1 }),
            std::cmp::Ordering::Equal => {}
        }
        let previous = from_hex(&line.previous).unwrap_or_default();
        if number == last + 1 && previous != hash {
            self.find(Finding::Broken { number });
        }
        let entry = [&previous[..], &canonical(&line.event)?].concat();
        let own = sha256([&*entry]);
        if from_hex(&line.hash) != Some(own) {
            self.find(Finding::Edited { number });
        }
        self.tree.push(&entry);
        // So that one changed line is found once.
        self.before = (number, from_hex(&line.hash).unwrap_or(own));
        self.compare();
        Ok(())
    }

    /// Takes in what should be a line and is none.
    pub fn take_unreadable(&mut self) {
        self.find(Finding::Unreadable { after: self.before.0 });
    }

    /// What was found, once the last line was taken in.
    pub fn end(mut self) -> Report {
        let lines = self.before.0;
        self.report.checkpoints += self.checkpoints.len();
        // Where a line is missing further up, no later one stands in its place
        // of the tree; the end is there all the same.
        match self.checkpoints.first().map(|one| one.size) {
            Some(size) if size > lines => self.find(Finding::Truncated { size, lines }),
            Some(size) if !self.has_differed() => self.find(Finding::NotAsSigned { size }),
            _ => {}
        }
        self.report
    }

    /// Holds the lines so far against the checkpoints of this size.
    fn compare(&mut self) {
        while let Some(next) = self.checkpoints.pop_if(|one| one.size == self.tree.size()) {
            self.report.checkpoints += 1;
            if next.root != self.tree.root() && !self.has_differed() {
                self.find(Finding::NotAsSigned { size: next.size });
            }
        }
    }

    /// Whether the log differs from a checkpoint; after one that differs all do.
    fn has_differed(&self) -> bool {
        self.report.findings.iter().any(|one| matches!(one, Finding::NotAsSigned { .. }))
    }

    fn find(&mut self, finding: Finding) {
        self.report.findings.push(finding);
    }
}
