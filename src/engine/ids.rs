//! New ids: UUIDs of version 7, from a clock and a seeded source of
//! randomness, so that a simulated year gives the same ids each time.

use parking_lot::Mutex;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use uuid::{Builder, Uuid};

use crate::domain::{ChangeRequestId, IncidentId, RecommendationId, RolloutId, Timestamp};

/// Makes ids.
#[derive(Debug)]
pub struct Ids(Mutex<ChaCha8Rng>);

impl Ids {
    /// From a seed; a daemon takes a random one.
    pub fn from_seed(seed: u64) -> Self {
        Ids(Mutex::new(ChaCha8Rng::seed_from_u64(seed)))
    }

    /// The id of a recommendation that is made now.
    pub fn recommendation(&self, now: Timestamp) -> RecommendationId {
        RecommendationId(self.notice(now))
    }

    /// The id of a request that is made now.
    pub fn request(&self, now: Timestamp) -> ChangeRequestId {
        ChangeRequestId(self.notice(now))
    }

    /// The id of a rollout that is planned now.
    pub fn rollout(&self, now: Timestamp) -> RolloutId {
        RolloutId(self.notice(now))
    }

    /// The id of an incident that is written down now.
    pub fn incident(&self, now: Timestamp) -> IncidentId {
        IncidentId(self.notice(now))
    }

    /// The id of a notice, a silence or a marker that is written now.
    pub fn notice(&self, now: Timestamp) -> Uuid {
        let random: [u8; 10] = self.0.lock().random();
        let millis = u64::try_from(now.millis()).unwrap_or(0);
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_follow_the_seed() {
        let (one, two) = (Ids::from_seed(7), Ids::from_seed(7));
        let early = one.recommendation(Timestamp::from_seconds(1));
        let late = one.recommendation(Timestamp::from_seconds(2));
        assert!(early.to_string() < late.to_string());
        assert_eq!(early, two.recommendation(Timestamp::from_seconds(1)));
    }
}
