//! What is learned as usual, and what is not.

use super::*;
use crate::domain::{FindingKind, Marker, MarkerKind};

#[tokio::test(flavor = "multi_thread")]
async fn a_young_series_is_learned_and_nothing_is_said() {
    let fault = |_: &str, hour: f64| if (10.0..11.0).contains(&hour) { 6.0 } else { usual(hour) };
    let rig = Rig::of_cpu(&["acme"], settings(|_| ()), fault).await;
    rig.go_through(0.5, 12.0).await;
    let view = rig.engine.workspace.anomalies(&key("acme")).unwrap();
    assert!(view.last.unwrap().judgement.learning);
    assert!(view.anomalies.is_empty() && rig.incidents("acme").await.is_empty());
    rig.go_to(30.0).await;
    assert!(!rig.engine.workspace.anomalies(&key("acme")).unwrap().last.unwrap().judgement.learning);
}

#[tokio::test(flavor = "multi_thread")]
async fn inside_of_markers_nothing_is_judged_and_nothing_learned() {
    for kind in [MarkerKind::Deploy, MarkerKind::Maintenance] {
        let fault = |_: &str, hour: f64| if (75.0..76.5).contains(&hour) { 30.0 } else { usual(hour) };
        let rig = Rig::of_cpu(&["marked", "other"], settings(|_| ()), fault).await;
        let marker = Marker {
            id: uuid::Uuid::from_u128(1),
            kind,
            tenant: Some(id("marked")),
            from: at(74.5),
            until: at(77.0),
            text: "version 7".to_owned(),
            by: Actor::Daemon,
        };
        rig.engine.registry().add_marker(&marker, None).await.unwrap();
        rig.go_through(WARM, 82.0).await;
        assert!(rig.incidents("marked").await.is_empty());
        assert_eq!(rig.incidents("other").await.len(), 1, "without a marker it is one");
        let told = rig.notices().await;
        assert!(told.len() == 2 && told.iter().all(|notice| notice.tenant == Some(id("other"))), "{told:#?}");
        let ((expected, samples), (_, of_other)) = (rig.expected("marked"), rig.expected("other"));
        assert_eq!(samples + 30, of_other, "two and a half hours were not seen");
        assert!((expected - 2.15).abs() < 0.2, "{expected}");
        assert_eq!(rig.learnable("marked", 73..78).await, [true, false, false, false, true]);
        assert_eq!(rig.learnable("other", 73..78).await[2..4], [false, false], "its incident hides them");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_persists_does_not_become_the_expectation() {
    // It has no level of its own, so it is no shift.
    let fault = |_: &str, hour: f64| match hour >= 75.0 {
        true if noise((hour * 12.0).round() as usize / 3) < 0.5 => 4.0,
        true => 60.0,
        false => usual(hour),
    };
    let rig = Rig::of_cpu(&["doubted", "usual"], settings(|_| ()), fault).await;
    rig.go_through(WARM, 76.0).await;
    let open = rig.incidents("usual").await.remove(0);
    rig.engine.registry().judge_incident(open.id, false, ann()).await.unwrap();
    rig.go_through(76.5, 150.0).await;
    let incidents = rig.incidents("doubted").await;
    assert!(incidents.len() == 1 && incidents[0].resolved_at.is_none(), "{incidents:#?}");
    let ((held, _), (learned, _)) = (rig.expected("doubted"), rig.expected("usual"));
    assert!(held < 4.0, "the same as before: {held}");
    assert!(learned > 5.0, "a person said that it is usual: {learned}");
    assert!(rig.learnable("doubted", 75..149).await.iter().all(|learnable| !learnable));
    assert!(rig.learnable("usual", 76..149).await.iter().all(|learnable| *learnable));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_is_no_data_and_is_not_filled() {
    let gap = |_: &str, hour: f64| if (75.0..78.0).contains(&hour) { f64::NAN } else { usual(hour) };
    let rig = Rig::of_cpu(&["acme"], settings(|_| ()), gap).await;
    rig.go_through(WARM, 77.5).await;
    let silent = rig.incidents("acme").await.remove(0);
    assert_eq!((silent.findings[0].kind, silent.findings[0].actual), (FindingKind::NoData, None));
    rig.go_through(78.0, 80.0).await;
    assert!(rig.incidents("acme").await[0].resolved_at.is_some(), "samples came again");
    assert_eq!(rig.expected("acme").1, (77 * 12) as u32, "the gap is not judged");
    let usage = rig.engine.workspace.usage(&key("acme")).unwrap();
    let inside = usage.values.iter().skip(75 * 12).take(36);
    assert!(inside.clone().count() == 36 && inside.clone().all(|value| value.is_nan()));
    assert_eq!(rig.learnable("acme", 74..79).await, [true, false, false, false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_at_fault_before_the_first_start_is_not_learned_from() {
    let fault = |_: &str, hour: f64| if (75.0..78.0).contains(&hour) { 40.0 } else { usual(hour) };
    let rig = Rig::of_cpu(&["acme"], settings(|_| ()), fault).await;
    rig.go_to(90.0).await;
    assert!(rig.incidents("acme").await.is_empty(), "it was over before anybody looked");
    assert_eq!(rig.learnable("acme", 74..79).await, [true, false, false, false, true]);
}

/// Three times the usual from hour 75 on, as steady as before.
fn shifted(_: &str, hour: f64) -> f64 {
    if hour >= 75.0 { 4.0 + usual(hour) } else { usual(hour) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_that_is_mended_after_a_day_and_a_half_is_one_incident() {
    let fault = |tenant: &str, hour: f64| if hour < 111.0 { shifted(tenant, hour) } else { usual(hour) };
    let rig = Rig::of_cpu(&["acme"], settings(|_| ()), fault).await;
    rig.go_through(WARM, 110.5).await;
    let incident = rig.incidents("acme").await.remove(0);
    assert!(incident.resolved_at.is_none() && incident.holds_changes(), "nobody said that it is usual");
    assert!(rig.expected("acme").0 < 2.5, "nothing is learned while it is open");
    rig.go_through(111.0, 130.0).await;
    let incidents = rig.incidents("acme").await;
    assert_eq!(incidents.len(), 1, "that it is mended is no fault: {incidents:#?}");
    assert!(incidents[0].resolved_at <= Some(at(113.0)) && !incidents[0].findings[0].is_new_level);
    assert_eq!(rig.told().await, [NoticeKind::IncidentOpened, NoticeKind::IncidentResolved]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shift_that_holds_for_the_longest_hold_is_learned_once_and_said_once() {
    let day = std::time::Duration::from_secs(86_400);
    let rig = Rig::of_cpu(&["acme"], settings(|set| set.longest_hold = day), shifted).await;
    rig.go_through(WARM, 98.5).await;
    assert_eq!(rig.incidents("acme").await[0].resolved_at, None);
    assert!(rig.expected("acme").0 < 2.5, "nothing is learned while it is open");
    rig.go_through(99.0, 120.0).await;
    let incidents = rig.incidents("acme").await;
    assert_eq!(incidents.len(), 1, "it is said once: {incidents:#?}");
    assert!(incidents[0].resolved_at <= Some(at(100.0)) && incidents[0].findings[0].is_new_level);
    assert!((rig.expected("acme").0 - 6.15).abs() < 0.3, "{:?}", rig.expected("acme"));
    let told = rig.notices().await;
    assert_eq!(rig.told().await, [NoticeKind::IncidentOpened, NoticeKind::IncidentResolved]);
    assert!(told[1].text.contains("The level of cpu_cores has held"), "{}", told[1].text);
    let audit = rig.engine.registry().audit(Some(&id("acme")), None, 1).await.unwrap();
    assert!(audit[0].event.reason.ends_with("is taken as the usual one"), "{audit:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shift_that_a_person_calls_usual_is_learned_also_after_a_restart() {
    let rig = Rig::of_cpu(&["acme"], settings(|_| ()), shifted).await;
    rig.go_through(WARM, 90.0).await;
    let open = rig.incidents("acme").await.remove(0);
    assert!(open.resolved_at.is_none() && open.holds_changes());
    rig.engine.registry().judge_incident(open.id, false, ann()).await.unwrap();
    rig.go_through(90.5, 93.0).await;
    assert!(rig.incidents("acme").await[0].resolved_at.is_some(), "it was no fault");
    let rig = rig.started_again();
    rig.go_through(93.5, 100.0).await;
    assert_eq!(rig.incidents("acme").await.len(), 1, "what was said of it still counts");
    assert!(rig.expected("acme").0 > 5.0, "{:?}", rig.expected("acme"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_stands_still_is_said_where_drops_are_not() {
    let still = |_: &str, _: Resource, hour: f64| if hour >= 75.0 { 2.05 } else { usual(hour) };
    let storage = Resource::StorageGb;
    let steps = (Step::FIVE_MINUTES, 96);
    let rig = Rig::new(&["acme"], &[storage], steps, settings(|_| ()), still).await;
    rig.go_through(WARM, 80.0).await;
    let incidents = rig.incidents("acme").await;
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].findings[0].text, "storage_gb stands still at 2.05 GB and used to move.");
}
