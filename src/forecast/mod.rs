//! What usage will be: quantiles of a series over a horizon.
//!
//! [`forecast_all`] forecasts many series together with an ensemble of members.
//! A member learns from all series and then either forecasts a series or says
//! why it abstains; the two are different types, so that nothing can be
//! predicted from a member that has seen nothing. Each forecast carries what
//! its members lost in a trial and how much each of them weighs.

mod autoregression;
pub mod backtest;
mod classical;
mod ensemble;
mod history;
mod link;
mod naive;
pub mod neural;
mod quantiles;
mod residuals;
pub mod score;
mod tracking;
mod windows;

use ndarray::{Array1, Array2, Axis};

pub use ensemble::{Fleet, Learned, MOST_STEPS, Past, forecast_all, forecast_without};
pub use naive::seasonal_naive;
pub use quantiles::Quantiles;
pub use tracking::{Tracker, WATCHED, Waiting};

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
    /// What became of each member of the ensemble.
    pub members: Vec<Verdict>,
}

impl Forecast {
    /// The forecast of these steps, counted from 0, in this order; of a step
    /// beyond the horizon the last one.
    #[must_use]
    pub fn of_steps(self, steps: &[usize]) -> Forecast {
        let last = self.mean.len().saturating_sub(1);
        let steps: Vec<usize> = steps.iter().map(|step| (*step).min(last)).collect();
        Forecast {
            mean: self.mean.select(Axis(0), &steps),
            values: self.values.select(Axis(0), &steps),
            ..self
        }
    }
}

/// What became of one member of the ensemble.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// Its name.
    pub member: &'static str,
    /// Its share in the forecast, or why it took no part.
    pub outcome: Result<Share, Abstention>,
}

/// A member's share in a forecast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Share {
    /// Its weight; the weights of a forecast sum to 1.
    pub weight: f64,
    /// Twice its pinball loss in the trial, the mean over the nine tenths, the
    /// steps and the origins, in the unit of the series.
    pub loss: f64,
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
    #[error("no sample is known")]
    NoSamples,
    /// There are too few samples.
    #[error("there are only {have} samples and {need} are needed")]
    TooShort {
        /// How many there are.
        have: usize,
        /// How many there must be.
        need: usize,
    },
    /// The horizon is too long.
    #[error("{wanted} steps are asked for and at most {most} can be forecast; ask for fewer, or resample")]
    TooFar {
        /// How many steps are asked for.
        wanted: usize,
        /// How many there may be.
        most: usize,
    },
    /// A sample is too large to be squared and added up.
    #[error("a sample of {value:e} lies beyond {most:e}; give the series in a larger unit")]
    TooLarge {
        /// The sample.
        value: f64,
        /// How far from zero a sample may lie.
        most: f64,
    },
    /// What is known before the trial shows none of its seasons twice.
    #[error("no season lies twice in what is known before the part that models are tried on")]
    NoSeason,
    /// The model learnt another season.
    #[error("the season is {season} steps and the model learnt one of {learnt}; give it by the hour")]
    OtherSeason {
        /// The season of the series, 1 where it shows none.
        season: usize,
        /// The one it learnt.
        learnt: usize,
    },
    /// The history is long enough for other models.
    #[error("{have} samples are enough for the models that are fitted to them")]
    NotNeeded {
        /// How many there are.
        have: usize,
    },
    /// Other series of the fleet gave it no weight.
    #[error("it weighed nothing on the series of the fleet that were tried")]
    Idle,
    /// The weights of the network can't be used.
    #[error("the network's weights can't be used")]
    NoNetwork,
    /// There is no variation, or the lags reach back too far.
    #[error("the history is too short for its lags, or nothing in it varies")]
    NothingToRegress,
}
