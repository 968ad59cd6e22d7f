//! Seasonal windows: the shape of the last seasons, moved to today's level.
//!
//! The point forecast of a step is the recency-weighted mean of the values at
//! the same place in the last four seasons, each as its distance from its own
//! season's mean, added to the mean of the last season. The quantiles come from
//! what the same rule would have missed by in the seasons that are known
//! (Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd ed.,
//! sections 5.2 and 5.5, with out-of-sample in place of in-sample residuals).

use ndarray::{Array1, Array2, ArrayView1};

use super::{Abstention, Fitted, Forecast, Model, Quantiles};
use crate::series::stats;

/// Seasons looked back at.
const SEASONS_KEPT: usize = 4;
/// The weight of a season relative to the next younger one.
const FADING: f64 = 0.7;
/// Samples without which no forecast is made.
const LEAST_SAMPLES: usize = 12;

/// Seasonal windows, with the longest season that the history holds twice.
#[derive(Debug, Clone, Copy, Default)]
pub struct Seasonal;

impl Model for Seasonal {
    fn name(&self) -> &'static str {
        "seasonal windows"
    }

    fn fit(&self, history: ArrayView1<'_, f64>, seasons: &[usize]) -> Result<Box<dyn Fitted>, Abstention> {
        let known = known_part(history)?;
        // Without a season that fits twice, a single step is the season: the
        // forecast is then the recent level with the misses around it.
        let fits = |season: &&usize| **season > 1 && known.len() >= 2 * **season;
        let season = seasons.iter().filter(fits).max().copied().unwrap_or(1);
        let kept_from = known.len().saturating_sub((2 * SEASONS_KEPT) * season.max(24));
        Ok(Box::new(FittedSeasonal {
            misses: misses(&known[kept_from..], season),
            never_negative: known.iter().all(|value| value.is_nan() || *value >= 0.0),
            known: known[kept_from..].to_vec(),
            season,
        }))
    }
}

/// The history from its first to its last sample.
fn known_part(history: ArrayView1<'_, f64>) -> Result<Vec<f64>, Abstention> {
    let samples = history.iter().filter(|value| value.is_finite()).count();
    if samples == 0 {
        return Err(Abstention::NoSamples);
    }
    if samples < LEAST_SAMPLES {
        return Err(Abstention::TooShort { have: samples, need: LEAST_SAMPLES });
    }
    let first = history.iter().position(|value| value.is_finite()).unwrap_or(0);
    Ok(history.iter().skip(first).map(|value| if value.is_finite() { *value } else { f64::NAN }).collect())
}

struct FittedSeasonal {
    /// The youngest part of the history, `NaN` for gaps.
    known: Vec<f64>,
    season: usize,
    /// What the rule missed by, sorted upwards.
    misses: Vec<f64>,
    never_negative: bool,
}

impl Fitted for FittedSeasonal {
    fn predict(&self, horizon: usize, quantiles: &Quantiles) -> Forecast {
        let floor = if self.never_negative { 0.0 } else { f64::NEG_INFINITY };
        let shape = shape_ahead(&self.known, self.season);
        let level = level_of(&self.known, self.season);
        let mean = Array1::from_shape_fn(horizon, |step| (level + shape[step % self.season]).max(floor));
        let offsets: Vec<f64> = quantiles
            .levels()
            .iter()
            .map(|level| stats::quantile_of_sorted(&self.misses, *level).unwrap_or(0.0))
            .collect();
        let values = Array2::from_shape_fn((horizon, offsets.len()), |(step, column)| {
            (level + shape[step % self.season] + offsets[column]).max(floor)
        });
        Forecast { mean, quantiles: quantiles.clone(), values }
    }
}

/// The mean of the last season's samples; without any, of all samples.
fn level_of(known: &[f64], season: usize) -> f64 {
    let recent = &known[known.len().saturating_sub(season.max(3))..];
    stats::mean(recent).or_else(|| stats::mean(known)).unwrap_or(0.0)
}

/// The expected distance from the level at each place of the coming season.
fn shape_ahead(known: &[f64], season: usize) -> Vec<f64> {
    let mut sums = vec![(0.0, 0.0); season];
    if season == 1 {
        return vec![0.0];
    }
    for (age, window) in known.rchunks_exact(season).take(SEASONS_KEPT).enumerate() {
        let Some(level) = stats::mean(window) else { continue };
        let weight = FADING.powi(age as i32);
        for (sum, value) in sums.iter_mut().zip(window).filter(|(_, value)| value.is_finite()) {
            *sum = (sum.0 + weight * (value - level), sum.1 + weight);
        }
    }
    sums.into_iter().map(|(sum, weight)| if weight > 0.0 { sum / weight } else { 0.0 }).collect()
}

/// What the rule would have missed by over the known seasons, sorted upwards:
/// each season is forecast from those before it alone.
fn misses(known: &[f64], season: usize) -> Vec<f64> {
    // A history without a season is walked in pieces, to keep this linear.
    let piece = if season == 1 { (known.len() / 32).max(1) } else { season };
    let mut missed = Vec::with_capacity(known.len());
    let mut cut = known.len();
    while cut > piece && cut > season {
        cut -= piece;
        let past = &known[..cut];
        if past.len() < season || stats::mean(past).is_none() {
            break;
        }
        let (shape, level) = (shape_ahead(past, season), level_of(past, season));
        let ahead = known[cut..].iter().take(piece).enumerate();
        missed.extend(
            ahead
                .filter(|(_, value)| value.is_finite())
                .map(|(step, value)| value - level - shape[step % season]),
        );
    }
    stats::sorted_finite(&missed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fit(values: &[f64], seasons: &[usize]) -> Result<Box<dyn Fitted>, Abstention> {
        Seasonal.fit(ArrayView1::from(values), seasons)
    }

    #[test]
    fn a_clean_rhythm_is_continued_without_doubt() {
        let values: Vec<f64> = (0..240).map(|hour| 10.0 + f64::from(hour % 24)).collect();
        let forecast = fit(&values, &[24]).unwrap().predict(48, &Quantiles::default());
        for (step, mean) in forecast.mean.iter().enumerate() {
            assert!((mean - (10.0 + (step % 24) as f64)).abs() < 1e-9);
        }
        assert_eq!(forecast.peak(0.9), Some((23, 33.0)));
    }

    #[test]
    fn too_little_is_said_to_be_too_little() {
        assert_eq!(fit(&[f64::NAN; 50], &[24]).err(), Some(Abstention::NoSamples));
        assert_eq!(fit(&[1.0; 11], &[24]).err(), Some(Abstention::TooShort { have: 11, need: 12 }));
        assert!(fit(&[1.0; 12], &[24, 168]).is_ok());
    }

    #[test]
    fn noise_widens_the_band_about_as_much_as_it_should() {
        let noise = |hour: u32| f64::from((hour.wrapping_mul(2_654_435_761) >> 8) % 1000) / 1000.0;
        let values: Vec<f64> = (0..24 * 14).map(|hour| 5.0 + noise(hour)).collect();
        let forecast = fit(&values, &[24]).unwrap().predict(24, &Quantiles::default());
        let width = forecast.values[[0, 8]] - forecast.values[[0, 0]];
        assert!((0.7..1.3).contains(&width), "uniform noise of 1 spans 0.8 from 10 % to 90 %, found {width}");
    }

    proptest! {
        #[test]
        fn forecasts_are_finite_and_ordered_on_any_input(
            values in proptest::collection::vec(prop_oneof![
                Just(f64::NAN), Just(0.0), -1e9..1e9_f64, Just(f64::INFINITY)
            ], 0..200),
            seasons in proptest::collection::vec(0_usize..60, 0..3),
            horizon in 0_usize..60,
        ) {
            if let Ok(fitted) = fit(&values, &seasons) {
                let forecast = fitted.predict(horizon, &Quantiles::default());
                prop_assert_eq!(forecast.mean.len(), horizon);
                prop_assert!(forecast.mean.iter().chain(forecast.values.iter()).all(|value| value.is_finite()));
                for row in forecast.values.rows() {
                    prop_assert!(row.iter().zip(row.iter().skip(1)).all(|(low, high)| low <= high));
                }
            }
        }
    }
}
