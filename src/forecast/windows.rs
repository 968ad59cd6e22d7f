//! Quantiles of what was seen lately.
//!
//! Machines under bursts follow no rhythm that a regression could carry on;
//! there the weighted quantiles of the recent past are hard to beat. A window
//! weighs each sample by its age and, with a `focus`, by its distance from the
//! wanted place in the season: exponential smoothing and kernel smoothing of the
//! distribution in place of its mean.

use ndarray::{Array2, ArrayView1};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Abstention;
use super::ensemble::COMPARED_LEVELS;
use super::ensemble::member::{Ahead, Case, Fitted, Keeping, Kept, Member, Outlook};
use super::history::History;

/// Seasons that a window looks back at.
const SEASONS_SEEN: usize = 21;
/// What stands for a season where a history has none, in steps.
const DAY: usize = 24;

/// Places in a season for which windows are compared.
const PLACES_TRIED: usize = 8;

/// A weighting of the past.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Window {
    name: &'static str,
    /// The age at which a sample weighs half, in seasons.
    half_life: f64,
    /// The standard deviation of the weight about the wanted place in the
    /// season, in seasons; `None` where the place does not matter.
    focus: Option<f64>,
}

/// All windows.
pub(super) const WINDOWS: [Window; 6] = [
    Window { name: "half a day's window", half_life: 0.5, focus: None },
    Window { name: "a day's window", half_life: 1.0, focus: None },
    Window { name: "two days' window", half_life: 2.0, focus: None },
    Window { name: "five days' window", half_life: 5.0, focus: None },
    Window { name: "hour of three days", half_life: 3.0, focus: Some(1.0 / 12.0) },
    Window { name: "hour of ten days", half_life: 10.0, focus: Some(1.0 / 16.0) },
];

impl Serialize for Window {
    /// As its place among all windows.
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        WINDOWS.iter().position(|known| known == self).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let place = Option::<usize>::deserialize(from)?;
        let window = place.and_then(|place| WINDOWS.get(place)).copied();
        window.ok_or_else(|| de::Error::custom("a window that there is not"))
    }
}

impl Member for Window {
    fn name(&self) -> &'static str {
        self.name
    }

    fn fit(&self, _fleet: &[Case<'_>]) -> Box<dyn Fitted> {
        Box::new(*self)
    }
}

impl Fitted for Window {
    fn outlook(&self, case: &Case<'_>) -> Result<Outlook, Abstention> {
        let (past, season) = (SortedPast::of(case.history), case.history.season);
        let stride = (season / PLACES_TRIED).max(1);
        let trial = case.trial;
        let tried = trial
            .compared_origins()
            .map(|origin| past.ahead(*self, origin, trial.horizon, stride, &COMPARED_LEVELS))
            .collect();
        let ahead = past.ahead(*self, case.history.len(), case.horizon, 1, case.levels);
        Ok(Outlook::Quantiles { tried, ahead })
    }

    fn learn(&self, case: &Case<'_>) -> Result<(Outlook, Option<Keeping>), Abstention> {
        Ok((self.outlook(case)?, Some(Keeping::Window(*self))))
    }
}

impl Kept for Window {
    fn ahead(
        &self,
        history: &History,
        _fresh: usize,
        horizon: usize,
        levels: &[f64],
    ) -> Result<Ahead, Abstention> {
        let past = SortedPast::of(history);
        Ok(Ahead::Quantiles(past.ahead(*self, history.len(), horizon, 1, levels)))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// A history sorted by value, for the quantiles of a window.
struct SortedPast<'a> {
    /// The samples' values and steps, the smallest value first.
    sorted: &'a [(f64, usize)],
    season: usize,
    has_season: bool,
}

impl<'a> SortedPast<'a> {
    fn of(history: &'a History) -> Self {
        let has_season = history.season > 1;
        let season = if has_season { history.season } else { DAY };
        SortedPast { sorted: &history.sorted, season, has_season }
    }

    /// A window's quantiles after `end`, shape `[horizon, levels]`, looked at
    /// once for `stride` places in the season.
    fn ahead(
        &self,
        window: Window,
        end: usize,
        horizon: usize,
        stride: usize,
        levels: &[f64],
    ) -> Array2<f64> {
        let kernel = self.kernel(window);
        let period = kernel.len();
        let samples = self.recent(end, &self.fading(window, end, period));
        let places: Vec<usize> = (0..period.min(horizon)).step_by(stride).collect();
        let mut values = Array2::zeros((horizon, levels.len()));
        let mut row = vec![0.0; levels.len()];
        for some in places.chunks(PLACES_AT_ONCE) {
            let weighed = Weighed::of(&samples, &kernel, some);
            let sums = weighed.sums();
            for (column, place) in some.iter().enumerate() {
                weighed.quantiles(&sums, column, levels, &mut row);
                let like_it = *place..(place + stride).min(period);
                for step in like_it.flat_map(|place| (place..horizon).step_by(period)) {
                    values.row_mut(step).assign(&ArrayView1::from(&row));
                }
            }
        }
        values
    }

    /// The samples before `end` that have a weight by their age.
    fn recent(&self, end: usize, by_age: &[(f64, usize)]) -> Vec<Sample> {
        // Steps after the end wrap to ages that are not seen.
        let sample = |(value, step): &(f64, usize)| {
            let age = end.wrapping_sub(step + 1);
            by_age.get(age).map(|(weight, turn)| Sample { value: *value, weight: *weight, turn: *turn })
        };
        self.sorted.iter().filter_map(sample).collect()
    }

    /// The weight of each age, from the youngest sample before `end` on, and its
    /// place in the period.
    fn fading(&self, window: Window, end: usize, period: usize) -> Vec<(f64, usize)> {
        let seen = (SEASONS_SEEN * self.season).min(end);
        let fading = 0.5_f64.powf(1.0 / (window.half_life * self.season as f64));
        let older = |weight: &mut f64, _| {
            *weight *= fading;
            Some(*weight)
        };
        (0..seen).scan(1.0, older).zip((0..period).cycle()).collect()
    }

    /// The weight of each distance from the wanted place in the season; of one
    /// place where a window gives the same quantiles for all.
    fn kernel(&self, window: Window) -> Vec<f64> {
        let Some(focus) = window.focus.filter(|_| self.has_season) else { return vec![1.0] };
        let width = focus * self.season as f64;
        let distance = |steps: usize| steps.min(self.season - steps) as f64 / width;
        (0..self.season).map(|steps| (-0.5 * distance(steps).powi(2)).exp()).collect()
    }
}

/// A sample with its weight by age.
#[derive(Debug, Clone, Copy)]
struct Sample {
    value: f64,
    weight: f64,
    /// Its age within the season.
    turn: usize,
}

/// Samples whose weights are added up together.
const BLOCK: usize = 8;

/// Places in the season for which samples are weighed together: a whole day of
/// hours, and of a long season no more than there is room for.
const PLACES_AT_ONCE: usize = 32;

/// Samples sorted by value that weigh differently for each place in a season.
struct Weighed<'a> {
    /// The smallest value first.
    samples: &'a [Sample],
    /// The share of its weight that a sample has at each place, one age within
    /// the season after the other.
    shares: Vec<f64>,
    places: usize,
}

impl<'a> Weighed<'a> {
    /// The samples as they weigh at some places; the kernel is over the season.
    fn of(samples: &'a [Sample], kernel: &[f64], places: &[usize]) -> Self {
        let mut shares = Vec::with_capacity(kernel.len() * places.len());
        for turn in 0..kernel.len() {
            let distances = places.iter().map(|place| turn + place + 1);
            shares.extend(distances.map(|distance| match distance.checked_sub(kernel.len()) {
                Some(past_the_end) => kernel[past_the_end],
                None => kernel[distance],
            }));
        }
        Weighed { samples, shares, places: places.len() }
    }

    fn shares(&self, sample: &Sample) -> &[f64] {
        &self.shares[sample.turn * self.places..][..self.places]
    }

    /// The weights of each block's samples at all places, one block after the
    /// other.
    fn sums(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.places * self.samples.len().div_ceil(BLOCK)];
        for (block, sums) in self.samples.chunks(BLOCK).zip(sums.chunks_mut(self.places.max(1))) {
            for sample in block {
                let shares = self.shares(sample);
                sums.iter_mut().zip(shares).for_each(|(sum, share)| *sum += sample.weight * share);
            }
        }
        sums
    }

    /// The quantiles at one place, levels rising: each value stands at the middle
    /// of its weight, with straight lines between. Blocks are passed at one
    /// step, by their `sums`.
    fn quantiles(&self, sums: &[f64], place: usize, levels: &[f64], found: &mut [f64]) {
        let sum_of = |block: usize| sums.get(block * self.places + place);
        let total: f64 = (0..).map_while(sum_of).sum();
        let (Some(first), true) = (self.samples.first(), total > 0.0) else { return };
        let weight = |sample: &Sample| sample.weight * self.shares(sample)[place];
        let (mut below, mut passed) = (0.0, 0);
        for (level, cell) in levels.iter().zip(found) {
            let wanted = level * total;
            while let Some(sum) = sum_of(passed).filter(|sum| below + **sum < wanted) {
                below += sum;
                passed += 1;
            }
            let (before, rest) = self.samples.split_at((passed * BLOCK).min(self.samples.len()));
            let mut last =
                before.last().map_or((first.value, 0.0), |last| (last.value, below - weight(last) / 2.0));
            let mut under = below;
            let reaches = rest.iter().find_map(|sample| {
                let middle = under + weight(sample) / 2.0;
                if middle >= wanted {
                    return Some((sample.value, middle));
                }
                last = (sample.value, middle);
                under += weight(sample);
                None
            });
            *cell = match reaches {
                Some((value, middle)) => {
                    let part = if middle > last.1 { (wanted - last.1) / (middle - last.1) } else { 1.0 };
                    last.0 + (value - last.0) * part.clamp(0.0, 1.0)
                }
                None => last.0,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantiles(samples: &[(f64, f64)], levels: &[f64]) -> Vec<f64> {
        let sample = |(value, weight): &(f64, f64)| Sample { value: *value, weight: *weight, turn: 0 };
        let samples: Vec<Sample> = samples.iter().map(sample).collect();
        let weighed = Weighed::of(&samples, &[1.0], &[0]);
        let mut found = vec![0.0; levels.len()];
        weighed.quantiles(&weighed.sums(), 0, levels, &mut found);
        found
    }

    #[test]
    fn equal_weights_give_plain_quantiles() {
        let sorted: Vec<(f64, f64)> = (0..101).map(|value| (f64::from(value), 1.0)).collect();
        for (found, wanted) in quantiles(&sorted, &[0.1, 0.5, 0.9]).iter().zip([9.6, 50.0, 90.4]) {
            assert!((found - wanted).abs() < 1e-9, "{found} {wanted}");
        }
        assert_eq!(quantiles(&[(7.0, 3.0)], &[0.1, 0.5, 0.9]), [7.0; 3]);
        let found = quantiles(&[(1.0, 1.0), (2.0, 0.0), (5.0, 99.0)], &[0.001, 0.5, 0.9]);
        assert_eq!(found[0], 1.0);
        assert!(found[1] > 2.0 && found[2] == 5.0);
        assert_eq!(quantiles(&[], &[0.5]), [0.0]);
    }

    /// One place after the other, one sample after the other.
    fn plainly(past: &SortedPast<'_>, window: Window, end: usize, place: usize, level: f64) -> f64 {
        let kernel = past.kernel(window);
        let by_age = past.fading(window, end, kernel.len());
        let weighed: Vec<(f64, f64)> = past
            .recent(end, &by_age)
            .iter()
            .map(|sample| (sample.value, sample.weight * kernel[(sample.turn + place + 1) % kernel.len()]))
            .collect();
        let total: f64 = weighed.iter().map(|(_, weight)| weight).sum();
        let (mut below, mut last) = (0.0, (weighed[0].0, 0.0));
        for (value, weight) in weighed {
            let middle = below + weight / 2.0;
            if middle >= level * total {
                return last.0 + (value - last.0) * (level * total - last.1) / (middle - last.1);
            }
            (last, below) = ((value, middle), below + weight);
        }
        last.0
    }

    #[test]
    fn all_places_at_once_are_what_each_is_alone() {
        let noise = |step: usize| ((step * 7919 + 13) % 1009) as f64 / 1009.0;
        let mut values: Vec<f64> = (0..800).map(|step| noise(step) + (step % 24) as f64 / 10.0).collect();
        values[300..330].fill(f64::NAN);
        let levels = [0.001, 0.1, 0.5, 0.9, 0.999];
        // The second season has more places than are weighed together.
        for season in [24, 100] {
            let history = History::prepare(ArrayView1::from(&values), &[season]).unwrap();
            let past = SortedPast::of(&history);
            for (window, end) in
                WINDOWS.into_iter().flat_map(|window| [800, 700, 40].map(|end| (window, end)))
            {
                let ahead = past.ahead(window, end, 150, 1, &levels);
                for ((step, column), found) in ahead.indexed_iter() {
                    let wanted = plainly(&past, window, end, step % season, levels[column]);
                    assert!(
                        (found - wanted).abs() < 1e-9,
                        "{window:?} {end} {step} {column}: {found} {wanted}"
                    );
                }
            }
        }
    }
}
