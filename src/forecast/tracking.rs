//! What becomes of a series' forecasts once the hours they were for are over:
//! their live score, and the width of the next ones.
//!
//! Two leads are watched, the next step and a day ahead. Whenever a value comes,
//! the side of the interval that it missed grows and the other shrinks, each
//! towards its own tenth: adaptive conformal inference (Gibbs and Candès 2021),
//! with the logarithm of the width as what is moved in place of the level. The
//! sum of the moves is bounded, because the widths are; so the long-run share
//! of misses is held to a tenth a side whatever the series does, as long as the
//! bounds are not reached.

use std::collections::VecDeque;

use ndarray::{Array1, Array2, aview1};
use serde::{Deserialize, Serialize};

use super::Forecast;
use super::quantiles::Quantiles;
use super::score::Score;

/// How far ahead forecasts are watched, in steps; 1 is the next.
const LEADS: [usize; 2] = [1, 24];
/// How far ahead a forecast must go so that all of it is watched that is: the
/// longest lead, and what a change of the clock takes away.
pub const WATCHED: usize = LEADS[1] + 2;
/// How far a miss moves the logarithm of a width.
const STEP: f64 = 0.05;
/// The share of values beyond each end of the interval.
const TAIL: f64 = 0.1;
/// The largest factor of a width; its inverse is the smallest.
const WIDEST: f64 = 4.0;

/// Watches the forecasts of one series.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    leads: [Lead; LEADS.len()],
}

/// The forecasts of one lead.
#[derive(Debug, Clone, Default)]
struct Lead {
    /// Forecasts of steps that have not come, the soonest first.
    pending: VecDeque<Pending>,
    /// The logarithms of the factors of the width below and above the median.
    below: f64,
    above: f64,
    score: Score,
}

/// What was forecast of one step.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pending {
    step: i64,
    /// The quantiles, and the point forecast at the end.
    row: Box<[f32]>,
}

/// The forecasts of steps that have not come, apart from what earlier ones
/// taught.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Waiting([VecDeque<Pending>; LEADS.len()]);

impl Tracker {
    /// Hands out the forecasts that wait for their hours, to be laid by.
    pub fn hand_out(&mut self) -> Waiting {
        Waiting(self.leads.each_mut().map(|lead| std::mem::take(&mut lead.pending)))
    }

    /// Takes back what was laid by.
    pub fn take_back(&mut self, waiting: Waiting) {
        self.leads.iter_mut().zip(waiting.0).for_each(|(lead, pending)| lead.pending = pending);
    }

    /// Takes in the value of a step, `NaN` for a gap. `quantiles` are those that
    /// forecasts were issued with. Gives whether the value lies above all that was
    /// forecast of it.
    pub fn observe(&mut self, step: i64, value: f64, quantiles: &Quantiles) -> bool {
        let mut surprises = false;
        for lead in &mut self.leads {
            while lead.pending.front().is_some_and(|pending| pending.step < step) {
                lead.pending.pop_front();
            }
            let due = lead.pending.pop_front_if(|pending| pending.step == step);
            if let Some(pending) = due.filter(|_| value.is_finite()) {
                let highest = pending.row.iter().rev().nth(1);
                surprises |= highest.is_some_and(|highest| value > f64::from(*highest));
                lead.learn(&pending.row, value, quantiles);
            }
        }
        surprises
    }

    /// Remembers those steps of a forecast that are watched; `first` is the step
    /// that its first row is for.
    pub fn issue(&mut self, first: i64, forecast: &Forecast) {
        for (lead, ahead) in self.leads.iter_mut().zip(LEADS) {
            let step = first + ahead as i64 - 1;
            let is_new = lead.pending.back().is_none_or(|last| last.step < step);
            if ahead > forecast.mean.len() || !is_new {
                continue;
            }
            let row = forecast.values.row(ahead - 1);
            let row = row.iter().chain([&forecast.mean[ahead - 1]]).map(|value| *value as f32).collect();
            lead.pending.push_back(Pending { step, row });
        }
    }

    /// Widens or narrows a forecast by what was learnt; steps between two leads
    /// take a share of both. `floor` is the least value that can be.
    pub fn correct(&self, forecast: &mut Forecast, floor: f64) {
        let [near, far] = &self.leads;
        let span = (LEADS[1] - LEADS[0]) as f64;
        let rows = forecast.values.rows_mut().into_iter().zip(&forecast.mean).enumerate();
        for (ahead, (mut row, centre)) in rows {
            let share = (ahead as f64 / span).min(1.0);
            let factor = |near: f64, far: f64| (near + share * (far - near)).exp();
            let (below, above) = (factor(near.below, far.below), factor(near.above, far.above));
            for cell in &mut row {
                let distance = *cell - centre;
                let moved = centre + if distance < 0.0 { below } else { above } * distance;
                *cell = if moved.is_finite() { moved.max(floor) } else { *cell };
            }
        }
    }

    /// What the forecasts were worth since the last [`reset`](Self::reset).
    pub fn score(&self) -> Score {
        self.leads.iter().fold(Score::default(), |sum, lead| sum.and(lead.score))
    }

    /// Begins a new score; what was learnt of the widths stays.
    pub fn reset(&mut self) {
        self.leads.iter_mut().for_each(|lead| lead.score = Score::default());
    }

    /// Takes over what another tracker of the same series learnt of the widths.
    pub fn inherit(&mut self, other: &Tracker) {
        for (lead, known) in self.leads.iter_mut().zip(&other.leads) {
            (lead.below, lead.above) = (known.below, known.above);
        }
    }

    /// How many bytes are kept.
    pub fn bytes(&self) -> usize {
        let pending = |pending: &Pending| size_of::<Pending>() + size_of::<f32>() * pending.row.len();
        size_of::<Self>() + self.leads.iter().flat_map(|lead| &lead.pending).map(pending).sum::<usize>()
    }
}

impl Lead {
    fn learn(&mut self, row: &[f32], value: f64, quantiles: &Quantiles) {
        let Some((mean, row)) = row.split_last() else { return };
        let row: Array1<f64> = row.iter().map(|value| f64::from(*value)).collect();
        let (low, high) = (row[quantiles.nearest(TAIL)], row[quantiles.nearest(1.0 - TAIL)]);
        let forecast = Forecast {
            mean: Array1::from_elem(1, f64::from(*mean)),
            quantiles: quantiles.clone(),
            values: Array2::from_shape_fn((1, row.len()), |(_, column)| row[column]),
            members: Vec::new(),
        };
        self.score = self.score.and(Score::of(&forecast, aview1(&[value]), 0..1));
        // A forecast is kept with fewer digits than the values have.
        let slack = 1e-6 * value.abs();
        let moved = |width: f64, missed: bool| {
            let miss = if missed { 1.0 } else { 0.0 };
            (width + STEP * (miss - TAIL)).clamp(-WIDEST.ln(), WIDEST.ln())
        };
        self.below = moved(self.below, value < low - slack);
        self.above = moved(self.above, value > high + slack);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn noise(step: i64) -> f64 {
        let mixed = (step as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 32)) % 100_000) as f64 / 50_000.0 - 1.0
    }

    /// Always the quantiles of noise between -1 and 1, about 100.
    fn forecast(horizon: usize) -> Forecast {
        let quantiles = Quantiles::default();
        let levels = quantiles.levels().to_vec();
        let values = Array2::from_shape_fn((horizon, 9), |(_, column)| 99.0 + 2.0 * levels[column]);
        Forecast { mean: Array1::from_elem(horizon, 100.0), quantiles, values, members: Vec::new() }
    }

    /// Runs a tracker over a year whose noise grows to `growth` times after a
    /// quarter; gives the cover of the rest, one and 24 steps ahead.
    fn cover(growth: f64, corrected: bool) -> [f64; 2] {
        let mut tracker = Tracker::default();
        for step in 0..8760 {
            let size = if step < 2190 { 1.0 } else { growth };
            tracker.observe(step, 100.0 + size * noise(step), &Quantiles::default());
            if step == 2190 {
                tracker.reset();
            }
            let mut next = forecast(30);
            if corrected {
                tracker.correct(&mut next, f64::MIN);
            }
            tracker.issue(step + 1, &next);
        }
        tracker.leads.map(|lead| lead.score.cover().unwrap())
    }

    #[test]
    fn cover_is_held_when_the_series_changes() {
        for growth in [0.5, 1.0, 3.0] {
            for cover in cover(growth, true) {
                assert!((cover - 0.8).abs() < 0.02, "noise times {growth}: {cover}");
            }
        }
        assert!(cover(3.0, false)[0] < 0.4, "without the correction it is lost");
    }

    #[test]
    fn gaps_teach_nothing_and_late_values_are_dropped() {
        let mut tracker = Tracker::default();
        tracker.issue(1, &forecast(30));
        tracker.observe(1, f64::NAN, &Quantiles::default());
        assert_eq!(tracker.score().steps, 0);
        tracker.issue(2, &forecast(30));
        assert!(!tracker.clone().observe(2, 100.7, &Quantiles::default()));
        assert!(tracker.clone().observe(2, 100.9, &Quantiles::default()), "above the highest level");
        tracker.observe(40, 100.0, &Quantiles::default());
        assert_eq!((tracker.score().steps, tracker.bytes()), (0, size_of::<Tracker>()));
    }

    proptest! {
        #[test]
        fn a_corrected_forecast_stays_in_order_and_above_its_floor(
            values in proptest::collection::vec(prop_oneof![-1e12..1e12_f64, Just(f64::NAN), Just(100.0)], 0..300),
        ) {
            let mut tracker = Tracker::default();
            for (step, value) in values.into_iter().enumerate() {
                tracker.observe(step as i64, value, &Quantiles::default());
                let mut next = forecast(30);
                tracker.correct(&mut next, 0.0);
                tracker.issue(step as i64 + 1, &next);
                for row in next.values.rows() {
                    prop_assert!(row.iter().zip(row.iter().skip(1)).all(|(low, high)| low <= high));
                    prop_assert!(row.iter().all(|value| value.is_finite() && *value >= 0.0));
                }
            }
        }
    }
}
