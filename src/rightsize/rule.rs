//! The rule that turns a case into an outcome.

use super::{AbstainReason, Advice, Case, DatedForecast, KeepReason, Outcome, Proposal, Settings};
use super::{demand, evidence};
use crate::domain::recommendation::WhatIf;
use crate::series::stats;

/// The largest share of gaps with which an answer is given.
const MOST_GAPS: f64 = 0.5;

/// A way to right-size.
pub trait Rule: Send + Sync {
    /// Its name in evidence.
    fn name(&self) -> &'static str;

    /// What should become of the quota.
    fn decide(&self, case: &Case<'_>, settings: &Settings) -> Outcome;
}

/// The peak of the forecast at a high quantile, and a margin on it.
#[derive(Debug, Clone, Copy, Default)]
pub struct PeakPlusMargin;

impl Rule for PeakPlusMargin {
    fn name(&self) -> &'static str {
        "peak plus margin"
    }

    fn decide(&self, case: &Case<'_>, settings: &Settings) -> Outcome {
        let sorted = stats::sorted_finite(case.usage.values.iter());
        if let Some(reason) = cannot_say(case, settings, &sorted) {
            return Outcome::Abstain(reason);
        }
        let forecast = match case.forecast {
            Ok(forecast) => forecast,
            Err(abstention) => return Outcome::Abstain(AbstainReason::NoForecast(abstention.clone())),
        };
        match demand::pinned_share(case.usage, case.quota) {
            Some(share) => raise_pinned(case, settings, forecast, &sorted, share),
            None => fit(case, settings, forecast, &sorted),
        }
    }
}

/// Why the usage carries no answer, if it doesn't.
fn cannot_say(case: &Case<'_>, settings: &Settings, sorted: &[f64]) -> Option<AbstainReason> {
    let (Some(lowest), Some(highest)) = (sorted.first(), sorted.last()) else {
        return Some(AbstainReason::NoSamples);
    };
    let first = case.usage.values.iter().position(|value| value.is_finite()).unwrap_or(0);
    let last = case.usage.values.iter().rposition(|value| value.is_finite()).unwrap_or(0);
    let span = case.usage.at(last + 1).since(case.usage.at(first));
    let hours = span.as_secs() / 3600;
    if span < settings.least_history {
        let need_hours = settings.least_history.as_secs() / 3600;
        return Some(AbstainReason::TooLittleHistory { have_hours: hours, need_hours });
    }
    let gap_share = 1.0 - sorted.len() as f64 / (last + 1 - first) as f64;
    if gap_share > MOST_GAPS {
        return Some(AbstainReason::MostlyGaps { gap_share });
    }
    // Usage that stands at the quota is pinned, which is an answer.
    let pinned = demand::pinned_share(case.usage, case.quota).is_some();
    if highest - lowest <= 1e-9 * highest.abs() && !pinned {
        return Some(AbstainReason::FlatLine { value: *highest, hours });
    }
    None
}

/// Usage at the quota hides how much is wanted: raise in bounded steps, and
/// look again. What is known to be needed is never waited for in steps.
fn raise_pinned(
    case: &Case<'_>,
    settings: &Settings,
    forecast: &DatedForecast,
    sorted: &[f64],
    share: f64,
) -> Outcome {
    let ceiling = case.tier.ceiling(case.resource).unwrap_or(f64::INFINITY);
    let step = case.resource.round_up(case.quota * (1.0 + settings.pinned_step));
    let needs = Needs::of(case, settings, forecast, sorted);
    let wanted = step.max(case.resource.round_up(needs.most()));
    let limit = wanted.min(ceiling);
    if limit <= case.quota {
        return Outcome::Keep(KeepReason::PinnedAtCeiling);
    }
    let mut reasons = vec![format!(
        "Usage stood at or above the quota in {:.0} % of the last day's samples, so demand is above it.",
        share * 100.0
    )];
    if wanted > step {
        reasons.push(needs.reason(case, settings, forecast));
    } else {
        reasons.push(format!("Raised by a step of {:.0} %, rounded up.", settings.pinned_step * 100.0));
    }
    if limit < wanted {
        reasons.push(at_ceiling(limit));
    }
    propose(case, settings, forecast, sorted, limit, reasons)
}

/// How much is needed, by what the forecast and what the past say.
struct Needs {
    /// The forecast's peak with its margin; 0 where the past's own backtest
    /// speaks in its place.
    from_forecast: f64,
    /// What the budget would have needed over the whole past.
    from_past: f64,
    /// What the backtest advises; 0 where there is none.
    from_backtest: f64,
}

impl Needs {
    fn of(case: &Case<'_>, settings: &Settings, forecast: &DatedForecast, sorted: &[f64]) -> Self {
        let peak = forecast.forecast.peak(settings.peak_quantile).map_or(f64::NAN, |(_, value)| value);
        // The sample above which no more than the budget's share lies: a value
        // between two samples could break the promise by one.
        let allowed = (case.tier.violation_budget() * sorted.len() as f64) as usize;
        let place = sorted.len().saturating_sub(1 + allowed);
        // Where no policy held the budget in the past, the forecast is asked, too.
        let proven = case.advice.is_some_and(|advice| advice.proven);
        Needs {
            from_forecast: if proven { 0.0 } else { peak * (1.0 + settings.margin) },
            from_past: sorted.get(place).copied().unwrap_or(0.0),
            from_backtest: case.advice.map_or(0.0, |advice| advice.limit),
        }
    }

    fn most(&self) -> f64 {
        self.from_forecast.max(self.from_past).max(self.from_backtest)
    }

    fn reason(&self, case: &Case<'_>, settings: &Settings, forecast: &DatedForecast) -> String {
        match case.advice {
            Some(advice) if self.from_backtest >= self.most() => backtest_reason(case, advice),
            _ if self.from_forecast >= self.most() => forecast_reason(case, settings, forecast),
            _ => past_reason(case, self.from_past, case.tier.violation_budget()),
        }
    }
}

fn at_ceiling(limit: f64) -> String {
    format!("The tier's ceiling of {limit} holds it there; consider a higher tier.")
}

/// The quota that the forecast and the past ask for.
fn fit(case: &Case<'_>, settings: &Settings, forecast: &DatedForecast, sorted: &[f64]) -> Outcome {
    let needs = Needs::of(case, settings, forecast, sorted);
    let wanted = case.resource.round_up(needs.most());
    let (floor, ceiling) = (case.tier.floor(case.resource), case.tier.ceiling(case.resource));
    let limit = wanted.max(floor).min(ceiling.unwrap_or(f64::INFINITY));
    if let Some(reason) = keep(case, settings, wanted, limit) {
        return Outcome::Keep(reason);
    }
    let mut reasons = vec![needs.reason(case, settings, forecast)];
    if limit > wanted {
        reasons.push(format!("The tier's floor of {limit} holds it there."));
    }
    if limit < wanted {
        reasons.push(at_ceiling(limit));
    }
    propose(case, settings, forecast, sorted, limit, reasons)
}

/// Why the quota should stay, if it should.
fn keep(case: &Case<'_>, settings: &Settings, wanted: f64, limit: f64) -> Option<KeepReason> {
    let difference = (limit / case.quota - 1.0).abs();
    // A raise that the past has already needed is never left to the dead band.
    let needed = limit > case.quota
        && WhatIf::of(&case.usage.values, case.quota).violations > case.tier.violation_budget();
    if difference < 1e-9 && wanted < limit {
        Some(KeepReason::AtFloor)
    } else if difference < 1e-9 && wanted > limit {
        Some(KeepReason::AtCeiling { target: wanted })
    } else if difference < 1e-9 || (difference < settings.dead_band && !needed) {
        Some(KeepReason::WithinDeadBand { target: limit, dead_band: settings.dead_band })
    } else {
        None
    }
}

fn forecast_reason(case: &Case<'_>, settings: &Settings, dated: &DatedForecast) -> String {
    let (step, peak) = dated.forecast.peak(settings.peak_quantile).unwrap_or((0, f64::NAN));
    let quantiles = &dated.forecast.quantiles;
    format!(
        "Forecast peak {} {} in {step} h at the {:.0} % quantile, plus {:.0} %.",
        short(peak),
        case.resource.unit(),
        quantiles.levels()[quantiles.nearest(settings.peak_quantile)] * 100.0,
        settings.margin * 100.0
    )
}

/// What led, how it did on this tenant's past, and for how long it is meant.
fn backtest_reason(case: &Case<'_>, advice: &Advice) -> String {
    let kept = if advice.proven { "was cheapest within" } else { "came nearest to" };
    format!(
        "Tried on this tenant's own past, \"{}\" times {:.2} {kept} the tier's budget of {} % \
         (it would have had {:.2} %): {} {} for the next {} h.",
        advice.policy,
        advice.margin,
        case.tier.violation_budget() * 100.0,
        advice.violations * 100.0,
        short(advice.limit),
        case.resource.unit(),
        advice.holds_hours
    )
}

fn past_reason(case: &Case<'_>, from_past: f64, budget: f64) -> String {
    format!(
        "The past needed {} {} to stay within the tier's {} % of violations.",
        short(from_past),
        case.resource.unit(),
        budget * 100.0
    )
}

fn propose(
    case: &Case<'_>,
    settings: &Settings,
    forecast: &DatedForecast,
    sorted: &[f64],
    limit: f64,
    reasons: Vec<String>,
) -> Outcome {
    let evidence = evidence::gather(case, forecast, settings, sorted, limit);
    let confidence = evidence::confidence(&evidence);
    Outcome::Change(Box::new(Proposal { limit, evidence, reasons, confidence }))
}

/// About three significant digits, as people read them.
fn short(value: f64) -> String {
    match value.abs() {
        magnitude if magnitude >= 100.0 => format!("{value:.0}"),
        magnitude if magnitude >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Resource, Step, Tier, Timestamp};
    use crate::forecast::{Abstention, Past, Quantiles, forecast_all};
    use crate::series::{Aggregate, UsageSeries, resample};

    fn usage(days: usize, value: impl Fn(usize) -> f64) -> UsageSeries {
        UsageSeries {
            start: Timestamp::from_seconds(0),
            step: Step::FIVE_MINUTES,
            values: (0..days * 288).map(value).collect(),
        }
    }

    fn daily(i: usize) -> f64 {
        2.0 + (i as f64 * std::f64::consts::TAU / 288.0).sin()
    }

    fn decide(usage: &UsageSeries, quota: f64) -> Outcome {
        let hourly = resample(usage, Step::HOUR, Aggregate::Max);
        let quantiles = Quantiles::new(&[0.5, 0.95]).unwrap();
        let past = Past { values: hourly.values.view(), seasons: &[24, 168] };
        let forecast = forecast_all(&[past], 168, &quantiles).remove(0);
        let dated =
            forecast.map(|forecast| DatedForecast { model: "ensemble", start: hourly.end(), forecast });
        let forecast = dated.as_ref();
        let case =
            Case { resource: Resource::CpuCores, tier: Tier::Premium, quota, usage, forecast, advice: None };
        PeakPlusMargin.decide(&case, &Settings::default())
    }

    #[test]
    fn an_oversized_quota_is_cut_to_the_peak_and_margin() {
        let Outcome::Change(proposal) = decide(&usage(14, daily), 8.0) else { panic!("no change") };
        assert_eq!(proposal.limit, 3.5);
        assert_eq!(proposal.evidence.violations_then, 0.0);
        assert!(proposal.evidence.slack_then < proposal.evidence.slack_now);
        assert!(proposal.confidence > 0.9, "{}", proposal.confidence);
        assert!(proposal.reasons[0].starts_with("Forecast peak 3.00 cores"), "{:?}", proposal.reasons);
    }

    #[test]
    fn what_the_tenants_own_past_proved_comes_before_the_forecast() {
        let usage = usage(14, daily);
        let advice = |limit, proven| Advice {
            limit,
            policy: "peak of 24 h".to_owned(),
            margin: 1.1,
            violations: 0.001,
            proven,
            holds_hours: 24,
            peers: vec![("VPA target", 2.5), ("KRR", 0.0)],
        };
        let needs = |advice: &Advice| {
            let (start, quantiles) = (usage.end(), Quantiles::new(&[0.5, 0.95]).unwrap());
            let past = Past { values: usage.values.view(), seasons: &[288] };
            let forecast = forecast_all(&[past], 288, &quantiles).remove(0).unwrap();
            let dated = DatedForecast { model: "ensemble", start, forecast };
            let case = Case {
                resource: Resource::CpuCores,
                tier: Tier::Premium,
                quota: 8.0,
                usage: &usage,
                forecast: Ok(&dated),
                advice: Some(advice),
            };
            let Outcome::Change(proposal) = PeakPlusMargin.decide(&case, &Settings::default()) else {
                panic!("no change")
            };
            *proposal
        };
        let proven = needs(&advice(3.11, true));
        assert_eq!(proven.limit, 3.2);
        assert!(proven.reasons[0].contains("\"peak of 24 h\" times 1.10"), "{:?}", proven.reasons);
        assert_eq!(proven.evidence.backtest.as_ref().unwrap().limit, 3.11);
        let others = &proven.evidence.alternatives;
        assert_eq!((others.len(), others[0].name.as_str(), others[0].limit), (1, "VPA target", 2.5));
        assert!(others[0].violations > 0.1, "{others:?}");
        // What the whole past needed is the floor, whatever a policy says.
        assert_eq!(needs(&advice(0.5, true)).limit, 3.0);
        // And where nothing is proven, the forecast is heard as well.
        assert_eq!(needs(&advice(0.5, false)).limit, 3.5);
    }

    #[test]
    fn a_quota_that_fits_is_left_alone() {
        let outcome = decide(&usage(14, daily), 3.4);
        assert!(matches!(outcome, Outcome::Keep(KeepReason::WithinDeadBand { .. })), "{outcome:?}");
    }

    #[test]
    fn usage_pinned_at_the_quota_is_raised_by_one_step() {
        let pinned = usage(14, |i| (2.0 * daily(i)).min(4.0));
        let Outcome::Change(proposal) = decide(&pinned, 4.0) else { panic!("no change") };
        assert_eq!(proposal.limit, 6.0);
        assert!(proposal.reasons[0].contains("stood at or above the quota"));
        assert_eq!(decide(&usage(14, |_| 32.0), 32.0), Outcome::Keep(KeepReason::PinnedAtCeiling));
    }

    #[test]
    fn a_need_that_is_known_is_not_approached_in_steps() {
        // Usage is far above the quota, so nothing holds it there.
        let Outcome::Change(proposal) = decide(&usage(14, |i| 5.0 * daily(i)), 2.0) else {
            panic!("no change")
        };
        assert!(proposal.limit >= 15.0, "{}", proposal.limit);
        assert_eq!(proposal.evidence.violations_then, 0.0);
        // Where the ceiling keeps it too low, it is not trusted much.
        let Outcome::Change(short) = decide(&usage(14, |i| 40.0 * daily(i)), 2.0) else {
            panic!("no change")
        };
        assert_eq!(short.limit, 32.0);
        assert!(short.confidence < 0.1, "{}", short.confidence);
    }

    fn abstained(usage: &UsageSeries) -> AbstainReason {
        match decide(usage, 8.0) {
            Outcome::Abstain(reason) => reason,
            other => panic!("expected no answer, got {other:?}"),
        }
    }

    #[test]
    fn each_reason_for_having_no_answer_is_its_own() {
        assert_eq!(abstained(&usage(14, |_| f64::NAN)), AbstainReason::NoSamples);
        assert_eq!(
            abstained(&usage(1, daily)),
            AbstainReason::TooLittleHistory { have_hours: 24, need_hours: 72 }
        );
        assert_eq!(abstained(&usage(14, |_| 2.0)), AbstainReason::FlatLine { value: 2.0, hours: 14 * 24 });
        let sparse = usage(14, |i| if i % 10 == 0 { daily(i) } else { f64::NAN });
        assert!(matches!(abstained(&sparse), AbstainReason::MostlyGaps { .. }));
    }

    #[test]
    fn without_a_forecast_the_reason_is_passed_on() {
        let (usage, none) = (usage(14, daily), Abstention::NoSamples);
        let case = Case {
            resource: Resource::CpuCores,
            tier: Tier::Free,
            quota: 1.5,
            usage: &usage,
            forecast: Err(&none),
            advice: None,
        };
        let outcome = PeakPlusMargin.decide(&case, &Settings::default());
        assert_eq!(outcome, Outcome::Abstain(AbstainReason::NoForecast(Abstention::NoSamples)));
    }

    #[test]
    fn floors_and_ceilings_hold() {
        let idle = usage(14, |i| 0.001 * daily(i));
        let Outcome::Change(proposal) = decide(&idle, 8.0) else { panic!("no change") };
        assert_eq!(proposal.limit, Tier::Premium.floor(Resource::CpuCores));
        assert_eq!(decide(&idle, 0.8), Outcome::Keep(KeepReason::AtFloor));
        let huge = usage(14, |i| 20.0 * daily(i));
        let Outcome::Change(proposal) = decide(&huge, 800.0) else { panic!("no change") };
        assert_eq!(proposal.limit, 32.0);
    }
}
