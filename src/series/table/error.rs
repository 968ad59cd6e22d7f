//! What can be wrong with a table in a file.

use std::io;

use crate::domain::DomainError;

/// A table that can't be read or written; reads well after "failed to". Each
/// tells its reason itself, so that no chain repeats it.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file can't be opened for reading.
    #[error("open {file}: {reason}")]
    Open {
        /// The file.
        file: String,
        /// Why.
        reason: io::Error,
    },
    /// The output can't be written.
    #[error("write {file}: {reason}")]
    Write {
        /// The file.
        file: String,
        /// Why.
        reason: io::Error,
    },
    /// The ending names no format.
    #[error("choose a format for {file:?}; let its name end in {endings}, or use - for CSV")]
    Ending {
        /// The file.
        file: String,
        /// The endings that would do.
        endings: &'static str,
    },
    /// A row is not of the form of its format.
    #[error("read line {line} of {file}: {message}")]
    Row {
        /// The file.
        file: String,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong, and the mend.
        message: String,
    },
    /// The file is not of its format at all.
    #[error("read {file}: {message}")]
    File {
        /// The file.
        file: String,
        /// What is wrong.
        message: String,
    },
    /// A cell can't be read.
    #[error("read {text:?} in column {column} at {place} of {file}; {mend}")]
    Cell {
        /// The file.
        file: String,
        /// Its line or row.
        place: String,
        /// Its column.
        column: String,
        /// What it holds.
        text: String,
        /// What it should hold.
        mend: &'static str,
    },
    /// The header has no form that is known.
    #[error("find {wanted} in the header of {file}; its columns are {found}")]
    Columns {
        /// The file.
        file: String,
        /// The columns that are missing.
        wanted: &'static str,
        /// The columns that are there.
        found: String,
    },
    /// Two rows of one series have the same time.
    #[error("use {place} of {file}: the series {series:?} has this time already at {earlier}; remove one")]
    Duplicate {
        /// The file.
        file: String,
        /// The line or row.
        place: String,
        /// The series.
        series: String,
        /// The line or row of the first.
        earlier: String,
    },
    /// A series is far too long for its samples.
    #[error(
        "lay the series {series:?} of {file} on a grid: its {samples} samples span {points} steps; \
         check its times, or resample it to a coarser step"
    )]
    TooSparse {
        /// The file.
        file: String,
        /// The series.
        series: String,
        /// How many samples it has.
        samples: usize,
        /// How many grid points it would need.
        points: i128,
    },
    /// A cell names something that the domain does not know.
    #[error("use {place} of {file}: failed to {reason}")]
    Domain {
        /// The file.
        file: String,
        /// The line or row.
        place: String,
        /// Why.
        reason: DomainError,
    },
}

impl TableError {
    /// Whether the caller's input is at fault, and not the machine.
    pub fn is_bad_input(&self) -> bool {
        !matches!(self, TableError::Write { .. })
    }
}
