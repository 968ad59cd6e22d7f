//! What the series of a fleet have in common: the coefficients that one ridge
//! regression over all of them gives, each series scaled alike. Every series'
//! own regression is drawn towards them, the more so the less it has to say.

use std::collections::HashMap;

use ndarray::{Array1, Array2};
use rayon::prelude::*;

use super::equations::Equations;
use super::{History, VARIANTS, Variant, View, ridge};

/// Series that must share their lags before they share a prior.
const LEAST_SHARING: usize = 8;
/// The ridge of the shared coefficients, as a share of the mean square.
const SHARED_PENALTY: f64 = 1e-4;

/// The coefficients that series with the same lags share.
#[derive(Debug, Default)]
pub(in crate::forecast) struct Priors(HashMap<(Variant, Vec<usize>), Array1<f64>>);

/// What series add to a prior.
type Sums = (usize, Array2<f64>, Array1<f64>);

impl Priors {
    /// Learns them from `histories`, each with the end of what may be seen.
    pub fn learn(histories: &[(&History, usize)]) -> Self {
        let parts: Vec<((Variant, Vec<usize>), Equations)> = histories
            .par_iter()
            .flat_map_iter(|&(history, end)| {
                VARIANTS.into_iter().filter_map(move |variant| {
                    let view = View::of(history, variant, end)?;
                    let equations = view.equations(end)?;
                    Some(((variant, view.lens.lags), equations))
                })
            })
            .collect();
        let mut sums: HashMap<(Variant, Vec<usize>), Sums> = HashMap::new();
        for (key, equations) in parts {
            let lags = equations.moment.len();
            let sum =
                sums.entry(key).or_insert_with(|| (0, Array2::zeros((lags, lags)), Array1::zeros(lags)));
            sum.0 += 1;
            sum.1.scaled_add(1.0 / equations.power, &equations.gram);
            sum.2.scaled_add(1.0 / equations.power, &equations.moment);
        }
        let shared = sums.into_iter().filter(|(_, sum)| sum.0 >= LEAST_SHARING);
        Priors(
            shared
                .filter_map(|(key, (_, gram, moment))| {
                    Some((key, ridge::shared(gram, &moment, SHARED_PENALTY)?))
                })
                .collect(),
        )
    }

    pub(super) fn of(&self, variant: Variant, lags: &[usize]) -> Option<&Array1<f64>> {
        self.0.get(&(variant, lags.to_vec()))
    }
}
