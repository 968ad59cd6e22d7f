//! The decaying histogram of the Kubernetes Vertical Pod Autoscaler, and with
//! samples weighted by their size that of Google's Autopilot.
//!
//! Old samples fade by half each half-life; a percentile answers with the end
//! of its bucket. Sources: kubernetes/autoscaler
//! `vertical-pod-autoscaler/pkg/recommender/util/histogram.go` and
//! `decaying_histogram.go`; Rzadca et al., "Autopilot", EuroSys 2020.

use serde::{Deserialize, Serialize};

use super::{Members, Past};
use crate::rightsize::packed;

/// The end of the first exponential bucket: below any use that matters in any
/// of the resources' units.
const FIRST_BUCKET: f64 = 1e-6;
/// How much wider each bucket is than the one before.
const GROWTH: f64 = 0.05;

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Buckets {
    /// All of this width.
    #[cfg(test)]
    Even(f64),
    /// The first [`FIRST_BUCKET`] wide, each next one wider by [`GROWTH`].
    Growing,
}

impl Buckets {
    fn index(self, value: f64) -> usize {
        match self {
            #[cfg(test)]
            Buckets::Even(width) => (value / width) as usize,
            Buckets::Growing => ((value.max(0.0) / FIRST_BUCKET * GROWTH).ln_1p() / GROWTH.ln_1p()) as usize,
        }
    }

    fn end(self, index: usize) -> f64 {
        let next = index as f64 + 1.0;
        match self {
            #[cfg(test)]
            Buckets::Even(width) => next * width,
            Buckets::Growing => FIRST_BUCKET * ((1.0 + GROWTH).powf(next) - 1.0) / GROWTH,
        }
    }
}

/// A decaying histogram.
///
/// Instead of fading all that is old, what is new weighs more and more; only
/// where those weights grow too large is everything divided by them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Histogram {
    buckets: Buckets,
    #[serde(with = "packed::late")]
    weights: Vec<f32>,
    total: f64,
    /// What a new sample weighs, and how much more after an hour.
    weight: f64,
    growth: f64,
    weighted_by_load: bool,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram::vpa()
    }
}

impl Histogram {
    /// The VPA's: half-life of a day, each sample weighs the same. Its target
    /// is the 0.9 quantile.
    pub fn vpa() -> Self {
        Histogram::growing(24.0, false)
    }

    /// Autopilot's: half-life of 12 hours, each sample weighs what it uses.
    pub fn autopilot() -> Self {
        Histogram::growing(12.0, true)
    }

    fn growing(half_life_hours: f64, weighted_by_load: bool) -> Self {
        Histogram {
            buckets: Buckets::Growing,
            weights: Vec::new(),
            total: 0.0,
            weight: 1.0,
            growth: 2.0_f64.powf(1.0 / half_life_hours),
            weighted_by_load,
        }
    }

    /// Learns from the samples of an hour.
    pub fn observe(&mut self, samples: &[f64]) {
        self.fade(1);
        for value in samples {
            let bucket = self.buckets.index(*value);
            let weight = if self.weighted_by_load { self.buckets.end(bucket) } else { 1.0 };
            self.add(bucket, weight);
        }
    }

    /// Learns one sample of the hour that was observed last.
    pub(super) fn add_one(&mut self, value: f64) {
        self.add(self.buckets.index(value), 1.0);
    }

    fn add(&mut self, bucket: usize, weight: f64) {
        if bucket >= self.weights.len() {
            self.weights.resize(bucket + 1, 0.0);
        }
        self.weights[bucket] += (weight * self.weight) as f32;
        self.total += weight * self.weight;
    }

    fn fade(&mut self, hours: i32) {
        self.weight *= self.growth.powi(hours);
        if self.weight > HEAVIEST {
            self.weights.iter_mut().for_each(|weight| *weight = (f64::from(*weight) / self.weight) as f32);
            self.total /= self.weight;
            self.weight = 1.0;
        }
    }

    /// The end of the bucket in which the quantile lies; 0 without samples.
    pub fn percentile(&self, quantile: f64) -> f64 {
        let [end] = self.percentiles([quantile]);
        end
    }

    /// The same of several quantiles, falling: they lie near the top, so the
    /// search begins there.
    fn percentiles<const N: usize>(&self, quantiles: [f64; N]) -> [f64; N] {
        let filled = |weight: &f32| *weight > 0.0;
        let Some(last) = self.weights.iter().rposition(filled) else { return [0.0; N] };
        let (mut index, mut above) = (last, 0.0);
        quantiles.map(|quantile| {
            let allowed = (1.0 - quantile) * self.total * (1.0 + SLIP);
            while index > 0 && above + f64::from(self.weights[index]) <= allowed {
                above += f64::from(self.weights[index]);
                index -= 1;
            }
            // Nothing lies below only where all of it is allowed above.
            let holds = self.weights[index..].iter().position(filled).unwrap_or(0);
            self.buckets.end(index + holds)
        })
    }
}

/// The heaviest that a sample gets: far from the largest number even times the
/// largest use.
const HEAVIEST: f64 = 1e9;
/// What sums of rounded weights may be off, as a share.
const SLIP: f64 = 1e-6;

/// Autopilot's high percentiles, and the VPA's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Histograms {
    autopilot: Histogram,
    vpa: Histogram,
}

/// The quantiles of each, from the highest.
const OF_AUTOPILOT: [f64; 2] = [0.999, 0.99];
const OF_VPA: [f64; 3] = [0.99, 0.95, 0.9];

impl Default for Histograms {
    fn default() -> Self {
        Histograms { autopilot: Histogram::autopilot(), vpa: Histogram::vpa() }
    }
}

impl Members for Histograms {
    fn names(&self) -> Vec<String> {
        let autopilot = OF_AUTOPILOT.map(|quantile| format!("Autopilot p{}", quantile * 100.0));
        autopilot.into_iter().chain(OF_VPA.map(|quantile| format!("VPA p{}", quantile * 100.0))).collect()
    }

    fn observe(&mut self, past: &Past, _: usize) {
        self.autopilot.observe(past.last_hour());
        self.vpa.observe(past.last_hour());
    }

    fn limits(&self, _: &Past, _: usize, limits: &mut Vec<f64>) {
        limits.extend(self.autopilot.percentiles(OF_AUTOPILOT));
        limits.extend(self.vpa.percentiles(OF_VPA));
    }
}

/// The VPA's confidence in days: the lesser of the time that the samples span
/// and of what they would span at one a minute.
pub fn confidence(span_days: f64, samples: usize) -> f64 {
    span_days.min(samples as f64 / (24.0 * 60.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_the_published_percentiles() {
        // The VPA's own test: values and weights 1 to 4, one half-life apart.
        let mut histogram = Histogram { buckets: Buckets::Even(1.0), ..Histogram::vpa() };
        for value in [1.0, 2.0, 3.0, 4.0] {
            histogram.fade(24);
            histogram.add(histogram.buckets.index(value), value);
        }
        for (quantile, end) in [(0.02, 2.0), (0.03, 3.0), (0.10, 3.0), (0.11, 4.0), (0.34, 4.0), (0.35, 5.0)]
        {
            assert_eq!(histogram.percentile(quantile), end, "{quantile}");
        }
    }

    #[test]
    fn gives_the_published_confidence() {
        assert_eq!(confidence(16.0 / (24.0 * 60.0), 9), 0.00625);
    }

    #[test]
    fn a_growing_bucket_holds_its_value() {
        let mut histogram = Histogram::vpa();
        assert_eq!(histogram.percentile(0.9), 0.0);
        for value in [0.0, 3e-5, 0.25, 7.0, 1e12] {
            let index = histogram.buckets.index(value);
            assert!(histogram.buckets.end(index) >= value);
            assert!(histogram.buckets.end(index) <= value * 1.06 + 2e-6);
            histogram.add(index, 1.0);
        }
        assert!(histogram.percentile(1.0) >= 1e12);
    }
}
