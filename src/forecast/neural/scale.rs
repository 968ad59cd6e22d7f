//! The scale on which the network sees a series, with its way back.

use crate::series::stats;

/// Hours whose level and spread make the scale.
const RECENT: usize = 168;
/// The spread is at least this share of the level: what differs less is noise.
const LEAST_SPREAD: f64 = 1e-4;
/// The spread is at least this share of that of all hours seen.
const LEAST_SHARE: f64 = 0.1;
/// Scaled values are cut beyond this.
const LARGEST: f64 = 1e30;

/// A median, and the mean distance from it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    centre: f64,
    spread: f64,
}

impl Scale {
    /// The scale of hours without gaps; `None` where nothing in them varies.
    pub fn of(past: &[f64]) -> Option<Self> {
        let recent = &past[past.len().saturating_sub(RECENT)..];
        let centre = stats::median(recent)?;
        let distance = |hours: &[f64]| {
            hours.iter().map(|value| (value - centre).abs()).sum::<f64>() / hours.len() as f64
        };
        let all = distance(past);
        let spread = distance(recent).max(LEAST_SHARE * all).max(LEAST_SPREAD * centre.abs());
        (all > 0.0 && spread.is_normal()).then_some(Scale { centre, spread })
    }

    /// From the unit of the series to the scale.
    pub fn apply(self, value: f64) -> f32 {
        let scaled = ((value - self.centre) / self.spread).clamp(-LARGEST, LARGEST);
        // The inverse hyperbolic sine; exact enough in single precision.
        (scaled.abs() + scaled.mul_add(scaled, 1.0).sqrt()).ln().copysign(scaled) as f32
    }

    /// From the scale to the unit of the series.
    pub fn invert(self, scaled: f64) -> f64 {
        let power = scaled.clamp(-70.0, 70.0).exp();
        self.centre + self.spread * 0.5 * (power - power.recip())
    }

    /// The spread beside the level, as a logarithm; 0 where there is no level.
    pub fn relative_spread(self) -> f32 {
        (self.spread / (self.spread + self.centre.abs())).ln() as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_scaled_comes_back() {
        let past: Vec<f64> = (0..200).map(|hour| 1e6 + f64::from(hour % 24)).collect();
        let scale = Scale::of(&past).unwrap();
        for value in [1e6, 1e6 + 5.0, 0.0, 3e6] {
            let back = scale.invert(f64::from(scale.apply(value)));
            assert!((back - value).abs() < 1e-4 * (value - 1e6).abs() + 1e-3, "{back} {value}");
        }
        assert_eq!(Scale::of(&[5.0; 50]), None);
        assert_eq!(Scale::of(&[]), None);
        let mut idle = vec![0.0; 300];
        idle[3] = 7.0;
        assert!(Scale::of(&idle).is_some());
    }
}
