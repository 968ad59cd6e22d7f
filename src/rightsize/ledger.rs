//! The backtest that never ends: what each policy with each margin would have
//! cost a tenant, and how often usage would have been above it.
//!
//! Old intervals fade, so that a tenant that has changed is judged by what it
//! is now. An entry is a policy and a margin; the state does not grow.

use serde::{Deserialize, Serialize};

use super::packed;

/// Margins that are tried on each policy: from 0.61 to 3.5 in steps of 5 %.
pub const MARGINS: usize = 36;
/// Hours after which an interval counts half.
const HALF_LIFE_HOURS: f64 = 192.0;
/// Violations that each entry is taken to have had, so that a short past
/// without any does not pass for a proof.
const DOUBT: f64 = 0.5;
/// A difference of faded counts that is none.
const FADED: f64 = 1e-6;

/// The margin of this index.
pub fn margin(index: usize) -> f64 {
    ((index as f64 - 10.0) * 0.05).exp()
}

fn margins() -> [f32; MARGINS] {
    std::array::from_fn(|index| margin(index) as f32)
}

/// How soon an entry that costs more than the best stops counting in the mix,
/// as a share of the best's cost.
const TEMPER: f64 = 0.1;

/// What is asked of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bounds {
    /// The share of violations that must not be passed, 0 to 1.
    pub target: f64,
    /// What a share of violations of 1 costs, in the unit of the limits.
    pub price: f64,
}

/// An entry of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The place of the policy among the candidates.
    pub policy: usize,
    /// The factor on its limit.
    pub margin: f64,
    /// The share of violations that it would have had.
    pub share: f64,
    /// The mean limit and the price of its violations, in the unit of the limits.
    pub cost: f64,
}

/// What the ledger says.
#[derive(Debug, Clone, PartialEq)]
pub enum Choice {
    /// The best margin of each policy that holds the target, with its weight;
    /// the weights' sum is 1.
    Within(Vec<(Entry, f64)>),
    /// None holds the target: the one with the fewest violations.
    Fewest(Entry),
}

impl Choice {
    /// The entry that counts most.
    pub fn leading(&self) -> Entry {
        match self {
            Choice::Fewest(entry) => *entry,
            Choice::Within(mix) => {
                let first = mix.first().map(|(entry, _)| *entry);
                let nothing = Entry { policy: 0, margin: 1.0, share: 0.0, cost: 0.0 };
                mix.iter()
                    .fold(
                        (first.unwrap_or(nothing), 0.0),
                        |best, one| if one.1 > best.1 { *one } else { best },
                    )
                    .0
            }
        }
    }
}

/// Samples that are compared together.
const LANES: usize = 16;

/// The samples of an interval, sorted upwards, in single precision.
#[derive(Debug, Clone, Default)]
pub struct Sorted {
    samples: Vec<f32>,
    /// The same in rows, the last of them filled up with what no bound reaches.
    rows: Vec<[f32; LANES]>,
    count: usize,
    highest: f32,
}

impl Sorted {
    /// Takes these samples in the place of others.
    pub fn fill(&mut self, samples: impl IntoIterator<Item = f32>) {
        self.samples.clear();
        self.samples.extend(samples);
        self.samples.sort_unstable_by(f32::total_cmp);
        self.count = self.samples.len();
        self.highest = self.samples.last().copied().unwrap_or(f32::NEG_INFINITY);
        self.samples.resize(self.count.next_multiple_of(LANES), f32::INFINITY);
        self.rows.clear();
        self.rows.extend(self.samples.as_chunks().0);
    }

    /// How many lie above `limit` times each of the margins, which rise.
    ///
    /// All is in the samples' precision, so that a limit that is a sample holds
    /// it. The margins rise in small steps, so each count begins with the row of samples
    /// that the last one ended in.
    fn above(&self, margins: &[f32; MARGINS], limit: f32) -> [u32; MARGINS] {
        let mut above = [0; MARGINS];
        let mut first = 0;
        for (margin, above) in margins.iter().zip(&mut above) {
            let bound = limit * margin;
            if self.highest <= bound {
                break;
            }
            let mut within = 0;
            for row in &self.rows[first..] {
                within = count_within(row, bound);
                if within < LANES as u32 {
                    break;
                }
                first += 1;
            }
            *above = (self.count as u32).saturating_sub(first as u32 * LANES as u32 + within);
        }
        above
    }
}

#[inline(always)]
fn count_within(row: &[f32; LANES], bound: f32) -> u32 {
    let mut within = 0;
    for sample in row {
        within += u32::from(*sample <= bound);
    }
    within
}

/// The faded sums of all entries of one series.
///
/// Instead of fading all that is old, what is new weighs more and more; only
/// where that weight grows too large is everything divided by it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ledger {
    #[serde(skip, default = "margins")]
    margins: [f32; MARGINS],
    /// Violations by policy and margin.
    #[serde(with = "packed::rows")]
    violations: Vec<[f32; MARGINS]>,
    /// The sums of the policies' limits before margins, a term a sample.
    limits: Vec<f64>,
    samples: f64,
    /// What a sample weighs now, and how much more after an hour.
    weight: f64,
    growth: f64,
}

/// The heaviest that a sample gets.
const HEAVIEST: f64 = 1e9;

impl Ledger {
    /// An empty ledger for so many policies.
    pub fn new(policies: usize) -> Self {
        Ledger {
            margins: margins(),
            violations: vec![[0.0; MARGINS]; policies],
            limits: vec![0.0; policies],
            samples: 0.0,
            weight: 1.0,
            growth: 2.0_f64.powf(1.0 / HALF_LIFE_HOURS),
        }
    }

    /// Whether nothing was ever recorded.
    pub fn is_empty(&self) -> bool {
        self.samples <= 0.0
    }

    /// Lets an hour pass.
    pub fn fade(&mut self) {
        self.weight *= self.growth;
        if self.weight > HEAVIEST {
            let weight = std::mem::replace(&mut self.weight, 1.0);
            let counts = self.violations.as_flattened_mut().iter_mut();
            counts.for_each(|count| *count = (f64::from(*count) / weight) as f32);
            self.limits.iter_mut().for_each(|limits| *limits /= weight);
            self.samples /= weight;
        }
    }

    /// Records an interval that is over: the limits that the policies gave for
    /// it, and its samples. It counts for `times` intervals.
    pub fn record(&mut self, limits: &[f64], samples: &Sorted, times: usize) {
        let count = samples.count as f64;
        let weight = self.weight * times as f64;
        for (policy, limit) in limits.iter().enumerate() {
            self.limits[policy] += limit * count * weight;
            let above = samples.above(&self.margins, *limit as f32);
            for (violations, above) in self.violations[policy].iter_mut().zip(above) {
                *violations += above as f32 * weight as f32;
            }
        }
        self.samples += count * weight;
    }

    /// Weighs the policies, each with the margin that is cheapest for it within
    /// the target. Cost is the mean limit and the price of the violations, so
    /// that a budget is spent only where spending it saves something.
    ///
    /// The choice is a mix: near the best, which entry is cheapest is luck, and
    /// the mean of good limits is better than the luckiest (Bates and Granger
    /// 1969). `None` before anything is recorded.
    pub fn choose(&self, bounds: &Bounds) -> Option<Choice> {
        if self.is_empty() {
            return None;
        }
        let samples = self.samples / self.weight;
        let mut fewest: Option<(f64, Entry)> = None;
        let mut mix: Vec<(Entry, f64)> = Vec::with_capacity(self.violations.len());
        for policy in 0..self.violations.len() {
            let mut best: Option<Entry> = None;
            for (entry, violations) in self.entries(policy, bounds.price) {
                if violations + DOUBT <= bounds.target * samples {
                    if best.is_none_or(|best| entry.cost < best.cost) {
                        best = Some(entry);
                    }
                } else if fewest.is_none_or(|(least, best)| {
                    violations < least - FADED || (violations <= least + FADED && entry.cost < best.cost)
                }) {
                    fewest = Some((violations, entry));
                }
            }
            mix.extend(best.map(|entry| (entry, 0.0)));
        }
        if mix.is_empty() {
            return fewest.map(|(_, entry)| Choice::Fewest(entry));
        }
        weigh(&mut mix);
        Some(Choice::Within(mix))
    }

    /// A policy's entries with their faded violations, up to the first margin
    /// that has none: more margin would only cost more.
    fn entries(&self, policy: usize, price: f64) -> impl Iterator<Item = (Entry, f64)> {
        let mean = self.limits[policy] / self.samples;
        let counts = &self.violations[policy];
        let last = counts.iter().position(|count| *count <= 0.0).unwrap_or(MARGINS - 1);
        let (of_weight, of_samples) = (1.0 / self.weight, self.weight / self.samples);
        self.margins.iter().zip(counts).take(last + 1).map(move |(margin, count)| {
            let margin = f64::from(*margin);
            let count = f64::from(*count) * of_weight;
            let cost = mean * margin + price * (count + DOUBT) * of_samples;
            (Entry { policy, margin, share: count * of_samples, cost }, count)
        })
    }
}

fn weigh(mix: &mut [(Entry, f64)]) {
    let least = mix.iter().map(|(entry, _)| entry.cost).fold(f64::INFINITY, f64::min).max(f64::MIN_POSITIVE);
    for (entry, weight) in mix.iter_mut() {
        *weight = ((1.0 - entry.cost / least) / TEMPER).exp();
    }
    let sum: f64 = mix.iter().map(|(_, weight)| weight).sum();
    mix.iter_mut().for_each(|(_, weight)| *weight /= sum);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leading(ledger: &Ledger, target: f64, price: f64) -> Entry {
        ledger.choose(&Bounds { target, price }).unwrap().leading()
    }

    fn sorted(samples: impl IntoIterator<Item = f32>) -> Sorted {
        let mut sorted = Sorted::default();
        sorted.fill(samples);
        sorted
    }

    #[test]
    fn counts_what_lies_above_rising_bounds() {
        for count in [0_u32, 1, 15, 16, 17, 100] {
            let samples = sorted((0..count).rev().map(|sample| sample as f32));
            let margins = std::array::from_fn(|bound| 0.1 + bound as f32);
            let above = samples.above(&margins, 2.0);
            let right = margins.map(|margin| count.saturating_sub(1 + (2.0 * margin) as u32));
            assert_eq!(above, right, "{count}");
        }
    }

    #[test]
    fn the_cheapest_that_holds_counts_most() {
        let mut ledger = Ledger::new(2);
        assert_eq!(ledger.choose(&Bounds { target: 0.5, price: 0.0 }), None);
        let samples = sorted((1..=100_u8).map(f32::from));
        (0..10).for_each(|_| ledger.record(&[50.0, 300.0], &samples, 1));
        let strict = leading(&ledger, 0.01, 0.0);
        assert!(strict.policy == 0 && strict.share <= 0.01, "{strict:?}");
        assert!((strict.margin * 50.0 - 100.0).abs() < 5.0, "{strict:?}");
        let loose = leading(&ledger, 0.5, 0.0);
        assert!(loose.margin < strict.margin && loose.share <= 0.5);
        // Nothing holds a budget of nothing while doubt is left.
        assert!(matches!(ledger.choose(&Bounds { target: 0.0, price: 0.0 }), Some(Choice::Fewest(_))));
    }

    #[test]
    fn a_budget_is_not_spent_where_violations_are_dear() {
        let mut ledger = Ledger::new(1);
        let samples = sorted((1..=100_u8).map(f32::from));
        (0..10).for_each(|_| ledger.record(&[50.0], &samples, 1));
        assert!(leading(&ledger, 0.5, 10.0).share > 0.2);
        assert_eq!(leading(&ledger, 0.5, 1_000.0).share, 0.0);
    }

    #[test]
    fn equals_share_the_choice() {
        let mut ledger = Ledger::new(3);
        ledger.record(&[1.0, 1.0, 4.0], &sorted([1.0; 12]), 1);
        let Some(Choice::Within(mix)) = ledger.choose(&Bounds { target: 0.5, price: 0.0 }) else { panic!() };
        let weights: Vec<f64> = mix.iter().map(|(_, weight)| *weight).collect();
        assert!(
            (weights[0] - 0.5).abs() < 1e-6 && weights[0] == weights[1] && weights[2] < 1e-6,
            "{weights:?}"
        );
    }

    #[test]
    fn what_faded_counts_less() {
        let mut ledger = Ledger::new(1);
        ledger.record(&[1.0], &sorted([100.0; 12]), 1);
        (0..60 * 24).for_each(|_| {
            ledger.fade();
            ledger.record(&[1.0], &sorted([0.5; 12]), 1);
        });
        assert!(leading(&ledger, 0.01, 0.0).margin < 1.0);
    }
}
