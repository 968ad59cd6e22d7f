//! From a fine grid to a coarse one.

use ndarray::Array1;

use super::UsageSeries;
use crate::domain::{Step, TimeRange};

/// What stands for many samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aggregate {
    /// Their mean.
    Mean,
    /// The largest.
    Max,
}

/// Puts a series on a coarser grid, aligned to 1970. A coarse point with no
/// sample at all is a gap; gaps among samples are left out of the aggregate.
/// Where `step` is not coarser than the series', the series is given back.
pub fn resample(series: &UsageSeries, step: Step, aggregate: Aggregate) -> UsageSeries {
    if step <= series.step || series.is_empty() {
        return series.clone();
    }
    let start = series.start.floor_to(step);
    let points = TimeRange { start, end: series.end() }.points(step);
    let mut coarse = UsageSeries { start, step, values: Array1::from_elem(points, f64::NAN) };
    let mut counts = vec![0_u32; points];
    for (index, value) in series.values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
        let Some(place) = coarse.index_of(series.at(index)) else { continue };
        let so_far = coarse.values[place];
        counts[place] += 1;
        coarse.values[place] = match aggregate {
            _ if so_far.is_nan() => *value,
            Aggregate::Mean => so_far + (value - so_far) / f64::from(counts[place]),
            Aggregate::Max => so_far.max(*value),
        };
    }
    coarse
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn hours_from_five_minutes() {
        let mut values: Vec<f64> = (0..36).map(f64::from).collect();
        values[12..24].fill(f64::NAN);
        values[3] = f64::NAN;
        let fine = UsageSeries {
            start: Timestamp::from_seconds(0),
            step: Step::FIVE_MINUTES,
            values: values.into(),
        };
        let peaks = resample(&fine, Step::HOUR, Aggregate::Max);
        assert_eq!(peaks.len(), 3);
        assert_eq!((peaks.values[0], peaks.values[2]), (11.0, 35.0));
        assert!(peaks.values[1].is_nan());
        let means = resample(&fine, Step::HOUR, Aggregate::Mean);
        assert!((means.values[0] - (66.0 - 3.0) / 11.0).abs() < 1e-12);
    }
}
