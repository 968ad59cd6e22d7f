//! Forecasts every series whose forecast is due: one that has none yet, or
//! whose usage has grown by the refit interval since.

use std::sync::Arc;

use super::{Engine, EngineError, ForecastRecord, Progress, SeriesKey};
use crate::domain::Step;
use crate::forecast::{Abstention, Forecast, Past, Quantiles, forecast_all};
use crate::rightsize::DatedForecast;
use crate::series::{Aggregate, Frame, UsageSeries, resample};

/// A day and a week of hours.
const SEASONS: [usize; 2] = [24, 168];

impl Engine {
    /// Makes the forecasts that are due; gives how many.
    pub(super) async fn learn(self: &Arc<Self>, progress: &dyn Progress) -> Result<usize, EngineError> {
        let frames = self.workspace.all_frames();
        progress.begin("learn", frames.len());
        let mut made = 0;
        for frame in frames {
            let engine = Arc::clone(self);
            let records = self.parts.compute.run(move || engine.forecasts_due(&frame)).await?;
            made += records.len();
            self.workspace.put_forecasts(records);
            progress.advance();
        }
        Ok(made)
    }

    fn forecasts_due(&self, frame: &Frame) -> Vec<(SeriesKey, ForecastRecord)> {
        let horizon = Step::HOUR.count_in(self.settings.horizon).max(1);
        let resource = frame.resource;
        let is_due = |key: &SeriesKey, series: &UsageSeries| {
            let known = self.workspace.forecast(key);
            known.is_none_or(|record| series.end().since(record.fitted_to) >= self.settings.refit_every)
        };
        let due: Vec<(SeriesKey, &UsageSeries)> = frame
            .series
            .iter()
            .map(|(tenant, series)| (SeriesKey { tenant: tenant.clone(), resource }, series))
            .filter(|(key, series)| is_due(key, series))
            .collect();
        let (keys, series): (Vec<SeriesKey>, Vec<&UsageSeries>) = due.into_iter().unzip();
        keys.into_iter().zip(forecast_peaks(&series, horizon)).collect()
    }
}

/// Forecasts the peak of each coming hour of series that belong together. An
/// hour that is not over yet says nothing about its peak and is left out.
pub(super) fn forecast_peaks(series: &[&UsageSeries], horizon: usize) -> Vec<ForecastRecord> {
    let hourly: Vec<UsageSeries> = series.iter().map(|series| whole_hours(series)).collect();
    let pasts: Vec<Past<'_>> =
        hourly.iter().map(|hourly| Past { values: hourly.values.view(), seasons: &SEASONS }).collect();
    let forecasts = forecast_all(&pasts, horizon, &Quantiles::for_peaks());
    let record = |(hourly, forecast): (&UsageSeries, Result<Forecast, Abstention>)| ForecastRecord {
        fitted_to: hourly.end(),
        forecast: forecast.map(|forecast| DatedForecast { model: "ensemble", start: hourly.end(), forecast }),
    };
    hourly.iter().zip(forecasts).map(record).collect()
}

/// The peaks of the hours that are over.
fn whole_hours(series: &UsageSeries) -> UsageSeries {
    let end = series.end().floor_to(Step::HOUR);
    let mut hourly = resample(series, Step::HOUR, Aggregate::Max);
    let whole_hours = hourly.index_of(end).unwrap_or(hourly.len());
    hourly.values = hourly.values.iter().take(whole_hours).copied().collect();
    hourly
}
