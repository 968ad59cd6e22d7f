//! The last value and the last season, carried on.

use ndarray::{Array1, Array2};

use super::member::{Case, Fitted, Member, Outlook};
use crate::forecast::Abstention;
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
        let (trial, past) = (case.trial, &case.history.filled);
        if self.seasonal && case.history.season <= 1 {
            return Err(Abstention::NoSeason);
        }
        let period = if self.seasonal { case.history.season } else { 1 };
        let carried = |end: usize, step: usize| past[end - period.min(end) + step % period];
        let tried = Array2::from_shape_fn((trial.horizon, trial.origins.len()), |(step, column)| {
            carried(trial.origins[column], step)
        });
        let ahead = Array1::from_shape_fn(case.horizon, |step| carried(past.len(), step));
        Ok(Outlook::Points { link: Link::Level, tried, ahead })
    }
}
