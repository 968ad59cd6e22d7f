//! The versions of a resource's forecasting models: when each was fitted, on
//! what, what it was worth, and what became of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Resource, Timestamp};

/// Where a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelState {
    /// Its forecasts are used.
    Champion,
    /// It forecasts beside the champion and is compared with it.
    Challenger,
    /// It was the champion, until another won.
    Retired,
    /// It was a challenger and did not win.
    Lost,
    /// It was the champion, until a person went back to the one before.
    RolledBack,
}

/// What forecasts were worth.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelScore {
    /// Values that were compared with their forecast.
    pub values: u64,
    /// The pinball loss over all levels and series, as a share of what came.
    pub quantile_loss: Option<f64>,
    /// The same beside the last day carried on; below 1 is better than that.
    pub to_seasonal_naive: Option<f64>,
    /// The mean absolute error in units of the naive one, averaged over series.
    pub scaled_error: Option<f64>,
    /// The share of values inside the interval from 10 to 90 %.
    pub cover: Option<f64>,
}

/// A model in the mix that a version is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelMember {
    /// Its name, such as `autoregressions`.
    pub name: String,
    /// Its weight in the forecasts, 0 to 1, in the mean over the series.
    pub weight: f64,
}

/// One version of a resource's models.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelVersion {
    /// What it forecasts.
    pub resource: Resource,
    /// Counts the resource's versions; the first is 1.
    pub version: u64,
    /// Where it stands.
    pub state: ModelState,
    /// Why it stands there.
    pub reason: String,
    /// When it was fitted.
    pub fitted_at: Timestamp,
    /// The first instant of the usage it was fitted to.
    pub window_from: Timestamp,
    /// The first instant after it.
    pub window_to: Timestamp,
    /// Series that it was fitted to, those that it abstains on included.
    pub series: u64,
    /// The models that weigh at least a hundredth, the heaviest first: each
    /// weighs the more the less it lost on a series so far. Empty for versions
    /// that were fitted before this was kept.
    #[serde(default)]
    pub members: Vec<ModelMember>,
    /// What its way of forecasting was worth on the last days of the window,
    /// fitted to what came before them.
    pub backtest: Option<ModelScore>,
    /// What its forecasts have been worth since they began, or since the last
    /// comparison began; one hour and a day ahead.
    pub live: Option<ModelScore>,
}
