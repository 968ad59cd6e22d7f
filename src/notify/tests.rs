//! The forms of notices on the wire.

use serde_json::{Value, json};

use super::*;
use crate::domain::{NoticeKind, Severity};

fn notice(kind: NoticeKind) -> Notice {
    Notice {
        id: "0197c3f0-0000-7000-8000-000000000001".parse().unwrap(),
        at: Timestamp::from_seconds(1_790_000_600),
        since: Timestamp::from_seconds(1_790_000_000),
        kind,
        tenant: Some("acme".parse().unwrap()),
        severity: Severity::Critical,
        subject: "i-1".to_owned(),
        title: "cpu_cores of acme is <odd> & high".to_owned(),
        text: "9 cores where 2 to 3 are usual".to_owned(),
        detail: json!({"actual": 9.0}),
        trace: None,
        only_for: Vec::new(),
    }
}

fn receiver(kind: ReceiverKind, secret: Option<&str>, old: Option<&str>) -> Receiver {
    Receiver {
        name: "pager".parse().unwrap(),
        kind,
        url: "http://127.0.0.1:1/".into(),
        replicas: Vec::new(),
        secret: secret.map(|text| text.to_owned().into()),
        old_secret: old.map(|text| text.to_owned().into()),
        letterhead: None,
        wanted: crate::domain::Wanted::default(),
    }
}

fn body(message: &Message) -> Value {
    serde_json::from_slice(&message.body).unwrap()
}

#[test]
fn two_secrets_give_two_signatures() {
    let one = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let two = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let now = Timestamp::from_seconds(1_790_000_700);
    let message = |secret, old| {
        standard::message(
            &receiver(ReceiverKind::StandardWebhooks, secret, old),
            &notice(NoticeKind::Test),
            now,
        )
    };
    let signatures =
        |message: Message| message.headers[2].1.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let both = signatures(message(Some(one), Some(two)).unwrap());
    assert_eq!(both.len(), 2);
    assert_eq!(both[0], signatures(message(Some(one), None).unwrap())[0]);
    assert_eq!(both[1], signatures(message(Some(two), None).unwrap())[0]);
    assert!(message(None, None).is_err());
}

#[test]
fn a_cloud_event_has_what_the_standard_requires() {
    let message = cloudevents::message(&notice(NoticeKind::IncidentOpened), "http://plimsoll").unwrap();
    let event = body(&message);
    assert!(message.content_type.starts_with("application/cloudevents+json"));
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "plimsoll.incident.opened");
    assert_eq!((&event["source"], &event["subject"]), (&json!("http://plimsoll"), &json!("i-1")));
    assert_eq!(event["data"]["detail"]["actual"], 9.0);
}

#[test]
fn slack_reads_no_markup_out_of_a_title() {
    let text = body(&slack::message(&notice(NoticeKind::IncidentResolved), "http://plimsoll/").unwrap());
    let text = text["text"].as_str().unwrap();
    assert!(text.starts_with("*[resolved] cpu_cores of acme is &lt;odd&gt; &amp; high*"), "{text}");
    assert!(text.ends_with("\nhttp://plimsoll/incidents/i-1"), "{text}");
}

#[test]
fn an_incident_keeps_its_group_and_fingerprint_when_it_gets_worse() {
    let receiver = receiver(ReceiverKind::AlertmanagerWebhook, None, None);
    let form = |notice: &Notice| body(&alertmanager::webhook(&receiver, notice, "http://plimsoll").unwrap());
    let opened = form(&Notice { severity: Severity::Warning, ..notice(NoticeKind::IncidentOpened) });
    let resolved = form(&notice(NoticeKind::IncidentResolved));
    assert_eq!((&opened["version"], &opened["status"]), (&json!("4"), &json!("firing")));
    assert_eq!(opened["alerts"][0]["endsAt"], "0001-01-01T00:00:00Z");
    assert_eq!(resolved["alerts"][0]["endsAt"], "2026-09-21T14:23:20Z");
    assert_eq!(
        (&resolved["status"], &resolved["alerts"][0]["status"]),
        (&json!("resolved"), &json!("resolved"))
    );
    assert_eq!(opened["alerts"][0]["generatorURL"], "http://plimsoll/incidents/i-1");
    assert_eq!(opened["groupKey"], resolved["groupKey"]);
    assert_eq!(opened["alerts"][0]["fingerprint"], resolved["alerts"][0]["fingerprint"]);
}

#[test]
fn an_alert_never_ends_before_it_starts() {
    let now = Timestamp::from_seconds(1_790_000_000);
    let later = now.plus(Duration::from_secs(240));
    let early = Notice { at: now, since: now, ..notice(NoticeKind::IncidentResolved) };
    let alerts =
        body(&alertmanager::alerts(&[(&early, true), (&early, false)], now, later, "http://p").unwrap());
    assert_eq!(alerts[0]["endsAt"], json!(Timestamp::from_millis(now.millis() + 1)));
    assert_eq!(alerts[1]["endsAt"], json!(later));
}
