//! What usage will be: quantiles of a series over a horizon.
//!
//! A [`Model`] looks at a history and either gives a [`Fitted`] model or says
//! why it abstains; a fitted model predicts. The two are different types, so
//! that nothing can be predicted from a model that has seen nothing.

mod autoregression;
mod ensemble;
mod history;
mod link;
mod quantiles;
mod residuals;
mod seasonal;
mod windows;

use ndarray::{Array1, Array2, ArrayView1};

pub use ensemble::{Past, forecast_all};
pub use quantiles::Quantiles;
pub use seasonal::Seasonal;

/// A way to forecast.
pub trait Model: Send + Sync {
    /// Its name in tables and evidence.
    fn name(&self) -> &'static str;

    /// Looks at a history of shape `[n]`, `NaN` for gaps, with the lengths of
    /// its seasons in steps, the shortest first.
    ///
    /// # Errors
    /// Abstains, with the reason, where it can't say anything of worth.
    fn fit(&self, history: ArrayView1<'_, f64>, seasons: &[usize]) -> Result<Box<dyn Fitted>, Abstention>;
}

/// A model that has seen a history.
pub trait Fitted: Send + Sync {
    /// The forecast for the `horizon` steps after the history.
    fn predict(&self, horizon: usize, quantiles: &Quantiles) -> Forecast;
}

/// A forecast over a horizon. All values are finite, and no quantile lies
/// below a smaller one.
#[derive(Debug, Clone)]
pub struct Forecast {
    /// The expected value, shape `[horizon]`.
    pub mean: Array1<f64>,
    /// The levels of the columns of `values`, rising.
    pub quantiles: Quantiles,
    /// The quantiles, shape `[horizon, levels]`.
    pub values: Array2<f64>,
}

impl Forecast {
    /// The largest value at the level nearest to `quantile`, and its step,
    /// counted from 0. `None` for an empty horizon.
    pub fn peak(&self, quantile: f64) -> Option<(usize, f64)> {
        let column = self.quantiles.nearest(quantile);
        let column = self.values.column(column);
        // The first of equal peaks: it is the one that comes soonest.
        column.iter().copied().enumerate().reduce(|best, next| if next.1 > best.1 { next } else { best })
    }
}

/// Why there is no forecast.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Abstention {
    /// There are no samples at all.
    #[error("there are no samples")]
    NoSamples,
    /// There are too few samples.
    #[error("there are only {have} samples and {need} are needed")]
    TooShort {
        /// How many there are.
        have: usize,
        /// How many there must be.
        need: usize,
    },
}
