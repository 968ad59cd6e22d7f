//! The seasons that a series shows, found by its spectrum and its
//! autocorrelation together (Vlachos, Yu and Castelli 2005, On periodicity
//! detection and structural periodic similarity).
//!
//! The spectrum proposes: each frequency of far more power than noise would
//! have. The autocorrelation decides: a season must be a hill in it, since a
//! drift and its harmonics have power too. Both come from one Fourier transform.

use super::stats;

/// Lags that are always looked at: a day or a week on the usual grids (5, 10, 15
/// and 30 minutes, an hour, a day), and a year of months.
const USUAL: [usize; 12] = [7, 12, 24, 48, 96, 144, 168, 288, 336, 672, 1008, 2016];
/// The least autocorrelation of a season.
const LEAST: f64 = 0.3;
/// The least difference that counts. A season must be that much above the lags
/// a quarter shorter and longer: a drifting series is like itself at every lag.
const STANDS_OUT: f64 = 0.1;
/// How likely pure noise may propose anything.
const FALSE_ALARM: f64 = 0.01;
/// Proposals of the spectrum that are looked at.
const MOST_PROPOSED: usize = 8;
/// The shortest season.
const SHORTEST: usize = 3;

/// The lengths of the seasons of evenly spaced `values` in steps, the shortest
/// first: at most two, and none where none shows. `NaN` is a gap.
pub fn seasons(values: &[f64]) -> Vec<usize> {
    let values = detrended(values.to_vec());
    let spectrum = Spectrum::of(&values);
    let mut lags: Vec<usize> = USUAL.into_iter().chain(spectrum.proposed(values.len())).collect();
    lags.sort_unstable();
    lags.dedup();
    let shown: Vec<(usize, f64)> =
        lags.into_iter().filter_map(|lag| Some((lag, spectrum.strength(lag, values.len())?))).collect();
    let best = shown.iter().map(|(_, strength)| *strength).fold(0.0, f64::max);
    // Every multiple of a season is a season too: the first hill that is about
    // as high as the highest counts, and of it the top.
    let Some((foot, _)) = shown.iter().find(|(_, strength)| *strength >= best - STANDS_OUT) else {
        return Vec::new();
    };
    let hill = shown.iter().filter(|(lag, _)| (*foot..=foot + foot / 4).contains(lag));
    let longest = hill.max_by(|a, b| a.1.total_cmp(&b.1)).map_or(*foot, |(lag, _)| *lag);
    // A week may hold days that are alike, but less so than weeks are.
    let inside = shown.iter().map(|(lag, _)| *lag).find(|lag| *lag < longest && longest % lag == 0);
    inside.into_iter().chain([longest]).collect()
}

/// The power of each frequency, and the autocorrelation that follows from it.
struct Spectrum {
    /// Of the frequencies `k / size`, up to a half.
    power: Vec<f64>,
    /// By lag, 1 at none; empty where nothing varies.
    autocorrelation: Vec<f64>,
    /// The length of the transform.
    size: usize,
}

impl Spectrum {
    /// Of values about 0; a gap counts as 0. Each lag's products are divided by
    /// how many pairs are there.
    fn of(values: &[f64]) -> Self {
        // Twice the length, so that the end does not wrap to the beginning.
        let size = (2 * values.len()).next_power_of_two().max(2);
        let padded = |value: &dyn Fn(&f64) -> f64| {
            let mut padded: Vec<(f64, f64)> = values.iter().map(|one| (value(one), 0.0)).collect();
            padded.resize(size, (0.0, 0.0));
            power(padded)
        };
        let known = padded(&|value| if value.is_finite() { *value } else { 0.0 });
        let there = padded(&|value| f64::from(u8::from(value.is_finite())));
        let (products, pairs) = (correlations(&known), correlations(&there));
        let means: Vec<f64> = products
            .iter()
            .zip(&pairs)
            .take(values.len())
            .map(|(product, pairs)| if *pairs > 0.5 { product / pairs } else { f64::NAN })
            .collect();
        let variance = means.first().copied().filter(|variance| *variance > f64::MIN_POSITIVE);
        let autocorrelation =
            variance.map_or_else(Vec::new, |variance| means.iter().map(|mean| mean / variance).collect());
        Spectrum { power: known[..size / 2].to_vec(), autocorrelation, size }
    }

    /// The lags of the hills of the autocorrelation next to the strongest
    /// frequencies, where `steps` are known.
    fn proposed(&self, steps: usize) -> Vec<usize> {
        let mean = stats::mean(&self.power).unwrap_or(0.0);
        let least = mean * (self.power.len().max(1) as f64 / FALSE_ALARM).ln();
        let is_peak = |index: &usize| {
            let here = self.power[*index];
            here > least && here >= self.power[index - 1] && here >= self.power[index + 1]
        };
        let mut peaks: Vec<usize> = (1..self.power.len().saturating_sub(1)).filter(is_peak).collect();
        peaks.sort_by(|a, b| self.power[*b].total_cmp(&self.power[*a]));
        let hill = |peak: usize| {
            // The transform is twice as long as the series: so far is a
            // frequency uncertain.
            let (first, last) = (self.size / (peak + 2), self.size / peak.saturating_sub(2).max(1));
            let lags = first.max(SHORTEST)..=last.min(steps / 2);
            let height = |lag: &usize| self.autocorrelation.get(*lag).copied().unwrap_or(-1.0);
            lags.max_by(|a, b| height(a).total_cmp(&height(b)))
        };
        peaks.into_iter().take(MOST_PROPOSED).filter_map(hill).collect()
    }

    /// The autocorrelation at a lag that shows as a season, where `steps` are
    /// known.
    fn strength(&self, lag: usize, steps: usize) -> Option<f64> {
        let at = |lag: usize| {
            let fits = steps >= 2 * lag;
            self.autocorrelation.get(lag).copied().filter(|found| fits && found.is_finite())
        };
        let here = at(lag)?;
        let beside = [lag - lag.div_ceil(4), lag + lag.div_ceil(4)].map(|lag| at(lag).unwrap_or(-1.0));
        (here > LEAST && beside.iter().all(|near| here > near + STANDS_OUT)).then_some(here)
    }
}

/// The squared sizes of the Fourier transform of `values`, whose length is a
/// power of two.
fn power(mut values: Vec<(f64, f64)>) -> Vec<f64> {
    transform(&mut values);
    values.iter().map(|(real, imaginary)| real * real + imaginary * imaginary).collect()
}

/// The sums of products at each lag, from the power (Wiener and Khinchin).
fn correlations(power: &[f64]) -> Vec<f64> {
    let mut values: Vec<(f64, f64)> = power.iter().map(|power| (*power, 0.0)).collect();
    transform(&mut values);
    values.iter().map(|(real, _)| real / power.len() as f64).collect()
}

/// The fast Fourier transform in place (Cooley and Tukey 1965); the length is a
/// power of two.
fn transform(values: &mut [(f64, f64)]) {
    let size = values.len();
    let bits = size.trailing_zeros();
    for index in 0..size {
        let mirrored = index.reverse_bits() >> (usize::BITS - bits);
        if index < mirrored {
            values.swap(index, mirrored);
        }
    }
    let mut width = 2;
    while width <= size {
        let angle = -std::f64::consts::TAU / width as f64;
        for block in values.chunks_exact_mut(width) {
            let (low, high) = block.split_at_mut(width / 2);
            for (place, (low, high)) in low.iter_mut().zip(high).enumerate() {
                let (sin, cos) = (angle * place as f64).sin_cos();
                let turned = (high.0 * cos - high.1 * sin, high.0 * sin + high.1 * cos);
                *high = (low.0 - turned.0, low.1 - turned.1);
                *low = (low.0 + turned.0, low.1 + turned.1);
            }
        }
        width *= 2;
    }
}

/// Without its straight line of least squares; gaps stay gaps.
fn detrended(mut values: Vec<f64>) -> Vec<f64> {
    let known = || values.iter().enumerate().filter(|(_, value)| value.is_finite());
    let count = known().count().max(1) as f64;
    let middle = known().map(|(place, _)| place as f64).sum::<f64>() / count;
    let mean = known().map(|(_, value)| value).sum::<f64>() / count;
    let rise: f64 = known().map(|(place, value)| (place as f64 - middle) * (value - mean)).sum();
    let run: f64 = known().map(|(place, _)| (place as f64 - middle).powi(2)).sum();
    let slope = if run > 0.0 { rise / run } else { 0.0 };
    for (place, value) in values.iter_mut().enumerate() {
        *value -= mean + slope * (place as f64 - middle);
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(place: usize) -> f64 {
        // Two rounds of multiply and shift: one round alone has rhythms of its own.
        let mixed = (place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 32)) % 1000) as f64 / 1000.0
    }

    fn wave(length: usize) -> impl Fn(usize) -> f64 {
        move |place: usize| (place as f64 * std::f64::consts::TAU / length as f64).sin() + noise(place)
    }

    #[test]
    fn the_season_that_shows_is_found_also_an_unusual_one() {
        for (length, steps) in [(24, 500), (7, 70), (60, 700), (35, 400), (19, 300)] {
            let found = seasons(&(0..steps).map(wave(length)).collect::<Vec<_>>());
            assert_eq!(found, [length], "of {length} in {steps}");
        }
    }

    #[test]
    fn noise_drift_and_stillness_show_none() {
        let none: [usize; 0] = [];
        assert_eq!(seasons(&(0..500).map(noise).collect::<Vec<_>>()), none);
        assert_eq!(seasons(&(0..500).map(|place| place as f64).collect::<Vec<_>>()), none);
        assert_eq!(seasons(&[1.0; 100]), none);
        assert_eq!(seasons(&[f64::NAN; 100]), none);
        assert_eq!((seasons(&[]), seasons(&[3.0])), (Vec::new(), Vec::new()));
        let mut walk = 0.0;
        let walk: Vec<f64> = (0..2000)
            .map(|place| {
                walk += noise(place) - 0.5;
                walk
            })
            .collect();
        assert_eq!(seasons(&walk), none);
    }

    #[test]
    fn a_week_is_found_with_the_day_inside_it() {
        let busy = |place: usize| if (place / 24) % 7 < 5 { 10.0 } else { 1.0 };
        let day = |place: usize| busy(place) * (1.0 + (place % 24) as f64) + noise(place);
        assert_eq!(seasons(&(0..24 * 28).map(day).collect::<Vec<_>>()), [24, 168]);
    }

    #[test]
    fn gaps_do_not_hide_a_season() {
        let mut values: Vec<f64> = (0..600).map(wave(24)).collect();
        values[100..160].fill(f64::NAN);
        values.iter_mut().step_by(7).for_each(|value| *value = f64::NAN);
        assert_eq!(seasons(&values), [24]);
    }
}
