//! The rule on usage whose right answer is known, in a closed loop, and on any
//! history at all.

use std::time::Duration;

use ndarray::{Array1, Array2};
use proptest::prelude::*;

use super::super::schedule::Reach;
use super::super::{Advice, Budget, Budgets, Course, Others, Pool, StandingQuota, Walk, one_step};
use super::*;
use crate::domain::{Guardrails, Resource, Step, Tier, Timestamp};
use crate::forecast::{Abstention, Forecast, Quantiles};
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

/// A forecast that the last day comes again.
fn forecast(usage: &UsageSeries) -> DatedForecast {
    let hourly = resample(usage, Step::HOUR, Aggregate::Max);
    let known: Vec<f64> = hourly.values.iter().copied().filter(|value| value.is_finite()).collect();
    let last = &known[known.len().saturating_sub(24)..];
    let hours = Array1::from_iter(last.iter().copied());
    let values = Array2::from_shape_fn((hours.len(), 2), |(hour, _)| hours[hour]);
    let quantiles = Quantiles::new(&[0.5, 0.95]).unwrap();
    let forecast = Forecast { mean: hours, quantiles, values, members: Vec::new() };
    DatedForecast { model: "the last day", start: hourly.end(), forecast }
}

fn budget() -> Budget {
    Budgets::default().of(Tier::Premium, Resource::CpuCores, None)
}

fn outcome(usage: &UsageSeries, quota: StandingQuota, advice: Option<&Advice>) -> Outcome {
    let dated = forecast(usage);
    let case = Case {
        resource: Resource::CpuCores,
        tier: Tier::Premium,
        quota,
        budget: &budget(),
        usage,
        forecast: Ok(&dated),
        advice,
    };
    decide(&case, &Settings::default())
}

fn decided(usage: &UsageSeries, quota: f64) -> Outcome {
    outcome(usage, StandingQuota::first(quota), None)
}

fn change(outcome: Outcome) -> Proposal {
    match outcome {
        Outcome::Change(proposal) => *proposal,
        other => panic!("no change: {other:?}"),
    }
}

fn advice(limit: f64, proven: bool) -> Advice {
    Advice {
        limit,
        policy: "peak of 24 h".to_owned(),
        margin: 1.1,
        violations: 0.001,
        proven,
        hours: 24,
        since: usage(14, daily).end(),
        tried: None,
        peers: vec![("VPA target", 2.5), ("KRR", 0.0)],
        plan: None,
        followed: Vec::new(),
        is_scheduled: false,
    }
}

#[test]
fn an_oversized_quota_is_cut_to_the_peak_and_margin() {
    let proposal = change(decided(&usage(14, daily), 8.0));
    assert_eq!(proposal.limit, 3.5);
    assert_eq!(proposal.evidence.violations_then, 0.0);
    assert!(proposal.evidence.slack_then < proposal.evidence.slack_now);
    assert!(proposal.confidence > 0.9, "{}", proposal.confidence);
    assert!(proposal.evidence.confidence_because.starts_with("high"), "{:?}", proposal.evidence);
    let reason = &proposal.reasons[0];
    assert!(
        reason.starts_with("Forecast peak 3.00 cores on Thu 15 Jan") && reason.contains("UTC (in"),
        "{reason}"
    );
    assert_eq!(proposal.evidence.would_change.len(), 2);
}

#[test]
fn what_the_tenants_own_past_proved_comes_before_the_forecast() {
    let usage = usage(14, daily);
    let quota = StandingQuota::first(8.0);
    let proposal = |advice: Advice| change(outcome(&usage, quota, Some(&advice)));
    let proven = proposal(advice(3.11, true));
    assert_eq!(proven.limit, 3.2);
    assert!(proven.reasons[0].contains("\"peak of 24 h\" times 1.10"), "{:?}", proven.reasons);
    assert_eq!(proven.evidence.backtest.as_ref().unwrap().limit, 3.11);
    let others = &proven.evidence.alternatives;
    assert_eq!((others.len(), others[0].name.as_str(), others[0].limit), (1, "VPA target", 2.5));
    assert!(others[0].violations > 0.1, "{others:?}");
    // What the whole past needed is the floor of a limit for a day.
    assert_eq!(proposal(advice(0.5, true)).limit, 3.0);
    // And where nothing is proven, the forecast is heard as well.
    let unproven = proposal(advice(0.5, false));
    assert_eq!(unproven.limit, 3.5);
    assert!(unproven.confidence < proven.confidence);
}

#[test]
fn a_cut_waits_until_a_raise_has_been_seen() {
    let usage = usage(14, daily);
    let ask = |quota, advice: &Advice| outcome(&usage, quota, Some(advice));
    let old = StandingQuota::first(8.0);
    let fresh =
        StandingQuota { since: Some(usage.end().minus(Duration::from_secs(3600))), raised: true, ..old };
    assert!(matches!(ask(fresh, &advice(3.1, true)), Outcome::Keep(KeepReason::Resting { .. })));
    // A raise waits for nothing.
    let fresh = StandingQuota { limit: 3.0, ..fresh };
    assert_eq!(change(ask(fresh, &advice(3.8, true))).limit, 3.8);
}

#[test]
fn room_that_only_insures_is_kept_but_not_bought() {
    let usage = usage(14, daily);
    let ask = |quota| outcome(&usage, StandingQuota::first(quota), Some(&advice(7.5, true)));
    assert_eq!(ask(6.0), Outcome::Keep(KeepReason::Insured { enough: 3.9 }));
    assert_eq!(change(ask(9.0)).limit, 7.5);
    let raised = change(ask(3.1));
    assert_eq!(raised.limit, 3.9);
    assert!(raised.reasons[1].starts_with("Raised no further than 1.3 times"), "{:?}", raised.reasons);
}

#[test]
fn what_is_proven_is_not_held_up_by_the_forecast_and_what_is_not_is() {
    let usage = usage(14, |i| if i < 13 * 288 { daily(i) } else { 2.0 * daily(i) });
    let advice = |proven| Advice { hours: 6, ..advice(3.0, proven) };
    let ask = |proven| change(outcome(&usage, StandingQuota::first(8.0), Some(&advice(proven))));
    assert_eq!(ask(true).limit, 3.0);
    let unproven = ask(false);
    assert!(unproven.limit > 6.0, "{unproven:?}");
    assert!(unproven.reasons[0].starts_with("Forecast peak 6.00"), "{:?}", unproven.reasons);
}

#[test]
fn a_jump_inside_the_interval_is_answered_by_the_guard() {
    let jump = |i: usize| if i >= 14 * 288 - 6 { 9.0 } else { daily(i) };
    let usage = usage(14, jump);
    let advice = Advice { since: usage.end().minus(Duration::from_secs(5 * 3600)), ..advice(3.5, true) };
    let proposal = change(outcome(&usage, StandingQuota::first(20.0), Some(&advice)));
    assert_eq!(proposal.limit, 10.8);
    assert!(proposal.reasons[0].contains("was exceeded more often lately"), "{:?}", proposal.reasons);
}

#[test]
fn a_quota_that_fits_is_left_alone() {
    let outcome = decided(&usage(14, daily), 3.4);
    assert!(matches!(outcome, Outcome::Keep(KeepReason::WithinDeadBand { .. })), "{outcome:?}");
}

#[test]
fn usage_pinned_at_the_quota_is_raised_by_one_step() {
    let proposal = change(decided(&usage(14, |i| (2.0 * daily(i)).min(4.0)), 4.0));
    assert_eq!(proposal.limit, 6.0);
    assert!(proposal.reasons[0].contains("stood at or above the quota"));
    assert_eq!(decided(&usage(14, |_| 32.0), 32.0), Outcome::Keep(KeepReason::PinnedAtCeiling));
}

#[test]
fn a_need_that_is_known_is_not_approached_in_steps() {
    // Usage is far above the quota, so nothing holds it there.
    let proposal = change(decided(&usage(14, |i| 5.0 * daily(i)), 2.0));
    assert!(proposal.limit >= 15.0, "{}", proposal.limit);
    assert_eq!(proposal.evidence.violations_then, 0.0);
    // Where the ceiling keeps it too low, it is not trusted much.
    let short = change(decided(&usage(14, |i| 40.0 * daily(i)), 2.0));
    assert_eq!(short.limit, 32.0);
    assert!(short.confidence < 0.1, "{}", short.confidence);
    assert!(short.evidence.confidence_because.starts_with("low"), "{:?}", short.evidence);
}

fn abstained(usage: &UsageSeries) -> AbstainReason {
    match decided(usage, 8.0) {
        Outcome::Abstain(reason) => reason,
        other => panic!("expected no answer, got {other:?}"),
    }
}

#[test]
fn each_reason_for_having_no_answer_is_its_own() {
    assert_eq!(abstained(&usage(14, |_| f64::NAN)), AbstainReason::NoSamples);
    let short = AbstainReason::TooLittleHistory { have_hours: 24, need_hours: 72 };
    assert_eq!(abstained(&usage(1, daily)), short);
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
        quota: StandingQuota::first(1.5),
        budget: &budget(),
        usage: &usage,
        forecast: Err(&none),
        advice: None,
    };
    let outcome = decide(&case, &Settings::default());
    assert_eq!(outcome, Outcome::Abstain(AbstainReason::NoForecast(Abstention::NoSamples)));
}

#[test]
fn floors_and_ceilings_hold() {
    let idle = usage(14, |i| 0.001 * daily(i));
    assert_eq!(change(decided(&idle, 8.0)).limit, Tier::Premium.floor(Resource::CpuCores));
    assert_eq!(decided(&idle, 0.8), Outcome::Keep(KeepReason::AtFloor));
    let huge = usage(14, |i| 20.0 * daily(i));
    assert_eq!(change(decided(&huge, 800.0)).limit, 32.0);
}

/// What a quota was at each sample, where its owner lets the daemon apply what
/// it recommends and the platform lets no usage above the quota.
fn closed_loop(days: usize, first: f64, demand: impl Fn(usize) -> f64) -> Vec<f64> {
    closed_loop_on(None, days, first, demand)
}

/// The same where the quota may follow a schedule.
fn closed_loop_on(
    schedule: Option<Reach>,
    days: usize,
    first: f64,
    demand: impl Fn(usize) -> f64,
) -> Vec<f64> {
    let rails = Guardrails::default();
    let mut quota = StandingQuota::first(first);
    let mut usage = usage(0, |_| 0.0);
    let mut walk: Option<Walk> = None;
    let (mut values, mut quotas) = (Vec::new(), Vec::new());
    for index in 0..days * 288 {
        values.push(demand(index).min(quota.limit));
        quotas.push(quota.limit);
        if !(index + 1).is_multiple_of(12) || index < 3 * 288 {
            continue;
        }
        usage = UsageSeries { start: Timestamp::from_seconds(0), values: values.clone().into(), ..usage };
        usage.drop_before(usage.end().minus(Duration::from_secs(28 * 86_400)));
        let course = Course { budget: budget().share, hours: 24, changes_per_day: 8.0, schedule };
        let walk = walk.get_or_insert_with(|| Walk::new(&usage, course));
        walk.catch_up(&usage, &quota, Others { mean: 2.0, pool: &Pool::default() });
        let advice = walk.advice(Resource::CpuCores);
        let cool = quota.since.is_none_or(|since| usage.end() >= since.plus(rails.cool_down));
        if let Outcome::Change(proposal) = outcome(&usage, quota, advice.as_ref())
            && (cool || proposal.evidence.is_on_schedule)
            && let Outcome::Change(step) =
                one_step(*proposal, Resource::CpuCores, quota.limit, &usage, &rails)
        {
            quota = StandingQuota {
                limit: step.limit,
                since: Some(usage.end()),
                raised: step.limit > quota.limit,
            };
        }
    }
    quotas
}

fn office(index: usize) -> f64 {
    let noise = (index * 7919 % 101) as f64 / 101.0;
    if (96..216).contains(&(index % 288)) { 9.0 + noise } else { 3.0 + noise }
}

fn short_share(quotas: &[f64], demand: impl Fn(usize) -> f64, days: std::ops::Range<usize>) -> f64 {
    let range = days.start * 288..days.end * 288;
    let count = range.len() as f64;
    range.filter(|index| demand(*index) > quotas[*index]).count() as f64 / count
}

fn changes(quotas: &[f64]) -> usize {
    quotas.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

#[test]
fn a_throttled_tenant_is_set_free_and_comes_to_rest() {
    let quotas = closed_loop(30, 3.2, office);
    assert_eq!(short_share(&quotas, office, 10..30), 0.0);
    let last = &quotas[20 * 288..];
    assert!(last.iter().all(|quota| (10.0..16.0).contains(quota)), "{:?}", last.last());
    assert!(changes(last) <= 2, "{}", changes(last));
}

#[test]
fn a_schedule_is_followed_and_left_when_usage_is_a_surprise() {
    let reach = Reach { most_changes: 4, lowest: 0.7 };
    let growing = |index: usize| if index < 24 * 288 { office(index) } else { 1.6 * office(index) };
    let quotas = closed_loop_on(Some(reach), 30, 16.0, growing);
    let followed = &quotas[15 * 288..24 * 288];
    assert_eq!(short_share(&quotas, growing, 12..24), 0.0);
    assert!(followed.chunks(288).all(|day| changes(day) <= 4), "{followed:?}");
    let (night, noon) = (followed[3 * 12], followed[12 * 12]);
    assert!((0.69..0.75).contains(&(night / noon)) && noon < 12.0, "{night} {noon}");
    // The surprise is answered no later than with a quota for the whole day.
    let by_day = closed_loop(30, 16.0, growing);
    let short = |quotas: &[f64]| short_share(quotas, growing, 24..25);
    assert!(
        short(&by_day) > 0.0 && short(&quotas) <= short(&by_day),
        "{} {}",
        short(&quotas),
        short(&by_day)
    );
    assert_eq!(short_share(&quotas, growing, 25..30), 0.0);
}

#[test]
fn one_that_takes_whatever_it_gets_stops_at_the_ceiling() {
    let quotas = closed_loop(14, 2.0, |_| f64::INFINITY);
    assert_eq!(quotas.last(), Some(&32.0));
    assert!(quotas.windows(2).all(|pair| pair[1] <= 1.5 * pair[0] + 0.1), "no step is larger than one");
}

#[test]
fn usage_that_shrinks_is_followed_and_not_driven_down() {
    let falling = |index: usize| {
        let share = 1.0 - 0.5 * ((index as f64 / 288.0 - 8.0) / 20.0).clamp(0.0, 1.0);
        office(index) * share
    };
    let quotas = closed_loop(64, 16.0, falling);
    assert!(short_share(&quotas, falling, 0..64) <= budget().share);
    let last = &quotas[58 * 288..];
    assert!(last.iter().all(|quota| (5.0..7.5).contains(quota)), "{:?}", last.last());
    assert!(changes(last) <= 1, "{}", changes(last));
}

fn any_history() -> impl Strategy<Value = Vec<f64>> {
    let sample = prop_oneof![
        4 => 0.0..10.0_f64,
        1 => Just(f64::NAN),
        1 => Just(0.0),
        1 => (0.0..7.0_f64).prop_map(|exponent| 10.0_f64.powf(exponent)),
        1 => Just(2.0),
    ];
    (prop::collection::vec(sample, 1..400), 1_usize..40)
        .prop_map(|(pattern, days)| pattern.iter().copied().cycle().take(days * 24).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_history_leads_out_of_the_bounds(
        values in any_history(),
        quota in 0.1..1e4_f64,
        changed in prop::option::of(0_usize..1000),
        tier in prop::sample::select(Tier::ALL.to_vec()),
        resource in prop::sample::select(Resource::ALL.to_vec()),
        hours in prop::sample::select(vec![1_usize, 6, 24]),
    ) {
        let usage = UsageSeries { start: Timestamp::from_seconds(0), step: Step::HOUR, values: values.into() };
        let since = changed.map(|hours| Timestamp::from_seconds(3600 * hours as i64));
        let quota = StandingQuota { limit: resource.round_up(quota), since, raised: true };
        let budget = Budgets::default().of(tier, resource, None);
        let mut walk = Walk::new(&usage, Course { budget: budget.share, hours, changes_per_day: 8.0, schedule: None });
        walk.catch_up(&usage, &quota, Others { mean: 1.0, pool: &Pool::default() });
        let advice = walk.advice(resource);
        let dated = usage.last_sample().map(|_| forecast(&usage));
        let missing = Abstention::NoSamples;
        let case = Case {
            resource,
            tier,
            quota,
            budget: &budget,
            usage: &usage,
            forecast: dated.as_ref().ok_or(&missing),
            advice: advice.as_ref(),
        };
        if let Outcome::Change(proposal) = decide(&case, &Settings::default()) {
            let limit = proposal.limit;
            prop_assert!(limit.is_finite() && limit != quota.limit);
            prop_assert_eq!(resource.round_up(limit), limit, "a step of the resource");
            prop_assert!(limit >= tier.floor(resource));
            prop_assert!(tier.ceiling(resource).is_none_or(|ceiling| limit <= ceiling));
            prop_assert!((0.0..=1.0).contains(&proposal.confidence));
            prop_assert!(!proposal.reasons.is_empty() && !proposal.evidence.would_change.is_empty());
            let whole = serde_json::to_string(&proposal.evidence).unwrap();
            prop_assert!(serde_json::from_str::<crate::domain::Evidence>(&whole).is_ok(), "{}", whole);
            if let Some(schedule) = &proposal.evidence.schedule {
                prop_assert!(schedule.hours.iter().all(|hour| *hour == case.within_tier(*hour)));
            }
            let rails = Guardrails::default();
            if let Outcome::Change(step) = one_step(*proposal, resource, quota.limit, &usage, &rails) {
                let (low, high) = (quota.limit.min(limit), quota.limit.max(limit));
                prop_assert!((low..=high).contains(&step.limit) && step.limit != quota.limit);
                let share = step.limit / quota.limit - 1.0;
                let tolerance = resource.granularity() / quota.limit;
                prop_assert!(share <= rails.largest_step_up + tolerance + 1e-9);
                prop_assert!(-share <= rails.largest_step_down + 1e-9);
            }
        }
    }
}
