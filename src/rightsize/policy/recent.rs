//! Reaction and windows: the recent past comes again.

use std::sync::Arc;

use parking_lot::Mutex;

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

/// The quantiles of every window that stand for trial, rising.
const QUANTILES: [f64; 3] = [0.9, 0.95, 0.99];

/// One of several quantiles of a window, which are selected together: most of
/// the time that a choice takes goes into selecting.
#[derive(Debug)]
pub struct SharedQuantile {
    hours: usize,
    member: usize,
    values: Arc<Mutex<[f64; QUANTILES.len()]>>,
}

impl SharedQuantile {
    /// All quantiles of a window. They must be observed and asked in this
    /// order: the first selects for all.
    pub fn of_window(hours: usize) -> [SharedQuantile; QUANTILES.len()] {
        let values = Arc::new(Mutex::new([0.0; QUANTILES.len()]));
        std::array::from_fn(|member| SharedQuantile { hours, member, values: Arc::clone(&values) })
    }
}

impl Policy for SharedQuantile {
    fn name(&self) -> String {
        WindowQuantile { hours: self.hours, quantile: QUANTILES[self.member] }.name()
    }

    fn observe(&mut self, past: &Past) {
        if self.member > 0 {
            return;
        }
        let mut samples: Vec<f64> = past.samples(self.hours).collect();
        let Some(last) = samples.len().checked_sub(1) else {
            *self.values.lock() = [0.0; QUANTILES.len()];
            return;
        };
        // Each next quantile lies in what the one before leaves above it.
        let mut first = 0;
        *self.values.lock() = QUANTILES.map(|quantile| {
            let place = (quantile * last as f64).round() as usize;
            let value = *samples[first..].select_nth_unstable_by(place - first, f64::total_cmp).1;
            first = place;
            value
        });
    }

    fn limit(&self, _: &Past, _: usize) -> f64 {
        self.values.lock()[self.member]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_that_are_selected_together_are_those_selected_alone() {
        let (mut past, mut shared) = (Past::default(), SharedQuantile::of_window(5));
        for hour in 0..40_u64 {
            let sample = |i: u64| ((hour * 7 + i * 13) * 2_654_435_761 % 1000) as f64;
            let samples: Vec<f64> = (0..hour % 4 * 5).map(sample).collect();
            past.push(&samples);
            for (member, quantile) in QUANTILES.into_iter().enumerate() {
                shared[member].observe(&past);
                let alone = WindowQuantile { hours: 5, quantile };
                assert_eq!(shared[member].limit(&past, 1), alone.limit(&past, 1), "{hour} {quantile}");
                assert_eq!(shared[member].name(), alone.name());
            }
        }
    }

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
