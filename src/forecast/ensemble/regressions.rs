//! The autoregressions, averaged by what they missed by: one member.

use ndarray::{Array1, Array2};

use super::member::{Case, Fitted, Keeping, Member, Outlook};
use super::weights::{absolute_miss, softmax};
use crate::forecast::Abstention;
use crate::forecast::autoregression::{self, KeptRegressions, Priors, VARIANTS};
use crate::forecast::history::History;

/// How strongly the regressions' weights follow their misses.
const SHARPNESS: f64 = 2.0;

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
        let (outlooks, weights) = weighed(self, case)?;
        Ok(mean(case, &outlooks, &weights))
    }

    fn learn(&self, case: &Case<'_>) -> Result<(Outlook, Option<Keeping>), Abstention> {
        let (outlooks, weights) = weighed(self, case)?;
        let mean = mean(case, &outlooks, &weights);
        Ok((mean, Some(Keeping::Regressions(KeptRegressions::of(outlooks, &weights)))))
    }
}

/// The forecasts of all variants with their weights.
fn weighed(priors: &Priors, case: &Case<'_>) -> Result<(Vec<autoregression::Outlook>, Vec<f64>), Abstention> {
    let (history, trial) = (case.history, case.trial);
    let outlooks: Vec<autoregression::Outlook> = VARIANTS
        .into_iter()
        .flat_map(|variant| {
            autoregression::outlooks(history, variant, priors, &trial.origins, trial.horizon, case.horizon)
        })
        .collect();
    if outlooks.is_empty() {
        return Err(Abstention::NothingToRegress);
    }
    let misses: Vec<f64> =
        outlooks.iter().map(|outlook| absolute_miss(history, trial, &outlook.tried)).collect();
    let weights = softmax(&misses, SHARPNESS);
    Ok((outlooks, weights))
}

/// Their weighted mean.
fn mean(case: &Case<'_>, outlooks: &[autoregression::Outlook], weights: &[f64]) -> Outlook {
    let (history, trial) = (case.history, case.trial);
    let (mut tried, mut ahead) =
        (Array2::zeros((trial.horizon, trial.origins.len())), Array1::zeros(case.horizon));
    for (outlook, weight) in outlooks.iter().zip(weights) {
        tried.scaled_add(*weight, &outlook.tried);
        ahead.scaled_add(*weight, &outlook.ahead);
    }
    Outlook::Points { link: history.log, tried, ahead }
}
