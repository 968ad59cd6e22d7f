//! One usage series, and many of one resource together.

use std::collections::BTreeMap;

use ndarray::{Array1, ArrayView1, Axis, Slice};

use crate::domain::{Resource, Step, TenantId, TimeRange, Timestamp};

/// One in so many values is left as room for those that come.
const SPARE: usize = 8;

/// The usage of one resource by one tenant: `values[i]` belongs to
/// `start + i * step`, in the resource's unit, `NaN` where there is no sample.
#[derive(Debug, Clone)]
pub struct UsageSeries {
    /// The instant of the first value.
    pub start: Timestamp,
    /// The distance between two values.
    pub step: Step,
    /// The values, shape `[n]`.
    pub values: Array1<f64>,
}

impl UsageSeries {
    /// An empty series that will begin at `start`.
    pub fn empty(start: Timestamp, step: Step) -> Self {
        UsageSeries { start, step, values: Array1::from_vec(Vec::new()) }
    }

    /// From samples in any order; those off the grid are put on the grid point
    /// before them, the last of two on one point stays. `None` without samples.
    pub fn from_samples(step: Step, samples: &[(Timestamp, f64)]) -> Option<Self> {
        let first = samples.iter().map(|(at, _)| *at).min()?.floor_to(step);
        let last = samples.iter().map(|(at, _)| *at).max()?.floor_to(step);
        let mut series = UsageSeries::empty(first, step);
        let points = TimeRange { start: first, end: last }.points(step) + 1;
        series.values = Array1::from_elem(points, f64::NAN);
        for (at, value) in samples {
            if let Some(index) = series.index_of(at.floor_to(step)) {
                series.values[index] = *value;
            }
        }
        Some(series)
    }

    /// How many grid points it has, gaps included.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether it has no grid point.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The instant of the value at `index`, also beyond the end.
    pub fn at(&self, index: usize) -> Timestamp {
        let offset = i64::try_from(index).unwrap_or(i64::MAX).saturating_mul(self.step.millis());
        Timestamp::from_millis(self.start.millis().saturating_add(offset))
    }

    /// The first instant after the last value.
    pub fn end(&self) -> Timestamp {
        self.at(self.len())
    }

    /// The index of the value that belongs to the grid point at or before `at`.
    pub fn index_of(&self, at: Timestamp) -> Option<usize> {
        let offset = at.millis() - self.start.millis();
        let index = usize::try_from(offset.div_euclid(self.step.millis())).ok()?;
        (index < self.len()).then_some(index)
    }

    /// The values from a range's start to just before its end.
    pub fn within(&self, range: TimeRange) -> ArrayView1<'_, f64> {
        let place = |at| TimeRange { start: self.start, end: at }.points(self.step).min(self.len());
        let (from, until) = (place(range.start), place(range.end));
        self.values.slice_axis(Axis(0), Slice::from(from..until.max(from)))
    }

    /// The last sample that is no gap.
    pub fn last_sample(&self) -> Option<(Timestamp, f64)> {
        let index = self.values.iter().rposition(|value| value.is_finite())?;
        Some((self.at(index), self.values[index]))
    }

    /// How many values are no gaps.
    pub fn samples(&self) -> usize {
        self.values.iter().filter(|value| value.is_finite()).count()
    }

    /// Adds the values of `newer` at their places. What lies between the two
    /// becomes a gap; where both have a sample the newer one stays; what lies
    /// before this series' start is left out. Both must have the same step.
    pub fn extend(&mut self, newer: &UsageSeries) {
        debug_assert_eq!(self.step, newer.step, "series of two steps can't be joined");
        if self.is_empty() {
            *self = newer.clone();
            return;
        }
        if newer.end() > self.end() {
            let points = TimeRange { start: self.start, end: newer.end() }.points(self.step);
            let mut values = std::mem::take(&mut self.values).into_raw_vec_and_offset().0;
            values.reserve_exact(points - values.len());
            values.resize(points, f64::NAN);
            self.values = Array1::from_vec(values);
        }
        for (index, value) in newer.values.iter().enumerate().filter(|(_, value)| value.is_finite()) {
            if let Some(place) = self.index_of(newer.at(index)) {
                self.values[place] = *value;
            }
        }
    }

    /// Forgets everything before `instant`.
    pub fn drop_before(&mut self, instant: Timestamp) {
        let surplus = TimeRange { start: self.start, end: instant }.points(self.step).min(self.len());
        if surplus > 0 {
            self.start = self.at(surplus);
            // In its place: what comes next finds room without a new one.
            let mut values = std::mem::take(&mut self.values).into_raw_vec_and_offset().0;
            values.drain(..surplus);
            values.shrink_to(values.len() + values.len() / SPARE);
            self.values = Array1::from_vec(values);
        }
    }
}

/// The usage of one resource by many tenants, each on the same step.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The resource that all series measure.
    pub resource: Resource,
    /// The step that all series share.
    pub step: Step,
    /// A series for each tenant that has samples.
    pub series: BTreeMap<TenantId, UsageSeries>,
}

impl Frame {
    /// A frame without tenants.
    pub fn empty(resource: Resource, step: Step) -> Self {
        Frame { resource, step, series: BTreeMap::new() }
    }

    /// Adds the samples of a newer frame of the same resource and step.
    pub fn extend(&mut self, newer: Frame) {
        for (tenant, series) in newer.series {
            match self.series.get_mut(&tenant) {
                Some(known) => known.extend(&series),
                None => {
                    self.series.insert(tenant, series);
                }
            }
        }
    }

    /// Forgets everything before `instant`, and tenants left without a value.
    pub fn drop_before(&mut self, instant: Timestamp) {
        self.series.retain(|_, series| {
            series.drop_before(instant);
            !series.is_empty()
        });
    }

    /// How many samples all series have together.
    pub fn samples(&self) -> usize {
        self.series.values().map(UsageSeries::samples).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(n: i64) -> Timestamp {
        Timestamp::from_seconds(n * 60)
    }

    fn series(start: i64, values: &[f64]) -> UsageSeries {
        UsageSeries { start: minutes(start), step: Step::FIVE_MINUTES, values: values.to_vec().into() }
    }

    #[test]
    fn samples_fall_on_the_grid_and_gaps_stay_gaps() {
        let series = UsageSeries::from_samples(
            Step::FIVE_MINUTES,
            &[(minutes(15), 3.0), (minutes(0), 1.0), (Timestamp::from_seconds(5 * 60 + 7), 2.0)],
        )
        .unwrap();
        assert_eq!(series.len(), 4);
        assert_eq!(series.values.as_slice().unwrap()[..2], [1.0, 2.0]);
        assert!(series.values[2].is_nan());
        assert_eq!(series.last_sample(), Some((minutes(15), 3.0)));
        assert!(UsageSeries::from_samples(Step::HOUR, &[]).is_none());
    }

    #[test]
    fn extending_leaves_a_gap_between_and_never_shrinks() {
        let mut known = series(0, &[1.0, 2.0]);
        known.extend(&series(20, &[5.0]));
        assert_eq!(known.len(), 5);
        assert_eq!(known.samples(), 3);
        known.extend(&series(5, &[9.0, f64::NAN]));
        assert_eq!(known.len(), 5);
        assert_eq!(known.values[1], 9.0);
    }

    #[test]
    fn a_range_holds_its_start_and_not_its_end() {
        let known = series(10, &[1.0, 2.0, 3.0]);
        let within =
            |from, until| known.within(TimeRange { start: minutes(from), end: minutes(until) }).to_vec();
        assert_eq!(within(10, 20), [1.0, 2.0]);
        assert_eq!(within(0, 11), [1.0]);
        assert_eq!(within(11, 60), [2.0, 3.0]);
        assert_eq!([within(0, 10), within(25, 60), within(20, 10)], [const { Vec::<f64>::new() }; 3]);
    }

    #[test]
    fn forgetting_moves_the_start() {
        let mut known = series(0, &[1.0, 2.0, 3.0]);
        known.drop_before(minutes(6));
        assert_eq!(known.start, minutes(10));
        assert_eq!(known.values.to_vec(), [3.0]);
        known.drop_before(minutes(600));
        assert!(known.is_empty());
    }
}
