//! The last season, carried on: what every other model has to beat.
//!
//! The quantiles are those of the changes from a season to the next over the
//! whole history (Hyndman and Athanasopoulos, Forecasting: Principles and
//! Practice, 3rd ed., section 5.2).

use ndarray::{Array1, Array2};

use super::history::History;
use super::{Abstention, Forecast, Past, Quantiles};
use crate::series::stats;

/// Carries on the shortest season that the history holds twice; without one,
/// the last value.
///
/// # Errors
/// Abstains where there are too few samples.
pub fn seasonal_naive(
    past: &Past<'_>,
    horizon: usize,
    quantiles: &Quantiles,
) -> Result<Forecast, Abstention> {
    let history = History::prepare(past.values, past.seasons)?;
    let season = history.season;
    let last = &history.filled[history.len() - season..];
    let changes = history.known.iter().zip(history.known.iter().skip(season));
    let changes: Vec<f64> = changes.map(|(early, late)| late - early).collect();
    let changes = stats::sorted_finite(&changes);
    let change = |level: &f64| stats::quantile_of_sorted(&changes, *level).unwrap_or(0.0);
    let offsets: Vec<f64> = quantiles.levels().iter().map(change).collect();
    let floor = if history.never_negative { 0.0 } else { f64::MIN };
    let mean = Array1::from_shape_fn(horizon, |step| last[step % season]);
    let values = Array2::from_shape_fn((horizon, offsets.len()), |(step, column)| {
        (mean[step] + offsets[column]).max(floor)
    });
    Ok(Forecast { mean, quantiles: quantiles.clone(), values, members: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::ArrayView1;

    #[test]
    fn the_last_season_comes_again() {
        let values: Vec<f64> = (0..48).map(|hour| f64::from(hour % 24)).collect();
        let past = Past { values: ArrayView1::from(&values), seasons: &[24] };
        let forecast = seasonal_naive(&past, 30, &Quantiles::default()).unwrap();
        assert_eq!((forecast.mean[0], forecast.mean[23], forecast.mean[24]), (0.0, 23.0, 0.0));
        assert_eq!(forecast.values[[5, 8]], 5.0, "a season that never changed leaves no doubt");
    }
}
