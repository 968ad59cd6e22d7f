//! Tables as Parquet. The only file of this room that knows polars.

use std::fs::File;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use polars::prelude::{
    AnyValue, Column as PolarsColumn, DataFrame, DataType, Float64Chunked, Int64Chunked, IntoColumn,
    IntoSeries, ParquetReader, ParquetWriter, PolarsError, SerReader, StringChunked, TimeUnit, TimeZone,
};

use super::{Column, Table, TableError};
use crate::domain::Timestamp;

/// A column as it was read from Parquet.
#[derive(Debug, Clone)]
pub struct Foreign(PolarsColumn);

impl Foreign {
    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its values as one of the house's own kinds. Whole numbers and
    /// times with nulls among them become text, with nothing for a null.
    pub(super) fn plain(&self) -> Column {
        let whole = self.0.null_count() == 0;
        let read = match self.0.dtype() {
            DataType::Datetime(unit, _) if whole => self.times(*unit),
            dtype if dtype.is_integer() && whole => self.integers(),
            dtype if dtype.is_float() => self.numbers(),
            _ => self.texts(),
        };
        read.unwrap_or_else(|_| Column::Text((0..self.len()).map(|row| self.cell(row)).collect()))
    }

    fn integers(&self) -> Result<Column, PolarsError> {
        let cast = self.0.strict_cast(&DataType::Int64)?;
        Ok(Column::Integers(cast.i64()?.into_no_null_iter().collect()))
    }

    fn numbers(&self) -> Result<Column, PolarsError> {
        let cast = self.0.cast(&DataType::Float64)?;
        Ok(Column::Numbers(cast.f64()?.iter().map(|value| value.unwrap_or(f64::NAN)).collect()))
    }

    fn times(&self, unit: TimeUnit) -> Result<Column, PolarsError> {
        let ticks = self.0.to_physical_repr();
        let ticks = ticks.i64()?.into_no_null_iter();
        Ok(Column::Times(ticks.map(|tick| Timestamp::from_millis(millis(tick, unit))).collect()))
    }

    fn texts(&self) -> Result<Column, PolarsError> {
        let dtype = self.0.dtype();
        let as_text = matches!(dtype, DataType::String | DataType::Categorical(_, _) | DataType::Enum(_, _));
        match as_text || dtype.is_integer() {
            true => {
                let cast = self.0.cast(&DataType::String)?;
                Ok(Column::Text(cast.str()?.iter().map(Option::unwrap_or_default).collect()))
            }
            false => Ok(Column::Text((0..self.len()).map(|row| self.cell(row)).collect())),
        }
    }

    /// The text of a cell; empty for a null.
    pub(super) fn cell(&self, row: usize) -> String {
        match self.0.get(row) {
            Ok(AnyValue::Null) | Err(_) => String::new(),
            Ok(AnyValue::Datetime(tick, unit, _)) => Timestamp::from_millis(millis(tick, unit)).to_string(),
            Ok(AnyValue::DatetimeOwned(tick, unit, _)) => {
                Timestamp::from_millis(millis(tick, unit)).to_string()
            }
            Ok(value) => value.get_str().map_or_else(|| value.to_string(), str::to_owned),
        }
    }
}

fn millis(tick: i64, unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Nanoseconds => tick.div_euclid(1_000_000),
        TimeUnit::Microseconds => tick.div_euclid(1_000),
        TimeUnit::Milliseconds => tick,
    }
}

/// What `read` gives; `None` where polars' reader breaks off, as it does on a
/// file whose parts are not where it says.
pub(crate) fn unbroken<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

/// Reads a Parquet file.
pub(super) fn read(file: File, name: &str) -> Result<Table, TableError> {
    let refused = |message: String| TableError::File { file: name.to_owned(), message };
    let read = unbroken(|| ParquetReader::new(file).finish());
    let read = read.ok_or_else(|| refused("it is damaged, or no Parquet file; write it again".to_owned()))?;
    let mend = "if it holds whole numbers of 8 or 16 bits, cast them to 64";
    let frame = read.map_err(|error| refused(format!("{error}; {mend}")))?;
    let rows = frame.height();
    // polars believes what a damaged file says of each column's rows.
    if let Some(column) = frame.columns().iter().find(|column| column.len() != rows) {
        let (name, found) = (column.name(), column.len());
        return Err(refused(format!(
            "it is damaged: its column {name} has {found} rows of {rows}; write it again"
        )));
    }
    let columns = frame
        .columns()
        .iter()
        .map(|column| (column.name().to_string(), Column::Foreign(Foreign(column.clone()))))
        .collect();
    Ok(Table { name: name.to_owned(), lines: Vec::new(), rows, columns })
}

/// Writes a Parquet file.
pub(super) fn write(out: &mut dyn Write, table: &Table) -> io::Result<()> {
    ParquetWriter::new(out).finish(&mut frame(table)?).map_err(io::Error::other)?;
    Ok(())
}

/// Writes tables of the same columns below each other, a row group each; the
/// first gives the columns.
pub(super) fn write_parts(out: &mut dyn Write, parts: impl Iterator<Item = Table>) -> io::Result<()> {
    let mut parts = parts.map(|part| frame(&part)).peekable();
    let Some(Ok(first)) = parts.peek() else { return Ok(()) };
    let mut writer = ParquetWriter::new(out).batched(first.schema()).map_err(io::Error::other)?;
    for part in parts {
        let part = part?;
        if part.height() > 0 {
            writer.write_batch(&part).map_err(io::Error::other)?;
        }
    }
    writer.finish().map_err(io::Error::other)?;
    Ok(())
}

fn frame(table: &Table) -> io::Result<DataFrame> {
    let columns = table.columns.iter().map(|(name, column)| to_polars(name, column)).collect();
    let mut frame = DataFrame::new(table.rows, columns).map_err(io::Error::other)?;
    frame.rechunk_mut();
    Ok(frame)
}

fn to_polars(name: &str, column: &Column) -> PolarsColumn {
    match column {
        Column::Text(texts) => {
            let texts = (0..texts.len()).map(|row| Some(texts.get(row)));
            StringChunked::from_iter(texts).with_name(name.into()).into_column()
        }
        Column::Integers(integers) => Int64Chunked::from_vec(name.into(), integers.clone()).into_column(),
        Column::Numbers(numbers) => numbers_column(name, numbers.clone()),
        Column::Times(times) => times_column(name, times.iter().map(|time| time.millis()).collect()),
        Column::Maybe(texts) => {
            StringChunked::from_iter(texts.iter().map(Option::as_deref)).with_name(name.into()).into_column()
        }
        Column::Foreign(foreign) => {
            let mut column = foreign.0.clone();
            column.rename(name.into());
            column
        }
    }
}

fn numbers_column(name: &str, numbers: Vec<f64>) -> PolarsColumn {
    Float64Chunked::from_vec(name.into(), numbers).into_column()
}

fn times_column(name: &str, millis: Vec<i64>) -> PolarsColumn {
    Int64Chunked::from_vec(name.into(), millis)
        .into_datetime(TimeUnit::Milliseconds, Some(TimeZone::UTC))
        .into_series()
        .into_column()
}
