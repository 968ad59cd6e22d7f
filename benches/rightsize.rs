//! What choosing limits costs over a fleet: once from 28 days of samples, and in
//! each cycle after that, where the state is carried on and an hour is new.
//! Measured on a part of the fleet and extrapolated to the whole; then the same
//! for the daemon, whose walks also decide, and which answers with evidence.
#![allow(clippy::print_stdout, reason = "its result is what it prints")]

use std::f64::consts::TAU;
use std::hint::black_box;
use std::time::Instant;

use ndarray::{Array1, Array2};
use plimsoll::domain::{Resource, Step, Tier, Timestamp};
use plimsoll::forecast::{Forecast, Quantiles};
use plimsoll::rightsize::auto::{Ask, Auto};
use plimsoll::rightsize::policy::Family;
use plimsoll::rightsize::{
    Budgets, Case, Course, DatedForecast, Others, Pool, Settings, StandingQuota, Walk, decide,
};
use plimsoll::series::UsageSeries;
use rayon::prelude::*;

/// The fleet that the figures are for.
const FLEET: usize = 100_000;
/// The series that are measured.
const MEASURED: usize = 500;
const HOURS: usize = 28 * 24;
const SAMPLES_AN_HOUR: usize = 12;

fn main() {
    // First, while no memory was given back that walks could take again.
    daemon();
    println!("{:>12} {:>28} {:>28}", "limits hold", "100,000 from 28 days", "100,000 for one more hour");
    for hours in [1, 6, 24] {
        let pool = pool(hours);
        let begun = Instant::now();
        let mut fleet: Vec<Auto> =
            (0..MEASURED).into_par_iter().map(|seed| learnt(seed, hours, &pool)).collect();
        let whole = begun.elapsed();
        let begun = Instant::now();
        fleet.par_iter_mut().enumerate().for_each(|(seed, auto)| {
            auto.observe(&samples(seed, HOURS), pool.known_at(HOURS as i64));
            black_box(auto.limit(&ASK));
        });
        let cycle = begun.elapsed();
        let of_fleet = |time: std::time::Duration| time.as_secs_f64() * (FLEET / MEASURED) as f64;
        println!("{hours:>10} h {:>26.0} s {:>26.1} s", of_fleet(whole), of_fleet(cycle));
    }
    println!("{MEASURED} series measured on {} threads", rayon::current_num_threads());
}

const ASK: Ask = Ask { budget: 0.01, target: 0.008, fleet_mean: 10.0 };

fn learnt(seed: usize, hours: usize, pool: &Pool) -> Auto {
    let mut auto = Auto::new(&Family::ALL, hours);
    (0..HOURS).for_each(|hour| auto.observe(&samples(seed, hour), pool.known_at(hour as i64 + 1)));
    black_box(auto.limit(&ASK));
    auto
}

/// What the fleet teaches.
fn pool(hours: usize) -> Pool {
    let fleet: Vec<Vec<Vec<f64>>> =
        (0..MEASURED).map(|seed| (0..HOURS).map(|hour| samples(seed, hour).to_vec()).collect()).collect();
    let fleet: Vec<&[Vec<f64>]> = fleet.iter().map(Vec::as_slice).collect();
    Pool::of(&fleet, 0, hours)
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

/// Walks from 28 days, an hour more, and the answers with their evidence.
fn daemon() {
    println!(
        "\n{:>12} {:>24} {:>24} {:>24} {:>23}",
        "the daemon", "walked from 28 days", "one more hour", "answered", "memory a walk"
    );
    let usage: Vec<UsageSeries> = (0..MEASURED).map(|seed| usage(seed, HOURS)).collect();
    let later: Vec<UsageSeries> = (0..MEASURED).map(|seed| self::usage(seed, HOURS + 1)).collect();
    let quota = StandingQuota::first(40.0);
    let mut kept = Vec::new();
    for hours in [1, 6, 24] {
        let course = Course { budget: 0.01, hours, changes_per_day: 8.0, schedule: None };
        let begun = Instant::now();
        let pool = pool(hours);
        println!(
            "regressions over all series for {hours} h: {:.1} s for the whole fleet",
            begun.elapsed().as_secs_f64()
        );
        let others = Others { mean: 10.0, pool: &pool };
        let before = resident_kilobytes();
        let begun = Instant::now();
        let mut walks: Vec<Walk> = usage
            .par_iter()
            .map(|usage| {
                let mut walk = Walk::new(usage, course);
                walk.catch_up(usage, &quota, others);
                walk
            })
            .collect();
        let whole = begun.elapsed();
        let kilobytes = resident_kilobytes().saturating_sub(before) / MEASURED as u64;
        let begun = Instant::now();
        walks.par_iter_mut().zip(&later).for_each(|(walk, usage)| walk.catch_up(usage, &quota, others));
        let hour = begun.elapsed();
        let begun = Instant::now();
        walks.par_iter_mut().zip(&later).for_each(|(walk, usage)| {
            black_box(answer(walk, usage, quota));
        });
        let answered = begun.elapsed();
        let of_fleet = |time: std::time::Duration| time.as_secs_f64() * (FLEET / MEASURED) as f64;
        println!(
            "{hours:>10} h {:>22.0} s {:>22.1} s {:>22.1} s {kilobytes:>20} kB",
            of_fleet(whole),
            of_fleet(hour),
            of_fleet(answered)
        );
        kept.push(walks);
    }
}

/// What of this process is in memory; 0 where the system doesn't say.
fn resident_kilobytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn answer(walk: &Walk, usage: &UsageSeries, quota: StandingQuota) -> plimsoll::rightsize::Outcome {
    let (resource, tier, advice) = (Resource::CpuCores, Tier::Enterprise, walk.advice(Resource::CpuCores));
    let quantiles = Quantiles::for_peaks();
    let values = Array2::from_elem((168, quantiles.levels().len()), 20.0);
    let forecast = Forecast { mean: Array1::from_elem(168, 12.0), quantiles, values, members: Vec::new() };
    let dated = DatedForecast { model: "flat", start: usage.end(), forecast };
    let budget = Budgets::default().of(tier, resource, None);
    let (budget, forecast, advice) = (&budget, Ok(&dated), advice.as_ref());
    decide(&Case { resource, tier, quota, budget, usage, forecast, advice }, &Settings::default())
}

fn usage(seed: usize, hours: usize) -> UsageSeries {
    let values = (0..hours).flat_map(|hour| samples(seed, hour)).collect();
    UsageSeries { start: Timestamp::from_seconds(0), step: Step::FIVE_MINUTES, values }
}
