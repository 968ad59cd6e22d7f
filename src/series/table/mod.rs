//! Usage in files: long-form tables, a row a sample.
//!
//! Two forms are read, told apart by their header: `unique_id, ds, y` (the
//! convention of statsforecast) and `timestamp, value` (one series). A time is
//! an integer step or a date and time; an empty value or `NaN` is a gap. Other
//! columns may be there and are kept. The file's ending decides the format,
//! `.csv` or `.parquet`, and `.json` for outputs; `-` is standard input or
//! output, as CSV.
//!
//! CSV is read by the csv crate, so that a bad row is named by its line;
//! Parquet by polars, whose types stay inside `parquet.rs`. A file appears
//! under its name only once it is whole.

mod error;
mod fleet;
mod json;
mod openmetrics;
mod parquet;
mod samples;
mod sink;
mod text;
mod timeline;

use std::borrow::Cow;
use std::path::Path;

pub use error::TableError;
pub use fleet::{Fleet, FleetTenant, check_fleet_output, read_fleet, read_fleet_as, write_fleet};
pub use parquet::Foreign;
pub(crate) use parquet::unbroken;
pub use samples::{Samples, TimeKind};
pub use text::Texts;
pub use timeline::{SampledSeries, Timeline, series, usage};

use crate::domain::Timestamp;

/// A table as it was read, or as it will be written.
#[derive(Debug, Clone)]
pub struct Table {
    /// What messages call it.
    name: String,
    /// The line of each row, where it was read from CSV.
    lines: Vec<u64>,
    rows: usize,
    columns: Vec<(String, Column)>,
}

/// One column; all of a table have the same length.
#[derive(Debug, Clone)]
pub enum Column {
    /// Text, exactly as it was read.
    Text(Texts),
    /// Whole numbers.
    Integers(Vec<i64>),
    /// Numbers, `NaN` for none.
    Numbers(Vec<f64>),
    /// Instants.
    Times(Vec<Timestamp>),
    /// Text, `None` for none: null in Parquet, empty in CSV.
    Maybe(Vec<Option<String>>),
    /// As it was read from Parquet; written back to Parquet unchanged.
    Foreign(Foreign),
}

impl Column {
    /// How many rows it has.
    pub fn len(&self) -> usize {
        match self {
            Column::Text(texts) => texts.len(),
            Column::Integers(integers) => integers.len(),
            Column::Numbers(numbers) => numbers.len(),
            Column::Times(times) => times.len(),
            Column::Maybe(texts) => texts.len(),
            Column::Foreign(foreign) => foreign.len(),
        }
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The column as one of the other four kinds.
    fn plain(&self) -> Cow<'_, Column> {
        match self {
            Column::Foreign(foreign) => Cow::Owned(foreign.plain()),
            own => Cow::Borrowed(own),
        }
    }

    /// The text of a cell; empty for a gap.
    fn cell(&self, row: usize) -> Cow<'_, str> {
        match self {
            Column::Text(texts) => Cow::Borrowed(texts.get(row)),
            Column::Integers(integers) => Cow::Owned(integers[row].to_string()),
            Column::Numbers(numbers) if numbers[row].is_nan() => Cow::Borrowed(""),
            // With a point in each, so that readers that guess types guess right.
            Column::Numbers(numbers) => Cow::Owned(format!("{:?}", numbers[row])),
            Column::Times(times) => Cow::Owned(times[row].to_string()),
            Column::Maybe(texts) => Cow::Borrowed(texts[row].as_deref().unwrap_or_default()),
            Column::Foreign(foreign) => Cow::Owned(foreign.cell(row)),
        }
    }
}

impl Table {
    /// An empty table that takes the length of its first column.
    pub fn new() -> Self {
        Table { name: "the output".to_owned(), lines: Vec::new(), rows: 0, columns: Vec::new() }
    }

    /// Adds a column, or puts it in the place of the one of the same name.
    pub fn set(&mut self, name: &str, column: Column) {
        debug_assert!(self.columns.is_empty() || column.len() == self.rows, "columns of two lengths");
        self.rows = column.len();
        match self.columns.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = column,
            None => self.columns.push((name.to_owned(), column)),
        }
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The names of the columns, in their order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|(known, _)| known == name).map(|(_, column)| column)
    }

    /// The place of a row in messages.
    fn place(&self, row: usize) -> String {
        match self.lines.get(row) {
            Some(line) => format!("line {line}"),
            None => format!("row {}", row + 1),
        }
    }

    /// A cell that can't be read, with the mend.
    fn bad_cell(&self, row: usize, column: &str, text: &str, mend: &'static str) -> TableError {
        TableError::Cell {
            file: self.name.clone(),
            place: self.place(row),
            column: column.to_owned(),
            text: text.to_owned(),
            mend,
        }
    }
}

impl Default for Table {
    fn default() -> Self {
        Table::new()
    }
}

/// The formats, told apart by a file's ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Parquet,
}

impl Format {
    fn of(path: &Path) -> Result<Self, TableError> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        match ending.to_ascii_lowercase().as_str() {
            "csv" => Ok(Format::Csv),
            "parquet" => Ok(Format::Parquet),
            _ if is_standard(path) => Ok(Format::Csv),
            _ => Err(TableError::Ending { file: path.display().to_string(), endings: ".csv or .parquet" }),
        }
    }
}

/// Whether standard input or output is meant.
fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Reads a table.
///
/// # Errors
/// Names the file, and the line of a row that is malformed.
pub fn read(path: &Path) -> Result<Table, TableError> {
    match Format::of(path)? {
        Format::Csv if is_standard(path) => text::read(std::io::stdin().lock(), "standard input"),
        format => {
            let name = path.display().to_string();
            let file = std::fs::File::open(path)
                .map_err(|reason| TableError::Open { file: name.clone(), reason })?;
            match format {
                Format::Csv => text::read(file, &name),
                Format::Parquet => parquet::read(file, &name),
            }
        }
    }
}

/// Checks that a table could be written under this name.
///
/// # Errors
/// Where the ending names no format.
pub fn check_output(path: &Path) -> Result<(), TableError> {
    output_format(path).map(|_| ())
}

/// Checks that a table could be written under this name, and be read back.
///
/// # Errors
/// Where the ending is neither `.csv` nor `.parquet`.
pub fn check_table_output(path: &Path) -> Result<(), TableError> {
    Format::of(path).map(|_| ())
}

/// Writes a table, whole or not at all.
///
/// # Errors
/// Where the ending names no format, or the disk fails.
pub fn write(path: &Path, table: &Table) -> Result<(), TableError> {
    match output_format(path)? {
        None => sink::write_whole(path, |out| json::write(out, table)),
        Some(Format::Csv) => sink::write_whole(path, |out| text::write(out, table)),
        Some(Format::Parquet) => sink::write_whole(path, |out| parquet::write(out, table)),
    }
}

/// The table as the text of a CSV file.
///
/// # Errors
/// Where a cell can't be written.
pub fn to_csv(table: &Table) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    text::write(&mut bytes, table)?;
    Ok(bytes)
}

/// The table as the bytes of a Parquet file.
///
/// # Errors
/// Where the columns are no table.
pub fn to_parquet(table: &Table) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    parquet::write(&mut bytes, table)?;
    Ok(bytes)
}

/// Writes a file of any kind, whole or not at all; `-` is standard output.
///
/// # Errors
/// Where the disk fails.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), TableError> {
    sink::write_whole(path, |out| out.write_all(bytes))
}

/// The format of an output; `None` is JSON, which is only written.
fn output_format(path: &Path) -> Result<Option<Format>, TableError> {
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
        return Ok(None);
    }
    let (file, endings) = (path.display().to_string(), ".csv, .parquet or .json");
    Format::of(path).map(Some).map_err(|_| TableError::Ending { file, endings })
}

#[cfg(test)]
mod tests;
