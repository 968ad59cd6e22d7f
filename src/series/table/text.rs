//! Tables as CSV.

use std::borrow::Cow;
use std::io::{self, Read, Write};
use std::ops::Range;

use rayon::prelude::*;

use super::{Column, Table, TableError};

/// Rows that are put into words together.
const ROWS_TOGETHER: usize = 1024;
/// How many such parts are in memory at once.
const PARTS_AT_ONCE: usize = 64;

/// Many texts in one allocation.
#[derive(Debug, Clone, Default)]
pub struct Texts {
    joined: String,
    ends: Vec<usize>,
}

impl Texts {
    /// Adds a text at the end.
    pub fn push(&mut self, text: &str) {
        self.joined.push_str(text);
        self.ends.push(self.joined.len());
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The text at `index`, which must be below [`len`](Self::len).
    pub fn get(&self, index: usize) -> &str {
        let begin = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.joined[begin..self.ends[index]]
    }
}

impl<T: AsRef<str>> FromIterator<T> for Texts {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let mut all = Texts::default();
        texts.into_iter().for_each(|text| all.push(text.as_ref()));
        all
    }
}

/// Reads CSV with a header line.
pub(super) fn read(input: impl Read, name: &str) -> Result<Table, TableError> {
    let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 18).from_reader(input);
    let header = reader.headers().map_err(|error| row_error(name, &error))?.clone();
    let mut columns = vec![Texts::default(); header.len()];
    let mut lines = Vec::new();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|error| row_error(name, &error))? {
        lines.push(record.position().map_or(0, csv::Position::line));
        columns.iter_mut().zip(&record).for_each(|(column, field)| column.push(field));
    }
    let rows = lines.len();
    let named = header.iter().map(str::to_owned).zip(columns.into_iter().map(Column::Text));
    let table = Table { name: name.to_owned(), lines, rows, columns: named.collect() };
    check_names(&table)?;
    if rows == 0 && !header.is_empty() {
        let message = "it has a header and no rows; check what wrote it".to_owned();
        return Err(TableError::File { file: name.to_owned(), message });
    }
    Ok(table)
}

fn check_names(table: &Table) -> Result<(), TableError> {
    let names: Vec<&str> = table.names().collect();
    match names.iter().enumerate().find(|(index, name)| names[..*index].contains(name)) {
        Some((_, name)) => Err(TableError::Row {
            file: table.name.clone(),
            line: 1,
            message: format!("two columns are named {name:?}; rename one"),
        }),
        None => Ok(()),
    }
}

fn row_error(name: &str, error: &csv::Error) -> TableError {
    let line = error.position().map(csv::Position::line);
    let message = match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("it has {len} fields and the header has {expected_len}; check its commas and quotes")
        }
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8; convert the file".to_owned(),
        csv::ErrorKind::Io(source) => source.to_string(),
        _ => error.to_string(),
    };
    match line {
        Some(line) => TableError::Row { file: name.to_owned(), line, message },
        None => TableError::File { file: name.to_owned(), message },
    }
}

/// Writes CSV with a header line.
pub(super) fn write(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    write_header(out, table)?;
    write_rows(out, table)
}

/// Writes tables of the same columns below each other under one header line.
pub(super) fn write_parts(out: &mut dyn Write, parts: impl Iterator<Item = Table>) -> io::Result<()> {
    for (index, part) in parts.enumerate() {
        if index == 0 {
            write_header(out, &part)?;
        }
        write_rows(out, &part)?;
    }
    Ok(())
}

fn write_header(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    writer.write_record(table.names()).map_err(plain_error)?;
    writer.flush()
}

/// Numbers take their time to be put into words, so that is done in parallel.
fn write_rows(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    let columns: Vec<_> = table.columns.iter().map(|(_, column)| column.plain()).collect();
    let parts: Vec<Range<usize>> = (0..table.rows)
        .step_by(ROWS_TOGETHER)
        .map(|first| first..(first + ROWS_TOGETHER).min(table.rows))
        .collect();
    for parts in parts.chunks(PARTS_AT_ONCE) {
        let texts: Result<Vec<Vec<u8>>, io::Error> =
            parts.par_iter().map(|rows| in_words(&columns, rows.clone())).collect();
        texts?.iter().try_for_each(|text| out.write_all(text))?;
    }
    Ok(())
}

fn in_words(columns: &[Cow<'_, Column>], rows: Range<usize>) -> io::Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        for column in columns {
            writer.write_field(column.cell(row).as_bytes()).map_err(plain_error)?;
        }
        writer.write_record(None::<&[u8]>).map_err(plain_error)?;
    }
    writer.into_inner().map_err(|error| io::Error::other(error.to_string()))
}

/// The disk's own error, so that a closed pipe can be told from a full disk.
fn plain_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(reason) => reason,
        other => io::Error::other(format!("{other:?}")),
    }
}
