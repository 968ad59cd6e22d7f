//! Seeded chance, the same on every machine.
//!
//! Only additions, multiplications, divisions and square roots are used: these
//! are exact to the last bit everywhere, where `exp` or `sin` depend on the
//! system's library.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A stream of chance of its own.
pub(super) struct Random(ChaCha8Rng);

impl Random {
    /// The stream of one `part` (below 64) of one tenant.
    pub(super) fn new(seed: u64, tenant: usize, part: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(tenant as u64 * 64 + part);
        Random(rng)
    }

    /// Evenly from 0 up to but not including 1.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Evenly between two bounds.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// About normal, mean 0, variance 1: the sum of four even draws.
    pub(super) fn normal(&mut self) -> f64 {
        let bits = self.0.next_u64();
        let sum: f64 = (0..4).map(|quarter| ((bits >> (16 * quarter)) & 0xffff) as f64 + 0.5).sum();
        (sum / 65_536.0 - 2.0) * 3.0_f64.sqrt()
    }

    /// Pareto from 1 on with the tail index 4: one in ten thousand is above 10.
    pub(super) fn heavy(&mut self) -> f64 {
        1.0 / (1.0 - self.uniform()).sqrt().sqrt()
    }
}

/// Noise with a memory, mean 0, variance 1: a quick part that forgets within
/// minutes, and a slow one that forgets within hours.
pub(super) struct Noise {
    quick: Memory,
    slow: Memory,
}

impl Noise {
    /// On a grid of `step_minutes`.
    pub(super) fn new(random: &mut Random, step_minutes: f64) -> Self {
        let mut memory = |minutes: f64| {
            let keeps = minutes / (minutes + step_minutes);
            Memory { keeps, state: random.normal() }
        };
        // Shares and times from the autocorrelations named in the module's text.
        Noise { quick: memory(4.0), slow: memory(66.0) }
    }

    /// The next value.
    pub(super) fn next(&mut self, random: &mut Random) -> f64 {
        0.65 * self.quick.next(random) + 0.76 * self.slow.next(random)
    }
}

struct Memory {
    keeps: f64,
    state: f64,
}

impl Memory {
    fn next(&mut self, random: &mut Random) -> f64 {
        let fresh = (1.0 - self.keeps * self.keeps).sqrt();
        self.state = self.keeps * self.state + fresh * random.normal();
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_draws_have_the_moments_that_they_promise() {
        let mut random = Random::new(1, 2, 3);
        let normals: Vec<f64> = (0..40_000).map(|_| random.normal()).collect();
        let mean = normals.iter().sum::<f64>() / 40_000.0;
        let variance = normals.iter().map(|value| value * value).sum::<f64>() / 40_000.0;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        let above_two = (0..40_000).filter(|_| random.heavy() > 2.0).count() as f64 / 40_000.0;
        assert!((above_two - 1.0 / 16.0).abs() < 0.005, "{above_two}");
    }

    #[test]
    fn the_noise_forgets_as_real_usage_does() {
        let mut random = Random::new(7, 0, 0);
        let mut noise = Noise::new(&mut random, 5.0);
        let values: Vec<f64> = (0..60_000).map(|_| noise.next(&mut random)).collect();
        let alike = |lag: usize| {
            let products: f64 = values.iter().zip(&values[lag..]).map(|(a, b)| a * b).sum();
            products / values.iter().map(|value| value * value).sum::<f64>()
        };
        assert!((0.65..0.80).contains(&alike(1)), "{}", alike(1));
        assert!((0.40..0.60).contains(&alike(3)), "{}", alike(3));
        assert!((0.15..0.35).contains(&alike(12)), "{}", alike(12));
        assert!(alike(72).abs() < 0.1, "{}", alike(72));
    }

    #[test]
    fn streams_differ_and_repeat() {
        let draw = |seed, tenant, part| Random::new(seed, tenant, part).uniform();
        assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
        assert!(
            draw(1, 2, 3) != draw(1, 2, 4)
                && draw(1, 2, 3) != draw(1, 3, 3)
                && draw(1, 2, 3) != draw(2, 2, 3)
        );
    }
}
