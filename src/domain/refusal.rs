//! A no that is remembered: what a person turned down, or what was rolled back,
//! is not proposed again for a while.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Actor, Timestamp};

/// Quotas nearer than this to the refused one, as a share, are the same.
const SAME_WITHIN: f64 = 0.1;

/// A quota that was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// The quota that stood.
    pub current: f64,
    /// The quota that was refused.
    pub refused: f64,
    /// Who refused it.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

impl Refusal {
    /// Whether a proposal is the one that was refused: within a tenth of it, or
    /// a cut that goes deeper still. A higher raise is something new, since
    /// usage must have grown for it.
    pub fn covers(&self, current: f64, proposed: f64) -> bool {
        let was_cut = self.refused < self.current;
        let same_way = was_cut == (proposed < current);
        let deeper = was_cut && proposed < self.refused;
        let near = (proposed / self.refused - 1.0).abs() <= SAME_WITHIN;
        same_way && (near || deeper)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(current: f64, refused: f64) -> Refusal {
        Refusal { current, refused, by: Actor::Daemon, at: Timestamp::from_seconds(0), reason: String::new() }
    }

    #[test]
    fn the_same_again_is_covered_and_what_is_new_is_not() {
        let cut = refusal(8.0, 4.0);
        let covered =
            [(8.0, 4.2, true), (8.0, 3.7, true), (8.0, 2.0, true), (8.0, 6.0, false), (3.0, 4.0, false)];
        for (current, proposed, expected) in covered {
            assert_eq!(cut.covers(current, proposed), expected, "{current} to {proposed}");
        }
        let raise = refusal(8.0, 12.0);
        assert!(raise.covers(8.0, 11.0) && !raise.covers(8.0, 16.0) && !raise.covers(8.0, 9.0));
    }
}
