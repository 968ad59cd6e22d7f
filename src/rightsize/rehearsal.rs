//! The daemon's own rule on past usage: walks, forecasts and [`decide`] as they
//! run in production, with each answer applied at once.
//!
//! It is what `replay --policy daemon` shows. Where limits are set by the
//! policies alone ([`super::replay::limits`]) a change is made whenever it
//! pays; the daemon also leaves small differences by the day alone, buys no
//! more room than 1.3 times the highest usage seen, heeds the whole past and the
//! forecast's peaks where nothing is proven, and has a guard. Here one sees what
//! that costs.

use ndarray::Array1;
use rayon::prelude::*;

use super::pool::Others;
use super::replay::{Fleet, Hours, Settings};
use super::schedule::Reach;
use super::{Budget, Case, Course, DatedForecast, Outcome, StandingQuota, Walk, decide};
use crate::domain::{Resource, Step, Tier, Timestamp};
use crate::forecast::{Abstention, Forecast, Past, Quantiles, forecast_all};
use crate::series::{Aggregate, UsageSeries, resample};

/// Hours that a forecast is for, and how often all are made anew.
const HORIZON: usize = 7 * 24;
const FORECAST_EVERY: usize = 24;
/// The seasons that are looked for, in hours.
const SEASONS: [usize; 2] = [24, 168];
/// Usage is looked at in units so fine that the steps of a quota and a tier's
/// floor don't count: the fleet's mean usage is so many of them.
const FINE: f64 = 1e7;

/// What is known of one series on its way.
struct Tenant {
    usage: UsageSeries,
    first_hour: usize,
    walk: Option<Walk>,
    quota: Option<StandingQuota>,
    forecast: Result<DatedForecast, Abstention>,
}

/// The limits of each series, one an interval; `None` before its first sample.
/// Hours are counted from the file's first instant, as intervals are.
pub fn limits(fleet: &[Hours], settings: &Settings, known: &Fleet) -> Vec<Vec<Option<f64>>> {
    let hours = fleet.iter().map(Vec::len).max().unwrap_or(0);
    // The first mean that was known: a later one would look ahead.
    let scale = known.means.iter().find(|mean| **mean > 0.0).map_or(1.0, |mean| FINE / mean);
    let mut tenants: Vec<Tenant> = fleet.iter().map(|series| Tenant::of(series, settings, scale)).collect();
    let mut all: Vec<Vec<Option<f64>>> = vec![Vec::new(); fleet.len()];
    let mut next_forecast = 0;
    for hour in (settings.warmup..hours).step_by(settings.every) {
        if hour >= next_forecast {
            forecast(&mut tenants, hour);
            next_forecast = hour + FORECAST_EVERY;
        }
        let mean = known.means.get(hour).copied().unwrap_or(0.0) * scale;
        let others = Others { mean, pool: &known.pool };
        let set = |(tenant, limits): (&mut Tenant, &mut Vec<Option<f64>>)| {
            limits.push(tenant.look(hour, settings, others).map(|limit| limit / scale));
        };
        tenants.par_iter_mut().zip(&mut all).for_each(set);
    }
    all
}

/// Forecasts the peaks of the hours that follow on `hour`, from those before.
fn forecast(tenants: &mut [Tenant], hour: usize) {
    let peaks: Vec<Array1<f64>> = tenants.par_iter().map(|tenant| tenant.peaks(hour)).collect();
    let pasts: Vec<Past<'_>> =
        peaks.iter().map(|peaks| Past { values: peaks.view(), seasons: &SEASONS }).collect();
    let made = forecast_all(&pasts, HORIZON, &Quantiles::for_peaks());
    let start = at(hour);
    for (tenant, made) in tenants.iter_mut().zip(made) {
        let dated = |forecast: Forecast| DatedForecast { model: "ensemble", start, forecast };
        tenant.forecast = made.map(dated);
    }
}

fn at(hour: usize) -> Timestamp {
    Timestamp::from_seconds(0).plus(Step::HOUR.duration() * u32::try_from(hour).unwrap_or(u32::MAX))
}

impl Tenant {
    fn of(series: &Hours, settings: &Settings, scale: f64) -> Tenant {
        let an_hour = ((settings.samples_a_day / 24.0).round() as usize).max(1);
        let first_hour = series.iter().position(|hour| !hour.is_empty()).unwrap_or(series.len());
        let mut values = Vec::with_capacity(series.len() * an_hour);
        for hour in &series[first_hour..] {
            let samples = hour.iter().take(an_hour).map(|sample| sample * scale);
            values.extend(samples.chain(std::iter::repeat(f64::NAN)).take(an_hour));
        }
        let step = Step::from_millis(Step::HOUR.millis() / an_hour as i64).unwrap_or(Step::FIVE_MINUTES);
        Tenant {
            usage: UsageSeries { start: at(first_hour), step, values: values.into() },
            first_hour,
            walk: None,
            quota: None,
            forecast: Err(Abstention::NoSamples),
        }
    }

    /// What was used before `hour`.
    fn before(&self, hour: usize) -> UsageSeries {
        let count = self.usage.step.count_in(at(hour).since(self.usage.start));
        let values = self.usage.values.iter().take(count).copied().collect();
        UsageSeries { values, ..self.usage.clone() }
    }

    fn peaks(&self, hour: usize) -> Array1<f64> {
        resample(&self.before(hour), Step::HOUR, Aggregate::Max).values
    }

    /// The quota from `hour` on.
    fn look(&mut self, hour: usize, settings: &Settings, others: Others<'_>) -> Option<f64> {
        if hour <= self.first_hour {
            return None;
        }
        let usage = self.before(hour);
        let rule = super::Settings::default();
        let reach = Reach { most_changes: settings.changes_per_day as usize, lowest: 0.0 };
        let course = Course {
            budget: settings.budget,
            hours: settings.course_hours(),
            changes_per_day: settings.changes_per_day,
            schedule: settings.day_ahead.then_some(reach),
        };
        let none = StandingQuota::first(f64::MAX);
        let quota = self.quota.unwrap_or(none);
        let walk = self.walk.get_or_insert_with(|| Walk::new(&usage, course));
        walk.catch_up(&usage, &quota, others);
        let resource = Resource::CpuCores;
        let advice = walk.advice(resource);
        let case = Case {
            resource,
            tier: Tier::WhiteLabel,
            quota,
            budget: &Budget { share: settings.budget, because: "what was asked for".to_owned() },
            usage: &usage,
            forecast: self.forecast.as_ref(),
            advice: advice.as_ref(),
        };
        match decide(&case, &rule) {
            Outcome::Change(proposal) => {
                let raised = self.quota.is_some_and(|before| before.limit < proposal.limit);
                self.quota = Some(StandingQuota { limit: proposal.limit, since: Some(at(hour)), raised });
            }
            // Before there is an answer, what was seen is what there must be.
            Outcome::Keep(_) | Outcome::Abstain(_) if self.quota.is_none() => {
                let peak = usage.values.iter().copied().fold(0.0, f64::max);
                return (peak > 0.0).then_some(peak);
            }
            Outcome::Keep(_) | Outcome::Abstain(_) => {}
        }
        self.quota.map(|quota| quota.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::Family;
    use super::super::replay::score;
    use super::*;

    fn settings() -> Settings {
        Settings {
            every: 6,
            warmup: 7 * 24,
            budget: 0.01,
            changes_per_day: 8.0,
            families: Family::ALL.to_vec(),
            day_ahead: false,
            samples_a_day: 288.0,
        }
    }

    /// Office hours, and something that never repeats on top.
    fn office(days: usize) -> Hours {
        let level = |hour: usize| if (8..18).contains(&(hour % 24)) { 10.0 } else { 3.0 };
        let noise =
            |hour: usize, sample: usize| ((hour * 12 + sample) * 2_654_435_761 % 1000) as f64 / 1000.0;
        (0..days * 24).map(|hour| (0..12).map(|i| level(hour) + noise(hour, i)).collect()).collect()
    }

    #[test]
    fn the_daemon_holds_the_budget_of_a_steady_tenant() {
        let (fleet, settings) = (vec![office(16)], settings());
        let limits = limits(&fleet, &settings, &Fleet::of(&fleet, &settings));
        let score = score(&[(&fleet[0], limits[0].clone())], &settings);
        assert!(score.violations <= 0.01 && score.ratio < 3.0, "{score:?}");
        assert!(score.changes < 4.0, "{score:?}");
    }

    #[test]
    fn what_comes_later_changes_nothing_before() {
        let settings = settings();
        let whole = vec![office(12)];
        let cut = vec![whole[0][..10 * 24].to_vec()];
        let of = |fleet: &[Hours]| limits(fleet, &settings, &Fleet::of(fleet, &settings));
        let (whole, cut) = (of(&whole), of(&cut));
        assert_eq!(cut[0].len(), 12);
        assert_eq!(whole[0][..12], cut[0]);
    }
}
