//! One version of a resource's models in memory: what was learnt of each series,
//! and how its forecasts turn out.

use std::collections::BTreeMap;
use std::sync::Arc;

use rayon::iter::Either;
use rayon::prelude::*;

use super::forecasts::{Forecasts, MODEL};
use super::hourly::Hourly;
use super::resting::Resting;
use super::{ForecastRecord, SeriesKey};
use crate::domain::{ModelScore, ModelVersion, TenantId, Timestamp};
use crate::forecast::score::Score;
use crate::forecast::{Abstention, Fleet, Forecast, Learned, Past, Tracker, WATCHED, Waiting};
use crate::ports::Shelf;
use crate::rightsize::DatedForecast;
use crate::series::stats;

/// A day and a week of hours.
pub(super) const SEASONS: [usize; 2] = [24, 168];
/// Scored steps of a series that count in a comparison.
const LEAST_STEPS: u32 = 24;

/// The last day of a horizon need not be known anew each hour: so many hours
/// lie between two forecasts of the whole.
const WHOLE_EVERY: i64 = 6;

/// How far ahead series are forecast again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ahead<'a> {
    /// As far as forecasts are watched.
    Watched,
    /// The whole horizon where what is laid down does not reach that far any
    /// more, is of another version, or was surpassed; else as far as watched,
    /// and what is laid down goes on behind that.
    LaidDown(&'a Forecasts),
    /// The whole horizon.
    Whole,
}

/// One version with its models.
pub(super) struct Generation {
    pub about: Arc<ModelVersion>,
    fleet: Arc<Fleet>,
    series: BTreeMap<TenantId, Watched>,
    learned: Resting<Learned>,
    waiting: Resting<Waiting>,
}

/// What is held of one series.
struct Watched {
    /// The first hour after the usage it was fitted to.
    fitted_to: Timestamp,
    /// The first hour that was not observed yet.
    seen_to: Timestamp,
    /// Without the forecasts that wait, which rest.
    tracker: Tracker,
}

/// A series that is to be forecast.
pub(super) type Due = (TenantId, Hourly);

impl Generation {
    /// A version that knows no series yet.
    pub fn new(about: ModelVersion, fleet: Arc<Fleet>, shelf: &Arc<dyn Shelf>) -> Self {
        Generation {
            about: Arc::new(about),
            fleet,
            series: BTreeMap::new(),
            learned: Resting::new(Arc::clone(shelf)),
            waiting: Resting::new(Arc::clone(shelf)),
        }
    }

    /// Fits series and forecasts them from their ends.
    pub fn take_in(&mut self, due: &[Due]) -> Vec<(TenantId, ForecastRecord)> {
        let pasts: Vec<Past<'_>> = due.iter().map(|(_, hourly)| hourly.past()).collect();
        let fitted = self.fleet.adopt(&pasts);
        let taken = due.iter().zip(fitted).map(|((tenant, hourly), fitted)| {
            let forecast = fitted.map(|(learned, forecast)| {
                let end = hourly.end();
                let key = self.key(tenant);
                let mut watched = Watched { fitted_to: end, seen_to: end, tracker: Tracker::default() };
                let forecast = watched.issue(forecast, hourly);
                self.learned.put(&key, &learned);
                self.waiting.put(&key, &watched.tracker.hand_out());
                self.series.insert(tenant.clone(), watched);
                forecast
            });
            (tenant.clone(), record(&self.about, hourly, forecast))
        });
        taken.collect()
    }

    /// Scores what was forecast of the hours that came, and forecasts again.
    /// Series that are not known yet are fitted.
    pub fn update(&mut self, due: &[Due], ahead: Ahead<'_>) -> Vec<(TenantId, ForecastRecord)> {
        let (mut known, mut new) = (Vec::with_capacity(due.len()), Vec::new());
        for (tenant, hourly) in due {
            match self.series.remove(tenant) {
                Some(watched) => known.push((tenant, watched, hourly)),
                None => new.push((tenant.clone(), hourly.clone())),
            }
        }
        let (about, fleet) = (&self.about, &self.fleet);
        let carry_on = |(tenant, mut watched, hourly): (&TenantId, Watched, &Hourly)| {
            let key = SeriesKey { tenant: tenant.clone(), resource: about.resource };
            // What could not be read again is learnt again.
            let Some(learned) = self.learned.get(&key) else {
                return Either::Left((key.tenant, hourly.clone()));
            };
            watched.tracker.take_back(self.waiting.get(&key).unwrap_or_default());
            let surpassed = watched.catch_up(fleet, hourly);
            let steps = match ahead {
                Ahead::Watched => WATCHED,
                Ahead::LaidDown(laid) if !surpassed && laid.suffices(&key, about.version, hourly.end()) => {
                    WATCHED
                }
                Ahead::LaidDown(_) | Ahead::Whole => fleet.horizon() + to_spare(&key.tenant, hourly),
            };
            let forecast = watched.carry_on(fleet, &learned, hourly, steps);
            self.waiting.put(&key, &watched.tracker.hand_out());
            Either::Right((key.tenant, watched, record(about, hourly, forecast)))
        };
        let (lost, carried): (Vec<Due>, Vec<(TenantId, Watched, ForecastRecord)>) =
            known.into_par_iter().map(carry_on).partition_map(|one| one);
        let mut made = Vec::with_capacity(due.len());
        for (tenant, watched, record) in carried {
            self.series.insert(tenant.clone(), watched);
            made.push((tenant, record));
        }
        new.extend(lost);
        made.extend(self.take_in(&new));
        made
    }

    fn key(&self, tenant: &TenantId) -> SeriesKey {
        SeriesKey { tenant: tenant.clone(), resource: self.about.resource }
    }

    /// Takes over what another version learnt of the widths.
    pub fn inherit(&mut self, other: &Generation) {
        for (tenant, watched) in &mut self.series {
            if let Some(theirs) = other.series.get(tenant) {
                watched.tracker.inherit(&theirs.tracker);
            }
        }
    }

    /// Begins a new score for every series.
    pub fn reset_scores(&mut self) {
        self.series.values_mut().for_each(|watched| watched.tracker.reset());
    }

    /// What all forecasts were worth since the scores began.
    pub fn live(&self) -> Option<ModelScore> {
        let scores = self.series.values().map(|watched| watched.tracker.score());
        let sum = scores.fold(Score::default(), Score::and);
        (sum.steps > 0).then(|| ModelScore {
            values: u64::from(sum.steps),
            quantile_loss: sum.quantile_loss(),
            to_seasonal_naive: None,
            scaled_error: None,
            cover: sum.cover(),
        })
    }

    /// How much more this version lost than `other` on the series that both
    /// forecast: the mean over series of the difference as a share of both
    /// losses together, with its standard error. `None` without such a series.
    pub fn loss_beside(&self, other: &Generation) -> Option<(f64, f64)> {
        let differences: Vec<f64> = self
            .series
            .iter()
            .filter_map(|(tenant, watched)| {
                let theirs = other.series.get(tenant)?.tracker.score();
                let ours = watched.tracker.score();
                let each = |score: &Score| score.pinball / f64::from(score.steps);
                let enough = ours.steps >= LEAST_STEPS && theirs.steps >= LEAST_STEPS;
                let both = each(&ours) + each(&theirs);
                (enough && both > 0.0).then(|| (each(&ours) - each(&theirs)) / both)
            })
            .collect();
        let count = differences.len() as f64;
        let mean = stats::mean(&differences)?;
        let spread = differences.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
        Some((mean, (spread / count).sqrt()))
    }

    /// Forgets series that are measured no more.
    pub fn retain(&mut self, is_measured: impl Fn(&TenantId) -> bool) {
        self.series.retain(|tenant, _| is_measured(tenant));
        self.learned.retain(|key| is_measured(&key.tenant));
        self.waiting.retain(|key| is_measured(&key.tenant));
    }

    /// The most bytes that are kept of one series.
    #[cfg(test)]
    pub fn largest_state(&self) -> usize {
        let bytes = |tenant: &TenantId| {
            let (learned, mut tracker) = (self.learned.get(&self.key(tenant)), Tracker::default());
            tracker.take_back(self.waiting.get(&self.key(tenant)).unwrap_or_default());
            size_of::<Watched>() + learned.map_or(0, |learned| learned.bytes()) + tracker.bytes()
        };
        self.series.keys().map(bytes).max().unwrap_or(0)
    }

    /// The same version with another standing.
    pub fn stand(&mut self, about: ModelVersion) {
        self.about = Arc::new(about);
    }
}

impl Watched {
    /// Scores the hours since the last look; gives whether one lay above all that
    /// was forecast of it.
    fn catch_up(&mut self, fleet: &Fleet, hourly: &Hourly) -> bool {
        let mut surpassed = false;
        for (step, value) in hourly.since(self.seen_to) {
            surpassed |= self.tracker.observe(step, value, fleet.quantiles());
        }
        self.seen_to = hourly.end();
        surpassed
    }

    /// Forecasts so many steps from the end.
    fn carry_on(
        &mut self,
        fleet: &Fleet,
        learned: &Learned,
        hourly: &Hourly,
        steps: usize,
    ) -> Result<Forecast, Abstention> {
        let fresh = hourly.fresh_since(self.fitted_to);
        let forecast = learned.forecast(fleet, &hourly.past(), fresh, steps)?;
        Ok(self.issue(forecast, hourly))
    }

    /// Corrects a forecast's widths, and remembers it.
    fn issue(&mut self, forecast: Forecast, hourly: &Hourly) -> Forecast {
        let mut forecast = hourly.by_utc(forecast);
        let floor = if hourly.never_negative() { 0.0 } else { f64::MIN };
        self.tracker.correct(&mut forecast, floor);
        self.tracker.issue(hourly.end_step(), &forecast);
        forecast
    }
}

/// How many hours a whole forecast goes on behind the horizon, so that it lasts
/// until the series' next turn; those of a fleet come at different hours.
fn to_spare(tenant: &TenantId, hourly: &Hourly) -> usize {
    let place: i64 = tenant.as_str().bytes().map(i64::from).sum();
    let since_turn = (hourly.end_step() + place).rem_euclid(WHOLE_EVERY);
    usize::try_from(WHOLE_EVERY - 1 - since_turn).unwrap_or(0)
}

fn record(
    about: &Arc<ModelVersion>,
    hourly: &Hourly,
    forecast: Result<Forecast, Abstention>,
) -> ForecastRecord {
    let start = hourly.end();
    ForecastRecord {
        fitted_to: start,
        forecast: forecast.map(|forecast| DatedForecast { model: MODEL, start, forecast }),
        made_by: Arc::clone(about),
    }
}
