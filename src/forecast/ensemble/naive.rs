//! The last value and the last season, carried on.

use ndarray::{Array1, Array2};

use super::member::{Ahead, Case, Fitted, Kept, Member, Outlook};
use crate::forecast::Abstention;
use crate::forecast::history::History;
use crate::forecast::link::Link;

/// The last period, carried on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Naive {
    name: &'static str,
    seasonal: bool,
}

/// The last value.
pub(super) const LAST_VALUE: Naive = Naive { name: "last value", seasonal: false };
/// The last season.
pub(super) const LAST_SEASON: Naive = Naive { name: "last season", seasonal: true };

impl Naive {
    fn period(&self, history: &History) -> Result<usize, Abstention> {
        match (self.seasonal, history.season) {
            (false, _) => Ok(1),
            (true, 0 | 1) => Err(Abstention::NoSeason),
            (true, season) => Ok(season),
        }
    }
}

/// The value `step` steps after `end`, as the last period had it.
fn carried(history: &History, period: usize, end: usize, step: usize) -> f64 {
    history.filled[end - period.min(end) + step % period]
}

impl Member for Naive {
    fn name(&self) -> &'static str {
        self.name
    }

    fn fit(&self, _fleet: &[Case<'_>]) -> Box<dyn Fitted> {
        Box::new(*self)
    }
}

impl Fitted for Naive {
    fn outlook(&self, case: &Case<'_>) -> Result<Outlook, Abstention> {
        let (trial, history) = (case.trial, case.history);
        let period = self.period(history)?;
        let tried = Array2::from_shape_fn((trial.horizon, trial.origins.len()), |(step, column)| {
            carried(history, period, trial.origins[column], step)
        });
        let ahead = Array1::from_shape_fn(case.horizon, |step| carried(history, period, history.len(), step));
        Ok(Outlook::Points { link: Link::Level, tried, ahead })
    }

    fn learn(&self, case: &Case<'_>) -> Result<(Outlook, Option<Box<dyn Kept>>), Abstention> {
        Ok((self.outlook(case)?, Some(Box::new(*self))))
    }
}

impl Kept for Naive {
    fn ahead(
        &self,
        history: &History,
        _fresh: usize,
        horizon: usize,
        _levels: &[f64],
    ) -> Result<Ahead, Abstention> {
        let period = self.period(history)?;
        let ahead = Array1::from_shape_fn(horizon, |step| carried(history, period, history.len(), step));
        Ok(Ahead::Points(ahead))
    }

    fn bytes(&self) -> usize {
        size_of::<Self>()
    }
}
