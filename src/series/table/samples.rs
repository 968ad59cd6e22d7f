//! The samples of a table: which series each row belongs to, when, how much.

use std::borrow::Cow;
use std::collections::HashMap;

use super::{Column, Table, TableError};
use crate::domain::Timestamp;

/// How a table tells the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeKind {
    /// Integer steps.
    Steps,
    /// Instants, in milliseconds since 1970.
    Instants,
}

/// The rows of a table, read. All vectors but `ids` have an entry for each row.
#[derive(Debug, Clone)]
pub struct Samples {
    /// The names of the series, in the order of their first rows.
    pub ids: Vec<String>,
    /// The index in `ids` of each row's series.
    pub series: Vec<usize>,
    /// How `at` is to be read.
    pub kind: TimeKind,
    /// The step, or the milliseconds since 1970.
    pub at: Vec<i64>,
    /// The value, `NaN` for a gap.
    pub values: Vec<f64>,
}

/// The names of the columns of one form.
struct Form {
    id: Option<&'static str>,
    time: &'static str,
    value: &'static str,
}

const FORMS: [Form; 2] = [
    Form { id: Some("unique_id"), time: "ds", value: "y" },
    Form { id: None, time: "timestamp", value: "value" },
];

const WANTED: &str = "unique_id, ds, y or timestamp, value";
const TIME_MEND: &str = "use integer steps in the whole column, or times such as 2026-11-23T05:00:00Z";
const NAME_MEND: &str = "name the series in each of its rows";
const VALUE_MEND: &str = "use a finite number, or nothing for a gap";
const USAGE_MEND: &str = "usage is never below zero; use nothing for a gap, or the rate of a counter";

impl Samples {
    /// Reads the rows of a table, in their order.
    ///
    /// # Errors
    /// Names the column that is missing, or the cell that can't be read.
    pub fn of(table: &Table) -> Result<Self, TableError> {
        let there = |name: &str| table.column(name).is_some();
        let form = FORMS
            .iter()
            .find(|form| form.id.is_none_or(there) && there(form.time) && there(form.value))
            .ok_or_else(|| table.missing(WANTED))?;
        let ids = || match form.id {
            Some(name) => {
                let (ids, series) = read_ids(table.plain(name)?.as_ref(), table.rows());
                match ids.iter().position(|id| id.trim().is_empty()) {
                    None => Ok((ids, series)),
                    Some(nameless) => {
                        let row = series.iter().position(|index| *index == nameless).unwrap_or_default();
                        Err(table.bad_cell(row, name, &ids[nameless], NAME_MEND))
                    }
                }
            }
            // One series has the name of its column of values.
            None => Ok((vec![form.value.to_owned()], vec![0; table.rows()])),
        };
        let cells = || rayon::join(|| read_times(table, form.time), || read_values(table, form.value));
        let (ids, (times, values)) = rayon::join(ids, cells);
        let ((ids, series), (kind, at)) = (ids?, times?);
        Ok(Samples { ids, series, kind, at, values: values? })
    }

    /// Reads the rows of a table of usage, which is never below zero.
    ///
    /// # Errors
    /// As [`Self::of`], and names the first cell below zero.
    pub fn of_usage(table: &Table) -> Result<Self, TableError> {
        let samples = Self::of(table)?;
        match samples.values.iter().position(|value| *value < 0.0) {
            None => Ok(samples),
            Some(row) => {
                let column = Self::columns(table).map_or("y", |(_, value)| value);
                Err(table.bad_cell(row, column, &samples.values[row].to_string(), USAGE_MEND))
            }
        }
    }

    /// The names of the columns of time and value that a table has.
    pub fn columns(table: &Table) -> Option<(&'static str, &'static str)> {
        let there = |name: &str| table.column(name).is_some();
        let form = FORMS.iter().find(|form| form.id.is_none_or(there) && there(form.time))?;
        Some((form.time, form.value))
    }

    /// The times as a column.
    pub fn times(&self) -> Column {
        match self.kind {
            TimeKind::Steps => Column::Integers(self.at.clone()),
            TimeKind::Instants => {
                Column::Times(self.at.iter().map(|millis| Timestamp::from_millis(*millis)).collect())
            }
        }
    }
}

impl Table {
    /// A column of this name as one of the plain kinds.
    pub(super) fn plain(&self, name: &'static str) -> Result<Cow<'_, Column>, TableError> {
        self.column(name).map(Column::plain).ok_or_else(|| self.missing(name))
    }

    pub(super) fn missing(&self, wanted: &'static str) -> TableError {
        let found: Vec<&str> = self.names().collect();
        let found = if found.is_empty() { "none".to_owned() } else { found.join(", ") };
        TableError::Columns { file: self.name.clone(), wanted, found }
    }
}

fn read_ids(column: &Column, rows: usize) -> (Vec<String>, Vec<usize>) {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut ids: Vec<String> = Vec::new();
    let mut series = Vec::with_capacity(rows);
    let mut last: usize = usize::MAX;
    for row in 0..rows {
        let id = column.cell(row);
        // The rows of a series mostly lie together.
        if ids.get(last).is_none_or(|known| *known != id) {
            last = match known.get(id.as_ref()) {
                Some(index) => *index,
                None => {
                    known.insert(id.as_ref().to_owned(), ids.len());
                    ids.push(id.into_owned());
                    ids.len() - 1
                }
            };
        }
        series.push(last);
    }
    (ids, series)
}

fn read_times(table: &Table, name: &'static str) -> Result<(TimeKind, Vec<i64>), TableError> {
    match table.plain(name)?.as_ref() {
        Column::Integers(steps) => Ok((TimeKind::Steps, steps.clone())),
        Column::Times(times) => Ok((TimeKind::Instants, times.iter().map(|time| time.millis()).collect())),
        other => {
            let steps = table.rows() > 0 && other.cell(0).trim().parse::<i64>().is_ok();
            let kind = if steps { TimeKind::Steps } else { TimeKind::Instants };
            let read = |row| {
                let cell = other.cell(row);
                let text = cell.trim();
                let at = match kind {
                    TimeKind::Steps => text.parse().ok(),
                    TimeKind::Instants => text.parse().ok().map(Timestamp::millis),
                };
                at.ok_or_else(|| table.bad_cell(row, name, &cell, TIME_MEND))
            };
            Ok((kind, (0..table.rows()).map(read).collect::<Result<_, _>>()?))
        }
    }
}

fn read_values(table: &Table, name: &'static str) -> Result<Vec<f64>, TableError> {
    let column = table.plain(name)?;
    let read = |row: usize| {
        let value = match column.as_ref() {
            Column::Numbers(numbers) => Some(numbers[row]),
            Column::Integers(integers) => Some(integers[row] as f64),
            Column::Text(texts) => match texts.get(row).trim() {
                "" => Some(f64::NAN),
                text => text.parse().ok(),
            },
            _ => None,
        };
        match value {
            Some(value) if !value.is_infinite() => Ok(value),
            _ => Err(table.bad_cell(row, name, &column.cell(row), VALUE_MEND)),
        }
    };
    (0..table.rows()).map(read).collect()
}
