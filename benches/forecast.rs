//! The time that each model takes for a series: to learn what all series share,
//! to fit one and forecast it, to forecast it again from what is kept, and to
//! take in an hour more and forecast it; and the bytes that are kept of it. Run it with
//! `RAYON_NUM_THREADS=1 cargo bench --profile release --bench forecast`.

use std::io::Write;
use std::time::{Duration, Instant};

use ndarray::Array1;
use plimsoll::forecast::{Fleet, Learned, Past, Quantiles, forecast_all};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SERIES: usize = 200;
const SEASONS: [usize; 2] = [24, 168];
/// Four weeks of hours, as the daemon holds them.
const HOURS: usize = 672;
/// Hours that the daemon forecasts.
const HORIZON: usize = 168;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "one forecast of 48 hours by all models")?;
    for hours in [48, 336, 700, 960] {
        let fleet = fleet(hours);
        let start = Instant::now();
        let made = forecast_all(&pasts(&fleet, hours), 48, &Quantiles::default()).iter().flatten().count();
        let each = micros(start.elapsed());
        writeln!(out, "{hours:>4} hours: {made} of {SERIES} series, {each:.0} µs each")?;
    }
    writeln!(out, "\n{HORIZON} hours ahead from {HOURS}, µs a series, as the daemon does it")?;
    writeln!(
        out,
        "{:<24}{:>8}{:>14}{:>9}{:>18}{:>8}",
        "model", "shared", "fit + predict", "predict", "update + predict", "bytes"
    )?;
    let fleet = fleet(HOURS + 1);
    for name in std::iter::once("all").chain(Fleet::member_names()) {
        let [shared, fit, predict, update, bytes] = measure(name, &fleet);
        writeln!(out, "{name:<24}{shared:>8.0}{fit:>14.0}{predict:>9.0}{update:>18.0}{bytes:>8.0}")?;
    }
    Ok(())
}

/// The four times a series, and the most bytes of one.
fn measure(name: &str, fleet: &[Array1<f64>]) -> [f64; 5] {
    let (before, after) = (pasts(fleet, HOURS), pasts(fleet, HOURS + 1));
    let quantiles = Quantiles::for_peaks();
    let start = Instant::now();
    let learnt = match name {
        "all" => Some(Fleet::learn(&before, HORIZON, &quantiles)),
        name => Fleet::learn_alone(name, &before, HORIZON, &quantiles),
    };
    let shared = start.elapsed();
    let Some(learnt) = learnt else { return [f64::NAN; 5] };
    let start = Instant::now();
    let learned: Vec<Learned> =
        learnt.adopt(&before).into_iter().flatten().map(|(learned, _)| learned).collect();
    let fit = start.elapsed();
    let start = Instant::now();
    let made = learned
        .iter()
        .zip(&before)
        .filter(|(learned, past)| learned.forecast(&learnt, past, 0, HORIZON).is_ok())
        .count();
    let predict = start.elapsed();
    assert_eq!(made, learned.len(), "every series is forecast again");
    let start = Instant::now();
    let made = learned
        .iter()
        .zip(&after)
        .filter(|(learned, past)| learned.forecast(&learnt, past, 1, HORIZON).is_ok())
        .count();
    let update = start.elapsed();
    assert_eq!(made, learned.len(), "every series is carried on");
    let bytes = learned.iter().map(Learned::bytes).max().unwrap_or(0);
    [micros(shared), micros(fit), micros(predict), micros(update), bytes as f64]
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6 / SERIES as f64
}

fn pasts(fleet: &[Array1<f64>], hours: usize) -> Vec<Past<'_>> {
    let first = |values: &'_ Array1<f64>| values.len().min(hours);
    fleet
        .iter()
        .map(|values| Past {
            values: values.view().split_at(ndarray::Axis(0), first(values)).0,
            seasons: &SEASONS,
        })
        .collect()
}

/// Daily and weekly rhythms with noise.
fn fleet(hours: usize) -> Vec<Array1<f64>> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let wave = |hour: usize, period: f64| (hour as f64 * std::f64::consts::TAU / period).sin();
    let mut one = |level: f64| {
        Array1::from_shape_fn(hours, |hour| {
            level * (3.0 + wave(hour, 24.0) + 0.5 * wave(hour, 168.0) + random.random_range(0.0..0.5))
        })
    };
    (1..=SERIES).map(|tenant| one(tenant as f64)).collect()
}
