//! The waits between attempts.

use std::time::Duration;

/// The waits between attempts: fixed steps, each lengthened a little by
/// chance, so that many deliveries that failed together do not come back
/// together.
#[derive(Debug, Clone, PartialEq)]
pub struct Backoff {
    /// The wait before each further attempt. After the last one it is given up.
    pub waits: Vec<Duration>,
    /// How much of a wait chance may add, as a share of it.
    pub jitter: f64,
    /// The longest wait that a receiver may ask for.
    pub longest_asked: Duration,
}

impl Backoff {
    /// The wait after `attempts` attempts; `None` where it is given up.
    /// `chance` lies between 0 and 1. What the receiver asked for is heeded
    /// where it is longer.
    pub fn wait(&self, attempts: u32, asked: Option<Duration>, chance: f64) -> Option<Duration> {
        let index = usize::try_from(attempts).ok()?.checked_sub(1)?;
        let usual = self.waits.get(index)?.mul_f64(1.0 + self.jitter * chance);
        let asked = asked.unwrap_or_default().min(self.longest_asked);
        Some(usual.max(asked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_end_and_heed_the_receiver() {
        let seconds = Duration::from_secs;
        let backoff =
            Backoff { waits: vec![seconds(5), seconds(300)], jitter: 0.2, longest_asked: seconds(3600) };
        assert_eq!(backoff.wait(1, None, 0.0), Some(seconds(5)));
        assert_eq!(backoff.wait(1, None, 1.0), Some(seconds(6)));
        assert_eq!(backoff.wait(2, None, 0.5), Some(seconds(330)));
        assert_eq!(backoff.wait(3, None, 0.5), None);
        assert_eq!(backoff.wait(1, Some(seconds(60)), 0.0), Some(seconds(60)));
        assert_eq!(backoff.wait(1, Some(seconds(1)), 0.0), Some(seconds(5)));
        assert_eq!(backoff.wait(1, Some(seconds(1_000_000)), 0.0), Some(seconds(3600)));
    }
}
