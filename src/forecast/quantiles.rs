//! The levels at which a forecast is asked for.

use std::fmt;
use std::str::FromStr;

/// Rising levels, each above 0 and below 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantiles(Vec<f64>);

/// Levels that can't be asked for; reads well after "failed to".
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("use {0:?} as quantiles; give numbers above 0 and below 1, such as 0.1,0.5,0.9")]
pub struct BadQuantiles(String);

impl Quantiles {
    /// Takes levels in any order; refuses none at all, and any that is not
    /// between 0 and 1.
    pub fn new(levels: &[f64]) -> Result<Self, BadQuantiles> {
        let mut sorted = levels.to_vec();
        sorted.sort_by(f64::total_cmp);
        sorted.dedup();
        if sorted.is_empty() || !sorted.iter().all(|level| *level > 0.0 && *level < 1.0) {
            return Err(BadQuantiles(format!("{levels:?}")));
        }
        Ok(Quantiles(sorted))
    }

    /// The nine tenths and the levels above them that quotas are taken from.
    pub fn for_peaks() -> Self {
        let mut levels = Quantiles::default().0;
        levels.extend([0.95, 0.98, 0.99]);
        Quantiles(levels)
    }

    /// The levels, rising.
    pub fn levels(&self) -> &[f64] {
        &self.0
    }

    /// The index of the level nearest to `wanted`.
    pub fn nearest(&self, wanted: f64) -> usize {
        let distance = |index: &usize| (self.0[*index] - wanted).abs();
        (0..self.0.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0)
    }
}

impl Default for Quantiles {
    /// The nine tenths.
    fn default() -> Self {
        Quantiles((1..10).map(|tenth| f64::from(tenth) / 10.0).collect())
    }
}

impl FromStr for Quantiles {
    type Err = BadQuantiles;

    fn from_str(text: &str) -> Result<Self, BadQuantiles> {
        let bad = || BadQuantiles(text.to_owned());
        let levels: Result<Vec<f64>, _> = text.split(',').map(|level| level.trim().parse::<f64>()).collect();
        Quantiles::new(&levels.map_err(|_| bad())?).map_err(|_| bad())
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let levels: Vec<String> = self.0.iter().map(f64::to_string).collect();
        f.write_str(&levels.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_sorted_and_checked() {
        assert_eq!("0.9, 0.1,0.5".parse::<Quantiles>().unwrap().levels(), [0.1, 0.5, 0.9]);
        for bad in ["", "0", "1", "0.5,x", "0.5,NaN", "1.5"] {
            assert!(bad.parse::<Quantiles>().is_err(), "{bad}");
        }
        assert_eq!(Quantiles::default().nearest(0.97), 8);
    }
}
