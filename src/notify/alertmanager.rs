//! Alertmanager's two forms: what it sends to webhooks (version 4), and what
//! is posted into it at `/api/v2/alerts`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::message::{Message, page};
use crate::domain::{Notice, NoticeKind, Receiver, Timestamp};
use crate::ports::DeliveryError;
use crate::security::hash;

/// The most alerts of one post.
pub const ALERTS_AT_ONCE: usize = 64;
/// What Alertmanager writes for an end that is not known yet.
const NO_END: &str = "0001-01-01T00:00:00Z";

/// Whether a notice says that something is over.
pub fn is_over(notice: &Notice) -> bool {
    notice.kind == NoticeKind::IncidentResolved
}

/// The labels of a notice's alert; they are what an alert is known by.
pub fn labels(notice: &Notice) -> BTreeMap<&'static str, String> {
    let name = match notice.kind {
        NoticeKind::Test => "PlimsollTest",
        NoticeKind::AuditCheckpoint => "PlimsollAuditCheckpoint",
        NoticeKind::IncidentsSummarised => "PlimsollIncidents",
        _ => "PlimsollIncident",
    };
    let mut labels = BTreeMap::from([
        ("alertname", name.to_owned()),
        ("incident", notice.subject.clone()),
        ("severity", notice.severity.to_string()),
    ]);
    if let Some(tenant) = &notice.tenant {
        labels.insert("tenant", tenant.to_string());
    }
    labels
}

fn annotations(notice: &Notice) -> Value {
    json!({"summary": notice.title, "description": notice.text})
}

/// What Alertmanager would send to a webhook for this notice: one alert in a
/// group of its own, so that the group's key names the incident.
///
/// # Errors
/// Where it can't be written as JSON.
pub fn webhook(receiver: &Receiver, notice: &Notice, external_url: &str) -> Result<Message, DeliveryError> {
    let status = if is_over(notice) { "resolved" } else { "firing" };
    let labels = labels(notice);
    // The severity may rise while the incident stays the same.
    let group: BTreeMap<_, _> = labels.iter().filter(|(name, _)| **name != "severity").collect();
    let pairs: Vec<String> = group.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let group_key = format!("{{}}:{{{}}}", pairs.join(", "));
    let ends_at = if is_over(notice) { json!(notice.at) } else { json!(NO_END) };
    let fingerprint: String = hash(&group_key).chars().take(16).collect();
    let alert = json!({
        "status": status,
        "labels": labels,
        "annotations": annotations(notice),
        "startsAt": notice.since,
        "endsAt": ends_at,
        "generatorURL": page(notice, external_url),
        "fingerprint": fingerprint,
    });
    let body = json!({
        "version": "4",
        "groupKey": group_key,
        "truncatedAlerts": 0,
        "status": status,
        "receiver": receiver.name,
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": annotations(notice),
        "externalURL": external_url,
        "alerts": [alert],
    });
    Message::json("application/json", &body)
}

/// Alerts for `/api/v2/alerts`; `true` for those that are over. The others end
/// at `lasts_until`, where they are not posted again before.
///
/// # Errors
/// Where they can't be written as JSON.
pub fn alerts(
    notices: &[(&Notice, bool)],
    now: Timestamp,
    lasts_until: Timestamp,
    external_url: &str,
) -> Result<Message, DeliveryError> {
    let alert = |(notice, over): &(&Notice, bool)| {
        let starts_at = notice.since.min(now);
        // It refuses an alert that ends before it starts.
        let after_start = Timestamp::from_millis(starts_at.millis() + 1);
        let ends_at = if *over { notice.at.min(now).max(after_start) } else { lasts_until };
        json!({
            "labels": labels(notice),
            "annotations": annotations(notice),
            "startsAt": starts_at,
            "endsAt": ends_at,
            "generatorURL": page(notice, external_url),
        })
    };
    let alerts: Vec<Value> = notices.iter().map(alert).collect();
    Message::json("application/json", &Value::Array(alerts))
}
