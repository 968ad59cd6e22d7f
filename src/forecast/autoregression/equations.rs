//! The normal equations of an autoregression, without its design matrix.
//!
//! The sums of products of two lagged columns depend on little more than the
//! distance of the lags: moving both by one step drops one product at one end
//! and gains one at the other. So each distance is summed up once, and every
//! pair of lags that far apart follows by recursion. Old rows fade
//! exponentially, which the recursion carries along.

use ndarray::{Array1, Array2};

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
    /// The means themselves.
    pub means: Means,
    /// How many rows were summed up.
    pub rows: usize,
}

/// Weighted means over the rows: all that coefficients need which are not the
/// series' own.
#[derive(Debug, Clone)]
pub(super) struct Means {
    /// Of the lagged values, shape `[lags]`.
    pub lagged: Array1<f64>,
    /// Of the target.
    pub target: f64,
}

impl Means {
    /// Over all of `values` that have one at the longest lag. `None` where fewer
    /// rows than two are left, or where nothing varies.
    pub fn of(values: &[f64], lags: &[usize]) -> Option<Self> {
        let first = *lags.last()?;
        let rows = values.len().checked_sub(first).filter(|rows| *rows >= 2)?;
        let weights = fading(rows);
        let total: f64 = weights.iter().sum();
        let mean = |lag: usize| {
            let lagged = &values[first - lag..values.len() - lag];
            weights.iter().zip(lagged).map(|(weight, value)| weight * value).sum::<f64>() / total
        };
        let target = mean(0);
        let powers =
            weights.iter().zip(&values[first..]).map(|(weight, value)| weight * (value - target).powi(2));
        let means = Means { lagged: lags.iter().map(|lag| mean(*lag)).collect(), target };
        varies(powers.sum(), rows).then_some(means)
    }
}

/// Whether a sum of squares over some rows is more than rounding.
fn varies(power: f64, rows: usize) -> bool {
    let scale = power / rows as f64;
    scale.is_finite() && scale > 1e-12
}

/// Weighted sums over the rows up to some end, by distance: all that the
/// equations of any lags follow from. More rows are added at little cost.
#[derive(Debug, Clone)]
pub(super) struct Sums {
    /// The first row, and so the longest lag.
    first: usize,
    /// How many values were summed up.
    end: usize,
    /// Of the targets with the values so many steps before.
    products: Vec<f64>,
    /// Of the targets.
    values: f64,
    /// Of the weights.
    weights: f64,
}

impl Sums {
    /// Over all of `values` that have one `longest` steps before.
    pub fn of(values: &[f64], longest: usize) -> Self {
        let empty = Sums {
            first: longest,
            end: longest.min(values.len()),
            products: vec![0.0; longest + 1],
            values: 0.0,
            weights: 0.0,
        };
        empty.grown(values)
    }

    /// The same over the longer `values`.
    pub fn grown(&self, values: &[f64]) -> Self {
        let weights = fading(values.len() - self.end);
        let left = FADING.powi(weights.len() as i32);
        let weighted: Vec<f64> =
            weights.iter().zip(&values[self.end..]).map(|(weight, value)| weight * value).collect();
        let mut products: Vec<f64> = self.products.iter().map(|sum| left * sum).collect();
        add_products(&mut products, &weighted, values);
        Sums {
            first: self.first,
            end: values.len(),
            products,
            values: left * self.values + weighted.iter().sum::<f64>(),
            weights: left * self.weights + weights.iter().sum::<f64>(),
        }
    }

    /// The equations of `values`, which were summed up, for `lags` (rising, the
    /// last being the longest). `None` where fewer rows than two are left, or
    /// where nothing varies.
    pub fn equations(&self, values: &[f64], lags: &[usize]) -> Option<Equations> {
        let rows = self.end.checked_sub(self.first).filter(|rows| *rows >= 2)?;
        // The target is the lag 0.
        let columns: Vec<usize> = std::iter::once(0).chain(lags.iter().copied()).collect();
        let total = self.weights;
        let oldest = FADING.powi(rows as i32 - 1);
        let (mut products, sums) = self.by_recursion(&values[..self.end], &columns, oldest);
        let means: Vec<f64> = sums.iter().map(|sum| sum / total).collect();
        for ((row, column), product) in products.indexed_iter_mut() {
            *product -= total * means[row] * means[column];
        }
        let power = products[[0, 0]];
        varies(power, rows).then(|| Equations {
            gram: products
                .slice_axis(ndarray::Axis(0), (1..).into())
                .slice_axis(ndarray::Axis(1), (1..).into())
                .to_owned(),
            moment: products.row(0).iter().skip(1).copied().collect(),
            power,
            means: Means { lagged: means.iter().skip(1).copied().collect(), target: means[0] },
            rows,
        })
    }

    /// The weighted sums of the products of each two columns, and of each
    /// column. `oldest` is the weight of the oldest row.
    fn by_recursion(&self, values: &[f64], columns: &[usize], oldest: f64) -> (Array2<f64>, Vec<f64>) {
        let rows = self.end - self.first;
        let (mut by_distance, mut value_sum) = (self.products.clone(), self.values);
        // The youngest first, so that what a step changes lies side by side.
        let youngest: Vec<f64> = values.iter().rev().copied().collect();
        let mut products = Array2::zeros((columns.len(), columns.len()));
        let mut sums = Vec::with_capacity(columns.len());
        for lag in 0..=self.first {
            if columns.get(sums.len()) == Some(&lag) {
                let column = sums.len();
                for (other, longer) in columns.iter().enumerate().skip(column) {
                    products[[column, other]] = by_distance[longer - lag];
                    products[[other, column]] = by_distance[longer - lag];
                }
                sums.push(value_sum);
            }
            let (dropped, gained) = (&youngest[lag..], &youngest[(rows + lag).min(values.len())..]);
            let (drop, gain) = (dropped[0], oldest * gained.first().copied().unwrap_or(0.0));
            value_sum = (value_sum - drop) * (1.0 / FADING) + gain;
            // Of lags so long only the nearer ones still have one further away.
            by_distance.truncate(self.first - lag);
            for ((sum, dropped), gained) in by_distance.iter_mut().zip(dropped).zip(gained) {
                *sum = (*sum - drop * dropped) * (1.0 / FADING) + gain * gained;
            }
        }
        (products, sums)
    }
}

/// Adds to the sum of each distance the `weighted` last targets times the values
/// so many steps before. Four targets at once over all distances, so that the
/// sums are seldom fetched and put back.
fn add_products(sums: &mut [f64], weighted: &[f64], values: &[f64]) {
    // The youngest first, so that what a target looks back at is a run upwards.
    let reversed = |values: &[f64]| values.iter().rev().copied().collect::<Vec<f64>>();
    let (targets, youngest) = (reversed(weighted), reversed(values));
    let (fours, rest) = targets.as_chunks::<4>();
    for (group, [first, second, third, fourth]) in fours.iter().enumerate() {
        let seen = youngest[4 * group..].array_windows::<4>();
        for (sum, [one, two, three, four]) in sums.iter_mut().zip(seen) {
            *sum += first * one + second * two + third * three + fourth * four;
        }
    }
    for (age, target) in rest.iter().enumerate() {
        let seen = &youngest[4 * fours.len() + age..];
        sums.iter_mut().zip(seen).for_each(|(sum, value)| *sum += target * value);
    }
}

fn fading(rows: usize) -> Vec<f64> {
    let mut weights = vec![1.0; rows];
    for row in (0..rows.saturating_sub(1)).rev() {
        weights[row] = weights[row + 1] * FADING;
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recursion_gives_what_the_design_matrix_gives() {
        let values: Vec<f64> =
            (0..200_u32).map(|i| f64::from(i.wrapping_mul(2_654_435_761) >> 8) / 1e7).collect();
        let lags = [1, 2, 3, 11, 12, 24, 25, 50];
        // Half of them first, the rest later.
        let sums = Sums::of(&values[..120], 50).grown(&values);
        let found = sums.equations(&values, &lags).unwrap();
        let alone = Means::of(&values, &lags).unwrap();
        assert!((found.means.target - alone.target).abs() < 1e-9);
        let weight = |t: usize| FADING.powi((values.len() - 1 - t) as i32);
        let sum = |f: &dyn Fn(usize) -> f64| (50..200).map(|t| weight(t) * f(t)).sum::<f64>();
        let total = sum(&|_| 1.0);
        for (i, a) in lags.iter().enumerate() {
            let mean = sum(&|t| values[t - a]) / total;
            assert!((found.means.lagged[i] - mean).abs() < 1e-9);
            assert!((alone.lagged[i] - mean).abs() < 1e-9);
            for (j, b) in lags.iter().enumerate() {
                let other = sum(&|t| values[t - b]) / total;
                let product = sum(&|t| (values[t - a] - mean) * (values[t - b] - other));
                assert!((found.gram[[i, j]] - product).abs() < 1e-6 * product.abs().max(1.0));
            }
        }
    }
}
