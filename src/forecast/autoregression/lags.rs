//! Which earlier steps an autoregression looks at.

use super::LEAST_ROWS;

/// The nearest steps of the dense set: a day of hours and two more.
const NEAR: usize = 26;
/// How many short seasons back the sets reach.
const SEASONS_BACK: usize = 6;

/// How many lags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::forecast) enum Density {
    /// Every near step and the neighbours of each earlier season: 47 lags on
    /// hours with a day and a week.
    Dense,
    /// Three near steps and the seasons: 17 lags.
    Sparse,
    /// The dense set and the seasons back to two of the long one.
    Wide,
}

/// The lags, rising, for a series of `known` steps. A lag is left out where the
/// history is not twice as long.
pub(super) fn lags(density: Density, season: usize, long_season: Option<usize>, known: usize) -> Vec<usize> {
    let mut lags: Vec<usize> = match density {
        Density::Dense | Density::Wide => (1..=NEAR.min(season.max(10) + 2)).collect(),
        Density::Sparse => (1..=3).collect(),
    };
    if season > 1 {
        let with_neighbours = if density == Density::Sparse { 2 } else { SEASONS_BACK };
        for back in 1..=SEASONS_BACK {
            let around = usize::from(back <= with_neighbours);
            lags.extend(back * season - around..=back * season + around);
        }
    }
    if let Some(long) = long_season {
        lags.extend(long - 1..=long + usize::from(density != Density::Sparse) + 1);
        if density == Density::Wide {
            lags.extend((long..2 * long).step_by(season).chain(2 * long - 1..=2 * long + 1));
        }
    }
    lags.sort_unstable();
    lags.dedup();
    let longest = if density == Density::Wide { known.saturating_sub(2 * season) } else { known / 2 };
    // The rows of many young series together bear the season.
    let young = if season > 1 && known >= season + LEAST_ROWS { season } else { 0 };
    lags.retain(|lag| *lag > 0 && *lag <= longest.max(young));
    lags
}
