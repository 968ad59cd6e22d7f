//! What others would set: the Kubernetes VPA and KRR, as they are published.

use super::super::past::KEPT_HOURS;
use super::{Histogram, Past};

/// The factor that the VPA puts on its percentile, and KRR on its peak.
const SAFETY: f64 = 1.15;

/// The peers' view of one series.
#[derive(Debug, Clone, Default)]
pub struct Peers {
    vpa: Histogram,
}

impl Peers {
    /// Their names, in the order of [`Peers::limits`].
    pub const NAMES: [&'static str; 3] = ["VPA target", "KRR for CPU", "KRR for memory"];

    /// Learns from the hour that `past` ends with.
    pub fn observe(&mut self, past: &Past) {
        self.vpa.observe(past.last_hour());
    }

    /// What they would set now: the VPA's target (the 0.9 quantile of its
    /// decaying histogram, times 1.15), KRR's for CPU (the 0.95 quantile of two
    /// weeks) and for memory (their peak, times 1.15).
    pub fn limits(&self, past: &Past) -> [f64; 3] {
        let [cpu] = past.quantiles(KEPT_HOURS, [0.95]);
        [self.vpa.percentile(0.9) * SAFETY, cpu, past.peak(KEPT_HOURS) * SAFETY]
    }
}
