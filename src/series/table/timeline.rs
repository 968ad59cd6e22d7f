//! Whole series out of the rows of a table, each on its own regular grid.

use std::collections::HashMap;

use ndarray::Array1;
use rayon::prelude::*;

use super::{Column, Samples, Table, TableError, TimeKind};
use crate::domain::Timestamp;

/// Grid points that a series may have for each of its samples, with
/// [`POINTS_ALWAYS`] on top. A wrong year in one row would else ask for more
/// memory than there is.
const POINTS_PER_SAMPLE: i128 = 100;
/// Grid points that any series may have.
const POINTS_ALWAYS: i128 = 100_000;

/// The most frequent distance counts where at least one in so many rows has it.
const RARELY: usize = 5;
/// A step is near to a usual one within one part in so many of it.
const NEAR: i64 = 20;
/// The steps at which things are measured, in seconds.
const USUAL_STEPS: [i64; 20] = [
    1, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10_800, 14_400, 21_600, 43_200,
    86_400,
];

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
/// neighbouring rows have, the smaller of two that are as frequent; of times that
/// come early or late, the usual step that they are about; a series of
/// one row has the step that most others have, or else 1 (a second where there
/// are instants). Each row belongs to the grid point nearest to it, counted
/// from the first row; of two on one point the later stays.
///
/// # Errors
/// Names the cell that can't be read, and the second of two rows of one time.
pub fn series(table: &Table) -> Result<Vec<SampledSeries>, TableError> {
    laid_out(table, &Samples::of(table)?)
}

/// The series of a table of usage, as [`series`] gives them.
///
/// # Errors
/// As [`series`], and names the first cell below zero.
pub fn usage(table: &Table) -> Result<Vec<SampledSeries>, TableError> {
    laid_out(table, &Samples::of_usage(table)?)
}

fn laid_out(table: &Table, samples: &Samples) -> Result<Vec<SampledSeries>, TableError> {
    let mut rows: Vec<Vec<usize>> = vec![Vec::new(); samples.ids.len()];
    for (row, series) in samples.series.iter().enumerate() {
        rows[*series].push(row);
    }
    let step = |rows: &mut Vec<usize>| {
        put_in_order(table, samples, rows)?;
        let distances = rows.windows(2).map(|pair| samples.at[pair[1]].saturating_sub(samples.at[pair[0]]));
        Ok(match samples.kind {
            TimeKind::Steps => most_frequent(distances),
            TimeKind::Instants => step_of(&distances.collect::<Vec<_>>()),
        })
    };
    let steps: Vec<Result<Option<i64>, TableError>> = rows.par_iter_mut().map(step).collect();
    // The error of the first series that has one, whichever was seen first.
    let steps = steps.into_iter().collect::<Result<Vec<Option<i64>>, TableError>>()?;
    let common = most_frequent(steps.iter().flatten().copied()).unwrap_or(match samples.kind {
        TimeKind::Steps => 1,
        TimeKind::Instants => 1000,
    });
    let series = rows.iter().zip(steps);
    series.map(|(rows, step)| on_grid(table, samples, rows, step.unwrap_or(common))).collect()
}

/// The step of a series by the distances of its rows, in milliseconds; `None`
/// where there is none.
///
/// It is the most frequent distance, unless few rows have it: of rows that come
/// somewhat early or late, hardly two distances are the same. Then it is the
/// usual step that is nearest to the middle one, where one is near.
fn step_of(distances: &[i64]) -> Option<i64> {
    let frequent = most_frequent(distances.iter().copied())?;
    let often = distances.iter().filter(|distance| **distance == frequent).count();
    if often * RARELY > distances.len() {
        return Some(frequent);
    }
    let mut sorted = distances.to_vec();
    sorted.sort_unstable();
    let middle = sorted[sorted.len() / 2];
    let nearest =
        USUAL_STEPS.into_iter().map(|seconds| seconds * 1000).min_by_key(|step| (step - middle).abs());
    Some(nearest.filter(|step| (step - middle).abs() * NEAR <= *step).unwrap_or(frequent))
}

/// Sorts the rows of one series by time; refuses two of one time.
fn put_in_order(table: &Table, samples: &Samples, rows: &mut [usize]) -> Result<(), TableError> {
    if !rows.is_sorted_by_key(|row| samples.at[*row]) {
        rows.sort_by_key(|row| samples.at[*row]);
    }
    match rows.windows(2).find(|pair| samples.at[pair[0]] == samples.at[pair[1]]) {
        None => Ok(()),
        Some(pair) => Err(TableError::Duplicate {
            file: table.name.clone(),
            place: table.place(pair[1]),
            series: samples.ids[samples.series[pair[0]]].clone(),
            earlier: table.place(pair[0]),
        }),
    }
}

/// Lays the rows of one series, of which there is at least one, on a grid.
fn on_grid(table: &Table, samples: &Samples, rows: &[usize], step: i64) -> Result<SampledSeries, TableError> {
    let id = samples.ids[samples.series[rows[0]]].clone();
    let (first, last) = (samples.at[rows[0]], samples.at[rows[rows.len() - 1]]);
    // Wide numbers: a wrong year in one row must not overflow.
    let place = |at: i64| {
        let offset = i128::from(at) - i128::from(first) + i128::from(step / 2);
        offset / i128::from(step)
    };
    let points = place(last) + 1;
    check_length(table, &id, rows.len(), points)?;
    let mut values = Array1::from_elem(usize::try_from(points).unwrap_or(0), f64::NAN);
    for row in rows {
        let place = usize::try_from(place(samples.at[*row])).ok();
        if let Some(value) = place.and_then(|place| values.get_mut(place)) {
            *value = samples.values[*row];
        }
    }
    Ok(SampledSeries { id, timeline: Timeline { kind: samples.kind, first, step }, values })
}

/// Refuses a series that has far more grid points than samples.
pub(super) fn check_length(
    table: &Table,
    series: &str,
    samples: usize,
    points: i128,
) -> Result<(), TableError> {
    if points <= POINTS_PER_SAMPLE * samples as i128 + POINTS_ALWAYS {
        return Ok(());
    }
    let (file, series) = (table.name.clone(), series.to_owned());
    Err(TableError::TooSparse { file, series, samples, points })
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
