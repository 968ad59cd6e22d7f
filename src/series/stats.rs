//! Order statistics over values with gaps.

/// The finite values, sorted upwards.
pub fn sorted_finite<'a>(values: impl IntoIterator<Item = &'a f64>) -> Vec<f64> {
    let mut finite: Vec<f64> = values.into_iter().copied().filter(|value| value.is_finite()).collect();
    finite.sort_unstable_by(f64::total_cmp);
    finite
}

/// Puts values in order, the least first: `keys` becomes a key for each, and
/// what is given leads from a key to its value's place. Values are told apart to
/// eleven digits or more, as long as there are a few thousand of them; what is
/// equal keeps its order.
///
/// Keys are whole numbers, which are sorted twice as fast: the values' bits, in
/// which the last few give way to the place.
pub fn order(values: &[f64], keys: &mut Vec<u64>) -> impl Fn(u64) -> usize + use<> {
    let places = (values.len() as u64).next_power_of_two() - 1;
    let key = |(place, value): (usize, &f64)| {
        let bits = value.to_bits();
        let is_negative = bits >> 63 == 1;
        let rising = if is_negative { !bits } else { bits | (1 << 63) };
        (rising & !places) | place as u64
    };
    keys.clear();
    keys.extend(values.iter().enumerate().map(key));
    keys.sort_unstable();
    move |key| (key & places) as usize
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
        let (values, mut keys) = ([2.0, -1.0, 0.0, 2.0, -3.5, 1e-9], Vec::new());
        let place_of = order(&values, &mut keys);
        let places: Vec<usize> = keys.iter().map(|key| place_of(*key)).collect();
        assert_eq!(places, [4, 1, 2, 5, 0, 3]);
        assert_eq!(mean(&[1.0, f64::NAN, 3.0]), Some(2.0));
    }
}
