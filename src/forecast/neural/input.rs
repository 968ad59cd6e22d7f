//! What the network sees of a series: its last two weeks on its own scale, and
//! the plain forecasts that it weighs.

use candle_core::{Device, Result, Tensor};

use super::scale::Scale;
use super::{AHEAD, CONTEXT, DAY, LEVELS};
use crate::series::stats::quantile_of_sorted;

/// Recent hours whose quantiles are plain forecasts.
const SPANS: [usize; 4] = [24, 72, 168, 336];
/// Days whose same hour, with its neighbours, is looked at.
const DAYS: usize = 7;
/// The hours of a week.
const WEEK: usize = 168;
/// Plain point forecasts: the last value, the mean of the last three, the day
/// before, the week before, the mean of the hour, the same at today's level.
const POINTS: usize = 6;
/// Single figures about a series.
const FIGURES: usize = 11;

/// All plain forecasts.
pub(super) const CANDIDATES: usize = SPANS.len() + 1 + POINTS;
/// Of them those that are recent quantiles.
pub(super) const SPAN_COUNT: usize = SPANS.len();
/// Of them those that are points.
pub(super) const POINT_COUNT: usize = POINTS;
/// The figures that the layers see: hours, how much is known of each day, the
/// recent quantiles, the rest.
pub(super) const FEATURES: usize = CONTEXT + CONTEXT / DAY + SPANS.len() * LEVELS.len() + FIGURES;

/// The inputs of some series, one after another.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    features: Vec<f32>,
    spans: Vec<f32>,
    hours: Vec<f32>,
    points: Vec<f32>,
    count: usize,
    /// Room to sort in.
    scratch: Vec<f64>,
}

/// The same as tensors.
#[derive(Debug)]
pub(super) struct Batch {
    /// Shape `[n, FEATURES]`.
    pub features: Tensor,
    /// Recent quantiles, shape `[n, SPAN_COUNT, 9]`.
    pub spans: Tensor,
    /// The quantiles of the hour, shape `[n, AHEAD, 9]`.
    pub hours: Tensor,
    /// Points, shape `[n, POINT_COUNT, AHEAD]`.
    pub points: Tensor,
}

impl Inputs {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Adds those of another.
    pub fn append(&mut self, mut other: Inputs) {
        self.features.append(&mut other.features);
        self.spans.append(&mut other.spans);
        self.hours.append(&mut other.hours);
        self.points.append(&mut other.points);
        self.count += other.count;
    }

    /// Adds what is seen of a series: `known` with gaps as `NaN`, `filled` the
    /// same without. `None`, and nothing is added, where nothing varies.
    pub fn push(&mut self, known: &[f64], filled: &[f64]) -> Option<Scale> {
        let from = filled.len().saturating_sub(CONTEXT);
        let scale = Scale::of(&filled[from..])?;
        self.push_on(scale, known, filled);
        Some(scale)
    }

    /// The same on a given scale.
    pub fn push_on(&mut self, scale: Scale, known: &[f64], filled: &[f64]) {
        let from = filled.len().saturating_sub(CONTEXT);
        let hours: Vec<f32> = filled[from..].iter().map(|value| scale.apply(*value)).collect();
        let missing = CONTEXT - hours.len();
        self.features.extend(std::iter::repeat_n(0.0, missing));
        self.features.extend(&hours);
        self.push_known(&known[from..], missing);
        let spans = self.spans.len();
        for span in SPANS {
            push_quantiles(&mut self.spans, last(&hours, span).iter().copied(), &mut self.scratch);
        }
        self.features.extend_from_slice(&self.spans[spans..]);
        self.push_hours(&hours);
        self.push_points(&hours);
        self.push_figures(scale, &hours);
        self.count += 1;
    }

    /// The share of each day that is known.
    fn push_known(&mut self, known: &[f64], missing: usize) {
        let mut days = [0.0_f32; CONTEXT / DAY];
        for (place, value) in known.iter().enumerate() {
            days[(missing + place) / DAY] += if value.is_finite() { 1.0 / DAY as f32 } else { 0.0 };
        }
        self.features.extend(days);
    }

    /// The quantiles of each hour of the day with its neighbours.
    fn push_hours(&mut self, hours: &[f32]) {
        let first = self.hours.len();
        for hour in 0..DAY {
            let days = (1..=DAYS).filter_map(|day| (hours.len() + hour).checked_sub(day * DAY));
            let near = days.flat_map(|place| place.saturating_sub(1)..=place + 1);
            let seen = near.filter_map(|place| hours.get(place).copied());
            if hours.len() < DAY - 1 {
                push_quantiles(&mut self.hours, hours.iter().copied(), &mut self.scratch);
            } else {
                push_quantiles(&mut self.hours, seen, &mut self.scratch);
            }
        }
        self.hours.extend_from_within(first..);
    }

    fn push_points(&mut self, hours: &[f32]) {
        let end = hours.len();
        let level = mean(last(hours, DAY)) - mean(last(hours, WEEK));
        let (now, lately) = (mean(last(hours, 1)), mean(last(hours, 3)));
        let day = |step: usize| end.checked_sub(DAY).map_or(now, |from| hours[from + step % DAY]);
        let week = |step: usize| end.checked_sub(WEEK).map_or_else(|| day(step), |from| hours[from + step]);
        let hour = |step: usize| {
            let days = (1..=DAYS).filter_map(|back| (end + step % DAY).checked_sub(back * DAY));
            let seen: Vec<f32> = days.filter_map(|place| hours.get(place).copied()).collect();
            if seen.is_empty() { now } else { mean(&seen) }
        };
        let same_hour: Vec<f32> = (0..DAY).map(hour).collect();
        let same_hour = |step: usize| same_hour[step % DAY];
        self.points.extend(std::iter::repeat_n(now, AHEAD));
        self.points.extend(std::iter::repeat_n(lately, AHEAD));
        self.points.extend((0..AHEAD).map(day));
        self.points.extend((0..AHEAD).map(week));
        self.points.extend((0..AHEAD).map(same_hour));
        self.points.extend((0..AHEAD).map(|step| same_hour(step) + level));
    }

    /// What a layer would learn slowly: how rough the series is from hour to
    /// hour, from day to day and from week to week, how alike its days are,
    /// where its level and its zero lie.
    fn push_figures(&mut self, scale: Scale, hours: &[f32]) {
        let (day, week) = (mean(last(hours, DAY)), mean(last(hours, WEEK)));
        self.features.extend([
            change(hours, 1),
            change(hours, DAY),
            change(hours, WEEK),
            likeness(hours, 1),
            likeness(hours, DAY),
            likeness(hours, WEEK),
            day - week,
            mean(last(hours, 3)) - day,
            hours.len() as f32 / CONTEXT as f32,
            scale.apply(0.0).max(-8.0),
            scale.relative_spread().max(-8.0),
        ]);
    }

    /// As tensors on `device`.
    pub fn batch(&self, device: &Device) -> Result<Batch> {
        let (n, levels) = (self.count, LEVELS.len());
        Ok(Batch {
            features: Tensor::from_slice(&self.features, (n, FEATURES), device)?,
            spans: Tensor::from_slice(&self.spans, (n, SPAN_COUNT, levels), device)?,
            hours: Tensor::from_slice(&self.hours, (n, AHEAD, levels), device)?,
            points: Tensor::from_slice(&self.points, (n, POINT_COUNT, AHEAD), device)?,
        })
    }
}

/// The last `count` hours, or all.
fn last(hours: &[f32], count: usize) -> &[f32] {
    &hours[hours.len().saturating_sub(count)..]
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len().max(1) as f32
}

/// The pairs of hours that lie `lag` apart.
fn pairs(hours: &[f32], lag: usize) -> impl Iterator<Item = (f32, f32)> {
    hours.iter().copied().zip(hours.iter().copied().skip(lag))
}

/// The mean change over `lag` hours.
fn change(hours: &[f32], lag: usize) -> f32 {
    let count = hours.len().saturating_sub(lag).max(1);
    pairs(hours, lag).map(|(before, after)| (after - before).abs()).sum::<f32>() / count as f32
}

/// The autocorrelation at `lag`; 0 where the history is too short.
fn likeness(hours: &[f32], lag: usize) -> f32 {
    if hours.len() < lag + DAY / 2 {
        return 0.0;
    }
    let centre = mean(hours);
    let covered = pairs(hours, lag).map(|(before, after)| (before - centre) * (after - centre)).sum::<f32>();
    let power = hours.iter().map(|value| (value - centre).powi(2)).sum::<f32>();
    if power > 0.0 { covered / power * hours.len() as f32 / (hours.len() - lag) as f32 } else { 0.0 }
}

/// Appends the nine tenths of `values`, sorted in `scratch`; zeros without any.
fn push_quantiles(found: &mut Vec<f32>, values: impl Iterator<Item = f32>, scratch: &mut Vec<f64>) {
    scratch.clear();
    scratch.extend(values.map(f64::from));
    scratch.sort_unstable_by(f64::total_cmp);
    found.extend(LEVELS.iter().map(|level| quantile_of_sorted(scratch, *level).unwrap_or(0.0) as f32));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_length_gives_whole_and_finite_inputs() {
        let values: Vec<f64> =
            (0..400).map(|hour| f64::from(hour % 24) + 1e9 * f64::from(hour / 390)).collect();
        let mut inputs = Inputs::default();
        for length in [2, 12, 23, 25, 48, 100, 168, 200, 336, 400] {
            assert!(inputs.push(&values[..length], &values[..length]).is_some(), "{length}");
        }
        assert!(inputs.push(&[3.0; 60], &[3.0; 60]).is_none());
        assert_eq!((inputs.len(), inputs.features.len()), (10, 10 * FEATURES));
        let all = [&inputs.features, &inputs.spans, &inputs.hours, &inputs.points];
        assert!(all.iter().all(|part| part.iter().all(|value| value.is_finite())));
        let batch = inputs.batch(&Device::Cpu).unwrap();
        assert_eq!(batch.points.dims(), [10, POINT_COUNT, AHEAD]);
    }

    #[test]
    fn the_day_before_and_the_week_before_are_where_they_belong() {
        let values: Vec<f64> = (0..336).map(f64::from).collect();
        let mut inputs = Inputs::default();
        let scale = inputs.push(&values, &values).unwrap();
        let point = |which: usize, step: usize| scale.invert(f64::from(inputs.points[which * AHEAD + step]));
        assert!((point(0, 5) - 335.0).abs() < 0.1);
        assert!((point(2, 0) - 312.0).abs() < 0.1 && (point(2, 25) - 313.0).abs() < 0.1);
        assert!((point(3, 0) - 168.0).abs() < 0.1 && (point(3, 47) - 215.0).abs() < 0.1);
    }
}
