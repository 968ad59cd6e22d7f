//! From the findings of this cycle to the incident: opened, worse, the same,
//! resolved. Nothing here reads or writes anything.

use super::Settings;
use super::worse::{late, worsening};
use crate::domain::{Finding, FindingKind, Incident, IncidentId, Severity, TenantId, Timestamp};

/// What a cycle says of a tenant.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// The resources of which nothing can be said right now: what was wrong
    /// with them still counts as wrong.
    pub unknown: Vec<crate::domain::Resource>,
    /// The kinds of which the source has said nothing yet: what was wrong still
    /// counts as wrong.
    pub unheard: Vec<FindingKind>,
    /// Where and when a shift was taken as the new level last.
    pub new_levels: Vec<(crate::domain::Resource, Timestamp)>,
}

impl Found {
    /// Whether what was odd has held and is now the usual level.
    fn has_new_level(&self, finding: &Finding) -> bool {
        finding.kind == FindingKind::UnusualUsage
            && self
                .new_levels
                .iter()
                .any(|(resource, at)| finding.resource == Some(*resource) && *at >= finding.since)
    }
}

/// What became of an incident.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Change {
    Opened,
    /// It got worse, for this reason.
    Worsened(String),
    /// It goes on.
    GoesOn,
    Resolved,
}

/// The incident with what was found now, and what became of it. `None` where
/// there was none and there is none.
pub(super) fn step(
    known: Option<&Incident>,
    tenant: &TenantId,
    found: Found,
    now: Timestamp,
    settings: &Settings,
    new_id: impl FnOnce() -> IncidentId,
) -> Option<(Incident, Change)> {
    let Some(known) = known else {
        let first = found.findings.first()?;
        let mut incident = fresh(new_id(), tenant, first, now);
        incident.findings = found.findings;
        sum_up(&mut incident);
        mark_told(&mut incident, now);
        return Some((incident, Change::Opened));
    };
    let mut incident = known.clone();
    let late = late(known, &found, now, settings);
    end_what_is_gone(&mut incident, &found, now);
    for finding in found.findings {
        take_in(&mut incident, finding);
    }
    sum_up(&mut incident);
    let lived = now.since(incident.detected_at) >= settings.least_open;
    if incident.open_findings().next().is_none() && lived {
        incident.resolved_at = Some(now);
        return Some((incident, Change::Resolved));
    }
    let change = worsening(known, &incident, settings).or(late).map_or(Change::GoesOn, Change::Worsened);
    if matches!(change, Change::Worsened(_)) {
        mark_told(&mut incident, now);
    }
    Some((incident, change))
}

fn fresh(id: IncidentId, tenant: &TenantId, first: &Finding, now: Timestamp) -> Incident {
    Incident {
        id,
        tenant: tenant.clone(),
        severity: Severity::Info,
        resources: Vec::new(),
        findings: Vec::new(),
        opened_at: first.since,
        last_seen_at: first.last_seen_at,
        peak_score: 0.0,
        resolved_at: None,
        detected_at: now,
        changed_at: now,
        acknowledged: None,
        feedback: None,
        told_at: None,
        untold: None,
        worse_untold: None,
        summarised_in: None,
    }
}

fn end_what_is_gone(incident: &mut Incident, found: &Found, now: Timestamp) {
    for finding in incident.findings.iter_mut().filter(|finding| finding.is_open()) {
        let unseen = finding.resource.is_some_and(|resource| found.unknown.contains(&resource));
        let unknown = unseen || found.unheard.contains(&finding.kind);
        if !unknown && !found.findings.iter().any(|other| other.is_about(finding)) {
            finding.ended_at = Some(now);
            finding.is_new_level = found.has_new_level(finding);
        }
    }
}

/// One finding for each thing: what is found again goes on.
fn take_in(incident: &mut Incident, finding: Finding) {
    match incident.findings.iter_mut().find(|known| known.is_about(&finding)) {
        Some(known) => {
            // What had ended and is back is as strong as it is now; it is worse
            // only against what was told.
            let before = if known.is_open() { known.strength } else { 0.0 };
            let told = known.told_strength;
            *known = Finding {
                since: known.since.min(finding.since),
                severity: known.severity.max(finding.severity),
                strength: before.max(finding.strength),
                foreseen: finding.foreseen.or(known.foreseen),
                peers: finding.peers.or(known.peers.take()),
                told_strength: told,
                ..finding
            };
        }
        // What joins is told of with the rest; whether that is at once, `late` says.
        None => incident.findings.push(Finding { told_strength: finding.strength, ..finding }),
    }
}

fn sum_up(incident: &mut Incident) {
    for finding in &incident.findings {
        incident.severity = incident.severity.max(finding.severity);
        incident.opened_at = incident.opened_at.min(finding.since);
        incident.last_seen_at = incident.last_seen_at.max(finding.last_seen_at);
        incident.peak_score = incident.peak_score.max(finding.confidence);
        if let Some(resource) = finding.resource.filter(|resource| !incident.resources.contains(resource)) {
            incident.resources.push(resource);
        }
    }
    incident.resources.sort();
}

fn mark_told(incident: &mut Incident, now: Timestamp) {
    incident.changed_at = now;
    for finding in &mut incident.findings {
        finding.told_strength = finding.strength;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;
    use crate::domain::Resource;
    use crate::domain::incident::tests::finding;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn unusual(resource: Resource, strength: f64) -> Finding {
        finding(FindingKind::UnusualUsage, Some(resource), strength)
    }

    fn go(known: Option<&Incident>, findings: Vec<Finding>, now: i64) -> Option<(Incident, Change)> {
        let settings = Settings { least_open: Duration::from_secs(600), ..Settings::default() };
        let found = Found { findings, ..Found::default() };
        step(known, &"acme".parse().unwrap(), found, at(now), &settings, || IncidentId(Uuid::from_u128(1)))
    }

    #[test]
    fn ten_resources_at_once_are_one_incident() {
        let all = Resource::ALL.map(|resource| unusual(resource, 2.0)).to_vec();
        let (incident, change) = go(None, all, 2000).unwrap();
        assert_eq!((incident.resources.len(), change), (10, Change::Opened));
        assert!(go(None, Vec::new(), 2000).is_none());
    }

    #[test]
    fn it_is_told_again_only_where_it_gets_worse() {
        let (incident, _) = go(None, vec![unusual(Resource::CpuCores, 2.0)], 2000).unwrap();
        let (same, change) = go(Some(&incident), vec![unusual(Resource::CpuCores, 2.9)], 2300).unwrap();
        assert_eq!(change, Change::GoesOn);
        let (joined, change) =
            go(Some(&same), vec![unusual(Resource::CpuCores, 2.0), unusual(Resource::MemoryGb, 9.0)], 2600)
                .unwrap();
        assert_eq!((change, joined.resources.len()), (Change::GoesOn, 2));
        let worse = vec![unusual(Resource::CpuCores, 3.1), unusual(Resource::MemoryGb, 9.0)];
        let (worse, change) = go(Some(&joined), worse, 2900).unwrap();
        assert!(matches!(change, Change::Worsened(_)), "{change:?}");
        let (_, change) = go(Some(&worse), worse.findings.clone(), 3200).unwrap();
        assert_eq!(change, Change::GoesOn, "once");
        let critical = Finding { severity: Severity::Critical, ..unusual(Resource::CpuCores, 2.0) };
        let (_, change) = go(Some(&worse), vec![critical], 3500).unwrap();
        assert!(matches!(&change, Change::Worsened(why) if why.contains("critical")), "{change:?}");
    }

    #[test]
    fn it_resolves_once_nothing_is_wrong_but_not_too_soon() {
        let (incident, _) = go(None, vec![unusual(Resource::CpuCores, 2.0)], 2000).unwrap();
        let (early, change) = go(Some(&incident), Vec::new(), 2300).unwrap();
        assert_eq!((change, early.resolved_at), (Change::GoesOn, None));
        assert_eq!(early.findings[0].ended_at, Some(at(2300)));
        let (back, change) = go(Some(&early), vec![unusual(Resource::CpuCores, 1.2)], 2400).unwrap();
        assert!(back.findings[0].is_open(), "it came back before the end");
        assert_eq!((change, back.findings[0].strength), (Change::GoesOn, 1.2), "weaker than it was");
        let (_, change) = go(Some(&back), vec![unusual(Resource::CpuCores, 1.9)], 2500).unwrap();
        assert_eq!(change, Change::GoesOn, "that much was told of before");
        let (_, change) = go(Some(&back), vec![unusual(Resource::CpuCores, 3.1)], 2500).unwrap();
        assert!(matches!(change, Change::Worsened(_)), "{change:?}");
        let (over, change) = go(Some(&early), Vec::new(), 2600).unwrap();
        assert_eq!((change, over.resolved_at), (Change::Resolved, Some(at(2600))));
    }

    #[test]
    fn what_cannot_be_seen_is_not_over() {
        let (incident, _) = go(None, vec![unusual(Resource::CpuCores, 2.0)], 2000).unwrap();
        let found = Found { findings: Vec::new(), unknown: vec![Resource::CpuCores], ..Found::default() };
        let tenant = "acme".parse().unwrap();
        let id = || IncidentId(Uuid::from_u128(2));
        let (same, change) =
            step(Some(&incident), &tenant, found, at(9000), &Settings::default(), id).unwrap();
        assert_eq!((change, same.resolved_at), (Change::GoesOn, None));
    }
}
