//! The time of a forecast, by the length of the histories. Run it with
//! `cargo bench --bench forecast`.

use std::io::Write;
use std::time::Instant;

use ndarray::Array1;
use plimsoll::forecast::{Past, Quantiles, forecast_all};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SERIES: usize = 200;
const HORIZON: usize = 48;
const SEASONS: [usize; 2] = [24, 168];

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for hours in [48, 336, 700, 960] {
        let fleet = fleet(hours);
        let pasts: Vec<Past<'_>> =
            fleet.iter().map(|values| Past { values: values.view(), seasons: &SEASONS }).collect();
        let start = Instant::now();
        let made = forecast_all(&pasts, HORIZON, &Quantiles::default()).iter().flatten().count();
        let each = start.elapsed().as_secs_f64() / SERIES as f64;
        writeln!(out, "{hours:>4} hours: {made} of {SERIES} series, {:.3} ms each", each * 1e3)?;
    }
    Ok(())
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
