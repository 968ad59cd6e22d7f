//! The decaying histogram of the Kubernetes Vertical Pod Autoscaler, and with
//! samples weighted by their size that of Google's Autopilot.
//!
//! Old samples fade by half each half-life; a percentile answers with the end
//! of its bucket. Sources: kubernetes/autoscaler
//! `vertical-pod-autoscaler/pkg/recommender/util/histogram.go` and
//! `decaying_histogram.go`; Rzadca et al., "Autopilot", EuroSys 2020.

use super::{Past, Policy};

/// The end of the first exponential bucket: below any use that matters in any
/// of the resources' units.
const FIRST_BUCKET: f64 = 1e-6;
/// How much wider each bucket is than the one before.
const GROWTH: f64 = 0.05;

#[derive(Debug, Clone, Copy)]
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

/// A decaying histogram and the percentile that it answers with.
#[derive(Debug, Clone)]
pub struct Histogram {
    buckets: Buckets,
    weights: Vec<f64>,
    total: f64,
    half_life_hours: f64,
    weighted_by_load: bool,
    quantile: f64,
}

impl Histogram {
    /// The VPA's: half-life of a day, each sample weighs the same. Its target
    /// is the 0.9 quantile.
    pub fn vpa(quantile: f64) -> Self {
        Histogram::growing(quantile, 24.0, false)
    }

    /// Autopilot's: half-life of 12 hours, each sample weighs what it uses.
    pub fn autopilot(quantile: f64) -> Self {
        Histogram::growing(quantile, 12.0, true)
    }

    fn growing(quantile: f64, half_life_hours: f64, weighted_by_load: bool) -> Self {
        let buckets = Buckets::Growing;
        Histogram { buckets, weights: Vec::new(), total: 0.0, half_life_hours, weighted_by_load, quantile }
    }

    fn add(&mut self, value: f64, weight: f64) {
        let index = self.buckets.index(value);
        if index >= self.weights.len() {
            self.weights.resize(index + 1, 0.0);
        }
        self.weights[index] += weight;
        self.total += weight;
    }

    fn fade(&mut self, hours: f64) {
        let factor = 0.5_f64.powf(hours / self.half_life_hours);
        self.weights.iter_mut().for_each(|weight| *weight *= factor);
        self.total *= factor;
    }

    /// The end of the bucket in which the quantile lies; 0 without samples.
    pub fn percentile(&self, quantile: f64) -> f64 {
        let wanted = quantile * self.total * (1.0 - 1e-12);
        let mut sum = 0.0;
        let found = self.weights.iter().position(|weight| {
            sum += weight;
            *weight > 0.0 && sum >= wanted
        });
        let last = || self.weights.iter().rposition(|weight| *weight > 0.0);
        found.or_else(last).map_or(0.0, |index| self.buckets.end(index))
    }
}

impl Policy for Histogram {
    fn name(&self) -> String {
        let whose = if self.weighted_by_load { "Autopilot" } else { "VPA" };
        format!("{whose} p{}", self.quantile * 100.0)
    }

    fn observe(&mut self, past: &Past) {
        self.fade(1.0);
        for value in past.last_hour() {
            let bucket = self.buckets.index(*value);
            let weight = if self.weighted_by_load { self.buckets.end(bucket) } else { 1.0 };
            self.add(*value, weight);
        }
    }

    fn limit(&self, _: &Past, _: usize) -> f64 {
        self.percentile(self.quantile)
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
        let mut histogram = Histogram { buckets: Buckets::Even(1.0), ..Histogram::vpa(0.9) };
        for value in [1.0, 2.0, 3.0, 4.0] {
            histogram.fade(24.0);
            histogram.add(value, value);
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
        let mut histogram = Histogram::vpa(0.9);
        assert_eq!(histogram.percentile(0.9), 0.0);
        for value in [0.0, 3e-5, 0.25, 7.0, 1e12] {
            let index = histogram.buckets.index(value);
            assert!(histogram.buckets.end(index) >= value);
            assert!(histogram.buckets.end(index) <= value * 1.06 + 2e-6);
            histogram.add(value, 1.0);
        }
        assert!(histogram.percentile(1.0) >= 1e12);
    }
}
