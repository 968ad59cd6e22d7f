//! Ridge regression towards a prior, with the penalty that generalised
//! cross-validation prefers (Golub, Heath and Wahba 1979).

use linfa_linalg::cholesky::SolveCInplace;
use linfa_linalg::tridiagonal::SymmetricTridiagonal;
use ndarray::{Array1, Array2, Axis};

use super::equations::Equations;

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
        let intercept = self.equations.target_mean - self.equations.means.dot(&coefficients);
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
    let decomposed = equations.gram.clone().sym_tridiagonal().ok()?;
    let basis = decomposed.generate_q();
    let (diagonal, beside) = decomposed.into_diagonals();
    let system = Tridiagonal { diagonal, beside, moment: basis.t().dot(&left.moment) };
    let power = left.power();
    let tried = (0..PENALTIES).map(|step| {
        let penalty = 10.0_f64.powf(step as f64 / 2.0 - 6.0);
        let (moved, score) = system.solve(unit * penalty, power, equations.rows);
        (score, penalty, moved)
    });
    let (_, penalty, moved) = tried.min_by(|a, b| a.0.total_cmp(&b.0))?;
    left.model(&basis.dot(&moved), penalty)
}

/// The same with a penalty that was chosen before.
pub(super) fn solve(equations: &Equations, prior: Option<&Array1<f64>>, penalty: f64) -> Option<Linear> {
    let left = Unexplained::by(prior, equations);
    left.model(&shared(equations.gram.clone(), &left.moment, penalty)?, penalty)
}

/// A symmetric tridiagonal system.
struct Tridiagonal {
    diagonal: Array1<f64>,
    beside: Array1<f64>,
    moment: Array1<f64>,
}

impl Tridiagonal {
    /// The solution with `penalty` on the diagonal, and its validation score:
    /// the squared misses over the squared share of the rows that is left free.
    fn solve(&self, penalty: f64, power: f64, rows: usize) -> (Array1<f64>, f64) {
        let size = self.moment.len();
        let at = |place: usize| self.diagonal[place].max(0.0) + penalty;
        // Pivots from both ends; together they give the inverse's diagonal.
        let (mut down, mut up) = (Array1::from_shape_fn(size, at), Array1::from_shape_fn(size, at));
        let mut moved = self.moment.clone();
        for place in 1..size {
            let factor = self.beside[place - 1] / down[place - 1];
            down[place] -= factor * self.beside[place - 1];
            moved[place] -= factor * moved[place - 1];
            let mirrored = size - 1 - place;
            up[mirrored] -= self.beside[mirrored].powi(2) / up[mirrored + 1];
        }
        for place in (0..size).rev() {
            let above = if place + 1 < size { self.beside[place] * moved[place + 1] } else { 0.0 };
            moved[place] = (moved[place] - above) / down[place];
        }
        let trace: f64 = (0..size).map(|place| 1.0 / (down[place] + up[place] - at(place))).sum();
        let missed = power - self.moment.dot(&moved) - penalty * moved.dot(&moved);
        let free = (1.0 - (1.0 + size as f64 - penalty * trace) / rows as f64).max(0.02);
        (moved, missed.max(0.0) / (free * free))
    }
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
pub(super) fn pooled(equations: &Equations, prior: &Array1<f64>) -> Linear {
    let intercept = equations.target_mean - equations.means.dot(prior);
    Linear { coefficients: prior.clone(), intercept, penalty: 0.0 }
}
