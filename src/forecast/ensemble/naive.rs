//! The last value and the last season, carried on.

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::COMPARED_LEVELS;
use super::member::{Ahead, Case, Fitted, Keeping, Kept, Member, Outlook};
use crate::forecast::Abstention;
use crate::forecast::history::History;
use crate::forecast::link::Link;
use crate::series::stats;

/// Seasons whose changes to the next are looked at.
const SEASONS_SEEN: usize = 21;

/// The last value, carried on; its quantiles follow from its misses by how far
/// ahead, as those of a random walk do.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in crate::forecast) struct LastValue;

impl Member for LastValue {
    fn name(&self) -> &'static str {
        "last value"
    }

    fn fit(&self, _fleet: &[Case<'_>]) -> Box<dyn Fitted> {
        Box::new(*self)
    }
}

impl Fitted for LastValue {
    fn outlook(&self, case: &Case<'_>) -> Result<Outlook, Abstention> {
        let (trial, past) = (case.trial, &case.history.filled);
        let carried = |end: usize| past[end - 1];
        let tried = Array2::from_shape_fn((trial.horizon, trial.origins.len()), |(_, column)| {
            carried(trial.origins[column])
        });
        let ahead = Array1::from_elem(case.horizon, carried(past.len()));
        Ok(Outlook::Points { link: Link::Level, tried, ahead })
    }

    fn learn(&self, case: &Case<'_>) -> Result<(Outlook, Option<Keeping>), Abstention> {
        Ok((self.outlook(case)?, Some(Keeping::LastValue(*self))))
    }
}

impl Kept for LastValue {
    fn ahead(
        &self,
        history: &History,
        _fresh: usize,
        horizon: usize,
        _levels: &[f64],
    ) -> Result<Ahead, Abstention> {
        Ok(Ahead::Points(Array1::from_elem(horizon, history.filled[history.len() - 1])))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// The last season, carried on, with the quantiles of the changes from a season
/// to the next: of all that is known, for a new tenant knows little else.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in crate::forecast) struct LastSeason;

impl Member for LastSeason {
    fn name(&self) -> &'static str {
        "last season"
    }

    fn fit(&self, _fleet: &[Case<'_>]) -> Box<dyn Fitted> {
        Box::new(*self)
    }
}

impl Fitted for LastSeason {
    fn outlook(&self, case: &Case<'_>) -> Result<Outlook, Abstention> {
        if case.history.season <= 1 {
            return Err(Abstention::NoSeason);
        }
        let (history, trial) = (case.history, case.trial);
        let tried = trial
            .compared_origins()
            .map(|origin| after(history, origin, trial.horizon, &COMPARED_LEVELS))
            .collect();
        let ahead = after(history, history.len(), case.horizon, case.levels);
        Ok(Outlook::Quantiles { tried, ahead })
    }

    fn learn(&self, case: &Case<'_>) -> Result<(Outlook, Option<Keeping>), Abstention> {
        Ok((self.outlook(case)?, Some(Keeping::LastSeason(*self))))
    }
}

impl Kept for LastSeason {
    fn ahead(
        &self,
        history: &History,
        _fresh: usize,
        horizon: usize,
        levels: &[f64],
    ) -> Result<Ahead, Abstention> {
        if history.season <= 1 {
            return Err(Abstention::NoSeason);
        }
        Ok(Ahead::Quantiles(after(history, history.len(), horizon, levels)))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// The quantiles after `end`, shape `[horizon, levels]`.
fn after(history: &History, end: usize, horizon: usize, levels: &[f64]) -> Array2<f64> {
    let (known, season) = (&history.known[..end], history.season);
    let from = end.saturating_sub(SEASONS_SEEN * season).max(season).min(end);
    let changes = known[from..].iter().zip(&known[from.saturating_sub(season)..]);
    let changes: Vec<f64> = changes.map(|(value, before)| value - before).collect();
    let changes = stats::sorted_finite(&changes);
    let offsets: Vec<f64> =
        levels.iter().map(|level| stats::quantile_of_sorted(&changes, *level).unwrap_or(0.0)).collect();
    let last = &history.filled[end.saturating_sub(season)..end];
    Array2::from_shape_fn((horizon, levels.len()), |(step, column)| last[step % last.len()] + offsets[column])
}
