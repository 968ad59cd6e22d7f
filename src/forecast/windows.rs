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
        let mut values = Array2::zeros((horizon, levels.len()));
        let (by_age, kernel) = (self.fading(window, end), self.kernel(window));
        // Without a focus all steps ahead look the same.
        let period = kernel.len().max(1);
        let mut row = vec![0.0; levels.len()];
        let recent = self.recent(end, by_age.len());
        let (mut weights, mut seen) = (by_age.clone(), Vec::with_capacity(recent.len()));
        for place in (0..period.min(horizon)).step_by(stride) {
            if !kernel.is_empty() {
                let focused = by_age.iter().zip(kernel.iter().cycle().skip((place + 1) % period));
                weights.iter_mut().zip(focused).for_each(|(weight, (age, place))| *weight = age * place);
            }
            seen.clear();
            seen.extend(recent.iter().map(|(value, age)| (*value, weights[*age])));
            weighted_quantiles(&seen, levels, &mut row);
            let ahead =
                (place..(place + stride).min(period)).flat_map(|place| (place..horizon).step_by(period));
            for step in ahead {
                values.row_mut(step).assign(&ArrayView1::from(&row));
            }
        }
        values
    }

    /// The samples of the `seen` steps before `end` with their ages, the
    /// smallest value first.
    fn recent(&self, end: usize, seen: usize) -> Vec<(f64, usize)> {
        // Steps after the end wrap to ages that are not seen.
        let with_age = self.sorted.iter().map(|(value, step)| (*value, end.wrapping_sub(step + 1)));
        with_age.filter(|(_, age)| *age < seen).collect()
    }

    /// The weight of each age, from the youngest sample before `end` on.
    fn fading(&self, window: Window, end: usize) -> Vec<f64> {
        let seen = (SEASONS_SEEN * self.season).min(end);
        let fading = 0.5_f64.powf(1.0 / (window.half_life * self.season as f64));
        let older = |weight: &mut f64, _| {
            *weight *= fading;
            Some(*weight)
        };
        (0..seen).scan(1.0, older).collect()
    }

    /// The weight of each distance from the wanted place in the season; empty
    /// where a window gives the same quantiles for all places.
    fn kernel(&self, window: Window) -> Vec<f64> {
        let Some(focus) = window.focus.filter(|_| self.has_season) else { return Vec::new() };
        let width = focus * self.season as f64;
        let distance = |steps: usize| steps.min(self.season - steps) as f64 / width;
        (0..self.season).map(|steps| (-0.5 * distance(steps).powi(2)).exp()).collect()
    }
}

/// The quantiles of values sorted upwards with their weights: each value stands
/// at the middle of its weight, with straight lines between.
pub(super) fn weighted_quantiles(sorted: &[(f64, f64)], levels: &[f64], found: &mut [f64]) {
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let (Some(first), true) = (sorted.first(), total > 0.0) else { return };
    let (mut next, mut below) = (0, 0.0);
    let mut last = (first.0, 0.0);
    for (level, cell) in levels.iter().zip(found) {
        let wanted = level * total;
        while let Some((value, weight)) = sorted.get(next).filter(|_| last.1 < wanted || next == 0) {
            let middle = below + weight / 2.0;
            if middle >= wanted {
                break;
            }
            last = (*value, middle);
            below += weight;
            next += 1;
        }
        *cell = match sorted.get(next) {
            Some((value, weight)) => {
                let middle = below + weight / 2.0;
                let part = if middle > last.1 { (wanted - last.1) / (middle - last.1) } else { 1.0 };
                last.0 + (value - last.0) * part.clamp(0.0, 1.0)
            }
            None => last.0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_weights_give_plain_quantiles() {
        let sorted: Vec<(f64, f64)> = (0..101).map(|value| (f64::from(value), 1.0)).collect();
        let mut found = [0.0; 3];
        weighted_quantiles(&sorted, &[0.1, 0.5, 0.9], &mut found);
        for (found, wanted) in found.iter().zip([9.6, 50.0, 90.4]) {
            assert!((found - wanted).abs() < 1e-9, "{found} {wanted}");
        }
        weighted_quantiles(&[(7.0, 3.0)], &[0.1, 0.5, 0.9], &mut found);
        assert_eq!(found, [7.0; 3]);
        weighted_quantiles(&[(1.0, 1.0), (2.0, 0.0), (5.0, 99.0)], &[0.001, 0.5, 0.9], &mut found);
        assert_eq!(found[0], 1.0);
        assert!(found[1] > 2.0 && found[2] == 5.0);
    }
}
