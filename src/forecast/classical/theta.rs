//! The dynamic optimised Theta method (Assimakopoulos and Nikolopoulos 2000;
//! Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler 2016).
//!
//! A series without its rhythm is split into a straight line that is fitted
//! again with each sample, and a line of exaggerated curvature, which simple
//! exponential smoothing carries on; the forecast is their weighted mean.
//! Theta and the smoothing's speed are those of a small grid that miss least
//! one step and one season ahead.

use ndarray::Array1;
use serde::{Deserialize, Serialize};

use super::decomposition::{Rhythm, rhythms};
use super::{Filter, KeptFilter};
use crate::forecast::Abstention;
use crate::forecast::ensemble::member::Keeping;

/// How fast the level follows.
const SPEEDS: [f64; 5] = [0.05, 0.2, 0.4, 0.7, 0.95];
/// How strongly the curvature is exaggerated; 1 is smoothing alone.
const THETAS: [f64; 4] = [1.0, 1.5, 2.0, 4.0];
/// Samples without which no line is fitted.
const LEAST: usize = 12;

/// The state after some samples.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::forecast) struct Theta {
    line: Line,
    rhythm: Option<Rhythm>,
}

/// The two lines of a series without its rhythm.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Line {
    speed: f64,
    theta: f64,
    level: f64,
    /// The straight line's value at the start and its slope.
    start: f64,
    slope: f64,
    mean: f64,
    /// How many samples were seen.
    step: usize,
    /// What is left of the first value's weight: `(1 - speed)^step`.
    left: f64,
}

impl Line {
    fn new(speed: f64, theta: f64, first: f64) -> Self {
        Line { speed, theta, level: first, start: first, slope: 0.0, mean: first, step: 1, left: 1.0 - speed }
    }

    /// The next value (Fiorucci et al., equation 7).
    fn expected(&self) -> f64 {
        let next = self.left * (1.0 - self.speed);
        let line = self.left * self.start + (1.0 - next) / self.speed * self.slope;
        self.level + (1.0 - 1.0 / self.theta) * line
    }

    /// Goes on by one value (equations 8 to 11).
    fn update(&mut self, value: f64) {
        let seen = (self.step + 1) as f64;
        self.level += self.speed * (value - self.level);
        self.slope = ((seen - 2.0) * self.slope + 6.0 / seen * (value - self.mean)) / (seen + 1.0);
        self.mean += (value - self.mean) / seen;
        self.start = self.mean - (seen + 1.0) / 2.0 * self.slope;
        self.left *= 1.0 - self.speed;
        self.step += 1;
    }

    /// Each further value is the expected one of a walk through those before.
    fn path(mut self, horizon: usize) -> Array1<f64> {
        let mut path = Array1::zeros(horizon);
        for value in &mut path {
            *value = self.expected();
            self.update(*value);
        }
        path
    }

    /// Goes through all values but the first, which the line stands on; gives
    /// what was missed in the second half, one step and `lead` steps ahead.
    fn walk(&mut self, values: &[f64], lead: usize) -> f64 {
        let (mut missed, mut pending) = (0.0, vec![f64::NAN; lead]);
        let half = values.len() / 2;
        for (index, value) in values.iter().enumerate().skip(1) {
            if index >= half {
                let ahead = pending[index % lead];
                missed += (value - self.expected()).abs();
                missed += if ahead.is_finite() { (value - ahead).abs() } else { 0.0 };
            }
            self.update(*value);
            // Without simulating: the level stays, the line goes on.
            let rise = (1.0 - 1.0 / self.theta) * self.slope * (lead - 1) as f64;
            pending[index % lead] = self.expected() + rise;
        }
        missed
    }
}

impl Filter for Theta {
    const NAME: &'static str = "theta";
    const KEEP: fn(KeptFilter<Self>) -> Keeping = Keeping::Theta;

    fn fit(known: &[f64], seasons: &[usize]) -> Result<Self, Abstention> {
        if known.len() < LEAST {
            return Err(Abstention::TooShort { have: known.len(), need: LEAST });
        }
        let rhythm = rhythms(known, &seasons[..seasons.len().min(1)]).pop();
        let at = |step: usize| rhythm.as_ref().map_or(0.0, |rhythm| rhythm.at(step));
        let flat: Vec<f64> = known.iter().enumerate().map(|(step, value)| value - at(step)).collect();
        let lead = rhythm.as_ref().map_or(1, Rhythm::season);
        let tried = SPEEDS.iter().flat_map(|speed| THETAS.iter().map(move |theta| (*speed, *theta)));
        let tried = tried.map(|(speed, theta)| {
            let mut line = Line::new(speed, theta, flat[0]);
            (line.walk(&flat, lead), line)
        });
        let best = tried.filter(|(missed, _)| missed.is_finite()).min_by(|a, b| a.0.total_cmp(&b.0));
        let line = best.map(|(_, line)| line).ok_or(Abstention::NothingToRegress)?;
        Ok(Theta { line, rhythm })
    }

    fn update(&mut self, value: f64) {
        let rhythm = self.rhythm.as_ref().map_or(0.0, |rhythm| rhythm.at(self.line.step));
        self.line.update(value - rhythm);
    }

    fn path(&self, horizon: usize) -> Array1<f64> {
        let mut path = self.line.path(horizon);
        if let Some(rhythm) = &self.rhythm {
            path.iter_mut().enumerate().for_each(|(step, value)| *value += rhythm.at(self.line.step + step));
        }
        path
    }

    fn bytes(&self) -> usize {
        self.rhythm.as_ref().map_or(0, Rhythm::bytes)
    }
}
