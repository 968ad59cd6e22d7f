//! What becomes an incident, and what is told of it.

use super::*;
use crate::domain::{AuditAction, FindingKind, Receiver, ReceiverKind, Untold, Wanted};
use crate::registry::outbox::Recipient;

#[tokio::test(flavor = "multi_thread")]
async fn ten_resources_that_go_wrong_at_once_are_one_incident() {
    let fault = |_: &str, resource: Resource, hour: f64| {
        let quota = Tier::Premium.default_quota(resource);
        quota * if (75.0..77.0).contains(&hour) { 0.7 } else { usual(hour) / 20.0 }
    };
    let rig = Rig::new(&["acme"], &Resource::ALL, (Step::FIVE_MINUTES, 84), settings(|_| ()), fault).await;
    rig.go_through(WARM, 75.0).await;
    assert!(rig.incidents("acme").await.is_empty());
    rig.go_through(75.5, 82.0).await;
    let incidents = rig.incidents("acme").await;
    assert_eq!(incidents.len(), 1, "{incidents:#?}");
    let unusual = incidents[0].findings.iter().filter(|finding| finding.kind == FindingKind::UnusualUsage);
    assert_eq!((incidents[0].resources.len(), unusual.count()), (10, 10));
    assert_eq!(rig.told().await, [NoticeKind::IncidentOpened, NoticeKind::IncidentResolved]);
    let audit = rig.engine.registry().audit(Some(&id("acme")), None, 10).await.unwrap();
    let lines: Vec<_> = audit.iter().map(|line| (line.event.action, &line.event.actor)).collect();
    let (opened, resolved) = (AuditAction::IncidentOpened, AuditAction::IncidentResolved);
    assert_eq!(lines[..2], [(resolved, &Actor::Daemon), (opened, &Actor::Daemon)]);
    let about = incidents[0].id.to_string();
    assert!(audit[..2].iter().all(|line| line.event.reason.contains(&about)), "{audit:#?}");
    assert_eq!((&audit[1].event.before, &audit[1].event.after), (&None::<()>.into(), &"open".into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_moved_is_told() {
    let fault = |tenant: &str, hour: f64| match tenant {
        "a" | "b" if hour >= 75.0 => 30.0,
        _ => usual(hour),
    };
    let rig = Rig::of_cpu(&["a", "b", "c", "d"], settings(|_| ()), fault).await;
    rig.go_through(WARM, 75.5).await;
    let incident = rig.incidents("a").await.remove(0);
    let peers = incident.findings[0].peers.clone().unwrap();
    assert_eq!((peers.count, peers.also_moved, peers.also_moved_count), (3, vec![id("b")], 1));
    assert_eq!(peers.chosen_by, "tenants of the tier PREMIUM");
    let notices = rig.notices().await;
    let notice = notices.iter().find(|notice| notice.tenant == Some(id("a"))).unwrap();
    assert!(notice.text.contains("cpu_cores is unusual for 1 of its 3 peers as well"), "{}", notice.text);
    assert_eq!(notice.detail["findings"][0]["peers"]["also_moved"], serde_json::json!(["b"]));
    assert!(rig.incidents("c").await.is_empty(), "peers explain; they open nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forecast_that_crosses_the_quota_opens_an_incident_before_usage_does() {
    let daily = |_: &str, _: Resource, hour: f64| {
        5.0 + 3.0 * (hour / 24.0 * std::f64::consts::TAU).sin() + 0.3 * noise(hour as usize)
    };
    let tenants = ["small", "large", "c", "d", "e", "f"];
    let rig = Rig::new(&tenants, &[CPU], (Step::HOUR, 24 * 27), settings(|_| ()), daily).await;
    for tenant in tenants {
        let limit = if tenant == "small" { 7.0 } else { 12.0 };
        rig.engine.request_change(&id(tenant), CPU, limit, 1, ann()).await.unwrap();
    }
    // It is evening; the next peak is that of tomorrow's morning.
    let now = 24.0 * 25.0 + 18.0;
    rig.go_to(now).await;
    rig.engine.learn(&Silent).await.unwrap();
    rig.go_to(now).await;
    let incident = rig.incidents("small").await.remove(0);
    let finding = &incident.findings[0];
    assert_eq!((incident.findings.len(), finding.kind), (1, FindingKind::ForecastBreach));
    assert!(finding.actual < Some(4.0), "usage itself is low: {:?}", finding.actual);
    assert!(finding.headroom_hours.is_some_and(|hours| (6.0..18.0).contains(&hours)), "{finding:#?}");
    assert!(finding.text.contains("is expected to cross its quota of 7"), "{}", finding.text);
    assert!(!incident.holds_changes(), "a raise is its mend");
    assert_eq!(rig.told().await, [NoticeKind::IncidentOpened]);
    assert!(rig.incidents("large").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_budget_kept_back_is_told_of_once_at_midnight() {
    let fault = |_: &str, hour: f64| match hour {
        _ if (75.0..75.5).contains(&hour) => 30.0,
        _ if (86.0..86.5).contains(&hour) => 90.0,
        _ => usual(hour),
    };
    let rig = Rig::of_cpu(&["acme"], settings(|set| set.alerts_per_day = 1), fault).await;
    rig.go_through(WARM, 95.5).await;
    let incidents = rig.incidents("acme").await;
    assert_eq!(incidents.len(), 2, "{incidents:#?}");
    assert_eq!((incidents[0].untold, incidents[1].untold), (Some(Untold::OverBudget), None));
    let told = [NoticeKind::IncidentOpened, NoticeKind::IncidentResolved];
    assert_eq!(rig.told().await, told, "the second is kept back, and so is its end");
    rig.go_through(96.0, 121.0).await;
    let notices = rig.notices().await;
    assert_eq!(notices.len(), 3, "once: {notices:#?}");
    let summary = &notices[2];
    assert_eq!((summary.kind, summary.at), (NoticeKind::IncidentsSummarised, at(96.0)));
    assert_eq!(summary.detail["incidents"], serde_json::json!([incidents[0].id]));
    assert!(summary.text.contains("rose to 90"), "{}", summary.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_gets_worse_is_told_and_written_down() {
    let fault = |_: &str, hour: f64| match hour {
        _ if (75.0..76.0).contains(&hour) => 9.0,
        _ if hour >= 76.0 => 60.0,
        _ => usual(hour),
    };
    let rig = Rig::of_cpu(&["acme"], settings(|_| ()), fault).await;
    rig.go_through(WARM, 77.0).await;
    assert_eq!(rig.told().await, [NoticeKind::IncidentOpened, NoticeKind::IncidentWorsened]);
    let incident = rig.incidents("acme").await.remove(0);
    let audit = rig.engine.registry().audit(Some(&id("acme")), None, 1).await.unwrap();
    let event = &audit[0].event;
    assert_eq!((event.action, &event.actor), (AuditAction::IncidentWorsened, &Actor::Daemon));
    assert!(event.reason.starts_with(&format!("incident {}: ", incident.id)), "{event:#?}");
    assert_eq!(event.after, serde_json::json!(incident.severity));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_forecast_had_said_stands_beside_a_rise() {
    let fault = |_: &str, hour: f64| if hour >= 150.0 { 30.0 } else { usual(hour) };
    let rig = Rig::of_cpu(&["acme"], settings(|_| ()), fault).await;
    rig.go_through(WARM, 150.0).await;
    rig.engine.learn(&Silent).await.unwrap();
    rig.go_to(150.5).await;
    let incident = rig.incidents("acme").await.remove(0);
    let foreseen = incident.findings[0].foreseen.unwrap();
    assert_eq!((foreseen.hour, foreseen.known_until), (at(150.0), at(150.0)));
    assert!(foreseen.is_exceeded && foreseen.lower <= foreseen.median, "{foreseen:?}");
    assert!((2.0..4.0).contains(&foreseen.upper), "{foreseen:?}");
    let text = &rig.notices().await[0].text;
    assert!(text.contains("The forecast of cpu_cores made from usage until"), "{text}");
    assert!(text.contains("did not expect it either"), "{text}");
    rig.engine.learn(&Silent).await.unwrap();
    rig.go_to(152.5).await;
    let later = rig.incidents("acme").await.remove(0).findings[0].foreseen.unwrap();
    assert_eq!(later.known_until, at(150.0), "what was said before stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_heard_of_an_incident_in_the_summary_hears_of_its_end() {
    let fault = |_: &str, hour: f64| match hour {
        _ if (75.0..75.5).contains(&hour) => 30.0,
        _ if (90.0..100.0).contains(&hour) => 90.0 + usual(hour),
        _ => usual(hour),
    };
    let rig = Rig::of_cpu(&["acme"], settings(|set| set.alerts_per_day = 1), fault).await;
    rig.go_through(WARM, 104.0).await;
    let over = rig.incidents("acme").await.remove(0);
    assert!(over.resolved_at > Some(at(100.0)), "it was open at midnight: {over:#?}");
    let receiver = Receiver {
        name: "hook".parse().unwrap(),
        kind: ReceiverKind::Cloudevents,
        url: "https://example.com/".into(),
        replicas: Vec::new(),
        secret: None,
        old_secret: None,
        letterhead: None,
        wanted: Wanted::default(),
    };
    let recipient = Recipient { receiver, closed: None, awaits: Default::default() };
    rig.engine.registry().hand_out(&[recipient], 10).await.unwrap();
    let queued = rig.engine.registry().deliveries().await.unwrap();
    let kinds: Vec<NoticeKind> = queued.iter().map(|(delivery, _)| delivery.notice.kind).collect();
    let (opened, resolved) = (NoticeKind::IncidentOpened, NoticeKind::IncidentResolved);
    assert_eq!(kinds, [opened, resolved, NoticeKind::IncidentsSummarised, resolved]);
    assert_eq!(queued[3].0.notice.subject, over.id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_hours_later_is_told_though_an_incident_is_open() {
    let memory = Resource::MemoryGb;
    let fault = |_: &str, resource: Resource, hour: f64| match resource {
        CPU if hour >= 75.0 => 30.0 + usual(hour),
        Resource::MemoryGb if hour >= 80.0 => 9.0 + usual(hour),
        _ => usual(hour),
    };
    let steps = (Step::FIVE_MINUTES, 96);
    let rig = Rig::new(&["acme"], &[CPU, memory], steps, settings(|_| ()), fault).await;
    rig.go_through(WARM, 82.0).await;
    let incidents = rig.incidents("acme").await;
    assert_eq!((incidents.len(), &incidents[0].resources), (1, &vec![CPU, memory]));
    assert_eq!(rig.told().await, [NoticeKind::IncidentOpened, NoticeKind::IncidentWorsened]);
    let text = &rig.notices().await[1].text;
    assert!(text.starts_with("It got worse: memory_gb went wrong as well."), "{text}");
}
