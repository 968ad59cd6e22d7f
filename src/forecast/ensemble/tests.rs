//! What holds for the forecast of any series.

use super::*;
use crate::forecast::Tracker;
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
fn what_grows_is_forecast_to_go_on_growing() {
    // A disk that fills by a quarter in three weeks, and is known for as long.
    let value = |hour: u32| 20.0 + f64::from(hour) * 0.01 + 0.02 * noise(hour);
    let values: Vec<f64> = (0..504).map(value).collect();
    let forecast = one(&values, &[24, 168], 168).unwrap();
    for ahead in [24, 96, 168] {
        let (found, truth) = (forecast.mean[ahead - 1], value(504 + ahead as u32 - 1));
        assert!((found - truth).abs() < 0.2 * (truth - values[503]) + 0.05, "{ahead} ahead: {found} {truth}");
    }
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

#[test]
fn every_member_says_what_became_of_it() {
    let values: Vec<f64> = (0..40).map(|hour| 5.0 + noise(hour)).collect();
    let forecast = one(&values, &[], 24).unwrap();
    let shares = forecast.members.iter().filter_map(|verdict| verdict.outcome.as_ref().ok());
    assert!((shares.map(|share| share.weight).sum::<f64>() - 1.0).abs() < 1e-9);
    let season = forecast.members.iter().find(|verdict| verdict.member == "last season").unwrap();
    assert_eq!(season.outcome, Err(Abstention::NoSeason));
}

#[test]
fn what_cannot_be_answered_is_refused() {
    let far = one(&[1.0; 40], &[24], MOST_STEPS + 1);
    assert_eq!(far.err(), Some(Abstention::TooFar { wanted: MOST_STEPS + 1, most: MOST_STEPS }));
    let mut values = vec![1.0; 40];
    values[7] = 1e308;
    assert!(matches!(one(&values, &[24], 5), Err(Abstention::TooLarge { value, .. }) if value == 1e308));
}

#[test]
fn the_quantiles_of_new_tenants_are_widened_by_what_the_fleet_needs() {
    let fleet: Vec<Vec<f64>> = (0..60_u32)
        .map(|tenant| {
            let level = |hour: u32| 10.0 + 4.0 * noise(tenant * 1000 + hour / 5) + 0.1 * noise(hour);
            (0..96).map(level).collect()
        })
        .collect();
    let pasts: Vec<Past<'_>> =
        fleet.iter().map(|values| Past { values: ArrayView1::from(&values[..48]), seasons: &[24] }).collect();
    let forecasts = forecast_all(&pasts, 48, &Quantiles::default());
    let mut covered = 0;
    for (values, forecast) in fleet.iter().zip(forecasts) {
        let forecast = forecast.unwrap();
        let rows = values[48..].iter().zip(forecast.values.rows());
        covered += rows.filter(|(value, row)| row[0] <= **value && **value <= row[8]).count();
    }
    let share = covered as f64 / (60.0 * 48.0);
    assert!((0.65..=0.95).contains(&share), "{share}");
}

#[test]
fn a_masked_incident_leaves_the_forecast_as_it_was() {
    let wave = |hour: u32| 10.0 + (f64::from(hour) * std::f64::consts::TAU / 24.0).sin() * 4.0 + noise(hour);
    let clean: Vec<f64> = (0..600).map(wave).collect();
    let mut masked = clean.clone();
    masked[500..520].fill(f64::NAN);
    let (clean, masked) = (one(&clean, &[24, 168], 48).unwrap(), one(&masked, &[24, 168], 48).unwrap());
    for (clean, masked) in clean.mean.iter().zip(&masked.mean) {
        assert!((clean - masked).abs() < 0.5, "{clean} {masked}");
    }
}

#[test]
fn a_new_level_is_believed_within_days() {
    let values: Vec<f64> = (0..600).map(|hour| if hour < 504 { 10.0 } else { 30.0 } + noise(hour)).collect();
    let forecast = one(&values, &[24, 168], 24).unwrap();
    assert!(forecast.mean.iter().all(|mean| (28.0..=33.0).contains(mean)), "{:?}", forecast.mean);
}

#[test]
fn a_season_that_shifts_by_an_hour_is_followed() {
    let day = |hour: u32| if (8..18).contains(&(hour % 24)) { 20.0 } else { 5.0 };
    // From hour 552 on the clocks are an hour ahead.
    let at = |hour: u32| day(if hour < 552 { hour } else { hour + 1 }) + noise(hour);
    let values: Vec<f64> = (0..600).map(at).collect();
    let forecast = one(&values, &[24, 168], 24).unwrap();
    let miss: f64 =
        (0..24_u32).map(|step| (forecast.mean[step as usize] - at(600 + step)).abs()).sum::<f64>() / 24.0;
    assert!(miss < 2.0, "{miss}");
}

/// What a sample may be.
fn ugly() -> impl Strategy<Value = f64> {
    let odd = [f64::NAN, f64::INFINITY, 0.0, 5.0, 1e-300, 1e100, -1e100];
    prop_oneof![proptest::sample::select(odd.to_vec()), 0.0..10.0_f64, -1e9..1e9_f64]
}

/// Whether all values are finite and no quantile lies below a smaller one.
fn is_sound(forecast: &Forecast) -> bool {
    let mut cells = forecast.mean.iter().chain(&forecast.values);
    let in_order =
        |row: ArrayView1<'_, f64>| row.iter().zip(row.iter().skip(1)).all(|(low, high)| low <= high);
    cells.all(|value| value.is_finite()) && forecast.values.rows().into_iter().all(in_order)
}

/// The first `end` samples of each series.
fn until(fleet: &[Vec<f64>], end: usize) -> Vec<Past<'_>> {
    let first = |values: &[f64]| values.len().min(end);
    let cut = fleet.iter().map(|values| &values[..first(values)]);
    cut.map(|values| Past { values: ArrayView1::from(values), seasons: &[6, 24] }).collect()
}

proptest! {
    #[test]
    fn forecasts_are_finite_and_ordered_on_any_input(
        values in proptest::collection::vec(ugly(), 0..260),
        seasons in proptest::collection::vec(0_usize..60, 0..3),
        horizon in 0_usize..60,
    ) {
        if let Ok(forecast) = one(&values, &seasons, horizon) {
            prop_assert_eq!(forecast.mean.len(), horizon);
            prop_assert!(is_sound(&forecast));
        }
    }

    #[test]
    fn so_are_those_that_are_carried_on_and_corrected(
        fleet in proptest::collection::vec(proptest::collection::vec(ugly(), 12..200), 1..10),
        mut levels in proptest::collection::vec(0.001..0.999_f64, 1..6),
        fresh in 0_usize..40,
        horizon in 1_usize..40,
    ) {
        levels.push(0.5);
        let quantiles = Quantiles::new(&levels).unwrap();
        let before = until(&fleet, 160);
        let learnt = Fleet::learn(&before, horizon, &quantiles);
        for ((adopted, before), after) in
            learnt.adopt(&before).into_iter().zip(&before).zip(until(&fleet, 160 + fresh))
        {
            let Ok((learned, first)) = adopted else { continue };
            prop_assert!(is_sound(&first));
            let came = after.values.iter().skip(before.values.len());
            let mut tracker = Tracker::default();
            tracker.issue(0, &first);
            for (step, value) in (0..).zip(came.clone()) {
                tracker.observe(step, *value, &quantiles);
            }
            if let Ok(mut forecast) = learned.forecast(&learnt, &after, came.len(), horizon) {
                tracker.correct(&mut forecast, f64::MIN);
                prop_assert_eq!(forecast.values.dim(), (horizon, quantiles.levels().len()));
                prop_assert!(is_sound(&forecast));
            }
        }
    }

    #[test]
    fn short_histories_are_answered_or_refused(
        runs in proptest::collection::vec((prop_oneof![
            Just(f64::NAN), Just(1e308), Just(-1e308), Just(1e100), Just(0.0), -5.0..5.0_f64
        ], 1_usize..12), 0..5),
        horizon in 0_usize..200,
    ) {
        let mut values: Vec<f64> =
            runs.iter().flat_map(|(value, length)| std::iter::repeat_n(*value, *length)).collect();
        values.truncate(40);
        match one(&values, &[6, 24], horizon) {
            Ok(forecast) => {
                prop_assert!(is_sound(&forecast));
            }
            Err(Abstention::TooLarge { value, .. }) => prop_assert!(value.abs() > 1e100),
            Err(Abstention::NoSamples) => prop_assert!(values.iter().all(|value| value.is_nan())),
            Err(reason) => {
                let short = matches!(reason, Abstention::TooShort { have, need: 12 } if have < 12);
                prop_assert!(short, "{}", reason);
            }
        }
    }

    #[test]
    fn what_is_never_negative_is_forecast_so(values in proptest::collection::vec(0.0..1e6_f64, 12..200)) {
        let forecast = one(&values, &[24], 24).unwrap();
        prop_assert!(forecast.values.iter().all(|value| *value >= 0.0));
    }
}

#[test]
fn two_days_of_history_are_forecast_with_the_network_and_two_weeks_without() {
    let values: Vec<f64> = (0..336).map(|hour| 50.0 + f64::from(hour % 24) + 30.0 * noise(hour)).collect();
    let share = |hours: usize| {
        let forecast = one(&values[..hours], &[24, 168], 24).unwrap();
        forecast.members.into_iter().find(|verdict| verdict.member == "neural network").unwrap().outcome
    };
    assert!(share(48).unwrap().weight >= 0.4);
    assert_eq!(share(336), Err(Abstention::NotNeeded { have: 336 }));
}
