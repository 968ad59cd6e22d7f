//! Regressions with their coefficients, kept to forecast from more samples
//! without fitting again.

use ndarray::Array1;
use serde::{Deserialize, Serialize};

use super::ridge::Linear;
use super::{Lens, Outlook, View};
use crate::forecast::Abstention;
use crate::forecast::ensemble::member::{Ahead, Kept};
use crate::forecast::history::History;

/// Regressions that weigh less are not kept.
const LEAST_WEIGHT: f64 = 0.04;

/// One regression, in few bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct One {
    /// Without its lags, which stand beside the coefficients.
    lens: Lens,
    lags: Box<[u16]>,
    coefficients: Box<[f32]>,
    intercept: f64,
    weight: f64,
}

impl One {
    /// `None` where it looks back further than can be kept.
    fn of(outlook: Outlook, weight: f64) -> Option<Self> {
        let (mut lens, model) = outlook.made_by;
        let lags: Result<Box<[u16]>, _> = lens.lags.drain(..).map(u16::try_from).collect();
        lens.lags.shrink_to_fit();
        Some(One {
            lens,
            lags: lags.ok()?,
            coefficients: model.coefficients.iter().map(|coefficient| *coefficient as f32).collect(),
            intercept: model.intercept,
            weight,
        })
    }

    fn ahead(&self, known: &[f64], horizon: usize) -> Option<Array1<f64>> {
        let lags = self.lags.iter().map(|lag| usize::from(*lag)).collect();
        let lens = Lens { lags, ..self.lens.clone() };
        let recent = &known[known.len().checked_sub(lens.reach())?..];
        let coefficients = self.coefficients.iter().map(|coefficient| f64::from(*coefficient)).collect();
        let model = Linear { coefficients, intercept: self.intercept, penalty: 0.0 };
        let paths = View::through(lens, recent).paths(&model, &[recent.len()], horizon);
        Some(paths.column(0).to_owned())
    }
}

/// The regressions of one series, with their weights.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::forecast) struct KeptRegressions(Vec<One>);

impl KeptRegressions {
    /// Keeps what weighs enough.
    pub fn of(outlooks: Vec<Outlook>, weights: &[f64]) -> Self {
        let weighed = outlooks.into_iter().zip(weights.iter().copied());
        let heavy = weighed.filter(|(_, weight)| *weight >= LEAST_WEIGHT);
        KeptRegressions(heavy.filter_map(|(outlook, weight)| One::of(outlook, weight)).collect())
    }
}

impl Kept for KeptRegressions {
    fn ahead(
        &self,
        history: &History,
        _fresh: usize,
        horizon: usize,
        _levels: &[f64],
    ) -> Result<Ahead, Abstention> {
        let (mut sum, mut total) = (Array1::zeros(horizon), 0.0);
        for one in &self.0 {
            if let Some(path) = one.ahead(&history.filled, horizon) {
                sum.scaled_add(one.weight, &path);
                total += one.weight;
            }
        }
        if total > 0.0 { Ok(Ahead::Points(sum / total)) } else { Err(Abstention::NothingToRegress) }
    }

    fn bytes(&self) -> usize {
        let one = |one: &One| size_of::<One>() + size_of_val(&*one.lags) + size_of_val(&*one.coefficients);
        self.0.iter().map(one).sum()
    }
}
