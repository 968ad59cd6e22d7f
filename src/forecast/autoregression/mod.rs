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
mod kept;
mod lags;
mod priors;
mod ridge;
mod tridiagonal;

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use self::equations::{Equations, Means, Sums};
pub(super) use self::kept::KeptRegressions;
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
pub(super) const VARIANTS: [Variant; 5] = [
    Variant { scale: Scale::Root, change: Change::None, density: Density::Dense, own: true },
    Variant { scale: Scale::Root, change: Change::Season, density: Density::Dense, own: true },
    Variant { scale: Scale::Log, change: Change::Season, density: Density::Sparse, own: true },
    Variant { scale: Scale::Log, change: Change::LongSeason, density: Density::Sparse, own: true },
    Variant { scale: Scale::Log, change: Change::None, density: Density::Wide, own: false },
];

/// How a variant looks at a series: on which scale, at what, and how far back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Lens {
    link: Link,
    centre: f64,
    width: f64,
    /// Between these a scaled value is looked at.
    seen: (f64, f64),
    /// Between these a scaled forecast may lie at least; further out where more
    /// was seen since.
    plausible: (f64, f64),
    /// How many steps back the changes reach that are regressed; 0 where the
    /// values themselves are.
    step: usize,
    /// The lags that are looked at.
    lags: Vec<usize>,
}

impl Lens {
    /// Scales a history by what was known before `end`. `None` where that shows
    /// no variation, is too short, or has not the season.
    fn of(history: &History, variant: Variant, end: usize) -> Option<Self> {
        let step = match variant.change {
            Change::None => 0,
            Change::Season => Some(history.season).filter(|season| *season > 1)?,
            Change::LongSeason => history.long_season?,
        };
        let sorted = history.sorted_before(end);
        let link = match variant.scale {
            _ if !history.never_negative => Link::Level,
            Scale::Log => Link::log_for(&sorted),
            Scale::Root => Link::Root,
        };
        let at = |level: f64| Some(link.apply(stats::quantile_of_sorted(&sorted, level)?));
        let (low, centre, high) = (at(0.05)?, at(0.5)?, at(0.95)?);
        let width = high - low;
        if !width.is_finite() || width <= 1e-9 * centre.abs().max(1e-9) {
            return None;
        }
        let scaled = |value: f64| (value - centre) / width;
        let known = end.checked_sub(step)?;
        let lags = lags(variant.density, history.season, history.long_season, known);
        if known < lags.last()? + LEAST_ROWS {
            return None;
        }
        Some(Lens {
            link,
            centre,
            width,
            seen: (scaled(low) - OUTLIER_WIDTHS, scaled(high) + OUTLIER_WIDTHS),
            plausible: (
                scaled(link.apply(*sorted.first()?)) - FORECAST_WIDTHS,
                scaled(link.apply(*sorted.last()?)) + FORECAST_WIDTHS,
            ),
            step,
            lags,
        })
    }

    /// Steps that a forecast looks back at.
    fn reach(&self) -> usize {
        self.longest_lag() + self.step
    }

    fn longest_lag(&self) -> usize {
        self.lags.last().copied().unwrap_or(0)
    }
}

/// A series seen through a lens.
pub(super) struct View {
    lens: Lens,
    /// The scaled values, whole, shape `[n]`.
    scaled: Vec<f64>,
    /// The changes, one for each step from the lens' `step` on; the scaled
    /// values where that is 0.
    changes: Vec<f64>,
}

impl View {
    fn of(history: &History, variant: Variant, end: usize) -> Option<Self> {
        Some(View::through(Lens::of(history, variant, end)?, &history.filled))
    }

    fn through(lens: Lens, values: &[f64]) -> Self {
        let scale = |value: &f64| {
            ((lens.link.apply(*value) - lens.centre) / lens.width).clamp(lens.seen.0, lens.seen.1)
        };
        let scaled: Vec<f64> = values.iter().map(scale).collect();
        let step = lens.step;
        let changes: Vec<f64> = (step..scaled.len())
            .map(|now| if step == 0 { scaled[now] } else { scaled[now] - scaled[now - step] })
            .collect();
        View { lens, scaled, changes }
    }

    /// The equations of what lies before `end`.
    fn equations(&self, end: usize) -> Option<Equations> {
        let past = &self.changes[..end - self.lens.step];
        Sums::of(past, self.lens.longest_lag()).equations(past, &self.lens.lags)
    }

    /// The equations of what lies before `end`, and those of all.
    fn both_equations(&self, end: usize) -> Option<(Equations, Equations)> {
        let past = Sums::of(&self.changes[..end - self.lens.step], self.lens.longest_lag());
        let whole = past.grown(&self.changes);
        let equations = |sums: Sums| sums.equations(&self.changes, &self.lens.lags);
        Some((equations(past)?, equations(whole)?))
    }

    /// The means of what lies before `end`, and those of all.
    fn both_means(&self, end: usize) -> Option<(Means, Means)> {
        let past = Means::of(&self.changes[..end - self.lens.step], &self.lens.lags)?;
        Some((past, Means::of(&self.changes, &self.lens.lags)?))
    }

    /// The forecasts after each of `ends`, in levels, shape `[horizon, ends]`.
    fn paths(&self, model: &Linear, ends: &[usize], horizon: usize) -> Array2<f64> {
        let mut paths = Array2::zeros((horizon, ends.len()));
        if ends.len() == 1 {
            self.go_on::<1, 4>(model, ends, &mut paths);
        } else {
            self.go_on::<AT_ONCE, 1>(model, ends, &mut paths);
        }
        self.add_up(&mut paths, ends);
        let lens = &self.lens;
        for ((least, most), mut path) in self.plausible(ends).into_iter().zip(paths.columns_mut()) {
            path.mapv_inplace(|value| lens.link.invert(lens.centre + lens.width * value.clamp(least, most)));
        }
        paths
    }

    /// Between which scaled values the forecasts after each of `ends` lie, which
    /// rise: not far outside of all that was seen by then. What grows all the
    /// time soon leaves what was seen before the first of them.
    fn plausible(&self, ends: &[usize]) -> Vec<(f64, f64)> {
        let (mut range, mut from) = (self.lens.plausible, 0);
        let up_to = |end: &usize| {
            let since = &self.scaled[from.min(*end)..*end];
            // Compared, since `f64::min` also looks for what is no number and takes twice as long.
            let further = |(least, most): (f64, f64), value: &f64| {
                (if *value < least { *value } else { least }, if *value > most { *value } else { most })
            };
            let (least, most) = since.iter().fold((f64::INFINITY, f64::NEG_INFINITY), further);
            range = (range.0.min(least - FORECAST_WIDTHS), range.1.max(most + FORECAST_WIDTHS));
            from = *end;
            range
        };
        ends.iter().map(up_to).collect()
    }

    /// The scaled forecasts after `ends`. Step by step for `WIDTH` of them at once:
    /// their sums stay in registers, and what they look back at in the nearest
    /// cache. Each sum is made of `LANES` sums, which needn't wait for each other.
    fn go_on<const WIDTH: usize, const LANES: usize>(
        &self,
        model: &Linear,
        ends: &[usize],
        paths: &mut Array2<f64>,
    ) {
        let reach = self.lens.longest_lag();
        let mut rows = vec![[0.0; WIDTH]; reach + paths.nrows()];
        let terms: Vec<(usize, f64)> =
            self.lens.lags.iter().copied().zip(model.coefficients.iter().copied()).collect();
        let (terms, last_terms) = terms.as_chunks::<LANES>();
        for (group, ends) in ends.chunks(WIDTH).enumerate() {
            for (column, end) in ends.iter().enumerate() {
                let past = &self.changes[end - self.lens.step - reach..end - self.lens.step];
                rows.iter_mut().zip(past).for_each(|(row, value)| row[column] = *value);
            }
            for ahead in reach..rows.len() {
                let mut lanes = [[0.0; WIDTH]; LANES];
                let mut add = |lane: usize, (lag, coefficient): (usize, f64)| {
                    let row = &rows[ahead - lag];
                    // By place, since the compiler then unrolls it.
                    for place in 0..WIDTH {
                        lanes[lane][place] += coefficient * row[place];
                    }
                };
                for terms in terms {
                    (0..LANES).for_each(|lane| add(lane, terms[lane]));
                }
                last_terms.iter().enumerate().for_each(|(lane, term)| add(lane, *term));
                let mut sums = [model.intercept; WIDTH];
                for lane in lanes {
                    sums.iter_mut().zip(lane).for_each(|(sum, part)| *sum += part);
                }
                // An explosive recursion is stopped before it overflows.
                sums.iter_mut().for_each(|sum| *sum = sum.clamp(-LARGEST_STEP, LARGEST_STEP));
                rows[ahead] = sums;
            }
            for (row, mut path) in rows[reach..].iter().zip(paths.rows_mut()) {
                let cells = path.iter_mut().skip(group * WIDTH).zip(&row[..ends.len()]);
                cells.for_each(|(cell, value)| *cell = *value);
            }
        }
    }

    /// Adds changes to the values a season before.
    fn add_up(&self, paths: &mut Array2<f64>, ends: &[usize]) {
        if self.lens.step == 0 {
            return;
        }
        for (ahead, column) in ndarray::indices(paths.dim()) {
            let before = match ahead.checked_sub(self.lens.step) {
                Some(earlier) => paths[[earlier, column]],
                None => self.scaled[ends[column] + ahead - self.lens.step],
            };
            paths[[ahead, column]] += before;
        }
    }
}

/// Ends from which a series is forecast at once.
const AT_ONCE: usize = 12;
/// No step may be further than this from the median, in widths.
const LARGEST_STEP: f64 = 20.0;

/// Forecasts from a past part, to learn from, and from the whole.
pub(super) struct Outlook {
    /// After each origin, shape `[horizon, origins]`, by a model that saw
    /// nothing after the first origin.
    pub tried: Array2<f64>,
    /// After the end, shape `[horizon]`.
    pub ahead: Array1<f64>,
    /// What `ahead` was made by.
    made_by: (Lens, Linear),
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
    let Some(first) = origins.first().copied() else { return Vec::new() };
    let Some(view) = View::of(history, variant, first) else { return Vec::new() };
    let prior = priors.of(variant, &view.lens.lags);
    let outlook = |tried: Linear, ahead: Linear| Outlook {
        tried: view.paths(&tried, origins, tried_horizon),
        ahead: view.paths(&ahead, &[history.len()], horizon).column(0).to_owned(),
        made_by: (view.lens.clone(), ahead),
    };
    let shared = |past: &Means, whole: &Means| {
        prior.map(|prior| outlook(ridge::pooled(past, prior), ridge::pooled(whole, prior)))
    };
    if !variant.own {
        return view.both_means(first).and_then(|(past, whole)| shared(&past, &whole)).into_iter().collect();
    }
    let Some((past, whole)) = view.both_equations(first) else { return Vec::new() };
    let enough = past.rows >= ROWS_A_LAG * view.lens.lags.len();
    let own = enough.then(|| ridge::choose(&past, prior)).flatten().and_then(|tried| {
        let ahead = ridge::solve(&whole, prior, tried.penalty)?;
        Some(outlook(tried, ahead))
    });
    own.into_iter().chain(shared(&past.means, &whole.means)).collect()
}
