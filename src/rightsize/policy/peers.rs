//! What others would set: the Kubernetes VPA and KRR, as they are published.

use serde::{Deserialize, Serialize};

use super::super::past::{DAY, KEPT_HOURS};
use super::{Histogram, Past};

/// The factor that the VPA puts on its percentile, and KRR on its peak.
const SAFETY: f64 = 1.15;

/// The peers' view of one series.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Peers {
    cpu: Histogram,
    memory: DailyPeaks,
}

impl Peers {
    /// Their names, in the order of [`Peers::limits`].
    pub const NAMES: [&'static str; 4] = ["VPA for CPU", "VPA for memory", "KRR for CPU", "KRR for memory"];

    /// Learns from the hour that `past` ends with.
    pub fn observe(&mut self, past: &Past) {
        self.cpu.observe(past.last_hour());
        self.memory.observe(past.peak(1));
    }

    /// What they would set now: the VPA's targets (the 0.9 quantile of its
    /// decaying histogram, times 1.15; of all samples for CPU, of the peaks of
    /// days for memory), and KRR's of its simple strategy for CPU (the 0.95
    /// quantile of two weeks) and for memory (their peak, times 1.15).
    pub fn limits(&self, past: &Past) -> [f64; 4] {
        let [cpu] = past.quantiles(KEPT_HOURS, [0.95]);
        let vpa = [self.cpu.percentile(0.9), self.memory.percentile(0.9)].map(|target| target * SAFETY);
        [vpa[0], vpa[1], cpu, past.peak(KEPT_HOURS) * SAFETY]
    }
}

/// What the VPA keeps of memory: the peak of each day, counted from the first
/// sample, the day that runs included (`memory-aggregation-interval` of 24 h in
/// kubernetes/autoscaler, `pkg/recommender/model/aggregations_config.go`).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct DailyPeaks {
    over: Histogram,
    today: f64,
    hours: usize,
}

impl DailyPeaks {
    fn observe(&mut self, peak: f64) {
        if self.hours == DAY {
            self.over = self.with_today();
            (self.hours, self.today) = (0, 0.0);
        }
        self.hours += 1;
        self.over.observe(&[]);
        self.today = self.today.max(peak);
    }

    fn with_today(&self) -> Histogram {
        let mut all = self.over.clone();
        if self.today > 0.0 {
            all.add_one(self.today);
        }
        all
    }

    fn percentile(&self, quantile: f64) -> f64 {
        self.with_today().percentile(quantile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(hours: impl Iterator<Item = [f64; 2]>) -> [f64; 4] {
        let (mut past, mut peers) = (Past::default(), Peers::default());
        for samples in hours {
            past.push(&samples);
            peers.observe(&past);
        }
        peers.limits(&past)
    }

    fn near(found: f64, wanted: f64) {
        // A bucket of the VPA is 5 % wide.
        assert!(found >= wanted && found < wanted * 1.06, "{found} {wanted}");
    }

    #[test]
    fn krr_takes_the_95th_percentile_for_cpu_and_the_peak_and_15_percent_for_memory() {
        // 1 to 96 again and again, seven times in the two weeks that count.
        let [_, _, cpu, memory] = limits((0..2400).map(|hour| {
            let first = (hour * 2 % 96) as f64;
            [first + 1.0, first + 2.0]
        }));
        assert!((91.0..=92.0).contains(&cpu), "{cpu}");
        assert!((memory - 96.0 * 1.15).abs() < 1e-9, "{memory}");
    }

    #[test]
    fn the_vpa_takes_all_samples_for_cpu_and_the_peaks_of_days_for_memory() {
        // An hour at 8 in each day, else 1.
        let [cpu, memory, ..] = limits((0..20 * 24).map(|hour| [if hour % 24 == 5 { 8.0 } else { 1.0 }; 2]));
        near(cpu, 1.15);
        near(memory, 8.0 * 1.15);
    }

    #[test]
    fn the_vpas_memory_counts_the_day_that_runs_and_forgets_by_half_a_day() {
        // Nine days at 1 and two hours at 5: the day that runs weighs as much as all before.
        let rising = (0..9 * 24 + 2).map(|hour| [if hour < 9 * 24 { 1.0 } else { 5.0 }; 2]);
        near(limits(rising)[1], 5.0 * 1.15);
        // Three more days at 1: a peak four half-lives old is less than a tenth.
        let fallen = (0..14 * 24).map(|hour| [if (216..218).contains(&hour) { 5.0 } else { 1.0 }; 2]);
        near(limits(fallen)[1], 1.15);
    }
}
