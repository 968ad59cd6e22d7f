//! Where and how far the recent past of a series is forecast, to compare the
//! members and to see what they miss by.

use crate::forecast::history::History;

/// Origins at which members are compared, one a season.
const COMPARED_ORIGINS: usize = 8;
/// Seasons that are forecast in a trial.
const SEASONS_TRIED: usize = 2;
/// Origins at which the point forecasts are tried, at most.
const MOST_ORIGINS: usize = 36;

/// Origins at which they are tried, at least, where there are steps for it.
const LEAST_ORIGINS: usize = 6;

/// The trial of a series.
pub(in crate::forecast) struct Trial {
    /// The first origin: models are fitted to nothing from here on.
    pub start: usize,
    /// The origins of point forecasts, rising: how many steps are known.
    pub origins: Vec<usize>,
    /// Which of `origins` are compared, as indices into it.
    pub compared: Vec<usize>,
    /// The steps that are forecast; fewer are known after the last origins.
    pub horizon: usize,
}

impl Trial {
    /// The trial for forecasts of `horizon` steps.
    pub fn of(history: &History, horizon: usize) -> Self {
        let known = history.len();
        let season = if history.season > 1 { history.season } else { (known / 12).clamp(1, 24) };
        let horizon = horizon.min(SEASONS_TRIED * season).max(1);
        // Young series keep more to fit, so that the rest still shows a season.
        let part = if known < 3 * season { 4 } else { 3 };
        let length = ((COMPARED_ORIGINS + 1) * season).min(known / part).max(1);
        let start = known - length;
        let stride = (season / 4).min(length / LEAST_ORIGINS).max(length.div_ceil(MOST_ORIGINS)).max(1);
        // Counted from the end, so that the last origins see a whole horizon.
        let origins: Vec<usize> = (1..)
            .map(|back| back * stride)
            .take_while(|back| *back <= length)
            .map(|back| known - back)
            .collect();
        let mut origins: Vec<usize> = origins.into_iter().rev().collect();
        if origins.is_empty() {
            origins.push(start);
        }
        let shortest = season.min(length);
        let compared: Vec<usize> = (0..origins.len())
            .filter(|index| {
                let back = known - origins[*index];
                back >= shortest
                    && (back - shortest).is_multiple_of(season.div_ceil(stride).saturating_mul(stride))
            })
            .collect();
        let compared = if compared.is_empty() { vec![0] } else { compared };
        Trial { start, origins, compared, horizon }
    }

    /// The origins that are compared, rising.
    pub fn compared_origins(&self) -> impl Iterator<Item = usize> + '_ {
        self.compared.iter().map(|index| self.origins[*index])
    }
}
