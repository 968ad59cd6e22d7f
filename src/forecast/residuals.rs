//! What a point forecast missed by, and the quantiles that follow from it.

use ndarray::{Array1, Array2};

use super::link::Link;
use super::windows::weighted_quantiles;

/// The ends of the blocks of steps ahead that share their misses.
const BLOCK_ENDS: [usize; 9] = [1, 3, 6, 12, 24, 48, 96, 192, usize::MAX];

/// Misses on the scale of a link, by block of steps ahead.
#[derive(Debug, Clone)]
pub(super) struct Residuals {
    link: Link,
    /// Sorted upwards, with their weights.
    blocks: Vec<Vec<(f64, f64)>>,
}

impl Residuals {
    /// Collects the misses of the forecasts in `tried`, shape
    /// `[horizon, origins]`, made at those `origins` that are `used`, against
    /// the samples `known`.
    pub fn of(
        link: Link,
        known: &[f64],
        origins: &[usize],
        tried: &Array2<f64>,
        used: impl Fn(usize) -> bool,
    ) -> Self {
        let mut blocks: Vec<Vec<(f64, f64)>> = Vec::new();
        let mut ahead = 0;
        for block_end in BLOCK_ENDS {
            let mut block = Vec::new();
            for step in ahead..block_end.min(tried.nrows()) {
                for (column, origin) in origins.iter().enumerate().filter(|(column, _)| used(*column)) {
                    let Some(value) = known.get(origin + step).filter(|value| value.is_finite()) else {
                        continue;
                    };
                    block.push((link.apply(*value) - link.apply(tried[[step, column]]), 1.0));
                }
            }
            block.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            if !block.is_empty() {
                blocks.push(block);
            }
            ahead = block_end;
            if ahead >= tried.nrows() {
                break;
            }
        }
        Residuals { link, blocks }
    }

    /// The quantiles about `path`, shape `[horizon, levels]`. Beyond the blocks
    /// that are known the last one counts.
    pub fn around(&self, path: &Array1<f64>, levels: &[f64]) -> Array2<f64> {
        self.offsets(levels).around(path)
    }

    /// The quantiles of each block's misses about their median. The median
    /// itself is left out: misses of neighbouring origins are so alike that it
    /// is noise, and moving the forecast by it did harm on every set tried.
    pub fn offsets(&self, levels: &[f64]) -> Offsets {
        let mut rows = Array2::zeros((self.blocks.len(), levels.len()));
        for (block, mut row) in self.blocks.iter().zip(rows.rows_mut()) {
            let (mut median, mut found) = ([0.0], vec![0.0; levels.len()]);
            weighted_quantiles(block, &[0.5], &mut median);
            weighted_quantiles(block, levels, &mut found);
            row.iter_mut().zip(&found).for_each(|(cell, offset)| *cell = (offset - median[0]) as f32);
        }
        Offsets { link: self.link, rows }
    }
}

/// How far the quantiles lie from a point forecast.
#[derive(Debug, Clone)]
pub(super) struct Offsets {
    link: Link,
    /// On the scale of the link, shape `[blocks, levels]`; short numbers, since
    /// they are kept of every series.
    rows: Array2<f32>,
}

impl Offsets {
    /// The quantiles about `path`, shape `[horizon, levels]`.
    pub fn around(&self, path: &Array1<f64>) -> Array2<f64> {
        let mut values = Array2::zeros((path.len(), self.rows.ncols()));
        for (step, (centre, mut row)) in path.iter().zip(values.rows_mut()).enumerate() {
            let wanted = BLOCK_ENDS.iter().position(|end| step < *end).unwrap_or(0);
            let wanted = wanted.min(self.rows.nrows().saturating_sub(1));
            let centre = self.link.apply(*centre);
            for (column, cell) in row.iter_mut().enumerate() {
                let offset = self.rows.get([wanted, column]).copied().unwrap_or(0.0);
                *cell = self.link.invert(centre + f64::from(offset));
            }
        }
        values
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + size_of::<f32>() * self.rows.len()
    }
}
