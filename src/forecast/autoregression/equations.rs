//! The normal equations of an autoregression, without its design matrix.
//!
//! The sums of products of two lagged columns depend on little more than the
//! distance of the lags: moving both by one step drops one product at one end
//! and gains one at the other. So each distance is summed up once, and every
//! pair of lags that far apart follows by recursion. Old rows fade
//! exponentially, which the recursion carries along.

use ndarray::{Array1, Array2, ArrayView1};

/// The weight of a row relative to the next younger one.
const FADING: f64 = 0.999;

/// Weighted sums of squares and products about the weighted means.
#[derive(Debug, Clone)]
pub(super) struct Equations {
    /// Of the lagged values, shape `[lags, lags]`.
    pub gram: Array2<f64>,
    /// Of the lagged values with the target, shape `[lags]`.
    pub moment: Array1<f64>,
    /// Of the target with itself.
    pub power: f64,
    /// The weighted means of the lagged values, shape `[lags]`.
    pub means: Array1<f64>,
    /// The weighted mean of the target.
    pub target_mean: f64,
    /// How many rows were summed up.
    pub rows: usize,
}

impl Equations {
    /// Sums up `values` for `lags` (rising). `None` where fewer rows than two
    /// are left, or where nothing varies.
    pub fn of(values: &[f64], lags: &[usize]) -> Option<Self> {
        let (first, end) = (*lags.last()?, values.len());
        let rows = end.checked_sub(first).filter(|rows| *rows >= 2)?;
        // The target is the lag 0.
        let columns: Vec<usize> = std::iter::once(0).chain(lags.iter().copied()).collect();
        let weights: Vec<f64> = fading(rows);
        let weighted: Array1<f64> =
            weights.iter().zip(&values[first..]).map(|(weight, value)| weight * value).collect();
        let total: f64 = weights.iter().sum();
        let means: Array1<f64> =
            column_sums(values, &columns, &weights).into_iter().map(|sum| sum / total).collect();
        let mut sums = products(values, &columns, &weighted, weights[0]);
        for ((row, column), sum) in sums.indexed_iter_mut() {
            *sum -= total * means[row] * means[column];
        }
        let power = sums[[0, 0]];
        let scale = power / rows as f64;
        (scale.is_finite() && scale > 1e-12).then(|| Equations {
            gram: sums
                .slice_axis(ndarray::Axis(0), (1..).into())
                .slice_axis(ndarray::Axis(1), (1..).into())
                .to_owned(),
            moment: sums.row(0).iter().skip(1).copied().collect(),
            power,
            target_mean: means[0],
            means: means.iter().skip(1).copied().collect(),
            rows,
        })
    }
}

fn fading(rows: usize) -> Vec<f64> {
    let mut weights = vec![1.0; rows];
    for row in (0..rows - 1).rev() {
        weights[row] = weights[row + 1] * FADING;
    }
    weights
}

/// The weighted sum of each column.
fn column_sums(values: &[f64], columns: &[usize], weights: &[f64]) -> Vec<f64> {
    let first = values.len() - weights.len();
    let weights = ArrayView1::from(weights);
    let sum = |lag: &usize| weights.dot(&ArrayView1::from(&values[first - lag..values.len() - lag]));
    columns.iter().map(sum).collect()
}

/// The weighted sums of the products of each two columns. `weighted` is the
/// target times its weights, `oldest` the weight of the oldest row.
fn products(values: &[f64], columns: &[usize], weighted: &Array1<f64>, oldest: f64) -> Array2<f64> {
    let (rows, first) = (weighted.len(), values.len() - weighted.len());
    let shifted = |distance: usize| ArrayView1::from(&values[first - distance..values.len() - distance]);
    // One sum a distance, for the lag 0 to begin with.
    let mut by_distance: Vec<f64> = (0..=first).map(|distance| weighted.dot(&shifted(distance))).collect();
    // The youngest first, so that what a step changes lies side by side.
    let youngest: Vec<f64> = values.iter().rev().copied().collect();
    let mut sums = Array2::zeros((columns.len(), columns.len()));
    let mut column = 0;
    for lag in 0..=first {
        if columns.get(column) == Some(&lag) {
            for (other, longer) in columns.iter().enumerate().skip(column) {
                sums[[column, other]] = by_distance[longer - lag];
                sums[[other, column]] = by_distance[longer - lag];
            }
            column += 1;
        }
        let (dropped, gained) = (&youngest[lag..], &youngest[(rows + lag).min(values.len())..]);
        let (drop, gain) = (dropped[0], oldest * gained.first().copied().unwrap_or(0.0));
        for ((sum, dropped), gained) in by_distance.iter_mut().zip(dropped).zip(gained) {
            *sum = (*sum - drop * dropped) * (1.0 / FADING) + gain * gained;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recursion_gives_what_the_design_matrix_gives() {
        let values: Vec<f64> =
            (0..200_u32).map(|i| f64::from(i.wrapping_mul(2_654_435_761) >> 8) / 1e7).collect();
        let lags = [1, 2, 3, 11, 12, 24, 25, 50];
        let found = Equations::of(&values, &lags).unwrap();
        let weight = |t: usize| FADING.powi((values.len() - 1 - t) as i32);
        let sum = |f: &dyn Fn(usize) -> f64| (50..200).map(|t| weight(t) * f(t)).sum::<f64>();
        let total = sum(&|_| 1.0);
        for (i, a) in lags.iter().enumerate() {
            let mean = sum(&|t| values[t - a]) / total;
            assert!((found.means[i] - mean).abs() < 1e-9);
            for (j, b) in lags.iter().enumerate() {
                let other = sum(&|t| values[t - b]) / total;
                let product = sum(&|t| (values[t - a] - mean) * (values[t - b] - other));
                assert!((found.gram[[i, j]] - product).abs() < 1e-6 * product.abs().max(1.0));
            }
        }
    }
}
