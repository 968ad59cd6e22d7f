//! A series taken apart into a slow level and one rhythm for each season.
//!
//! The scheme is that of MSTL (Bandara, Hyndman and Bergmeir 2021): each
//! season's rhythm is estimated from what the level and the other rhythms leave
//! over, twice in turn. Here a rhythm is the fading mean at each place of the
//! season, in place of a local regression, so that it takes one pass.

use serde::{Deserialize, Serialize};

use crate::series::dense;

/// The weight of a season relative to the next younger one.
const FADING: f64 = 0.85;
/// How often each rhythm is estimated.
const ROUNDS: usize = 2;

/// The rhythm of one season about its level.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Rhythm {
    /// By the place in the season; they sum to 0.
    #[serde(with = "dense")]
    values: Vec<f32>,
}

impl Rhythm {
    /// The length of the season in steps.
    pub fn season(&self) -> usize {
        self.values.len()
    }

    /// How many bytes it takes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + size_of::<f32>() * self.values.len()
    }

    /// The distance from the level at a step, counted as the decomposed values
    /// were.
    pub fn at(&self, step: usize) -> f64 {
        f64::from(self.values[step % self.values.len()])
    }

    /// Moves one place by `change`.
    pub fn shift(&mut self, step: usize, change: f64) {
        let place = step % self.values.len();
        self.values[place] += change as f32;
    }
}

/// The rhythms of `known` for each of `seasons`, the shortest first.
pub(super) fn rhythms(known: &[f64], seasons: &[usize]) -> Vec<Rhythm> {
    let level = moving_mean(known, seasons.last().copied().unwrap_or(1));
    let mut rhythms: Vec<Rhythm> =
        seasons.iter().map(|season| Rhythm { values: vec![0.0; *season] }).collect();
    for _ in 0..ROUNDS {
        for index in 0..rhythms.len() {
            let left = |step: usize| {
                let others = rhythms.iter().enumerate().filter(|(other, _)| *other != index);
                known[step] - level[step] - others.map(|(_, rhythm)| rhythm.at(step)).sum::<f64>()
            };
            rhythms[index] = rhythm(known.len(), seasons[index], &left);
        }
    }
    rhythms
}

/// The fading mean of `left` at each place of a season.
fn rhythm(steps: usize, season: usize, left: &dyn Fn(usize) -> f64) -> Rhythm {
    let mut sums = vec![(0.0, 0.0); season];
    for step in 0..steps {
        let sum = &mut sums[step % season];
        *sum = (FADING * sum.0 + left(step), FADING * sum.1 + 1.0);
    }
    let means: Vec<f64> =
        sums.iter().map(|(sum, weight)| if *weight > 0.0 { sum / weight } else { 0.0 }).collect();
    let centre = means.iter().sum::<f64>() / season as f64;
    Rhythm { values: means.iter().map(|mean| (mean - centre) as f32).collect() }
}

/// The mean of the `length` values about each step; fewer at the ends.
fn moving_mean(known: &[f64], length: usize) -> Vec<f64> {
    let mut sums = Vec::with_capacity(known.len() + 1);
    sums.push(0.0);
    for value in known {
        sums.push(sums[sums.len() - 1] + value);
    }
    let (before, after) = (length / 2, length.div_ceil(2));
    let mean = |step: usize| {
        // At the ends the window keeps its length, so that it holds whole seasons.
        let first = step.saturating_sub(before).min(known.len().saturating_sub(length));
        let end = (step.max(before) + after).min(known.len()).max(first + 1);
        (sums[end] - sums[first]) / (end - first) as f64
    };
    (0..known.len()).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_rhythms_are_told_apart() {
        let day = |step: usize| if step % 24 < 12 { 3.0 } else { -3.0 };
        let week = |step: usize| if step % 168 < 120 { 4.0 } else { -10.0 };
        let known: Vec<f64> = (0..168 * 4).map(|step| 50.0 + day(step) + week(step)).collect();
        let found = rhythms(&known, &[24, 168]);
        for step in 0..168 {
            let both = found[0].at(step) + found[1].at(step);
            assert!((both - day(step) - week(step)).abs() < 1.0, "{step}: {both}");
        }
        assert!((found[0].at(3) - 3.0).abs() < 1.0, "{}", found[0].at(3));
    }

    #[test]
    fn the_mean_at_the_ends_holds_a_whole_season() {
        let known: Vec<f64> = (0..10).map(f64::from).collect();
        assert_eq!(moving_mean(&known, 4)[5], 4.5);
        assert_eq!((moving_mean(&known, 4)[0], moving_mean(&known, 4)[9]), (1.5, 7.5));
        assert_eq!(moving_mean(&[7.0], 1), [7.0]);
    }
}
