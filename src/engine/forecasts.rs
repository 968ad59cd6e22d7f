//! The forecasts that stand, at rest: each hour's quantiles in single precision,
//! which is more than any quota is set to. Who needs one gets it made again.
//!
//! Most hours bring a forecast of the next day only. It takes the place of the
//! beginning of the one that stands, which goes on behind it; that one was made
//! for some hours more than anybody is shown, so that the horizon stays whole.

use std::collections::HashMap;
use std::sync::Arc;

use ndarray::{Array1, Array2};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::resting::Resting;
use super::{ForecastRecord, SeriesKey};
use crate::domain::{ModelVersion, Resource, Step, Timestamp};
use crate::forecast::{Abstention, Forecast, Quantiles};
use crate::ports::Shelf;
use crate::rightsize::DatedForecast;
use crate::series::dense;

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
    /// The hours that are shown, from the first.
    horizon: usize,
    /// How many hours there are, or why there are none.
    hours: Result<usize, Abstention>,
}

/// A forecast as it rests.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    start: Timestamp,
    #[serde(with = "dense")]
    levels: Vec<f64>,
    #[serde(with = "dense")]
    mean: Vec<f32>,
    /// A row an hour, one after the other.
    #[serde(with = "dense")]
    values: Vec<f32>,
}

impl Forecasts {
    /// None yet.
    pub fn new(shelf: Arc<dyn Shelf>) -> Self {
        Forecasts { made: RwLock::default(), written: Resting::new(shelf) }
    }

    /// The forecast of a series.
    pub fn get(&self, key: &SeriesKey) -> Option<ForecastRecord> {
        let Made { fitted_to, made_by, horizon, hours } = self.made.read().get(key)?.clone();
        let forecast = match hours {
            Err(abstention) => Err(abstention),
            Ok(_) => Ok(self.written.get(key)?.read(horizon)?),
        };
        Some(ForecastRecord { fitted_to, forecast, made_by })
    }

    /// The first instant after the usage that a series' forecast was made from.
    pub fn fitted_to(&self, key: &SeriesKey) -> Option<Timestamp> {
        self.made.read().get(key).map(|made| made.fitted_to)
    }

    /// Whether what a version of models said of a series reaches over the horizon
    /// also from a later `start`.
    pub fn suffices(&self, key: &SeriesKey, version: u64, start: Timestamp) -> bool {
        let made = self.made.read();
        made.get(key).is_some_and(|made| {
            let passed = Step::HOUR.count_in(start.since(made.fitted_to));
            let reaches = made.hours.as_ref().is_ok_and(|hours| *hours >= passed + made.horizon);
            made.made_by.version == version && reaches
        })
    }

    /// Lays a forecast down in the place of the one before. Where it has not the
    /// hours of the `horizon` the one before goes on behind it.
    pub fn put(&self, key: SeriesKey, record: &ForecastRecord, horizon: usize) {
        let ForecastRecord { fitted_to, forecast, made_by } = record;
        let hours = match forecast {
            Ok(forecast) => {
                let mut written = Written::of(forecast);
                if written.mean.len() < horizon
                    && let Some(before) = self.written.get(&key)
                {
                    written.go_on_as(&before);
                }
                self.written.put(&key, &written);
                Ok(written.mean.len())
            }
            Err(abstention) => {
                self.written.forget(&key);
                Err(abstention.clone())
            }
        };
        let made = Made { fitted_to: *fitted_to, made_by: Arc::clone(made_by), horizon, hours };
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

    /// Takes over the hours of an older one behind its own.
    fn go_on_as(&mut self, older: &Written) {
        let (levels, passed) = (self.levels.len(), Step::HOUR.count_in(self.start.since(older.start)));
        let from = passed + self.mean.len();
        if older.levels == self.levels && older.start <= self.start && from < older.mean.len() {
            self.mean.extend_from_slice(&older.mean[from..]);
            self.values.extend_from_slice(&older.values[from * levels..]);
        }
    }

    /// The forecast of the hours of a horizon.
    fn read(self, horizon: usize) -> Option<DatedForecast> {
        let quantiles = Quantiles::new(&self.levels).ok()?;
        let mean: Array1<f64> = self.mean.into_iter().take(horizon).map(f64::from).collect();
        let shown = mean.len() * self.levels.len();
        let values = self.values.into_iter().take(shown).map(f64::from).collect();
        let values = Array2::from_shape_vec((mean.len(), quantiles.levels().len()), values).ok()?;
        let forecast = Forecast { mean, quantiles, values, members: Vec::new() };
        Some(DatedForecast { model: MODEL, start: self.start, forecast })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ModelState;
    use crate::store::MemoryShelf;

    fn key() -> SeriesKey {
        SeriesKey { tenant: "acme".parse().unwrap(), resource: Resource::CpuCores }
    }

    /// `hours` from an hour on, of each what `value` says.
    fn record(hour: i64, hours: usize, version: u64, value: impl Fn(i64) -> f64) -> ForecastRecord {
        let start = Timestamp::from_seconds(hour * 3600);
        let quantiles = Quantiles::new(&[0.5, 0.9]).unwrap();
        let mean: Array1<f64> = (0..hours).map(|ahead| value(hour + ahead as i64)).collect();
        let values = Array2::from_shape_fn((hours, 2), |(ahead, level)| mean[ahead] + level as f64);
        let forecast = Forecast { mean, quantiles, values, members: Vec::new() };
        let about = ModelVersion {
            resource: Resource::CpuCores,
            version,
            state: ModelState::Champion,
            reason: String::new(),
            fitted_at: start,
            window_from: start,
            window_to: start,
            series: 1,
            members: Vec::new(),
            backtest: None,
            live: None,
        };
        ForecastRecord {
            fitted_to: start,
            forecast: Ok(DatedForecast { model: MODEL, start, forecast }),
            made_by: Arc::new(about),
        }
    }

    #[test]
    fn a_near_forecast_takes_the_beginning_and_the_one_before_goes_on_behind_it() {
        let forecasts = Forecasts::new(Arc::new(MemoryShelf::default()));
        let at = |hour: i64| Timestamp::from_seconds(hour * 3600);
        assert!(!forecasts.suffices(&key(), 1, at(100)));
        forecasts.put(key(), &record(100, 50, 1, |hour| hour as f64), 48);
        assert!(forecasts.suffices(&key(), 1, at(102)) && !forecasts.suffices(&key(), 1, at(103)));
        assert!(!forecasts.suffices(&key(), 2, at(102)), "of another version");
        let shown = |record: Option<ForecastRecord>| record.unwrap().forecast.unwrap().forecast;
        assert_eq!(shown(forecasts.get(&key())).mean.len(), 48, "what is to spare is not shown");
        forecasts.put(key(), &record(102, 26, 1, |hour| 1000.0 + hour as f64), 48);
        let spliced = shown(forecasts.get(&key()));
        let wanted = (102..150).map(|hour| if hour < 128 { 1000.0 + hour as f64 } else { hour as f64 });
        assert_eq!(spliced.mean.to_vec(), wanted.collect::<Vec<_>>());
        assert_eq!(spliced.values.column(1), spliced.mean.mapv(|value| value + 1.0));
        assert!(forecasts.suffices(&key(), 1, at(102)) && !forecasts.suffices(&key(), 1, at(103)));
        // Behind a gap nothing goes on.
        forecasts.put(key(), &record(400, 26, 1, |hour| hour as f64), 48);
        assert_eq!(shown(forecasts.get(&key())).mean.len(), 26);
        assert!(!forecasts.suffices(&key(), 1, at(400)), "so that the whole is made next");
    }
}
