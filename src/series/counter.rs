//! Counters: series that only grow, until they begin again at zero.

use ndarray::{Array1, ArrayView1};

/// What a counter grew by at each step, shape `[n]`: the sample less the one
/// before. Where a counter is below the one before it began again at zero in
/// between, as a restarted process does, so the whole sample is growth
/// (Prometheus' `increase` counts alike). The first sample, gaps and the step
/// after a gap, whose growth belongs to several steps, are gaps.
pub fn increases(counter: ArrayView1<'_, f64>) -> Array1<f64> {
    let mut before = f64::NAN;
    let grown = |value: &f64| {
        let earlier = std::mem::replace(&mut before, *value);
        match value - earlier {
            growth if growth < 0.0 => *value,
            growth => growth,
        }
    };
    counter.iter().map(grown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_is_growth_from_zero_and_a_gap_hides_two_steps() {
        let counter = Array1::from(vec![5.0, 7.0, 7.0, 2.0, f64::NAN, 6.0, 9.0]);
        let grown = increases(counter.view());
        assert_eq!(grown.len(), 7);
        assert!([0, 4, 5].iter().all(|gap| grown[*gap].is_nan()), "{grown}");
        assert_eq!([grown[1], grown[2], grown[3], grown[6]], [2.0, 0.0, 2.0, 3.0]);
        assert!(increases(Array1::zeros(0).view()).is_empty());
    }
}
