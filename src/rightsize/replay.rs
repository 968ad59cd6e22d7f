//! Walks forward through past usage as if each interval were the present: a
//! limit is set from what was before, then the interval shows what it was worth.

use super::auto::{Ask, Auto, unproven_room};
use super::hold::Hold;
use super::past::{DAY, KEPT_HOURS, Past};
use super::policy::{Family, Peers};
use super::pool::Pool;
use super::promise::Promise;

/// The samples of one series by hour since the file's first instant, gaps
/// left out.
pub type Hours = Vec<Vec<f64>>;

/// How limits are set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// For how many hours each limit holds, above 0.
    pub every: usize,
    /// Hours before the first limit.
    pub warmup: usize,
    /// The share of samples that may lie above the limit.
    pub budget: f64,
    /// The most changes of a limit a day.
    pub changes_per_day: f64,
    /// The families of policies to choose from.
    pub families: Vec<Family>,
    /// Whether the daemon's rule follows a schedule made at midnight.
    pub day_ahead: bool,
    /// How many samples a day has without gaps.
    pub samples_a_day: f64,
}

impl Settings {
    /// For how many hours the limits hold that the policies are tried with.
    pub(super) fn course_hours(&self) -> usize {
        if self.day_ahead { 24 } else { self.every }
    }

    /// How many samples the budget allows above the limit in the two weeks that
    /// are looked at, and the least that a limit is therefore, in peaks of those
    /// weeks; `None` where the allowed are enough to prove the budget by
    /// counting them.
    pub fn unproven(&self) -> Option<(f64, f64)> {
        let samples = self.samples_a_day * (KEPT_HOURS / DAY) as f64;
        Some((self.budget * samples, unproven_room(self.budget, samples, samples)?))
    }

    /// How many intervals begin in so many hours after the warm-up.
    fn intervals(&self, hours: usize) -> usize {
        hours.saturating_sub(self.warmup).div_ceil(self.every)
    }

    fn interval(&self, index: usize, hours: usize) -> std::ops::Range<usize> {
        let start = self.warmup + index * self.every;
        start..(start + self.every).min(hours)
    }
}

/// Hours after which usage counts half in the fleet's mean.
const FLEET_HALF_LIFE_HOURS: f64 = 168.0;

/// The mean usage of a series of the fleet as it was known before each hour, in
/// the unit of the samples; 0 before the first sample. Series without samples
/// yet don't count.
fn fleet_means(fleet: &[Hours]) -> Vec<f64> {
    let hours = fleet.iter().map(Vec::len).max().unwrap_or(0);
    let factor = 0.5_f64.powf(1.0 / FLEET_HALF_LIFE_HOURS);
    let mut sums = vec![(0.0, 0.0); fleet.len()];
    let mut means = Vec::with_capacity(hours);
    for hour in 0..hours {
        let known: Vec<f64> =
            sums.iter().filter(|(_, count)| *count > 0.0).map(|(sum, count)| sum / count).collect();
        means.push(known.iter().sum::<f64>() / known.len().max(1) as f64);
        for ((sum, count), series) in sums.iter_mut().zip(fleet) {
            let samples = series.get(hour).map_or(&[] as &[f64], Vec::as_slice);
            *sum = *sum * factor + samples.iter().sum::<f64>();
            *count = *count * factor + samples.len() as f64;
        }
    }
    means
}

/// What a series knows of the others of its run.
#[derive(Debug, Clone, Default)]
pub struct Fleet {
    /// Their mean usage before each hour, in the unit of the samples.
    pub means: Vec<f64>,
    /// What they taught.
    pub pool: Pool,
}

impl Fleet {
    /// Of the series of a run.
    pub fn of(fleet: &[Hours], settings: &Settings) -> Fleet {
        let pooled = settings.families.contains(&Family::Pooled);
        let part: Vec<&[Vec<f64>]> = fleet.iter().map(Vec::as_slice).collect();
        let pool = if pooled { Pool::of(&part, 0, settings.course_hours()) } else { Pool::default() };
        Fleet { means: fleet_means(fleet), pool }
    }
}

/// The limits of one series under the promise, one an interval; `None` before
/// its first sample.
pub fn limits(series: &Hours, settings: &Settings, fleet: &Fleet) -> Vec<Option<f64>> {
    let mut auto = Auto::new(&settings.families, settings.every);
    let mut promise = Promise::new(settings.budget, settings.every, settings.samples_a_day);
    let mut hold = Hold::new(settings.changes_per_day);
    let mut begun = false;
    let mut observe = |auto: &mut Auto, hour: usize| {
        begun |= !series[hour].is_empty();
        if begun {
            auto.observe(&series[hour], fleet.pool.known_at(hour as i64 + 1));
        }
    };
    let before = settings.warmup.min(series.len());
    (0..before).for_each(|hour| observe(&mut auto, hour));
    let mut all = Vec::with_capacity(settings.intervals(series.len()));
    for index in 0..settings.intervals(series.len()) {
        let interval = settings.interval(index, series.len());
        let fleet_mean = fleet.means.get(interval.start).copied().unwrap_or(0.0);
        let ask = Ask { budget: settings.budget, target: promise.target(), fleet_mean };
        let limit = match auto.limit(&ask) {
            Some(wanted) => Some(hold.next(wanted.value, settings.every)),
            // A long gap says nothing: what stands stays.
            None => (hold.current() > 0.0).then(|| hold.current()),
        };
        all.push(limit);
        for hour in interval {
            if let Some(limit) = limit {
                let above = series[hour].iter().filter(|sample| **sample > limit).count();
                promise.enter(above, series[hour].len());
            }
            observe(&mut auto, hour);
        }
    }
    all
}

/// The limits that each of the [`Peers`] would have set, in their order.
pub fn peers(series: &Hours, settings: &Settings) -> [Vec<Option<f64>>; Peers::NAMES.len()] {
    let (mut past, mut peers) = (Past::default(), Peers::default());
    let mut all = std::array::from_fn(|_| Vec::with_capacity(settings.intervals(series.len())));
    for (hour, samples) in series.iter().enumerate() {
        if hour >= settings.warmup && (hour - settings.warmup).is_multiple_of(settings.every) {
            for (limits, limit) in all.iter_mut().zip(peers.limits(&past)) {
                limits.push((hour > 0).then_some(limit));
            }
        }
        past.push(samples);
        peers.observe(&past);
    }
    all
}

/// The least limits without a violation, which only hindsight knows.
pub fn clairvoyant(series: &Hours, settings: &Settings) -> Vec<Option<f64>> {
    let peak = |range: std::ops::Range<usize>| series[range].iter().flatten().copied().fold(0.0, f64::max);
    (0..settings.intervals(series.len()))
        .map(|index| Some(peak(settings.interval(index, series.len()))))
        .collect()
}

/// What limits were worth, over a fleet.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Score {
    /// Series with samples to judge by.
    pub series: usize,
    /// The share of samples above the limit, mean over series.
    pub violations: f64,
    /// The share of series within the budget.
    pub kept: f64,
    /// The unused share of the limits, mean over series.
    pub slack: f64,
    /// The sum of all limits over the sum of all usage.
    pub ratio: f64,
    /// Changes of more than 1 % a day, mean over series.
    pub changes: f64,
}

/// Scores the limits of each series. A sample counts where its interval has a
/// limit and a day of samples came before it.
pub fn score(fleet: &[(&Hours, Vec<Option<f64>>)], settings: &Settings) -> Score {
    let mut total = Score::default();
    let (mut limits, mut usage) = (0.0, 0.0);
    for (series, of_series) in fleet {
        let sums = Sums::of(series, of_series, settings);
        if sums.samples == 0 {
            continue;
        }
        let violations = sums.violations as f64 / sums.samples as f64;
        total.series += 1;
        total.violations += violations;
        total.kept += f64::from(u8::from(violations <= settings.budget));
        total.slack += sums.slack / sums.limits;
        total.changes += sums.changes as f64 / (of_series.len() * settings.every) as f64 * 24.0;
        limits += sums.limits;
        usage += sums.usage;
    }
    let count = total.series.max(1) as f64;
    for mean in [&mut total.violations, &mut total.kept, &mut total.slack, &mut total.changes] {
        *mean /= count;
    }
    total.ratio = limits / usage;
    total
}

/// The series whose share of violations is above the budget: their places and
/// shares, the worst first.
pub fn over_budget(fleet: &[Hours], limits: &[Vec<Option<f64>>], settings: &Settings) -> Vec<(usize, f64)> {
    let share = |(place, (series, limits)): (usize, (&Hours, &Vec<Option<f64>>))| {
        let sums = Sums::of(series, limits, settings);
        (place, sums.violations as f64 / sums.samples.max(1) as f64)
    };
    let mut over: Vec<_> = fleet.iter().zip(limits).enumerate().map(share).collect();
    over.retain(|(_, violations)| *violations > settings.budget);
    over.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    over
}

#[derive(Default)]
struct Sums {
    samples: usize,
    violations: usize,
    changes: usize,
    slack: f64,
    limits: f64,
    usage: f64,
}

impl Sums {
    fn of(series: &Hours, limits: &[Option<f64>], settings: &Settings) -> Sums {
        let mut sums = Sums::default();
        let mut seen: usize = series.iter().take(settings.warmup).map(Vec::len).sum();
        for (index, limit) in limits.iter().enumerate() {
            for sample in series[settings.interval(index, series.len())].iter().flatten() {
                seen += 1;
                let Some(limit) = limit.map(|limit| limit.max(f64::MIN_POSITIVE)) else { continue };
                if seen as f64 > settings.samples_a_day {
                    sums.samples += 1;
                    sums.violations += usize::from(*sample > limit * (1.0 + 1e-6));
                    sums.slack += (limit - sample).max(0.0);
                    sums.limits += limit;
                    sums.usage += sample;
                }
            }
        }
        let known = limits.iter().flatten().zip(limits.iter().flatten().skip(1));
        sums.changes = known.filter(|(before, after)| (*after - *before).abs() > 0.01 * **before).count();
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(every: usize) -> Settings {
        Settings {
            every,
            warmup: 7 * 24,
            budget: 0.01,
            changes_per_day: 8.0,
            families: Family::ALL.to_vec(),
            day_ahead: false,
            samples_a_day: 288.0,
        }
    }

    fn of(series: &Hours, settings: &Settings) -> Vec<Option<f64>> {
        limits(series, settings, &Fleet::of(std::slice::from_ref(series), settings))
    }

    /// A day's rhythm with noise from a fixed sequence.
    fn rhythm(days: usize) -> Hours {
        let mut state = 7_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / (1_u64 << 24) as f64
        };
        let level = |hour: usize| if (8..18).contains(&(hour % 24)) { 10.0 } else { 2.0 };
        (0..days * 24).map(|hour| (0..12).map(|_| level(hour) * (0.8 + 0.4 * noise())).collect()).collect()
    }

    #[test]
    fn a_rhythm_is_followed_within_the_budget() {
        let (series, settings) = (rhythm(21), settings(1));
        let ours = score(&[(&series, of(&series, &settings))], &settings);
        let best = score(&[(&series, clairvoyant(&series, &settings))], &settings);
        assert!(ours.violations <= 0.01, "{ours:?}");
        assert!(ours.ratio < 1.7 && best.ratio < ours.ratio, "{ours:?} {best:?}");
        assert_eq!((best.violations, best.kept), (0.0, 1.0));
        assert!(ours.changes <= 8.0, "{ours:?}");
    }

    #[test]
    fn what_comes_later_changes_nothing_before() {
        for every in [1, 6, 24] {
            let (mut series, settings) = (rhythm(14), settings(every));
            series[100..140].iter_mut().for_each(Vec::clear);
            let whole = of(&series, &settings);
            series.truncate(11 * 24);
            let cut = of(&series, &settings);
            assert_eq!(cut.len(), 4 * 24 / every);
            assert_eq!(whole[..cut.len()], cut);
        }
    }

    #[test]
    fn a_late_series_waits_for_its_first_sample() {
        let (mut series, settings) = (rhythm(12), settings(6));
        series[..9 * 24].iter_mut().for_each(Vec::clear);
        let limits = of(&series, &settings);
        assert_eq!(limits.iter().position(Option::is_some), Some(9));
        assert!(limits[9..].iter().all(Option::is_some));
        assert_eq!(score(&[(&series, limits)], &settings).series, 1);
    }
}
