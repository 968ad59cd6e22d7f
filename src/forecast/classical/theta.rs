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
    straight: Straight,
    /// What is left of the first value's weight: `(1 - speed)^step`.
    left: f64,
}

/// The straight line through all values so far.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Straight {
    /// Its value at the start and its slope.
    start: f64,
    slope: f64,
    mean: f64,
    /// How many samples were seen.
    step: usize,
}

impl Straight {
    fn new(first: f64) -> Self {
        Straight { start: first, slope: 0.0, mean: first, step: 1 }
    }

    /// Goes on by one value (equations 9 to 11).
    fn update(&mut self, value: f64) {
        let seen = (self.step + 1) as f64;
        self.slope = ((seen - 2.0) * self.slope + 6.0 / seen * (value - self.mean)) / (seen + 1.0);
        self.mean += (value - self.mean) / seen;
        self.start = self.mean - (seen + 1.0) / 2.0 * self.slope;
        self.step += 1;
    }

    /// The lines after each of `values`.
    fn all(values: &[f64]) -> Vec<Straight> {
        let mut line = Straight::new(values[0]);
        let others = values[1..].iter().map(|value| {
            line.update(*value);
            line
        });
        std::iter::once(Straight::new(values[0])).chain(others).collect()
    }
}

/// The share of the straight line in a forecast.
fn share(theta: f64) -> f64 {
    1.0 - 1.0 / theta
}

impl Line {
    /// What the smoothing has not yet seen of the straight line.
    fn unseen(&self) -> f64 {
        let next = self.left * (1.0 - self.speed);
        self.left * self.straight.start + (1.0 - next) / self.speed * self.straight.slope
    }

    /// The next value (Fiorucci et al., equation 7).
    fn expected(&self) -> f64 {
        self.level + share(self.theta) * self.unseen()
    }

    /// Goes on by one value (equation 8), after which the straight line is this.
    fn follow(&mut self, value: f64, straight: Straight) {
        self.level += self.speed * (value - self.level);
        self.left *= 1.0 - self.speed;
        self.straight = straight;
    }

    fn update(&mut self, value: f64) {
        let mut straight = self.straight;
        straight.update(value);
        self.follow(value, straight);
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
}

/// The lines of one `speed` after all `values`, one for each theta, with what
/// each missed in the second half, one step and `lead` steps ahead. `straight`
/// are the lines after each value; they and the smoothing are the same for all
/// thetas.
fn walked(values: &[f64], straight: &[Straight], speed: f64, lead: usize) -> [(f64, Line); THETAS.len()] {
    let mut line = Line { speed, theta: 1.0, level: values[0], straight: straight[0], left: 1.0 - speed };
    // What is expected is a level and so much for each share of the straight line.
    let (mut next, mut pending) = ((line.level, line.unseen()), vec![(f64::NAN, 0.0); lead]);
    let (mut missed, half, mut place) = ([0.0; THETAS.len()], values.len() / 2, 1 % lead);
    for (index, value) in values.iter().enumerate().skip(1) {
        if index >= half {
            let ahead = pending[place];
            for (missed, theta) in missed.iter_mut().zip(THETAS) {
                let miss = |(level, rise): (f64, f64)| (value - level - share(theta) * rise).abs();
                *missed += miss(next) + if ahead.0.is_finite() { miss(ahead) } else { 0.0 };
            }
        }
        line.follow(*value, straight[index]);
        next = (line.level, line.unseen());
        // Without simulating: the level stays, the line goes on.
        pending[place] = (next.0, next.1 + line.straight.slope * (lead - 1) as f64);
        place = if place + 1 == lead { 0 } else { place + 1 };
    }
    std::array::from_fn(|place| (missed[place], Line { theta: THETAS[place], ..line }))
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
        let straight = Straight::all(&flat);
        let tried = SPEEDS.into_iter().flat_map(|speed| walked(&flat, &straight, speed, lead));
        let best = tried.filter(|(missed, _)| missed.is_finite()).min_by(|a, b| a.0.total_cmp(&b.0));
        let line = best.map(|(_, line)| line).ok_or(Abstention::NothingToRegress)?;
        Ok(Theta { line, rhythm })
    }

    fn update(&mut self, value: f64) {
        let rhythm = self.rhythm.as_ref().map_or(0.0, |rhythm| rhythm.at(self.line.straight.step));
        self.line.update(value - rhythm);
    }

    fn path(&self, horizon: usize) -> Array1<f64> {
        let mut path = self.line.path(horizon);
        if let Some(rhythm) = &self.rhythm {
            path.iter_mut()
                .enumerate()
                .for_each(|(step, value)| *value += rhythm.at(self.line.straight.step + step));
        }
        path
    }

    fn bytes(&self) -> usize {
        self.rhythm.as_ref().map_or(0, Rhythm::bytes)
    }
}
