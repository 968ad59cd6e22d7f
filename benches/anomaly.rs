//! What the detector costs: time a sample on one core, and bytes a series, over
//! series that are kind to it and series that are not.
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::f64::consts::TAU;
use std::hint::black_box;
use std::time::Instant;

use plimsoll::anomaly::{Detector, NoveltyDetector, Settings};
use plimsoll::domain::{Step, Timestamp};

/// Samples of each series: 70 days at 5 minutes.
const SAMPLES: usize = 20_160;
const ROUNDS: usize = 9;

/// A named shape: the value of a sample, from its number and even noise.
type Shape = (&'static str, fn(usize, f64) -> f64);

const SHAPES: [Shape; 5] = [
    ("a daily rhythm with noise", |i, noise| 100.0 + 30.0 * (i as f64 * TAU / 288.0).sin() + 10.0 * noise),
    ("whole numbers", |i, noise| (20.0 + 15.0 * (i as f64 * TAU / 288.0).sin() + 10.0 * noise).round()),
    ("bursts with a heavy tail", |_, noise| noise.max(1e-9).powf(-0.8)),
    ("always rising", |i, noise| i as f64 + noise),
    ("flat", |_, _| 42.0),
];

fn main() {
    println!("{:28} {:>14} {:>14}", "series", "ns a sample", "bytes a series");
    for (name, shape) in SHAPES {
        let values = values(shape);
        // The first round warms the caches and does not count.
        let mut rounds: Vec<(f64, usize)> = (0..=ROUNDS).map(|_| measure(&values)).skip(1).collect();
        rounds.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
        let (median, bytes) = rounds[ROUNDS / 2];
        println!("{name:28} {median:>14.0} {bytes:>14}");
    }
}

fn values(shape: fn(usize, f64) -> f64) -> Vec<f64> {
    let mut state = 7_u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as f64 / (1_u64 << 31) as f64
    };
    (0..SAMPLES).map(|index| shape(index, noise())).collect()
}

/// Nanoseconds a sample, and the bytes at the end.
fn measure(values: &[f64]) -> (f64, usize) {
    let step = Step::FIVE_MINUTES;
    let mut detector = NoveltyDetector::new(Settings::for_step(step), step);
    let begin = Instant::now();
    for (at, value) in (0..).map(|index| Timestamp::from_seconds(300 * index)).zip(values) {
        black_box(detector.judge(at, *value));
    }
    (begin.elapsed().as_secs_f64() * 1e9 / values.len() as f64, detector.bytes())
}
