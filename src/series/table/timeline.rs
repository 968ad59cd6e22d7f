//! Whole series out of the rows of a table, each on its own regular grid.

use std::collections::HashMap;

use ndarray::Array1;

use super::{Column, Samples, Table, TableError, TimeKind};
use crate::domain::Timestamp;

/// Grid points that a series may have for each of its samples, with
/// [`POINTS_ALWAYS`] on top. A wrong year in one row would else ask for more
/// memory than there is.
const POINTS_PER_SAMPLE: i128 = 100;
/// Grid points that any series may have.
const POINTS_ALWAYS: i128 = 100_000;

/// A regular time axis: integer steps, or instants in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    /// How `first` and `step` are to be read.
    pub kind: TimeKind,
    /// The time of the first value.
    pub first: i64,
    /// The distance of two values, above zero.
    pub step: i64,
}

impl Timeline {
    /// The time of the value at `index`, also beyond the end.
    pub fn at(&self, index: usize) -> i64 {
        let offset = i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(self.step);
        self.first.saturating_add(offset)
    }

    /// Times as a column of a table.
    pub fn column(kind: TimeKind, at: Vec<i64>) -> Column {
        match kind {
            TimeKind::Steps => Column::Integers(at),
            TimeKind::Instants => Column::Times(at.into_iter().map(Timestamp::from_millis).collect()),
        }
    }
}

/// One series of a table.
#[derive(Debug, Clone)]
pub struct SampledSeries {
    /// Its `unique_id`; the name of the column of values where a table holds
    /// one series only.
    pub id: String,
    /// Its time axis.
    pub timeline: Timeline,
    /// The values, shape `[n]`, `NaN` for gaps.
    pub values: Array1<f64>,
}

/// The series of a table, in the order of their first rows.
///
/// Rows may come in any order. A series' step is the distance that most of its
/// neighbouring rows have, the smaller of two that are as frequent, and 1 (a
/// second for instants) where it has one row only. Each row belongs to the
/// grid point nearest to it, counted from the first row; of two on one point
/// the later stays.
///
/// # Errors
/// Names the cell that can't be read, and the second of two rows of one time.
pub fn series(table: &Table) -> Result<Vec<SampledSeries>, TableError> {
    let samples = Samples::of(table)?;
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); samples.ids.len()];
    for (row, series) in samples.series.iter().enumerate() {
        rows[*series].push(row);
    }
    let grids = samples.ids.iter().zip(rows);
    grids.map(|(id, rows)| on_grid(table, &samples, id, rows)).collect()
}

fn on_grid(
    table: &Table,
    samples: &Samples,
    id: &str,
    mut rows: Vec<usize>,
) -> Result<SampledSeries, TableError> {
    if !rows.is_sorted_by_key(|row| samples.at[*row]) {
        rows.sort_by_key(|row| samples.at[*row]);
    }
    if let Some(pair) = rows.windows(2).find(|pair| samples.at[pair[0]] == samples.at[pair[1]]) {
        return Err(TableError::Duplicate {
            file: table.name.clone(),
            place: table.place(pair[1]),
            series: id.to_owned(),
            earlier: table.place(pair[0]),
        });
    }
    let single = match samples.kind {
        TimeKind::Steps => 1,
        TimeKind::Instants => 1000,
    };
    let at: Vec<i64> = rows.iter().map(|row| samples.at[*row]).collect();
    let step = most_frequent(at.windows(2).map(|pair| pair[1].saturating_sub(pair[0]))).unwrap_or(single);
    let (first, last) = (at[0], at[at.len() - 1]);
    let place = |at: i64| {
        let offset = i128::from(at) - i128::from(first) + i128::from(step / 2);
        offset / i128::from(step)
    };
    let points = place(last) + 1;
    if points > POINTS_PER_SAMPLE * rows.len() as i128 + POINTS_ALWAYS {
        return Err(TableError::TooSparse {
            file: table.name.clone(),
            series: id.to_owned(),
            samples: rows.len(),
            points,
        });
    }
    let mut values = Array1::from_elem(usize::try_from(points).unwrap_or(0), f64::NAN);
    for row in rows {
        if let Some(value) = usize::try_from(place(samples.at[row])).ok().and_then(|i| values.get_mut(i)) {
            *value = samples.values[row];
        }
    }
    let timeline = Timeline { kind: samples.kind, first, step };
    Ok(SampledSeries { id: id.to_owned(), timeline, values })
}

/// The most frequent distance, the smaller of two that are as frequent; `None`
/// where there is none.
pub(super) fn most_frequent(distances: impl Iterator<Item = i64>) -> Option<i64> {
    let mut counts: HashMap<i64, usize> = HashMap::new();
    // Equal distances mostly lie together: a run is counted at once.
    let mut run = (0, 0);
    for distance in distances {
        if distance != run.0 {
            *counts.entry(run.0).or_default() += run.1;
            run = (distance, 0);
        }
        run.1 += 1;
    }
    *counts.entry(run.0).or_default() += run.1;
    let best = counts.into_iter().filter(|(_, count)| *count > 0);
    best.max_by_key(|(distance, count)| (*count, -distance)).map(|(distance, _)| distance)
}
