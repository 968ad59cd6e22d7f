//! What holds for the forecast of any series.

use super::*;
use proptest::prelude::*;

fn one(values: &[f64], seasons: &[usize], horizon: usize) -> Result<Forecast, Abstention> {
    let past = Past { values: ArrayView1::from(values), seasons };
    forecast_all(&[past], horizon, &Quantiles::default()).remove(0)
}

fn noise(seed: u32) -> f64 {
    f64::from((seed.wrapping_mul(2_654_435_761) >> 8) % 1000) / 1000.0
}

#[test]
fn a_clean_rhythm_is_continued() {
    let wave = |hour: u32| 10.0 + (f64::from(hour) * std::f64::consts::TAU / 24.0).sin() * 4.0;
    let values: Vec<f64> = (0..600).map(wave).collect();
    let forecast = one(&values, &[24, 168], 48).unwrap();
    for (step, mean) in forecast.mean.iter().enumerate() {
        assert!((mean - wave(600 + step as u32)).abs() < 0.2, "{step}: {mean}");
    }
}

#[test]
fn a_regression_beats_the_last_season_on_a_drifting_rhythm() {
    let value = |hour: u32| {
        20.0 + f64::from(hour) * 0.02
            + (f64::from(hour) * std::f64::consts::TAU / 24.0).sin() * 4.0
            + noise(hour)
    };
    let values: Vec<f64> = (0..700).map(value).collect();
    let forecast = one(&values, &[24, 168], 48).unwrap();
    let truth: Vec<f64> = (700..748).map(value).collect();
    let miss =
        |found: &dyn Fn(usize) -> f64| (0..48).map(|step| (truth[step] - found(step)).abs()).sum::<f64>();
    let naive = miss(&|step| values[700 - 24 + step % 24]);
    let found = miss(&|step| forecast.mean[step]);
    assert!(found < 0.8 * naive, "{found} {naive}");
}

#[test]
fn noise_is_covered_about_as_often_as_it_should_be() {
    let values: Vec<f64> = (0..24 * 40).map(|hour| 5.0 + noise(hour)).collect();
    let forecast = one(&values[..24 * 30], &[24], 240).unwrap();
    let rows = values[24 * 30..].iter().zip(forecast.values.rows());
    let covered = rows.filter(|(value, row)| row[0] <= **value && **value <= row[8]).count();
    assert!((168..=216).contains(&covered), "{covered} of 240");
}

#[test]
fn constant_zero_and_short_histories_are_carried_on() {
    for (values, seasons) in
        [(vec![3.0; 12], vec![24]), (vec![0.0; 300], vec![24, 168]), (vec![-2.0; 100], vec![])]
    {
        let forecast = one(&values, &seasons, 30).unwrap();
        assert!(forecast.values.iter().all(|value| (value - values[0]).abs() < 1e-9), "{forecast:?}");
    }
    assert_eq!(one(&[1.0; 11], &[24], 5).err(), Some(Abstention::TooShort { have: 11, need: 12 }));
    assert_eq!(one(&[f64::NAN; 40], &[24], 5).err(), Some(Abstention::NoSamples));
}

#[test]
fn a_fleet_is_forecast_in_its_order_and_each_series_abstains_alone() {
    let values: Vec<Vec<f64>> =
        (0..12).map(|tenant| (0..300).map(|hour| f64::from(tenant * 100) + noise(hour)).collect()).collect();
    let mut fleet: Vec<Past<'_>> =
        values.iter().map(|values| Past { values: ArrayView1::from(values), seasons: &[24] }).collect();
    fleet[3].values = ArrayView1::from(&[]);
    let forecasts = forecast_all(&fleet, 10, &Quantiles::default());
    for (tenant, forecast) in forecasts.iter().enumerate() {
        match forecast {
            Ok(forecast) => assert!((forecast.mean[0] - tenant as f64 * 100.0).abs() < 2.0),
            Err(reason) => assert_eq!((tenant, reason), (3, &Abstention::NoSamples)),
        }
    }
}

proptest! {
    #[test]
    fn forecasts_are_finite_and_ordered_on_any_input(
        values in proptest::collection::vec(prop_oneof![
            Just(f64::NAN), Just(0.0), Just(5.0), 0.0..10.0_f64, -1e9..1e9_f64, Just(f64::MAX), Just(1e-300), Just(f64::INFINITY)
        ], 0..260),
        seasons in proptest::collection::vec(0_usize..60, 0..3),
        horizon in 0_usize..60,
    ) {
        if let Ok(forecast) = one(&values, &seasons, horizon) {
            prop_assert_eq!(forecast.mean.len(), horizon);
            prop_assert!(forecast.mean.iter().chain(forecast.values.iter()).all(|value| value.is_finite()));
            for row in forecast.values.rows() {
                prop_assert!(row.iter().zip(row.iter().skip(1)).all(|(low, high)| low <= high));
            }
        }
    }

    #[test]
    fn what_is_never_negative_is_forecast_so(values in proptest::collection::vec(0.0..1e6_f64, 12..200)) {
        let forecast = one(&values, &[24], 24).unwrap();
        prop_assert!(forecast.values.iter().all(|value| *value >= 0.0));
    }
}
