//! Reaction and windows: the recent past comes again.

use serde::{Deserialize, Serialize};

use super::{DAY, Members, Past};

/// The largest sample of the last hours. A short look is the quickest answer
/// to a load that rises; a week's is Kubernetes folklore ("peak plus margin").
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Reaction;

/// Hours looked back; the last half hour comes before them.
const SPANS: [usize; 9] = [1, 2, 3, 6, 12, DAY, 3 * DAY, 7 * DAY, 14 * DAY];

impl Members for Reaction {
    fn names(&self) -> Vec<String> {
        let spans = SPANS.map(|hours| format!("peak of {hours} h"));
        std::iter::once("peak of 30 min".to_owned()).chain(spans).collect()
    }

    fn limits(&self, past: &Past, _: usize, limits: &mut Vec<f64>) {
        let hour = past.last_hour();
        limits.push(hour[hour.len() / 2..].iter().copied().fold(0.0, f64::max));
        limits.extend(past.peaks(SPANS));
    }
}

/// Quantiles of the samples of trailing windows: KRR's way (for CPU the 95th
/// percentile of two weeks), with the nearest sample in the place of
/// Prometheus's interpolation.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Window;

/// The windows' lengths in hours.
const WINDOWS: [usize; 4] = [DAY, 3 * DAY, 7 * DAY, 14 * DAY];
/// The quantiles of each, from the highest.
const QUANTILES: [f64; 3] = [0.99, 0.95, 0.9];

impl Members for Window {
    fn names(&self) -> Vec<String> {
        let of_window = |hours| QUANTILES.map(|quantile| format!("p{} of {hours} h", quantile * 100.0));
        WINDOWS.into_iter().flat_map(of_window).collect()
    }

    fn limits(&self, past: &Past, _: usize, limits: &mut Vec<f64>) {
        limits.extend(WINDOWS.into_iter().flat_map(|hours| past.quantiles(hours, QUANTILES)));
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
        let said = |members: &dyn Members, past: &Past| {
            let mut limits = Vec::new();
            members.limits(past, 1, &mut limits);
            assert_eq!(limits.len(), members.names().len());
            limits
        };
        assert_eq!(said(&Reaction, &past)[..3], [4.0, 9.0, 50.0]);
        assert_eq!(said(&Window, &past)[..3], [50.0, 50.0, 50.0]);
        assert!(said(&Window, &Past::default()).iter().all(|limit| *limit == 0.0));
        assert_eq!(
            (Reaction.names()[9].as_str(), Window.names()[1].as_str()),
            ("peak of 336 h", "p95 of 24 h")
        );
    }
}
