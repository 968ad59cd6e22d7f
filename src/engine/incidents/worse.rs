//! What makes an incident that is open worth another alert: it matters more,
//! a finding is far stronger than what was told, or something else of the
//! tenant goes wrong long after the last alert. Who was told of one thing
//! has not been told of another that begins days later.

use super::Settings;
use super::lifecycle::Found;
use crate::domain::{Finding, FindingKind, Incident, Timestamp};

/// Why what is found now is worth another alert of the incident as it was
/// before, if it is.
pub(super) fn late(before: &Incident, found: &Found, now: Timestamp, settings: &Settings) -> Option<String> {
    let lately = |at: Timestamp| now.since(at) <= settings.join_within;
    if lately(before.changed_at) {
        return None;
    }
    let known = |finding: &&Finding| {
        let of_it = before.findings.iter().filter(|other| concerns_the_same(other, finding));
        of_it.map(|other| other.ended_at).any(|ended| ended.is_none_or(lately))
    };
    let finding = found.findings.iter().find(|finding| !known(finding))?;
    Some(match finding.resource {
        Some(resource) => format!("{resource} went wrong as well"),
        None => format!("{} was found as well", finding.kind),
    })
}

/// A resource that is wrong in one way may be wrong in another without
/// another alert.
fn concerns_the_same(one: &Finding, other: &Finding) -> bool {
    match one.resource {
        Some(_) => one.resource == other.resource,
        None => one.is_about(other),
    }
}

/// Why an incident got worse since it was last told of, if it did.
pub(super) fn worsening(before: &Incident, after: &Incident, settings: &Settings) -> Option<String> {
    if after.severity > before.severity {
        return Some(format!("it is {} now and was {}", after.severity, before.severity));
    }
    let worse = |finding: &&Finding| {
        finding.told_strength > 0.0 && finding.strength >= settings.worse_by * finding.told_strength
    };
    after.open_findings().find(worse).map(figures)
}

/// How much worse a finding is than what was told, in the measure of its kind.
fn figures(finding: &Finding) -> String {
    let (now, then) = (finding.strength, finding.told_strength);
    let measure = match finding.kind {
        FindingKind::ForecastBreach => "times the quota is the peak that is expected",
        FindingKind::BudgetOverrun => "times the budget will be spent",
        FindingKind::SlaBreach => "times the rate at which the error budget lasts long enough",
        _ => "times the band away from what was expected",
    };
    let what = finding.resource.map(|resource| format!("{resource}: ")).unwrap_or_default();
    format!("{what}{now:.1} {measure}, after {then:.1}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::Resource;
    use crate::domain::incident::tests::{finding, incident};

    fn unusual(resource: Resource) -> Finding {
        finding(FindingKind::UnusualUsage, Some(resource), 2.0)
    }

    #[test]
    fn what_goes_wrong_long_after_the_last_alert_is_told() {
        let hours = |hours: u64| Duration::from_secs(3600 * hours);
        let settings = Settings { join_within: hours(1), ..Settings::default() };
        let mut open = incident(vec![unusual(Resource::CpuCores)]);
        let begin = open.changed_at;
        let says = |open: &Incident, finding: Finding, after: u64| {
            let found = Found { findings: vec![finding], ..Found::default() };
            late(open, &found, begin.plus(hours(after)), &settings)
        };
        let memory = unusual(Resource::MemoryGb);
        assert_eq!(says(&open, memory.clone(), 1), None, "they went wrong together");
        assert_eq!(says(&open, memory.clone(), 3), Some("memory_gb went wrong as well".to_owned()));
        assert_eq!(says(&open, unusual(Resource::CpuCores), 3), None, "it is known");
        let pinned = finding(FindingKind::PinnedAtQuota, Some(Resource::CpuCores), 1.0);
        assert_eq!(says(&open, pinned, 3), None, "in whichever way");
        let dear = finding(FindingKind::CostAnomaly, None, 2.0);
        assert_eq!(says(&open, dear, 3), Some("cost_anomaly was found as well".to_owned()));
        open.findings[0].ended_at = Some(begin.plus(hours(4)));
        assert_eq!(says(&open, unusual(Resource::CpuCores), 5), None, "it flaps");
        assert!(says(&open, unusual(Resource::CpuCores), 8).is_some(), "it had been well for hours");
    }

    #[test]
    fn a_finding_that_gets_worse_says_so_in_its_own_measure() {
        let said = |kind, resource| {
            let mut before = incident(vec![finding(kind, resource, 1.0)]);
            before.findings[0].told_strength = 1.0;
            let mut after = before.clone();
            after.findings[0].strength = 2.0;
            worsening(&before, &after, &Settings::default()).unwrap()
        };
        let cpu = Some(Resource::CpuCores);
        let usual = "cpu_cores: 2.0 times the band away from what was expected, after 1.0";
        assert_eq!(said(FindingKind::UnusualUsage, cpu), usual);
        let breach = "cpu_cores: 2.0 times the quota is the peak that is expected, after 1.0";
        assert_eq!(said(FindingKind::ForecastBreach, cpu), breach);
        assert_eq!(said(FindingKind::BudgetOverrun, None), "2.0 times the budget will be spent, after 1.0");
    }
}
