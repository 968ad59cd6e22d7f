//! A symmetric system on a basis in which its matrix is tridiagonal, so that it
//! is solved for many penalties at little cost (Householder reflections; Golub
//! and Van Loan 2013, Matrix Computations, section 8.3). The basis itself is
//! never written down: its reflections turn one vector there and one back.

use ndarray::{Array1, Array2};

/// The system `matrix * solution = moment` on the new basis.
pub(super) struct Reduced {
    diagonal: Vec<f64>,
    beside: Vec<f64>,
    /// On the new basis, shape `[size]`.
    pub moment: Array1<f64>,
    /// The unit vectors of the reflections, the first without the first place,
    /// each further one with a place less.
    reflections: Vec<Vec<f64>>,
}

impl Reduced {
    /// Reduces a symmetric `matrix` of shape `[size, size]`, of which there is
    /// at least one row.
    pub fn of(matrix: &Array2<f64>, moment: &Array1<f64>) -> Self {
        let size = matrix.nrows();
        let mut rows: Vec<Vec<f64>> = matrix.rows().into_iter().map(|row| row.to_vec()).collect();
        let mut moment = moment.to_vec();
        let (mut beside, mut reflections) = (Vec::with_capacity(size), Vec::with_capacity(size));
        let mut turned = vec![0.0; size];
        for place in 1..size {
            let (done, left) = rows.split_at_mut(place);
            let mut axis = done[place - 1][place..].to_vec();
            beside.push(to_reflection(&mut axis));
            reflect_both_sides(left, place, &axis, &mut turned[place..]);
            reflect(&mut moment[place..], &axis);
            reflections.push(axis);
        }
        let diagonal = rows.iter().enumerate().map(|(place, row)| row[place]).collect();
        Reduced { diagonal, beside, moment: Array1::from(moment), reflections }
    }

    /// The solution with `penalty` on the diagonal, on the new basis, and the
    /// trace of the inverse.
    pub fn solve(&self, penalty: f64) -> (Array1<f64>, f64) {
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
        let trace = (0..size).map(|place| 1.0 / (down[place] + up[place] - at(place))).sum();
        (moved, trace)
    }

    /// From the new basis to the old one.
    pub fn back(&self, solution: Array1<f64>) -> Array1<f64> {
        let mut solution = solution.to_vec();
        for (before, axis) in self.reflections.iter().enumerate().rev() {
            reflect(&mut solution[before + 1..], axis);
        }
        Array1::from(solution)
    }
}

/// Turns a vector into the unit vector of the reflection that leaves only its
/// first place, and gives what stands there then. Where nothing stands in the
/// others there is nothing to reflect, and the vector becomes zero.
fn to_reflection(axis: &mut [f64]) -> f64 {
    let length = dot(axis, axis).sqrt();
    let first = axis[0];
    if axis[1..].iter().all(|value| *value == 0.0) {
        axis.fill(0.0);
        return first;
    }
    // Away from zero, so that nothing cancels.
    let kept = if first > 0.0 { -length } else { length };
    axis[0] -= kept;
    let length = dot(axis, axis).sqrt();
    axis.iter_mut().for_each(|value| *value /= length);
    kept
}

/// Reflects the columns from `place` on of all `rows`, and these themselves.
/// `turned` has the length of `axis`.
fn reflect_both_sides(rows: &mut [Vec<f64>], place: usize, axis: &[f64], turned: &mut [f64]) {
    turned.fill(0.0);
    for (row, factor) in rows.iter().zip(axis) {
        turned.iter_mut().zip(&row[place..]).for_each(|(sum, value)| *sum += 2.0 * factor * value);
    }
    let along = dot(axis, turned);
    turned.iter_mut().zip(axis).for_each(|(turned, axis)| *turned -= along * axis);
    for ((row, axis_here), turned_here) in rows.iter_mut().zip(axis).zip(&*turned) {
        let across = turned.iter().zip(axis);
        row[place..].iter_mut().zip(across).for_each(|(cell, (turned, axis))| {
            *cell -= axis_here * turned + turned_here * axis;
        });
    }
}

fn reflect(vector: &mut [f64], axis: &[f64]) {
    let along = 2.0 * dot(vector, axis);
    vector.iter_mut().zip(axis).for_each(|(value, axis)| *value -= along * axis);
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_solution_is_that_of_the_whole_system() {
        let value = |step: usize| ((step * 2_654_435_761) % 1000) as f64 / 1000.0 - 0.5;
        for size in [1, 2, 3, 17, 40] {
            let half = Array2::from_shape_fn((size, size), |(row, column)| value(row * size + column + 1));
            let matrix = half.dot(&half.t());
            let moment = Array1::from_shape_fn(size, |row| value(row + 7));
            let reduced = Reduced::of(&matrix, &moment);
            for penalty in [0.01, 1.0] {
                let (moved, trace) = reduced.solve(penalty);
                let whole = &matrix + &(Array2::<f64>::eye(size) * penalty);
                let missed = whole.dot(&reduced.back(moved)) - &moment;
                assert!(missed.iter().all(|miss| miss.abs() < 1e-9), "{size}: {missed}");
                let inverse = Array1::from_shape_fn(size, |place| {
                    let unit = Array1::from_shape_fn(size, |row| f64::from(u8::from(row == place)));
                    let reduced = Reduced::of(&matrix, &unit);
                    let (column, _) = reduced.solve(penalty);
                    reduced.back(column)[place]
                });
                assert!((trace - inverse.sum()).abs() < 1e-8 * trace, "{trace} {inverse}");
            }
        }
    }

    #[test]
    fn what_is_tridiagonal_stays_as_it_is() {
        let matrix = ndarray::array![[2.0, 1.0, 0.0], [1.0, 3.0, 0.0], [0.0, 0.0, 4.0]];
        let reduced = Reduced::of(&matrix, &ndarray::array![3.0, 4.0, 8.0]);
        let (moved, _) = reduced.solve(0.0);
        let found = reduced.back(moved);
        assert!(found.iter().zip([1.0, 1.0, 2.0]).all(|(found, wanted)| (found - wanted).abs() < 1e-12));
    }
}
