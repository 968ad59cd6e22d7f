//! Ridge regression towards a prior, with the penalty that generalised
//! cross-validation prefers (Golub, Heath and Wahba 1979).

use linfa_linalg::cholesky::SolveCInplace;
use ndarray::{Array1, Array2, Axis};

use super::equations::{Equations, Means};
use super::tridiagonal::Reduced;

/// The penalties that are tried, as shares of the mean eigenvalue: 1e-6 to 30.
const PENALTIES: usize = 16;

/// A linear prediction from lagged values.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    /// One for each lag.
    pub coefficients: Array1<f64>,
    /// What is added.
    pub intercept: f64,
    /// The penalty, as a share of the mean eigenvalue.
    pub penalty: f64,
}

/// The equations of what a prior leaves unexplained.
struct Unexplained<'a> {
    equations: &'a Equations,
    prior: Array1<f64>,
    moment: Array1<f64>,
}

impl<'a> Unexplained<'a> {
    fn by(prior: Option<&Array1<f64>>, equations: &'a Equations) -> Self {
        let prior = prior.cloned().unwrap_or_else(|| Array1::zeros(equations.moment.len()));
        let moment = &equations.moment - &equations.gram.dot(&prior);
        Unexplained { equations, prior, moment }
    }

    /// The squared distance of the target from what the prior predicts.
    fn power(&self) -> f64 {
        self.equations.power - self.prior.dot(&(&self.equations.moment + &self.moment))
    }

    /// The model that moves this far from the prior; `None` if it is not finite.
    fn model(&self, moved: &Array1<f64>, penalty: f64) -> Option<Linear> {
        let coefficients = &self.prior + moved;
        let means = &self.equations.means;
        let intercept = means.target - means.lagged.dot(&coefficients);
        let finite = intercept.is_finite() && coefficients.iter().all(|value| value.is_finite());
        finite.then_some(Linear { coefficients, intercept, penalty })
    }
}

/// The coefficients nearest to `prior` that explain the equations well, with
/// the penalty that validates best. `None` where they can't be solved.
pub(super) fn choose(equations: &Equations, prior: Option<&Array1<f64>>) -> Option<Linear> {
    let left = Unexplained::by(prior, equations);
    let unit = equations.gram.diag().mean().filter(|mean| *mean > 0.0)?;
    // On a tridiagonal matrix every further penalty costs next to nothing.
    let reduced = Reduced::of(&equations.gram, &left.moment);
    let power = left.power();
    let tried = (0..PENALTIES).map(|step| {
        let penalty = 10.0_f64.powf(step as f64 / 2.0 - 6.0);
        let (moved, score) = validate(&reduced, unit * penalty, power, equations.rows);
        (score, penalty, moved)
    });
    let (_, penalty, moved) = tried.min_by(|a, b| a.0.total_cmp(&b.0))?;
    left.model(&reduced.back(moved), penalty)
}

/// The same with a penalty that was chosen before.
pub(super) fn solve(equations: &Equations, prior: Option<&Array1<f64>>, penalty: f64) -> Option<Linear> {
    let left = Unexplained::by(prior, equations);
    left.model(&shared(equations.gram.clone(), &left.moment, penalty)?, penalty)
}

/// The solution with `penalty` on the diagonal, and its validation score: the
/// squared misses over the squared share of the rows that is left free.
fn validate(system: &Reduced, penalty: f64, power: f64, rows: usize) -> (Array1<f64>, f64) {
    let (moved, trace) = system.solve(penalty);
    let missed = power - system.moment.dot(&moved) - penalty * moved.dot(&moved);
    let free = (1.0 - (1.0 + moved.len() as f64 - penalty * trace) / rows as f64).max(0.02);
    (moved, missed.max(0.0) / (free * free))
}

/// The coefficients of summed-up equations, with a fixed penalty as a share of
/// the mean of the diagonal.
pub(super) fn shared(mut gram: Array2<f64>, moment: &Array1<f64>, penalty: f64) -> Option<Array1<f64>> {
    let unit = gram.diag().mean()?;
    gram.diag_mut().mapv_inplace(|value| value + penalty * unit);
    let solved = gram.solvec_into(moment.clone().insert_axis(Axis(1))).ok()?;
    Some(solved.column(0).to_owned())
}

/// The shared coefficients alone, about the series' own means.
pub(super) fn pooled(means: &Means, prior: &Array1<f64>) -> Linear {
    let intercept = means.target - means.lagged.dot(prior);
    Linear { coefficients: prior.clone(), intercept, penalty: 0.0 }
}
