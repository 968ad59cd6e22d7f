//! How rare a value is for a series whose extremes are known: a generalised
//! Pareto distribution over the most extreme fiftieth of the recent samples
//! (Pickands 1975; as in the streaming detector of Siffer et al. 2017), fitted
//! by probability-weighted moments (Hosking and Wallis 1987).

use serde::{Deserialize, Serialize};

use super::seen::WINDOW;

/// The share of samples that counts as the tail.
const SHARE: f64 = 0.02;
/// Samples kept below the tail. A place that becomes free, since a sample left
/// by age, is filled by whatever comes next; it climbs back among the spare
/// ones and not in the tail itself.
const SPARE: usize = 24;
/// The most samples kept: [`SHARE`] of [`WINDOW`], and the spare ones.
const MOST: usize = 80 + SPARE;
/// The fewest from which a distribution is fitted.
const FEWEST: usize = 5;
/// Heavier tails than this are not believed, nor much lighter ones.
const SHAPES: (f64, f64) = (-0.5, 0.9);
/// Rarer than one in ten to this power is not told apart.
const RAREST: f64 = 12.0;

/// Both tails of a series.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Tails {
    upper: Tail,
    lower: Tail,
    seen: u32,
}

impl Tails {
    /// How rare a finite `value` is, as minus the decimal logarithm of the
    /// chance of one as extreme; 0 in the usual range, at most 12. Then it is
    /// remembered.
    pub fn rarity(&mut self, value: f64) -> f64 {
        let rarity = self.glance(value);
        self.seen = self.seen.saturating_add(1);
        self.upper.remember(value, self.seen);
        self.lower.remember(-value, self.seen);
        rarity
    }

    /// The same without remembering it.
    pub fn glance(&self, value: f64) -> f64 {
        if self.seen <= 20 {
            return 0.0;
        }
        self.upper.rarity(value, self.seen).max(self.lower.rarity(-value, self.seen))
    }
}

/// The highest recent samples, upwards, each with its number.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
struct Tail {
    values: [f64; MOST],
    numbers: [u32; MOST],
    length: usize,
    oldest: u32,
}

/// A tail without its free places.
#[derive(Serialize, Deserialize)]
struct Written {
    samples: Vec<(f64, u32)>,
    oldest: u32,
}

impl From<Tail> for Written {
    fn from(tail: Tail) -> Written {
        let samples = tail.values.into_iter().zip(tail.numbers).take(tail.length).collect();
        Written { samples, oldest: tail.oldest }
    }
}

impl From<Written> for Tail {
    fn from(written: Written) -> Tail {
        let mut tail = Tail { oldest: written.oldest, ..Tail::default() };
        for (place, sample) in written.samples.into_iter().take(MOST).enumerate() {
            (tail.values[place], tail.numbers[place]) = sample;
            tail.length = place + 1;
        }
        tail
    }
}

impl Default for Tail {
    fn default() -> Self {
        Tail { values: [0.0; MOST], numbers: [0; MOST], length: 0, oldest: u32::MAX }
    }
}

impl Tail {
    fn rarity(&self, value: f64, seen: u32) -> f64 {
        let places = places(seen).min(self.length.saturating_sub(1));
        if places < FEWEST {
            return 0.0;
        }
        let (below, above) = self.values[..self.length].split_at(self.length - places);
        let least = below[below.len() - 1];
        if value <= least {
            return 0.0;
        }
        let count = above.len() as f64;
        let (mut mean, mut weighted) = (0.0, 0.0);
        for (index, sample) in above.iter().enumerate() {
            let excess = sample - least;
            mean += excess / count;
            weighted += excess * (1.0 - (index as f64 + 0.65) / count) / count;
        }
        if mean <= 0.0 {
            return RAREST;
        }
        let share = count / f64::from(seen.min(WINDOW));
        let rarity =
            log_survival((value - least) / mean, weighted / mean) / std::f64::consts::LN_10 - share.log10();
        if rarity.is_finite() { rarity.clamp(0.0, RAREST) } else { RAREST }
    }

    fn remember(&mut self, value: f64, number: u32) {
        if number.saturating_sub(self.oldest) > WINDOW {
            self.forget(number);
        }
        if self.length < places(number) + SPARE {
            let place = self.values[..self.length].partition_point(|known| *known < value);
            self.values.copy_within(place..self.length, place + 1);
            self.numbers.copy_within(place..self.length, place + 1);
            (self.values[place], self.numbers[place]) = (value, number);
            self.length += 1;
        } else if value > self.values[0] {
            // The lowest goes.
            let place = self.values[..self.length].partition_point(|known| *known < value);
            self.values.copy_within(1..place, 0);
            self.numbers.copy_within(1..place, 0);
            (self.values[place - 1], self.numbers[place - 1]) = (value, number);
        } else {
            return;
        }
        self.oldest = self.oldest.min(number);
    }

    fn forget(&mut self, number: u32) {
        let mut kept = 0;
        self.oldest = u32::MAX;
        for index in 0..self.length {
            if number.saturating_sub(self.numbers[index]) <= WINDOW {
                (self.values[kept], self.numbers[kept]) = (self.values[index], self.numbers[index]);
                self.oldest = self.oldest.min(self.numbers[kept]);
                kept += 1;
            }
        }
        self.length = kept;
    }
}

/// How many of `seen` samples are the tail.
fn places(seen: u32) -> usize {
    ((SHARE * f64::from(seen)) as usize).clamp(10, MOST - SPARE)
}

/// Minus the logarithm of the chance of an excess above `excess` means, where
/// `weighted` is the second probability-weighted moment in means.
fn log_survival(excess: f64, weighted: f64) -> f64 {
    let spare = 1.0 - 2.0 * weighted;
    let shape = if spare.abs() < 1e-9 { SHAPES.1 } else { (2.0 - 1.0 / spare).clamp(SHAPES.0, SHAPES.1) };
    let scale = if spare > 1e-9 && weighted > 0.0 { 2.0 * weighted / spare } else { 1.0 - shape };
    if shape.abs() < 1e-3 {
        return excess / scale;
    }
    let inside = 1.0 + shape * excess / scale;
    if inside <= 1e-9 { f64::INFINITY } else { inside.ln() / shape }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_series_is_surprised_sooner_than_a_wild_one() {
        let (mut even, mut wild) = (Tails::default(), Tails::default());
        let mut state = 1_u64;
        for _ in 0..6000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let uniform = ((state >> 33) as f64 + 1.0) / (1_u64 << 31) as f64;
            even.rarity(-uniform.ln());
            wild.rarity(uniform.powf(-0.7));
        }
        // Of the exponential, one in 8,100 lies above 9; of the Pareto one in 23.
        // Eighty samples give the first with an error of some decimals.
        let (of_even, of_wild) = (even.rarity(9.0), wild.rarity(9.0));
        assert!((2.5..7.0).contains(&of_even), "{of_even}");
        assert!(of_wild < 2.0, "{of_wild}");
        assert_eq!(even.rarity(1.0), 0.0);
    }

    #[test]
    fn flat_and_falling_series_are_no_trouble() {
        let mut tails = Tails::default();
        for _ in 0..10_000 {
            assert_eq!(tails.rarity(5.0), 0.0);
        }
        assert_eq!(tails.rarity(6.0), 12.0);
        let mut tails = Tails::default();
        for index in 0..10_000 {
            let rarity = tails.rarity(-f64::from(index));
            assert!((0.0..=12.0).contains(&rarity));
        }
    }
}
