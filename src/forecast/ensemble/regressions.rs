//! The autoregressions, averaged by what they missed by: one member.

use ndarray::{Array1, Array2};

use super::member::{Case, Fitted, Member, Outlook};
use super::weights::{absolute_miss, softmax};
use crate::forecast::Abstention;
use crate::forecast::autoregression::{self, Priors, VARIANTS};
use crate::forecast::history::History;
use crate::forecast::link::Link;

/// How strongly the regressions' weights follow their misses.
const SHARPNESS: f64 = 4.0;

/// All variants of the autoregression.
pub(super) struct Regressions;

impl Member for Regressions {
    fn name(&self) -> &'static str {
        "autoregressions"
    }

    fn fit(&self, fleet: &[Case<'_>]) -> Box<dyn Fitted> {
        let known: Vec<(&History, usize)> =
            fleet.iter().map(|case| (case.history, case.trial.start)).collect();
        Box::new(Priors::learn(&known))
    }
}

impl Fitted for Priors {
    fn outlook(&self, case: &Case<'_>) -> Result<Outlook, Abstention> {
        let (history, trial) = (case.history, case.trial);
        let outlooks: Vec<autoregression::Outlook> = VARIANTS
            .into_iter()
            .flat_map(|variant| {
                autoregression::outlooks(history, variant, self, &trial.origins, trial.horizon, case.horizon)
            })
            .collect();
        let first = outlooks.first().ok_or(Abstention::NothingToRegress)?;
        let misses: Vec<f64> =
            outlooks.iter().map(|outlook| absolute_miss(history, trial, &outlook.tried)).collect();
        let (mut tried, mut ahead) = (Array2::zeros(first.tried.dim()), Array1::zeros(case.horizon));
        for (outlook, weight) in outlooks.iter().zip(softmax(&misses, SHARPNESS)) {
            tried.scaled_add(weight, &outlook.tried);
            ahead.scaled_add(weight, &outlook.ahead);
        }
        let link = if history.never_negative { Link::log_for(&history.filled) } else { Link::Level };
        Ok(Outlook::Points { link, tried, ahead })
    }
}
