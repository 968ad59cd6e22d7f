//! Forecast quantiles: a level and a shape of the day, carried on hour by hour,
//! and on top of that what such forecasts missed by before.
//!
//! The forecaster's whole ensemble takes milliseconds for each look, and a walk
//! has hundreds of looks, so this is the cheap kin of it. All is in logarithms, since usage
//! multiplies. The quantiles are those of the last two weeks' misses, each
//! divided by what is usually missed at its time of day (split conformal
//! prediction with a local scale, Lei et al. 2018).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{DAY, Members, Past};
use crate::rightsize::past::KEPT_HOURS;
use crate::series::dense;

/// Shares of the misses that lie below each member, rising.
const LEVELS: [f64; 3] = [0.8, 0.95, 0.99];
/// The least misses that say something.
const LEAST: usize = 12;
/// What an hour counts in the level, and a day in the shape.
const OF_HOUR: f64 = 0.4;
const OF_DAY: f64 = 0.16;
/// What an hour leaves of the sums that persistence is taken from.
const FADING: f64 = 0.995;
/// What each further hour leaves of the level's distance from the shape.
const FURTHER: f64 = 0.97;
/// Usage below this share of two weeks' peak is taken for as much, so that an
/// idle hour is no infinite fall.
const IDLE: f64 = 0.01;
/// The least that is taken to be missed, in logarithms.
const LEAST_SPREAD: f64 = 0.01;

/// The forecast of one series.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Forecast {
    /// The logarithm of the usual peak of each hour, and how many were seen.
    shape: [(f64, f64); DAY],
    /// How far the last hours lay above their shape.
    level: f64,
    /// Sums of level times what followed, and of level squared.
    persistence: (f64, f64),
    /// What is usually missed in the intervals that begin at each hour.
    spread: [(f64, f64); DAY],
    /// The forecasts of intervals that are not over, the oldest first.
    waiting: VecDeque<f64>,
    misses: Misses,
}

/// The last misses, as they came and by size.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Misses {
    ordered: VecDeque<f32>,
    #[serde(with = "dense")]
    sorted: Vec<f32>,
}

impl Misses {
    fn push(&mut self, miss: f32) {
        if self.ordered.len() == KEPT_HOURS
            && let Some(old) = self.ordered.pop_front()
        {
            let place = self.sorted.partition_point(|known| *known < old);
            self.sorted.remove(place);
        }
        self.ordered.push_back(miss);
        let place = self.sorted.partition_point(|known| *known < miss);
        self.sorted.insert(place, miss);
    }

    /// The miss that a new one stays below with this probability.
    fn at(&self, level: f64) -> Option<f64> {
        let count = self.sorted.len();
        let place = ((count + 1) as f64 * level).ceil() as usize;
        (count >= LEAST).then(|| f64::from(self.sorted[place.clamp(1, count) - 1]))
    }
}

/// A mean in which what is new counts at least `share`.
fn learn(mean: &mut (f64, f64), value: f64, share: f64) {
    mean.1 += 1.0;
    mean.0 += share.max(1.0 / mean.1) * (value - mean.0);
}

impl Forecast {
    /// The logarithm of the highest usage of the `hours` after hour `now`.
    fn expected(&self, now: usize, hours: usize) -> f64 {
        let (with_next, squares) = self.persistence;
        let kept = if squares > 0.0 { (with_next / squares).clamp(0.0, 1.0) } else { 0.0 };
        let mut above = kept * self.level;
        let mut most = f64::NEG_INFINITY;
        for ahead in 0..hours {
            let (usual, seen) = self.shape[(now + ahead) % DAY];
            if seen > 0.0 {
                most = most.max(usual + above);
            }
            above *= FURTHER;
        }
        most
    }

    /// What is usually missed in intervals that begin at this hour.
    fn spread(&self, hour: usize) -> f64 {
        let (sum, count) = self.spread.iter().fold((0.0, 0.0), |(sum, count), (mean, seen)| {
            if *seen > 0.0 { (sum + mean, count + 1.0) } else { (sum, count) }
        });
        let all = if count > 0.0 { sum / count } else { 0.0 };
        let (own, seen) = self.spread[hour % DAY];
        (0.5 * all + 0.5 * if seen > 0.0 { own } else { all }).max(LEAST_SPREAD)
    }

    /// Enters how far the interval that ends now lay from its forecast.
    fn enter_miss(&mut self, peak: f64, begun: usize) {
        let Some(expected) = self.waiting.pop_front().filter(|expected| expected.is_finite()) else { return };
        let miss = peak - expected;
        self.misses.push((miss / self.spread(begun)) as f32);
        learn(&mut self.spread[begun % DAY], miss.abs(), OF_DAY);
    }

    fn enter_hour(&mut self, peak: f64, hour: usize) {
        let above = if self.shape[hour % DAY].1 > 0.0 { peak - self.shape[hour % DAY].0 } else { self.level };
        let (with_next, squares) = self.persistence;
        self.persistence =
            (FADING * with_next + self.level * above, FADING * squares + self.level * self.level);
        self.level += OF_HOUR * (above - self.level);
        learn(&mut self.shape[hour % DAY], peak, OF_DAY);
    }
}

impl Members for Forecast {
    fn names(&self) -> Vec<String> {
        LEVELS.map(|level| format!("forecast p{}", level * 100.0)).to_vec()
    }

    fn observe(&mut self, past: &Past, hours: usize) {
        let idle = (IDLE * past.peak(KEPT_HOURS)).max(f64::MIN_POSITIVE);
        let over = past.hours_seen();
        if self.waiting.len() == hours {
            match past.count(hours) > 0 {
                true => self.enter_miss(past.peak(hours).max(idle).ln(), over - hours),
                false => drop(self.waiting.pop_front()),
            }
        }
        if past.count(1) > 0 {
            self.enter_hour(past.peak(1).max(idle).ln(), over - 1);
        }
        self.waiting.push_back(self.expected(over, hours));
    }

    fn limits(&self, past: &Past, _: usize, limits: &mut Vec<f64>) {
        let expected = self.waiting.back().copied().unwrap_or(f64::NEG_INFINITY);
        let spread = self.spread(past.hours_seen());
        limits.extend(LEVELS.map(|level| match self.misses.at(level) {
            Some(miss) if expected.is_finite() => (expected + miss * spread).exp(),
            // Too early for a forecast: the last day's peak.
            _ => past.peak(DAY),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_day_and_knows_what_it_misses() {
        let mut past = Past::default();
        let mut forecast = Forecast::default();
        let noise = |hour: usize| 1.0 + (hour * 2_654_435_761 % 100) as f64 / 500.0;
        let usual = |hour: usize| if (8..18).contains(&(hour % DAY)) { 10.0 } else { 2.0 };
        let said = |forecast: &Forecast, past: &Past| {
            let mut limits = Vec::new();
            forecast.limits(past, 1, &mut limits);
            limits
        };
        let mut above = [0; LEVELS.len()];
        for hour in 0..21 * DAY {
            let peak = usual(hour) * noise(hour);
            if hour >= 7 * DAY {
                let limits = said(&forecast, &past);
                above.iter_mut().zip(limits).for_each(|(count, limit)| *count += u32::from(peak > limit));
            }
            past.push(&[peak]);
            forecast.observe(&past, 1);
        }
        // Of 336 hours, about a fifth, a twentieth and a hundredth.
        assert!((40..100).contains(&above[0]) && (5..32).contains(&above[1]) && above[2] < 12, "{above:?}");
        let night = said(&forecast, &past);
        assert!((2.0..3.0).contains(&night[2]), "{night:?}");
        assert_eq!(forecast.names().len(), night.len());
    }

    #[test]
    fn before_it_knows_the_day_it_repeats_it() {
        let mut past = Past::default();
        let mut forecast = Forecast::default();
        past.push(&[3.0]);
        forecast.observe(&past, 6);
        let mut limits = Vec::new();
        forecast.limits(&past, 6, &mut limits);
        assert_eq!(limits, [3.0; LEVELS.len()]);
    }
}
