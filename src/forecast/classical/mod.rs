//! The classical methods, as filters: parameters that are chosen once, and a
//! state that goes on with each sample.
//!
//! A filter is fitted to what lies before the trial and carried through it, so
//! that its forecasts there are those of a daemon that does not fit again; its
//! misses give the quantiles. All of them see logarithms of what is never
//! negative, so that a rhythm may grow with its level.

mod decomposition;
mod smoothing;
mod theta;

use std::marker::PhantomData;

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

pub(super) use self::smoothing::{OneSeason, TwoSeasons};
pub(super) use self::theta::Theta;
use super::Abstention;
use super::ensemble::member::{Ahead, Case, Fitted, Keeping, Kept, Member, Outlook};
use super::history::History;
use super::link::Link;

/// Seasons before the trial that a filter is fitted to, at least: on two days
/// of a new tenant its trend runs away.
const SEASONS_NEEDED: usize = 2;

/// A point forecaster that is carried on with each sample.
pub(super) trait Filter: Clone + Send + Sync {
    /// The name in tables and evidence.
    const NAME: &'static str;
    /// What is kept of a series, as one of all kinds.
    const KEEP: fn(KeptFilter<Self>) -> Keeping;

    /// Chooses the parameters on `known`, which has no gaps, and stands at its
    /// end. `seasons` are those that `known` may show, the shortest first.
    ///
    /// # Errors
    /// Abstains where there is too little to choose on.
    fn fit(known: &[f64], seasons: &[usize]) -> Result<Self, Abstention>;

    /// Goes on by one sample.
    fn update(&mut self, value: f64);

    /// What comes next, shape `[horizon]`.
    fn path(&self, horizon: usize) -> Array1<f64>;

    /// How many bytes its state takes.
    fn bytes(&self) -> usize;
}

/// A filter as a member of the ensemble.
pub(super) struct Classical<F>(PhantomData<fn() -> F>);

impl<F> Default for Classical<F> {
    fn default() -> Self {
        Classical(PhantomData)
    }
}

impl<F: Filter + 'static> Member for Classical<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn fit(&self, _fleet: &[Case<'_>]) -> Box<dyn Fitted> {
        Box::new(Classical::<F>::default())
    }
}

impl<F: Filter + 'static> Fitted for Classical<F> {
    fn outlook(&self, case: &Case<'_>) -> Result<Outlook, Abstention> {
        walk::<F>(case).map(|(outlook, _)| outlook)
    }

    fn learn(&self, case: &Case<'_>) -> Result<(Outlook, Option<Keeping>), Abstention> {
        walk::<F>(case).map(|(outlook, kept)| (outlook, Some(F::KEEP(kept))))
    }
}

/// Fits a filter before the trial and carries it through to the end.
fn walk<F: Filter>(case: &Case<'_>) -> Result<(Outlook, KeptFilter<F>), Abstention> {
    let (history, trial) = (case.history, case.trial);
    let need = SEASONS_NEEDED * history.season;
    if trial.start < need {
        return Err(Abstention::TooShort { have: trial.start, need });
    }
    let link = history.log;
    let linked: Vec<f64> = history.filled.iter().map(|value| link.apply(*value)).collect();
    let mut filter = F::fit(&linked[..trial.start], &seasons_of(history, trial.start))?;
    let mut tried = Array2::zeros((trial.horizon, trial.origins.len()));
    let mut known = trial.start;
    for (column, origin) in trial.origins.iter().enumerate() {
        linked[known..*origin].iter().for_each(|value| filter.update(*value));
        known = *origin;
        tried.column_mut(column).assign(&filter.path(trial.horizon));
    }
    linked[known..].iter().for_each(|value| filter.update(*value));
    let ahead = filter.path(case.horizon);
    let (tried, ahead) = (tried.mapv(|value| link.invert(value)), ahead.mapv(|value| link.invert(value)));
    Ok((Outlook::Points { link, tried, ahead }, KeptFilter { filter, link }))
}

/// A filter where it stood when it was learnt.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptFilter<F> {
    filter: F,
    link: Link,
}

impl<F: Filter> Kept for KeptFilter<F> {
    fn ahead(
        &self,
        history: &History,
        fresh: usize,
        horizon: usize,
        _levels: &[f64],
    ) -> Result<Ahead, Abstention> {
        let mut filter = self.filter.clone();
        let newest = &history.filled[history.len().saturating_sub(fresh)..];
        newest.iter().for_each(|value| filter.update(self.link.apply(*value)));
        Ok(Ahead::Points(filter.path(horizon).mapv(|value| self.link.invert(value))))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + self.filter.bytes()
    }
}

/// The seasons of a history that its first `known` steps hold twice.
fn seasons_of(history: &History, known: usize) -> Vec<usize> {
    let seasons = std::iter::once(history.season).chain(history.long_season);
    seasons.filter(|season| *season > 1 && 2 * season <= known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(step: usize) -> f64 {
        let mixed = (step as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 32)) % 1000) as f64 / 1000.0 - 0.5
    }

    fn wave(step: usize, season: usize) -> f64 {
        (step as f64 * std::f64::consts::TAU / season as f64).sin()
    }

    /// The mean absolute miss over two days, in the unit of the noise.
    fn miss<F: Filter>(value: &dyn Fn(usize) -> f64, seasons: &[usize]) -> f64 {
        let known: Vec<f64> = (0..700).map(|step| value(step) + noise(step)).collect();
        let mut filter = F::fit(&known[..650], seasons).unwrap();
        known[650..].iter().for_each(|value| filter.update(*value));
        let path = filter.path(48);
        path.iter().enumerate().map(|(step, found)| (found - value(700 + step)).abs()).sum::<f64>() / 48.0
    }

    #[test]
    fn each_follows_what_it_is_made_for() {
        let day = |step: usize| 10.0 + 3.0 * wave(step, 24);
        assert!(miss::<OneSeason>(&day, &[24]) < 0.3);
        assert!(miss::<Theta>(&day, &[24]) < 0.3);
        let week = |step: usize| day(step) + 4.0 * wave(step, 168);
        assert!(miss::<TwoSeasons>(&week, &[24, 168]) < 0.5);
        assert!(miss::<OneSeason>(&week, &[24]) > miss::<TwoSeasons>(&week, &[24, 168]));
        let growing = |step: usize| step as f64 * 0.05;
        assert!(miss::<Theta>(&growing, &[]) < 1.0, "{}", miss::<Theta>(&growing, &[]));
    }

    #[test]
    fn what_is_carried_on_is_what_a_longer_walk_would_give() {
        let known: Vec<f64> = (0..400).map(|step| wave(step, 24) + noise(step)).collect();
        let mut one = OneSeason::fit(&known[..300], &[24]).unwrap();
        let mut other = OneSeason::fit(&known[..300], &[24]).unwrap();
        known[300..].iter().for_each(|value| one.update(*value));
        for value in &known[300..] {
            other.update(*value);
            assert!(other.path(3).iter().all(|value| value.is_finite()));
        }
        assert_eq!(one.path(30), other.path(30));
    }
}
