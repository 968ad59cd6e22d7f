//! The backtest that never ends: what each policy with each margin would have
//! cost a tenant, and how often usage would have been above it.
//!
//! Old intervals fade, so that a tenant that has changed is judged by what it
//! is now. An entry is a policy and a margin; the state does not grow.

/// Margins that are tried on each policy: from 0.61 to 3.5 in steps of 5 %.
pub const MARGINS: usize = 36;
/// Hours after which an interval counts half.
const HALF_LIFE_HOURS: f64 = 192.0;
/// Violations that each entry is taken to have had, so that a short past
/// without any does not pass for a proof.
const DOUBT: f64 = 0.5;

/// The margin of this index.
pub fn margin(index: usize) -> f64 {
    ((index as f64 - 10.0) * 0.05).exp()
}

/// An entry of the ledger.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Entry {
    /// The place of the policy among the candidates.
    pub policy: usize,
    /// The factor on its limit.
    pub margin: f64,
    /// The share of violations that it would have had.
    pub share: f64,
    /// Whether that is within what was asked for.
    pub within: bool,
}

/// The faded sums of all entries of one series.
#[derive(Debug, Clone)]
pub struct Ledger {
    margins: [f64; MARGINS],
    /// Violations by policy and margin.
    violations: Vec<[f64; MARGINS]>,
    /// The sums of the policies' limits before margins, a term a sample.
    limits: Vec<f64>,
    samples: f64,
}

impl Ledger {
    /// An empty ledger for so many policies.
    pub fn new(policies: usize) -> Self {
        Ledger {
            margins: std::array::from_fn(margin),
            violations: vec![[0.0; MARGINS]; policies],
            limits: vec![0.0; policies],
            samples: 0.0,
        }
    }

    /// Whether nothing was ever recorded.
    pub fn is_empty(&self) -> bool {
        self.samples <= 0.0
    }

    /// Lets an hour pass.
    pub fn fade(&mut self) {
        let factor = 0.5_f64.powf(1.0 / HALF_LIFE_HOURS);
        self.violations.as_flattened_mut().iter_mut().for_each(|violations| *violations *= factor);
        self.limits.iter_mut().for_each(|limits| *limits *= factor);
        self.samples *= factor;
    }

    /// Records an interval that is over: the limits that the policies gave for
    /// it, and its samples sorted upwards.
    pub fn record(&mut self, limits: &[f64], sorted: &[f64]) {
        for (policy, limit) in limits.iter().enumerate() {
            self.limits[policy] += limit * sorted.len() as f64;
            for (margin, violations) in self.margins.iter().zip(&mut self.violations[policy]) {
                let above = sorted.len() - sorted.partition_point(|sample| *sample <= limit * margin);
                if above == 0 {
                    break;
                }
                *violations += above as f64;
            }
        }
        self.samples += sorted.len() as f64;
    }

    /// The cheapest entry whose share of violations is at most `target`; where
    /// there is none, the cheapest of those with the fewest.
    pub fn choose(&self, target: f64) -> Option<Entry> {
        if self.is_empty() {
            return None;
        }
        let allowed = target * self.samples - DOUBT;
        let fewest = self.violations.as_flattened().iter().copied().fold(f64::INFINITY, f64::min);
        // Faded counts come near to zero but never reach it.
        let most = if fewest <= allowed { allowed } else { fewest + 1e-6 };
        let mut best: Option<(f64, usize, usize)> = None;
        for (policy, violations) in self.violations.iter().enumerate() {
            // More margin costs more, so the first that holds is the policy's best.
            let Some(index) = violations.iter().position(|violations| *violations <= most) else { continue };
            let cost = self.limits[policy] * self.margins[index];
            if best.is_none_or(|(least, _, _)| cost < least) {
                best = Some((cost, policy, index));
            }
        }
        best.map(|(_, policy, index)| Entry {
            policy,
            margin: self.margins[index],
            share: self.violations[policy][index] / self.samples,
            within: fewest <= allowed,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_that_holds_wins() {
        let mut ledger = Ledger::new(2);
        assert_eq!(ledger.choose(0.5), None);
        let sorted: Vec<f64> = (1..=100).map(f64::from).collect();
        (0..10).for_each(|_| ledger.record(&[50.0, 300.0], &sorted));
        let strict = ledger.choose(0.01).unwrap();
        assert!(strict.within && strict.policy == 0 && strict.share <= 0.01);
        assert!((strict.margin * 50.0 - 100.0).abs() < 5.0, "{strict:?}");
        let loose = ledger.choose(0.5).unwrap();
        assert!(loose.margin < strict.margin && loose.share <= 0.5);
        // Nothing holds a budget of nothing while doubt is left.
        assert!(!ledger.choose(0.0).unwrap().within);
    }

    #[test]
    fn what_faded_counts_less() {
        let mut ledger = Ledger::new(1);
        ledger.record(&[1.0], &[100.0; 12]);
        (0..60 * 24).for_each(|_| {
            ledger.fade();
            ledger.record(&[1.0], &[0.5; 12]);
        });
        assert!(ledger.choose(0.01).unwrap().margin < 1.0);
    }
}
