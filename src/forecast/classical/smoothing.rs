//! Exponential smoothing with a damped trend and any number of seasons.
//!
//! With one season this is the additive damped method, ETS(A,Ad,A) (Hyndman,
//! Koehler, Ord and Snyder 2008); with two, level and trend of what is left
//! over by an MSTL decomposition (Bandara, Hyndman and Bergmeir 2021), its
//! rhythms carried on by double seasonal smoothing (Taylor 2003). The first
//! half of the history gives the first state; the parameters are those of a
//! small grid that miss least in the second half, one step and one season
//! ahead.

use ndarray::Array1;
use serde::{Deserialize, Serialize};

use super::decomposition::{Rhythm, rhythms};
use super::{Filter, KeptFilter};
use crate::forecast::Abstention;
use crate::forecast::ensemble::member::Keeping;

/// How fast the level follows.
const LEVELS: [f64; 5] = [0.02, 0.1, 0.3, 0.6, 0.9];
/// How fast the rhythms follow.
const RHYTHMS: [f64; 3] = [0.02, 0.1, 0.3];
/// How fast a trend follows, as a share of the level's speed.
const TREND: f64 = 0.05;
/// The speeds that are tried without a trend: each level with each rhythm.
const GRID: usize = LEVELS.len() * RHYTHMS.len();
/// What is left of the trend a step later.
const DAMPING: f64 = 0.98;
/// Steps that a first state is taken from at least.
const LEAST_FIRST: usize = 8;

/// Speeds of following.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Speeds {
    level: f64,
    trend: f64,
    rhythm: f64,
}

/// A state that goes on with each sample.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Smoothing {
    speeds: Speeds,
    level: f64,
    trend: f64,
    rhythms: Vec<Rhythm>,
    /// How many samples were seen.
    step: usize,
}

impl Smoothing {
    /// Chooses the speeds on `known`.
    fn fit(known: &[f64], seasons: &[usize]) -> Result<Self, Abstention> {
        let season = seasons.last().copied().unwrap_or(1);
        let first = (known.len() / 2).max(2 * season).max(LEAST_FIRST);
        if known.len() < first + LEAST_FIRST {
            return Err(Abstention::TooShort { have: known.len(), need: first + LEAST_FIRST });
        }
        let recent = &known[first.saturating_sub(season.max(LEAST_FIRST))..first];
        let start = Smoothing {
            speeds: Speeds { level: 0.0, trend: 0.0, rhythm: 0.0 },
            level: recent.iter().sum::<f64>() / recent.len() as f64,
            trend: 0.0,
            rhythms: rhythms(&known[..first], seasons),
            step: first,
        };
        let lead = seasons.first().copied().unwrap_or(1);
        let walked = |speeds: Speeds| {
            let mut state = Smoothing { speeds, ..start.clone() };
            (state.walk(&known[first..], lead), state)
        };
        // A trend is tried at the best of the other speeds alone.
        let best = start.best_of_grid(&known[first..], lead);
        let tried = [0.0, TREND].map(|trend| walked(Speeds { trend, ..best }));
        let finite = tried.into_iter().filter(|(missed, _)| missed.is_finite());
        let least = finite.min_by(|a, b| a.0.total_cmp(&b.0));
        least.map(|(_, state)| state).ok_or(Abstention::NothingToRegress)
    }

    /// Goes on through `values` at all speeds of the grid at once, without a trend;
    /// gives those that missed least.
    fn best_of_grid(&self, values: &[f64], lead: usize) -> Speeds {
        let speeds: [Speeds; GRID] = std::array::from_fn(|lane| Speeds {
            level: LEVELS[lane / RHYTHMS.len()],
            trend: 0.0,
            rhythm: RHYTHMS[lane % RHYTHMS.len()],
        });
        let of_others =
            |speeds: Speeds| speeds.rhythm * (1.0 - speeds.level) / self.rhythms.len().max(1) as f64;
        let shares = speeds.map(of_others);
        let lanes = |rhythm: &Rhythm| (0..rhythm.season()).map(|place| [rhythm.at(place); GRID]).collect();
        let mut rhythms: Vec<Vec<[f64; GRID]>> = self.rhythms.iter().map(lanes).collect();
        let (mut level, mut pending) = ([self.level; GRID], vec![[0.0; GRID]; lead]);
        let mut missed = [0.0; GRID];
        for (step, value) in (self.step..).zip(values) {
            let mut miss = level.map(|level| value - level);
            for rhythm in &rhythms {
                let now = &rhythm[step % rhythm.len()];
                miss.iter_mut().zip(now).for_each(|(miss, now)| *miss -= now);
            }
            let early = &mut pending[step % lead];
            let known = step >= self.step + lead;
            (0..GRID).for_each(|lane| {
                missed[lane] += miss[lane].abs() + if known { (value - early[lane]).abs() } else { 0.0 };
                level[lane] += speeds[lane].level * miss[lane];
            });
            *early = level;
            for rhythm in &mut rhythms {
                let season = rhythm.len();
                let now = &mut rhythm[step % season];
                (0..GRID).for_each(|lane| now[lane] += shares[lane] * miss[lane]);
                let later = &rhythm[(step + lead) % season];
                early.iter_mut().zip(later).for_each(|(early, later)| *early += later);
            }
        }
        let least = (0..GRID).min_by(|one, other| missed[*one].total_cmp(&missed[*other]));
        speeds[least.unwrap_or(0)]
    }

    /// Goes on through `values`; gives the sum of what was missed one step and
    /// `lead` steps ahead.
    fn walk(&mut self, values: &[f64], lead: usize) -> f64 {
        let mut pending = vec![f64::NAN; lead];
        let rise = DAMPING * (1.0 - DAMPING.powi(lead as i32)) / (1.0 - DAMPING);
        let mut missed = 0.0;
        for value in values {
            let place = self.step % lead;
            let miss = value - self.expected(1, DAMPING);
            missed += miss.abs();
            if pending[place].is_finite() {
                missed += (value - pending[place]).abs();
            }
            self.follow(miss);
            // What is expected at the step `lead` after the one just seen.
            pending[place] = self.expected(lead, rise);
        }
        missed
    }

    /// The value `ahead` steps after the last sample, 1 being the next, where
    /// the damped trend adds up to so many of its steps.
    fn expected(&self, ahead: usize, rise: f64) -> f64 {
        let step = self.step + ahead - 1;
        self.level + self.trend * rise + self.rhythms.iter().map(|rhythm| rhythm.at(step)).sum::<f64>()
    }

    fn update(&mut self, value: f64) {
        self.follow(value - self.expected(1, DAMPING));
    }

    /// Goes on by a sample that was missed by `miss`.
    fn follow(&mut self, miss: f64) {
        let Speeds { level, trend, rhythm } = self.speeds;
        self.level += DAMPING * self.trend + level * miss;
        self.trend = DAMPING * self.trend + level * trend * miss;
        // What the level does not take is shared by the rhythms.
        let share = rhythm * (1.0 - level) * miss / self.rhythms.len().max(1) as f64;
        self.rhythms.iter_mut().for_each(|rhythm| rhythm.shift(self.step, share));
        self.step += 1;
    }

    fn path(&self, horizon: usize) -> Array1<f64> {
        let (mut level, mut trend) = (self.level, self.trend);
        Array1::from_shape_fn(horizon, |ahead| {
            trend *= DAMPING;
            level += trend;
            level + self.rhythms.iter().map(|rhythm| rhythm.at(self.step + ahead)).sum::<f64>()
        })
    }
}

/// Exponential smoothing with the shortest season, or with none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::forecast) struct OneSeason(Smoothing);

impl Filter for OneSeason {
    const NAME: &'static str = "exponential smoothing";
    const KEEP: fn(KeptFilter<Self>) -> Keeping = Keeping::OneSeason;

    fn fit(known: &[f64], seasons: &[usize]) -> Result<Self, Abstention> {
        Smoothing::fit(known, &seasons[..seasons.len().min(1)]).map(OneSeason)
    }

    fn update(&mut self, value: f64) {
        self.0.update(value);
    }

    fn path(&self, horizon: usize) -> Array1<f64> {
        self.0.path(horizon)
    }

    fn bytes(&self) -> usize {
        self.0.rhythms.iter().map(Rhythm::bytes).sum()
    }
}

/// Exponential smoothing with two seasons.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::forecast) struct TwoSeasons(Smoothing);

impl Filter for TwoSeasons {
    const NAME: &'static str = "multiple seasons";
    const KEEP: fn(KeptFilter<Self>) -> Keeping = Keeping::TwoSeasons;

    fn fit(known: &[f64], seasons: &[usize]) -> Result<Self, Abstention> {
        if seasons.len() < 2 {
            return Err(Abstention::NoSeason);
        }
        Smoothing::fit(known, seasons).map(TwoSeasons)
    }

    fn update(&mut self, value: f64) {
        self.0.update(value);
    }

    fn path(&self, horizon: usize) -> Array1<f64> {
        self.0.path(horizon)
    }

    fn bytes(&self) -> usize {
        self.0.rhythms.iter().map(Rhythm::bytes).sum()
    }
}
