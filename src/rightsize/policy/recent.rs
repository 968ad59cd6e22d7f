//! Reaction and windows: the recent past comes again.

use super::{Past, Policy};

/// The largest sample of the last hours. A short look is the quickest answer
/// to a load that rises; a week's is Kubernetes folklore ("peak plus margin").
#[derive(Debug, Clone, Copy)]
pub struct Reaction {
    /// Hours looked back; 0 for the last half hour.
    hours: usize,
}

impl Reaction {
    /// The last half hour.
    pub const HALF_HOUR: Reaction = Reaction { hours: 0 };

    /// The last `hours`.
    pub fn hours(hours: usize) -> Self {
        Reaction { hours }
    }
}

impl Policy for Reaction {
    fn name(&self) -> String {
        match self.hours {
            0 => "peak of 30 min".to_owned(),
            hours => format!("peak of {hours} h"),
        }
    }

    fn limit(&self, past: &Past, _: usize) -> f64 {
        if self.hours > 0 {
            return past.peak(self.hours);
        }
        let hour = past.last_hour();
        hour[hour.len() / 2..].iter().copied().fold(0.0, f64::max)
    }
}

/// A quantile of the samples of a trailing window: KRR's way (for CPU the 95th
/// percentile of two weeks), with the nearest sample in the place of
/// Prometheus's interpolation.
#[derive(Debug, Clone, Copy)]
pub struct WindowQuantile {
    /// Hours looked back.
    pub hours: usize,
    /// The quantile, 0 to 1.
    pub quantile: f64,
}

impl Policy for WindowQuantile {
    fn name(&self) -> String {
        format!("p{} of {} h", self.quantile * 100.0, self.hours)
    }

    fn limit(&self, past: &Past, _: usize) -> f64 {
        let mut samples: Vec<f64> = past.samples(self.hours).collect();
        let Some(last) = samples.len().checked_sub(1) else { return 0.0 };
        let place = (self.quantile * last as f64).round() as usize;
        *samples.select_nth_unstable_by(place.min(last), f64::total_cmp).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_and_quantiles_of_the_window() {
        let mut past = Past::default();
        past.push(&[50.0, 1.0]);
        past.push(&[9.0, 2.0, 3.0, 4.0]);
        assert_eq!(Reaction::HALF_HOUR.limit(&past, 1), 4.0);
        assert_eq!(Reaction::hours(1).limit(&past, 1), 9.0);
        assert_eq!(Reaction::hours(2).limit(&past, 1), 50.0);
        assert_eq!(WindowQuantile { hours: 2, quantile: 0.5 }.limit(&past, 1), 4.0);
        assert_eq!(WindowQuantile { hours: 2, quantile: 0.5 }.limit(&Past::default(), 1), 0.0);
    }
}
