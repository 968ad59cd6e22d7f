//! How much a quota needs to be, by what the forecast, the past as a whole and
//! the backtest of the policies say.

use super::past::DAY;
use super::words::{at_utc, percent, short};
use super::{Advice, Case, DatedForecast, Settings, demand};
use crate::domain::{Step, Timestamp};

/// What each voice asks for, in the resource's unit.
pub(super) struct Needs<'a> {
    case: &'a Case<'a>,
    settings: &'a Settings,
    forecast: &'a DatedForecast,
    /// The forecast's peak with its margin; 0 where the past's own backtest
    /// speaks in its place.
    from_forecast: f64,
    /// What the budget would have needed over the whole past; 0 where limits
    /// that follow the hours are proven.
    from_past: f64,
    /// The forecast's peak of the day that comes, which a cut does not go below;
    /// 0 where the past's own backtest speaks in its place.
    next_day: f64,
    /// The highest sample seen.
    seen: f64,
    /// Where the guard lifts it to, if usage is a surprise.
    guard: Option<f64>,
}

/// What a policy asks for raises a quota to at most so many times the highest
/// sample seen. More room than that is an insurance: worth keeping where it
/// stands, but nobody has to buy it on top.
const MOST_RAISE: f64 = 1.3;

/// Which way the quota would go: a cut heeds more than a raise.
#[derive(Clone, Copy)]
pub(super) enum Way {
    Up,
    Down,
}

impl<'a> Needs<'a> {
    /// `sorted` are the samples, sorted upwards.
    pub fn of(
        case: &'a Case<'a>,
        settings: &'a Settings,
        forecast: &'a DatedForecast,
        sorted: &[f64],
    ) -> Needs<'a> {
        let peak = forecast.forecast.peak(settings.peak_quantile).map_or(0.0, |(_, value)| value);
        // The sample above which no more than the budget's share lies: a value
        // between two samples could break the promise by one.
        let allowed = (case.budget.share * sorted.len() as f64) as usize;
        let place = sorted.len().saturating_sub(1 + allowed);
        let past = sorted.get(place).copied().unwrap_or(0.0);
        // Forecasts stand for trial among the policies: where those are proven,
        // they have been heard.
        let proven = case.advice.is_some_and(|advice| advice.proven);
        let unproven = |needed: f64| if proven { 0.0 } else { needed };
        let mut needs = Needs {
            case,
            settings,
            forecast,
            from_forecast: unproven(peak * (1.0 + settings.margin)),
            from_past: if proven && case.advice.is_some_and(Advice::is_short) { 0.0 } else { past },
            next_day: unproven(next_day(forecast, settings)),
            seen: sorted.last().copied().unwrap_or(0.0),
            guard: None,
        };
        let (from, hours) = match case.advice {
            Some(advice) => (advice.since, advice.hours),
            None => (case.usage.end().minus(Step::HOUR.duration() * 24), 24),
        };
        let known = needs.known(Way::Up);
        needs.guard = demand::guard(case.usage, from, hours, known, case.budget.share);
        needs
    }

    /// All that is asked for.
    pub fn most(&self, way: Way) -> f64 {
        self.known(way).max(self.guard.unwrap_or(0.0))
    }

    /// Whether the guard asks for the most.
    pub fn is_surprise(&self) -> bool {
        self.guard.is_some()
    }

    fn known(&self, way: Way) -> f64 {
        let forecast = match way {
            Way::Up => self.from_forecast,
            Way::Down => self.from_forecast.max(self.next_day),
        };
        forecast.max(self.from_past).max(self.of_backtest(way))
    }

    fn of_backtest(&self, way: Way) -> f64 {
        self.case.advice.map_or(0.0, |advice| match way {
            Way::Up => advice.limit.min(MOST_RAISE * self.seen),
            Way::Down => advice.limit,
        })
    }

    /// Whether the policies ask for more than what was seen needs: for room that
    /// insures a budget which so short a past can't prove.
    pub fn is_insured(&self) -> bool {
        self.case.advice.is_some_and(|advice| advice.limit > MOST_RAISE * self.seen)
    }

    /// Why it is as much as it is, the most important first.
    pub fn reasons(&self, way: Way) -> Vec<String> {
        let unit = self.case.resource.unit();
        if let Some(guard) = self.guard {
            return vec![format!(
                "What this rule would have set was exceeded more often lately than the budget allows, so until the \
                 interval ends it asks for {:.1} times the highest sample, {} {unit}.",
                demand::HEADROOM,
                short(guard)
            )];
        }
        let most = self.most(way);
        let advice = self.case.advice;
        match advice {
            Some(advice) if self.of_backtest(way) >= most => self.backtest_reasons(advice, way),
            _ if self.from_forecast >= most => vec![self.forecast_reason()],
            _ if self.from_past >= most => vec![self.past_reason()],
            _ => vec![format!(
                "A cut goes no lower than the forecast's peak of the next day, {} {unit} at the {} quantile.",
                short(self.next_day),
                percent(self.settings.peak_quantile)
            )],
        }
    }

    fn forecast_reason(&self) -> String {
        let (peak, at, level) = peak(self.forecast, self.settings);
        format!(
            "Forecast peak {} {} on {} ({}) at the {:.0} % quantile, plus {:.0} %.",
            short(peak),
            self.case.resource.unit(),
            at_utc(at),
            ahead(self.forecast, self.settings),
            level * 100.0,
            self.settings.margin * 100.0
        )
    }

    /// What led, how it did on this tenant's past, and for how long it is meant.
    fn backtest_reasons(&self, advice: &Advice, way: Way) -> Vec<String> {
        if advice.is_scheduled {
            return vec![self.schedule_reason(advice)];
        }
        let led = if advice.proven { "led the mix that holds" } else { "came nearest to" };
        let unit = self.case.resource.unit();
        let mut reasons = vec![format!(
            "Tried on this tenant's own past, \"{}\" times {:.2} {led} the budget of {} (alone it would have had \
             {} of the samples above it): {} {unit} until {}.",
            advice.policy,
            advice.margin,
            percent(self.case.budget.share),
            percent(advice.violations),
            short(advice.limit),
            at_utc(advice.until()),
        )];
        if matches!(way, Way::Up) && self.is_insured() {
            reasons.push(format!(
                "Raised no further than {MOST_RAISE} times the highest usage seen, {} {unit}.",
                short(self.seen)
            ));
        }
        reasons
    }

    fn schedule_reason(&self, advice: &Advice) -> String {
        let days = advice.plan.as_ref().map_or(0, |(_, plan)| plan.days);
        format!(
            "Follows the schedule that was made at midnight from the same hours of earlier days: {} {} from {} \
             until {}. Tried on {days} days, such schedules let {} of the samples above them; the budget is {}.",
            short(advice.limit),
            self.case.resource.unit(),
            at_utc(advice.since),
            at_utc(advice.until()),
            percent(advice.violations),
            percent(self.case.budget.share),
        )
    }

    fn past_reason(&self) -> String {
        format!(
            "The past as a whole needed {} {} to keep within a budget of {}.",
            short(self.from_past),
            self.case.resource.unit(),
            percent(self.case.budget.share)
        )
    }
}

/// The forecast's peak, its hour, and the quantile that it is taken from.
pub(super) fn peak(dated: &DatedForecast, settings: &Settings) -> (f64, Timestamp, f64) {
    let (step, peak) = dated.forecast.peak(settings.peak_quantile).unwrap_or((0, 0.0));
    let quantiles = &dated.forecast.quantiles;
    let at = dated.start.plus(Step::HOUR.duration() * u32::try_from(step).unwrap_or(0));
    (peak, at, quantiles.levels()[quantiles.nearest(settings.peak_quantile)])
}

fn next_day(dated: &DatedForecast, settings: &Settings) -> f64 {
    let column = dated.forecast.quantiles.nearest(settings.peak_quantile);
    dated.forecast.values.column(column).iter().take(DAY).copied().fold(0.0, f64::max)
}

fn ahead(dated: &DatedForecast, settings: &Settings) -> String {
    match dated.forecast.peak(settings.peak_quantile).map_or(0, |(step, _)| step) {
        0 => "within the hour".to_owned(),
        hours => format!("in {hours} h"),
    }
}
