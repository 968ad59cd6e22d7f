//! Training on a small made-up fleet: repeatable, resumable, and worth it.

use candle_core::Device;
use ndarray::Array1;

use super::*;

fn fleet() -> Vec<Vec<Array1<f64>>> {
    let noise = |hour: usize, tenant: usize| {
        let mixed = ((hour * 31 + tenant * 7919) as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / (1 << 24) as f64
    };
    let series = |tenant: usize| {
        Array1::from_shape_fn(500, |hour| {
            let wave = ((hour + tenant) as f64 * std::f64::consts::TAU / 24.0).sin();
            (tenant + 1) as f64 * (3.0 + wave + 0.5 * noise(hour, tenant))
        })
    };
    vec![(0..12).map(series).collect()]
}

fn plan(steps: usize) -> Plan {
    Plan { seed: 7, steps, batch: 16, rate: 2e-3, hold_back: 48, validate: 48, look_every: 5, patience: 100 }
}

/// On one thread, as the order of sums may hang on their number.
fn on_one_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(work)
}

fn trained(plan: &Plan, file: &Path) -> Result<(Outcome, Vec<u8>), NeuralError> {
    let outcome = on_one_thread(|| train(plan, &fleet(), &Device::Cpu, file, &mut |_| {}))?;
    Ok((outcome, std::fs::read(file).unwrap()))
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let (_, first) = trained(&plan(10), &folder.path().join("a.safetensors")).unwrap();
    let (_, again) = trained(&plan(10), &folder.path().join("b.safetensors")).unwrap();
    assert!(first == again);
    let (_, other) = trained(&Plan { seed: 8, ..plan(10) }, &folder.path().join("c.safetensors")).unwrap();
    assert!(first != other);
}

#[test]
fn what_was_cut_off_goes_on_as_if_it_had_not_been() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, bytes) = trained(&plan(15), &folder.path().join("whole.safetensors")).unwrap();
    let file = folder.path().join("cut.safetensors");
    // Cut off in the thirteenth step, three after the last checkpoint.
    let cut = std::panic::catch_unwind(|| {
        on_one_thread(|| {
            let mut show = |progress: &Progress| assert!(progress.step < 13, "cut off");
            train(&plan(15), &fleet(), &Device::Cpu, &file, &mut show)
        })
    });
    assert!(cut.is_err() && !file.exists());
    assert!(checkpoint::beside(&file).exists());
    let other = trained(&Plan { seed: 9, ..plan(15) }, &file);
    assert!(matches!(other, Err(NeuralError::OtherRun(_))));
    let (resumed, again) = trained(&plan(15), &file).unwrap();
    assert!(bytes == again);
    assert_eq!(whole, resumed);
    assert!(!checkpoint::beside(&file).exists());
}

#[test]
fn training_lowers_the_held_out_loss_and_stops_when_it_no_longer_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = None;
    let file = folder.path().join("a.safetensors");
    let outcome = on_one_thread(|| {
        let mut show = |progress: &Progress| first = first.or(progress.held_out);
        train(&plan(60), &fleet(), &Device::Cpu, &file, &mut show)
    });
    let outcome = outcome.unwrap();
    assert!(outcome.loss < 0.8 * first.unwrap(), "{} {first:?}", outcome.loss);
    assert_eq!(outcome.series, [12]);
    // A rate at which nothing is learnt after the first look.
    let still = Plan { rate: 0.0, patience: 2, ..plan(60) };
    let (outcome, _) = trained(&still, &folder.path().join("b.safetensors")).unwrap();
    assert_eq!((outcome.best_step, outcome.steps), (5, 15));
}

#[test]
fn series_that_are_too_short_are_refused() {
    let short = vec![vec![Array1::from_elem(100, 1.0)]];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.safetensors");
    let outcome = train(&plan(5), &short, &Device::Cpu, &file, &mut |_| {});
    assert!(matches!(outcome, Err(NeuralError::TooLittle(_))));
}
