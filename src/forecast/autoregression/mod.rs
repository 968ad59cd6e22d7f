//! Recursive autoregressions: each step from the steps and seasons before it.
//!
//! The variants differ in the scale, in the lags and in what is modelled, the
//! values or their change from a season to the next. Each is a ridge regression
//! towards the coefficients that all series share, and forecasts with these
//! alone, too. Regressions on lags led the
//! published results on hourly data (Doornik, Castle and Hendry 2020, Card
//! forecasts for M4; Montero-Manso and Hyndman 2021, Principles and algorithms
//! for forecasting groups of time series), and so does their mean.

mod equations;
mod lags;
mod priors;
mod ridge;

use ndarray::{Array1, Array2};

use self::equations::Equations;
use self::lags::{Density, lags};
pub(super) use self::priors::Priors;
use self::ridge::Linear;
use super::history::History;
use super::link::Link;
use crate::series::stats;

/// Rows that a regression needs.
const LEAST_ROWS: usize = 12;
/// Rows for each lag without which a series gets no coefficients of its own:
/// on two days of hours they explode.
const ROWS_A_LAG: usize = 2;
/// How far outside the middle nine tenths a value may lie before it is cut, in
/// widths of these: an incident should not steer the regression.
const OUTLIER_WIDTHS: f64 = 2.0;
/// How far outside all that was seen a forecast may lie, in the same widths.
const FORECAST_WIDTHS: f64 = 0.5;
/// The scale of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Scale {
    Log,
    Root,
}

/// What is regressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Change {
    /// The values.
    None,
    /// The change since the short season before.
    Season,
    /// The change since the long season before.
    LongSeason,
}

/// One way to regress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Variant {
    scale: Scale,
    change: Change,
    density: Density,
    /// Whether a series has coefficients of its own.
    own: bool,
}

/// All variants.
pub(super) const VARIANTS: [Variant; 6] = [
    Variant { scale: Scale::Log, change: Change::None, density: Density::Dense, own: true },
    Variant { scale: Scale::Log, change: Change::None, density: Density::Sparse, own: true },
    Variant { scale: Scale::Root, change: Change::None, density: Density::Dense, own: true },
    Variant { scale: Scale::Log, change: Change::Season, density: Density::Dense, own: true },
    Variant { scale: Scale::Log, change: Change::LongSeason, density: Density::Sparse, own: true },
    Variant { scale: Scale::Log, change: Change::None, density: Density::Wide, own: false },
];

/// A series as a variant sees it, known up to `end` when it was scaled.
pub(super) struct View {
    link: Link,
    centre: f64,
    width: f64,
    least: f64,
    most: f64,
    /// The scaled values, whole, shape `[n]`.
    scaled: Vec<f64>,
    /// The changes, one for each step from `step` on; the scaled values where
    /// `step` is 0.
    changes: Vec<f64>,
    step: usize,
    /// The lags that are looked at.
    pub lags: Vec<usize>,
}

impl View {
    /// Scales a history by what was known before `end`. `None` where that shows
    /// no variation, is too short, or has not the season.
    pub fn of(history: &History, variant: Variant, end: usize) -> Option<Self> {
        let step = match variant.change {
            Change::None => 0,
            Change::Season => Some(history.season).filter(|season| *season > 1)?,
            Change::LongSeason => history.long_season?,
        };
        let past = &history.filled[..end];
        let link = match variant.scale {
            _ if !history.never_negative => Link::Level,
            Scale::Log => Link::log_for(past),
            Scale::Root => Link::Root,
        };
        let linked: Vec<f64> = history.filled.iter().map(|value| link.apply(*value)).collect();
        let sorted = stats::sorted_finite(&linked[..end]);
        let (low, high) =
            (stats::quantile_of_sorted(&sorted, 0.05)?, stats::quantile_of_sorted(&sorted, 0.95)?);
        let centre = stats::quantile_of_sorted(&sorted, 0.5)?;
        let width = high - low;
        if !width.is_finite() || width <= 1e-9 * centre.abs().max(1e-9) {
            return None;
        }
        let (least, most) = ((low - centre) / width, (high - centre) / width);
        let scale =
            |value: &f64| ((value - centre) / width).clamp(least - OUTLIER_WIDTHS, most + OUTLIER_WIDTHS);
        let scaled: Vec<f64> = linked.iter().map(scale).collect();
        let changes: Vec<f64> = (step..scaled.len())
            .map(|now| if step == 0 { scaled[now] } else { scaled[now] - scaled[now - step] })
            .collect();
        let known = end.checked_sub(step)?;
        let lags = lags(variant.density, history.season, history.long_season, known);
        if known < lags.last()? + LEAST_ROWS {
            return None;
        }
        let extreme = |value: Option<&f64>| value.map(|value| (value - centre) / width);
        let (least, most) =
            (extreme(sorted.first())? - FORECAST_WIDTHS, extreme(sorted.last())? + FORECAST_WIDTHS);
        Some(View { link, centre, width, least, most, scaled, changes, step, lags })
    }

    fn equations(&self, end: usize) -> Option<Equations> {
        Equations::of(&self.changes[..end - self.step], &self.lags)
    }

    /// The forecasts after each of `ends`, in levels, shape `[horizon, ends]`.
    fn paths(&self, model: &Linear, ends: &[usize], horizon: usize) -> Array2<f64> {
        let (reach, width) = (self.lags.last().copied().unwrap_or(0), ends.len());
        // Step by step for all ends at once, so that the sums vectorise.
        let mut rows = vec![0.0; (reach + horizon) * width];
        for (column, end) in ends.iter().enumerate() {
            let past = &self.changes[end - self.step - reach..end - self.step];
            rows.iter_mut().skip(column).step_by(width).zip(past).for_each(|(cell, value)| *cell = *value);
        }
        for ahead in reach..reach + horizon {
            let (known, coming) = rows.split_at_mut(ahead * width);
            let sums = &mut coming[..width];
            sums.fill(model.intercept);
            for (lag, coefficient) in self.lags.iter().zip(&model.coefficients) {
                let row = &known[(ahead - lag) * width..(ahead - lag + 1) * width];
                sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += coefficient * value);
            }
            // An explosive recursion is stopped before it overflows.
            sums.iter_mut().for_each(|sum| *sum = sum.clamp(-LARGEST_STEP, LARGEST_STEP));
        }
        let mut paths =
            Array2::from_shape_fn((horizon, width), |(step, column)| rows[(reach + step) * width + column]);
        self.add_up(&mut paths, ends);
        paths.mapv_inplace(|value| {
            self.link.invert(self.centre + self.width * value.clamp(self.least, self.most))
        });
        paths
    }

    /// Adds changes to the values a season before.
    fn add_up(&self, paths: &mut Array2<f64>, ends: &[usize]) {
        if self.step == 0 {
            return;
        }
        for ((ahead, column), _) in paths.clone().indexed_iter() {
            let before = match ahead.checked_sub(self.step) {
                Some(earlier) => paths[[earlier, column]],
                None => self.scaled[ends[column] + ahead - self.step],
            };
            paths[[ahead, column]] += before;
        }
    }
}

/// No step may be further than this from the median, in widths.
const LARGEST_STEP: f64 = 20.0;

/// Forecasts from a past part, to learn from, and from the whole.
pub(super) struct Outlook {
    /// After each origin, shape `[horizon, origins]`, by a model that saw
    /// nothing after the first origin.
    pub tried: Array2<f64>,
    /// After the end, shape `[horizon]`.
    pub ahead: Array1<f64>,
}

/// Fits `variant` twice, before the first of `origins` and to the end, and
/// forecasts with the coefficients of the series and with the shared ones.
/// Gives none where the variant does not suit the history.
pub(super) fn outlooks(
    history: &History,
    variant: Variant,
    priors: &Priors,
    origins: &[usize],
    tried_horizon: usize,
    horizon: usize,
) -> Vec<Outlook> {
    let views = origins.first().and_then(|first| {
        let view = View::of(history, variant, *first)?;
        let (past, whole) = (view.equations(*first)?, view.equations(history.len())?);
        Some((view, past, whole))
    });
    let Some((view, past, whole)) = views else { return Vec::new() };
    let outlook = |tried: Linear, ahead: Linear| Outlook {
        tried: view.paths(&tried, origins, tried_horizon),
        ahead: view.paths(&ahead, &[history.len()], horizon).column(0).to_owned(),
    };
    let prior = priors.of(variant, &view.lags);
    let shared = prior.map(|prior| outlook(ridge::pooled(&past, prior), ridge::pooled(&whole, prior)));
    let enough = past.rows >= ROWS_A_LAG * view.lags.len();
    let own = (variant.own && enough).then(|| ridge::choose(&past, prior)).flatten().and_then(|tried| {
        let ahead = ridge::solve(&whole, prior, tried.penalty)?;
        Some(outlook(tried, ahead))
    });
    own.into_iter().chain(shared).collect()
}
