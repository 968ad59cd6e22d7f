//! Order statistics over values with gaps.

/// The finite values, sorted upwards.
pub fn sorted_finite<'a>(values: impl IntoIterator<Item = &'a f64>) -> Vec<f64> {
    let finite = values.into_iter().filter(|value| value.is_finite());
    let mut keys: Vec<u64> = finite.map(|value| rising(*value)).collect();
    keys.sort_unstable();
    keys.into_iter().map(of_rising).collect()
}

/// A number's bits, changed so that they rise with it: whole numbers are sorted
/// twice as fast.
fn rising(value: f64) -> u64 {
    let bits = value.to_bits();
    if bits >> 63 == 1 { !bits } else { bits | (1 << 63) }
}

fn of_rising(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

/// The order of values that come as runs of the same length, each sorted upwards.
#[derive(Debug, Default)]
pub struct Order {
    /// A value's bits, in which the last few give way to its place.
    keys: Vec<u64>,
    merged: Vec<u64>,
    places: u64,
}

impl Order {
    /// Puts values in order, the least first. They are told apart to eleven
    /// digits or more, as long as there are a few thousand of them; what is equal
    /// keeps its order. A run that is not sorted is sorted first.
    pub fn put(&mut self, values: &[f64], run: usize) {
        let places = (values.len() as u64).next_power_of_two() - 1;
        self.places = places;
        self.keys.clear();
        let key = |(place, value): (usize, &f64)| (rising(*value) & !places) | place as u64;
        self.keys.extend(values.iter().enumerate().map(key));
        let mut run = run.max(1);
        for one in self.keys.chunks_mut(run).filter(|one| !one.is_sorted()) {
            one.sort_unstable();
        }
        self.merged.resize(self.keys.len(), 0);
        while run < self.keys.len() {
            for (two, merged) in self.keys.chunks(2 * run).zip(self.merged.chunks_mut(2 * run)) {
                let (left, right) = two.split_at(run.min(two.len()));
                merge(left, right, merged);
            }
            std::mem::swap(&mut self.keys, &mut self.merged);
            run *= 2;
        }
    }

    /// The values' places in that order.
    pub fn places(&self) -> impl Iterator<Item = usize> + '_ {
        self.keys.iter().map(|key| (key & self.places) as usize)
    }
}

/// Merges two sorted runs from both ends at once, so that neither end waits for
/// the other; no run ends before as many places are filled at each end as the
/// shorter one has.
fn merge(left: &[u64], right: &[u64], merged: &mut [u64]) {
    let shorter = left.len().min(right.len());
    let (low, rest) = merged.split_at_mut(shorter);
    let (middle, high) = rest.split_at_mut(rest.len() - shorter);
    let (mut from_left, mut from_right) = (0, 0);
    let (mut to_left, mut to_right) = (left.len(), right.len());
    // Without a branch that nobody could foretell.
    for (low, high) in low.iter_mut().zip(high.iter_mut().rev()) {
        let (one, other) = (left[from_left], right[from_right]);
        let is_left = one <= other;
        *low = one.min(other);
        from_left += usize::from(is_left);
        from_right += usize::from(!is_left);
        let (one, other) = (left[to_left - 1], right[to_right - 1]);
        let is_left = one > other;
        *high = one.max(other);
        to_left -= usize::from(is_left);
        to_right -= usize::from(!is_left);
    }
    let (mut left, mut right) = (&left[from_left..to_left], &right[from_right..to_right]);
    for cell in middle {
        let is_left = left.first().is_some_and(|one| right.first().is_none_or(|other| one <= other));
        let from = if is_left { &mut left } else { &mut right };
        // The two have as many together as are filled here.
        *cell = from.split_off_first().copied().unwrap_or_default();
    }
}

/// The `q` quantile (0 to 1) of values sorted upwards, interpolated linearly
/// between neighbours (Hyndman and Fan 1996, type 7). `None` without values.
pub fn quantile_of_sorted(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    let part = place - below as f64;
    Some(sorted[below] + (sorted[above] - sorted[below]) * part)
}

/// The median of the finite values; `None` without any.
pub fn median<'a>(values: impl IntoIterator<Item = &'a f64>) -> Option<f64> {
    quantile_of_sorted(&sorted_finite(values), 0.5)
}

/// The mean of the finite values; `None` without any.
pub fn mean<'a>(values: impl IntoIterator<Item = &'a f64>) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_u64);
    for value in values.into_iter().filter(|value| value.is_finite()) {
        sum += value;
        count += 1;
    }
    (count > 0).then(|| sum / count as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_interpolate_and_gaps_do_not_count() {
        let sorted = sorted_finite(&[4.0, f64::NAN, 1.0, 3.0, 2.0]);
        assert_eq!(sorted, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(quantile_of_sorted(&sorted, 0.5), Some(2.5));
        assert_eq!(quantile_of_sorted(&sorted, 1.0), Some(4.0));
        assert_eq!(quantile_of_sorted(&[], 0.5), None);
        assert_eq!(mean(&[f64::NAN]), None);
        assert_eq!(mean(&[1.0, f64::NAN, 3.0]), Some(2.0));
        let odd = [0.0, -1e300, f64::MIN_POSITIVE, -0.0, 7.0, -7.0];
        assert_eq!(sorted_finite(&odd), [-1e300, -7.0, -0.0, 0.0, f64::MIN_POSITIVE, 7.0]);
    }

    #[test]
    fn runs_are_put_in_order() {
        let mut order = Order::default();
        let mut places = |values: &[f64], run| {
            order.put(values, run);
            order.places().collect::<Vec<_>>()
        };
        assert_eq!(places(&[-1.0, 0.0, 2.0, -3.5, 1e-9, 2.0], 3), [3, 0, 1, 4, 2, 5]);
        assert_eq!(places(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0, 0.0], 2), [6, 0, 2, 4, 1, 3, 5]);
        assert_eq!(places(&[3.0, 1.0, 2.0, 0.0], 4), [3, 1, 2, 0], "a run that is not sorted");
        let noise = |place: usize| ((place * 7919 + 13) % 1009) as f64;
        for (count, run) in (0..90).flat_map(|count| [1, 2, 3, 12, 13].map(|run| (count, run))) {
            let values: Vec<f64> = (0..count).map(|place| noise(place % 37) - 300.0).collect();
            let mut sorted: Vec<usize> = (0..count).collect();
            sorted.sort_by(|one, other| values[*one].total_cmp(&values[*other]));
            assert_eq!(places(&values, run), sorted, "{count} values by {run}");
        }
        assert!(places(&[], 3).is_empty());
    }
}
