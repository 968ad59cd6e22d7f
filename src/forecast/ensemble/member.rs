//! What a member of the ensemble is: a way to forecast, told apart into what it
//! learns from all series and what it then says of each. A new member is a file
//! that implements [`Member`] and a line in [`all`].

use std::ops::Deref;

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::trial::Trial;
use super::{naive, regressions};
use crate::forecast::Abstention;
use crate::forecast::autoregression::KeptRegressions;
use crate::forecast::classical::{Classical, KeptFilter, OneSeason, Theta, TwoSeasons};
use crate::forecast::history::History;
use crate::forecast::link::Link;
use crate::forecast::neural::member::Neural;
use crate::forecast::windows::{WINDOWS, Window};

/// A series that is to be forecast.
#[derive(Clone)]
pub(in crate::forecast) struct Case<'a> {
    /// What is known of it.
    pub history: &'a History,
    /// Where its recent past is forecast to compare the members.
    pub trial: &'a Trial,
    /// The steps ahead that are wanted.
    pub horizon: usize,
    /// The levels that are wanted, rising.
    pub levels: &'a [f64],
}

/// What a member says of a series: forecasts from the trial's origins, by which
/// it is weighed, and from the end. A forecast from an origin must not look at
/// anything after it; what is fitted may at most be fitted up to the trial's
/// start.
pub(in crate::forecast) enum Outlook {
    /// Point forecasts; the quantiles follow from what they missed by.
    Points {
        /// The scale on which the misses are alike.
        link: Link,
        /// After each of the trial's `origins`, shape `[trial.horizon, origins]`.
        tried: Array2<f64>,
        /// After the end, shape `[horizon]`.
        ahead: Array1<f64>,
    },
    /// Quantiles, none below a lower one.
    Quantiles {
        /// After each of the trial's `compared` origins and at
        /// [`COMPARED_LEVELS`](super::COMPARED_LEVELS), each of shape
        /// `[trial.horizon, 9]`.
        tried: Vec<Array2<f64>>,
        /// After the end, shape `[horizon, levels]`.
        ahead: Array2<f64>,
    },
}

/// A way to forecast.
pub(in crate::forecast) trait Member: Send + Sync {
    /// Its name in tables and evidence.
    fn name(&self) -> &'static str;

    /// The share of the weight that it has wherever it does not abstain and did
    /// not fail in the trial. For members that bring along what they know, on
    /// histories too short for a trial that tells members apart.
    fn sure_weight(&self) -> f64 {
        0.0
    }

    /// Learns what the series have in common; `fleet` is a sample of them. What
    /// lies after the start of a series' trial must not be looked at.
    fn fit(&self, fleet: &[Case<'_>]) -> Box<dyn Fitted>;
}

/// A member that has seen the fleet.
pub(in crate::forecast) trait Fitted: Send + Sync {
    /// Forecasts one series.
    ///
    /// # Errors
    /// Abstains, with the reason, where it can say nothing of worth.
    fn outlook(&self, case: &Case<'_>) -> Result<Outlook, Abstention>;

    /// The same, with what to keep of the series. A member that keeps nothing
    /// is asked for a whole outlook whenever more samples came.
    ///
    /// # Errors
    /// As [`outlook`](Self::outlook).
    fn learn(&self, case: &Case<'_>) -> Result<(Outlook, Option<Keeping>), Abstention> {
        Ok((self.outlook(case)?, None))
    }
}

/// What a member keeps of one series, to forecast it from more samples without
/// fitting again.
pub(in crate::forecast) trait Kept: Send + Sync {
    /// The forecast after the end of `history`, of which the last `fresh` steps
    /// came since it was learnt; the levels rise.
    ///
    /// # Errors
    /// Abstains where the history does not reach back far enough.
    fn ahead(
        &self,
        history: &History,
        fresh: usize,
        horizon: usize,
        levels: &[f64],
    ) -> Result<Ahead, Abstention>;

    /// How many bytes it takes.
    fn bytes(&self) -> usize;
}

/// What any member keeps of a series, which can be written down and read again.
#[derive(Serialize, Deserialize)]
pub(in crate::forecast) enum Keeping {
    LastValue(naive::LastValue),
    LastSeason(naive::LastSeason),
    Regressions(KeptRegressions),
    OneSeason(KeptFilter<OneSeason>),
    TwoSeasons(KeptFilter<TwoSeasons>),
    Theta(KeptFilter<Theta>),
    Neural(Neural),
    Window(Window),
}

impl Deref for Keeping {
    type Target = dyn Kept + 'static;

    fn deref(&self) -> &(dyn Kept + 'static) {
        match self {
            Keeping::LastValue(kept) => kept,
            Keeping::LastSeason(kept) => kept,
            Keeping::Regressions(kept) => kept,
            Keeping::OneSeason(kept) => kept,
            Keeping::TwoSeasons(kept) => kept,
            Keeping::Theta(kept) => kept,
            Keeping::Neural(kept) => kept,
            Keeping::Window(kept) => kept,
        }
    }
}

/// A forecast after the end.
pub(in crate::forecast) enum Ahead {
    /// Point forecasts, shape `[horizon]`.
    Points(Array1<f64>),
    /// Quantiles, shape `[horizon, levels]`.
    Quantiles(Array2<f64>),
}

/// All members.
pub(in crate::forecast) fn all() -> Vec<Box<dyn Member>> {
    let mut members: Vec<Box<dyn Member>> =
        vec![Box::new(naive::LastValue), Box::new(naive::LastSeason), Box::new(regressions::Regressions)];
    members.extend([
        Box::new(Classical::<OneSeason>::default()) as Box<dyn Member>,
        Box::new(Classical::<TwoSeasons>::default()),
        Box::new(Classical::<Theta>::default()),
    ]);
    members.push(Box::new(Neural));
    members.extend(WINDOWS.into_iter().map(|window| Box::new(window) as Box<dyn Member>));
    members
}
