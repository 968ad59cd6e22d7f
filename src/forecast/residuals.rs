//! What a point forecast missed by, and the quantiles that follow from it.

use std::ops::Range;

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::link::Link;

/// The ends of the blocks of steps ahead that share their misses.
const BLOCK_ENDS: [usize; 9] = [1, 3, 6, 12, 24, 48, 96, 192, usize::MAX];

/// Misses on the scale of a link, by block of steps ahead.
#[derive(Debug, Clone)]
pub(super) struct Residuals {
    link: Link,
    /// Sorted upwards.
    blocks: Vec<Vec<f64>>,
}

impl Residuals {
    /// Collects the misses of the forecasts in `tried`, shape
    /// `[horizon, origins]`, made at those `origins` with a place in `used`,
    /// against the samples. Both are on the scale of the link.
    pub fn of(
        link: Link,
        linked: &[f64],
        origins: &[usize],
        tried: &Array2<f64>,
        used: Range<usize>,
    ) -> Self {
        let ends = BLOCK_ENDS.iter().map(|end| *end.min(&tried.nrows()));
        let starts = std::iter::once(0).chain(BLOCK_ENDS);
        let block = |(start, end): (usize, usize)| {
            let mut block = Vec::with_capacity((end - start) * used.len());
            for step in start..end {
                let forecasts = tried.row(step);
                let pairs = used
                    .clone()
                    .filter_map(|place| Some(linked.get(origins[place] + step)? - forecasts[place]));
                block.extend(pairs.filter(|miss| miss.is_finite()));
            }
            block.sort_unstable_by(f64::total_cmp);
            block
        };
        let spans = starts.zip(ends).filter(|(start, end)| start < end);
        Residuals { link, blocks: spans.map(block).collect() }
    }

    /// These misses and `others` of the same forecasts.
    pub fn and(mut self, others: Residuals) -> Self {
        for (block, others) in self.blocks.iter_mut().zip(others.blocks) {
            block.extend(others);
            // Two sorted runs, which a stable sort merges.
            block.sort_by(f64::total_cmp);
        }
        self
    }

    /// The quantiles of each block's misses about their median. The median
    /// itself is left out: misses of neighbouring origins are so alike that it
    /// is noise, and moving the forecast by it did harm on every set tried.
    pub fn offsets(&self, levels: &[f64]) -> Offsets {
        let blocks: Vec<&Vec<f64>> = self.blocks.iter().filter(|block| !block.is_empty()).collect();
        let mut rows = Array2::zeros((blocks.len(), levels.len()));
        for (block, mut row) in blocks.into_iter().zip(rows.rows_mut()) {
            let median = middle_quantile(block, 0.5);
            let found = levels.iter().map(|level| middle_quantile(block, *level));
            row.iter_mut().zip(found).for_each(|(cell, offset)| *cell = (offset - median) as f32);
        }
        Offsets { link: self.link, rows }
    }
}

/// The `q` quantile of values sorted upwards, at least one: each stands at the
/// middle of its share (Hyndman and Fan 1996, type 5).
fn middle_quantile(sorted: &[f64], q: f64) -> f64 {
    let last = sorted.len() - 1;
    let place = (q * sorted.len() as f64 - 0.5).clamp(0.0, last as f64);
    let (below, part) = (place as usize, place.fract());
    sorted[below] + (sorted[(below + 1).min(last)] - sorted[below]) * part
}

/// How far the quantiles lie from a point forecast.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Offsets {
    link: Link,
    /// On the scale of the link, shape `[blocks, levels]`; short numbers, since
    /// they are kept of every series.
    #[serde(with = "written")]
    rows: Array2<f32>,
}

impl Offsets {
    /// The quantiles about `path`, shape `[horizon, levels]`. Beyond the blocks
    /// that are known the last one counts.
    pub fn around(&self, path: impl ExactSizeIterator<Item = f64>) -> Array2<f64> {
        let moves = self.rows.mapv(|offset| self.link.step(f64::from(offset)));
        let mut values = Array2::zeros((path.len(), self.rows.ncols()));
        for (step, (centre, mut row)) in path.zip(values.rows_mut()).enumerate() {
            let wanted = BLOCK_ENDS.iter().position(|end| step < *end).unwrap_or(0);
            match moves.nrows().checked_sub(1) {
                Some(last) => self.link.shift(centre, moves.row(wanted.min(last)), row),
                None => row.fill(centre),
            }
        }
        values
    }

    /// How many bytes they take.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + size_of::<f32>() * self.rows.len()
    }
}

/// Rows as they rest.
mod written {
    use ndarray::Array2;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub fn serialize<S: Serializer>(rows: &Array2<f32>, to: S) -> Result<S::Ok, S::Error> {
        let values: Vec<f32> = rows.iter().copied().collect();
        (rows.nrows(), rows.ncols(), values).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Array2<f32>, D::Error> {
        let (rows, columns, values) = <(usize, usize, Vec<f32>)>::deserialize(from)?;
        Array2::from_shape_vec((rows, columns), values).map_err(de::Error::custom)
    }
}
