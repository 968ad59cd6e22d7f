//! The forecasts that stand, at rest: each hour's quantiles in single precision,
//! which is more than any quota is set to. Who needs one gets it made again.

use std::collections::HashMap;
use std::sync::Arc;

use ndarray::{Array1, Array2};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::resting::Resting;
use super::{ForecastRecord, SeriesKey};
use crate::domain::{ModelVersion, Resource, Timestamp};
use crate::forecast::{Abstention, Forecast, Quantiles};
use crate::ports::Shelf;
use crate::rightsize::DatedForecast;

/// The name of what makes the daemon's forecasts.
pub(super) const MODEL: &str = "ensemble";

/// The forecasts by their series.
#[derive(Debug)]
pub(super) struct Forecasts {
    made: RwLock<HashMap<SeriesKey, Made>>,
    written: Resting<Written>,
}

/// What is known of a forecast without reading it.
#[derive(Debug, Clone)]
struct Made {
    fitted_to: Timestamp,
    made_by: Arc<ModelVersion>,
    abstention: Option<Abstention>,
}

/// A forecast as it rests.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    start: Timestamp,
    levels: Vec<f64>,
    mean: Vec<f32>,
    /// A row an hour, one after the other.
    values: Vec<f32>,
}

impl Forecasts {
    /// None yet.
    pub fn new(shelf: Arc<dyn Shelf>) -> Self {
        Forecasts { made: RwLock::default(), written: Resting::new(shelf) }
    }

    /// The forecast of a series.
    pub fn get(&self, key: &SeriesKey) -> Option<ForecastRecord> {
        let Made { fitted_to, made_by, abstention } = self.made.read().get(key)?.clone();
        let forecast = match abstention {
            Some(abstention) => Err(abstention),
            None => Ok(self.written.get(key)?.read()?),
        };
        Some(ForecastRecord { fitted_to, forecast, made_by })
    }

    /// The first instant after the usage that a series' forecast was made from.
    pub fn fitted_to(&self, key: &SeriesKey) -> Option<Timestamp> {
        self.made.read().get(key).map(|made| made.fitted_to)
    }

    /// Lays a forecast down in the place of the one before.
    pub fn put(&self, key: SeriesKey, record: &ForecastRecord) {
        let ForecastRecord { fitted_to, forecast, made_by } = record;
        let abstention = match forecast {
            Ok(forecast) => {
                self.written.put(&key, &Written::of(forecast));
                None
            }
            Err(abstention) => {
                self.written.forget(&key);
                Some(abstention.clone())
            }
        };
        let made = Made { fitted_to: *fitted_to, made_by: Arc::clone(made_by), abstention };
        self.made.write().insert(key, made);
    }

    /// Forgets a resource's forecasts, so that they are made again.
    pub fn forget(&self, resource: Resource) {
        self.made.write().retain(|key, _| key.resource != resource);
        self.written.retain(|key| key.resource != resource);
    }
}

impl Written {
    fn of(dated: &DatedForecast) -> Self {
        let DatedForecast { start, forecast, .. } = dated;
        Written {
            start: *start,
            levels: forecast.quantiles.levels().to_vec(),
            mean: forecast.mean.iter().map(|value| *value as f32).collect(),
            values: forecast.values.iter().map(|value| *value as f32).collect(),
        }
    }

    fn read(self) -> Option<DatedForecast> {
        let quantiles = Quantiles::new(&self.levels).ok()?;
        let mean: Array1<f64> = self.mean.into_iter().map(f64::from).collect();
        let values = self.values.into_iter().map(f64::from).collect();
        let values = Array2::from_shape_vec((mean.len(), quantiles.levels().len()), values).ok()?;
        let forecast = Forecast { mean, quantiles, values, members: Vec::new() };
        Some(DatedForecast { model: MODEL, start: self.start, forecast })
    }
}
