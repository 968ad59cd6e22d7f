//! What receivers are told of incidents, and how often: within the tenant's
//! budget of the day, and not while all of it is silenced.

use std::time::Duration;

use serde_json::json;
use uuid::Uuid;

use super::Settings;
use super::explain::number;
use super::lifecycle::Change;
use crate::domain::{
    Finding, FindingKind, Incident, Notice, NoticeKind, Resource, Severity, Silence, Step, TenantId,
    Timestamp, Untold,
};
use crate::registry::AlertBudget;

const DAY: Duration = Duration::from_secs(86_400);

/// The begin of the day in UTC.
pub(super) fn day_of(now: Timestamp) -> Timestamp {
    Step::from_duration(DAY).map_or(now, |day| now.floor_to(day))
}

/// What is told of a change, if anything, and the budget afterwards. Notes in
/// the incident whether receivers know of it.
pub(super) fn tell(
    incident: &mut Incident,
    change: &Change,
    silences: &[Silence],
    budget: &AlertBudget,
    settings: &Settings,
    now: Timestamp,
    id: Uuid,
) -> (Option<Notice>, Option<AlertBudget>) {
    note_summary(incident, budget, now);
    let kind = match change {
        // Who was never told of the begin needs no end.
        Change::Resolved if incident.told_at.is_none() => return (None, None),
        Change::Resolved => {
            return (Some(notice(incident, NoticeKind::IncidentResolved, None, now, id)), None);
        }
        Change::GoesOn if incident.untold != Some(Untold::Silenced) => return (None, None),
        Change::Worsened(_) | Change::GoesOn if incident.told_at.is_some() => NoticeKind::IncidentWorsened,
        Change::Worsened(_) if incident.untold == Some(Untold::OverBudget) => return (None, None),
        // A silence may have ended, or no longer cover all that is wrong.
        Change::Opened | Change::Worsened(_) | Change::GoesOn => NoticeKind::IncidentOpened,
    };
    let silenced = incident.open_findings().all(|finding| {
        silences.iter().any(|silence| silence.covers(&incident.tenant, finding.resource, now))
    });
    let told_before = incident.told_at.is_some();
    if let (Change::Worsened(why), true) = (change, told_before) {
        incident.worse_untold = Some(why.clone());
    }
    if silenced {
        if !told_before || incident.worse_untold.is_some() {
            incident.untold = Some(Untold::Silenced);
        }
        return (None, None);
    }
    let mut budget = of_day(budget, now);
    if budget.sent >= settings.alerts_per_day {
        incident.untold = Some(Untold::OverBudget);
        incident.summarised_in = Some(summary_subject(&incident.tenant, budget.day));
        if !budget.kept_back.contains(&incident.id) {
            budget.kept_back.push(incident.id);
        }
        return (None, Some(budget));
    }
    budget.sent += 1;
    incident.told_at.get_or_insert(now);
    incident.untold = None;
    let kept_back = incident.worse_untold.take();
    let why = match change {
        Change::Worsened(why) => Some(why.clone()),
        _ => kept_back.filter(|_| kind == NoticeKind::IncidentWorsened),
    };
    let mut notice = notice(incident, kind, why.as_deref(), now, id);
    if budget.sent == settings.alerts_per_day {
        notice.text.push_str(
            " This was the tenant's last alert of the day (incidents.alerts_per_day); a summary follows at \
             midnight UTC if there is more.",
        );
    }
    (Some(notice), Some(budget))
}

/// Notes that a day's summary has told of what its budget kept back.
fn note_summary(incident: &mut Incident, budget: &AlertBudget, now: Timestamp) {
    if incident.untold == Some(Untold::OverBudget) && !budget.kept_back.contains(&incident.id) {
        incident.told_at.get_or_insert(now);
        (incident.untold, incident.worse_untold) = (None, None);
    }
}

/// The budget of today: what was kept back on an earlier day stays until it
/// is summarised.
fn of_day(budget: &AlertBudget, now: Timestamp) -> AlertBudget {
    let day = day_of(now);
    if budget.day == day { budget.clone() } else { AlertBudget { day, ..AlertBudget::default() } }
}

fn summary_subject(tenant: &TenantId, day: Timestamp) -> String {
    format!("{tenant}/{day}")
}

/// What a day's budget kept back, told of together.
pub(super) fn summary(
    tenant: &TenantId,
    budget: &AlertBudget,
    incidents: &[Incident],
    now: Timestamp,
    id: Uuid,
) -> Notice {
    let lines: Vec<String> = incidents
        .iter()
        .map(|incident| format!("{} ({}, {})", texts(incident), incident.severity, incident.state()))
        .collect();
    let count = budget.kept_back.len();
    let severity = incidents.iter().map(|incident| incident.severity).max().unwrap_or(Severity::Info);
    Notice {
        id,
        at: now,
        since: budget.day,
        kind: NoticeKind::IncidentsSummarised,
        tenant: Some(tenant.clone()),
        severity,
        subject: summary_subject(tenant, budget.day),
        title: format!("{tenant}: {count} more incidents than its alert budget on the day of {}", budget.day),
        text: lines.join(" "),
        detail: json!({ "incidents": budget.kept_back, "alerts_sent": budget.sent }),
        trace: None,
        only_for: Vec::new(),
    }
}

/// What an incident of no resource is of.
fn matters_of(incident: &Incident) -> String {
    let matter = |kind: FindingKind| match kind {
        FindingKind::SlaBreach => "what it is promised",
        FindingKind::MeterUsedUp => "what it is granted",
        FindingKind::RolledBack => "a change that was rolled back",
        FindingKind::CostAnomaly | FindingKind::BudgetOverrun => "its cost",
        _ => "its usage",
    };
    let mut matters: Vec<&str> = incident.findings.iter().map(|finding| matter(finding.kind)).collect();
    matters.sort_unstable();
    matters.dedup();
    matters.join(" and ")
}

fn notice(incident: &Incident, kind: NoticeKind, why: Option<&str>, now: Timestamp, id: Uuid) -> Notice {
    let what = match kind {
        NoticeKind::IncidentResolved => "is over",
        NoticeKind::IncidentWorsened => "got worse",
        _ => "is open",
    };
    let resources: Vec<&str> = incident.resources.iter().map(|resource| resource.name()).collect();
    let about = if resources.is_empty() { matters_of(incident) } else { resources.join(", ") };
    let mut text = texts(incident);
    if let Some(why) = why {
        text = format!("It got worse: {why}. {text}");
    }
    let more = [new_levels_of(incident), foreseen_of(incident), peers_of(incident)];
    for sentence in more.into_iter().flatten() {
        text = format!("{text} {sentence}");
    }
    // A chart is for those who look; the API has it.
    let mut detail = json!(incident);
    if let Some(findings) = detail["findings"].as_array_mut() {
        findings.iter_mut().filter_map(|finding| finding.as_object_mut()).for_each(|finding| {
            finding.remove("chart");
        });
    }
    Notice {
        id,
        at: incident.resolved_at.unwrap_or(now),
        since: incident.opened_at,
        kind,
        tenant: Some(incident.tenant.clone()),
        severity: incident.severity,
        subject: incident.id.to_string(),
        title: format!("{}: an incident of {about} {what}", incident.tenant),
        text,
        detail,
        trace: None,
        only_for: Vec::new(),
    }
}

/// What the findings that last say, or all of them where none does.
pub(super) fn texts(incident: &Incident) -> String {
    let open: Vec<&Finding> = incident.open_findings().collect();
    let shown = if open.is_empty() { incident.findings.iter().collect() } else { open };
    shown.iter().map(|finding| finding.text.as_str()).collect::<Vec<_>>().join(" ")
}

/// What is no fault any more because it has stayed.
fn new_levels_of(incident: &Incident) -> Option<String> {
    let settled = incident.findings.iter().filter(|finding| finding.is_new_level);
    let names: Vec<&str> = settled.filter_map(|finding| finding.resource).map(Resource::name).collect();
    let which = (!names.is_empty()).then(|| names.join(", "))?;
    Some(format!("The level of {which} has held and is taken as the usual one from now on."))
}

/// What the forecast had said, in a sentence: of the finding furthest out.
fn foreseen_of(incident: &Incident) -> Option<String> {
    let known = incident.open_findings().filter_map(|finding| Some((finding, finding.foreseen?)));
    let (finding, foreseen) = known.max_by(|(a, _), (b, _)| a.strength.total_cmp(&b.strength))?;
    let (resource, upper) = (finding.resource?, number(foreseen.upper));
    let (unit, until) = (&finding.unit, foreseen.known_until);
    let so = if foreseen.is_exceeded { "did not expect it either" } else { "allowed for it" };
    Some(format!(
        "The forecast of {resource} made from usage until {until} {so}: a peak of at most {upper} {unit} in that hour."
    ))
}

/// Whether it is this tenant's alone, in a sentence: of the resource whose
/// peers moved most.
fn peers_of(incident: &Incident) -> Option<String> {
    let known =
        incident.open_findings().filter_map(|finding| Some((finding.resource?, finding.peers.as_ref()?)));
    let (resource, peers) = known.max_by_key(|(_, peers)| peers.also_moved_count)?;
    let (count, chosen_by) = (peers.count, &peers.chosen_by);
    if peers.also_moved_count == 0 {
        return Some(format!("{resource} is usual for its {count} peers ({chosen_by})."));
    }
    let names: Vec<&str> = peers.also_moved.iter().map(TenantId::as_str).collect();
    let (moved, names) = (peers.also_moved_count, names.join(", "));
    Some(format!("{resource} is unusual for {moved} of its {count} peers as well ({chosen_by}): {names}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::incident::tests::{finding, incident};
    use crate::domain::{Actor, FindingKind, Resource};

    fn fresh() -> Incident {
        incident(vec![finding(FindingKind::UnusualUsage, Some(Resource::CpuCores), 2.0)])
    }

    fn go(
        incident: &mut Incident,
        change: &Change,
        silences: &[Silence],
        budget: &AlertBudget,
    ) -> (Option<Notice>, Option<AlertBudget>) {
        let settings = Settings { alerts_per_day: 2, ..Settings::default() };
        tell(incident, change, silences, budget, &settings, Timestamp::from_seconds(3000), Uuid::nil())
    }

    fn silence(until: i64) -> Silence {
        Silence {
            id: Uuid::nil(),
            tenant: None,
            resource: None,
            from: Timestamp::from_seconds(0),
            until: Timestamp::from_seconds(until),
            reason: String::new(),
            by: Actor::Daemon,
            lifted_at: None,
        }
    }

    #[test]
    fn an_incident_is_told_of_and_its_end_as_well() {
        let mut one = fresh();
        let (notice, budget) = go(&mut one, &Change::Opened, &[], &AlertBudget::default());
        let notice = notice.unwrap();
        assert_eq!((notice.kind, notice.subject), (NoticeKind::IncidentOpened, one.id.to_string()));
        assert!(notice.detail["findings"][0].get("chart").is_none() && notice.text.contains("odd"));
        assert_eq!((budget.unwrap().sent, one.told_at.is_some()), (1, true));
        assert_eq!(go(&mut one, &Change::GoesOn, &[], &AlertBudget::default()), (None, None));
        let (over, budget) = go(&mut one, &Change::Resolved, &[], &AlertBudget::default());
        assert_eq!((over.unwrap().kind, budget), (NoticeKind::IncidentResolved, None));
    }

    #[test]
    fn a_silence_keeps_it_back_until_it_ends() {
        let mut one = fresh();
        let none = AlertBudget::default();
        assert_eq!(go(&mut one, &Change::Opened, &[silence(9000)], &none), (None, None));
        assert_eq!(one.untold, Some(Untold::Silenced));
        assert_eq!(go(&mut one.clone(), &Change::Resolved, &[], &none), (None, None));
        let (notice, _) = go(&mut one, &Change::GoesOn, &[silence(2000)], &none);
        assert_eq!(notice.unwrap().kind, NoticeKind::IncidentOpened);
        assert_eq!(one.untold, None);
    }

    #[test]
    fn what_gets_worse_during_a_silence_is_told_when_it_ends() {
        let (mut one, none) = (fresh(), AlertBudget::default());
        assert!(go(&mut one, &Change::Opened, &[], &none).0.is_some());
        let worse = Change::Worsened("it is critical now and was warning".to_owned());
        assert_eq!(go(&mut one, &worse, &[silence(9000)], &none), (None, None));
        assert_eq!(go(&mut one, &Change::GoesOn, &[silence(9000)], &none), (None, None));
        let (notice, _) = go(&mut one, &Change::GoesOn, &[silence(2000)], &none);
        let notice = notice.unwrap();
        assert_eq!(notice.kind, NoticeKind::IncidentWorsened);
        assert!(notice.text.starts_with("It got worse: it is critical now"), "{}", notice.text);
        assert_eq!(go(&mut one, &Change::GoesOn, &[], &none), (None, None), "once");
    }

    #[test]
    fn what_the_summary_told_of_is_told_on_afterwards() {
        let spent = AlertBudget { day: Timestamp::from_seconds(0), sent: 2, kept_back: Vec::new() };
        let mut one = fresh();
        let (_, budget) = go(&mut one, &Change::Opened, &[], &spent);
        assert_eq!(go(&mut one.clone(), &Change::Resolved, &[], &budget.unwrap()), (None, None));
        let next_day = AlertBudget::default();
        let worse = Change::Worsened("it is critical now and was warning".to_owned());
        let (notice, _) = go(&mut one, &worse, &[], &next_day);
        assert_eq!(notice.unwrap().kind, NoticeKind::IncidentWorsened);
        assert!(go(&mut one, &Change::Resolved, &[], &next_day).0.is_some());
    }

    #[test]
    fn what_the_budget_keeps_back_is_summarised() {
        let spent = AlertBudget { day: Timestamp::from_seconds(0), sent: 2, kept_back: Vec::new() };
        let mut one = fresh();
        let (notice, budget) = go(&mut one, &Change::Opened, &[], &spent);
        let budget = budget.unwrap();
        assert_eq!((notice, &budget.kept_back), (None, &vec![one.id]));
        assert_eq!(one.untold, Some(Untold::OverBudget));
        let text =
            summary(&one.tenant, &budget, &[one.clone()], Timestamp::from_seconds(90_000), Uuid::nil());
        assert_eq!(text.kind, NoticeKind::IncidentsSummarised);
        assert!(text.title.contains("1 more") && text.text.contains("odd"), "{text:?}");
        let yesterday = AlertBudget { day: Timestamp::from_seconds(-86_400), sent: 2, kept_back: Vec::new() };
        assert!(go(&mut fresh(), &Change::Opened, &[], &yesterday).0.is_some(), "a new day");
    }
}
