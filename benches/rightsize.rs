//! What choosing limits costs over a fleet: once from 28 days of samples, and in
//! each cycle after that, where the state is carried on and an hour is new.
//! Measured on a part of the fleet and extrapolated to the whole.
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::f64::consts::TAU;
use std::hint::black_box;
use std::time::Instant;

use plimsoll::rightsize::auto::{Ask, Auto};
use plimsoll::rightsize::policy::Family;
use rayon::prelude::*;

/// The fleet that the figures are for.
const FLEET: usize = 100_000;
/// The series that are measured.
const MEASURED: usize = 500;
const HOURS: usize = 28 * 24;
const SAMPLES_AN_HOUR: usize = 12;

fn main() {
    println!("{:>12} {:>28} {:>28}", "limits hold", "100,000 from 28 days", "100,000 for one more hour");
    for hours in [1, 6, 24] {
        let begun = Instant::now();
        let mut fleet: Vec<Auto> = (0..MEASURED).into_par_iter().map(|seed| learnt(seed, hours)).collect();
        let whole = begun.elapsed();
        let begun = Instant::now();
        fleet.par_iter_mut().enumerate().for_each(|(seed, auto)| {
            auto.observe(&samples(seed, HOURS));
            black_box(auto.limit(&ASK));
        });
        let cycle = begun.elapsed();
        let of_fleet = |time: std::time::Duration| time.as_secs_f64() * (FLEET / MEASURED) as f64;
        println!("{hours:>10} h {:>26.0} s {:>26.1} s", of_fleet(whole), of_fleet(cycle));
    }
    println!("{MEASURED} series measured on {} threads", rayon::current_num_threads());
}

const ASK: Ask = Ask { budget: 0.01, target: 0.008, fleet_mean: 10.0 };

fn learnt(seed: usize, hours: usize) -> Auto {
    let mut auto = Auto::new(&Family::ALL, hours);
    (0..HOURS).for_each(|hour| auto.observe(&samples(seed, hour)));
    black_box(auto.limit(&ASK));
    auto
}

/// An hour of a daily rhythm with even noise, from a fixed sequence.
fn samples(seed: usize, hour: usize) -> [f64; SAMPLES_AN_HOUR] {
    let mut state = (seed * HOURS + hour) as u64 + 1;
    std::array::from_fn(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let noise = (state >> 40) as f64 / (1_u64 << 24) as f64;
        10.0 + 6.0 * (hour as f64 * TAU / 24.0).sin() + 4.0 * noise
    })
}
