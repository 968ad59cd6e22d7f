//! What is wrong with each resource of a tenant right now.

use std::cell::LazyCell;
use std::time::Duration;

use super::super::workspace::{Detection, Glance, JudgedSample};
use super::super::{ForecastRecord, SeriesKey};
use super::Settings;
use super::explain::{chart, foreseen, headroom_hours, number};
use super::lifecycle::Found;
use crate::anomaly::Kind;
use crate::domain::{Finding, FindingKind, Incident, Quota, Resource, Severity, Timestamp};
use crate::rightsize::words::at_utc;
use crate::series::UsageSeries;

/// Usage this near to the quota, as a share, stands at it.
const AT_QUOTA: f64 = 0.99;
/// Usage above this share of the quota is not held down by it.
const ABOVE_QUOTA: f64 = 1.01;
/// What is said already ends only this far below the quota, as a share.
const CLEAR_OF_QUOTA: f64 = 0.95;
/// A peak above the quota by less than this share is no other figure than it.
const SAME: f64 = 0.01;
/// A series that is silent now and then is missed after this many times its
/// longest gap.
const LONGER_GAP: u32 = 2;
/// So many bands away from what was expected is critical.
const FAR_OUT: f64 = 4.0;

/// A detector that is woken where it is needed.
type Asleep<'a> = LazyCell<Option<Detection>, Box<dyn FnOnce() -> Option<Detection> + 'a>>;

/// What is known of one resource of a tenant.
pub(super) struct Case<'a> {
    pub key: &'a SeriesKey,
    pub usage: &'a UsageSeries,
    /// What the detector shows.
    pub glance: Option<&'a Glance>,
    /// The detector, where it is needed.
    pub detection: Asleep<'a>,
    pub forecast: Option<&'a ForecastRecord>,
    /// The quota that stands.
    pub quota: Option<&'a Quota>,
    /// Whether its source answers.
    pub source_answers: bool,
    /// The incident that is open.
    pub known: Option<&'a Incident>,
    pub now: Timestamp,
    pub settings: &'a Settings,
}

impl Case<'_> {
    /// Adds what is wrong to what was found.
    pub fn look(&self, found: &mut Found) {
        let Some((last_at, last)) = self.usage.last_sample() else { return };
        let age = self.now.since(last_at);
        if age > self.settings.no_data_forget {
            return;
        }
        let is_silent = age > self.settings.longest_silence(self.usage.step);
        if !self.source_answers || is_silent {
            // What was wrong may still be: nobody can see it.
            found.unknown.push(self.key.resource);
            let missed = age > LONGER_GAP * longest_gap(self.usage);
            if self.source_answers && missed && is_silent {
                found.findings.push(self.no_data(last_at, last));
            }
            return;
        }
        found.findings.extend(self.unusual());
        found
            .new_levels
            .extend(self.glance.and_then(|glance| glance.new_level_at).map(|at| (self.key.resource, at)));
        let pinned = self.pinned();
        if pinned.is_none() {
            found.findings.extend(self.breach());
        }
        found.findings.extend(pinned);
    }

    fn limit(&self) -> Option<f64> {
        self.quota.map(|quota| quota.limit)
    }

    fn knows(&self, kind: FindingKind) -> bool {
        let same = |finding: &Finding| finding.kind == kind && finding.resource == Some(self.key.resource);
        self.known.is_some_and(|incident| incident.open_findings().any(same))
    }

    fn finding(&self, kind: FindingKind, detector: &str, text: String) -> Finding {
        let (last_seen_at, actual) = self.usage.last_sample().unwrap_or_default();
        Finding {
            resource: Some(self.key.resource),
            unit: self.key.resource.unit().to_owned(),
            actual: Some(actual),
            samples: self.usage.samples() as u64,
            headroom_hours: self.limit().and_then(|limit| headroom_hours(self.usage, limit)),
            chart: self.detection.as_ref().map(|detection| chart(detection, self.usage.step)),
            ..Finding::new(kind, detector, text, last_seen_at)
        }
    }

    fn no_data(&self, last_at: Timestamp, last: f64) -> Finding {
        let resource = self.key.resource;
        let text = format!(
            "No sample of {resource} came since {}; the last one was {}. Check what measures it.",
            at_utc(last_at),
            amount(last, resource)
        );
        Finding { actual: None, headroom_hours: None, ..self.finding(FindingKind::NoData, "silence", text) }
    }

    fn unusual(&self) -> Option<Finding> {
        let run = *self.glance?.run(self.settings.run_rules())?;
        let detection = self.detection.as_ref()?;
        let (since, worst) = (run.since?, run.worst?);
        let (expected, band) = (worst.judgement.expected, worst.judgement.band);
        let over_quota = self.limit().is_some_and(|limit| worst.value > limit);
        let critical = over_quota || run.strength >= FAR_OUT;
        // The forecast is one of peaks, which says nothing of a fall.
        let rise = self.forecast.filter(|_| worst.value > expected);
        let base = self.finding(FindingKind::UnusualUsage, found_by(&worst), self.what_is_odd(&worst));
        Some(Finding {
            severity: if critical { Severity::Critical } else { Severity::Warning },
            since,
            last_seen_at: run.last,
            expected: Some(expected),
            lower: Some(expected - band),
            upper: Some(expected + band),
            actual: Some(worst.value),
            strength: run.strength.max(1.0),
            confidence: run.peak_score,
            foreseen: rise.and_then(|record| foreseen(record, detection, since)),
            samples: u64::from(detection.detector.samples()),
            ..base
        })
    }

    fn what_is_odd(&self, worst: &JudgedSample) -> String {
        let resource = self.key.resource;
        let expected = worst.judgement.expected;
        let (value, usual) = (amount(worst.value, resource), number(expected));
        match worst.judgement.kind {
            Some(Kind::FlatLine) => format!("{resource} stands still at {value} and used to move."),
            Some(Kind::Unseen) => {
                format!("{resource} is at {value}; nothing like it was seen before.")
            }
            _ if worst.value < expected => {
                format!("{resource} fell to {value} where about {usual} was expected.")
            }
            _ => format!("{resource} rose to {value} where about {usual} was expected."),
        }
    }

    fn pinned(&self) -> Option<Finding> {
        let (stands, quota) = (self.quota?, self.limit()?);
        let known = self.knows(FindingKind::PinnedAtQuota);
        let from = if known { CLEAR_OF_QUOTA } else { AT_QUOTA } * quota;
        let since = self.usage.end().minus(self.settings.pinned_for);
        // What was used before the quota was changed was held against another
        // one. Its first is taken to have stood always.
        let changed_at = if stands.generation > 1 { stands.changed_at } else { since };
        let lately: Vec<f64> = (0..self.usage.len())
            .rev()
            .take_while(|index| self.usage.at(*index) >= since.max(changed_at))
            .map(|index| self.usage.values[index])
            .filter(|value| value.is_finite())
            .collect();
        // Half of the samples may be missing.
        let wanted = self.usage.step.count_in(self.settings.pinned_for).div_ceil(2).max(1);
        let enough = known || lately.len() >= wanted && self.usage.at(0).max(changed_at) <= since;
        let at_quota = |value: &f64| *value >= from;
        // Once it is said it ends only when nothing touches the quota any more,
        // which a quota that was just changed has to show first.
        let lasts = match known {
            true => lately.is_empty() || lately.iter().any(at_quota),
            false => lately.iter().all(at_quota),
        };
        if !enough || !lasts {
            return None;
        }
        let (resource, limit) = (self.key.resource, amount(quota, self.key.resource));
        let most = lately.into_iter().fold(f64::NEG_INFINITY, f64::max);
        let text = if most > ABOVE_QUOTA * quota {
            format!("{resource} is above its quota of {limit}, with up to {}.", amount(most, resource))
        } else {
            format!("{resource} stands at its quota of {limit}; how much more is needed can't be seen.")
        };
        Some(Finding {
            since,
            upper: Some(quota),
            headroom_hours: Some(0.0),
            ..self.finding(FindingKind::PinnedAtQuota, "quota", text)
        })
    }

    /// What the forecast says. One that is known already is told of until it stays
    /// clear of the quota, so its peak may lie below.
    fn what_is_coming(&self, quota: f64, peak: f64, begins: Timestamp) -> String {
        let resource = self.key.resource;
        let (limit, most) = (amount(quota, resource), amount(peak, resource));
        let is_touched = (1.0..1.0 + SAME).contains(&(peak / quota));
        let what = match peak {
            _ if is_touched => "reach",
            peak if peak < quota => "come close to",
            _ => "cross",
        };
        // The hour that runs has begun already.
        let when = match begins > self.now {
            true => format!("on {}", at_utc(begins)),
            false => "within the hour".to_owned(),
        };
        let hours = self.settings.breach_within.as_secs() / 3600;
        let peak = match is_touched {
            true => String::new(),
            false => format!(", with a peak of {most} in the next {hours} hours"),
        };
        format!("{resource} is expected to {what} its quota of {limit} {when}{peak}.")
    }

    fn breach(&self) -> Option<Finding> {
        let (quota, record) = (self.limit()?, self.forecast?);
        let dated = record.forecast.as_ref().ok()?;
        let column = dated.forecast.quantiles.nearest(self.settings.breach_quantile);
        let known = self.knows(FindingKind::ForecastBreach);
        let limit = if known { CLEAR_OF_QUOTA } else { 1.0 } * quota;
        let peaks = dated.forecast.values.column(column);
        let hours = |step: usize| Duration::from_secs(3600 * step as u64);
        let coming =
            |step: &usize| dated.start.plus(hours(*step)) <= self.now.plus(self.settings.breach_within);
        let first = (0..peaks.len()).take_while(coming).find(|step| peaks[*step] >= limit)?;
        let peak = (0..peaks.len()).take_while(coming).map(|step| peaks[step]).fold(limit, f64::max);
        let begins = dated.start.plus(hours(first));
        let left = begins.since(self.now);
        let text = self.what_is_coming(quota, peak, begins);
        let critical = left <= self.settings.critical_within;
        let level = dated.forecast.quantiles.levels()[column];
        Some(Finding {
            severity: if critical { Severity::Critical } else { Severity::Warning },
            expected: Some(peak),
            upper: Some(quota),
            strength: peak / quota,
            // At the level of the median it is as likely as not, and higher
            // up less.
            confidence: 1.0 - level,
            headroom_hours: Some(left.as_secs_f64() / 3600.0),
            // The forecast and the quota are those of now, however old the
            // newest sample is: a quota that was cut since can be the cause.
            since: self.now,
            ..self.finding(FindingKind::ForecastBreach, "forecast", text)
        })
    }
}

/// A figure with its unit.
fn amount(value: f64, resource: Resource) -> String {
    let shown = number(value);
    format!("{shown} {}", resource.unit_behind(&shown))
}

/// The part of the detector that says so.
fn found_by(worst: &JudgedSample) -> &'static str {
    match worst.judgement.kind {
        Some(Kind::FlatLine) => "flat line",
        Some(Kind::Unseen) => "novelty",
        _ => "seasonal band and novelty",
    }
}

/// The longest time between two samples so far.
fn longest_gap(usage: &UsageSeries) -> Duration {
    let (mut longest, mut gap) = (0, None);
    for value in &usage.values {
        gap = match (value.is_finite(), gap) {
            (true, Some(length)) => {
                longest = longest.max(length);
                Some(0)
            }
            (true, None) => Some(0),
            (false, length) => length.map(|length: u32| length + 1),
        };
    }
    usage.step.duration() * longest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Resource, Step};

    fn usage(values: Vec<f64>) -> UsageSeries {
        UsageSeries { start: Timestamp::from_seconds(0), step: Step::FIVE_MINUTES, values: values.into() }
    }

    fn found(usage: &UsageSeries, limit: f64, minutes_later: u64) -> Vec<Finding> {
        let resource = Resource::CpuCores;
        let quota = Quota { resource, limit, generation: 1, changed_at: usage.end(), before: None };
        held_against(usage, &quota, minutes_later)
    }

    fn held_against(usage: &UsageSeries, quota: &Quota, minutes_later: u64) -> Vec<Finding> {
        let key = SeriesKey { tenant: "acme".parse().unwrap(), resource: Resource::CpuCores };
        let settings = Settings::default();
        let case = Case {
            key: &key,
            usage,
            glance: None,
            detection: LazyCell::new(Box::new(|| None)),
            forecast: None,
            quota: Some(quota),
            source_answers: true,
            known: None,
            now: usage.end().plus(Duration::from_secs(60 * minutes_later)),
            settings: &settings,
        };
        let mut found = Found::default();
        case.look(&mut found);
        found.findings
    }

    #[test]
    fn what_was_used_before_a_cut_is_not_held_against_it() {
        let usage = usage(vec![4.0; 300]);
        let cut = |minutes_ago: u64| Quota {
            resource: Resource::CpuCores,
            limit: 3.0,
            generation: 2,
            changed_at: usage.end().minus(Duration::from_secs(60 * minutes_ago)),
            before: Some(8.0),
        };
        assert!(held_against(&usage, &cut(2), 0).is_empty());
        let pinned_for = Settings::default().pinned_for.as_secs() / 60;
        let since = held_against(&usage, &cut(pinned_for + 5), 0);
        assert_eq!(since[0].kind, FindingKind::PinnedAtQuota);
        assert!(since[0].since >= cut(pinned_for + 5).changed_at);
    }

    #[test]
    fn a_silent_series_is_missed_and_a_patchy_one_later() {
        let even = usage(vec![1.0; 300]);
        assert!(found(&even, 8.0, 20).is_empty());
        let missed = found(&even, 8.0, 40);
        assert_eq!((missed[0].kind, missed[0].actual), (FindingKind::NoData, None));
        assert!(found(&even, 8.0, 60 * 24 * 8).is_empty(), "a tenant that left is not missed for ever");
        let patchy = usage((0..300).map(|i| if i % 12 == 11 { 1.0 } else { f64::NAN }).collect());
        assert!(found(&patchy, 8.0, 60).is_empty());
        assert_eq!(found(&patchy, 8.0, 125).len(), 1);
    }

    #[test]
    fn usage_that_stands_at_the_quota_is_said() {
        let values = (0..300).map(|i| if i < 287 { 4.0 } else { 7.99 }).collect();
        let pinned = found(&usage(values), 8.0, 0);
        assert_eq!((pinned[0].kind, pinned[0].headroom_hours), (FindingKind::PinnedAtQuota, Some(0.0)));
        assert!(pinned[0].text.ends_with("how much more is needed can't be seen."), "{}", pinned[0].text);
        let above = found(&usage(vec![30.0; 300]), 8.0, 0);
        assert_eq!(above[0].text, "cpu_cores is above its quota of 8 cores, with up to 30 cores.");
        let one_sample = (0..300).map(|i| {
            if i < 287 {
                4.0
            } else if i < 299 {
                f64::NAN
            } else {
                7.99
            }
        });
        assert!(found(&usage(one_sample.collect()), 8.0, 0).is_empty(), "one sample is no hour");
        let touched = (0..300).map(|i| if i % 10 == 0 { 7.99 } else { 4.0 }).collect();
        assert!(found(&usage(touched), 8.0, 0).is_empty());
    }
}
