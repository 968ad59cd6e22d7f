//! The two halves of an A/B test beside each other: means over tenants with
//! intervals of 95 % (Welch 1947, "The generalization of Student's problem when
//! several different population variances are involved").

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The normal distribution's 97.5 % quantile.
const Z: f64 = 1.959_963_984_540_054;

/// A mean with its interval of 95 %; the interval is `null` where there are
/// fewer than two tenants.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Interval {
    /// The mean over tenants.
    pub mean: f64,
    /// Its lower end.
    pub low: Option<f64>,
    /// Its upper end.
    pub high: Option<f64>,
}

/// What was seen of one half, a value a tenant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArmFigures {
    /// Shares of samples at or above the quota.
    pub violations: Vec<f64>,
    /// Unused shares of the quotas.
    pub slack: Vec<f64>,
    /// What the quotas cost a month.
    pub cost: Vec<f64>,
    /// Incidents that began since.
    pub incidents: Vec<f64>,
}

/// One figure of both halves, and by how much B is above A.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Compared {
    /// The half A.
    pub a: Interval,
    /// The half B.
    pub b: Interval,
    /// B less A. Where its interval holds 0, nothing is proven.
    pub difference: Interval,
}

/// The halves beside each other; a figure is `null` where one half has none.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Comparison {
    /// The share of samples at or above the quota, 0 to 1.
    pub violations: Option<Compared>,
    /// The unused share of the quotas, 0 to 1.
    pub slack: Option<Compared>,
    /// What a tenant's quotas cost a month, in the prices' currency.
    pub cost: Option<Compared>,
    /// Incidents a tenant.
    pub incidents: Option<Compared>,
}

impl Comparison {
    /// Puts both halves beside each other.
    pub fn of(a: &ArmFigures, b: &ArmFigures) -> Self {
        Comparison {
            violations: compared(&a.violations, &b.violations),
            slack: compared(&a.slack, &b.slack),
            cost: compared(&a.cost, &b.cost),
            incidents: compared(&a.incidents, &b.incidents),
        }
    }
}

/// The mean of some values, the square of its standard error, and how many
/// there are.
struct Sample {
    mean: f64,
    error: Option<f64>,
    count: f64,
}

fn sample(values: &[f64]) -> Option<Sample> {
    let count = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let error = (values.len() > 1).then(|| squares / (count - 1.0) / count);
    Some(Sample { mean, error, count })
}

fn compared(a: &[f64], b: &[f64]) -> Option<Compared> {
    let (a, b) = (sample(a)?, sample(b)?);
    let alone = |one: &Sample| interval(one.mean, one.error, one.count - 1.0);
    let both = a.error.zip(b.error);
    let error = both.map(|(a, b)| a + b);
    // Welch and Satterthwaite's degrees of freedom.
    let freedom = both.map_or(1.0, |(ea, eb)| {
        let parts = ea * ea / (a.count - 1.0) + eb * eb / (b.count - 1.0);
        if parts > 0.0 { (ea + eb).powi(2) / parts } else { a.count + b.count - 2.0 }
    });
    Some(Compared { a: alone(&a), b: alone(&b), difference: interval(b.mean - a.mean, error, freedom) })
}

fn interval(mean: f64, error: Option<f64>, freedom: f64) -> Interval {
    let half = error.map(|error| student(freedom) * error.sqrt());
    Interval { mean, low: half.map(|half| mean - half), high: half.map(|half| mean + half) }
}

/// Student's 97.5 % quantile for one to three degrees of freedom, where its
/// expansion is too far off.
const STUDENT: [f64; 3] = [12.706, 4.303, 3.182];

/// Student's 97.5 % quantile, else by its expansion (Abramowitz and Stegun
/// 26.7.5), to two digits.
fn student(freedom: f64) -> f64 {
    let few = (freedom.round().max(1.0) as usize).checked_sub(1).and_then(|place| STUDENT.get(place));
    if let Some(exact) = few {
        return *exact;
    }
    let power = |n: i32| Z.powi(n);
    let first = (power(3) + Z) / 4.0;
    let second = (5.0 * power(5) + 16.0 * power(3) + 3.0 * Z) / 96.0;
    let third = (3.0 * power(7) + 19.0 * power(5) + 17.0 * power(3) - 15.0 * Z) / 384.0;
    Z + first / freedom + second / freedom.powi(2) + third / freedom.powi(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_quantiles_are_those_of_the_tables() {
        for (freedom, expected) in [
            (1.0, 12.706),
            (3.0, 3.182),
            (4.0, 2.776),
            (5.0, 2.571),
            (10.0, 2.228),
            (30.0, 2.042),
            (1e6, 1.960),
        ] {
            assert!((student(freedom) - expected).abs() < 0.02, "{freedom}: {}", student(freedom));
        }
    }

    #[test]
    fn what_differs_by_chance_is_told_from_what_does_not() {
        let near = compared(&[0.1, 0.3, 0.2, 0.4], &[0.2, 0.3, 0.4, 0.2]).unwrap().difference;
        assert!(near.low.unwrap() < 0.0 && near.high.unwrap() > 0.0, "{near:?}");
        let far = compared(&[1.0, 1.1, 0.9, 1.0], &[2.0, 2.1, 1.9, 2.0]).unwrap();
        assert!((far.difference.mean - 1.0).abs() < 1e-9 && far.difference.low.unwrap() > 0.8, "{far:?}");
        // R: t.test(c(2,2.1,1.9,2), c(1,1.1,.9,1)) gives 0.8587 to 1.1413.
        assert!((far.difference.low.unwrap() - 0.8587).abs() < 0.003, "{far:?}");
    }

    #[test]
    fn one_tenant_has_no_interval_and_none_no_figure() {
        assert_eq!(compared(&[1.0], &[2.0]).unwrap().difference.low, None);
        assert_eq!(compared(&[], &[2.0]), None);
    }
}
